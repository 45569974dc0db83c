/*
 * lock.h
 *		Locks of ours, in the server's own lock manager, that SQL can neither take
 *		nor wait for.
 */
#ifndef CADENCE_LOCK_H
#define CADENCE_LOCK_H

#include "postgres.h"

/* What a lock stands for; each kind has a name space of its own. */
typedef enum CadenceLockKind
{
	CADENCE_LOCK_EXECUTION = 0xCADE, /* callers begin one after the other */
	CADENCE_LOCK_CLAIMANT,			 /* its holder lives, and so do its claims */
	CADENCE_LOCK_ENROLMENT,			 /* who makes runs of a cadence active */
	CADENCE_LOCK_TABLES,			 /* who makes the tables */
	CADENCE_LOCK_MESSAGE,	/* who writes a message that came in, where no index guards it */
	CADENCE_LOCK_EXCLUSIVE, /* who enrols in a company's exclusive cadences */
	CADENCE_LOCK_FOLD,		/* who puts together what was counted */
	CADENCE_LOCK_FIRST,		/* who counts the first of what somebody says */
	CADENCE_LOCK_STEPS		/* who edits a cadence's steps; shared: who puts runs before one */
} CadenceLockKind;

extern bool cadence_lock_try(CadenceLockKind kind, uint64 key, bool session);
extern bool cadence_lock_wait(CadenceLockKind kind, uint64 key, int timeout_ms);
extern void cadence_lock_hold(CadenceLockKind kind, uint64 key);
extern bool cadence_lock_share(CadenceLockKind kind, uint64 key);
extern void cadence_lock_release(CadenceLockKind kind, uint64 key);

#endif
