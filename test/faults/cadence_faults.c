/*
 * cadence_faults.c
 *		Ends the server at a labelled point of an execution, for crash tests.
 *
 * Preloaded after cadence_runner, it watches what the transactions of a sending
 * worker do, by the names of their statements, so that the product needs no
 * switches of its own. At the point that cadence_faults.point names, it kills
 * the postmaster and then its own process with SIGKILL: neither gets to clean
 * up anything.
 *
 * A transaction that records may claim, too: the points of a claim are for
 * transactions that only claim, those of a record for all that record. A
 * statement that touches no row does not count.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/pmsignal.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

void _PG_init(void);

/* The names of statements (see base/statement.h). */
#define CLAIM_TAKES "/* cadence_runner: taking due runs */"
#define RECORD_MOVES "/* cadence_runner: moving runs on */"

#define WORKER_TYPE "cadence_runner"

static char *point;
static bool has_claimed;
static bool has_recorded;
static ExecutorFinish_hook_type next_executor_finish;

static bool
is_sending_worker(void)
{
	return MyBgworkerEntry != NULL &&
		   strncmp(MyBgworkerEntry->bgw_type, WORKER_TYPE, strlen(WORKER_TYPE)) == 0;
}

static bool
contains(const char *text, const char *part)
{
	return text != NULL && strstr(text, part) != NULL;
}

static void
on_executor_finish(QueryDesc *query)
{
	if (is_sending_worker() && query->estate->es_processed > 0)
	{
		if (contains(query->sourceText, CLAIM_TAKES))
			has_claimed = true;
		if (contains(query->sourceText, RECORD_MOVES))
			has_recorded = true;
	}
	if (next_executor_finish)
		next_executor_finish(query);
	else
		standard_ExecutorFinish(query);
}

/* The log says that the server died here and of nothing else. */
static void
strike(const char *here)
{
	if (strcmp(point, here) != 0)
		return;
	ereport(LOG, (errmsg("cadence_faults: killing the server at %s", here)));
	if (PostmasterIsAlive())
		kill(PostmasterPid, SIGKILL);
	kill(MyProcPid, SIGKILL);
}

static void
on_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (has_recorded)
				strike("record_before_commit");
			else if (has_claimed)
				strike("claim_before_commit");
			break;
		case XACT_EVENT_COMMIT:
			if (has_recorded)
				strike("record_after_commit");
			else if (has_claimed)
				strike("claim_after_commit");
			has_claimed = has_recorded = false;
			break;
		case XACT_EVENT_ABORT:
			has_claimed = has_recorded = false;
			break;
		default:
			break;
	}
}

void
_PG_init(void)
{
	DefineCustomStringVariable("cadence_faults.point", "Where the server is killed.",
							   "claim_before_commit, claim_after_commit, record_before_commit or "
							   "record_after_commit; empty: nowhere.",
							   &point, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	next_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = on_executor_finish;
	RegisterXactCallback(on_transaction, NULL);
}
