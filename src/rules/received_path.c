/*
 * received_path.c
 *		Going through a webhook's body.
 *
 * A step costs the same whatever the body holds, so that a rule asked of each of
 * a hundred thousand elements stays linear: a lookup by a member's value looks
 * at the first elements only.
 */
#include "rules/received_path.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A mail has fewer headers. */
#define LOOKED_AT 128

/* The first element whose member is a text, any case. */
static json_t *
find_element(json_t *array, const char *name, const char *value)
{
	size_t n = json_array_size(array) < LOOKED_AT ? json_array_size(array) : LOOKED_AT;

	for (size_t i = 0; i < n; i++)
	{
		json_t *element = json_array_get(array, i);
		const char *text = json_string_value(json_object_get(element, name));

		if (text != NULL && strcasecmp(text, value) == 0)
			return element;
	}
	return NULL;
}

/* NULL: it leads nowhere. */
json_t *
received_step(json_t *value, const ReceiveStep *step)
{
	if (!json_is_array(value))
		return json_object_get(value, step->key);
	if (step->is_only)
		return json_array_size(value) == 1 ? json_array_get(value, 0) : NULL;
	if (step->name != NULL)
		return find_element(value, step->name, step->value);
	return json_array_get(value, step->index);
}

/* NULL: nothing is there, or null. */
json_t *
received_at(const ReceivePlace *place, const ReceivedElement *element)
{
	json_t *value;

	for (int up = place->up; up != 0 && element->around != NULL; up--)
		element = element->around;
	value = element->value;
	for (size_t i = 0; i < place->steps.n && value != NULL; i++)
		value = received_step(value, &place->steps.list[i]);
	return json_is_null(value) ? NULL : value;
}

/* A string as it is, a number or a truth as JSON; false: it is an object, an array or nothing. */
bool
received_slice(const json_t *value, NumberText *number, Slice *s)
{
	if (json_is_string(value))
	{
		*s = (Slice){json_string_value(value), json_string_length(value)};
		return true;
	}
	if (json_is_integer(value))
		snprintf(number->text, sizeof(number->text), "%" JSON_INTEGER_FORMAT,
				 json_integer_value(value));
	else if (json_is_real(value))
		snprintf(number->text, sizeof(number->text), "%.17g", json_real_value(value));
	else if (json_is_boolean(value))
		strcpy(number->text, json_is_true(value) ? "true" : "false");
	else
		return false;
	*s = (Slice){number->text, strlen(number->text)};
	return true;
}

static bool
any_fits(const char *const *texts, Slice s, bool (*fits)(Slice s, const char *text))
{
	for (; *texts != NULL; texts++)
		if (fits(s, *texts))
			return true;
	return false;
}

/* Whether a text names another sender than the server's option, which may not be set. */
static bool
is_other(Slice s, const char *option)
{
	return s.len > 0 && option != NULL && *option != '\0' && !slice_is(s, option);
}

static bool
condition_holds(const ReceiveCondition *c, const ReceivedElement *element,
				const char *const *values)
{
	const json_t *value = received_at(&c->place, element);
	NumberText number;
	Slice s = {"", 0};
	bool is_text = received_slice(value, &number, &s);
	bool is_there = value != NULL && (!is_text || s.len > 0);

	if ((c->must_be_there && !is_there) || (c->must_be_absent && is_there))
		return false;
	if (c->other_than != 0 && (values == NULL || !is_other(s, values[c->other_than])))
		return false;
	return (c->values == NULL || (is_text && any_fits(c->values, s, slice_is))) &&
		   (c->begins == NULL || (is_text && any_fits(c->begins, s, slice_begins))) &&
		   (c->ends == NULL || (is_text && any_fits(c->ends, s, slice_ends)));
}

/* values: the server's options, by number; NULL: none is known. */
bool
conditions_hold(const ReceiveConditions *conditions, const ReceivedElement *element,
				const char *const *values)
{
	for (size_t i = 0; i < conditions->n; i++)
		if (!condition_holds(&conditions->list[i], element, values))
			return false;
	return true;
}

/*
 * Of which option, by its number, conditions ask whether a text is another; what stands
 * there, "" where that is longer. 0: of none.
 */
int
conditions_other(const ReceiveConditions *conditions, const ReceivedElement *element, char *text,
				 size_t size)
{
	for (size_t i = 0; i < conditions->n; i++)
	{
		const ReceiveCondition *c = &conditions->list[i];
		NumberText number;
		Slice s = {"", 0};

		if (c->other_than == 0)
			continue;
		(void) received_slice(received_at(&c->place, element), &number, &s);
		if (s.len >= size)
			s.len = 0;
		memcpy(text, s.at, s.len);
		text[s.len] = '\0';
		return c->other_than;
	}
	return 0;
}
