/*
 * tally_runs.c
 *		What has happened to single runs, counted: to which step of which cadence, and
 *		of which day's runs.
 *
 * For what comes back, and for what is rare. Each run counts once in what it counts
 * as: whether this is the first time is asked of what its events and messages say.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/lock.h"
#include "base/row.h"
#include "record/tally_parts.h"
#include "schema/calendar.h"
#include "schema/key.h"

static const RowsetColumn run_columns[] = {
	{"n", INT4OID},		   {"run_id", UUIDOID},		{"step", UUIDOID}, {"ordem", INT4OID},
	{"template", TEXTOID}, {"next_ordem", INT4OID}, {"once", INT4OID}, {"message", UUIDOID}};

static const Oid last_types[] = {TEXTOID, TEXTOID, TIMESTAMPTZOID};
static const Oid lock_types[] = {UUIDOID};
static const Oid first_types[] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, UUIDOID};

enum
{
	FOUND_N = 1,
	FOUND_EMPRESA,
	FOUND_CADENCE,
	FOUND_STEP,
	FOUND_NEXT,
	FOUND_STARTED_AT,
	FOUND_ZONE,
	FOUND_FIRST
};

enum
{
	LAST_RUN = 1,
	LAST_ORDEM,
	LAST_TEMPLATE,
	LAST_AT
};

/* ---- statements ------------------------------------------------------------------------ */

/*
 * The step that had that number when it was spoken of: of those that the run has had, rather the
 * one that has that template, since a cadence may have been edited meanwhile, also when the run was
 * over. One that neither has is not it: that step is there no more.
 */
#define HAS_TEMPLATE "(x.template_codigo::pg_catalog.text " EQ " d.template)"
#define HAS_NUMBER "(x.ordem " EQ " d.ordem)"
#define NUMBERED_STEP                                                                              \
	"(SELECT x.id FROM %s AS x WHERE x.cadence_id " EQ " r.cadence_id AND (x.id " EQ               \
	" ANY (r.passos_enviados) OR (r.edicao IS NULL AND " HAS_NUMBER ")) "                          \
	"AND (" HAS_TEMPLATE " OR " HAS_NUMBER ") ORDER BY " HAS_TEMPLATE " IS TRUE DESC, " HAS_NUMBER \
	" IS TRUE DESC, x.id LIMIT 1)"

/*
 * Given up, or come back: what is only not known yet, or was not wanted any more, is neither.
 * More than once, where its event is there already.
 */
#define HAS_FAILED                                                                                 \
	"EXISTS (SELECT FROM %s AS e WHERE e.lead_cadence_run_id " EQ " d.run_id AND e.step_ordem " EQ \
	" d.ordem AND e.tipo_evento " EQ " 'ERRO' AND ((e.detalhes " JSON_TEXT " 'permanente' " EQ     \
	" 'true' AND e.detalhes " JSON_TEXT " 'codigo' " NE                                            \
	" ALL ('{INCERTO,OPT_OUT,BLOQUEADO,SAIDA,CANCELADA,RESPOSTA}'::pg_catalog.text[])) "           \
	"OR (e.detalhes " JSON_TEXT " 'tardio' " EQ " 'true' AND e.detalhes " JSON_TEXT                \
	" 'message_id' IS NOT NULL)) OFFSET (CASE WHEN d.once " EQ " %d THEN 1 ELSE 0 END))"

/* Another message of the same step has that time: it was sent again, or twice. */
#define OTHER_HAS(time)                                                                           \
	"EXISTS (SELECT FROM %s AS e CROSS JOIN LATERAL ("                                            \
	"SELECT m.id, m." time " AS at FROM %s AS m WHERE m.whatsapp_message_id::pg_catalog.text " EQ \
	" (e.detalhes " JSON_TEXT " 'message_id') UNION ALL "                                         \
	"SELECT m.id, m." time " FROM %s AS m WHERE m.email_message_id::pg_catalog.text " EQ          \
	" (e.detalhes " JSON_TEXT " 'message_id') UNION ALL "                                         \
	"SELECT m.id, m." time " FROM %s AS m WHERE m.sms_message_id::pg_catalog.text " EQ            \
	" (e.detalhes " JSON_TEXT " 'message_id')) AS o "                                             \
	"WHERE e.lead_cadence_run_id " EQ " d.run_id AND e.step_ordem " EQ " d.ordem "                \
	"AND o.at IS NOT NULL AND o.id IS DISTINCT FROM d.message)"

