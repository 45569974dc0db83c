/*
 * uuid.h
 *		The UUIDs that we make: time-ordered ids, and such as a name always has.
 */
#ifndef CADENCE_UUID_H
#define CADENCE_UUID_H

#include "postgres.h"

#include "utils/uuid.h"

#define UUID_TEXT_SIZE 37

extern void cadence_random_bytes(uint8 *to, size_t len);
extern void cadence_uuid_v7(pg_uuid_t *uuid);
extern void cadence_uuid_v5(const pg_uuid_t *space, const char *name, pg_uuid_t *uuid);
extern void cadence_idempotency_key(const pg_uuid_t *run_id, int step_ordem, pg_uuid_t *key);
extern void cadence_uuid_text(const pg_uuid_t *uuid, char *text);

#endif
