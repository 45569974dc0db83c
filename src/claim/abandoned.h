/*
 * orphans.h
 *		Claims whose process is gone.
 */
#ifndef CADENCE_ORPHANS_H
#define CADENCE_ORPHANS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "schema/tables.h"

typedef struct CadenceOrphans CadenceOrphans;

extern CadenceOrphans *cadence_orphans_create(const CadenceTables *tables);
extern void cadence_orphans_note_halted(CadenceOrphans *orphans);
extern uint64 cadence_orphans_release(CadenceOrphans *orphans, TimestampTz due);
extern bool cadence_orphans_have_ended(const CadenceOrphans *orphans);
extern void cadence_orphans_forget(CadenceOrphans *orphans);

#endif