static char *
find_runs_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT d.n, r.empresa::pg_catalog.text, r.cadence_id::pg_catalog.uuid, "
		"COALESCE(d.step, CASE WHEN d.ordem IS NOT NULL THEN " NUMBERED_STEP
		" END), (SELECT x.id FROM %s AS x "
		"WHERE x.cadence_id " EQ " r.cadence_id AND x.ordem " EQ " d.next_ordem LIMIT 1), "
		"COALESCE(r.started_at, r.created_at)::pg_catalog.timestamptz, "
		"(SELECT " SHORT_TEXT(
			"k.fuso_horario",
			"100") " FROM %s AS k WHERE %s LIMIT 1), "
				   "NOT CASE WHEN d.once " EQ " ANY (ARRAY[%d, %d]) THEN " HAS_FAILED
				   " WHEN d.once " EQ
				   " %d THEN " OTHER_HAS("entregue_em") " WHEN d.once " EQ " %d THEN " OTHER_HAS(
					   "lido_em") " ELSE false END "
								  "FROM " ROWSET_NAME " AS d JOIN %s AS r ON r.id " EQ " d.run_id",
		t->steps, t->steps, t->empresas,
		cadence_key_is(t, "cadence_empresas", "k", "empresa", "r.empresa"), TALLY_FIRST_FAILURE,
		TALLY_ONLY_FAILURE, t->events, TALLY_ONLY_FAILURE, TALLY_FIRST_DELIVERED, t->events,
		t->messages, t->messages, t->messages, TALLY_FIRST_READ, t->events, t->messages,
		t->messages, t->messages, t->runs);
}

/* An answer may be here before what it answers is recorded. */
#define SOON "interval '10 seconds'"

/*
 * What a person has got last, until somewhat after $3, of any of their runs; each state of runs
 * has an index of its own.
 */
static char *
find_last_sql(const CadenceTables *t)
{
	char *is_theirs =
		psprintf("%s AND %s", cadence_key_is(t, "lead_cadence_runs", "r", "lead_id", "$1"),
				 cadence_key_is(t, "lead_cadence_runs", "r", "empresa", "$2"));

	return psprintf(
		"SELECT p.id::pg_catalog.uuid, l.step_ordem::pg_catalog.int4, "
		"l.template_codigo::pg_catalog.text, l.created_at::pg_catalog.timestamptz FROM ("
		"SELECT r.id FROM %s AS r WHERE r.status " EQ " 'ATIVA' AND %s UNION ALL "
		"SELECT r.id FROM %s AS r WHERE r.status " EQ " 'PAUSADA' AND %s UNION ALL "
		"SELECT r.id FROM %s AS r WHERE r.status " NE " 'ATIVA' AND r.status " NE
		" 'PAUSADA' AND %s) AS p CROSS JOIN LATERAL ("
		"SELECT e.step_ordem, e.template_codigo, e.created_at FROM %s AS e "
		"WHERE e.lead_cadence_run_id " EQ " p.id AND e.tipo_evento " EQ " 'DISPARADO' "
		"AND e.created_at " LE " ($3 OPERATOR(pg_catalog.+) " SOON
		") ORDER BY e.created_at DESC, e.id DESC LIMIT 1) AS l "
		"ORDER BY l.created_at DESC LIMIT 1",
		t->runs, is_theirs, t->runs, is_theirs, t->runs, is_theirs, t->events);
}

