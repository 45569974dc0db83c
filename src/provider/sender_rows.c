/*
 * sender_rows.c
 *		What all executions know of a sender: a row of cadence_provider_state.
 *
 * It is read with each claim, and locked, in the order of keys, only where
 * something is to be given out or has been learned. The lock lasts as long as the
 * claim's own transaction, so what was given out and what was claimed for it
 * stand or fall together.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "provider/sender_state_parts.h"

#define IN_STATE(member) offsetof(CadenceSenderState, member)

/*
 * What a row has beside its key and its two histories: all that reads, locks and
 * saves a state is made from this list. Null is 0, or no text. The last two are
 * cadence_provider_pause()'s to write.
 */
static const struct
{
	const char *name;
	Oid type;
	size_t place;
} columns[] = {{"next_at", TIMESTAMPTZOID, IN_STATE(limits.next_at)},
			   {"last_at", TIMESTAMPTZOID, IN_STATE(limits.last_at)},
			   {"first_used_at", TIMESTAMPTZOID, IN_STATE(first_used)},
			   {"open_since", TIMESTAMPTZOID, IN_STATE(open_since)},
			   {"open_until", TIMESTAMPTZOID, IN_STATE(open_until)},
			   {"open_reason", TEXTOID, IN_STATE(open_reason)},
			   {"openings", INT4OID, IN_STATE(openings)},
			   {"round_until", TIMESTAMPTZOID, IN_STATE(round_until)},
			   {"waiting", INT4OID, IN_STATE(waiting)},
			   {"waited", INT4OID, IN_STATE(waited)},
			   {"new_since", TIMESTAMPTZOID, IN_STATE(new_since)},
			   {"new_until", TIMESTAMPTZOID, IN_STATE(new_until)},
			   {"new_reason", TEXTOID, IN_STATE(new_reason)},
			   {"new_stops", INT4OID, IN_STATE(new_stops)},
			   {"slow_until", TIMESTAMPTZOID, IN_STATE(slow_until)},
			   {"slow_downs", INT4OID, IN_STATE(slow_downs)},
			   {"paused_at", TIMESTAMPTZOID, IN_STATE(paused_at)},
			   {"pause_reason", TEXTOID, IN_STATE(pause_reason)}};

#define NSAVED (lengthof(columns) - 2)

/* Before them. */
enum
{
	STATE_KEY = 1,
	STATE_USED,
	STATE_LAST_ANSWERS,
	STATE_COLUMNS /* the first of the list */
};

static const Oid key_types[] = {TEXTOID};
static const RowsetColumn lock_columns[] = {{"n", INT4OID}, {"key", TEXTOID}};

/* Each as of the type that it is read as: a plan follows ALTER TABLE. */
static char *
read_sql(const char *from)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT s.server::text, s.used::text, s.last_answers::text");
	for (size_t i = 0; i < lengthof(columns); i++)
		appendStringInfo(&sql, ", s.%s::%s", columns[i].name,
						 format_type_be_qualified(columns[i].type));
	appendStringInfo(&sql, " FROM %s", from);
	return sql.data;
}

static char *
lock_sql(const char *table, const char *others)
{
	return read_sql(psprintf(ROWSET_NAME " AS d, %s AS s WHERE s.server " EQ
										 " d.key ORDER BY d.n FOR NO KEY UPDATE OF s%s",
							 table, others));
}

static char *
save_sql(const char *table)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s AS s SET used = d.used, last_answers = d.last_answers",
					 table);
	for (size_t i = 0; i < NSAVED; i++)
		appendStringInfo(&sql, ", %s = d.%s", columns[i].name, columns[i].name);
	appendStringInfoString(&sql, " FROM " ROWSET_NAME " AS d WHERE s.server " EQ " d.key");
	return sql.data;
}

/* In the current memory context. */
CadenceSenderStates *
cadence_sender_states_create(const CadenceTables *t)
{
	CadenceSenderStates *s = palloc0(sizeof(*s));
	SenderStatements *p = palloc0(sizeof(*p));
	const char *table = t->sender_states;

	s->context = CurrentMemoryContext;
	s->statements = p;
	p->read = ROWS_STATEMENT("reading the senders' states", read_sql(psprintf("%s AS s", table)),
							 SPI_OK_SELECT);
	p->add =
		STATEMENT("noting a sender",
				  psprintf("INSERT INTO %s (server) VALUES ($1) ON CONFLICT DO NOTHING", table),
				  key_types, SPI_OK_INSERT);
	p->lock = ROWS_STATEMENT("locking senders' states", lock_sql(table, ""), SPI_OK_SELECT);
	p->lock_free = ROWS_STATEMENT("locking senders' states that nobody has",
								  lock_sql(table, " SKIP LOCKED"), SPI_OK_SELECT);
	p->lock.latest = p->lock_free.latest = true;
	p->save = ROWS_STATEMENT("saving senders' states", save_sql(table), SPI_OK_UPDATE);
	sender_permits_prepare(p, t);
	return s;
}

/*
 * In the current memory context: another set that knows nothing yet, with the
 * statements of one that lives longer. What is known of a transaction goes with it.
 */
CadenceSenderStates *
cadence_sender_states_begin(const CadenceSenderStates *kept)
{
	CadenceSenderStates *s = palloc0(sizeof(*s));

	s->context = CurrentMemoryContext;
	s->statements = kept->statements;
	return s;
}

/* ---- read, locked, saved --------------------------------------------------------------- */

static void
take_column(CadenceSenderState *s, size_t i, HeapTuple row, TupleDesc desc)
{
	void *place = (char *) s + columns[i].place;
	int column = STATE_COLUMNS + i;

	if (columns[i].type == TIMESTAMPTZOID)
		*(TimestampTz *) place = row_time(desc, row, column, 0);
	else if (columns[i].type == INT4OID)
		*(int *) place = Max(row_int(desc, row, column, 0), 0);
	else
		cadence_sender_state_keep(s, place, row_text(desc, row, column, ROW_KEY_MAX));
}

