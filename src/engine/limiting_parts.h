/*
 * limiting_parts.h
 *		What limiting.c has done by its parts.
 */
#ifndef CADENCE_LIMITING_PARTS_H
#define CADENCE_LIMITING_PARTS_H

#include "postgres.h"

#include "engine/limiting.h"

/* limiting_start.c */
extern void limiting_start(Limiting *limiting, CadenceStep *step, const pg_uuid_t *claim_id,
						   TimestampTz now);

/* limiting_permits.c */
extern void limiting_forget_permits(Limiting *limiting, CadenceStep **steps, int n);
extern void limiting_get_permits(Limiting *limiting, CadenceProvider *p, const pg_uuid_t *claim_id);
extern void limiting_get_more_permits(Limiting *limiting, const pg_uuid_t *claim_id);

#endif
