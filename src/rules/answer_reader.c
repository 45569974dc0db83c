/*
 * answer_reader.c
 *		What an answer says about the message, by its protocol's definition.
 */
#include "rules/answer_reader.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rules/answer_json.h"
#include "rules/text.h"

/* So much of a body is searched for a rule's text. */
#define SEARCHED_MAX 8192

/* A refusal that nobody knows is one when it has come so many times in a row. */
#define UNKNOWN_UNTIL 3

/* All that the steps of a reading share. */
typedef struct Reader
{
	const Definition *d;
	const AnswerText *answer;
	const AnsweredMessage *message;
	const json_t *json; /* NULL: the body is none */
	AnswerReading *reading;
} Reader;

/* ---- places ---------------------------------------------------------------------------- */

static const json_t *
step_into(const json_t *value, const char *step)
{
	char *end;
	size_t i;

	if (!json_is_array(value))
		return json_object_get(value, step);
	i = strtoul(step, &end, 10);
	return isdigit((unsigned char) *step) && *end == '\0' ? json_array_get(value, i) : NULL;
}

/* NULL: nothing is there, or null. */
static const json_t *
value_at(const Reader *r, const AnswerPlace *place)
{
	const json_t *value = r->json;

	for (const char *const *step = place->steps; *step != NULL && value != NULL; step++)
		value = step_into(value, *step);
	return json_is_null(value) ? NULL : value;
}

/* A string as it is, any other value as JSON; false when nothing is there. */
static bool
copy_from(const Reader *r, const AnswerPlace *place, char *to, size_t size)
{
	const json_t *value;
	const char *header;
	char *text;

	if (place->header != NULL)
	{
		header = r->answer->header != NULL ? r->answer->header(r->answer->header_arg, place->header)
										   : NULL;
		if (header != NULL)
			text_copy(to, size, header);
		return header != NULL && to[0] != '\0';
	}
	value = value_at(r, place);
	if (value == NULL)
		return false;
	if (json_is_string(value))
	{
		text_copy(to, size, json_string_value(value));
		return to[0] != '\0';
	}
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	if (text != NULL)
		text_copy(to, size, text);
	free(text);
	return text != NULL;
}

static bool
copy_first(const Reader *r, const AnswerPlaces *places, char *to, size_t size)
{
	for (size_t i = 0; i < places->n; i++)
		if (copy_from(r, &places->list[i], to, size))
			return true;
	to[0] = '\0';
	return false;
}

/* ---- matches ---------------------------------------------------------------------------- */

static bool
is_one(const AnswerMatch *match, const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (strcmp(match->text, text) == 0)
		return true;
	return match->is_range && end != text && *end == '\0' && number >= match->first &&
		   number <= match->last;
}

static bool
is_one_of(const AnswerMatches *matches, const char *text)
{
	for (size_t i = 0; i < matches->n; i++)
		if (is_one(&matches->list[i], text))
			return true;
	return false;
}

static bool
is_status_of(const AnswerMatches *matches, long status)
{
	for (size_t i = 0; i < matches->n; i++)
		if (status >= matches->list[i].first && status <= matches->list[i].last)
			return true;
	return false;
}

static bool
contains(const char *text, size_t len, const char *part)
{
	size_t n = strlen(part);
	int first = tolower((unsigned char) *part);

	for (size_t i = 0; i + n <= len; i++)
		if (tolower((unsigned char) text[i]) == first && strncasecmp(text + i, part, n) == 0)
			return true;
	return false;
}

static bool
text_has_one_of(const Reader *r, const AnswerMatches *matches)
{
	size_t searched = r->answer->body_len < SEARCHED_MAX ? r->answer->body_len : SEARCHED_MAX;

	for (size_t i = 0; i < matches->n; i++)
		if (contains(r->reading->reason, strlen(r->reading->reason), matches->list[i].text) ||
			contains(r->answer->body, searched, matches->list[i].text))
			return true;
	return false;
}

