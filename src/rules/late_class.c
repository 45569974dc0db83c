/*
 * late_class.c
 *		What a failure means that a provider tells after it had accepted the message.
 *
 * By the rules that read its answers: a provider has one list of codes. There is no
 * status here, no body, and no other attempt: a rule that goes by these does not
 * count, unless it names the code.
 */
#include "rules/late_class.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
is_code(const AnswerMatch *match, const char *code)
{
	char *end;
	long number = strtol(code, &end, 10);

	if (strcmp(match->text, code) == 0)
		return true;
	return match->is_range && end != code && *end == '\0' && number >= match->first &&
		   number <= match->last;
}

static bool
has_code(const AnswerMatches *codes, const char *code)
{
	for (size_t i = 0; code != NULL && i < codes->n; i++)
		if (is_code(&codes->list[i], code))
			return true;
	return false;
}

static bool
has_text(const AnswerMatches *texts, const char *error)
{
	for (size_t i = 0; error != NULL && i < texts->n; i++)
		if (strcasestr(error, texts->list[i].text) != NULL)
			return true;
	return false;
}

static bool
is_of_channel(const AnswerMatches *channels, const char *channel)
{
	for (size_t i = 0; i < channels->n; i++)
		if (strcasecmp(channels->list[i].text, channel) == 0)
			return true;
	return channels->n == 0;
}

static bool
asks_for_more(const ClassRule *rule)
{
	return rule->place != NULL || rule->recipient.n > 0 || rule->category.n > 0 ||
		   rule->times > 1 || (rule->status.n > 0 && rule->code.n == 0);
}

static bool
holds(const ClassRule *rule, const char *channel, const char *code, const char *error)
{
	if (asks_for_more(rule) || (rule->code.n == 0 && rule->text.n == 0))
		return false;
	return (rule->code.n == 0 || has_code(&rule->code, code)) &&
		   (rule->text.n == 0 || has_text(&rule->text, error)) &&
		   is_of_channel(&rule->channel, channel);
}

/* code and error may be NULL; CLASS_COUNT: no rule knows it. */
CadenceClass
late_class(const Definition *d, const char *channel, const char *code, const char *error)
{
	for (size_t i = 0; i < d->nrules; i++)
		if (holds(&d->rules[i], channel, code, error))
			return d->rules[i].class;
	return CLASS_COUNT;
}
