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

extern CadenceRecorder *cadence_recorder_create(const CadenceTables *tables);
extern void cadence_record_marks(CadenceRecorder *recorder, CadenceStep **steps, int n);
extern void cadence_record(CadenceRecorder *recorder, CadenceStep **steps, int n);
extern void cadence_record_essentials(CadenceRecorder *recorder, CadenceStep **steps, int n);
extern bool cadence_record_one_by_one(CadenceRecorder *recorder, CadenceStep **steps, int n);
extern bool cadence_record_news(CadenceRecorder *recorder, CadenceStep **steps, int n);

#endif
