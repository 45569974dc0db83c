/*
 * sender_permits.c
 *		What a worker has under way of a sender at most: permits, in its claim's row, which go
 *		with it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "base/row.h"
#include "base/statement.h"
#include "provider/sender_state_parts.h"

static const Oid others_types[] = {TEXTOID, UUIDOID, UUIDOID};
static const Oid permits_types[] = {TEXTOID, INT4OID, UUIDOID, UUIDOID, UUIDOID};

/* In the current memory context. */
void
sender_permits_prepare(SenderStatements *p, const CadenceTables *t)
{
	p->others = STATEMENT("looking for others' permits",
						  psprintf("SELECT COALESCE(pg_catalog.sum((permits " JSON_TEXT
								   " $1)::pg_catalog.int4), 0)::pg_catalog.int4 FROM %s "
								   "WHERE claim_id " LT " $2 OR claim_id " GT " $3",
								   t->claims),
						  others_types, SPI_OK_SELECT);
	p->note_permits = STATEMENT(
		"noting permits",
		/* an earlier claim of this worker has them no more */
		psprintf("UPDATE %s SET permits = (COALESCE(permits, '{}'::pg_catalog.jsonb) "
				 "OPERATOR(pg_catalog.-) $1) OPERATOR(pg_catalog.||) "
				 "CASE WHEN claim_id " EQ " $3 THEN pg_catalog.jsonb_build_object($1, $2) "
				 "ELSE '{}'::pg_catalog.jsonb END "
				 "WHERE claim_id " GE " $4 AND claim_id " LE " $5",
				 t->claims),
		permits_types, SPI_OK_UPDATE);
}

/* All claims of a worker have the first half of their ids in common. */
static void
set_range(const pg_uuid_t *claim_id, pg_uuid_t *first, pg_uuid_t *last)
{
	*first = *last = *claim_id;
	memset(&first->data[UUID_LEN / 2], 0, UUID_LEN / 2);
	memset(&last->data[UUID_LEN / 2], 0xFF, UUID_LEN / 2);
}

/*
 * Gives this worker permits for so many messages under way at once, as far as
 * the others leave some of the most that there are; its state must be locked.
 * Those that it gives back (0 are wanted) it may give back at any time.
 */
int
cadence_sender_permits(CadenceSenderStates *states, const char *key, const pg_uuid_t *claim_id,
					   int wanted, int most)
{
	int permits = wanted;
	pg_uuid_t first;
	pg_uuid_t last;

	set_range(claim_id, &first, &last);
	if (wanted > 0)
	{
		Datum values[] = {CStringGetTextDatum(key), UUIDPGetDatum(&first), UUIDPGetDatum(&last)};

		statement_execute(&states->statements->others, values, NULL, 0);
		permits = most - row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1, 0);
		SPI_freetuptable(SPI_tuptable);
		permits = Max(Min(permits, wanted), 0);
	}
	{
		Datum values[] = {CStringGetTextDatum(key), Int32GetDatum(permits), UUIDPGetDatum(claim_id),
						  UUIDPGetDatum(&first), UUIDPGetDatum(&last)};

		statement_execute(&states->statements->note_permits, values, NULL, 0);
	}
	return permits;
}
