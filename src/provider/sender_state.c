/*
 * sender_state.c
 *		What all executions know of a sender: a row of cadence_provider_state.
 *
 * It is read with each claim, and locked, in the order of keys, only where
 * something is to be given out or has been learned. The lock lasts as long as the
 * claim's own transaction, so what was given out and what was claimed for it
 * stand or fall together. What a worker has under way of a sender at most are its
 * permits, in its claim's row, which go with it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "provider/sender_state.h"

struct CadenceSenderStates
{
	MemoryContext context;
	List *list;
	Statement read;
	Statement add;
	Statement lock;
	Statement save;
	Statement others;
	Statement note_permits;
};

enum
{
	STATE_KEY = 1,
	STATE_NEXT_AT,
	STATE_LAST_AT,
	STATE_USED,
	STATE_FIRST_USED_AT,
	STATE_OPEN_SINCE,
	STATE_OPEN_UNTIL,
	STATE_OPEN_REASON,
	STATE_OPENINGS,
	STATE_PAUSED_AT,
	STATE_PAUSE_REASON,
	STATE_LAST_ANSWERS
};

#define STATE_COLUMNS                                                                     \
	"server::text, next_at, last_at, used::text, first_used_at, open_since, open_until, " \
	"open_reason::text, openings, paused_at, pause_reason::text, last_answers::text"

static const Oid key_types[] = {TEXTOID};
static const Oid save_types[] = {TEXTOID,		 TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID,
								 TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID,
								 INT4OID,		 TEXTOID};
static const Oid others_types[] = {TEXTOID, UUIDOID, UUIDOID};
static const Oid permits_types[] = {TEXTOID, INT4OID, UUIDOID};

/* In the current memory context. */
CadenceSenderStates *
cadence_sender_states_create(const CadenceTables *t)
{
	CadenceSenderStates *s = palloc0(sizeof(*s));
	const char *table = t->sender_states;

	s->context = CurrentMemoryContext;
	s->read = (Statement){.what = "reading the senders' states",
						  .sql = psprintf("SELECT " STATE_COLUMNS " FROM %s", table),
						  .expected = SPI_OK_SELECT,
						  .context = CurrentMemoryContext};
	s->add =
		STATEMENT("noting a sender",
				  psprintf("INSERT INTO %s (server) VALUES ($1) ON CONFLICT DO NOTHING", table),
				  key_types, SPI_OK_INSERT);
	s->lock = STATEMENT("locking a sender's state",
						psprintf("SELECT " STATE_COLUMNS " FROM %s WHERE server " EQ
								 " $1 FOR NO KEY UPDATE",
								 table),
						key_types, SPI_OK_SELECT);
	s->lock.latest = true;
	s->save = STATEMENT(
		"saving a sender's state",
		psprintf("UPDATE %s SET next_at = $2, last_at = $3, used = $4, "
				 "first_used_at = $5, open_since = $6, open_until = $7, "
				 "open_reason = $8, openings = $9, last_answers = $10 WHERE server " EQ " $1",
				 table),
		save_types, SPI_OK_UPDATE);
	s->others = STATEMENT("looking for others' permits",
						  psprintf("SELECT COALESCE(pg_catalog.sum((permits " JSON_TEXT
								   " $1)::pg_catalog.int4), 0)::pg_catalog.int4 FROM %s "
								   "WHERE claim_id " LT " $2 OR claim_id " GT " $3",
								   t->claims),
						  others_types, SPI_OK_SELECT);
	s->note_permits =
		STATEMENT("noting permits",
				  psprintf("UPDATE %s SET permits = COALESCE(permits, '{}'::pg_catalog.jsonb) "
						   "OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object($1, $2) "
						   "WHERE claim_id " EQ " $3",
						   t->claims),
				  permits_types, SPI_OK_UPDATE);
	return s;
}

/* A state that nothing is known of is one of a sender that was never used. */
CadenceSenderState *
cadence_sender_state(CadenceSenderStates *states, const char *key)
{
	MemoryContext old;
	CadenceSenderState *state;
	ListCell *cell;

	foreach (cell, states->list)
		if (strcmp(((CadenceSenderState *) lfirst(cell))->key, key) == 0)
			return lfirst(cell);
	old = MemoryContextSwitchTo(states->context);
	state = palloc0(sizeof(*state));
	state->key = pstrdup(key);
	states->list = lappend(states->list, state);
	MemoryContextSwitchTo(old);
	return state;
}

static char *
keep(CadenceSenderStates *states, char *before, char *text)
{
	if (before != NULL)
		pfree(before);
	return text != NULL ? MemoryContextStrdup(states->context, text) : NULL;
}

