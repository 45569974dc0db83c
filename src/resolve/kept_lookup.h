/*
 * kept_lookup.h
 *		What earlier attempts at steps have left to the next one.
 */
#ifndef CADENCE_KEPT_LOOKUP_H
#define CADENCE_KEPT_LOOKUP_H

#include "postgres.h"

#include "resolve/step_lookup.h"
#include "schema/tables.h"
#include "step.h"

typedef struct CadenceKeptLookup CadenceKeptLookup;

extern CadenceKeptLookup *cadence_kept_lookup_create(const CadenceTables *tables, bool in_query);
extern void cadence_kept_lookup_find(CadenceKeptLookup *lookup, CadenceStep **steps, int n,
									 CadenceStepLookup **found);

#endif
