/*
 * enrolment.c
 *		Leads are enrolled in a cadence, one or many.
 *
 * A chunk of leads is looked at, and those that may begin get a run, in two
 * statements. Nobody is locked for that: our own table's unique index knows whether
 * somebody else has made a lead active since we looked, and who is in the way is looked
 * at again. Leads come in the order of their ids, so that two who enrol the same ones
 * wait for each other, and not each for the other.
 *
 * Other rules have no index. Where one of them counts, whoever enrols waits for whoever
 * does so already, until that transaction has ended: for a cadence, where the table
 * was adopted, where a lead is enrolled once ever, or where an active run is cancelled
 * for a new one; for a company's exclusive cadences. One lock stands for all leads, since
 * the lock table is small. Who has it looks with a snapshot that is newer.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/lock.h"
#include "base/row.h"
#include "base/uuid.h"
#include "record/event.h"
#include "record/move.h"
#include "record/settle.h"
#include "schema/calendar.h"
#include "schema/key.h"
#include "sqlapi/enrolment.h"

/* So often who has come first is looked for; then whatever is in the way is an error. */
#define LOOKS_MAX 3

struct CadenceEnrolment
{
	CadenceMover *mover;
	CadenceEvents *events;
	CadenceCalendars *calendars;
	bool guarded;		 /* a unique index keeps a lead from being active twice */
	MemoryContext plans; /* of the next one alone */
	Statement look;
	int64 looked;			 /* at so many leads */
	int64 replan_at;		 /* at so many it is planned anew */
	Statement insert;		 /* an error where a lead is active */
	Statement insert_others; /* without those */
	Statement present;

	/* of this call */
	MemoryContext context;
	const EnrolWish *wish;
	EnrolCadence *cadence;
};

/* ---- statements ------------------------------------------------------------------- */

static const RowsetColumn lead_columns[] = {{"n", INT4OID}, {"lead_id", TEXTOID}};
static const RowsetColumn run_columns[] = {
	{"n", INT4OID}, {"id", UUIDOID}, {"lead_id", TEXTOID}, {"due", TIMESTAMPTZOID}};

/* The lead's runs in this cadence that it is not active in, in a query over leads. */
static char *
past_sql(const CadenceTables *t, const char *lead)
{
	const char *select = psprintf(
		"SELECT r.id::uuid, r.created_at FROM %s AS r WHERE $3 AND %s AND r.cadence_id " EQ " $1",
		t->runs, lead);

	return psprintf("(SELECT p.id FROM (%s AND r.status " EQ " 'PAUSADA' UNION ALL "
					"%s AND r.status " NE " 'ATIVA' AND r.status " NE " 'PAUSADA') AS p "
					"ORDER BY p.created_at DESC NULLS LAST, p.id DESC LIMIT 1)",
					select, select);
}

/* Those in exclusive cadences of this company that have not ended. */
static char *
elsewhere_sql(const CadenceTables *t, const char *lead)
{
	const char *select =
		psprintf("SELECT r.id::uuid, r.cadence_id FROM %s AS r WHERE $4 AND %s AND %s", t->runs,
				 lead, cadence_key_is(t, "lead_cadence_runs", "r", "empresa", "$2"));

	return psprintf("(SELECT e.id, c.codigo::text FROM (%s AND r.status " EQ " 'ATIVA' UNION ALL "
					"%s AND r.status " EQ " 'PAUSADA') AS e JOIN %s AS c ON c.id " EQ
					" e.cadence_id AND c.exclusiva WHERE c.id " NE " $1 LIMIT 1)",
					select, select, t->cadences);
}

/* Each part has its index, whatever the others are. */
static char *
look_sql(const CadenceTables *t)
{
	char *lead = cadence_key_is(t, "lead_cadence_runs", "r", "lead_id", "d.lead_id");

	return psprintf(
		"SELECT d.n, a.id, a.started_at, p.id, e.id, e.codigo, "
		"CASE WHEN $5 THEN EXISTS (SELECT FROM %s AS k WHERE %s AND %s) ELSE true END "
		"FROM " ROWSET_NAME " AS d "
		"LEFT JOIN LATERAL (SELECT r.id::uuid, r.started_at::timestamptz FROM %s AS r WHERE %s "
		"AND r.cadence_id " EQ " $1 AND r.status " EQ " 'ATIVA' LIMIT 1) AS a ON true "
		"LEFT JOIN LATERAL %s AS p ON true LEFT JOIN LATERAL %s AS e ON true",
		t->contacts, cadence_key_is(t, "lead_contacts", "k", "lead_id", "d.lead_id"),
		cadence_key_is(t, "lead_contacts", "k", "empresa", "$2"), t->runs, lead, past_sql(t, lead),
		elsewhere_sql(t, lead));
}

