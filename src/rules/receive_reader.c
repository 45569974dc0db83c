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

#include "rules/received_path.h"
#include "rules/text.h"

typedef struct Reader
{
	const ReceiveRules *rules;
	ReceiveCallback callback;
	void *arg;
	bool has_ended; /* by the callback, or memory is short */
	char *texts;	/* of the event that is made */
	size_t used;
	size_t size;
} Reader;

/* ---- texts ----------------------------------------------------------------------------------- */

/* Room for so many more bytes. */
static bool
make_room(Reader *r, size_t len)
{
	size_t size = r->size < 4096 ? 4096 : r->size;
	char *texts;

	while (size < r->used + len)
		size *= 2;
	if (size == r->size)
		return true;
	texts = realloc(r->texts, size);
	if (texts == NULL)
	{
		r->has_ended = true;
		return false;
	}
	r->texts = texts;
	r->size = size;
	return true;
}

static bool
is_control(char c)
{
	return (unsigned char) c < 0x20 || c == 0x7F;
}

/*
 * Adds a text, cut at a character's edge: what is no UTF-8 and what is no
 * character becomes a blank, but lines stay lines where there can be some.
 */
static bool
add_text(Reader *r, Slice s, size_t most, bool has_lines)
{
	char *to;
	size_t n = 0;

	if (!make_room(r, (s.len < most ? s.len : most) + 1))
		return false;
	to = r->texts + r->used;
	while (s.len > 0)
	{
		size_t len = text_character(s.at, s.len);
		bool is_blank =
			len == 0 || (is_control(*s.at) && (!has_lines || (*s.at != '\n' && *s.at != '\t')));

		len = len > 0 ? len : 1;
		if (n + len > most)
			break;
		memcpy(to + n, s.at, len);
		if (is_blank)
			to[n] = ' ';
		n += len;
		s.at += len;
		s.len -= len;
	}
	to[n] = '\0';
	r->used += n + 1;
	return n > 0;
}

/* ---- one field ---------------------------------------------------------------------------------
 */

static bool
is_mapped(const ReceiveValue *v, Slice *s)
{
	if (v->nmap == 0)
		return true;
	for (size_t i = 0; i < v->nmap; i++)
		if (slice_is(*s, v->map[i].from))
		{
			*s = (Slice){v->map[i].to, strlen(v->map[i].to)};
			return true;
		}
	return false;
}

/* Whoever it is, by the shape. */
static bool
identity(Slice s, bool is_international, char *to)
{
	return received_lid(s, to) || received_phone(s, is_international, to) || received_email(s, to);
}

/* As a mail's header has a name. */
static Slice
without_quotes(Slice s)
{
	return s.len > 1 && s.at[0] == '"' && s.at[s.len - 1] == '"' ? (Slice){s.at + 1, s.len - 2} : s;
}

/* Adds a text as its field has it, if it fits. */
static bool
add_field(Reader *r, const ReceiveValue *v, ReceivedKind kind, Slice s, bool is_own)
{
	char address[RECEIVED_ADDRESS_SIZE];
	bool is_international = r->rules->is_international;
	bool is_known = false;

	switch (v->field)
	{
		case RECEIVED_TEXT:
			return add_text(r, s, is_own ? RECEIVED_TEXT_MAX : RECEIVED_FIELD_MAX, true);
		case RECEIVED_STATE:
			if (s.len >= sizeof(address))
				return false;
			memcpy(address, s.at, s.len);
			address[s.len] = '\0';
			is_known = received_state_named(kind, address) != STATE_NONE;
			break;
		case RECEIVED_PHONE:
			is_known = received_phone(s, is_international, address);
			break;
		case RECEIVED_EMAIL:
			is_known = received_email(s, address);
			break;
		case RECEIVED_LID:
			is_known = received_lid(s, address);
			break;
		case RECEIVED_OLD:
		case RECEIVED_NEW:
			if (!identity(s, is_international, address))
				return add_text(r, s, RECEIVED_FIELD_MAX, false);
			is_known = true;
			break;
		case RECEIVED_NAME:
			return add_text(r, without_quotes(s), RECEIVED_FIELD_MAX, false);
		default:
			return add_text(r, s, RECEIVED_FIELD_MAX, false);
	}
	return is_known && add_text(r, (Slice){address, strlen(address)}, sizeof(address), false);
}

