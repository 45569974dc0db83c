/*
 * resolve.h
 *		Resolve: from a run's row to a message, its recipient and its provider.
 */
#ifndef CADENCE_RESOLVE_H
#define CADENCE_RESOLVE_H

#include "postgres.h"

#include "provider/provider.h"
#include "resolve/ruling.h"
#include "schema/tables.h"
#include "step.h"

typedef struct CadenceResolver CadenceResolver;

extern CadenceResolver *cadence_resolver_create(const CadenceTables *tables,
												const CadenceProviders *providers,
												CadenceRulings *rulings, bool in_query);
extern void cadence_resolve(CadenceResolver *resolver, CadenceStep **steps, int n);
extern void cadence_resolve_providers(CadenceResolver *resolver, CadenceSenderStates *states,
									  CadenceStep **steps, int n);

#endif
