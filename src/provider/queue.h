/*
 * queue.h
 *		Which request may leave next: per provider, in order, within its
 *		max_in_flight and max_rate.
 */
#ifndef CADENCE_QUEUE_H
#define CADENCE_QUEUE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "provider/provider.h"

typedef struct CadenceQueue
{
	List *providers; /* of CadenceProvider, looked up anew by each call */
	int waiting;
	int in_flight;
	int capacity; /* so many may be in flight at once, over all providers */
	int turn;	  /* where the next round over the providers starts */
	int freed;	  /* so often one that was blocked was free again */
} CadenceQueue;

/*
 * What to go past: runs that would only wait for a provider that is blocked.
 * Lists of texts: "CHANNEL company" for providers of one company, "CHANNEL" for
 * those of any, and every "CHANNEL company" that has one of its own.
 */
typedef struct CadenceBlocked
{
	List *pairs;
	List *channels;
	List *served;
	char *signature; /* all of it as one text */
} CadenceBlocked;

extern void cadence_queue_push(CadenceQueue *queue, CadenceRequest *request);
extern CadenceRequest *cadence_queue_pop(CadenceQueue *queue, TimestampTz now);
extern CadenceRequest *cadence_queue_pop_any(CadenceQueue *queue);
extern void cadence_queue_remove(CadenceQueue *queue, CadenceRequest *request);
extern void cadence_queue_finished(CadenceQueue *queue, CadenceRequest *request);
extern int cadence_queue_waiting(const CadenceQueue *queue, CadenceRequest **requests);
extern int cadence_queue_ready(const CadenceQueue *queue, TimestampTz now);
extern int cadence_queue_wait_ms(const CadenceQueue *queue, TimestampTz now, int at_most);
extern void cadence_queue_note_blocked(CadenceQueue *queue, TimestampTz now);
extern int cadence_queue_waiting_for(const CadenceQueue *queue, const char *canal, TimestampTz now);
extern bool cadence_queue_blocked(const CadenceQueue *queue, const char *canal, TimestampTz now,
								  CadenceBlocked *blocked);
extern bool cadence_queue_wants_bypass(const CadenceQueue *queue, TimestampTz now);
extern void cadence_queue_clock_went_back(CadenceQueue *queue, TimestampTz now);

#endif
