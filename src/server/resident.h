/*
 * resident.h
 *		The processes of a database with resident workers.
 */
#ifndef CADENCE_RESIDENT_H
#define CADENCE_RESIDENT_H

#include "postgres.h"

#define CADENCE_NO_SLOT "no background worker slot is free; raise max_worker_processes"

/* To be called from _PG_init() while the server loads its preloaded libraries. */
extern void cadence_supervisor_register(void);

/* Starts a probe for an entry of the registry; false when the server has no place for it. */
extern bool cadence_probe_start(int entry, uint32 launch, Oid database, const char *name);

/* Serves the database that this process is connected to until it is stopped. */
extern void cadence_serve(Oid schema);

#endif
