/*
 * resolve.h
 *		Resolve: from a run's row to a message, its recipient and its provider.
 */
#ifndef CADENCE_RESOLVE_H
#define CADENCE_RESOLVE_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

#include "resolve/step_lookup.h"
#include "provider/provider.h"
#include "step.h"

typedef struct CadenceResolver CadenceResolver;

extern CadenceResolver *cadence_resolver_create(TupleDesc desc, const CadenceProviders *providers,
												CadencePositions *positions);
extern CadenceStep *cadence_step_create(TupleDesc desc, HeapTuple row);
extern void cadence_resolve(CadenceResolver *resolver, CadenceStep **steps, int n);

#endif