static const Oid look_types[] = {UUIDOID, TEXTOID, BOOLOID, BOOLOID, BOOLOID};

enum
{
	LOOK_NUMBER = 1,
	LOOK_ACTIVE,
	LOOK_STARTED_AT,
	LOOK_PAST,
	LOOK_ELSEWHERE,
	LOOK_OTHER,
	LOOK_HAS_CONTACT
};

static char *
insert_sql(const CadenceTables *t, const char *otherwise)
{
	Oid empresa = get_atttype(t->runs_oid, get_attnum(t->runs_oid, "empresa"));

	return psprintf("INSERT INTO %s (id, lead_id, empresa, cadence_id, status, started_at, "
					"next_step_ordem, next_run_at, attempts, counts_from, created_at, updated_at) "
					"SELECT d.id, d.lead_id, $2::%s, $1, 'ATIVA'::%s, $4, $3, d.due, 0, $4, " NOW
					", " NOW " FROM " ROWSET_NAME " AS d%s",
					t->runs, format_type_be_qualified(empresa), t->run_status_type, otherwise);
}

static const Oid insert_types[] = {UUIDOID, TEXTOID, INT4OID, TIMESTAMPTZOID};

/* In the current memory context. */
CadenceEnrolment *
cadence_enrolment_create(const CadenceTables *t)
{
	CadenceEnrolment *e = palloc0(sizeof(*e));

	e->mover = cadence_mover_create(t);
	e->events = cadence_events_create(t);
	e->calendars = cadence_calendars_create(t, false);
	e->guarded = cadence_active_is_guarded(t);
	e->plans = AllocSetContextCreate(CurrentMemoryContext, "cadence_runner plan of enrolments",
									 ALLOCSET_SMALL_SIZES);
	e->look = STATEMENT("looking at leads", look_sql(t), look_types, SPI_OK_SELECT);
	e->look.context = e->plans;
	e->insert = STATEMENT("inserting runs", insert_sql(t, ""), insert_types, SPI_OK_INSERT);
	e->insert_others = STATEMENT("inserting runs", insert_sql(t, " ON CONFLICT DO NOTHING"),
								 insert_types, SPI_OK_INSERT);
	e->present = ROWS_STATEMENT("looking for new runs",
								psprintf("SELECT d.n FROM " ROWSET_NAME " AS d WHERE EXISTS "
										 "(SELECT FROM %s AS r WHERE r.id " EQ " d.id)",
										 t->runs),
								SPI_OK_SELECT);
	/* an older snapshot would not see who was enrolled meanwhile */
	e->look.latest = e->present.latest = true;
	return e;
}

/*
 * Takes the locks of a cadence, before its leads are looked at; inside an SPI
 * connection. Wish and cadence must live as long as the current memory context, and
 * so does what is said of leads.
 */
void
cadence_enrolment_open(CadenceEnrolment *e, const EnrolWish *wish, EnrolCadence *cadence)
{
	e->context = CurrentMemoryContext;
	e->wish = wish;
	e->cadence = cadence;
	cadence_calendars_refresh(e->calendars);
	if (cadence->is_exclusive)
		cadence_lock_hold(CADENCE_LOCK_EXCLUSIVE, cadence->company_key);
	if (!e->guarded || cadence->reentry != REENTRY_INACTIVE)
		cadence_lock_hold(CADENCE_LOCK_ENROLMENT, cadence->key);
}

/* ---- looking ---------------------------------------------------------------------- */

/* Leads, numbered, for a statement; rowset_end() is the caller's. */
void
cadence_enrol_leads_begin(Rowset *rows, EnrolLead **leads, int n)
{
	rowset_begin(rows, lead_columns, lengthof(lead_columns));
	for (int i = 0; i < n; i++)
	{
		rowset_put_int(rows, i);
		rowset_put_datum(rows, leads[i]->lead_id);
	}
}

static int
result_column(EnrolResult result)
{
	switch (result)
	{
		case ENROL_PASSED:
			return LOOK_PAST;
		case ENROL_ELSEWHERE:
			return LOOK_ELSEWHERE;
		default:
			return LOOK_ACTIVE;
	}
}

static void
judge(CadenceEnrolment *e, EnrolLead *lead, TupleDesc desc, HeapTuple row)
{
	ReentryFacts facts = {.reentry = e->cadence->reentry,
						  .is_active = !row_is_null(desc, row, LOOK_ACTIVE),
						  .was_there = !row_is_null(desc, row, LOOK_PAST),
						  .is_elsewhere = !row_is_null(desc, row, LOOK_ELSEWHERE)};

	facts.same_start = facts.is_active && row_time(desc, row, LOOK_STARTED_AT, 0) == e->wish->start;
	lead->result = reentry_result(&facts);
	lead->has_contact = row_true(desc, row, LOOK_HAS_CONTACT);
	lead->has_run = row_uuid(desc, row, result_column(lead->result), &lead->run);
	if (lead->result == ENROL_ELSEWHERE)
		lead->other = MemoryContextStrdup(e->context, SPI_getvalue(row, desc, LOOK_OTHER));
}

