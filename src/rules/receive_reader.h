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

#include "rules/received.h"

/* A header's value; NULL: there is none. */
typedef const char *(*ReceiveHeader)(void *arg, const char *name);

/* Whose an element is that names another sender than the server whose webhook was called. */
typedef enum ReceiveOwner
{
	OWNER_THIS,	   /* nobody knows that sender: the server's that was called */
	OWNER_ANOTHER, /* who has that sender */
	OWNER_UNPROVEN /* likewise, but the call does not show that it may speak for that one */
} ReceiveOwner;

/*
 * Asked for an element by an option's number, as in Values, and what is told in its place;
 * of another owner it gives the values, and what follows is that one's until take_back().
 */
typedef struct ReceiveOwners
{
	ReceiveOwner (*hand_over)(void *arg, int option, const char *text, const char *const **values);
	void (*take_back)(void *arg);
} ReceiveOwners;

extern json_t *receive_parse(const ReceiveRules *rules, const char *body, size_t len);
extern bool receive_text_at(const AnswerPlaces *places, json_t *body, ReceiveHeader header,
							void *arg, char *to, size_t size);
extern void receive_scrub(const ReceiveRules *rules, json_t *body);
extern bool receive_read(const ReceiveRules *rules, const char *const *values,
						 const ReceiveOwners *owners, json_t *body, ReceiveCallback callback,
						 void *arg);

#endif
