/*
 * subtransaction.h
 *		Trying something that rows of the user's may refuse, and what an SQLSTATE
 *		says about trying again.
 */
#ifndef CADENCE_SUBTRANSACTION_H
#define CADENCE_SUBTRANSACTION_H

#include "postgres.h"

/* Works on n items, the first of them given by number. */
typedef void (*CadenceWork)(void *arg, int first, int n);

/* Hears that one item was refused; false: the rest is not to be tried. */
typedef bool (*CadenceRefused)(void *arg, int item, const ErrorData *error);

/* A lock or a deadlock: the same may succeed a moment later. */
static inline bool
sqlstate_is_conflict(int sqlstate)
{
	return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
		   ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_TRANSACTION_ROLLBACK;
}

/* The server or an operator is in the way: nothing to do with the rows at hand. */
static inline bool
sqlstate_is_server_state(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return true;
		default:
			return false;
	}
}

extern ErrorData *cadence_try(CadenceWork work, void *arg, int first, int n, bool deferred);
extern bool cadence_divide(CadenceWork work, CadenceRefused refused, void *arg, int first, int n);

#endif
