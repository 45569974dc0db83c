/*
 * subtransaction.c
 *		Trying something that rows of the user's may refuse.
 *
 * Whose fault an error is shows in trying each row alone, and not in its
 * SQLSTATE: a trigger may raise any of them. So a batch that is refused is
 * divided in halves until the halves that are refused are single rows.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/interrupt.h"
#include "base/subtransaction.h"
#include "base/transaction.h"

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
	ErrorData *error = cadence_try(work, arg, first, n, true);
	bool go_on = true;

	if (error == NULL)
		return true;
	if (n == 1)
		go_on = refused(arg, first, error);
	FreeErrorData(error);
	if (n == 1)
		return go_on;
	return divide(work, refused, arg, first, n / 2) &&
		   divide(work, refused, arg, first + n / 2, n - n / 2);
}

/*
 * Works on items in as few subtransactions as those that refuse allow. False
 * when the rest was left alone.
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
	AtEOXact_GUC(true, level);
	return all;
}
