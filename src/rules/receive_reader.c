/*
 * receive_reader.c
 *		What a webhook's call tells: its body, rule by rule.
 *
 * Elements are visited in the order of the rules' paths, each once per path, and
 * asked the rules of that path until one holds: linear in the body, since the
 * number of rules, the steps of a path and what a step looks at are the
 * definition's. It recurses as deep as rules stand in rules and paths have "*",
 * never as deep as the body. A field that is taken from around an element is
 * short (RECEIVED_FIELD_MAX), or a large text there would be copied for each.
 */
#include "rules/receive_reader.h"

#include <stdlib.h>
#include <string.h>

#include "rules/received_field.h"

/* A longer name of a sender is no server's. */
#define SENDER_MAX 256

typedef struct Reader
{
	const ReceiveRules *rules;
	const char *const *values;
	const ReceiveOwners *owners; /* NULL: none is known */
	bool is_another;			 /* whose element is read */
	ReceiveCallback callback;
	void *arg;
	bool has_ended;		 /* by the callback, or memory is short */
	ReceivedTexts texts; /* of the event that is made */
} Reader;

/* ---- one event ---------------------------------------------------------------------- */

static void
tell(Reader *r, const ReceivedEvent *event)
{
	if (!r->has_ended && !r->callback(r->arg, event))
		r->has_ended = true;
}

static void
tell_unknown(Reader *r, const ReceivedElement *element, const char *reason)
{
	ReceivedEvent event = {.kind = RECEIVED_UNKNOWN, .reason = reason, .element = element->value};

	tell(r, &event);
}

static bool
is_auto(const Reader *r, const ReceiveRule *rule, const ReceivedElement *element)
{
	for (size_t i = 0; i < rule->nauto; i++)
		if (conditions_hold(&rule->is_auto[i], element, r->values))
			return true;
	return false;
}

/* The texts grow while they are made, so where they stand is known at the end. */
static unsigned long
read_fields(Reader *r, const ReceiveRule *rule, const ReceivedElement *element,
			ReceivedEvent *event)
{
	size_t at[RECEIVED_FIELDS];
	unsigned long fields = 0;

	r->texts.used = 0;
	for (size_t i = 0; i < rule->values.n; i++)
	{
		const ReceiveValue *value = &rule->values.list[i];
		size_t start = r->texts.used;

		if (!received_add(&r->texts, value, rule->kind, element))
			continue;
		at[value->field] = start;
		fields |= 1UL << value->field;
	}
	for (int field = 0; field < RECEIVED_FIELDS; field++)
		if (fields & (1UL << field))
			event->fields[field] = r->texts.at + at[field];
	if (r->texts.is_short)
		r->has_ended = true;
	return fields;
}

static void
tell_event(Reader *r, const ReceiveRule *rule, const ReceivedElement *element)
{
	ReceivedEvent event = {.kind = rule->kind, .element = element->value};
	unsigned long fields = read_fields(r, rule, element, &event);
	const char *lacks = received_lacks(rule->kind, fields);
	const char *time = event.fields[RECEIVED_TIME];

	if (lacks != NULL)
	{
		tell_unknown(r, element, lacks);
		return;
	}
	if (event.fields[RECEIVED_STATE] != NULL)
		event.state = received_state_named(rule->kind, event.fields[RECEIVED_STATE]);
	event.has_time = time != NULL && received_time((Slice){time, strlen(time)}, &event.time_us);
	event.is_auto = is_auto(r, rule, element);
	tell(r, &event);
}

/* ---- all of them -------------------------------------------------------------------- */

static bool read_list(Reader *r, const ReceiveList *list, const ReceivedElement *element);

static void apply(Reader *r, const ReceiveGroup *group, const ReceivedElement *element);

static ReceiveOwner
find_owner(const Reader *r, const ReceiveRule *rule, const ReceivedElement *element,
		   const char *const **values)
{
	char sender[SENDER_MAX];
	int option = conditions_other(&rule->when, element, sender, sizeof(sender));

	if (option == 0 || r->owners == NULL || r->is_another)
		return OWNER_UNPROVEN;
	return r->owners->hand_over(r->arg, option, sender, values);
}

