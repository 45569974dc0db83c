/*
 * queue.h
 *		Calls that wait for a connection, the first first.
 */
#ifndef DOOR_QUEUE_H
#define DOOR_QUEUE_H

#include <stdbool.h>

#include "pool.h"

typedef struct Queue
{
	Call *first;
	int waiting[2]; /* strangers, executions */
} Queue;

extern void queue_append(Queue *queue, Call *call);
extern void queue_take_out(Queue *queue, Call **place);
extern Call **queue_first(Queue *queue, bool is_execution);
extern bool queue_drop(Queue *queue, Call *call);

#endif
