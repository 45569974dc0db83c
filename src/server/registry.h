/*
 * registry.h
 *		What the server's processes know of the resident workers: in shared memory,
 *		an entry per database of cadence_runner.databases, with a place for each of
 *		its workers.
 */
#ifndef CADENCE_REGISTRY_H
#define CADENCE_REGISTRY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"

#include "base/settings.h"

#define CADENCE_PROBLEM_MAX 512

/* A worker that has lived so long has got over whatever ended the one before. */
#define RESIDENT_SETTLED_US (10 * USECS_PER_SEC)

/* What a worker that has a process says of itself. */
typedef enum ResidentActivity
{
	RESIDENT_STARTING, /* it has not gone round its loop yet */
	RESIDENT_WORKING,
	RESIDENT_SLEEPING,
	RESIDENT_DISABLED /* cadence_runner.enabled is off */
} ResidentActivity;

/*
 * Its process writes here without a lock, all but its pid; readers look at
 * single values.
 */
typedef struct ResidentWorker
{
	int pid; /* 0: none */
	ResidentActivity activity;
	TimestampTz started_at;
	TimestampTz seen_at;		/* when it last went round its loop */
	TimestampTz last_execution; /* when it last recorded a step */
	TimestampTz wake_at;		/* when it will look again without being woken */
	int in_flight;
	int waiting;
	pg_atomic_uint32 woken; /* a commit wants it to look */
} ResidentWorker;

/* The place of a probe, behind those of the workers. */
#define RESIDENT_PROBE CADENCE_WORKERS_MAX

typedef struct ResidentDatabase
{
	bool used;
	char name[NAMEDATALEN];
	Oid database; /* invalid: its name may lead to another one now */
	int nworkers; /* that it shall have */
	bool paused;  /* until somebody resumes it */
	bool hurry;	  /* a commit would have woken number 0, which is missing */

	/* what has gone wrong, until all of its workers have lived for a while */
	char problem[CADENCE_PROBLEM_MAX];
	bool is_refusal;	  /* a worker could not begin, rather than failed at its work */
	TimestampTz ended_at; /* the last process that has */

	ResidentWorker workers[CADENCE_WORKERS_MAX + 1]; /* number 0 is the one that commits wake */
} ResidentDatabase;

extern void cadence_registry_install(void);
extern bool cadence_registry_exists(void);

/* registry_supervisor.c */
extern void registry_attach_supervisor(void);
extern void registry_sync(List *names, int nworkers);
extern int registry_first_missing(const ResidentDatabase *database);
extern void registry_begin(int entry, Oid database);
extern void registry_refuse(int entry, const char *problem);

/* registry_worker.c: of a probe or a worker */
extern bool registry_attach(const char *name, Oid database, int number);
extern int registry_number(void);
extern const ResidentDatabase *registry_database(void);
extern void registry_ended(const char *problem);
extern void registry_working(ResidentActivity activity, TimestampTz wake_at, int in_flight,
							 int waiting);
extern void registry_executed(void);
extern bool registry_was_woken(void);
extern void registry_wake_peers(void);
extern void registry_wake(Oid database); /* by whoever has changed something */

/* everybody's side */
extern void registry_read(int entry, ResidentDatabase *copy);
extern bool registry_find(const char *name, ResidentDatabase *copy);
extern const char *registry_state(const ResidentDatabase *database);
extern const char *registry_problem(const ResidentDatabase *database);
extern bool registry_pause(const char *name, int timeout_ms);
extern bool registry_resume(const char *name);

#endif
