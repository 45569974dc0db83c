/*
 * state_queries.c
 *		What the tables say of the state of an installation.
 *
 * Read as the owner of the tables, in a restricted context: whoever may call
 * needs no right on any table, and nothing that hangs on one of them runs with
 * the rights of the caller.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/statement.h"
#include "schema/arming.h"
#include "schema/extension.h"
#include "schema/owner.h"
#include "schema/tables.h"
#include "sqlapi/state_queries.h"

/* More are not counted. */
#define COUNT_MAX 1000000

enum
{
	STATE_DUE = 1,
	STATE_OLDEST,
	STATE_CLAIMED,
	STATE_UNCERTAIN,
	STATE_NEXT,
	STATE_NEVER,
	STATE_FAILURE,
	STATE_FAILED_AT
};

static char *
state_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT (SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS r WHERE r.status " EQ
		" 'ATIVA' AND r.next_run_at " LE " $1 LIMIT %d) AS d), "
		"(SELECT r.next_run_at FROM %s AS r WHERE r.status " EQ " 'ATIVA' "
		"AND r.next_run_at " LE " $1 ORDER BY r.next_run_at, r.id LIMIT 1), "
		/* one look-up for each claim, by the index of the due runs */
		"COALESCE((SELECT pg_catalog.sum((SELECT pg_catalog.count(*) FROM %s AS r "
		"WHERE r.status " EQ " 'ATIVA' AND r.next_run_at " GE " c.lease_end "
		"AND r.next_run_at " LE " c.lease_end AND (r.claim_id " EQ
		" c.claim_id) IS TRUE)) FROM %s AS c "
		"WHERE c.lease_end " GT " $1), 0)::pg_catalog.int8, "
		"(SELECT pg_catalog.count(*) FROM %s AS r WHERE r.status " EQ " 'PAUSADA' "
		"AND (SELECT e.detalhes " JSON_TEXT " 'codigo' FROM %s AS e "
		"WHERE e.lead_cadence_run_id " EQ " r.id AND e.detalhes " JSON_TEXT " 'tardio' IS NULL "
		"ORDER BY e.created_at DESC, e.id DESC LIMIT 1) " EQ " 'INCERTO'), "
		"(SELECT r.next_run_at FROM %s AS r WHERE r.status " EQ " 'ATIVA' "
		"AND r.next_run_at " GT " $1 ORDER BY r.next_run_at, r.id LIMIT 1), "
		"(SELECT pg_catalog.count(*) FROM %s AS r WHERE r.status " EQ " 'ATIVA' "
		"AND r.next_run_at IS NULL), "
		"l.details " JSON_TEXT " 'erro', l.executed_at "
		"FROM (SELECT) AS one LEFT JOIN LATERAL (SELECT x.details, x.executed_at FROM %s AS x "
		"ORDER BY x.executed_at DESC LIMIT 1) AS l ON true",
		t->runs, COUNT_MAX, t->runs, t->runs, t->claims, t->runs, t->events, t->runs, t->runs,
		t->logs);
}

/* A number or a time, of exactly that type; 0 where there is none. */
static int64
value_at(int column, Oid type)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);

	if (SPI_gettypeid(SPI_tuptable->tupdesc, column) != type)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"%s\" is not of type %s",
							   SPI_fname(SPI_tuptable->tupdesc, column), format_type_be(type))));
	return isnull ? 0 : DatumGetInt64(value);
}

static void
query(const CadenceTables *t, CadenceState *s)
{
	static const Oid types[] = {TIMESTAMPTZOID};
	Datum values[] = {TimestampTzGetDatum(GetCurrentTimestamp())};
	int rc =
		SPI_execute_with_args(state_sql(t), lengthof(types), (Oid *) types, values, NULL, true, 1);

	if (rc != SPI_OK_SELECT || SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("reading the state failed: %s", SPI_result_code_string(rc))));
	s->due = value_at(STATE_DUE, INT8OID);
	s->oldest_due = value_at(STATE_OLDEST, TIMESTAMPTZOID);
	s->claimed = value_at(STATE_CLAIMED, INT8OID);
	s->uncertain = value_at(STATE_UNCERTAIN, INT8OID);
	s->next_due = value_at(STATE_NEXT, TIMESTAMPTZOID);
	s->never_due = value_at(STATE_NEVER, INT8OID);
	s->last_failed_at = value_at(STATE_FAILED_AT, TIMESTAMPTZOID);
	s->last_failure = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, STATE_FAILURE);
}

/* What SPI has made goes with its connection. */
static char *
keep(MemoryContext context, const char *text)
{
	return text != NULL ? MemoryContextStrdup(context, text) : NULL;
}

static void
read_as_owner(const CadenceTables *t, CadenceState *s)
{
	MemoryContext context = CurrentMemoryContext;
	CadenceCaller caller = cadence_owner_begin(t->owner);

	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("SPI_connect failed")));
	query(t, s);
	s->last_failure = keep(context, s->last_failure);
	if (!RecoveryInProgress())
		s->not_armed = keep(context, cadence_arming_problem(t));
	SPI_finish();
	cadence_owner_end(caller);
}

/* A missing table, what the gate refuses, or an error of the reading itself. */
static char *
read_or_say(CadenceState *s)
{
	Oid schema = cadence_extension_schema();
	const char *missing = cadence_tables_missing(schema);

	if (missing != NULL)
		return psprintf("table %s does not exist: call cadence_create_tables()", missing);
	read_as_owner(cadence_tables_load(schema), s);
	return NULL;
}

/*
 * Reads the state, in the current memory context; why it can not, otherwise.
 *
 * That is told and not raised: who asks what is wrong shall hear the rest, too.
 */
char *
cadence_state_read(CadenceState *s)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char *volatile problem = NULL;

	memset(s, 0, sizeof(*s));
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		problem = read_or_say(s);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		problem = error->message;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return problem;
}
