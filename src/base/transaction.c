/*
 * transaction.c
 *		The bracket around each of the worker's transactions.
 *
 * The tables belong to an application: their triggers run inside our
 * transactions and may set anything. The session's own settings are therefore
 * put where no later SET outlives a transaction (PGC_S_OVERRIDE also makes them
 * what RESET returns to), each transaction opens a GUC nest level, and before
 * the commit deferred constraints and triggers are fired and that level is
 * undone. Whatever they did, the commit is then flushed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "base/compat.h"
#include "base/interrupt.h"
#include "base/transaction.h"

/*
 * statement_timeout does nothing by itself in a background worker. Ours bounds
 * a whole transaction, inside the shortest lease (see claim/claimant.c).
 */
#define TRANSACTION_TIMEOUT_MS 15000

/*
 * And each try of a half of what failed as a whole: one row whose work takes too
 * long is met by each half that has it, and must not hold up the others as often.
 */
#define HALF_TIMEOUT_MS 2000

static CadenceTransactionCheck transaction_check;
static int guc_level;
static MemoryContext outer_context;

/*
 * What every transaction of this session starts from, the first one too,
 * whatever the defaults of the server, the database and the role are. The first
 * of them say how a contact's columns look in a message.
 */
static const char *const session_settings[][2] = {
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
#define FORMAT_SETTINGS 4
	{"search_path", "pg_catalog, pg_temp"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_read_only", "off"},
	{"default_transaction_deferrable", "off"},
	{"synchronous_commit", "on"},
	{"lock_timeout", "1s"},
	{"statement_timeout", "0"},
#if CADENCE_HAS_TRANSACTION_TIMEOUT
	{"transaction_timeout", "0"},
#endif
	{"row_security", "off"},
	{"jit", "off"},
	/*
	 * Every statement of ours has its index. With old statistics, or planned
	 * while a table was small, a look would collect and sort all that is due
	 * for every batch, and a look-up would read the whole table.
	 */
	{"enable_bitmapscan", "off"},
	{"enable_seqscan", "off"},
	{"client_min_messages", "warning"},
	{"application_name", "cadence_runner"}};

static void
set_for_session(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * The tables' schema is on the search path for the sake of adopted plpgsql
 * triggers that name their tables without one; our own SQL qualifies every
 * name, operators too (see statement.h).
 */
void
cadence_session_init(const char *schema_name)
{
	set_for_session("search_path",
					psprintf("pg_catalog, %s, pg_temp", quote_identifier(schema_name)));
}

/*
 * The same format for one call in somebody else's session; returns the nest
 * level to be undone with AtEOXact_GUC().
 */
int
cadence_use_text_format(void)
{
	int level = NewGUCNestLevel();

	for (int i = 0; i < FORMAT_SETTINGS; i++)
		(void) set_config_option(session_settings[i][0], session_settings[i][1], PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/*
 * The notices of a worker that another has started would go through that one, which may
 * have no time for them while the worker holds up everybody.
 */
void
cadence_session_quiet(void)
{
	set_for_session("client_min_messages", "error");
}

/*
 * The server is stopping: a last record must neither wait for a lock nor for a
 * synchronous standby that may be gone already.
 */
void
cadence_session_hurry(void)
{
	set_for_session("lock_timeout", "200ms");
	set_for_session("synchronous_commit", "local");
}

/* Set by what loads tables, so that there are none without it. */
void
cadence_xact_set_check(CadenceTransactionCheck check)
{
	transaction_check = check;
}

/* Bounds what follows in the transaction; again, after a part of it had less. */
void
cadence_xact_arm_timeout(void)
{
	enable_timeout_after(STATEMENT_TIMEOUT, TRANSACTION_TIMEOUT_MS);
}

/*
 * Opens a transaction with a snapshot and an SPI connection. activity is what
 * pg_stat_activity shows meanwhile.
 */
void
cadence_xact_begin(const struct CadenceTables *tables, const char *activity)
{
	static bool session_is_ready = false;

	for (size_t i = 0; !session_is_ready && i < lengthof(session_settings); i++)
		set_for_session(session_settings[i][0], session_settings[i][1]);
	session_is_ready = true;
	outer_context = CurrentMemoryContext;
	pgstat_report_activity(STATE_RUNNING, activity);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	cadence_set_cancellable(true);
	guc_level = NewGUCNestLevel();
	cadence_xact_arm_timeout();
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) SPI_connect();
	if (tables != NULL)
		transaction_check(tables);
}

/*
 * Fires what was deferred to the commit, so that its errors are raised where
 * they can be handled.
 */
void
cadence_xact_fire_deferred(void)
{
	int level = NewGUCNestLevel();
	int rc = SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0);

	/* what triggers set reaches nothing of ours */
	AtEOXact_GUC(false, level);
	if (rc != SPI_OK_UTILITY)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("SET CONSTRAINTS failed: %s", SPI_result_code_string(rc))));
}

/* After a commit or an abort. */
static void
end_transaction(void)
{
	cadence_set_cancellable_between();
	MemoryContextSwitchTo(outer_context);
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* A stop that arrived since the last statement is heard here, before anything becomes durable. */
void
cadence_xact_commit(void)
{
	cadence_xact_fire_deferred();
	SPI_finish();
	PopActiveSnapshot();
	disable_timeout(STATEMENT_TIMEOUT, false);
	CHECK_FOR_INTERRUPTS();
	cadence_set_cancellable(false);
	AtEOXact_GUC(false, guc_level);
	ForceSyncCommit();
	CommitTransactionCommand();
	end_transaction();
}

/*
 * Leaves a transaction after an error, whatever state it is in. Calling it
 * with none open does nothing.
 */
void
cadence_xact_abort(void)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	cadence_set_cancellable(false);
	AbortOutOfAnyTransaction();
	end_transaction();
}

/* ---- subtransactions ---------------------------------------------------------------- */

/*
 * Works on items in a subtransaction, deferred constraints included where the
 * caller wants that. Returns NULL, or, in the current memory context, the error
 * that undid it; that a stop cancelled it is no item's fault, and is raised.
 */
ErrorData *
cadence_try(CadenceWork work, void *arg, int first, int n, bool deferred)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg, first, n);
		if (deferred)
			cadence_xact_fire_deferred();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error != NULL && cadence_stop_requested() &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ThrowErrorData(error);
	return error;
}

static bool
divide(CadenceWork work, CadenceRefused refused, void *arg, int first, int n)
{
	ErrorData *error;
	bool go_on = true;

	enable_timeout_after(STATEMENT_TIMEOUT, HALF_TIMEOUT_MS);
	error = cadence_try(work, arg, first, n, true);
	if (error != NULL && n == 1)
		go_on = refused(arg, first, error);
	else if (error != NULL)
		go_on = divide(work, refused, arg, first, n / 2) &&
				divide(work, refused, arg, first + n / 2, n - n / 2);
	if (error != NULL)
		FreeErrorData(error);
	return go_on;
}

/*
 * Works on items in as few subtransactions as those that refuse allow: whose
 * fault an error is shows in trying each alone, and not in its SQLSTATE, since a
 * trigger may raise any of them. False when the rest was left alone.
 *
 * All of them together have waited for a lock already, and each half that meets
 * it waits again: not for long.
 */
bool
cadence_divide(CadenceWork work, CadenceRefused refused, void *arg, int first, int n)
{
	int level = NewGUCNestLevel();
	bool all;

	(void) set_config_option("lock_timeout", "100ms", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	all = divide(work, refused, arg, first, n);
	cadence_xact_arm_timeout();
	AtEOXact_GUC(true, level);
	return all;
}