/* An element of another sender's is read for that one; false: it is this server's. */
static bool
is_of_another(Reader *r, const ReceiveGroup *group, const ReceiveRule *rule,
			  const ReceivedElement *element)
{
	const char *const *own = r->values;
	const char *const *values = NULL;
	ReceiveOwner owner = find_owner(r, rule, element, &values);

	if (owner == OWNER_UNPROVEN)
		tell_unknown(r, element, rule->rejected);
	if (owner != OWNER_ANOTHER)
		return owner == OWNER_UNPROVEN;
	r->values = values;
	r->is_another = true;
	apply(r, group, element);
	r->values = own;
	r->is_another = false;
	r->owners->take_back(r->arg);
	return true;
}

static void
apply(Reader *r, const ReceiveGroup *group, const ReceivedElement *element)
{
	const ReceiveRule *rule = group->rules;
	const ReceiveRule *end = rule + group->n;

	for (; rule < end; rule++)
	{
		if (!conditions_hold(&rule->when, element, r->values))
			continue;
		if (rule->rejected == NULL)
			break;
		if (is_of_another(r, group, rule, element))
			return;
	}
	if (rule == end)
		tell_unknown(r, element, "no rule knows it");
	else if (rule->ignored != NULL)
	{
		ReceivedEvent event = {
			.kind = RECEIVED_IGNORED, .reason = rule->ignored, .element = element->value};

		tell(r, &event);
	}
	else if (rule->inside == NULL)
		tell_event(r, rule, element);
	else if (!read_list(r, rule->inside, element))
		tell_unknown(r, element, "holds nothing that a rule asks for");
}

static bool visit(Reader *r, const ReceiveGroup *group, size_t step, json_t *value,
				  const ReceivedElement *around);

/* One value stands for an array of one: some send either. */
static bool
visit_each(Reader *r, const ReceiveGroup *group, size_t step, json_t *value,
		   const ReceivedElement *around)
{
	size_t n = json_is_array(value) ? json_array_size(value) : 1;
	bool found = false;

	for (size_t i = 0; i < n && !r->has_ended; i++)
	{
		ReceivedElement element = {around, json_is_array(value) ? json_array_get(value, i) : value};

		if (step < group->each.n)
			found |= visit(r, group, step, element.value, &element);
		else
		{
			apply(r, group, &element);
			found = true;
		}
	}
	return found;
}

/* From a step of the group's path on; false: it leads to no element. */
static bool
visit(Reader *r, const ReceiveGroup *group, size_t step, json_t *value,
	  const ReceivedElement *around)
{
	ReceivedElement element = {around, value};

	for (; step < group->each.n; step++)
	{
		if (value == NULL || json_is_null(value))
			return false;
		if (group->each.list[step].is_every)
			return visit_each(r, group, step + 1, value, around);
		value = received_step(value, &group->each.list[step]);
	}
	if (value == NULL || json_is_null(value))
		return false;
	element.value = value;
	apply(r, group, group->each.n > 0 ? &element : around);
	return true;
}

/* Whether there was an element to ask the rules about. */
static bool
read_list(Reader *r, const ReceiveList *list, const ReceivedElement *element)
{
	bool found = false;

	for (size_t i = 0; i < list->n && !r->has_ended; i++)
		found |= visit(r, &list->groups[i], 0, element->value, element);
	return found;
}

/*
 * Tells the callback all that a body tells, also what is not understood; false
 * when the callback wanted no more, or memory was short. The values are the server's,
 * by number, for rules that ask for its options; NULL: none is known. The owners are
 * asked with the callback's argument, and not where they are NULL.
 */
bool
receive_read(const ReceiveRules *rules, const char *const *values, const ReceiveOwners *owners,
			 json_t *body, ReceiveCallback callback, void *arg)
{
	Reader r = {.rules = rules,
				.values = values,
				.owners = owners,
				.callback = callback,
				.arg = arg,
				.texts = {.is_international = rules->is_international}};
	ReceivedElement whole = {NULL, body};

	if (!read_list(&r, &rules->events, &whole))
		tell_unknown(&r, &whole, "holds nothing that a rule asks for");
	free(r.texts.at);
	return !r.has_ended;
}
