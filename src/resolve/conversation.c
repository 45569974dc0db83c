/*
 * conversation.c
 *		By whom, and when, a person was last written to on a channel: rows of
 *		cadence_conversations.
 *
 * A claim takes the conversations of what it is about to send, in its own
 * transaction, so that of two executions only one does; a record gives back what
 * was not sent. What may have been sent counts as sent.
 *
 * Who can wait for whom: claims that must not both pass (min_gap,
 * quiet_until_reply, max_new_per_day) have locked their senders' states before
 * they look, so they come here one after the other. Records come without that
 * lock, but hold nothing else yet. Hence a claim never waits for a row that it
 * may write: where exact times matter it puts the step off, elsewhere it goes by
 * what the row was. Rows are locked and made in the order of their keys.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "resolve/conversation.h"

/* A start that was later than was planned is noted; less is no difference. */
#define LATE_US USECS_PER_SEC

struct CadenceConversations
{
	Statement find;
	Statement write;
	Statement settle;
};

static const RowsetColumn wanted_columns[] = {
	{"n", INT4OID},		{"empresa", TEXTOID},	 {"lead_id", TEXTOID}, {"canal", TEXTOID},
	{"begun", BOOLOID}, {"cadence_id", UUIDOID}, {"ordem", INT4OID},   {"timed", BOOLOID}};

static const RowsetColumn written_columns[] = {{"empresa", TEXTOID},
											   {"lead_id", TEXTOID},
											   {"canal", TEXTOID},
											   {"server", TEXTOID},
											   {"last_sent_at", TIMESTAMPTZOID},
											   {"last_key", UUIDOID},
											   {"own_key", UUIDOID},
											   {"reserved_at", TIMESTAMPTZOID}};

enum
{
	FOUND_NUMBER = 1,
	FOUND_IS_BUSY,
	FOUND_SERVER,
	FOUND_SENT_AT,
	FOUND_KEY,
	FOUND_HAD_STEP
};

static const char same_person[] =
	"x.empresa " EQ " d.empresa AND x.lead_id " EQ " d.lead_id AND x.canal " EQ " d.canal";

#define CHANNEL(column) "pg_catalog.upper((" SHORT_TEXT(column, "100") ") COLLATE pg_catalog.\"C\")"

/* Where only its server matters, a conversation that is there is hardly ever written again. */
#define MAY_BE_WRITTEN "c.canal IS NOT NULL AND (d.timed OR c.last_sent_at IS NULL)"

/*
 * A run that had begun before conversations were tracked has none: an earlier
 * step of its on the same channel tells that its person has been written to.
 */
static char *
find_sql(const CadenceTables *t, bool in_query)
{
	const char *same_channel = CHANNEL("x.canal") " " EQ " d.canal";

	return psprintf(
		"SELECT d.n, l.canal IS NULL AND " MAY_BE_WRITTEN ", "
		"CASE WHEN l.canal IS NULL THEN c.server ELSE l.server END::text, "
		"CASE WHEN l.canal IS NULL THEN c.last_sent_at ELSE l.last_sent_at END, "
		"CASE WHEN l.canal IS NULL THEN c.last_key ELSE l.last_key END, "
		"d.begun AND EXISTS (SELECT FROM %s AS x WHERE x.cadence_id " EQ " d.cadence_id "
		"AND x.ordem " LT " d.ordem AND %s) "
		"FROM " ROWSET_NAME " AS d "
		/* the limit keeps it a look-up for each, however small the table was at first */
		"LEFT JOIN LATERAL (SELECT x.* FROM %s AS x WHERE %s LIMIT 1) AS c ON true "
		"LEFT JOIN LATERAL (SELECT x.* FROM %s AS x WHERE " MAY_BE_WRITTEN " AND %s%s) AS l "
		"ON true",
		t->steps, same_channel, t->conversations, same_person, t->conversations, same_person,
		in_query ? "" : " FOR NO KEY UPDATE SKIP LOCKED");
}

static char *
write_sql(const CadenceTables *t)
{
	return psprintf("INSERT INTO %s (empresa, lead_id, canal, server, last_sent_at, last_key) "
					"SELECT d.empresa, d.lead_id, d.canal, d.server, d.last_sent_at, d.last_key "
					"FROM " ROWSET_NAME " AS d ON CONFLICT (empresa, lead_id, canal) DO UPDATE SET "
					"server = EXCLUDED.server, last_sent_at = EXCLUDED.last_sent_at, "
					"last_key = EXCLUDED.last_key",
					t->conversations);
}

