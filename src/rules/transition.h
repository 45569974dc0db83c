/*
 * transition.h
 *		Every move of a run, as a pure function: after an attempt, the contract's
 *		table of situations; after an operator's act, what that means.
 */
#ifndef CADENCE_TRANSITION_H
#define CADENCE_TRANSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/due.h"

/* How the handling of one claimed step ended. */
typedef enum CadenceOutcome
{
	OUTCOME_PENDING,	/* not handled yet */
	OUTCOME_SENT,		/* the provider accepted it */
	OUTCOME_HELD,		/* the same, but holds it for review */
	OUTCOME_FAILED,		/* certainly not accepted, worth another try */
	OUTCOME_REFUSED,	/* the provider says that this message can never be sent */
	OUTCOME_UNCERTAIN,	/* bytes may have left, no conclusive answer */
	OUTCOME_UNRESOLVED, /* no contact, address, template or provider */
	OUTCOME_PUT_OFF,	/* not now, says the provider: no attempt */
	OUTCOME_OTHERWISE,	/* not in this form: at once in another, whatever max_attempts is */
	OUTCOME_STOPPED,	/* nothing more is to be sent: opted out, blocked, or in cadence_exits */
	OUTCOME_WAITING,	/* the cadence is inactive */
	OUTCOME_DEFERRED,	/* its policy says: not before then */
	OUTCOME_SKIPPED,	/* its policy says: on to the next step */
	OUTCOME_NO_STEP,	/* no step was left */
	OUTCOME_UNSENT		/* taken, but given back before anything left */
} CadenceOutcome;

/* An active and a paused run may become any other; the other two are final. */
typedef enum RunStatus
{
	RUN_ACTIVE,	   /* ATIVA */
	RUN_DONE,	   /* CONCLUIDA */
	RUN_PAUSED,	   /* PAUSADA */
	RUN_CANCELLED, /* CANCELADA */
} RunStatus;

/* What happens to a run. */
typedef enum RunAct
{
	ACT_ATTEMPT,	 /* its claimed step has an outcome */
	ACT_UNWRITABLE,	 /* it has, but its tables refuse what that leads to */
	ACT_LATE_ANSWER, /* "sent", or "held for review", after its claim was lost */

	/* an operator's */
	ACT_PAUSE,
	ACT_RESUME,
	ACT_CANCEL,
	ACT_SETTLE_SENT,   /* an attempt that was uncertain, or held for review, was sent after all */
	ACT_SETTLE_UNSENT, /* or was not */

	ACT_RESEND,	 /* what it has sent last has failed: back to that step, which is its next one then
				  */
	ACT_ARRIVED, /* that has not failed after all: past it again, unless it was sent meanwhile */
	ACT_REOPEN /* it has had all steps, and there are new ones behind them, the first is its next */
} RunAct;

/* Why an act leaves a run as it is. */
typedef enum RunRefusal
{
	REFUSAL_NONE,
	REFUSAL_STATUS,		 /* not in this status */
	REFUSAL_UNDER_WAY,	 /* somebody is working on it */
	REFUSAL_CERTAIN,	 /* of the last attempt at its step it is known what became */
	REFUSAL_OTHER_ACTIVE /* another run of the same lead and cadence is active */
} RunRefusal;

/* All times are microseconds on one scale; all intervals are microseconds. */
typedef struct TransitionInput
{
	RunAct act;
	CadenceOutcome outcome; /* of ACT_ATTEMPT */

	/* the run: status and what follows it need not be known of ACT_ATTEMPT */
	RunStatus status;
	bool has_step;	   /* it stands before one: who has ended it so was not us */
	bool claimed;	   /* somebody is working on it, or has left it so */
	bool uncertain;	   /* of the last attempt at its step nobody knows yet what becomes */
	bool kept;		   /* an earlier one has left something to the next */
	bool other_active; /* so is another run of the same lead and cadence */
	bool interrupted;  /* an attempt before this one was never recorded */
	int attempts;	   /* of its step, from 1; this one counts */
	bool has_due;
	int64_t due; /* of an attempt: when the step was due, before it was claimed */

	/* the step after this one */
	bool has_next;
	StepTime next_time;
	int64_t started_at;		  /* the run's beginning */
	const Calendar *calendar; /* NULL: next_time needs none */

	int64_t at;	   /* the act, or, of what was sent, the attempt */
	int64_t until; /* of OUTCOME_DEFERRED */

	/* what edits have made of the step since it was claimed */
	int64_t not_before; /* it is due then, and what is no attempt waits until that; 0: as it was */
	bool gone;			/* it was removed: that is the time of the one behind it */

	bool goes_on; /* the step's se_falhar: a failure leads to the next step */

	/* the provider and the settings */
	bool hold;			 /* the provider's on_uncertain is "hold" */
	int64_t hold_at;	 /* or it is from then on: its key is not known any longer; 0: never */
	int64_t retry_after; /* not before so long, says the provider; 0: it says nothing */
	int max_attempts;	 /* 0: no end */
	int64_t retry_failed;
	double retry_factor; /* by which that grows with each attempt; 1: it does not */
	int64_t retry_most;
	double jitter; /* from -1 to 1: spreads what would come back at one time */
	int64_t retry_unresolved;
	int64_t same_for; /* how long it has been unresolved, or put off, for one reason */
} TransitionInput;

/* Whose the run is afterwards. */
typedef enum ClaimAfter
{
	CLAIM_ENDS,
	CLAIM_STAYS,
	CLAIM_INTERRUPTED /* nobody's, and an attempt at the step was never recorded */
} ClaimAfter;

typedef struct RunTransition
{
	RunRefusal refusal; /* if there is one, the rest means nothing */
	RunStatus status;
	bool decided;		 /* false: only an active run gets that status, others keep theirs */
	bool advance;		 /* the run moves to its next step, */
	bool goes_back;		 /* which is the one before, again, */
	int64_t counts_from; /* which counts from then; 0: from nothing that is known */
	bool permanent;		 /* nobody will try again by itself */
	bool exhausted;		 /* permanent because max_attempts was reached */
	ClaimAfter claim;
	bool has_due; /* next_due means something */
	int64_t next_due;
	int attempts; /* what the run's counter becomes */
} RunTransition;

extern RunTransition cadence_transition(const TransitionInput *in);

#endif
