/*
 * settle.h
 *		What became of an attempt that was uncertain, or held for review.
 */
#ifndef CADENCE_SETTLE_H
#define CADENCE_SETTLE_H

#include "postgres.h"

#include "record/event.h"
#include "record/message_rows.h"
#include "record/move.h"

extern TimestampTz cadence_settle_time(const LockedRun *run, bool sent);
extern void cadence_settle_write(CadenceEvents *events, CadenceMessageRows *messages,
								 const LockedRun *run, const RunTransition *to, bool sent);
extern CadenceEvent cadence_run_event(const LockedRun *run, const char *type, Datum details);

#endif
