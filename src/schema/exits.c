/*
 * exits.c
 *		The owner's own views cadence_exits (run_id, motivo) and cadence_skips (run_id,
 *		ordem, motivo).
 *
 * They are asked about the runs of a claim, and of nothing else. A view that is not
 * the owner's, or is none that can be asked, says nothing, and then nothing is sent:
 * who has written it wants messages to be kept back. It is looked at again when it is
 * locked, so that nobody puts another in its place; what is in it runs as the owner's own
 * triggers do.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "schema/exits.h"

/* Views that take longer for a claim's runs are none that can be asked. */
#define VIEW_TIMEOUT_MS 5000

/* Nor are those that fail so often for one. */
#define TRIES_MAX 40

#define MOTIVO_MAX 1000

typedef enum ExitView
{
	VIEW_EXITS,
	VIEW_SKIPS,
	VIEWS
} ExitView;

static const char *const view_names[VIEWS] = {"cadence_exits", "cadence_skips"};

struct CadenceExits
{
	const CadenceTables *tables;
	Statement ask[VIEWS];
	bool in_query;
};

static const Oid ask_types[] = {UUIDARRAYOID, INT4ARRAYOID};

/* In the current memory context. in_query: for one call in somebody's query, with their rights. */
CadenceExits *
cadence_exits_create(const CadenceTables *t, bool in_query)
{
	CadenceExits *e = palloc0(sizeof(*e));

	e->tables = t;
	e->in_query = in_query;
	e->ask[VIEW_EXITS] =
		STATEMENT("asking cadence_exits",
				  psprintf("SELECT DISTINCT ON (x.run_id) x.run_id, NULL::int4, %s FROM %s AS x "
						   "WHERE x.run_id " EQ " ANY ($1) AND $2 IS NOT NULL",
						   SHORT_TEXT("x.motivo", CppAsString2(MOTIVO_MAX)),
						   quote_qualified_identifier(t->schema_name, view_names[VIEW_EXITS])),
				  ask_types, SPI_OK_SELECT);
	e->ask[VIEW_SKIPS] = STATEMENT(
		"asking cadence_skips",
		psprintf("SELECT DISTINCT ON (x.run_id, x.ordem) x.run_id, x.ordem::int4, %s FROM %s AS x "
				 "WHERE x.run_id " EQ " ANY ($1) AND x.ordem " EQ " ANY ($2)",
				 SHORT_TEXT("x.motivo", CppAsString2(MOTIVO_MAX)),
				 quote_qualified_identifier(t->schema_name, view_names[VIEW_SKIPS])),
		ask_types, SPI_OK_SELECT);
	for (int i = 0; i < VIEWS; i++)
		e->ask[i].in_query = in_query;
	return e;
}

/* ---- whether a view can be asked ------------------------------------------------------ */

static const char *
column_problem(Oid relation, const char *name, const char *wanted, Oid a, Oid b, Oid c)
{
	AttrNumber number = get_attnum(relation, name);
	Oid type = number != InvalidAttrNumber ? get_atttype(relation, number) : InvalidOid;

	if (OidIsValid(type) && (type == a || type == b || type == c))
		return NULL;
	return psprintf("its column %s is %s, not %s", name,
					OidIsValid(type) ? psprintf("of type %s", format_type_be(type)) : "missing",
					wanted);
}

static const char *
columns_problem(Oid relation, ExitView view)
{
	const char *problem = column_problem(relation, "run_id", "uuid", UUIDOID, UUIDOID, UUIDOID);

	if (problem == NULL)
		problem = column_problem(relation, "motivo", "text", TEXTOID, VARCHAROID, UNKNOWNOID);
	if (problem == NULL && view == VIEW_SKIPS)
		problem = column_problem(relation, "ordem", "integer", INT4OID, INT2OID, INT8OID);
	return problem;
}

/* Why a view that is there can not be asked; NULL: it can. */
static const char *
view_problem(const CadenceExits *e, ExitView view, Oid relation)
{
	char kind = get_rel_relkind(relation);
	const char *problem;

	if (kind != RELKIND_VIEW && kind != RELKIND_MATVIEW && kind != RELKIND_RELATION &&
		kind != RELKIND_PARTITIONED_TABLE)
		problem = "it is no view";
	else if (!cadence_gate_trusts(e->tables->owner, cadence_relation_owner(relation)))
		problem = psprintf("it does not belong to role %s, the owner of lead_cadence_runs",
						   GetUserNameFromId(e->tables->owner, true));
	else
		problem = columns_problem(relation, view);
	return problem;
}

