/*
 * queue.h
 *		Which resolved step may leave next: per provider, in order, within its
 *		max_in_flight and max_rate.
 */
#ifndef CADENCE_QUEUE_H
#define CADENCE_QUEUE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "provider/provider.h"
#include "step.h"

typedef struct CadenceQueue
{
	List *providers; /* of CadenceProvider, looked up anew by each call */
	int waiting;
	int in_flight;
	int capacity; /* so many may be in flight at once, over all providers */
	int turn;	  /* where the next round over the providers starts */
} CadenceQueue;

extern void cadence_queue_push(CadenceQueue *queue, CadenceStep *step);
extern CadenceStep *cadence_queue_pop(CadenceQueue *queue, TimestampTz now);
extern int cadence_queue_waiting(const CadenceQueue *queue, CadenceStep **steps);
extern void cadence_queue_remove(CadenceQueue *queue, CadenceStep *step);
extern CadenceStep *cadence_queue_pop_any(CadenceQueue *queue);
extern int cadence_queue_ready(const CadenceQueue *queue, TimestampTz now);
extern void cadence_queue_finished(CadenceQueue *queue, CadenceStep *step);
extern bool cadence_queue_blocked(const CadenceQueue *queue, TimestampTz now,
								  CadenceBlocked *blocked);
extern void cadence_queue_note_full(CadenceQueue *queue, TimestampTz now);
extern bool cadence_queue_wants_bypass(const CadenceQueue *queue, TimestampTz now);
extern void cadence_queue_clock_went_back(CadenceQueue *queue, TimestampTz now);
extern int cadence_queue_wait_ms(const CadenceQueue *queue, TimestampTz now, int at_most);

#endif
