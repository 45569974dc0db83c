/*
 * pieces.h
 *		The pieces of a record, for the files that write it: whole, or what its
 *		tables take.
 */
#ifndef CADENCE_PIECES_H
#define CADENCE_PIECES_H

#include "postgres.h"

#include "record/event.h"
#include "record/mark.h"
#include "record/message_rows.h"
#include "record/move.h"
#include "record/outbox.h"
#include "record/record.h"
#include "record/second_look.h"
#include "record/tally.h"

/* What the moment prevents is tried as a whole until so shortly before the lease's end. */
#define RECORD_LAST_CHANCE_US (5 * USECS_PER_SEC)

/* So many steps that wait for a lock in vain are enough for one transaction. */
#define RECORD_UNSETTLED_MAX 3

struct CadenceRecorder
{
	CadenceMover *mover;
	CadenceSecondLook *second_look;
	CadenceEvents *events;
	CadenceMarker *marker;
	CadenceMessageRows *messages;
	CadenceOutbox *outbox;
	CadenceTally *tally;
};

typedef void (*RecordPiece)(CadenceRecorder *r, CadenceStep **steps, int n);

/* A batch that was refused. */
typedef struct RecordRetry
{
	CadenceRecorder *recorder;
	CadenceStep **steps;
	RecordPiece piece;
	TimestampTz until;
	int unsettled;
} RecordRetry;

extern RunTransition record_decide(const CadenceStep *step, RunAct act);
extern int record_only(CadenceStep **steps, int n, bool is_news, CadenceStep **some);
extern void record_moves(CadenceRecorder *r, CadenceStep **steps, int n);
extern void record_pauses(CadenceRecorder *r, CadenceStep **steps, int n);
extern void record_events(CadenceRecorder *r, CadenceStep **steps, int n);
extern void record_messages(CadenceRecorder *r, CadenceStep **steps, int n);
extern void record_news_of_runs(CadenceRecorder *r, CadenceStep **steps, int n);
extern void record_counts(CadenceRecorder *r, CadenceStep **steps, int n);
extern void record_whole(CadenceRecorder *r, CadenceStep **steps, int n);

#endif
