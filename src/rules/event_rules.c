/*
 * event_rules.c
 *		The rules of a definition's "receive", compiled: which element of a body is
 *		which event, and where its fields stand.
 */
#include "rules/compiler.h"

#include <string.h>

/* Of one list, and of rules in rules: more than any webhook needs. */
#define RULES_MAX 200
#define DEPTH_MAX 4

/* ---- fields ------------------------------------------------------------------------- */

static void
compile_mapping(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveMapping *mapping = to;

	mapping->from = path->key;
	mapping->to = "";
	compile_string(c, path, value, &mapping->to);
}

static void
compile_map(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveValue *v = to;

	v->map = compile_members(c, path, value, compile_mapping, sizeof(ReceiveMapping), &v->nmap);
	if (v->map != NULL && v->nmap == 0)
		compiler_problem(c, path, "is an empty object");
}

static const Member value_members[] = {
	{"at", compile_received_places, offsetof(ReceiveValue, places)},
	{"value", compile_string, offsetof(ReceiveValue, constant)},
	{"after", compile_string, offsetof(ReceiveValue, after)},
	{"until", compile_values, offsetof(ReceiveValue, until)},
	{"begin", compile_string, offsetof(ReceiveValue, begin)},
	{"end", compile_string, offsetof(ReceiveValue, end)},
	{"map", compile_map, 0},
	{"note", compile_documentation, 0},
	{NULL, NULL, 0}};

/* A path or several, or an object that says more. */
static void
compile_value(Compiler *c, const Path *path, json_t *value, ReceiveValue *to)
{
	if (!json_is_object(value))
		compile_received_places(c, path, value, &to->places);
	else
	{
		compile_object(c, path, value, value_members, to);
		if (to->places.n == 0 && to->constant == NULL)
			compiler_problem(c, path, "has neither a path nor a value");
	}
}

static ReceivedField
field_named(const char *name)
{
	ReceivedField field = 0;

	while (field < RECEIVED_FIELDS && strcmp(received_field_names[field], name) != 0)
		field++;
	return field;
}

static void
compile_field(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveValue *v = to;

	v->field = field_named(path->key);
	if (v->field == RECEIVED_FIELDS)
	{
		compiler_problem(c, path, "is no field of an event");
		v->field = RECEIVED_ID;
	}
	compile_value(c, path, value, v);
}

static void
compile_fields(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveValues *values = to;

	values->list = compile_members(c, path, value, compile_field, sizeof(ReceiveValue), &values->n);
}

/* ---- one rule ----------------------------------------------------------------------- */

static void
compile_kind(Compiler *c, const Path *path, json_t *value, void *to)
{
	const char *name = json_string_value(value);
	ReceivedKind kind = RECEIVED_MESSAGE;

	while (kind < RECEIVED_KINDS && (name == NULL || strcmp(received_kind_names[kind], name) != 0))
		kind++;
	if (kind == RECEIVED_KINDS)
		compiler_problem(c, path, "\"%.60s\" is no kind of event", name != NULL ? name : "");
	else
		*(ReceivedKind *) to = kind;
}

static void
compile_auto(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveRule *rule = to;

	rule->nauto = compile_count(value);
	rule->is_auto = arena_alloc(c->arena, sizeof(ReceiveConditions) * rule->nauto);
	for (size_t i = 0; i < rule->nauto; i++)
		compile_conditions(c, path, compile_element(value, i), &rule->is_auto[i]);
}

/* By itself, since it changes how many elements are around what it holds. */
static void
compile_later(Compiler *c, const Path *path, json_t *value, void *to)
{
	(void) c;
	(void) path;
	(void) value;
	(void) to;
}

static const Member rule_members[] = {{"each", compile_later, 0},
									  {"when", compile_conditions, offsetof(ReceiveRule, when)},
									  {"event", compile_kind, offsetof(ReceiveRule, kind)},
									  {"ignore", compile_string, offsetof(ReceiveRule, ignored)},
									  {"reject", compile_string, offsetof(ReceiveRule, rejected)},
									  {"events", compile_later, 0},
									  {"fields", compile_fields, offsetof(ReceiveRule, values)},
									  {"auto", compile_auto, 0},
									  {"note", compile_documentation, 0},
									  {NULL, NULL, 0}};

/* A word that stands for a state must be one of the kind's. */
static void
check_state(Compiler *c, const Path *path, const ReceiveRule *rule, const ReceiveValue *value)
{
	Path fields = {path, "fields"};
	Path at = {&fields, "state"};

	if (value->constant != NULL && received_state_named(rule->kind, value->constant) == STATE_NONE)
		compiler_problem(c, &at, "\"%.60s\" is no state of such an event", value->constant);
	for (size_t i = 0; i < value->nmap; i++)
		if (received_state_named(rule->kind, value->map[i].to) == STATE_NONE)
			compiler_problem(c, &at, "\"%.60s\" is no state of such an event", value->map[i].to);
}

