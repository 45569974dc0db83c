/*
 * peers.h
 *		Other workers for an execution that has more to do than one.
 */
#ifndef CADENCE_PEERS_H
#define CADENCE_PEERS_H

#include "postgres.h"

#include "engine/pipeline.h"
#include "server/launch.h"

/* Of the first worker. */
typedef struct Peers
{
	Pipeline *pipeline;	  /* its own */
	dsm_segment *segment; /* with the starter */
	Launch *launch;		  /* NULL: there are none */
	bool sought;		  /* once, and started, as far as that was possible */
	ErrorData *error;	  /* the first that one of them had */
} Peers;

extern void peers_leave_room(Peers *peers);
extern void peers_work_alone(Peers *peers);
extern void peers_start(Peers *peers);
extern void peers_stop(Peers *peers);
extern void peers_wait(Peers *peers);

#endif
