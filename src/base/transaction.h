/*
 * transaction.h
 *		The bracket around each of the worker's transactions, trying what rows of
 *		the user's may refuse, and what an SQLSTATE says about trying again.
 */
#ifndef CADENCE_TRANSACTION_H
#define CADENCE_TRANSACTION_H

#include "postgres.h"

/* The tables that a transaction works on are opaque here; who has loaded them knows them. */
struct CadenceTables;

/* What is to hold in every transaction, or is an error. */
typedef void (*CadenceTransactionCheck)(const struct CadenceTables *tables);

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

/* Or the server or an operator is in the way: nothing to do with the rows at hand. */
static inline bool
sqlstate_is_of_the_moment(int sqlstate)
{
	int category = ERRCODE_TO_CATEGORY(sqlstate);

	return sqlstate_is_conflict(sqlstate) || category == ERRCODE_INSUFFICIENT_RESOURCES ||
		   category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_SYSTEM_ERROR;
}

extern void cadence_xact_set_check(CadenceTransactionCheck check);
extern void cadence_session_init(const char *schema_name);
extern int cadence_use_text_format(void);
extern void cadence_session_quiet(void);
extern void cadence_session_hurry(void);
extern void cadence_xact_begin(const struct CadenceTables *tables, const char *activity);
extern void cadence_xact_arm_timeout(void);
extern void cadence_xact_fire_deferred(void);
extern void cadence_xact_commit(void);
extern void cadence_xact_abort(void);
extern ErrorData *cadence_try(CadenceWork work, void *arg, int first, int n, bool deferred);
extern bool cadence_divide(CadenceWork work, CadenceRefused refused, void *arg, int first, int n);

#endif