static Oid
find_view(const CadenceExits *e, ExitView view)
{
	return get_relname_relid(view_names[view], e->tables->schema);
}

/* Whether there is one of them. */
bool
cadence_exits_exist(CadenceExits *e)
{
	return OidIsValid(find_view(e, VIEW_EXITS)) || OidIsValid(find_view(e, VIEW_SKIPS));
}

/* Why one that is there can not be asked, as far as that can be said without asking; NULL: both
 * can. */
const char *
cadence_exits_problem(CadenceExits *e)
{
	for (int i = 0; i < VIEWS; i++)
	{
		Oid relation = find_view(e, i);
		const char *problem = OidIsValid(relation) ? view_problem(e, i, relation) : NULL;

		if (problem != NULL)
			return psprintf("%s: %s", view_names[i], problem);
	}
	return NULL;
}

/*
 * Whether a view is there and can be asked; it is locked then. Another's is not waited for:
 * who may make one is not to hold up more than that.
 */
static bool
lock_view(const CadenceExits *e, ExitView view, const char **problem)
{
	for (;;)
	{
		Oid relation = find_view(e, view);

		*problem = OidIsValid(relation) ? view_problem(e, view, relation) : NULL;
		if (!OidIsValid(relation) || *problem != NULL)
			return false;
		LockRelationOid(relation, AccessShareLock);
		if (find_view(e, view) == relation && view_problem(e, view, relation) == NULL)
			return true;
		UnlockRelationOid(relation, AccessShareLock);
	}
}

/* ---- asking --------------------------------------------------------------------------- */

typedef struct Asking
{
	CadenceExits *exits;
	ExitView view;
	ExitAsked *asked;
	MemoryContext context; /* of what is answered */
	TimestampTz deadline;
	int tries; /* so many more */
} Asking;

