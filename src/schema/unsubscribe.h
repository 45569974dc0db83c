/*
 * unsubscribe.h
 *		Links by which a person wants no more messages of a company on a channel.
 */
#ifndef CADENCE_UNSUBSCRIBE_H
#define CADENCE_UNSUBSCRIBE_H

#include "postgres.h"

#include "schema/secret_key.h"

/* Who wants no more, of whom, and by which channel. */
typedef struct Unsubscribe
{
	const char *lead_id;
	const char *empresa;
	const char *canal; /* in capital letters */
} Unsubscribe;

#define UNSUBSCRIBE_KEY "unsubscribe"

extern char *cadence_unsubscribe_link(const CadenceSecretKey *key, const Unsubscribe *unsubscribe);
extern bool cadence_unsubscribe_read(const CadenceSecretKey *key, const char *token,
									 Unsubscribe *unsubscribe);

#endif