static bool
begins_with_one_of(const AnswerMatches *matches, const char *text)
{
	for (size_t i = 0; i < matches->n; i++)
		if (strncmp(text, matches->list[i].text, strlen(matches->list[i].text)) == 0)
			return true;
	return false;
}

static bool
has_channel(const AnswerMatches *matches, const char *channel)
{
	for (size_t i = 0; i < matches->n; i++)
		if (strcasecmp(matches->list[i].text, channel) == 0)
			return true;
	return false;
}

/* A yes in quotes is another value than a yes. */
static bool
place_matches(const Reader *r, const AnswerPlace *place, const AnswerMatches *value)
{
	char text[ANSWER_REASON_MAX];
	bool is_string = place->header != NULL || json_is_string(value_at(r, place));

	if (!copy_from(r, place, text, sizeof(text)))
		return false;
	for (size_t i = 0; i < value->n; i++)
		if (value->list[i].is_string == is_string && is_one(&value->list[i], text))
			return true;
	return value->n == 0;
}

static bool
holds(const Reader *r, const ClassRule *rule)
{
	const AnsweredMessage *m = r->message;

	return (rule->status.n == 0 || is_status_of(&rule->status, r->answer->status)) &&
		   (rule->code.n == 0 || is_one_of(&rule->code, r->reading->code)) &&
		   (rule->channel.n == 0 || has_channel(&rule->channel, m->channel)) &&
		   (rule->category.n == 0 ||
			(m->category != NULL && has_channel(&rule->category, m->category))) &&
		   (rule->recipient.n == 0 || begins_with_one_of(&rule->recipient, m->recipient)) &&
		   r->reading->times >= rule->times &&
		   (rule->place == NULL || place_matches(r, rule->place, &rule->value)) &&
		   (rule->text.n == 0 || text_has_one_of(r, &rule->text));
}

/* ---- success ------------------------------------------------------------------------------ */

/* Whether one of the values that tell success stands at "at", and ends there. */
static bool
is_torn_success(const Reader *r, const char *at, const char *end)
{
	for (size_t i = 0; i < r->d->success_value.n; i++)
	{
		const AnswerMatch *value = &r->d->success_value.list[i];
		size_t len = strlen(value->text);
		const char *from = value->is_string ? at + 1 : at;
		const char *behind = from + len;

		if ((value->is_string && (at == end || *at != '"')) || (size_t) (end - from) < len ||
			memcmp(from, value->text, len) != 0)
			continue;
		if (value->is_string ? behind < end && *behind == '"'
							 : behind == end || !isalnum((unsigned char) *behind))
			return true;
	}
	return false;
}

/*
 * Whether an object that the library can not read (a comma too many, a cut) has
 * the member that tells success, and it is not followed by one of its values.
 */
static bool
torn_object_says_failure(const Reader *r)
{
	const char *body = r->answer->body;
	const char *end = body + r->answer->body_len;
	const char *at = body;
	char key[64];

	snprintf(key, sizeof(key), "\"%s\"", r->d->success_place->steps[0]);
	while ((at = memmem(at, end - at, key, strlen(key))) != NULL)
	{
		at += strlen(key);
		while (at < end && (isspace((unsigned char) *at) || *at == ':'))
			at++;
		if (!is_torn_success(r, at, end))
			return true;
	}
	return false;
}

/* A page is made for people: a login, a proxy's excuse, a router's portal. */
static bool
is_page(const AnswerText *answer)
{
	return answer->content_type != NULL && answer->body_len > 0 &&
		   strncasecmp(answer->content_type, "text/html", 9) == 0;
}

static bool
is_success(const Reader *r)
{
	const Definition *d = r->d;
	bool is_torn = r->json == NULL && r->answer->body_len > 0 && r->answer->body[0] == '{';

	if (d->success_status.n > 0 ? !is_status_of(&d->success_status, r->answer->status)
								: r->answer->status < 200 || r->answer->status > 299)
		return false;
	if (d->success_place == NULL)
		return r->json != NULL || !is_page(r->answer);
	if (place_matches(r, d->success_place, &d->success_value))
		return true;
	if (!d->success_is_optional)
		return r->answer->is_cut && r->json == NULL;
	if (d->success_place->header != NULL)
		return true;
	if (is_torn)
		return !torn_object_says_failure(r);
	if (r->json == NULL)
		return !is_page(r->answer);
	return json_object_get(r->json, d->success_place->steps[0]) == NULL;
}

