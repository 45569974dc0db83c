/*
 * uuid.c
 *		The UUIDs that we make (RFC 9562).
 */
#include "postgres.h"

#include <sys/time.h>

#include "common/cryptohash.h"
#include "common/sha1.h"

#include "base/uuid.h"

static void
set_version(pg_uuid_t *uuid, int version)
{
	uuid->data[6] = (uuid->data[6] & 0x0F) | (version << 4);
	uuid->data[8] = (uuid->data[8] & 0x3F) | 0x80;
}

/* Each call of the system's generator costs more than the few bytes that an id takes. */
void
cadence_random_bytes(uint8 *to, size_t len)
{
	static uint8 pool[1024];
	static size_t left = 0;

	if (left < len)
	{
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
		left = sizeof(pool);
	}
	left -= len;
	memcpy(to, pool + left, len);
}

/*
 * A time-ordered UUID (version 7): milliseconds, then a counter that keeps the
 * ids of one process in the order they were made, then random bits.
 *
 * Rows with such ids go to the right edge of their index, which on a grown
 * table saves most of the page writes that random ids cost.
 */
void
cadence_uuid_v7(pg_uuid_t *uuid)
{
	static uint64 last = 0; /* milliseconds << 12 | counter */
	struct timeval now;
	uint64 stamp;

	gettimeofday(&now, NULL);
	stamp = ((uint64) now.tv_sec * 1000 + now.tv_usec / 1000) << 12;
	if (stamp <= last)
		stamp = last + 1;
	last = stamp;

	cadence_random_bytes(&uuid->data[8], 8);
	for (int i = 0; i < 6; i++)
		uuid->data[i] = (uint8) (stamp >> (12 + 8 * (5 - i)));
	uuid->data[6] = (uint8) ((stamp >> 8) & 0x0F);
	uuid->data[7] = (uint8) stamp;
	set_version(uuid, 7);
}

/* A name-based UUID (version 5): the same name in one namespace has always the same. */
void
cadence_uuid_v5(const pg_uuid_t *space, const char *name, pg_uuid_t *uuid)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA1);
	uint8 digest[SHA1_DIGEST_LENGTH];

	if (ctx == NULL || pg_cryptohash_init(ctx) < 0 ||
		pg_cryptohash_update(ctx, space->data, UUID_LEN) < 0 ||
		pg_cryptohash_update(ctx, (const uint8 *) name, strlen(name)) < 0 ||
		pg_cryptohash_final(ctx, digest, sizeof(digest)) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute a name-based UUID")));
	pg_cryptohash_free(ctx);
	memcpy(uuid->data, digest, UUID_LEN);
	set_version(uuid, 5);
}

/*
 * The idempotency key of a step: the name-based UUID of the step's ordem, as
 * decimal text, in the namespace of the run's id. The same for every attempt, for
 * ever, and anybody can compute it again.
 */
void
cadence_idempotency_key(const pg_uuid_t *run_id, int step_ordem, pg_uuid_t *key)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", step_ordem);
	cadence_uuid_v5(run_id, name, key);
}

/* text must have room for UUID_TEXT_SIZE bytes. */
void
cadence_uuid_text(const pg_uuid_t *uuid, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[uuid->data[i] >> 4];
		*text++ = digits[uuid->data[i] & 0x0F];
	}
	*text = '\0';
}
