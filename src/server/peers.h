/*
 * peers.h
 *		Several workers for one execution.
 */
#ifndef CADENCE_PEERS_H
#define CADENCE_PEERS_H

#include "postgres.h"

#include "engine/pipeline.h"
#include "server/launch.h"

typedef struct Peers
{
	CadenceShared *shared; /* with the caller */
	Launch *launch;		   /* NULL: there are none */
	bool asked;			   /* once per execution */
	ErrorData *error;	   /* the first that one of them had */
} Peers;

extern bool peers_are_barred(const Pipeline *p);
extern void peers_start(Peers *peers, Pipeline *pipeline);
extern void peers_stop(Peers *peers);
extern void peers_wait(Peers *peers, Pipeline *pipeline);
extern void peers_end(Peers *peers);

#endif
