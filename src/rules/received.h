/*
 * received.h
 *		An event, as it was read.
 *
 * Whoever acts upon it speaks to the server, whose headers and jansson's have a
 * name in common: here the latter are not needed.
 */
#ifndef CADENCE_RECEIVED_H
#define CADENCE_RECEIVED_H

#include <stdint.h>

#include "rules/receive.h"

/* Longer texts are cut: RECEIVED_TEXT, and any other field. */
#define RECEIVED_TEXT_MAX (1024 * 1024)
#define RECEIVED_FIELD_MAX 1024

typedef struct ReceivedEvent
{
	ReceivedKind kind;
	ReceivedState state;
	const char *fields[RECEIVED_FIELDS]; /* UTF-8, without control characters but those of lines
											in RECEIVED_TEXT; NULL: not told; never "" */
	bool has_time;
	int64_t time_us;		/* since 1970 */
	bool is_auto;			/* a machine's answer: out of office and the like */
	const char *reason;		/* of what is unknown or ignored: why */
	struct json_t *element; /* of which it was read; borrowed */
} ReceivedEvent;

/*
 * Gets an event, which is gone when it returns; false: no more. It must return,
 * not jump: what is under way here is malloc'd.
 */
typedef bool (*ReceiveCallback)(void *arg, const ReceivedEvent *event);

#endif
