/*
 * claimant.h
 *		This worker as one who claims: its claim's id, the lease's end, and the
 *		lock that shows that it lives.
 */
#ifndef CADENCE_CLAIMANT_H
#define CADENCE_CLAIMANT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "schema/tables.h"

typedef struct CadenceClaimant CadenceClaimant;

extern CadenceClaimant *cadence_claimant_create(const CadenceTables *tables);
extern void cadence_claimant_begin(CadenceClaimant *claimant, int64 lease_us);
extern void cadence_claimant_committed(CadenceClaimant *claimant);
extern void cadence_claimant_end(CadenceClaimant *claimant);
extern const pg_uuid_t *cadence_claimant_id(const CadenceClaimant *claimant);
extern TimestampTz cadence_claimant_lease_end(const CadenceClaimant *claimant);
extern bool cadence_claimant_lock_dead(const CadenceClaimant *claimant, const pg_uuid_t *claim_id);

#endif
