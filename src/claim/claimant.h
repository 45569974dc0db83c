/*
 * claimant.h
 *		Claim ids, which say whose claim it is.
 */
#ifndef CADENCE_CLAIMANT_H
#define CADENCE_CLAIMANT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

extern void cadence_claim_id(pg_uuid_t *id);
extern void cadence_claimants_refresh(void);
extern bool cadence_claimant_is_alive(const pg_uuid_t *id);

#endif
