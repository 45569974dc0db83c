/*
 * answer_rules.c
 *		A definition's "response" and "classes", compiled.
 */
#include "rules/compiler.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A string as it is, any other value as JSON. */
const char *
compiler_text_of(Compiler *c, const json_t *value)
{
	char *text;
	char *copy;

	if (json_is_string(value))
		return arena_copy(c->arena, json_string_value(value), json_string_length(value));
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	copy = arena_copy(c->arena, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
	free(text);
	return copy;
}

/* "200-299", and "2xx" for the same; anything else is compared as a text. */
static void
read_range(AnswerMatch *match)
{
	char *end;
	long first = strtol(match->text, &end, 10);

	if (end != match->text && *end == '-' && isdigit((unsigned char) end[1]))
	{
		match->first = first;
		match->last = strtol(end + 1, &end, 10);
		match->is_range = *end == '\0' && match->first <= match->last;
	}
	else if (isdigit((unsigned char) match->text[0]) && strcmp(match->text + 1, "xx") == 0)
	{
		match->first = (match->text[0] - '0') * 100L;
		match->last = match->first + 99;
		match->is_range = true;
	}
}

static void
compile_match(Compiler *c, const Path *path, json_t *value, void *to)
{
	AnswerMatch *match = to;

	if (json_is_object(value) || json_is_array(value))
		compiler_problem(c, path, "is neither a single value nor an array of such");
	match->text = compiler_text_of(c, value);
	if (match->text[0] == '\0')
		compiler_problem(c, path, "is an empty text");
	match->is_string = json_is_string(value);
	read_range(match);
}

static void
compile_matches(Compiler *c, const Path *path, json_t *value, void *to)
{
	AnswerMatches *matches = to;

	matches->list = compile_array(c, path, value, compile_match, sizeof(AnswerMatch), &matches->n);
}

static void
compile_status(Compiler *c, const Path *path, json_t *value, void *to)
{
	AnswerMatches *matches = to;

	compile_matches(c, path, value, to);
	for (size_t i = 0; i < matches->n; i++)
	{
		AnswerMatch *m = &matches->list[i];

		if (!m->is_range)
			m->first = m->last = strtol(m->text, NULL, 10);
		m->is_range = true;
		if (m->first < 100 || m->last > 999)
			compiler_problem(c, path, "is neither a status such as 404 nor \"4xx\"");
	}
}

static void
compile_one_place(Compiler *c, const Path *path, json_t *value, void *to)
{
	AnswerPlace *place = arena_alloc(c->arena, sizeof(*place));

	compile_place(c, path, value, place);
	*(AnswerPlace **) to = place;
}

/* ---- response ----------------------------------------------------------------------- */

static const Member success_members[] = {
	{"status", compile_status, offsetof(Definition, success_status)},
	{"pointer", compile_one_place, offsetof(Definition, success_place)},
	{"value", compile_matches, offsetof(Definition, success_value)},
	{"optional", compile_bool, offsetof(Definition, success_is_optional)},
	{"note", compile_documentation, 0},
	{NULL, NULL, 0}};

static void
compile_success(Compiler *c, const Path *path, json_t *value, void *to)
{
	Definition *d = to;

	compile_object(c, path, value, success_members, d);
	if (d->success_value.n > 0 && d->success_place == NULL)
		compiler_problem(c, path, "has a value, but no pointer to it");
}

static const Member response_members[] = {{"success", compile_success, 0},
										  {"id", compile_places, offsetof(Definition, id)},
										  {"code", compile_places, offsetof(Definition, code)},
										  {"error", compile_places, offsetof(Definition, error)},
										  {"wait", compile_places, offsetof(Definition, wait)},
										  {"state", compile_places, offsetof(Definition, state)},
										  {"note", compile_documentation, 0},
										  {NULL, NULL, 0}};

void
compile_response(Compiler *c, const Path *path, json_t *value, void *to)
{
	compile_object(c, path, value, response_members, to);
}

/* ---- classes -------------------------------------------------------------------------- */

static void
compile_class(Compiler *c, const Path *path, json_t *value, void *to)
{
	const char *name = json_string_value(value);
	CadenceClass class = name != NULL ? cadence_class_named(name) : CLASS_COUNT;

	if (class == CLASS_COUNT)
		compiler_problem(c, path, "\"%.60s\" is no class", name != NULL ? name : "");
	*(CadenceClass *) to = class;
}

static void
compile_scope(Compiler *c, const Path *path, json_t *value, void *to)
{
	const char *name = json_string_value(value);

	if (name != NULL && strcmp(name, "first_touches") == 0)
		*(RuleScope *) to = SCOPE_FIRST_TOUCHES;
	else if (name != NULL && strcmp(name, "recipient") == 0)
		*(RuleScope *) to = SCOPE_RECIPIENT;
	else
		compiler_problem(c, path, "is neither \"first_touches\" nor \"recipient\"");
}

static const Member rule_members[] = {
	{"status", compile_status, offsetof(ClassRule, status)},
	{"code", compile_matches, offsetof(ClassRule, code)},
	{"text", compile_matches, offsetof(ClassRule, text)},
	{"channel", compile_matches, offsetof(ClassRule, channel)},
	{"category", compile_matches, offsetof(ClassRule, category)},
	{"recipient", compile_matches, offsetof(ClassRule, recipient)},
	{"pointer", compile_one_place, offsetof(ClassRule, place)},
	{"value", compile_matches, offsetof(ClassRule, value)},
	{"times", compile_count_of, offsetof(ClassRule, times)},
	{"wait", compile_duration, offsetof(ClassRule, wait_s)},
	{"class", compile_class, offsetof(ClassRule, class)},
	{"scope", compile_scope, offsetof(ClassRule, scope)},
	{"note", compile_documentation, 0},
	{NULL, NULL, 0}};

static void
compile_rule(Compiler *c, const Path *path, json_t *value, ClassRule *rule)
{
	compile_object(c, path, value, rule_members, rule);
	if (!json_is_object(value))
		return;
	if (json_object_get(value, "class") == NULL)
		compiler_problem(c, path, "has no class");
	if (rule->scope == SCOPE_FIRST_TOUCHES && rule->class != CLASS_LATER)
		compiler_problem(c, path, "has a scope, which only class \"later\" takes");
	if (rule->scope == SCOPE_RECIPIENT && rule->class != CLASS_SLOW_DOWN)
		compiler_problem(c, path, "has a scope, which only class \"slow_down\" takes");
	if (rule->value.n > 0 && rule->place == NULL)
		compiler_problem(c, path, "has a value, but no pointer to it");
	if (rule->code.n > 0 && c->d->code.n == 0 && !c->d->is_smtp)
		compiler_problem(c, path, "asks for a code, but response has no pointer to one");
	if (rule->status.n + rule->code.n + rule->text.n == 0 && rule->place == NULL)
		compiler_problem(c, path, "holds for every answer: no rule after it would be asked");
}

/* After "response", whose code they compare. */
void
compile_classes(Compiler *c, const Path *path, json_t *value, void *to)
{
	Definition *d = to;

	if (!json_is_array(value))
	{
		compiler_problem(c, path, "is not an array");
		return;
	}
	d->rules = arena_alloc(c->arena, sizeof(ClassRule) * json_array_size(value));
	for (size_t i = 0; i < json_array_size(value); i++)
	{
		Path at = compile_path_of(c, path, i);

		compile_rule(c, &at, json_array_get(value, i), &d->rules[d->nrules++]);
	}
}