/* Of the answers since $3, $4 is the only one. */
static char *
is_first_reply_sql(const CadenceTables *t)
{
	return psprintf("SELECT 1 WHERE NOT EXISTS (SELECT FROM %s AS m WHERE %s AND %s "
					"AND m.recebido_em " GE " ($3 OPERATOR(pg_catalog.-) " SOON
					") AND m.recebido_em IS NOT NULL AND m.direcao " EQ
					" 'INBOUND' AND m.id IS DISTINCT FROM $4)",
					t->messages, cadence_key_is(t, "lead_messages", "m", "lead_id", "$1"),
					cadence_key_is(t, "lead_messages", "m", "empresa", "$2"));
}

/* Run $4 has not ended by one before, and since $3 there is no other that stands. */
static char *
is_first_opt_out_sql(const CadenceTables *t)
{
	return psprintf("SELECT 1 WHERE (SELECT pg_catalog.count(*) " LE " 1 FROM %s AS o "
					"WHERE %s AND %s AND o.em " GE " ($3 OPERATOR(pg_catalog.-) " SOON
					")) AND NOT EXISTS (SELECT FROM %s AS e WHERE e.lead_cadence_run_id " EQ
					" $4 AND e.tipo_evento " EQ " 'ERRO' AND e.detalhes " JSON_TEXT " 'codigo' " EQ
					" 'OPT_OUT')",
					t->opt_outs, cadence_key_is(t, "contact_opt_outs", "o", "lead_id", "$1"),
					cadence_key_is(t, "contact_opt_outs", "o", "empresa", "$2"), t->events);
}

void
tally_runs_prepare(CadenceTally *tally)
{
	const CadenceTables *t = tally->tables;

	tally->find_runs =
		ROWS_STATEMENT("looking for runs that count", find_runs_sql(t), SPI_OK_SELECT);
	tally->find_last = STATEMENT("looking for what somebody got last", find_last_sql(t), last_types,
								 SPI_OK_SELECT);
	tally->lock_run =
		STATEMENT("locking a run that counts",
				  psprintf("SELECT 1 FROM %s AS r WHERE r.id " EQ " $1 FOR NO KEY UPDATE", t->runs),
				  lock_types, SPI_OK_SELECT);
	tally->is_first_reply =
		STATEMENT("looking for earlier answers", is_first_reply_sql(t), first_types, SPI_OK_SELECT);
	tally->is_first_opt_out = STATEMENT("looking for earlier opt-outs", is_first_opt_out_sql(t),
										first_types, SPI_OK_SELECT);
}

/* ---- at one moment ------------------------------------------------------------------------ */

/* So many locks of these a transaction holds at most, however much it tells. */
#define FIRSTS_MAX 64

/*
 * Nobody else counts the first of that at this moment. Who does is not waited for: whoever
 * counts holds rows, and others take them in another order.
 */
static bool
is_alone(uint64 key)
{
	static TransactionId transaction = InvalidTransactionId;
	static int nheld;

	if (transaction != GetTopTransactionId())
		nheld = 0;
	transaction = GetTopTransactionId();
	return nheld++ >= FIRSTS_MAX || cadence_lock_try(CADENCE_LOCK_FIRST, key, false);
}

/* Of two messages of one step the same may be told at once, and neither sees the other. */
static bool
may_be_first(const TallyRun *run)
{
	TallyOnce once = run->once == TALLY_ONLY_FAILURE ? TALLY_FIRST_FAILURE : run->once;
	uint64 seed = (uint64) run->ordem << 8 | once;

	return once == TALLY_EACH ||
		   is_alone(hash_bytes_extended((const unsigned char *) &run->run, UUID_LEN, seed));
}

/* ---- runs -------------------------------------------------------------------------------- */

