/*
 * hmac.c
 *		HMAC, by PostgreSQL's own, and comparing without telling how far it fits.
 */
#include "postgres.h"

#include "common/hmac.h"

#include "base/hmac.h"

/* len: of the digest. Inside a transaction: the server's hashing needs a resource owner. */
void
cadence_hmac_of(pg_cryptohash_type type, const uint8 *key, size_t key_len,
				const SignedMessage *message, uint8 *to, size_t len)
{
	pg_hmac_ctx *context = pg_hmac_create(type);
	bool failed = context == NULL || pg_hmac_init(context, key, key_len) < 0;

	for (int i = 0; i < message->n && !failed; i++)
		failed = pg_hmac_update(context, message->parts[i].at, message->parts[i].len) < 0;
	failed = failed || pg_hmac_final(context, to, len) < 0;
	if (context != NULL)
		pg_hmac_free(context);
	/* of the algorithm, which a policy may forbid; never of what was to be signed */
	if (failed)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute an HMAC")));
}

/* In a time that depends on the length alone. */
bool
cadence_bytes_equal(const void *a, const void *b, size_t len)
{
	const volatile uint8 *x = a;
	const volatile uint8 *y = b;
	uint8 differs = 0;

	for (size_t i = 0; i < len; i++)
		differs |= x[i] ^ y[i];
	return differs == 0;
}
