/*
 * lease.h
 *		What is known of the claims of one transaction while they last.
 */
#ifndef CADENCE_LEASE_H
#define CADENCE_LEASE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "step.h"
#include "schema/tables.h"

typedef struct CadenceLeases CadenceLeases;

extern CadenceLeases *cadence_leases_create(const CadenceTables *tables);
extern void cadence_lease_begin(CadenceLeases *leases, const pg_uuid_t *claim_id,
								TimestampTz lease_end);
extern void cadence_leases_end(CadenceLeases *leases, CadenceStep **steps, int n);

#endif
