/*
 * pipeline_state.h
 *		The state of one execution, shared by the files that make up the
 *		pipeline: pipeline.c (the whole of it), turn.c (its transactions) and
 *		progress.c (its steps and what is reported of them).
 */
#ifndef CADENCE_PIPELINE_STATE_H
#define CADENCE_PIPELINE_STATE_H

#include "postgres.h"

#include "claim/claim.h"
#include "transport/dispatch.h"
#include "engine/execution.h"
#include "claim/lease.h"
#include "claim/abandoned.h"
#include "resolve/step_lookup.h"
#include "provider/provider.h"
#include "provider/queue.h"
#include "record/record.h"
#include "record/runlog.h"
#include "step.h"
#include "record/summary.h"
#include "schema/tables.h"

/* The longest wait for transfers before something else is looked at. */
#define WAIT_MS 1000

/* Another worker of the execution is claiming, which takes some milliseconds. */
#define CLAIM_DENIED_WAIT_MS 2

/* A step is not sent so late that its answer could come after its lease. */
#define LEASE_MARGIN_MS 10000

typedef struct StepList
{
	CadenceStep **steps;
	int n;
	int capacity;
} StepList;

typedef struct Pipeline
{
	MemoryContext context;
	MemoryContext recheck;	 /* of what one look at waiting steps needs */
	CadenceShared *shared;	 /* with who started this worker */
	CadenceShared *company;	 /* with the execution's other workers; NULL: there are none */
	struct Launch *helpers;	 /* of a leader that has started some */
	ErrorData *helper_error; /* the first that one of them had */
	bool all_taken_told;	 /* the caller knows that nothing is left to claim */
	bool claim_denied;		 /* another worker was claiming */
	bool holds_claims;		 /* the lock among the execution's workers */
	bool orphans_sought;	 /* and found, for this execution */
	bool alone;				 /* no helpers are wanted, or there are some already */
	List *seen_waiting;		 /* segments of the callers who waited when it began */
	List *waiters;			 /* those of them that are being answered */
	int max_in_flight;
	const CadenceTables *tables;
	CadenceProviders *providers;
	CadenceClaims *claims;
	CadenceLeases *leases;
	CadencePositions *positions;
	CadenceRecorder *recorder;
	CadenceLog *log;
	CadenceSummary *summary;
	const CadenceDispatchFunctions *transport;
	CadenceDispatcher *dispatcher; /* made when there is something to send */
	CadenceQueue queue;

	TimestampTz now; /* when the clock was last read for a turn */

	StepList done; /* ended, not yet recorded */
	TimestampTz done_since;
	size_t message_bytes;
	TimestampTz published_at; /* when others were last told of it */
	TimestampTz checked_at;	  /* when every waiting step was last known to be wanted */
	bool exhausted;			  /* nothing due is left to claim */
	bool bypass_exhausted;	  /* nothing, for providers that are not held up */
	TimestampTz record_not_before;
	bool record_blocked; /* by a locked table: nothing more is taken or sent meanwhile */
	int apart;			 /* so many turns to come record and claim in transactions of their own */
	int careful;		 /* so many claims to come are made one run at a time */
	int lock_failures;
	TimestampTz claim_not_before; /* after one that met a lock */

	/* of a resident worker's */
	bool resident;
	CadenceOrphans *orphans;
	TimestampTz next_due; /* the first that is known since the last look began */
	bool left_over;		  /* the last look saw runs that it could not take */
	bool more_to_prune;
	int found; /* so many due runs were seen since this was last set to 0 */
} Pipeline;

typedef enum ClaimKind
{
	CLAIM_NOTHING,
	CLAIM_DUE,	 /* what is due, oldest first */
	CLAIM_BYPASS /* past those whose provider is held up */
} ClaimKind;

/* pipeline.c */
extern MemoryContext pipeline_begin(Pipeline *p, CadenceShared *shared);
extern void pipeline_prepare(Pipeline *p);
extern void pipeline_turn(Pipeline *p);
extern void pipeline_wait(Pipeline *p, int at_most_ms);
extern bool pipeline_read_clock(Pipeline *p);
extern bool pipeline_is_busy(const Pipeline *p);
extern int pipeline_in_flight(const Pipeline *p);
extern void pipeline_give_back(Pipeline *p, CadenceStep *step);
extern void pipeline_collect_done(Pipeline *p);
extern void pipeline_note_failure(Pipeline *p, const ErrorData *error);
extern void pipeline_log(Pipeline *p);
extern void pipeline_prune_log(Pipeline *p);
extern void pipeline_resize(Pipeline *p);

/* winddown.c */
extern bool pipeline_attempt(Pipeline *p, void (*action)(Pipeline *));
extern void pipeline_give_back_waiting(Pipeline *p);
extern void pipeline_wind_down(Pipeline *p);

/* progress.c */
extern CadenceBatch *progress_new_batch(Pipeline *p);
extern void progress_step_done(Pipeline *p, CadenceStep *step);
extern void progress_release_message(Pipeline *p, CadenceStep *step);
extern void progress_settle(Pipeline *p, bool all);
extern void progress_report_run(Pipeline *p, const DueRun *run, const char *status,
								const char *message);
extern void progress_tell_claimed(Pipeline *p);
extern void progress_tell_all_taken(Pipeline *p);

/* helpers.c */
extern int helpers_count_workers(const Pipeline *p);
extern void helpers_start(Pipeline *p);
extern void helpers_stop(Pipeline *p);
extern void helpers_wait(Pipeline *p);
extern void helpers_end(Pipeline *p);
extern bool helpers_lock_claims(Pipeline *p);
extern void helpers_listen(Pipeline *p);
extern bool helpers_are_ending(const Pipeline *p);
extern void helpers_unlock_claims(Pipeline *p);

/* waiters.c */
extern List *waiters_see(void);
extern bool waiters_may_begin(const Pipeline *p);
extern void waiters_answer(Pipeline *p);

/* turn.c */
extern bool turn_may_be_sent(const CadenceStep *step, TimestampTz now);
extern bool turn_wants_recheck(const Pipeline *p, TimestampTz now);
extern void turn_recheck(Pipeline *p);
extern ClaimKind turn_wants_claim(const Pipeline *p);
extern ClaimKind turn_begin_claim(Pipeline *p);
extern void turn_take(Pipeline *p, bool with_record, ClaimKind claim);
extern void turn_release_orphans(Pipeline *p);
extern void turn_note_halted(Pipeline *p);
extern void turn_forget_claims(Pipeline *p);
extern void turn_check_licence(Pipeline *p);
extern void turn_record_rest(Pipeline *p);
extern void turn_record_essentials(Pipeline *p);
extern ErrorData *turn_catch_error(MemoryContext context);

#endif