static void
check_event(Compiler *c, const Path *path, const ReceiveRule *rule)
{
	unsigned long fields = 0;
	const char *lacks;

	for (size_t i = 0; i < rule->values.n; i++)
	{
		fields |= 1UL << rule->values.list[i].field;
		if (rule->values.list[i].field == RECEIVED_STATE)
			check_state(c, path, rule, &rule->values.list[i]);
	}
	lacks = received_lacks(rule->kind, fields);
	if (lacks != NULL)
		compiler_problem(c, path, "%s", lacks);
}

static void
compile_inside(Compiler *c, const Path *path, json_t *value, ReceiveRule *rule)
{
	Path at = {path, "events"};
	int depth = 0;

	for (const Path *p = path; p != NULL; p = p->up)
		depth += strcmp(p->key, "events") == 0 ? 1 : 0;
	if (depth >= DEPTH_MAX)
	{
		compiler_problem(c, &at, "is deeper than %d rules within rules", DEPTH_MAX);
		return;
	}
	rule->inside = arena_alloc(c->arena, sizeof(ReceiveList));
	compile_events(c, &at, value, rule->inside);
}

/* around: elements around those of the rule. */
static void
compile_rule(Compiler *c, const Path *path, json_t *value, ReceiveRule *rule, int around)
{
	json_t *inside = json_object_get(value, "events");
	int outer = c->around;
	int aims;

	c->around = around;
	compile_object(c, path, value, rule_members, rule);
	if (inside != NULL)
		compile_inside(c, path, inside, rule);
	c->around = outer;
	if (!json_is_object(value))
		return;
	aims = (inside != NULL ? 1 : 0) + (json_object_get(value, "event") != NULL ? 1 : 0) +
		   (json_object_get(value, "ignore") != NULL ? 1 : 0) +
		   (json_object_get(value, "reject") != NULL ? 1 : 0);
	if (aims != 1)
		compiler_problem(c, path, "has not one of event, ignore, reject and events");
	if (rule->kind != RECEIVED_UNKNOWN)
		check_event(c, path, rule);
	else if (rule->values.n > 0 || rule->nauto > 0)
		compiler_problem(c, path, "has fields, but is no event");
}

/* ---- all of them -------------------------------------------------------------------- */

static int
elements_on(const ReceiveSteps *each)
{
	int n = each->n > 0 && !each->list[each->n - 1].is_every ? 1 : 0;

	for (size_t i = 0; i < each->n; i++)
		n += each->list[i].is_every ? 1 : 0;
	return n;
}

/* "" is the element itself. */
static const char *
source_of(const json_t *rule)
{
	const char *each = json_string_value(json_object_get(rule, "each"));

	return each != NULL ? each : "";
}

static ReceiveGroup *
find_group(const ReceiveList *list, const char *source)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->groups[i].source, source) == 0)
			return &list->groups[i];
	return NULL;
}

/* A group for each path, in the order of their first rules. */
static void
make_groups(Compiler *c, const Path *path, json_t *value, ReceiveList *list)
{
	size_t n = json_array_size(value);

	list->groups = arena_alloc(c->arena, sizeof(ReceiveGroup) * n);
	for (size_t i = 0; i < n; i++)
	{
		json_t *rule = json_array_get(value, i);
		json_t *each = json_object_get(rule, "each");
		Path at = compile_path_of(c, path, i);
		Path at_each = {&at, "each"};
		ReceiveGroup *group = find_group(list, source_of(rule));

		if (group == NULL)
		{
			group = &list->groups[list->n++];
			group->source = arena_copy(c->arena, source_of(rule), strlen(source_of(rule)));
			if (each != NULL)
				compile_steps(c, &at_each, each, &group->each);
		}
		group->n++;
	}
	for (size_t i = 0; i < list->n; i++)
	{
		list->groups[i].rules = arena_alloc(c->arena, sizeof(ReceiveRule) * list->groups[i].n);
		list->groups[i].n = 0;
	}
}

/*
 * An element that all rules of its path leave alone is told as unknown, so a
 * body of which some rules ask for parts would be told as unknown and known.
 */
static void
check_groups(Compiler *c, const Path *path, const ReceiveList *list)
{
	if (list->n > 1 && find_group(list, "") != NULL)
		compiler_problem(c, path,
						 "has rules with \"each\" and rules without: those with it belong into "
						 "the \"events\" of one without");
}

void
compile_events(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveList *list = to;
	size_t n = json_array_size(value);

	if (n == 0 || n > RULES_MAX)
	{
		compiler_problem(c, path, "is not an array of 1 to %d rules", RULES_MAX);
		return;
	}
	make_groups(c, path, value, list);
	check_groups(c, path, list);
	for (size_t i = 0; i < n; i++)
	{
		json_t *rule = json_array_get(value, i);
		Path at = compile_path_of(c, path, i);
		ReceiveGroup *group = find_group(list, source_of(rule));

		compile_rule(c, &at, rule, &group->rules[group->n++],
					 c->around + elements_on(&group->each));
	}
}
