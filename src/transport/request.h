/*
 * request.h
 *		One request to a provider: its options, what comes back, and its end.
 *
 * The only file that includes libcurl's header; only dispatch.c and request.c
 * include this one.
 */
#ifndef CADENCE_REQUEST_H
#define CADENCE_REQUEST_H

#include "postgres.h"

#include <curl/curl.h>

#include "lib/ilist.h"

#include "transport/answer.h"
#include "provider/provider.h"
#include "step.h"

/* A handle of libcurl's, which is used for one request after the other. */
typedef struct Transfer
{
	slist_node node; /* in the free list or in the list of what has ended */
	CURL *easy;
	CadenceStep *step;
	bool active; /* added to the multi handle */

	char *body;
	size_t body_len;
	size_t body_sent;
	struct curl_slist *headers;
	char *key;						 /* where the idempotency key stands in them */
	const CadenceProvider *provider; /* that the handle is set up for */
	int generation;
	TimestampTz started_at;
	const char *secrets[ANSWER_SECRETS]; /* those of its provider when it started */

	bool refused_address;
	AnswerBuffer answer;
	char error[CURL_ERROR_SIZE];
} Transfer;

extern Transfer *request_create(void);
extern void request_free(Transfer *transfer);
extern bool request_prepare(Transfer *transfer, CadenceStep *step);
extern void request_end(Transfer *transfer);
extern void request_judge(Transfer *transfer, CURLcode code);
extern void request_judge_unsent(Transfer *transfer, const char *why);

#endif
