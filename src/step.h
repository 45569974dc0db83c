/*
 * step.h
 *		One claimed step on its way through the stages.
 *
 * claim fills in the run, resolve the message, dispatch the answer, record
 * reads all of it. No stage knows another; this struct is what they share.
 */
#ifndef CADENCE_STEP_H
#define CADENCE_STEP_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "provider/kept.h"
#include "provider/pool.h"
#include "provider/request.h"
#include "rules/due.h"
#include "rules/transition.h"
#include "rules/template.h"
#include "base/uuid.h"

/*
 * The steps of one claim. Their memory lives until the last of them is
 * recorded, however long one provider takes.
 */
typedef struct CadenceBatch
{
	MemoryContext context;
	int live; /* so many are not recorded yet */
} CadenceBatch;

/* How a value stands in a text. */
typedef enum TemplateEscape
{
	ESCAPE_NOTHING,
	ESCAPE_HTML,
	ESCAPE_JSON /* inside a string */
} TemplateEscape;

/* One of a template's texts: of which field of the message. */
typedef struct CadenceTemplateText
{
	MessageField field;
	TemplateEscape escape;
	TemplatePart *parts;
	size_t nparts;
} CadenceTemplateText;

#define TEMPLATE_TEXTS_MAX 13

typedef struct CadenceTemplate
{
	CadenceTemplateText texts[TEMPLATE_TEXTS_MAX]; /* those that it has; the message's is first */
	int ntexts;
	const char *problem; /* NULL, or why it can not be rendered */

	/* the values of all its texts, one for each source that a placeholder names */
	int nvalues;
	int *sources;				   /* a column's number in the row, or one of message.c's own */
	const TemplatePart **named_by; /* a part that names it */
} CadenceTemplate;

/* Why a step was not sent: a code for machines, a sentence for people. */
typedef struct CadenceReason
{
	const char *code;
	char *text;
} CadenceReason;

/* By whom, and when, somebody was last written to. */
typedef struct LastMessage
{
	const char *server; /* NULL: by nobody */
	TimestampTz at;		/* 0: never */
	pg_uuid_t key;		/* the step's idempotency key */
} LastMessage;

/* A person on a channel; steps of one claim share it. */
typedef struct CadenceConversation
{
	const char *empresa;
	const char *lead_id;
	const char *canal;
	bool is_busy; /* somebody else is writing it at this moment */
	bool is_changed;
	LastMessage last;
	struct CadenceStep *taken_by; /* the last of the claim's steps; NULL: none */
} CadenceConversation;

/* What an answer means for its sender's breaker. */
typedef enum BreakerNews
{
	BREAKER_STAYS,
	BREAKER_CLOSES,
	BREAKER_OPENS
} BreakerNews;

