/*
 * outbox.c
 *		News for other tools: rows of cadence_outbox, and what becomes of them.
 *
 * Whoever makes news writes their rows in the same transaction, where a server of
 * channel EVENTOS serves the company; without one nothing is written, since nobody
 * would take it away. What they tell of does not depend on them: they are written in
 * a subtransaction, and a table that refuses them loses them and nothing else. A row
 * is then delivered as a run's step is: claimed, sent through the same queue, and
 * settled here by what rules/transition.c decides of its attempt.
 *
 * The rows are the tables' owner's, whoever acts: who may settle a run need not be
 * allowed to write news.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/json.h"
#include "base/row.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "base/uuid.h"
#include "provider/provider.h"
#include "record/outbox.h"

struct CadenceOutbox
{
	Oid owner;
	Statement insert;
	Statement settle;
};

static const RowsetColumn news_columns[] = {{"id", UUIDOID},	  {"evento", TEXTOID},
											{"empresa", TEXTOID}, {"lead_id", TEXTOID},
											{"run_id", UUIDOID},  {"detalhes", JSONBOID}};
static const RowsetColumn settle_columns[] = {
	{"n", INT4OID},			 {"id", UUIDOID},
	{"claim_id", UUIDOID},	 {"lease_end", TIMESTAMPTZOID},
	{"status", TEXTOID},	 {"attempts", INT4OID},
	{"due", TIMESTAMPTZOID}, {"claim_after", UUIDOID},
	{"erro", TEXTOID}};
static const Oid insert_types[] = {TEXTARRAYOID};

static char *
insert_sql(const CadenceTables *t)
{
	return psprintf(
		"INSERT INTO %s (id, empresa, evento, run_id, lead_id, corpo, status, next_run_at, "
		"attempts, created_at, updated_at) SELECT n.id, n.empresa, n.evento, n.run_id, n.lead_id, "
		"pg_catalog.jsonb_build_object('id', n.id, 'event', n.evento, 'time', "
		"pg_catalog.clock_timestamp(), 'empresa', n.empresa, 'leadId', n.lead_id, 'runId', "
		"n.run_id, 'cadence', n.codigo, 'details', n.detalhes), 'PENDENTE', " NOW ", 0, " NOW
		", " NOW " FROM (SELECT d.id, d.evento, d.run_id, d.detalhes, "
		"COALESCE(d.empresa, r.empresa::pg_catalog.text) AS empresa, "
		"COALESCE(d.lead_id, r.lead_id::pg_catalog.text) AS lead_id, "
		"(SELECT c.codigo::pg_catalog.text FROM %s AS c WHERE c.id " EQ " r.cadence_id LIMIT 1) "
		"AS codigo FROM " ROWSET_NAME " AS d LEFT JOIN %s AS r ON r.id " EQ " d.run_id) AS n "
		"WHERE n.empresa IS NOT NULL AND ($1 IS NULL OR n.empresa " EQ " ANY ($1))",
		t->outbox, t->cadences, t->runs);
}

/* What was accepted is delivered, whoever has the row by now. */
static char *
settle_sql(const CadenceTables *t)
{
	return psprintf(
		"UPDATE %s AS o SET status = d.status, next_run_at = COALESCE(d.due, o.next_run_at), "
		"attempts = d.attempts, claim_id = d.claim_after, erro = d.erro, entregue_em = "
		"CASE WHEN d.status " EQ " 'ENTREGUE' THEN " NOW " END, updated_at = " NOW
		" FROM " ROWSET_NAME " AS d WHERE o.id " EQ " d.id AND o.status " EQ " 'PENDENTE' "
		"AND (d.status " EQ " 'ENTREGUE' OR ((o.claim_id " EQ " d.claim_id) IS TRUE "
		"AND (o.next_run_at " EQ " d.lease_end) IS TRUE)) RETURNING d.n",
		t->outbox);
}

/* In the current memory context. */
CadenceOutbox *
cadence_outbox_create(const CadenceTables *t)
{
	CadenceOutbox *o = palloc0(sizeof(*o));

	o->owner = t->owner;
	o->insert = STATEMENT("writing news", insert_sql(t), insert_types, SPI_OK_INSERT);
	o->settle = ROWS_STATEMENT("settling news", settle_sql(t), SPI_OK_UPDATE_RETURNING);
	return o;
}

/* ---- writing ------------------------------------------------------------------------- */