static CadenceSenderState *
take_row(CadenceSenderStates *states, HeapTuple row, TupleDesc desc)
{
	char *key = row_text(desc, row, STATE_KEY, ROW_FIELD_MAX);
	CadenceSenderState *s = key != NULL ? cadence_sender_state(states, key) : NULL;
	char *used = row_text(desc, row, STATE_USED, LIMITS_TEXT_MAX);
	char *answers = row_text(desc, row, STATE_LAST_ANSWERS, SENDER_HISTORY_TEXT_MAX);

	if (s == NULL)
		return NULL;
	limits_read(&s->limits, used != NULL ? used : "");
	sender_history_read(&s->history, answers != NULL ? answers : "");
	for (size_t i = 0; i < lengthof(columns); i++)
		take_column(s, i, row, desc);
	return s;
}

static void
take_rows(CadenceSenderStates *states, bool locked)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		CadenceSenderState *s = take_row(states, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);

		if (s != NULL)
			s->is_locked = locked;
	}
	SPI_freetuptable(SPI_tuptable);
}

/* All of them, as they are now, without locks and plans; inside an SPI connection. */
void
cadence_sender_states_read(CadenceSenderStates *states)
{
	ListCell *cell;

	foreach (cell, states->list)
	{
		CadenceSenderState *s = lfirst(cell);

		s->has_plan = s->changed = s->is_locked = false;
		s->ngiven_people = 0;
	}
	statement_execute(&states->statements->read, NULL, NULL, 0);
	take_rows(states, false);
}

static int
by_key(const ListCell *a, const ListCell *b)
{
	return strcmp(((CadenceSenderState *) lfirst(a))->key, ((CadenceSenderState *) lfirst(b))->key);
}

/* Returns how many of them have a row. */
static int
lock(CadenceSenderStates *states, const List *wanted, Statement *statement)
{
	ListCell *cell;
	Rowset rows;
	int found;

	rowset_begin(&rows, lock_columns, lengthof(lock_columns));
	foreach (cell, wanted)
	{
		rowset_put_int(&rows, foreach_current_index(cell));
		rowset_put_text(&rows, ((CadenceSenderState *) lfirst(cell))->key);
	}
	statement_execute(statement, NULL, NULL, 0);
	found = (int) SPI_processed;
	take_rows(states, true);
	rowset_end(&rows);
	return found;
}

static void
add(CadenceSenderStates *states, const List *wanted)
{
	ListCell *cell;

	foreach (cell, wanted)
	{
		const CadenceSenderState *s = lfirst(cell);
		Datum values[] = {CStringGetTextDatum(s->key)};

		if (!s->is_locked)
			statement_execute(&states->statements->add, values, NULL, 0);
	}
}

/*
 * Locks some of them until the transaction's end, in an order in which nobody
 * waits for somebody who waits for us, and reads them again. Without a wait, those
 * that somebody else has are left out. Inside an SPI connection.
 */
void
cadence_sender_states_lock(CadenceSenderStates *states, List *wanted, bool wait)
{
	Statement *statement = wait ? &states->statements->lock : &states->statements->lock_free;
	ListCell *cell;

	foreach (cell, states->list)
		((CadenceSenderState *) lfirst(cell))->changed =
			((CadenceSenderState *) lfirst(cell))->is_locked = false;
	if (wanted == NIL)
		return;
	list_sort(wanted, by_key);
	/* a row that somebody has changed and not committed would be waited for */
	if (lock(states, wanted, statement) < list_length(wanted) && wait)
	{
		add(states, wanted);
		(void) lock(states, wanted, statement);
	}
}

static void
put_column(Rowset *rows, const CadenceSenderState *s, size_t i)
{
	const void *place = (const char *) s + columns[i].place;

	if (columns[i].type == TIMESTAMPTZOID)
		rowset_put_if(rows, *(const TimestampTz *) place != 0,
					  TimestampTzGetDatum(*(const TimestampTz *) place));
	else if (columns[i].type == INT4OID)
		rowset_put_int(rows, *(const int *) place);
	else
		rowset_put_text(rows, *(char *const *) place);
}

static void
put_state(Rowset *rows, const CadenceSenderState *s)
{
	char *used = palloc(LIMITS_TEXT_MAX);
	char answers[SENDER_HISTORY_TEXT_MAX];

	limits_write(&s->limits, used);
	sender_history_write(&s->history, answers);
	rowset_put_text(rows, s->key);
	rowset_put_text(rows, used);
	rowset_put_text(rows, s->history.n > 0 ? answers : NULL);
	for (size_t i = 0; i < NSAVED; i++)
		put_column(rows, s, i);
	pfree(used);
}

/* Those that were changed, which must be locked. */
void
cadence_sender_states_save(CadenceSenderStates *states)
{
	RowsetColumn saved[3 + NSAVED] = {
		{"key", TEXTOID}, {"used", TEXTOID}, {"last_answers", TEXTOID}};
	ListCell *cell;
	Rowset rows;

	for (size_t i = 0; i < NSAVED; i++)
		saved[3 + i] = (RowsetColumn){columns[i].name, columns[i].type};
	rowset_begin(&rows, saved, lengthof(saved));
	foreach (cell, states->list)
	{
		CadenceSenderState *s = lfirst(cell);

		if (s->changed && s->is_locked)
			put_state(&rows, s);
		s->changed = false;
	}
	if (rows.n > 0)
		statement_execute(&states->statements->save, NULL, NULL, 0);
	rowset_end(&rows);
}