/* Only where nobody has taken it since. */
static char *
settle_sql(const CadenceTables *t)
{
	return psprintf("UPDATE %s AS c SET server = d.server, last_sent_at = d.last_sent_at, "
					"last_key = d.last_key FROM " ROWSET_NAME " AS d CROSS JOIN LATERAL "
					"(SELECT x.ctid FROM %s AS x WHERE %s AND x.last_key " EQ " d.own_key "
					"AND x.last_sent_at " EQ " d.reserved_at FOR NO KEY UPDATE) AS f "
					"WHERE c.ctid " EQ " f.ctid",
					t->conversations, t->conversations, same_person);
}

/* In the current memory context. in_query: for one look in somebody's query, without a lock. */
CadenceConversations *
cadence_conversations_create(const CadenceTables *t, bool in_query)
{
	CadenceConversations *c = palloc0(sizeof(*c));

	c->find = ROWS_STATEMENT("looking for conversations", find_sql(t, in_query), SPI_OK_SELECT);
	c->find.in_query = in_query;
	/* what somebody else has committed while the senders' states were waited for counts */
	c->find.latest = !in_query;
	c->write = ROWS_STATEMENT("taking conversations", write_sql(t), SPI_OK_INSERT);
	c->settle = ROWS_STATEMENT("settling conversations", settle_sql(t), SPI_OK_UPDATE);
	return c;
}

/* ---- finding ------------------------------------------------------------------------ */

static int
compare(const CadenceConversation *a, const CadenceConversation *b)
{
	int order = strcmp(a->empresa, b->empresa);

	if (order == 0)
		order = strcmp(a->lead_id, b->lead_id);
	return order != 0 ? order : strcmp(a->canal, b->canal);
}

static int
by_key(const void *a, const void *b)
{
	return compare((*(CadenceStep *const *) a)->conversation,
				   (*(CadenceStep *const *) b)->conversation);
}

/* Those that have one, in the order of keys; how many. */
static int
with_conversation(CadenceStep **steps, int n, CadenceStep **some)
{
	int nsome = 0;

	for (int i = 0; i < n; i++)
		if (steps[i]->conversation != NULL)
			some[nsome++] = steps[i];
	qsort(some, nsome, sizeof(*some), by_key);
	return nsome;
}

static void
put_key(Rowset *rows, const CadenceConversation *c)
{
	rowset_put_text(rows, c->empresa);
	rowset_put_text(rows, c->lead_id);
	rowset_put_text(rows, c->canal);
}

static void
put_wanted(Rowset *rows, const CadenceStep *step, int number)
{
	rowset_put_int(rows, number);
	put_key(rows, step->conversation);
	rowset_put_bool(rows, step->has_begun);
	rowset_put_uuid(rows, &step->cadence_id);
	rowset_put_int(rows, step->ordem);
	rowset_put_bool(rows, step->pool->is_timed);
}

static void
read_found(CadenceStep *step, TupleDesc desc, HeapTuple row)
{
	CadenceConversation *c = step->conversation;

	c->is_busy = row_true(desc, row, FOUND_IS_BUSY);
	c->last.server = row_text(desc, row, FOUND_SERVER, ROW_KEY_MAX);
	c->last.at = row_time(desc, row, FOUND_SENT_AT, 0);
	(void) row_uuid(desc, row, FOUND_KEY, &c->last.key);
	step->is_first_touch =
		c->last.at == 0 && step->heard_at == 0 && !row_true(desc, row, FOUND_HAD_STEP);
}

/*
 * Finds the conversations of steps that have one, as far as its key, and locks
 * them; inside an SPI connection. Steps of one share it from here on.
 */