/* Whether anybody hears news; of which companies, the rows' statement knows. */
bool
cadence_outbox_is_heard(const CadenceOutbox *o)
{
	return cadence_news_companies(o->owner) != NIL;
}

/* NULL in the place of the array: of all. */
static Datum
companies(const CadenceOutbox *o, char *nulls)
{
	List *heard = cadence_news_companies(o->owner);
	Datum *texts = palloc(sizeof(Datum) * Max(list_length(heard), 1));
	int n = 0;
	ListCell *cell;

	nulls[0] = ' ';
	foreach (cell, heard)
	{
		const char *empresa = lfirst(cell);

		if (empresa[0] == '\0')
			nulls[0] = 'n';
		texts[n++] = CStringGetTextDatum(empresa);
	}
	return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
put_news(Rowset *rows, const CadenceNews *news)
{
	pg_uuid_t id;

	cadence_uuid_v7(&id);
	rowset_put_uuid(rows, &id);
	rowset_put_text(rows, news->event);
	rowset_put_text(rows, news->empresa);
	rowset_put_text(rows, news->lead_id);
	rowset_put_if(rows, news->run_id != NULL, UUIDPGetDatum(news->run_id));
	rowset_put_datum(rows, news->details);
}

static void
insert(CadenceOutbox *o, const CadenceNews *list, int n)
{
	char nulls[] = " ";
	Datum values[] = {companies(o, nulls)};
	Rowset rows;

	rowset_begin(&rows, news_columns, lengthof(news_columns));
	for (int i = 0; i < n; i++)
		put_news(&rows, &list[i]);
	statement_execute(&o->insert, values, nulls, 0);
	rowset_end(&rows);
}

/* What is to be written. */
typedef struct Writing
{
	CadenceOutbox *outbox;
	const CadenceNews *list;
} Writing;

/* Nor is a lock waited for without end. */
static void
write_some(void *arg, int first, int n)
{
	const Writing *w = arg;
	CadenceCaller caller;

	if (GetUserId() == w->outbox->owner && LockTimeout > 0)
	{
		insert(w->outbox, &w->list[first], n);
		return;
	}
	caller = cadence_owner_begin(w->outbox->owner);
	insert(w->outbox, &w->list[first], n);
	cadence_owner_end(caller);
}

/*
 * Writes news that somebody hears, inside the caller's transaction and SPI
 * connection. Where their table refuses them, they are missing, with a warning.
 */
void
cadence_outbox_write(CadenceOutbox *o, const CadenceNews *list, int n)
{
	Writing w = {.outbox = o, .list = list};
	bool is_worker = cadence_wakeup_fd() >= 0;
	ErrorData *error;

	if (n == 0 || !cadence_outbox_is_heard(o))
		return;
	error = cadence_try(write_some, &w, 0, n, false);
	if (error == NULL)
		return;
	/* a session's caller has cancelled it; in a worker a trigger of theirs takes too long */
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && !is_worker)
		ThrowErrorData(error);
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		cadence_xact_arm_timeout();
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("%d news for other tools could not be written: %s", n, error->message),
			 errdetail("What they tell of is done all the same, and nobody will hear of it.")));
	FreeErrorData(error);
}

static Datum
no_details(void)
{
	JsonObject details = json_begin();

	return json_end(&details);
}

/* A run has come to its end. */
void
cadence_outbox_finished(CadenceOutbox *o, const pg_uuid_t *run_id)
{
	CadenceNews news = {.event = "finished", .run_id = run_id};

	if (!cadence_outbox_is_heard(o))
		return;
	news.details = no_details();
	cadence_outbox_write(o, &news, 1);
}

/* Which step has failed for good, and why. */
static Datum
failure_details(const CadenceStep *step)
{
	JsonObject details = json_begin();

	if (step->has_step)
		json_add_int(&details, "step", step->ordem);
	json_add_text_if(&details, "canal", step->canal);
	json_add_text_if(&details, "templateCodigo", step->template_codigo);
	json_add_text_if(&details, "codigo", step->reason.code);
	json_add_text_if(&details, "erro", step->reason.text);
	return json_end(&details);
}

