/*
 * explanation.c
 *		Why a message has not left, in a sentence: the words of the reason, and behind
 *		them what depends on the case.
 */
#include "rules/explanation.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Whether who has set lc_messages so reads Portuguese. */
bool
explanation_is_portuguese(const char *locale)
{
	static const char *const names[] = {"pt", "portuguese"};

	for (size_t i = 0; locale != NULL && i < sizeof(names) / sizeof(names[0]); i++)
	{
		size_t len = strlen(names[i]);

		if (strncasecmp(locale, names[i], len) == 0 &&
			(locale[len] == '\0' || strchr("_-.@", locale[len]) != NULL))
			return true;
	}
	return false;
}

/* All of it, or nothing where there is no room: no part of a character. */
static void
append(Explanation *e, const char *before, const char *words, const char *value)
{
	size_t room = sizeof(e->text) - e->len;
	bool has_value = value != NULL && *value != '\0';
	int len = snprintf(e->text + e->len, room, "%s%s%s%s", before, words, has_value ? " " : "",
					   has_value ? value : "");

	if (len > 0 && (size_t) len < room)
		e->len += len;
	e->text[e->len] = '\0';
}

void
explanation_begin(Explanation *e, CadenceReasonCode reason, bool is_portuguese)
{
	e->len = 0;
	e->is_portuguese = is_portuguese;
	append(e, "", is_portuguese ? cadence_reasons[reason].pt : cadence_reasons[reason].en, NULL);
}

/* value: NULL, where the words are all. */
void
explanation_add(Explanation *e, ReasonDetail detail, const char *value)
{
	const DetailWords *words = &cadence_details[detail];

	append(e, "; ", e->is_portuguese ? words->pt : words->en, value);
}

static void
append_count(Explanation *e, const char *before, int n, int of)
{
	const DetailWords *words = &cadence_details[DETAIL_OF];
	char text[100];

	(void) snprintf(text, sizeof(text), "%s%d %s %d", before, n,
					e->is_portuguese ? words->pt : words->en, of);
	append(e, "", text, NULL);
}

/* How much of something there was, of how much. */
void
explanation_add_count(Explanation *e, int n, int of)
{
	append_count(e, "; ", n, of);
}

void
explanation_add_attempt(Explanation *e, int n, int of)
{
	explanation_add(e, DETAIL_ATTEMPT, NULL);
	append_count(e, " ", n, of);
}
