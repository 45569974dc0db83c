/*
 * answer.h
 *		From what a transfer saw to a request's answer.
 */
#ifndef CADENCE_ANSWER_H
#define CADENCE_ANSWER_H

#include "postgres.h"

#include "provider/request.h"

/* An answer's body is read up to here: its JSON says little. */
#define ANSWER_MAX (64 * 1024)
#define ANSWER_HEADERS_MAX (64 * 1024)
#define STATUS_LINE_MAX 128

/* An answer as it comes in. */
typedef struct AnswerBuffer
{
	char status_line[STATUS_LINE_MAX]; /* without the protocol's version */
	size_t header_bytes;
	bool too_long; /* its body is */
	size_t body_len;
	char body[ANSWER_MAX];
} AnswerBuffer;

/* How far a transfer got before it ended. */
typedef enum TransferEnd
{
	TRANSFER_ANSWERED,	  /* an answer was read, or the most of it that we read */
	TRANSFER_NOT_STARTED, /* no connection, no name, no TLS: nothing left */
	TRANSFER_BROKEN		  /* bytes may have left, no whole answer */
} TransferEnd;

/* The facts of one transfer that has ended, in nobody's protocol library's terms. */
typedef struct TransferFacts
{
	TransferEnd end;
	const char *status_line; /* without the protocol's version */
	AnswerText text;
	const char *error; /* what went wrong where there is no answer */
	int64 retry_after_s;
	TimestampTz started_at;
} TransferFacts;

/* No palloc, no ereport: these are called from the protocol library's callbacks. */
extern void answer_reset(AnswerBuffer *answer);
extern bool answer_add_header(AnswerBuffer *answer, const char *line, size_t len);
extern bool answer_add_body(AnswerBuffer *answer, const char *data, size_t len);
extern bool answer_headers_are_too_long(const AnswerBuffer *answer);

extern void answer_judge(CadenceRequest *request, const TransferFacts *facts);

#endif
