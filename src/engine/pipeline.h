/*
 * pipeline.h
 *		The pipeline of one worker: claim, resolve, send, record.
 *
 * Its parts own their state; what is here calls them. An execution
 * (oneshot.c) and a resident worker turn it until they have enough.
 */
#ifndef CADENCE_PIPELINE_H
#define CADENCE_PIPELINE_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "engine/claiming.h"
#include "engine/recording.h"
#include "engine/sender.h"
#include "provider/provider.h"
#include "record/summary.h"
#include "schema/tables.h"

typedef struct Pipeline
{
	MemoryContext context;
	const CadenceTables *tables;
	CadenceProviders *providers;
	CadenceSummary *summary;
	Claiming claiming;
	Sender sender;
	Recording recording;
	Limiting limiting;
	TimestampTz now; /* when the clock was last read for a turn */
	bool more_to_prune;
	bool more_to_fold;
	bool stock_is_old; /* the runs were counted long ago */
	bool in_a_hurry;   /* it ends, and everybody else's steps wait for this worker */
} Pipeline;

/* Something that must not prevent what comes after it. */
typedef void (*PipelineAction)(Pipeline *pipeline);

extern MemoryContext pipeline_begin(Pipeline *pipeline, const char *trigger);
extern void pipeline_prepare(Pipeline *pipeline, Oid schema, TimestampTz due_until,
							 int max_in_flight);
extern bool pipeline_read_clock(Pipeline *pipeline);
extern void pipeline_return_usage(Pipeline *pipeline);
extern void pipeline_turn(Pipeline *pipeline);
extern void pipeline_wait(Pipeline *pipeline, int at_most_ms);
extern bool pipeline_is_busy(const Pipeline *pipeline);
extern void pipeline_resize(Pipeline *pipeline, int max_in_flight);
extern void pipeline_set_summary(Pipeline *pipeline, CadenceSummary *summary);
extern void pipeline_log(Pipeline *pipeline, bool finished);
extern void pipeline_end_claims(Pipeline *pipeline);
extern bool pipeline_tidy(Pipeline *pipeline, bool is_awaited);
extern void pipeline_note_failure(Pipeline *pipeline, const ErrorData *error);
extern ErrorData *pipeline_catch(Pipeline *pipeline);
extern bool pipeline_try(Pipeline *pipeline, PipelineAction action);

/* shutdown.c */
extern void pipeline_shutdown(Pipeline *pipeline, bool in_a_hurry);

#endif