void
cadence_conversations_find(CadenceConversations *conversations, CadenceStep **steps, int n)
{
	CadenceStep **some = palloc(sizeof(*some) * Max(n, 1));
	Rowset rows;

	n = with_conversation(steps, n, some);
	for (int i = 1; i < n; i++)
		if (compare(some[i - 1]->conversation, some[i]->conversation) == 0)
			some[i]->conversation = some[i - 1]->conversation;
	rowset_begin(&rows, wanted_columns, lengthof(wanted_columns));
	for (int i = 0; i < n; i++)
		put_wanted(&rows, some[i], i);
	if (n > 0)
	{
		statement_execute(&conversations->find, NULL, NULL, 0);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple row = SPI_tuptable->vals[i];
			TupleDesc desc = SPI_tuptable->tupdesc;

			read_found(some[row_int(desc, row, FOUND_NUMBER, 0)], desc, row);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	rowset_end(&rows);
	pfree(some);
}

/* ---- taking ------------------------------------------------------------------------- */

/* Whether the last message was this very step's: another attempt at it is no other message. */
bool
cadence_conversation_is_same(const CadenceStep *step)
{
	const LastMessage *last = &step->conversation->last;

	return last->at != 0 && memcmp(&last->key, &step->key, UUID_LEN) == 0;
}

/* What nobody needs to know more exactly is not written again. */
static bool
is_known(const CadenceStep *step)
{
	const LastMessage *last = &step->conversation->last;

	return !step->pool->is_timed && last->at != 0 && last->server != NULL &&
		   strcmp(last->server, step->request.configuration->name) == 0;
}

/* A step is to be sent at that time: it has its person's conversation from then on. */
void
cadence_conversation_reserve(CadenceStep *step, TimestampTz at)
{
	CadenceConversation *c = step->conversation;

	if (c == NULL || c->is_busy || is_known(step))
		return;
	step->before = c->last;
	step->taken_from = c->taken_by;
	step->reserved_at = at;
	c->taken_by = step;
	c->last =
		(LastMessage){.server = step->request.configuration->name, .at = at, .key = step->key};
	c->is_changed = true;
}

static void
put_message(Rowset *rows, const LastMessage *m)
{
	rowset_put_text(rows, m->server);
	rowset_put_if(rows, m->at != 0, TimestampTzGetDatum(m->at));
	rowset_put_if(rows, m->at != 0, UUIDPGetDatum(&m->key));
}

/* Writes what was taken; in the claim's transaction, inside an SPI connection. */
void
cadence_conversations_write(CadenceConversations *conversations, CadenceStep **steps, int n)
{
	CadenceStep **some = palloc(sizeof(*some) * Max(n, 1));
	Rowset rows;

	n = with_conversation(steps, n, some);
	rowset_begin(&rows, written_columns, lengthof(written_columns));
	for (int i = 0; i < n; i++)
	{
		CadenceConversation *c = some[i]->conversation;

		if (!c->is_changed)
			continue;
		c->is_changed = false;
		put_key(&rows, c);
		put_message(&rows, &c->last);
		rowset_put_null(&rows);
		rowset_put_null(&rows);
	}
	if (rows.n > 0)
		statement_execute(&conversations->write, NULL, NULL, 0);
	rowset_end(&rows);
	pfree(some);
}

/* ---- settling ------------------------------------------------------------------------ */

/* It has ended, and was certainly not sent. */
static bool
is_unsent(const CadenceStep *step)
{
	return step->outcome != OUTCOME_PENDING && !cadence_was_accepted(step) &&
		   step->outcome != OUTCOME_UNCERTAIN;
}

/* What was before a step has taken it, and before those that have taken it for nothing. */
static LastMessage
what_was(const CadenceStep *step)
{
	while (step->taken_from != NULL && is_unsent(step->taken_from))
		step = step->taken_from;
	return step->before;
}

/* What a conversation becomes that a step has taken; false: it stays. */
static bool
becomes(const CadenceStep *step, LastMessage *to)
{
	TimestampTz started = step->answer.at - step->answer.elapsed_us;

	if (step->conversation == NULL || step->reserved_at == 0)
		return false;
	*to = what_was(step);
	if (is_unsent(step))
		return true;
	*to =
		(LastMessage){.server = step->request.configuration->name, .at = started, .key = step->key};
	return step->pool->is_timed && step->answer.at != 0 && started - step->reserved_at > LATE_US;
}

static void
put_settled(Rowset *rows, const CadenceStep *step, const LastMessage *to)
{
	put_key(rows, step->conversation);
	put_message(rows, to);
	rowset_put_uuid(rows, &step->key);
	rowset_put_time(rows, step->reserved_at);
}

/*
 * Gives back the conversations of what was not sent, and notes when those were
 * that had to wait; in the record's transaction, before it has locked anything.
 */
void
cadence_conversations_settle(CadenceConversations *conversations, CadenceStep **steps, int n)
{
	CadenceStep **some = palloc(sizeof(*some) * Max(n, 1));
	LastMessage to;
	Rowset rows;

	n = with_conversation(steps, n, some);
	rowset_begin(&rows, written_columns, lengthof(written_columns));
	for (int i = 0; i < n; i++)
		if (becomes(some[i], &to))
			put_settled(&rows, some[i], &to);
	if (rows.n > 0)
		statement_execute(&conversations->settle, NULL, NULL, 0);
	rowset_end(&rows);
	pfree(some);
}
