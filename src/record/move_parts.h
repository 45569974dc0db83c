/*
 * move_parts.h
 *		What the files share that read and move runs.
 */
#ifndef CADENCE_MOVE_PARTS_H
#define CADENCE_MOVE_PARTS_H

#include "postgres.h"

#include "base/statement.h"
#include "record/move.h"
#include "record/outbox.h"
#include "record/tally.h"
#include "schema/calendar.h"

struct CadenceMover
{
	Statement by_ctid;
	Statement by_id;
	Statement lock;
	Statement lock_many;
	Statement look;
	Statement sent;
	CadenceOutbox *outbox;
	CadenceTally *tally;
	CadenceCalendars *calendars;
};

/* In SQL, of a step x and a run r. */
#define IS_NEW NOT_HAD("x", "r")

extern const char *const move_status_texts[];

extern void move_locks_prepare(CadenceMover *mover, const CadenceTables *tables);
extern void move_count(CadenceMover *mover, const LockedRun *runs, const RunTransition *to, int n);

#endif
