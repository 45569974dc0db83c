/*
 * registry_parts.h
 *		The registry's memory, and what is done to it under its lock.
 */
#ifndef CADENCE_REGISTRY_PARTS_H
#define CADENCE_REGISTRY_PARTS_H

#include "postgres.h"

#include "storage/latch.h"
#include "storage/lwlock.h"

#include "server/registry.h"

typedef struct Registry
{
	LWLock *lock;
	Latch *supervisor; /* NULL: none runs */
	ResidentDatabase databases[CADENCE_DATABASES_MAX];
} Registry;

extern Registry *resident_registry;

extern void registry_lock(void);
extern void registry_unlock(void);

/* Under the lock. */
extern ResidentDatabase *registry_entry(const char *name);
extern bool registry_has_process(const ResidentDatabase *database);
extern void registry_end_processes(ResidentDatabase *database, int first);
extern void registry_set_problem(ResidentDatabase *database, bool is_refusal, const char *problem);
extern void registry_wake_supervisor(void);

#endif
