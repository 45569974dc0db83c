/*
 * barrier.h
 *		How often somebody has forbidden a message: an opt-out, a pause, a cancel.
 */
#ifndef CADENCE_BARRIER_H
#define CADENCE_BARRIER_H

#include "postgres.h"

extern void cadence_barrier_raise(Oid schema);
extern void cadence_barrier_follow(Oid schema);
extern uint64 cadence_barrier_count(void);
extern bool cadence_barrier_is(Oid relid);

#endif
