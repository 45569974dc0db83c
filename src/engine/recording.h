/*
 * recording.h
 *		The recording part of a pipeline: steps that have ended, until their end
 *		is in the tables and in the summary.
 */
#ifndef CADENCE_RECORDING_H
#define CADENCE_RECORDING_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "engine/limiting.h"
#include "record/record.h"
#include "record/summary.h"
#include "resolve/conversation.h"
#include "schema/tables.h"
#include "step.h"

typedef struct Recording
{
	MemoryContext context;
	CadenceRecorder *recorder;
	CadenceConversations *conversations;
	Limiting *limiting;
	CadenceSummary *summary;
	CadenceStep **steps;
	int n;
	int capacity;
	int live;			   /* steps of this pipeline that are not recorded yet, wherever they are */
	MemoryContext batches; /* that these are of; each has its own below */
	int nbatches;
	TimestampTz since;
	TimestampTz not_before;
	TimestampTz news_not_before; /* their table is locked; 0: it is not */
	bool blocked;				 /* by a locked table: nothing more is taken or sent meanwhile */
	size_t message_bytes;
	TimestampTz next_due; /* the first that a recorded step has made */
} Recording;

extern void recording_init(Recording *recording, MemoryContext context, Limiting *limiting);
extern void recording_prepare(Recording *recording, const CadenceTables *tables);
extern CadenceBatch *recording_new_batch(Recording *recording);
extern void recording_begin_batch(Recording *recording, CadenceBatch *batch, int nsteps);
extern bool recording_has_memory(const Recording *recording, Size most, int least);
extern void recording_add(Recording *recording, CadenceStep *step);
extern void recording_release_message(Recording *recording, CadenceStep *step);
extern bool recording_is_full(const Recording *recording);
extern bool recording_is_due(const Recording *recording, bool idle, bool with_claim);
extern int recording_wait_ms(const Recording *recording, int at_most_ms);
extern bool recording_teaches(const Recording *recording);
extern void recording_write(Recording *recording);
extern void recording_settle(Recording *recording);
extern void recording_write_essentials(Recording *recording, const CadenceTables *tables);
extern void recording_report(Recording *recording, const pg_uuid_t *run, const char *lead_id,
							 const int *position, const char *status, const char *message);

#endif