/*
 * To an empty table one index is as good as another; a plan that was made for one is bad
 * for what we make of it.
 */
static void
renew_plan(CadenceEnrolment *e, int n)
{
	if (e->looked >= e->replan_at)
	{
		MemoryContextReset(e->plans);
		e->look.plan = NULL;
		e->replan_at = 2 * Max(e->looked, 1);
	}
	e->looked += n;
}

/* What is to become of each. */
static void
look(CadenceEnrolment *e, EnrolLead **leads, int n)
{
	Datum values[lengthof(look_types)] = {UUIDPGetDatum(&e->cadence->id)};
	char nulls[lengthof(look_types)] = {' ', ' ', ' ', ' ', ' '};
	Rowset rows;

	statement_put_text(values, nulls, 1, e->cadence->empresa);
	values[2] = BoolGetDatum(e->cadence->reentry == REENTRY_ONCE);
	values[3] = BoolGetDatum(e->cadence->is_exclusive);
	values[4] = BoolGetDatum(e->wish->wants_contact);
	renew_plan(e, n);
	cadence_enrol_leads_begin(&rows, leads, n);
	statement_execute(&e->look, values, nulls, 0);
	rowset_end(&rows);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		judge(e, leads[row_int(desc, row, LOOK_NUMBER, 0)], desc, row);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* ---- starting over ------------------------------------------------------------------ */

/*
 * Cancels the runs of those that start over. A message that is under way is not called
 * back: its claim stays. A run that has ended meanwhile is left as it is.
 */
static void
cancel(CadenceEnrolment *e, EnrolLead **leads, int n)
{
	pg_uuid_t *ids = palloc(sizeof(*ids) * n);
	LockedRun *runs = palloc(sizeof(*runs) * n);
	RunTransition *to = palloc(sizeof(*to) * n);
	CadenceEvent *events = palloc(sizeof(*events) * n);
	int nids = 0;
	int nruns = 0;

	for (int i = 0; i < n; i++)
		if (leads[i]->result == ENROL_OVER)
			ids[nids++] = leads[i]->run;
	if (nids > 0)
		nids = cadence_runs_lock(e->mover, ids, nids, runs);
	for (int i = 0; i < nids; i++)
	{
		to[nruns] =
			cadence_run_transition(&runs[i], ACT_CANCEL, GetCurrentTransactionStartTimestamp());
		if (to[nruns].refusal == REFUSAL_NONE)
			runs[nruns++] = runs[i];
	}
	for (int i = 0; i < nruns; i++)
		events[i] = cadence_run_event(&runs[i], "ERRO", event_cancelled_details("reentrada"));
	if (nruns > 0)
		cadence_runs_move(e->mover, runs, to, nruns);
	cadence_events_write(e->events, events, nruns);
}

/* ---- new runs ----------------------------------------------------------------------- */

/* When their first step is due. */
static void
set_due(CadenceEnrolment *e, EnrolLead **leads, int n)
{
	const StepTime *time = &e->cadence->time;
	bool local = step_needs_calendar(time);
	CadenceLead *people = palloc(sizeof(CadenceLead) * n);
	Calendar *calendars = palloc0(sizeof(Calendar) * n);

	for (int i = 0; i < n && local; i++)
		people[i] = (CadenceLead){TextDatumGetCString(leads[i]->lead_id), e->cadence->empresa};
	if (local)
		cadence_calendars_find(e->calendars, people, n, calendars);
	for (int i = 0; i < n; i++)
		leads[i]->due =
			step_due(time, e->wish->start, e->wish->start, e->wish->start, &calendars[i]);
}

/*
 * In the order of these ids they are taken where they are due together, and so in that
 * of their pages.
 */
static void
put_runs(Rowset *rows, EnrolLead **leads, int n)
{
	rowset_begin(rows, run_columns, lengthof(run_columns));
	for (int i = 0; i < n; i++)
	{
		cadence_uuid_v7(&leads[i]->run);
		leads[i]->has_run = true;
		rowset_put_int(rows, i);
		rowset_put_uuid(rows, &leads[i]->run);
		rowset_put_datum(rows, leads[i]->lead_id);
		rowset_put_time(rows, leads[i]->due);
	}
}

void
cadence_enrol_refuse_active(const EnrolLead *lead, const EnrolWish *wish)
{
	ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
					errmsg("lead \"%s\" is already active in cadence \"%s\"",
						   TextDatumGetCString(lead->lead_id), wish->codigo),
					errhint("Cancel the active run first, with cadence_cancel().")));
}

