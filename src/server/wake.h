/*
 * wake.h
 *		A commit that concerns the resident worker wakes it.
 */
#ifndef CADENCE_WAKE_H
#define CADENCE_WAKE_H

#include "postgres.h"

/* wishes: see registry.h */
extern void cadence_wake_at_commit(uint32 wishes);

#endif
