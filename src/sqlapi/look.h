/*
 * look.h
 *		A run and its next step, for who asks about them in a query.
 */
#ifndef CADENCE_LOOK_H
#define CADENCE_LOOK_H

#include "postgres.h"

#include "access/htup.h"

#include "provider/provider.h"
#include "provider/sender_state.h"
#include "resolve/resolve.h"
#include "resolve/ruling.h"
#include "schema/tables.h"
#include "step.h"

typedef struct RunLook
{
	const CadenceTables *tables;
	CadenceProviders *providers;
	CadenceSenderStates *states;
	CadenceRulings *rulings;
	CadenceResolver *resolver;
	int guc_level;

	/* the run, as a claim would have it */
	CadenceStep *step;
	char *status;
	bool has_due;	/* a time of its own to be due at */
	bool has_claim; /* somebody works on it, or has left it so */
	pg_uuid_t claim_id;
	TimestampTz changed_at; /* its updated_at; 0: not known */
} RunLook;

extern HeapTuple run_look_find(char *sql, Datum run_id);
extern void run_look_begin(RunLook *look, Datum run_id);
extern void run_look_at_sender(const RunLook *look, bool with_state);
extern void run_look_end(const RunLook *look);

#endif
