/*
 * claimant.h
 *		This worker as one who claims: its claim's id, the lease's end, and the
 *		lock that shows that it lives. And what those have left who do not.
 */
#ifndef CADENCE_CLAIMANT_H
#define CADENCE_CLAIMANT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "base/statement.h"
#include "schema/tables.h"

typedef struct CadenceClaimant
{
	pg_uuid_t id;		   /* of what is claimed now, */
	TimestampTz lease_end; /* until then */
	bool has_lock;
	bool has_row; /* of this id, and committed */
	Statement insert;
	Statement delete;
	Statement find;
	Statement find_runs;
	Statement release;
	Statement release_news;
	Statement forget;
} CadenceClaimant;

extern CadenceClaimant *cadence_claimant_create(const CadenceTables *tables);
extern void cadence_claimant_begin(CadenceClaimant *claimant, int64 lease_us);
extern void cadence_claimant_committed(CadenceClaimant *claimant);
extern void cadence_claimant_end(CadenceClaimant *claimant);
extern bool cadence_abandoned_release(CadenceClaimant *claimant, TimestampTz due);

#endif