static void
complete_row(TallyRow *row, TupleDesc desc, HeapTuple found)
{
	int32 *day = palloc(sizeof(*day));

	row->empresa = row_text(desc, found, FOUND_EMPRESA, ROW_KEY_MAX);
	row->cadence = row_uuid_copy(desc, found, FOUND_CADENCE);
	row->step = row_uuid_copy(desc, found, FOUND_STEP);
	row->next_step = row_uuid_copy(desc, found, FOUND_NEXT);
	*day = cadence_cohort_day(row_text(desc, found, FOUND_ZONE, ROW_KEY_MAX),
							  row_time(desc, found, FOUND_STARTED_AT, DT_NOBEGIN));
	row->day = day;
	if (!row_true(desc, found, FOUND_FIRST))
		row->mark = NULL;
}

static void
put_run(Rowset *rows, const TallyRun *run, int number)
{
	rowset_put_int(rows, number);
	rowset_put_uuid(rows, &run->run);
	rowset_put_if(rows, run->step != NULL, UUIDPGetDatum(run->step));
	rowset_put_if(rows, run->has_ordem, Int32GetDatum(run->ordem));
	rowset_put_text(rows, run->row.template_codigo);
	rowset_put_if(rows, run->has_next, Int32GetDatum(run->next_ordem));
	rowset_put_int(rows, run->once);
	rowset_put_if(rows, run->message != NULL, UUIDPGetDatum(run->message));
}

/* Some that say nothing any more: neither what nor of which runs. */
static int
without_empty(TallyRow *rows, int n)
{
	int kept = 0;

	for (int i = 0; i < n; i++)
		if (rows[i].kind != NULL || rows[i].mark != NULL || rows[i].next_step != NULL)
			rows[kept++] = rows[i];
	return kept;
}

/* So many different rows are looked through for one that is alike. */
#define ALIKE_MAX 64

static bool
is_same_id(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return a == b || (a != NULL && b != NULL && memcmp(a, b, UUID_LEN) == 0);
}

static bool
is_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Durations are none of these. */
static bool
is_alike(const TallyRow *a, const TallyRow *b)
{
	return is_same_text(a->kind, b->kind) && is_same_text(a->mark, b->mark) &&
		   (a->n < 0) == (b->n < 0) && a->first_at == b->first_at && is_same_id(a->step, b->step) &&
		   is_same_id(a->next_step, b->next_step) && is_same_id(a->cadence, b->cadence) &&
		   (a->day == b->day || (a->day != NULL && b->day != NULL && *a->day == *b->day)) &&
		   is_same_text(a->empresa, b->empresa) && is_same_text(a->server, b->server) &&
		   is_same_text(a->canal, b->canal) && is_same_text(a->outcome, b->outcome) &&
		   is_same_text(a->code, b->code) && is_same_text(a->template_codigo, b->template_codigo);
}

static int
merge_alike(TallyRow *rows, int n)
{
	int kept = 0;

	for (int i = 0; i < n; i++)
	{
		int k = Max(kept - ALIKE_MAX, 0);

		while (k < kept && !is_alike(&rows[k], &rows[i]))
			k++;
		if (k < kept)
			rows[k].n += rows[i].n;
		else
			rows[kept++] = rows[i];
	}
	return kept;
}

/* Inside the caller's transaction and SPI connection; a run that is gone counts nowhere but in
 * all. */
void
tally_runs(CadenceTally *tally, const TallyRun *list, int n)
{
	TallyRow *counted = palloc(sizeof(*counted) * Max(n, 1));
	TallyWriter writer;
	Rowset rows;

	if (n == 0)
		return;
	writer = tally_begin(tally);
	rowset_begin(&rows, run_columns, lengthof(run_columns));
	for (int i = 0; i < n; i++)
	{
		counted[i] = list[i].row;
		if (!may_be_first(&list[i]))
			counted[i].mark = NULL;
		put_run(&rows, &list[i], i);
	}
	statement_execute(&tally->find_runs, NULL, NULL, 0);
	rowset_end(&rows);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];

		complete_row(&counted[row_int(SPI_tuptable->tupdesc, row, FOUND_N, 0)],
					 SPI_tuptable->tupdesc, row);
	}
	SPI_freetuptable(SPI_tuptable);
	tally_end(&writer);
	n = without_empty(counted, n);
	tally_insert(tally, counted, merge_alike(counted, n));
}