static ArrayType *
runs_of(const ExitAsked *asked, int n)
{
	Datum *values = palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
		values[i] = UUIDPGetDatum(asked[i].run);
	return construct_array(values, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
}

static ArrayType *
steps_of(const ExitAsked *asked, int n)
{
	Datum *values = palloc(sizeof(Datum) * n);
	int nvalues = 0;

	for (int i = 0; i < n; i++)
		if (asked[i].has_step)
			values[nvalues++] = Int32GetDatum(asked[i].ordem);
	return construct_array(values, nvalues, INT4OID, sizeof(int32), true, TYPALIGN_INT);
}

/* The first of those that are of a run, which stand in the order of runs. */
static int
first_of_run(ExitAsked *const *by_run, int n, const pg_uuid_t *run)
{
	int low = 0;
	int high = n;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (memcmp(by_run[middle]->run, run, UUID_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int
compare_runs(const void *a, const void *b)
{
	return memcmp((*(ExitAsked *const *) a)->run, (*(ExitAsked *const *) b)->run, UUID_LEN);
}

static void
note(const Asking *a, ExitAsked *asked, HeapTuple row, TupleDesc desc)
{
	MemoryContext old;

	if (a->view == VIEW_SKIPS &&
		(!asked->has_step || row_is_null(desc, row, 2) || asked->ordem != row_int(desc, row, 2, 0)))
		return;
	if (a->view == VIEW_EXITS)
		asked->exits = true;
	else
		asked->skips = true;
	old = MemoryContextSwitchTo(a->context);
	if (asked->motivo == NULL)
		asked->motivo = row_text(desc, row, 3, ROW_FIELD_MAX);
	MemoryContextSwitchTo(old);
}

static void
read_answers(const Asking *a, ExitAsked *asked, int n)
{
	ExitAsked **by_run = palloc(sizeof(*by_run) * n);

	for (int i = 0; i < n; i++)
		by_run[i] = &asked[i];
	qsort(by_run, n, sizeof(*by_run), compare_runs);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;
		Datum run = SPI_getbinval(row, desc, 1, &isnull);

		for (int k = first_of_run(by_run, n, DatumGetUUIDP(run));
			 k < n && memcmp(by_run[k]->run, DatumGetUUIDP(run), UUID_LEN) == 0; k++)
			note(a, by_run[k], row, desc);
	}
	SPI_freetuptable(SPI_tuptable);
	pfree(by_run);
}

static void
set_problem(Asking *a, int first, int n, const char *problem)
{
	MemoryContext old = MemoryContextSwitchTo(a->context);
	char *text = psprintf("%s: %s", view_names[a->view], problem);

	for (int i = first; i < first + n; i++)
		a->asked[i].problem = text;
	MemoryContextSwitchTo(old);
}

static void
ask(void *arg, int first, int n)
{
	Asking *a = arg;
	ExitAsked *asked = &a->asked[first];
	const char *problem;
	Datum values[2];

	if (!lock_view(a->exits, a->view, &problem))
	{
		if (problem != NULL)
			set_problem(a, first, n, problem);
		return;
	}
	values[0] = PointerGetDatum(runs_of(asked, n));
	values[1] = PointerGetDatum(steps_of(asked, n));
	statement_execute(&a->exits->ask[a->view], values, NULL, 0);
	read_answers(a, asked, n);
}

/* Whether an error is one run's, and not the view's: a value that it can not work with. */
static bool
is_of_a_row(const ErrorData *error)
{
	int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_CARDINALITY_VIOLATION ||
		   error->sqlerrcode == ERRCODE_RAISE_EXCEPTION;
}

/* One try, in time. Somebody's own query ends by its own time-out, and when it is cancelled. */
static ErrorData *
try_to_ask(Asking *a, int first, int n)
{
	ErrorData *error;

	if (!a->exits->in_query)
		enable_timeout_at(STATEMENT_TIMEOUT, a->deadline);
	error = cadence_try(ask, a, first, n, false);
	if (error != NULL && a->exits->in_query &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ThrowErrorData(error);
	return error;
}

/* What one run makes a view raise is not another's fault: the others are asked about in halves. */
static void
ask_some(Asking *a, int first, int n)
{
	ErrorData *error;

	if (a->tries-- <= 0 || GetCurrentTimestamp() >= a->deadline)
	{
		set_problem(a, first, n, "it fails, or takes too long");
		return;
	}
	error = try_to_ask(a, first, n);
	if (error == NULL)
		return;
	if (n == 1 || !is_of_a_row(error))
	{
		set_problem(a, first, n, error->message);
		return;
	}
	ask_some(a, first, n / 2);
	ask_some(a, first + n / 2, n - n / 2);
}

/* Whoever may not ask a view, and asks what it says, is told so: it says nothing against the view.
 */
static void
check_right(ExitView view, Oid relation)
{
	AclResult result = pg_class_aclcheck(relation, GetUserId(), ACL_SELECT);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_VIEW, view_names[view]);
}

/*
 * Asks both views, as far as they are there, about some runs; inside an SPI connection.
 * What is answered is in the current memory context. The transaction's time-out is its
 * own again afterwards.
 */
void
cadence_exits_ask(CadenceExits *e, ExitAsked *asked, int n)
{
	TimestampTz now = GetCurrentTimestamp();
	bool is_timed = !e->in_query && get_timeout_active(STATEMENT_TIMEOUT);
	TimestampTz finish = is_timed ? get_timeout_finish_time(STATEMENT_TIMEOUT) : DT_NOEND;
	TimestampTz deadline = Min(finish, now + VIEW_TIMEOUT_MS * INT64CONST(1000));

	for (int view = 0; view < VIEWS && n > 0; view++)
	{
		Asking a = {.exits = e,
					.view = view,
					.asked = asked,
					.context = CurrentMemoryContext,
					.deadline = e->in_query ? DT_NOEND : deadline,
					.tries = TRIES_MAX};

		Oid relation = find_view(e, view);

		if (!OidIsValid(relation))
			continue;
		if (e->in_query && view_problem(e, view, relation) == NULL)
			check_right(view, relation);
		ask_some(&a, 0, n);
	}
	if (is_timed)
		enable_timeout_at(STATEMENT_TIMEOUT, Max(finish, GetCurrentTimestamp() + USECS_PER_SEC));
}
