/*
 * move.h
 *		The one writer of what rules/transition.c has decided of runs, and the
 *		reader of a run that somebody decides about.
 */
#ifndef CADENCE_MOVE_H
#define CADENCE_MOVE_H

#include "step.h"
#include "schema/tables.h"

typedef struct CadenceMover CadenceMover;

/*
 * A run under its row lock, and what is known of the step that it stands
 * before. Texts and details are in the caller's memory context.
 */
typedef struct LockedRun
{
	pg_uuid_t id;
	char *status_text;
	char *lead_id;
	char *empresa;
	bool has_ordem;
	int ordem; /* of its step; where there is none any more, next_step_ordem */
	bool has_step_id;
	pg_uuid_t step_id;
	pg_uuid_t key;	/* its idempotency key */
	Jsonb *edition; /* what edits of its cadence have left to it; NULL: nothing */
	bool has_had;	/* a step whose id is known, the last of them: */
	pg_uuid_t last_had;
	bool has_last;
	int last_ordem; /* of the step that was sent last */

	char *template_codigo; /* of its step; NULL: there is none */
	int next_ordem;
	char *next_template;
	bool step_is_gone; /* that it had stayed before */
	bool has_attempt;  /* the last one is uncertain, or held for review, and its event says so: */
	Datum attempt;	   /* its details */
	TimestampTz attempted_at;
	int attempt_ordem; /* the number that its step had then */

	TransitionInput in; /* what a transition has to know of it; the act and its time are missing */
} LockedRun;

/* The claim id of a run that an attempt was made for, never recorded, and nobody's any more. */
#define INTERRUPTED_CLAIM "'00000000-0000-0000-0000-000000000000'"

/* In SQL: the key of the lock that stands for a cadence. */
#define CADENCE_KEY(id) "pg_catalog.hashtextextended(" id "::text, 0::int8)"

extern bool cadence_active_is_guarded(const CadenceTables *tables);
extern bool cadence_is_active_twice(const ErrorData *error);
extern CadenceMover *cadence_mover_create(const CadenceTables *tables);
extern bool cadence_run_lock(CadenceMover *mover, const pg_uuid_t *id, LockedRun *run);
extern int cadence_runs_lock(CadenceMover *mover, const pg_uuid_t *ids, int n, LockedRun *runs);
extern RunTransition cadence_run_transition(const LockedRun *run, RunAct act, TimestampTz at);
extern bool cadence_run_is_before(const LockedRun *run, int ordem);
extern void cadence_run_move(CadenceMover *mover, const LockedRun *run, const RunTransition *to);
extern void cadence_runs_move(CadenceMover *mover, const LockedRun *runs, const RunTransition *to,
							  int n);
extern void cadence_steps_move(CadenceMover *mover, CadenceStep **steps, int n);
extern void cadence_steps_move_changed(CadenceMover *mover, CadenceStep **steps, int n);

#endif
