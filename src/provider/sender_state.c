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

typedef struct SenderStatements
{
	Statement read;
	Statement add;
	Statement lock;
	Statement lock_free;
	Statement save;
	Statement others;
	Statement note_permits;
} SenderStatements;

struct CadenceSenderStates
{
	MemoryContext context;
	List *list;
	SenderStatements *statements;
};

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
static const Oid others_types[] = {TEXTOID, UUIDOID, UUIDOID};
static const Oid permits_types[] = {TEXTOID, INT4OID, UUIDOID, UUIDOID, UUIDOID};

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

/* The key of the state that the servers of a group share. */
char *
cadence_limit_group_key(const char *group)
{
	return psprintf("limit_group %s", group);
}

/* The key of the state of a server's mails to a domain. */
char *
cadence_domain_limit_key(const CadenceConfiguration *c, const char *domain)
{
	return psprintf("domain %s of %s", domain, c->name);
}

/* By name once: many senders have many names. */
static void
find_states(CadenceSenderStates *states, CadenceProvider *p)
{
	const CadenceConfiguration *c = p->configuration;

	if (p->sender_state != NULL)
		return;
	p->sender_state = p->limits_state = cadence_sender_state(states, c->name);
	if (c->limit_group != NULL)
		p->limits_state = cadence_sender_state(states, cadence_limit_group_key(c->limit_group));
}

/* What is known of a sender alone: its breaker, and whom it may write to. */
CadenceSenderState *
cadence_sender_of(CadenceSenderStates *states, CadenceProvider *p)
{
	find_states(states, p);
	return p->sender_state;
}

/* Its limits: a group's are its senders' together. */
CadenceSenderState *
cadence_limits_of(CadenceSenderStates *states, CadenceProvider *p)
{
	find_states(states, p);
	return p->limits_state;
}

/* Under way in this process, of all whose limits are the same. */
int
cadence_sender_in_flight(const CadenceProvider *p)
{
	return p->limits_state != NULL ? p->limits_state->in_flight : p->in_flight;
}

/* Nothing of them is under way or waits in this process. */
bool
cadence_sender_is_idle(const List *providers, const CadenceProvider *p)
{
	ListCell *cell;

	if (p->nwaiting > 0 || p->in_flight > 0)
		return false;
	if (p->limits_state == p->sender_state)
		return true;
	foreach (cell, providers)
	{
		const CadenceProvider *other = lfirst(cell);

		if (other->limits_state == p->limits_state && (other->nwaiting > 0 || other->in_flight > 0))
			return false;
	}
	return true;
}

/* As long as a sender is used its day's limit grows. */
LimitRules
cadence_limit_rules(const CadenceConfiguration *c, const CadenceSenderState *s, TimestampTz now)
{
	LimitRules rules = c->limits;
	int warm = 0;

	if (c->warm_up_us > 0)
		warm = limits_warm_up(c->warm_up_from, c->warm_up_to, c->warm_up_us,
							  s->first_used != 0 ? now - s->first_used : 0);
	if (warm > 0 && (rules.most[WINDOW_DAY] == 0 || warm < rules.most[WINDOW_DAY]))
		rules.most[WINDOW_DAY] = warm;
	return rules;
}

/* What is put off has its own limits: those that go now, and then it. NULL: there are none. */
LimitUse *
cadence_sender_plan(CadenceSenderState *s)
{
	if (s == NULL)
		return NULL;
	if (!s->has_plan)
		s->plan = s->limits;
	s->has_plan = true;
	return &s->plan;
}

/* Somebody was given to a sender: that leaves less of its room, and is its probe. */
void
cadence_sender_note_given(CadenceSenderStates *states, CadenceProvider *p)
{
	CadenceSenderState *sender = cadence_sender_of(states, p);
	CadenceSenderState *limits = cadence_limits_of(states, p);

	sender->ngiven_people++;
	if (limits != sender)
		limits->ngiven_people++;
}

/* Puts a copy into the place of one of its texts; NULL: there is none. */
void
cadence_sender_state_keep(CadenceSenderState *s, char **text, const char *to)
{
	char *copy = to != NULL ? MemoryContextStrdup(GetMemoryChunkContext(s->key), to) : NULL;

	if (*text != NULL)
		pfree(*text);
	*text = copy;
}

/* It is shut until then, and one message tries it afterwards; its state is locked. */
void
cadence_sender_open_breaker(CadenceSenderState *s, const char *why, int64 wait_us, TimestampTz now)
{
	if (s->open_since == 0)
		s->open_since = now;
	s->open_until = now + wait_us;
	s->opened_at = now;
	s->openings++;
	cadence_sender_state_keep(s, &s->open_reason, why != NULL ? why : "");
	s->changed = true;
}

/* False: it was not shut. */
bool
cadence_sender_close_breaker(CadenceSenderState *s)
{
	if (s->open_since == 0)
		return false;
	s->open_since = s->open_until = 0;
	s->openings = s->waiting = s->waited = 0;
	s->round_until = 0;
	cadence_sender_state_keep(s, &s->open_reason, NULL);
	s->history.n = 0;
	s->changed = true;
	return true;
}

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
