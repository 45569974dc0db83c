/*
 * received_places.c
 *		Where in a webhook's body, and whether: the paths and conditions of a
 *		definition's "receive", compiled.
 */
#include "rules/compiler.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Arrays in arrays that one path leads through. */
#define EVERY_MAX 8

/* ---- paths -------------------------------------------------------------------------- */

/* KEY=VALUE; what has no "=" is only a name. */
static void
cut_lookup(Compiler *c, ReceiveStep *step)
{
	const char *equals = strchr(step->key, '=');

	if (equals == NULL || equals == step->key)
		return;
	step->name = arena_copy(c->arena, step->key, equals - step->key);
	step->value = equals + 1;
}

static size_t
index_of(const char *key)
{
	char *end;
	size_t index = isdigit((unsigned char) *key) ? strtoul(key, &end, 10) : SIZE_MAX;

	return index != SIZE_MAX && *end == '\0' ? index : SIZE_MAX;
}

static void
fill_steps(Compiler *c, const char *pointer, ReceiveSteps *to)
{
	const char *const *keys = compiler_cut_pointer(c, pointer);

	while (keys[to->n] != NULL)
		to->n++;
	to->list = arena_alloc(c->arena, sizeof(ReceiveStep) * to->n);
	for (size_t i = 0; i < to->n; i++)
	{
		ReceiveStep *step = &to->list[i];

		step->key = keys[i];
		step->index = index_of(keys[i]);
		step->is_every = strcmp(keys[i], "*") == 0;
		step->is_only = strcmp(keys[i], "only") == 0;
		cut_lookup(c, step);
	}
}

/* A path that may go through every element, so far that reading may recurse for each "*". */
void
compile_steps(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveSteps *steps = to;
	const char *text = NULL;
	int n = 0;

	compile_string(c, path, value, &text);
	if (text == NULL)
		return;
	if (compiler_is_pointer(text))
		fill_steps(c, text, steps);
	else
		compiler_problem(c, path, "\"%.100s\" is no JSON pointer", text);
	for (size_t i = 0; i < steps->n; i++)
		n += steps->list[i].is_every ? 1 : 0;
	if (n > EVERY_MAX)
		compiler_problem(c, path, "goes through every element %d times; %d will do", n, EVERY_MAX);
}

/* How far a place is away: "^" for each element around, "$" for the whole body, "." for none. */
static const char *
read_origin(const char *text, int *up)
{
	*up = 0;
	if (*text == '$')
	{
		*up = -1;
		return text + 1;
	}
	if (*text == '.')
		return text + 1;
	for (; *text == '^'; text++)
		(*up)++;
	return text;
}

static void
fill_place(Compiler *c, const Path *path, const char *text, ReceivePlace *to)
{
	const char *pointer = read_origin(text, &to->up);

	if (*text == '\0' || (*pointer != '\0' && !compiler_is_pointer(pointer)))
	{
		compiler_problem(c, path, "\"%.100s\" is no JSON pointer, with or without ^ or $ before it",
						 text);
		return;
	}
	if (to->up > c->around)
		compiler_problem(c, path, "goes up %d elements, where %d are around", to->up, c->around);
	fill_steps(c, pointer, &to->steps);
	for (size_t i = 0; i < to->steps.n; i++)
		if (to->steps.list[i].is_every)
			compiler_problem(c, path, "goes through every element, which only \"each\" can");
}

static void
compile_received_place(Compiler *c, const Path *path, json_t *value, void *to)
{
	const char *text = NULL;

	compile_string(c, path, value, &text);
	if (text != NULL)
		fill_place(c, path, text, to);
}

void
compile_received_places(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceivePlaces *places = to;

	places->list =
		compile_array(c, path, value, compile_received_place, sizeof(ReceivePlace), &places->n);
}

/* ---- conditions --------------------------------------------------------------------- */

/* A single value, or an array of such, as texts. */
void
compile_values(Compiler *c, const Path *path, json_t *value, void *to)
{
	size_t n = compile_count(value);
	const char **texts = arena_alloc(c->arena, sizeof(char *) * (n + 1));

	if (n == 0)
		compiler_problem(c, path, "is an empty array");
	for (size_t i = 0; i < n; i++)
	{
		json_t *element = compile_element(value, i);

		texts[i] = compiler_text_of(c, element);
		if (json_is_object(element) || json_is_array(element) || json_is_null(element))
			compiler_problem(c, path, "is neither a single value nor an array of such");
	}
	*(const char *const **) to = texts;
}

static void
compile_presence(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveCondition *condition = to;

	if (!json_is_boolean(value))
		compiler_problem(c, path, "is neither true nor false");
	condition->must_be_there = json_is_true(value);
	condition->must_be_absent = json_is_false(value);
}

/* By its number among Values. */
static void
compile_other_than(Compiler *c, const Path *path, json_t *value, void *to)
{
	const DefinitionOptions *options = &c->d->options;
	const char *name = json_string_value(value);

	for (size_t i = 0; i < options->n; i++)
		if (name != NULL && strcmp(options->list[i].name, name) == 0)
		{
			*(int *) to = (int) (FIELD_COUNT + i);
			return;
		}
	compiler_problem(c, path, "\"%.60s\" is no option of this definition",
					 name != NULL ? name : "");
}

static const Member condition_members[] = {
	{"is", compile_values, offsetof(ReceiveCondition, values)},
	{"begins", compile_values, offsetof(ReceiveCondition, begins)},
	{"ends", compile_values, offsetof(ReceiveCondition, ends)},
	{"is_not_option", compile_other_than, offsetof(ReceiveCondition, other_than)},
	{"present", compile_presence, 0},
	{NULL, NULL, 0}};

static void
compile_condition(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveCondition *condition = to;

	fill_place(c, path, path->key, &condition->place);
	if (!json_is_object(value))
		compile_values(c, path, value, &condition->values);
	else
	{
		compile_object(c, path, value, condition_members, condition);
		if (json_object_size(value) == 0)
			compiler_problem(c, path, "asks for nothing");
	}
}

void
compile_conditions(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveConditions *conditions = to;

	conditions->list = compile_members(c, path, value, compile_condition, sizeof(ReceiveCondition),
									   &conditions->n);
}
