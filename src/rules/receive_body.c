/*
 * receive_body.c
 *		A webhook's body: read, and rid of what may not be kept.
 */
#include "rules/receive_reader.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "rules/answer_json.h"
#include "rules/receive_form.h"
#include "rules/received_path.h"
#include "rules/text.h"

/* ---- forms -------------------------------------------------------------------------- */

static json_t *
form_text(char *text, size_t len)
{
	text_mend(text, len);
	return json_stringn(text, len);
}

/* An object of texts; of a name that stands there twice, the first. */
static json_t *
form_json(const char *body, size_t len)
{
	Form form;
	json_t *object;

	if (!form_read(body, len, &form))
		return NULL;
	/* not by json_object(), which is the name of a function of the server's, too */
	object = json_pack("{}");
	for (size_t i = 0; i < form.n; i++)
	{
		FormField *field = &form.fields[i];
		json_t *name = form_text(field->name, field->name_len);

		if (json_object_get(object, json_string_value(name)) == NULL)
			(void) json_object_set_new(object, json_string_value(name),
									   form_text(field->value, field->value_len));
		json_decref(name);
	}
	form_free(&form);
	return object;
}

static bool
looks_like_json(const char *body, size_t len)
{
	if (len >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0)
	{
		body += 3;
		len -= 3;
	}
	while (len > 0 && isspace((unsigned char) *body))
	{
		body++;
		len--;
	}
	return len > 0 && (*body == '{' || *body == '[');
}

/*
 * A body as JSON, to be freed with json_decref(); a form is an object of its
 * fields. NULL when it is none, or memory is short.
 */
json_t *
receive_parse(const ReceiveRules *rules, const char *body, size_t len)
{
	bool is_form = rules->body == RECEIVE_FORM ||
				   (rules->body == RECEIVE_EITHER && !looks_like_json(body, len));

	return is_form ? form_json(body, len) : answer_json(body, len);
}

/* ---- what is signed, and by what ---------------------------------------------------- */

static json_t *
value_at(const AnswerPlace *place, json_t *body)
{
	for (const char *const *key = place->steps; *key != NULL && body != NULL; key++)
		body = json_object_get(body, *key);
	return body;
}

/*
 * The text that stands at the first of a signature's places that has one, as it
 * is; false: none has, or it is too long. body: NULL where it is not read.
 */
bool
receive_text_at(const AnswerPlaces *places, json_t *body, ReceiveHeader header, void *arg, char *to,
				size_t size)
{
	for (size_t i = 0; i < places->n; i++)
	{
		const AnswerPlace *place = &places->list[i];
		const char *text = place->header != NULL ? header(arg, place->header) : NULL;
		NumberText number;
		Slice s = {text, text != NULL ? strlen(text) : 0};

		if (place->header == NULL && !received_slice(value_at(place, body), &number, &s))
			continue;
		if (s.at == NULL || s.len == 0)
			continue;
		if (s.len >= size)
			return false;
		memcpy(to, s.at, s.len);
		to[s.len] = '\0';
		return true;
	}
	return false;
}

/* ---- what may not be kept ----------------------------------------------------------- */

static void
blank(json_t *container, const ReceiveStep *step)
{
	json_t *value = received_step(container, step);
	size_t index = step->is_only ? 0 : step->index;

	if (value == NULL)
		return;
	if (json_is_object(container))
		(void) json_object_set_new(container, step->key, json_null());
	else if (step->name == NULL)
		(void) json_array_set_new(container, index, json_null());
	else
		(void) json_object_clear(value);
}

static void scrub_from(json_t *value, const ReceiveSteps *path, size_t at);

static void
scrub_each(json_t *value, const ReceiveSteps *path, size_t at)
{
	for (size_t i = 0; i < json_array_size(value); i++)
	{
		if (at + 1 == path->n)
			(void) json_array_set_new(value, i, json_null());
		else
			scrub_from(json_array_get(value, i), path, at + 1);
	}
}

/* What follows is every element of an array, and there is one value in its place. */
static bool
ends_in_single(json_t *value, const ReceiveSteps *path, size_t at)
{
	return at + 2 == path->n && path->list[at + 1].is_every &&
		   !json_is_array(received_step(value, &path->list[at]));
}

static void
scrub_from(json_t *value, const ReceiveSteps *path, size_t at)
{
	for (; at < path->n && value != NULL; at++)
	{
		if (path->list[at].is_every && json_is_array(value))
		{
			scrub_each(value, path, at);
			return;
		}
		/* some send a single one where others send an array */
		if (path->list[at].is_every && at + 1 < path->n)
			continue;
		if (at + 1 == path->n || ends_in_single(value, path, at))
			blank(value, &path->list[at]);
		value = received_step(value, &path->list[at]);
	}
}

/* Puts null in the place of every secret. */
void
receive_scrub(const ReceiveRules *rules, json_t *body)
{
	for (size_t i = 0; i < rules->nscrub; i++)
		scrub_from(body, &rules->scrub[i], 0);
}
