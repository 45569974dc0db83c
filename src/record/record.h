/*
 * record.h
 *		Record: message rows, event rows and the run's move.
 */
#ifndef CADENCE_RECORD_H
#define CADENCE_RECORD_H

#include "postgres.h"

#include "step.h"
#include "schema/tables.h"

typedef struct CadenceRecorder CadenceRecorder;

/* The pieces of a step's record, of which some may be refused. */
typedef enum RecordPiece
{
	RECORD_ALL,
	RECORD_MOVE,
	RECORD_PAUSE, /* instead of a move that is refused */
	RECORD_EVENTS,
	RECORD_MESSAGE
} RecordPiece;

extern CadenceRecorder *cadence_recorder_create(const CadenceTables *tables);
extern void cadence_record(CadenceRecorder *recorder, CadenceStep **steps, int n,
						   RecordPiece piece);
extern void cadence_record_essentials(CadenceRecorder *recorder, CadenceStep **steps, int n);
extern bool cadence_record_one_by_one(CadenceRecorder *recorder, CadenceStep **steps, int n);

#endif
