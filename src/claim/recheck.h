/*
 * recheck.h
 *		Whether claimed steps may still be sent.
 */
#ifndef CADENCE_RECHECK_H
#define CADENCE_RECHECK_H

#include "postgres.h"

#include "schema/tables.h"
#include "step.h"

typedef struct CadenceRechecks CadenceRechecks;

extern CadenceRechecks *cadence_rechecks_create(const CadenceTables *tables);
extern void cadence_recheck(CadenceRechecks *rechecks, CadenceStep **steps, int n, bool *valid);
extern void cadence_recheck_news(CadenceRechecks *rechecks, CadenceStep **steps, int n,
								 bool *valid);

#endif
