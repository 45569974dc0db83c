/*
 * sqlerror.h
 *		What an SQLSTATE says about trying again.
 */
#ifndef CADENCE_SQLERROR_H
#define CADENCE_SQLERROR_H

#include "postgres.h"

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

#endif
