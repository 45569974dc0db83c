/*
 * kept_json.c
 *		JSON that is kept: an event as it was read, to be acted upon later, and parts
 *		of a body.
 */
#include "postgres.h"

#include <jansson.h>

#include "utils/memutils.h"

#include "inbound/rejected.h"

static void
set_text(json_t *object, const char *name, const char *text)
{
	(void) json_object_set_new(object, name, json_string(text));
}

/* In the current memory context; NULL where memory is short. */
char *
cadence_event_json(const ReceivedEvent *event)
{
	/* not by json_object(), which is the name of a function of the server's, too */
	json_t *object = json_pack("{}");
	char *text;
	char *copy;

	set_text(object, "event", received_kind_names[event->kind]);
	if (event->state != STATE_NONE)
		set_text(object, "told", received_state_names[event->state]);
	if (event->has_time)
		(void) json_object_set_new(object, "time_us", json_integer(event->time_us));
	if (event->is_auto)
		(void) json_object_set_new(object, "auto", json_true());
	for (int i = 0; i < RECEIVED_FIELDS; i++)
		if (event->fields[i] != NULL)
			set_text(object, received_field_names[i], event->fields[i]);
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	copy = text != NULL ? MemoryContextAllocExtended(CurrentMemoryContext, strlen(text) + 1,
													 MCXT_ALLOC_NO_OOM)
						: NULL;
	if (copy != NULL)
		strcpy(copy, text);
	free(text);
	return copy;
}

static const char *
text_of(json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text != NULL && *text != '\0' ? text : NULL;
}

/* Its texts are the object's; false: it is none that could have been read. */
bool
cadence_event_from_json(json_t *json, ReceivedEvent *event)
{
	const char *kind = text_of(json, "event");
	const char *state = text_of(json, "told");
	json_t *time = json_object_get(json, "time_us");
	unsigned long fields = 0;

	*event = (ReceivedEvent){.kind = RECEIVED_UNKNOWN, .element = json};
	for (int i = 0; i < RECEIVED_KINDS && kind != NULL; i++)
		if (received_kind_names[i] != NULL && strcmp(received_kind_names[i], kind) == 0)
			event->kind = i;
	if (event->kind == RECEIVED_UNKNOWN)
		return false;
	for (int i = 0; i < RECEIVED_FIELDS; i++)
		if ((event->fields[i] = text_of(json, received_field_names[i])) != NULL)
			fields |= 1UL << i;
	event->state = state != NULL ? received_state_named(event->kind, state) : STATE_NONE;
	event->has_time = json_is_integer(time);
	event->time_us = json_integer_value(time);
	event->is_auto = json_is_true(json_object_get(json, "auto"));
	return received_lacks(event->kind, fields) == NULL;
}

/* A value as text, in the current memory context; NULL where that is longer. */
char *
cadence_json_text(const json_t *json, size_t max, size_t *len)
{
	char *text = palloc(max + 1);
	char *exact = NULL;

	*len = json_dumpb(json, text, max, JSON_ENCODE_ANY | JSON_COMPACT);
	if (*len > 0 && *len <= max)
		exact = pnstrdup(text, *len);
	pfree(text);
	return exact;
}

static void
free_json(void *json)
{
	json_decref(json);
}

/*
 * What was kept as JSON, for as long as the current memory context; NULL: it is
 * none, or a text, which is what is kept of a body that could not be read.
 */
json_t *
cadence_json_load(const char *text)
{
	MemoryContextCallback *callback = palloc0(sizeof(*callback));
	json_t *json = json_loads(text, 0, NULL);

	callback->func = free_json;
	callback->arg = json;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return json;
}
