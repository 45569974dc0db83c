/*
 * queue.h
 *		What comes next, by time.
 */
#ifndef SIMULATE_QUEUE_H
#define SIMULATE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Event
{
	int64_t at;
	int64_t number; /* of what comes at one time, the first first */
	int kind;
	int who;
	int claim;
} Event;

typedef struct Queue
{
	Event *events;
	int n;
	int room;
	int64_t count;
} Queue;

extern void queue_put(Queue *queue, int64_t at, int kind, int who, int claim);
extern bool queue_take(Queue *queue, Event *event);
extern int64_t queue_next(const Queue *queue);

#endif