/* What attempts have made of their runs: those that have ended, or wait for somebody. */
void
cadence_outbox_steps(CadenceOutbox *o, CadenceStep **steps, int n)
{
	CadenceNews *list;
	int nlist = 0;

	if (n == 0 || !cadence_outbox_is_heard(o))
		return;
	list = palloc0(sizeof(*list) * n);
	for (int i = 0; i < n; i++)
	{
		const CadenceStep *s = steps[i];

		/* what a late answer has moved has its news from that */
		if (s->lost || s->late || !s->as_decided)
			continue;
		if (s->transition.status == RUN_DONE)
			list[nlist++] =
				(CadenceNews){.event = "finished", .run_id = &s->run_id, .details = no_details()};
		else if (s->transition.status == RUN_PAUSED && s->transition.permanent)
			list[nlist++] = (CadenceNews){
				.event = "failed", .run_id = &s->run_id, .details = failure_details(s)};
	}
	cadence_outbox_write(o, list, nlist);
	pfree(list);
}

/* ---- delivering ---------------------------------------------------------------------- */

static const char *
status_of(const RunTransition *to)
{
	switch (to->status)
	{
		case RUN_DONE:
			return "ENTREGUE";
		case RUN_ACTIVE:
			return "PENDENTE";
		default:
			return "PARADA";
	}
}

static const char *
error_of(const CadenceStep *step)
{
	if (step->outcome == OUTCOME_SENT || step->reason.code == NULL)
		return NULL;
	return psprintf("%s: %s", step->reason.code,
					step->reason.text != NULL ? step->reason.text : "");
}

static void
put_settled(Rowset *rows, const CadenceStep *step, int number)
{
	static const pg_uuid_t interrupted; /* as of runs: see move.c */
	const RunTransition *to = &step->transition;

	rowset_put_int(rows, number);
	rowset_put_uuid(rows, &step->run_id);
	rowset_put_uuid(rows, &step->claim_id);
	rowset_put_time(rows, step->lease_end);
	rowset_put_text(rows, status_of(to));
	rowset_put_int(rows, to->status == RUN_DONE ? step->attempts : to->attempts);
	rowset_put_if(rows, to->has_due, TimestampTzGetDatum(to->next_due));
	rowset_put_if(rows, to->claim == CLAIM_INTERRUPTED, UUIDPGetDatum(&interrupted));
	rowset_put_text(rows, error_of(step));
}

/*
 * Writes what became of news, as their transitions say, inside the caller's
 * transaction and SPI connection, and notes whose claims were lost.
 */
void
cadence_outbox_settle(CadenceOutbox *o, CadenceStep **steps, int n)
{
	Rowset rows;

	if (n == 0)
		return;
	rowset_begin(&rows, settle_columns, lengthof(settle_columns));
	for (int i = 0; i < n; i++)
	{
		steps[i]->lost = true;
		put_settled(&rows, steps[i], i);
	}
	statement_execute(&o->settle, NULL, NULL, 0);
	rowset_end(&rows);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		CadenceStep *step = steps[row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], 1, 0)];

		step->lost = false;
		step->as_decided = true;
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Removes so many old ones; true when there may be more of them. What is still to be
 * delivered is old by when it was written, and is looked for among so many of those
 * that come first: nobody serves them, or for far too long.
 */
bool
cadence_outbox_prune(const CadenceTables *t, TimestampTz before, int most)
{
	static const Oid types[] = {TIMESTAMPTZOID};
	Statement prune = STATEMENT(
		"removing old news",
		psprintf("DELETE FROM %s WHERE id " EQ
				 " ANY (pg_catalog.array_cat(ARRAY(SELECT o.id FROM %s AS o WHERE o.status " NE
				 " 'PENDENTE' AND o.updated_at " LT " $1 ORDER BY o.updated_at LIMIT %d "
				 "FOR UPDATE SKIP LOCKED), ARRAY(SELECT p.id FROM (SELECT o.id, o.created_at, "
				 "o.claim_id, o.next_run_at FROM %s AS o WHERE o.status " EQ " 'PENDENTE' "
				 "ORDER BY o.next_run_at, o.id LIMIT %d) AS p WHERE p.created_at " LT
				 " $1 AND (p.claim_id IS NULL OR p.next_run_at " LE " " NOW "))))",
				 t->outbox, t->outbox, most, t->outbox, most),
		types, SPI_OK_DELETE);
	Datum values[] = {TimestampTzGetDatum(before)};

	statement_execute(&prune, values, NULL, 0);
	return SPI_processed >= (uint64) most;
}
