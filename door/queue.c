/*
 * queue.c
 *		Calls that wait for a connection, the first first.
 */
#include "queue.h"

#include <stddef.h>

void
queue_append(Queue *queue, Call *call)
{
	Call **place = &queue->first;

	while (*place != NULL)
		place = &(*place)->next;
	*place = call;
	call->next = NULL;
	call->is_waiting = true;
	queue->waiting[call->is_execution]++;
}

void
queue_take_out(Queue *queue, Call **place)
{
	Call *call = *place;

	*place = call->next;
	call->is_waiting = false;
	queue->waiting[call->is_execution]--;
}

/* The place of the first of that kind; there may be none at it. */
Call **
queue_first(Queue *queue, bool is_execution)
{
	Call **place = &queue->first;

	while (*place != NULL && (*place)->is_execution != is_execution)
		place = &(*place)->next;
	return place;
}

/* False: it is not in it. */
bool
queue_drop(Queue *queue, Call *call)
{
	for (Call **place = &queue->first; *place != NULL; place = &(*place)->next)
		if (*place == call)
		{
			queue_take_out(queue, place);
			return true;
		}
	return false;
}
