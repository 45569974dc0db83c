/*
 * abandoned.h
 *		Claims whose worker is gone.
 */
#ifndef CADENCE_ABANDONED_H
#define CADENCE_ABANDONED_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "claim/claimant.h"
#include "schema/tables.h"

typedef struct CadenceAbandoned CadenceAbandoned;

extern CadenceAbandoned *cadence_abandoned_create(const CadenceTables *tables,
												  const CadenceClaimant *claimant);
extern int cadence_abandoned_release(CadenceAbandoned *abandoned, TimestampTz due);

#endif
