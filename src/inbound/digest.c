/*
 * digest.c
 *		HMAC of what is signed, and comparing without telling how far it fits.
 */
#include "postgres.h"

#include <limits.h>

#include "common/base64.h"
#include "common/cryptohash.h"
#include "common/sha1.h"
#include "common/sha2.h"

#include "inbound/digest.h"
#include "rules/signature_text.h"

static const struct
{
	pg_cryptohash_type type;
	size_t len;
} hashes[SIGNATURE_HASHES] = {[HASH_SHA256] = {PG_SHA256, PG_SHA256_DIGEST_LENGTH},
							  [HASH_SHA1] = {PG_SHA1, SHA1_DIGEST_LENGTH},
							  [HASH_SHA512] = {PG_SHA512, PG_SHA512_DIGEST_LENGTH}};

/* In a time that depends on what was given alone, of which nothing is ours. */
bool
cadence_secret_is(const char *given, const char *secret)
{
	size_t len = strlen(given);
	size_t secret_len = strlen(secret);
	volatile uint8 differs = len != secret_len || len == 0;

	for (size_t i = 0; i < len && secret_len > 0; i++)
		differs |= (uint8) given[i] ^ (uint8) secret[i % secret_len];
	return differs == 0;
}

/* How many bytes a text stands for; -1: it is no such text, or of too many. */
int
cadence_bytes_decode(SignatureEncoding encoding, const char *text, size_t len, uint8 *to,
					 size_t size)
{
	if (encoding == ENCODING_HEX)
		return hex_decode(text, len, to, size);
	if (len > INT_MAX / 2)
		return -1;
	return pg_b64_decode(text, len, (void *) to, size);
}

/* Returns the digest's length. */
int
cadence_hmac(SignatureHash hash, const uint8 *key, size_t key_len, const SignedMessage *message,
			 uint8 *to)
{
	cadence_hmac_of(hashes[hash].type, key, key_len, message, to, hashes[hash].len);
	return hashes[hash].len;
}
