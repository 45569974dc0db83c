/*
 * sender.h
 *		The sending part of a pipeline: steps that wait for their providers, and
 *		those whose messages are under way.
 */
#ifndef CADENCE_SENDER_H
#define CADENCE_SENDER_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "engine/recording.h"
#include "provider/queue.h"
#include "step.h"
#include "transport/dispatch.h"

/* A step is not sent so late that its answer could come after its lease. */
#define SENDER_LEASE_MARGIN_MS 10000

/*
 * Looks again whether claimed steps may be sent, in a transaction of its own. Those that
 * may are stamped with what is returned (CadenceStep.barrier); 0: a lock is in the way.
 */
typedef uint64 (*SenderLookAgain)(void *arg, CadenceStep **steps, int n);

typedef struct Sender
{
	MemoryContext context;
	Recording *recording; /* where steps go that have ended */
	const CadenceDispatchFunctions *transport;
	CadenceDispatcher *dispatcher; /* made when there is something to send */
	CadenceQueue queue;
	int max_in_flight;
	TimestampTz checked_at;		 /* when every waiting step was last known to be wanted */
	uint64 barrier;				 /* and what cadence_barrier_count() was then */
	uint64 unsent_barrier;		 /* the same for what is under way and has not left, */
	TimestampTz unsent_leave_by; /* which may have to be asked about again from then on; 0: never */
	bool looks_always;			 /* each step is looked at again before it starts */
	bool held;					 /* they are to be looked at first, and can not be for the moment */
	SenderLookAgain look_again;
	void *looker; /* its argument */
	TimestampTz published_at;
} Sender;

extern void sender_init(Sender *sender, MemoryContext context, Recording *recording,
						int max_in_flight, SenderLookAgain look_again, void *looker);
extern void sender_resize(Sender *sender, int max_in_flight);
extern void sender_open_transport(Sender *sender);
extern int sender_in_flight(const Sender *sender);
extern void sender_push(Sender *sender, CadenceStep *step, TimestampTz looked_at);
extern void sender_wait(Sender *sender, int at_most_ms);
extern void sender_poke(Sender *sender);
extern void sender_publish(Sender *sender);
extern void sender_give_back(Sender *sender, CadenceStep *step);
extern void sender_give_back_unsent(Sender *sender);
extern void sender_abandon(Sender *sender);

/* sender_start.c */
extern bool sender_may_send(const CadenceStep *step, TimestampTz now);
extern void sender_start(Sender *sender);

/* Its policy is to be asked again, since its window may be closed by then. */
static inline bool
sender_is_late(const CadenceStep *step, TimestampTz at)
{
	return step->leave_by != 0 && at >= step->leave_by;
}

#endif
