/*
 * transaction.h
 *		The bracket around each of the worker's transactions.
 */
#ifndef CADENCE_TRANSACTION_H
#define CADENCE_TRANSACTION_H

#include "postgres.h"

/* The tables that a transaction works on are opaque here; who has loaded them knows them. */
struct CadenceTables;

/* What is to hold in every transaction, or is an error. */
typedef void (*CadenceTransactionCheck)(const struct CadenceTables *tables);

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

#endif