/*
 * What no rule knows. Only an answer that refuses can become a refusal: a page
 * or a torn body with a 2xx is nobody's word about this message.
 */
static void
judge_by_status(Reader *r)
{
	long status = r->answer->status;
	bool says_no = r->json != NULL || status >= 400;

	if (is_success(r))
		r->reading->class = CLASS_SENT;
	else if (status == 429)
		r->reading->class = CLASS_SLOW_DOWN;
	else
	{
		r->reading->class = CLASS_RETRY;
		r->reading->is_unknown = status < 500;
	}
	if (r->reading->is_unknown && says_no && r->reading->times_in_row >= UNKNOWN_UNTIL)
		r->reading->class = CLASS_REFUSED;
}

/* ---- how often ---------------------------------------------------------------------------- */

/* By its status and the provider's code, else its words, which may differ each time. */
static uint32_t
number_of(const Reader *r)
{
	const char *text = r->reading->code[0] != '\0' ? r->reading->code : r->reading->reason;
	uint32_t hash = 2166136261U;

	hash = (hash ^ (uint32_t) r->answer->status) * 16777619U;
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char) *text) * 16777619U;
	return hash;
}

/* What is no number ends the list: the step began anew then. */
static void
count_earlier(AnswerReading *reading, const char *earlier)
{
	bool in_row = true;
	char *end;

	reading->times = reading->times_in_row = 1;
	for (const char *at = earlier; at != NULL; at = end)
	{
		unsigned long answer = strtoul(at, &end, 10);

		if (end == at)
			break;
		in_row = in_row && answer == reading->answer;
		reading->times += answer == reading->answer ? 1 : 0;
		reading->times_in_row += in_row ? 1 : 0;
	}
}

static long
read_wait(const Reader *r)
{
	char text[64];
	double seconds;

	if (!copy_first(r, &r->d->wait, text, sizeof(text)))
		return 0;
	seconds = strtod(text, NULL);
	return seconds > 0 && seconds < 1e9 ? (long) (seconds + 0.999) : 0;
}

/*
 * A rule's wait is for where the answer names none. What stops a sender is no
 * matter of the seconds that some providers name in every answer: there it is the
 * least.
 */
static void
take_rule(AnswerReading *reading, const ClassRule *rule)
{
	reading->class = rule->class;
	reading->scope = rule->scope;
	reading->of_category = rule->category.n > 0;
	if (reading->wait_s == 0 || (rule->class == CLASS_STOPPED && reading->wait_s < rule->wait_s))
		reading->wait_s = rule->wait_s;
}

/*
 * Reads what an answer says about the message that it answers.
 */
void
answer_read(const Definition *d, const AnswerText *answer, const AnsweredMessage *message,
			AnswerReading *reading)
{
	json_t *json = answer_json(answer->body, answer->body_len);
	Reader r = {d, answer, message, json, reading};
	size_t i = 0;

	memset(reading, 0, sizeof(*reading));
	if (!copy_first(&r, &d->error, reading->reason, sizeof(reading->reason)) && json == NULL &&
		is_page(answer))
		text_copy(reading->reason, sizeof(reading->reason), "the answer is a page (text/html)");
	(void) copy_first(&r, &d->id, reading->message_id, sizeof(reading->message_id));
	(void) copy_first(&r, &d->code, reading->code, sizeof(reading->code));
	reading->wait_s = read_wait(&r);
	reading->says_when = reading->wait_s > 0;
	reading->answer = number_of(&r);
	count_earlier(reading, message->earlier);
	while (i < d->nrules && !holds(&r, &d->rules[i]))
		i++;
	if (i < d->nrules)
		take_rule(reading, &d->rules[i]);
	else
		judge_by_status(&r);
	json_decref(json);
}
