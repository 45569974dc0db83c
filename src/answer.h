/*
 * answer.h
 *		From what a transfer saw to a step's outcome, reason and answer.
 */
#ifndef CADENCE_ANSWER_H
#define CADENCE_ANSWER_H

#include "step.h"

#include "outcome.h"

#define ANSWER_SECRETS 3

/* The facts of one transfer that has ended, in nobody's protocol library's terms. */
typedef struct TransferFacts
{
	TransferEnd end;
	long status;			 /* of the answer, if it has one */
	const char *status_line; /* without the protocol's version */
	const char *body;
	size_t body_len;
	const char *error; /* what went wrong where there is no answer */
	int64 retry_after_s;
	TimestampTz started_at;
	const char *secrets[ANSWER_SECRETS]; /* that this request carried; NULL: none */
} TransferFacts;

extern void cadence_judge(CadenceStep *step, const TransferFacts *facts);

#endif