typedef struct SomeRuns
{
	CadenceTally *tally;
	const TallyRun *list;
} SomeRuns;

static void
count_some(void *arg, int first, int n)
{
	SomeRuns *some = arg;

	tally_runs(some->tally, &some->list[first], n);
}

void
cadence_tally_runs(CadenceTally *tally, const TallyRun *list, int n)
{
	SomeRuns some = {tally, list};

	if (n > 0)
		tally_try(count_some, &some, n);
}

/* ---- people ------------------------------------------------------------------------------ */

/* The run, and which step of it, that somebody has heard of last; false: of none. */
static bool
find_last(CadenceTally *tally, const TallyPerson *did, TallyRun *run, TimestampTz *last_at)
{
	TimestampTz at = did->at != 0 ? did->at : GetCurrentTimestamp();
	Datum values[] = {CStringGetTextDatum(did->lead_id), CStringGetTextDatum(did->empresa),
					  TimestampTzGetDatum(at)};
	bool found;

	statement_execute(&tally->find_last, values, NULL, 1);
	found = SPI_processed > 0;
	if (found)
	{
		HeapTuple row = SPI_tuptable->vals[0];
		TupleDesc desc = SPI_tuptable->tupdesc;

		(void) row_uuid(desc, row, LAST_RUN, &run->run);
		run->has_ordem = !row_is_null(desc, row, LAST_ORDEM);
		run->ordem = row_int(desc, row, LAST_ORDEM, 0);
		run->row.template_codigo = row_text(desc, row, LAST_TEMPLATE, ROW_KEY_MAX);
		*last_at = row_time(desc, row, LAST_AT, at);
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

static bool
is_alone_of(const TallyPerson *did)
{
	char *name = psprintf("%s\n%s", did->empresa, did->lead_id);

	return is_alone(hash_bytes_extended((const unsigned char *) name, (int) strlen(name), 0));
}

/* Of two answers at once the second sees the first: the run is locked. */
static bool
is_first(CadenceTally *tally, const TallyPerson *did, const TallyRun *run, TimestampTz last_at)
{
	Datum lock[] = {UUIDPGetDatum(&run->run)};
	Datum values[] = {CStringGetTextDatum(did->lead_id), CStringGetTextDatum(did->empresa),
					  TimestampTzGetDatum(last_at),
					  UUIDPGetDatum(did->answer != NULL ? did->answer : &run->run)};
	bool first;

	if (did->answer == NULL && !is_alone_of(did))
		return false;
	if (did->answer != NULL)
	{
		statement_execute(&tally->lock_run, lock, NULL, 0);
		SPI_freetuptable(SPI_tuptable);
	}
	statement_execute(did->answer != NULL ? &tally->is_first_reply : &tally->is_first_opt_out,
					  values, NULL, 1);
	first = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	return first;
}

typedef struct SomePerson
{
	CadenceTally *tally;
	const TallyPerson *did;
} SomePerson;

static void
count_person(void *arg, int first, int n)
{
	const TallyPerson *did = ((SomePerson *) arg)->did;
	CadenceTally *tally = ((SomePerson *) arg)->tally;
	TallyRun run = {.row = did->row};
	TallyWriter writer = tally_begin(tally);
	TimestampTz last_at;
	bool found = find_last(tally, did, &run, &last_at);

	if (!found || !is_first(tally, did, &run, last_at))
		run.row.mark = NULL;
	tally_end(&writer);
	run.row.empresa = did->empresa;
	if (found)
		tally_runs(tally, &run, 1);
	else if (run.row.kind != NULL)
		tally_insert(tally, &run.row, 1);
}

/* Counts what somebody has done to the step that they have got last. */
void
cadence_tally_person(CadenceTally *tally, const TallyPerson *did)
{
	SomePerson some = {tally, did};

	tally_try(count_person, &some, 1);
}