/*
 * One of them is active, and can not be seen so: a policy hides it, or the transaction is
 * not to see what others have committed since it began.
 */
static void
refuse_hidden(const CadenceEnrolment *e, EnrolLead **leads, int n, const ErrorData *error)
{
	if (n == 1)
		cadence_enrol_refuse_active(leads[0], e->wish);
	ereport(ERROR,
			(errcode(IsolationUsesXactSnapshot() ? ERRCODE_T_R_SERIALIZATION_FAILURE
												 : ERRCODE_UNIQUE_VIOLATION),
			 errmsg("a lead is already active in cadence \"%s\" with a run that can not be seen",
					e->wish->codigo),
			 error->detail != NULL ? errdetail_internal("%s", error->detail) : 0,
			 errhint("Try again; if that is in vain, a policy hides the run from this role.")));
}

static void
execute_insert(CadenceEnrolment *e, Statement *insert, EnrolLead **leads, int n)
{
	const EnrolCadence *c = e->cadence;
	MemoryContext context = CurrentMemoryContext;
	Datum values[lengthof(insert_types)] = {UUIDPGetDatum(&c->id), 0, Int32GetDatum(c->ordem),
											TimestampTzGetDatum(e->wish->start)};
	char nulls[lengthof(insert_types)] = {' ', ' ', c->has_ordem ? ' ' : 'n', ' '};

	statement_put_text(values, nulls, 1, c->empresa);
	PG_TRY();
	{
		statement_execute(insert, values, nulls, 0);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (!cadence_is_active_twice(error))
			PG_RE_THROW();
		FlushErrorState();
		refuse_hidden(e, leads, n, error);
	}
	PG_END_TRY();
}

/* Sorts out those that have a run now; how many are left. */
static int
keep_absent(CadenceEnrolment *e, EnrolLead **leads, int n)
{
	int left = 0;

	statement_execute(&e->present, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
		leads[row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], 1, 0)] = NULL;
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < n; i++)
		if (leads[i] != NULL)
			leads[left++] = leads[i];
	return left;
}

/*
 * Gives each a run; those whom somebody else has made active meanwhile are left, and
 * come first. How many these are.
 */
static int
insert(CadenceEnrolment *e, EnrolLead **leads, int n, bool last_time)
{
	bool strict = last_time || !e->guarded || IsolationUsesXactSnapshot();
	Rowset rows;
	int left = 0;

	set_due(e, leads, n);
	put_runs(&rows, leads, n);
	execute_insert(e, strict ? &e->insert : &e->insert_others, leads, n);
	if (SPI_processed < n)
		left = keep_absent(e, leads, n);
	rowset_end(&rows);
	if (left > 0 && strict)
		ereport(ERROR, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
						errmsg("a trigger or a rule has kept lead \"%s\" from being enrolled",
							   TextDatumGetCString(leads[0]->lead_id))));
	return left;
}

static void
write_events(CadenceEnrolment *e, EnrolLead **leads, int n)
{
	CadenceEvent *events = palloc(sizeof(*events) * n);
	int nevents = 0;

	for (int i = 0; i < n; i++)
		if (enrol_begins(leads[i]->result))
			events[nevents++] =
				(CadenceEvent){.run_id = &leads[i]->run,
							   .has_ordem = e->cadence->has_ordem,
							   .ordem = e->cadence->ordem,
							   .template_codigo = e->cadence->template_codigo,
							   .type = "AGENDADO",
							   .detalhes = event_scheduled_details(leads[i]->due, NULL)};
	cadence_events_write(e->events, events, nevents);
}

/*
 * Enrols leads that come in the order of their ids, each once, or finds why not;
 * inside an SPI connection.
 *
 * Errors: 23505 or 40001 where one is active with a run that this transaction can not see;
 * 09000 where a trigger has kept one from being enrolled.
 */
void
cadence_enrolment_add(CadenceEnrolment *e, EnrolLead **leads, int n)
{
	EnrolLead **left = palloc(sizeof(EnrolLead *) * n);
	int nleft = n;

	memcpy(left, leads, sizeof(EnrolLead *) * n);
	for (int looks = 1; nleft > 0; looks++)
	{
		int begin = 0;

		look(e, left, nleft);
		if (e->cadence->reentry == REENTRY_ALWAYS)
			cancel(e, left, nleft);
		for (int i = 0; i < nleft; i++)
			if (enrol_begins(left[i]->result))
				left[begin++] = left[i];
		nleft = begin > 0 ? insert(e, left, begin, looks >= LOOKS_MAX) : 0;
	}
	write_events(e, leads, n);
	pfree(left);
}
