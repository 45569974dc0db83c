/*
 * plan.h
 *		What becomes of a run after one attempt: the contract's table of
 *		situations, as a pure function.
 */
#ifndef CADENCE_PLAN_H
#define CADENCE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

/* How the handling of one claimed step ended. */
typedef enum CadenceOutcome
{
	OUTCOME_PENDING,	/* not handled yet */
	OUTCOME_SENT,		/* the provider accepted it */
	OUTCOME_FAILED,		/* certainly not accepted, worth another try */
	OUTCOME_REFUSED,	/* the provider says that this message can never be sent */
	OUTCOME_UNCERTAIN,	/* bytes may have left, no conclusive answer */
	OUTCOME_UNRESOLVED, /* no contact, address, template or provider */
	OUTCOME_OPTED_OUT,	/* the contact does not want to be written to */
	OUTCOME_WAITING,	/* the cadence is inactive */
	OUTCOME_NO_STEP,	/* no step was left */
	OUTCOME_UNSENT		/* taken, but given back before anything left */
} CadenceOutcome;

typedef enum RunStatus
{
	RUN_ACTIVE,	   /* ATIVA */
	RUN_DONE,	   /* CONCLUIDA */
	RUN_PAUSED,	   /* PAUSADA */
	RUN_CANCELLED, /* CANCELADA */
} RunStatus;

/* All times are microseconds on one scale; all intervals are microseconds. */
typedef struct PlanInput
{
	CadenceOutcome outcome;
	int attempts;		  /* this attempt's number, from 1 */
	int max_attempts;	  /* 0: no end */
	bool hold;			  /* the provider's on_uncertain is "hold" */
	bool has_next;		  /* the cadence has a step after this one */
	int next_offset;	  /* minutes from this step to it */
	int64_t at;			  /* when the outcome was known */
	int64_t due;		  /* when the step was due */
	int64_t retry_after;  /* what the provider asked for, 0: nothing */
	int64_t retry_failed; /* wait after a failed dispatch */
	int64_t retry_unresolved;
} PlanInput;

typedef struct RunPlan
{
	RunStatus status;
	bool advance;	/* the run moves to its next step */
	bool permanent; /* nobody will try again by itself */
	bool exhausted; /* permanent because max_attempts was reached */
	bool has_due;	/* next_due means something */
	int64_t next_due;
	int attempts; /* what the run's counter becomes */
} RunPlan;

extern RunPlan plan_run(const PlanInput *in);

#endif
