/*
 * hmac.h
 *		HMAC, by PostgreSQL's own, and comparing without telling how far it fits.
 */
#ifndef CADENCE_HMAC_H
#define CADENCE_HMAC_H

#include "postgres.h"

#include "common/cryptohash.h"

typedef struct SignedBytes
{
	const void *at;
	size_t len;
} SignedBytes;

/* One after the other they are what is signed. */
typedef struct SignedMessage
{
	SignedBytes *parts;
	int n;
} SignedMessage;

extern bool cadence_bytes_equal(const void *a, const void *b, size_t len);
extern void cadence_hmac_of(pg_cryptohash_type type, const uint8 *key, size_t key_len,
							const SignedMessage *message, uint8 *to, size_t len);

#endif
