/*
 * transfer.h
 *		One request to a provider: a handle of libcurl's with its options, what
 *		comes back, and its end.
 *
 * The only file that includes libcurl's header; only the transport's own files
 * include this one.
 */
#ifndef CADENCE_TRANSFER_H
#define CADENCE_TRANSFER_H

#include "postgres.h"

#include <curl/curl.h>

#include "lib/ilist.h"

#include "provider/request.h"
#include "rules/request_builder.h"
#include "transport/answer.h"

#if LIBCURL_VERSION_NUM < 0x075400
#error "libcurl 7.84 or later is needed: earlier ones do not tell an answer's headers"
#endif

/* Whether its connection is one that was used before, and may be used again. */
typedef enum ConnectionUse
{
	CONNECTION_KEPT,	 /* both */
	CONNECTION_ON_TRIAL, /* a new one, which is kept and watched */
	CONNECTION_FOR_ONE	 /* a new one, for this request alone */
} ConnectionUse;

/* Malloc'd, and used for one request after the other. */
typedef struct Transfer
{
	dlist_node node; /* among its endpoint's, free or under way */
	CURL *easy;
	void *owner;						 /* the endpoint */
	CadenceRequest *request;			 /* NULL: it was withdrawn, and nothing may leave */
	CadenceConfiguration *configuration; /* that the handle is set up for, held */

	BuiltRequest built;
	struct curl_slist *headers;
	TimestampTz started_at;

	bool is_tls;
	bool asked;			  /* libcurl has got leave to send, once */
	bool asked_again;	  /* and wanted it a second time */
	bool refused_address; /* the name leads where nothing may go */
	bool spoke_early;	  /* an answer came before the request was whole */
	AnswerBuffer answer;
	char error[CURL_ERROR_SIZE];
} Transfer;

extern Transfer *transfer_create(void *owner);
extern void transfer_free(Transfer *t);
extern bool transfer_prepare(Transfer *t, CadenceRequest *request, ConnectionUse use);
extern bool transfer_met_bad_connection(const Transfer *t, CURLcode code);
extern void transfer_end(Transfer *t, CURLcode code);
extern void transfer_end_unsent(Transfer *t, const char *why);

#endif