static bool
has(const char *affix, Slice s, bool (*fits)(Slice s, const char *text))
{
	return affix == NULL || fits(s, affix);
}

/* The same with what it must begin and end with. */
static bool
add_whole(Reader *r, const ReceiveValue *v, ReceivedKind kind, Slice s, bool is_own)
{
	char whole[RECEIVED_FIELD_MAX + 1];
	const char *begin = has(v->begin, s, slice_begins) ? "" : v->begin;
	const char *end = has(v->end, s, slice_ends) ? "" : v->end;
	size_t nbegin = strlen(begin);
	size_t nend = strlen(end);

	if ((nbegin == 0 && nend == 0) || nbegin + s.len + nend > RECEIVED_FIELD_MAX)
		return add_field(r, v, kind, s, is_own);
	memcpy(whole, begin, nbegin);
	memcpy(whole + nbegin, s.at, s.len);
	memcpy(whole + nbegin + s.len, end, nend);
	return add_field(r, v, kind, (Slice){whole, nbegin + s.len + nend}, is_own);
}

/* What stands at a place, as the field's; false: nothing does that fits. */
static bool
add_from(Reader *r, const ReceiveValue *v, ReceivedKind kind, const ReceivePlace *place,
		 const ReceivedElement *element)
{
	NumberText number;
	Slice s;

	if (!received_slice(received_at(place, element), &number, &s))
		return false;
	if (place->up != 0 && s.len > RECEIVED_FIELD_MAX)
		s.len = RECEIVED_FIELD_MAX;
	if (v->after != NULL)
		s = slice_after(s, v->after);
	for (const char *const *mark = v->until; mark != NULL && *mark != NULL; mark++)
		s = slice_until(s, *mark);
	s = slice_trimmed(s);
	return s.len > 0 && is_mapped(v, &s) && add_whole(r, v, kind, s, place->up == 0);
}

static bool
add_value(Reader *r, const ReceiveValue *v, ReceivedKind kind, const ReceivedElement *element)
{
	for (size_t i = 0; i < v->places.n; i++)
	{
		size_t used = r->used;

		if (add_from(r, v, kind, &v->places.list[i], element))
			return true;
		r->used = used;
	}
	return v->constant != NULL &&
		   add_field(r, v, kind, (Slice){v->constant, strlen(v->constant)}, true);
}

/* ---- one event ----------------------------------------------------------------------------------
 */

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
is_auto(const ReceiveRule *rule, const ReceivedElement *element)
{
	for (size_t i = 0; i < rule->nauto; i++)
		if (conditions_hold(&rule->is_auto[i], element))
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

	r->used = 0;
	for (size_t i = 0; i < rule->values.n && !r->has_ended; i++)
	{
		const ReceiveValue *value = &rule->values.list[i];
		size_t start = r->used;

		if (!add_value(r, value, rule->kind, element))
			continue;
		at[value->field] = start;
		fields |= 1UL << value->field;
	}
	for (int field = 0; field < RECEIVED_FIELDS; field++)
		if (fields & (1UL << field))
			event->fields[field] = r->texts + at[field];
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
	event.is_auto = is_auto(rule, element);
	tell(r, &event);
}

/* ---- all of them
 * ---------------------------------------------------------------------------------- */

static bool read_list(Reader *r, const ReceiveList *list, const ReceivedElement *element);

static void
apply(Reader *r, const ReceiveGroup *group, const ReceivedElement *element)
{
	const ReceiveRule *rule = group->rules;
	const ReceiveRule *end = rule + group->n;

	while (rule < end && !conditions_hold(&rule->when, element))
		rule++;
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
 * when the callback wanted no more, or memory was short.
 */
bool
receive_read(const ReceiveRules *rules, json_t *body, ReceiveCallback callback, void *arg)
{
	Reader r = {.rules = rules, .callback = callback, .arg = arg};
	ReceivedElement whole = {NULL, body};

	if (!read_list(&r, &rules->events, &whole))
		tell_unknown(&r, &whole, "holds nothing that a rule asks for");
	free(r.texts);
	return !r.has_ended;
}
