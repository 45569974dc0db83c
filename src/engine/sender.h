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

typedef struct Sender
{
	MemoryContext context;
	Recording *recording; /* where steps go that have ended */
	const CadenceDispatchFunctions *transport;
	CadenceDispatcher *dispatcher; /* made when there is something to send */
	CadenceQueue queue;
	int max_in_flight;
	TimestampTz checked_at; /* when every waiting step was last known to be wanted */
	bool held;				/* they are to be looked at first, and can not be for the moment */
	TimestampTz published_at;
} Sender;

extern void sender_init(Sender *sender, MemoryContext context, Recording *recording,
						int max_in_flight);
extern void sender_resize(Sender *sender, int max_in_flight);
extern int sender_in_flight(const Sender *sender);
extern bool sender_may_send(const CadenceStep *step, TimestampTz now);
extern void sender_push(Sender *sender, CadenceStep *step, TimestampTz looked_at);
extern void sender_start(Sender *sender);
extern void sender_wait(Sender *sender, int at_most_ms);
extern void sender_poke(Sender *sender);
extern void sender_publish(Sender *sender);
extern void sender_give_back(Sender *sender, CadenceStep *step);
extern void sender_give_back_unsent(Sender *sender);
extern void sender_abandon(Sender *sender);

#endif