typedef struct CadenceStep
{
	CadenceBatch *batch;

	/* the run, as claimed */
	pg_uuid_t run_id;
	ItemPointerData seen; /* where the look has seen it, */
	ItemPointerData ctid; /* and the claim has put it; others may have moved it since */
	pg_uuid_t claim_id;
	char run_id_text[UUID_TEXT_SIZE];
	char *lead_id; /* texts of the row may be NULL */
	char *empresa;
	TimestampTz due;	   /* next_run_at before the claim; DT_NOBEGIN: none */
	TimestampTz lease_end; /* next_run_at while it is ours */
	int attempts_claimed;  /* and its attempts */
	int attempts;		   /* this one's number, or the last one's where none is made */
	bool interrupted;	   /* an earlier claim was never recorded */
	bool is_early;		   /* nor was it, and the step that has come in its place is due later */
	bool has_cadence;	   /* the run names one */
	pg_uuid_t cadence_id;
	bool has_position; /* and where it stands in it */
	int position;	   /* its next_step_ordem */

	bool has_begun;		  /* it has had a step */
	const pg_uuid_t *had; /* of which these are the ids */
	int nhad;
	const Jsonb *edition; /* what edits of its cadence have left to it; NULL: nothing */
	bool has_pending;	  /* what comes after its step begins elsewhere, */
	int pending;		  /* from that number on */
	TimestampTz started_at;
	TimestampTz began;	   /* by which its cohort is known, whatever of that is null */
	TimestampTz first_due; /* when its step was due, whatever has put it off since */
	uint64 barrier;		   /* cadence_barrier_count() before it was last seen to be wanted */

	/* it is no run's, but a row of cadence_outbox: news, under run_id, due as a run's step is */
	bool is_news;
	Jsonb *news; /* NULL: none, or too long */
	TimestampTz news_since;

	/* the step */
	bool has_step;
	pg_uuid_t step_id;
	int ordem;
	char *canal;
	char *template_codigo;
	int32 cohort_day; /* on which its run has begun, in its company's time */
	bool has_next;
	pg_uuid_t next_id;
	int next_ordem;
	StepTime next_time;
	char *next_template;
	int64 valid_for_us; /* so long after first_due it is not sent any more; 0: for ever */
	bool goes_on;		/* its failure leads to the next step */

	/* the message */
	KeptRequest *kept; /* what an uncertain attempt has sent: that again; NULL: made anew */
	char *earlier;	   /* what was answered at it, as numbers, the latest first; NULL: nothing */
	HeldMessage *held; /* what one has sent, held for review so far: nothing more; NULL: none */
	char *recipient;   /* as it is stored */
	char *pais;		   /* whose numbers are meant where they do not say; NULL: Brazil's */
	const CadenceTemplate *template;
	const char **values;   /* as many as the template has */
	char *unsubscribe_url; /* of a mail, or where its template names it; NULL: none */
	size_t message_len;	   /* of all its texts together */
	bool has_start;		   /* its sender's limits have counted it */
	bool window_is_open;   /* free text may be sent, which WhatsApp limits */
	bool is_first_touch;   /* nobody has written to its person, as far as that is tracked */
	TimestampTz heard_at;  /* when the last time was, where that was asked; 0: never */

	const CadencePool *pool;		   /* who may serve it */
	CadenceConversation *conversation; /* NULL: nobody asks whom it belongs to */
	LastMessage before;				   /* it, until this step has taken it, */
	struct CadenceStep *taken_from;	   /* from another of its claim; NULL: from none */
	TimestampTz reserved_at;		   /* and as of then; 0: it has not */
	CadenceRequest request;			   /* with its provider, none where that was not got to */
	const char *operation;			   /* that the request needs of its protocol */
	pg_uuid_t key;					   /* idempotency key, the same for every attempt */
	char key_text[UUID_TEXT_SIZE];	   /* and as text */

	/* what it consists of is made when its turn comes */
	const CadenceConfiguration *accepted_by; /* that takes such a request */
	const char **texts;						 /* by field; NULL: no request was made */
	char *message;							 /* the one of them that is recorded */

	/* an approved template, where it sends one; texts are NULL otherwise */
	char *categoria;				 /* "" where its row says none */
	char *template_version;			 /* of its row */
	const struct PersonMarks *marks; /* what is remembered of its person; NULL: of nobody */
	bool template_is_marked;		 /* as stopped, and that was so when it was claimed */
	bool is_template_probe;			 /* and this is to see whether it still is */

	/* what policies say of it */
	struct StepRuling *ruling; /* NULL: nothing */
	const Calendar *calendar;  /* of its person; NULL: nothing depends on it */
	TimestampTz leave_by;	   /* it is not sent from then on, but asked about again; 0: for ever */
	TimestampTz until;		   /* OUTCOME_DEFERRED */
	TimestampTz put_off_at; /* OUTCOME_PUT_OFF by its sender's limits: as of then; 0: it is not */

	/* the end */
	CadenceOutcome outcome;
	CadenceReason reason;
	bool holds;			  /* uncertain, and not to be tried again, whatever its provider's rule */
	char *opt_out_motivo; /* the contact's own, NULL: none */
	CadenceAnswer answer; /* filled in by the transport alone */

	/* what it has shown of its sender */
	BreakerNews breaker;
	const char *breaker_reason;
	int64 breaker_wait_us; /* 0: the sender's own */

	/* its record */
	TimestampTz
		not_before;	  /* its step's time, where an edit has made it a later one; 0: none has */
	bool is_gone;	  /* an edit has removed its step */
	bool has_changed; /* since it was claimed, and next_… are what a second look has found */
	bool has_taught;  /* its sender's state knows what it has said */
	TimestampTz same_since; /* unresolved, or put off, for the same reason; 0: that is new */
	RunTransition transition;
	bool lost;		 /* the claim was no longer ours */
	bool late;		 /* nor was it, but the answer has settled the run */
	bool as_decided; /* the run got the status that the transition says */
	bool recorded;
	int refusals;				/* alone, while others were recorded */
	const char *record_problem; /* NULL, or what could not be written and why */
	bool has_error_event;		/* an event of its record says that it has failed */
} CadenceStep;

/* The provider has accepted its message, held for review or not. */
static inline bool
cadence_was_accepted(const CadenceStep *step)
{
	return step->outcome == OUTCOME_SENT || step->outcome == OUTCOME_HELD;
}

/* The step that a request belongs to. */
static inline CadenceStep *
cadence_step_of(CadenceRequest *request)
{
	return (CadenceStep *) ((char *) request - offsetof(CadenceStep, request));
}

#endif
