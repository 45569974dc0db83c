/*
 * receive_tools.h
 *		What tests of webhooks share: all that a body tells, as one text.
 */
#ifndef CADENCE_RECEIVE_TOOLS_H
#define CADENCE_RECEIVE_TOOLS_H

#include "definition_tools.h"
#include "rules/receive_reader.h"
#include "rules/received_value.h"

#define TOLD_MAX 65536

/* Events so far: "kind field=value … ; kind …". */
typedef struct Told
{
	char text[TOLD_MAX];
	int n;
	int most; /* after which no more are wanted; 0: all */
} Told;

static inline void
told_add(Told *told, const char *name, const char *value)
{
	size_t len = strlen(told->text);

	snprintf(told->text + len, sizeof(told->text) - len, "%s%s", name, value);
}

static inline bool
told_event(void *arg, const ReceivedEvent *event)
{
	Told *told = arg;
	const char *kind = event->kind == RECEIVED_UNKNOWN	 ? "unknown"
					   : event->kind == RECEIVED_IGNORED ? "ignored"
														 : received_kind_names[event->kind];
	char number[32];

	told_add(told, told->n++ > 0 ? "; " : "", kind);
	if (event->reason != NULL)
		told_add(told, ": ", event->reason);
	for (int i = 0; i < RECEIVED_FIELDS; i++)
		if (event->fields[i] != NULL && i != RECEIVED_TIME)
		{
			told_add(told, " ", received_field_names[i]);
			told_add(told, "=", event->fields[i]);
		}
	snprintf(number, sizeof(number), "%lld", (long long) event->time_us);
	if (event->has_time)
		told_add(told, " time=", number);
	if (event->is_auto)
		told_add(told, " auto", "");
	return told->n != told->most;
}

/*
 * What a body tells a server that has these values, by a definition; in a buffer that
 * the next call writes again.
 */
static inline const char *
what_is_told_to(const Definition *d, const char *const *values, const char *body, size_t len)
{
	static Told told;
	json_t *json = receive_parse(d->receive, body, len);

	memset(&told, 0, sizeof(told));
	if (json == NULL)
		return "no body";
	receive_scrub(d->receive, json);
	if (!receive_read(d->receive, values, NULL, json, told_event, &told))
		told_add(&told, "; ended", "");
	json_decref(json);
	return told.text;
}

static inline const char *
what_is_told(const Definition *d, const char *body, size_t len)
{
	return what_is_told_to(d, NULL, body, len);
}

#endif
