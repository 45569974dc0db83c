/*
 * claimant.c
 *		Claim ids, which say whose claim it is.
 *
 * A claim lasts until its lease ends, since whoever holds it may be stopped and
 * come back. But when its process is gone, nobody will ever record it, and the
 * next execution need not wait. So the id (a UUID of version 8) carries the
 * process and the time at which that started, which together no other process
 * of the same server has again.
 *
 *		bytes 0-3    process id
 *		bytes 4-7    28 bits of its start in milliseconds, around the version
 *		bytes 8-15   62 random bits, after the variant
 *
 * On another server (a standby after its promotion, a restored copy) no process
 * has these numbers, but by a chance of one in hundreds of millions for each
 * process that happens to have the same id; its lease then ends by time.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/backend_status.h"
#include "utils/timestamp.h"

#include "claim/claimant.h"
#include "base/compat.h"
#include "base/uuid.h"

static uint32
start_bits(TimestampTz started_at)
{
	return (uint32) (started_at / 1000) & 0x0FFFFFFF;
}

static void
put_number(uint8 *to, uint32 number, int nbytes)
{
	for (int i = 0; i < nbytes; i++)
		to[i] = (uint8) (number >> (8 * (nbytes - 1 - i)));
}

static uint32
get_number(const uint8 *from, int nbytes)
{
	uint32 number = 0;

	for (int i = 0; i < nbytes; i++)
		number = number << 8 | from[i];
	return number;
}

/*
 * An id for a claim of this process.
 */
void
cadence_claim_id(pg_uuid_t *id)
{
	uint32 start = start_bits(MyStartTimestamp);

	put_number(&id->data[0], (uint32) MyProcPid, 4);
	put_number(&id->data[4], start >> 12, 2);
	put_number(&id->data[6], start & 0x0FFF, 2);
	cadence_random_bytes(&id->data[8], 8);
	cadence_uuid_set_version(id, 8);
}

/*
 * To be called when the claims in question have been read: what is known of
 * processes must not be older than they are.
 */
void
cadence_claimants_refresh(void)
{
	pgstat_clear_backend_activity_snapshot();
}

/*
 * Whether the process that made a claim still runs. A process that ends has
 * taken itself off this list only after it could send nothing more.
 */
bool
cadence_claimant_is_alive(const pg_uuid_t *id)
{
	uint32 pid = get_number(&id->data[0], 4);
	uint32 start = get_number(&id->data[4], 2) << 12 | (get_number(&id->data[6], 2) & 0x0FFF);
	int n;

	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *local = cadence_backend_status(i);

		if (local != NULL && (uint32) local->backendStatus.st_procpid == pid &&
			start_bits(local->backendStatus.st_proc_start_timestamp) == start)
			return true;
	}
	return false;
}
