/*
 * request.h
 *		One message on its way to a provider: what the queue orders and the
 *		transport sends. It is embedded in what it belongs to, so who gets it back
 *		finds that again.
 */
#ifndef CADENCE_REQUEST_H
#define CADENCE_REQUEST_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"

#include "provider/configuration.h"
#include "rules/answer_reader.h"

/* What became of it, filled in by the transport. */
typedef struct CadenceAnswer
{
	CadenceOutcome outcome;	  /* OUTCOME_UNSENT: it was not begun */
	CadenceClass class;		  /* what the answer means, where there is one */
	const char *code;		  /* for machines; NULL: it was sent */
	char *reason;			  /* for people */
	long http_status;		  /* 0: none */
	bool broken_off;		  /* by us: it says nothing about the provider */
	bool is_unknown;		  /* a refusal that no rule of its protocol knows */
	bool of_category;		  /* it holds for messages of the same category alone */
	bool wait_is_own;		  /* the answer, or the rule, said how long */
	bool stops_first_touches; /* nobody is to be written to first for so long */
	bool is_of_recipient;	  /* asks for less, but of this one alone, unless several hear it */
	bool says_when;			  /* the answer itself does */
	int64 retry_after_us;	  /* not again before so long; 0: nobody said */
	int64 elapsed_us;
	TimestampTz at;
	char *message_id; /* NULL: none */
	uint32 number;	  /* which answer it was, to see whether it comes again; 0: there was none */
} CadenceAnswer;

struct CadenceProvider;

typedef struct CadenceRequest
{
	dlist_node node;					  /* in its provider's queue, or in the transport */
	struct CadenceProvider *provider;	  /* NULL: none was chosen */
	struct CadenceSenderState *limits;	  /* by which it counts as in flight; NULL: it does not */
	CadenceConfiguration *configuration;  /* of the provider, held by the context */
	MemoryContext context;				  /* where the answer's texts go */
	bool is_probe;						  /* its sender is shut, and this is to see whether still */
	TimestampTz start_at;				  /* not earlier, by its sender's limits; 0: at once */
	const DefinitionOperation *operation; /* of the configuration's definition */
	Values values;						  /* of the operation's placeholders */
	AnsweredMessage message;
	bool has_approved; /* an approved template can be sent in its place */
	CadenceAnswer *answer;
} CadenceRequest;

#endif
