/*
 * registry.h
 *		What the server's processes know of the resident workers: one slot of
 *		shared memory per database of cadence_runner.databases.
 */
#ifndef CADENCE_REGISTRY_H
#define CADENCE_REGISTRY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"

/* The most databases that can have a resident worker. */
#define CADENCE_RESIDENTS_MAX 64

#define CADENCE_PROBLEM_MAX 512

typedef enum ResidentState
{
	RESIDENT_OFF,	   /* to be started at its time */
	RESIDENT_PROBING,  /* a probe looks where and as whom to connect */
	RESIDENT_PROBED,   /* it has found out */
	RESIDENT_REFUSED,  /* it has found a reason not to start */
	RESIDENT_STARTING, /* the worker is being started */
	RESIDENT_WORKING,
	RESIDENT_SLEEPING,
	RESIDENT_DISABLED, /* cadence_runner.enabled is off */
	RESIDENT_STOPPED,  /* it was told to end */
	RESIDENT_FAILED	   /* it ended with an error */
} ResidentState;

/* What a commit can ask a worker for. */
#define WISH_LOOK 1	 /* something may be due */
#define WISH_CHECK 2 /* the extension itself has changed */

typedef struct ResidentSlot
{
	/* who it is for */
	bool used;
	char name[NAMEDATALEN];
	Oid database;

	/* what the probe has found */
	Oid schema;
	Oid owner;

	/* its process, or that of its probe */
	uint32 launch; /* number of the last start: a process that comes too late is told by it */
	int pid;	   /* 0: none */
	ResidentState state;
	int held_by; /* a backend that wants nobody in this database; 0: none */
	bool hurry;	 /* something has changed: try again now */
	char problem[CADENCE_PROBLEM_MAX];

	/* what it says of itself */
	TimestampTz started_at;
	TimestampTz seen_at;		/* when it last went round its loop */
	TimestampTz last_execution; /* when it last recorded a step */
	TimestampTz wake_at;		/* when it will look again without being woken */
	int in_flight;
	int waiting;

	pg_atomic_uint32 wishes; /* what commits ask of it */
} ResidentSlot;

extern void cadence_registry_install(void);
extern bool cadence_registry_exists(void);

/* the supervisor's side */
extern void registry_attach_supervisor(void);
extern void registry_sync(List *names);
extern void registry_read(int number, ResidentSlot *copy);
extern uint32 registry_begin(int number, ResidentState state, Oid database);
extern void registry_refuse(int number, const char *problem);
extern void registry_settle(int number, ResidentState from, ResidentState to);
extern void registry_clear_hold(int number);

/* the side of a probe or a worker */
extern bool registry_attach(int number, uint32 launch, ResidentSlot *copy);
extern void registry_found(Oid schema, Oid owner);
extern void registry_failed(const char *problem);
extern void registry_working(ResidentState state, TimestampTz wake_at, int in_flight, int waiting);
extern void registry_executed(void);
extern uint32 registry_take_wishes(void);
extern bool registry_is_resident(void);

/* everybody's side */
extern void registry_wake(Oid database, uint32 wishes);
extern bool registry_hold(Oid database);
extern void registry_release(Oid database);
extern const char *registry_state_name(ResidentState state);

#endif
