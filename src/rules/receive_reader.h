/*
 * receive_reader.h
 *		What a webhook's call tells.
 *
 * In this order: receive_parse(); the signature, where it stands in the body;
 * receive_scrub(), so that nothing that is told or kept holds a secret;
 * receive_read(). The depth of a body is jansson's to limit (2048), its size the
 * caller's.
 */
#ifndef CADENCE_RECEIVE_READER_H
#define CADENCE_RECEIVE_READER_H

#include <jansson.h>
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
	int64_t time_us;	/* since 1970 */
	bool is_auto;		/* a machine's answer: out of office and the like */
	const char *reason; /* of what is unknown or ignored: why */
	json_t *element;	/* of which it was read; borrowed */
} ReceivedEvent;

/*
 * Gets an event, which is gone when it returns; false: no more. It must return,
 * not jump: what is under way here is malloc'd.
 */
typedef bool (*ReceiveCallback)(void *arg, const ReceivedEvent *event);

/* A header's value; NULL: there is none. */
typedef const char *(*ReceiveHeader)(void *arg, const char *name);

extern json_t *receive_parse(const ReceiveRules *rules, const char *body, size_t len);
extern bool receive_text_at(const AnswerPlaces *places, json_t *body, ReceiveHeader header,
							void *arg, char *to, size_t size);
extern void receive_scrub(const ReceiveRules *rules, json_t *body);
extern bool receive_read(const ReceiveRules *rules, json_t *body, ReceiveCallback callback,
						 void *arg);

#endif