static void
take_row(CadenceSenderStates *states, HeapTuple row, TupleDesc desc)
{
	char *key = row_text(desc, row, STATE_KEY, ROW_FIELD_MAX);
	CadenceSenderState *s = key != NULL ? cadence_sender_state(states, key) : NULL;
	char *used = row_text(desc, row, STATE_USED, LIMITS_TEXT_MAX);
	char *answers = row_text(desc, row, STATE_LAST_ANSWERS, SENDER_HISTORY_TEXT_MAX);

	if (s == NULL)
		return;
	s->limits.next_at = row_time(desc, row, STATE_NEXT_AT, 0);
	s->limits.last_at = row_time(desc, row, STATE_LAST_AT, 0);
	limits_read(&s->limits, used != NULL ? used : "");
	s->first_used = row_time(desc, row, STATE_FIRST_USED_AT, 0);
	s->open_since = row_time(desc, row, STATE_OPEN_SINCE, 0);
	s->open_until = row_time(desc, row, STATE_OPEN_UNTIL, 0);
	s->open_reason =
		keep(states, s->open_reason, row_text(desc, row, STATE_OPEN_REASON, ROW_KEY_MAX));
	s->openings = row_int(desc, row, STATE_OPENINGS, 0);
	sender_history_read(&s->history, answers != NULL ? answers : "");
	s->paused_at = row_time(desc, row, STATE_PAUSED_AT, 0);
	s->pause_reason =
		keep(states, s->pause_reason, row_text(desc, row, STATE_PAUSE_REASON, ROW_KEY_MAX));
}

static void
take_rows(CadenceSenderStates *states)
{
	for (uint64 i = 0; i < SPI_processed; i++)
		take_row(states, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	SPI_freetuptable(SPI_tuptable);
}

/* All of them, as they are now; inside an SPI connection. */
void
cadence_sender_states_read(CadenceSenderStates *states)
{
	statement_execute(&states->read, NULL, NULL, 0);
	take_rows(states);
}

static int
by_key(const ListCell *a, const ListCell *b)
{
	return strcmp(((CadenceSenderState *) lfirst(a))->key, ((CadenceSenderState *) lfirst(b))->key);
}

static void
lock(CadenceSenderStates *states, CadenceSenderState *state)
{
	Datum values[] = {CStringGetTextDatum(state->key)};

	statement_execute(&states->lock, values, NULL, 0);
	if (SPI_processed == 0)
	{
		statement_execute(&states->add, values, NULL, 0);
		statement_execute(&states->lock, values, NULL, 0);
	}
	take_rows(states);
	state->changed = false;
}

/*
 * Locks some of them until the transaction's end, in an order in which nobody
 * waits for somebody who waits for us, and reads them again.
 */
void
cadence_sender_states_lock(CadenceSenderStates *states, List *wanted)
{
	ListCell *cell;

	list_sort(wanted, by_key);
	foreach (cell, wanted)
		lock(states, lfirst(cell));
}

static void
save(CadenceSenderStates *states, CadenceSenderState *s)
{
	char *used = palloc(LIMITS_TEXT_MAX);
	char answers[SENDER_HISTORY_TEXT_MAX];
	Datum values[lengthof(save_types)];
	char nulls[lengthof(save_types)];
	TimestampTz times[] = {s->limits.next_at, s->limits.last_at, 0,
						   s->first_used,	  s->open_since,	 s->open_until};

	memset(nulls, ' ', sizeof(nulls));
	values[0] = CStringGetTextDatum(s->key);
	for (size_t i = 0; i < lengthof(times); i++)
	{
		values[i + 1] = TimestampTzGetDatum(times[i]);
		nulls[i + 1] = times[i] != 0 ? ' ' : 'n';
	}
	limits_write(&s->limits, used);
	values[3] = CStringGetTextDatum(used);
	nulls[3] = ' ';
	values[7] = s->open_reason != NULL ? CStringGetTextDatum(s->open_reason) : (Datum) 0;
	nulls[7] = s->open_reason != NULL ? ' ' : 'n';
	values[8] = Int32GetDatum(s->openings);
	sender_history_write(&s->history, answers);
	values[9] = CStringGetTextDatum(answers);
	nulls[9] = s->history.n > 0 ? ' ' : 'n';
	statement_execute(&states->save, values, nulls, 0);
	s->changed = false;
	pfree(used);
}

/* Those that were changed, which must be locked. */
void
cadence_sender_states_save(CadenceSenderStates *states)
{
	ListCell *cell;

	foreach (cell, states->list)
		if (((CadenceSenderState *) lfirst(cell))->changed)
			save(states, lfirst(cell));
}

/*
 * Gives this worker permits for so many messages under way at once, as far as
 * the others leave some of the most that there are; its state must be locked.
 */
int
cadence_sender_permits(CadenceSenderStates *states, const char *key, const pg_uuid_t *claim_id,
					   int wanted, int most)
{
	pg_uuid_t first = *claim_id;
	pg_uuid_t last = *claim_id;
	Datum values[] = {CStringGetTextDatum(key), UUIDPGetDatum(&first), UUIDPGetDatum(&last)};
	int permits;

	/* all claims of a worker have the first half of their ids in common */
	memset(&first.data[UUID_LEN / 2], 0, UUID_LEN / 2);
	memset(&last.data[UUID_LEN / 2], 0xFF, UUID_LEN / 2);
	statement_execute(&states->others, values, NULL, 0);
	permits = most - row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1, 0);
	SPI_freetuptable(SPI_tuptable);
	permits = Max(Min(permits, wanted), 0);
	values[1] = Int32GetDatum(permits);
	values[2] = UUIDPGetDatum(claim_id);
	statement_execute(&states->note_permits, values, NULL, 0);
	return permits;
}
