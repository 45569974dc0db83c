/*
 * transfer.h
 *		One message to a provider: a handle of libcurl's with its options, what
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
#include "rules/mail.h"
#include "rules/mail_reply.h"
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

/* An HTTP request: http.c */
typedef struct HttpTransfer
{
	BuiltRequest built;
	struct curl_slist *headers;
	bool is_tls;
	bool asked_again; /* libcurl wanted to send a second time */
	bool spoke_early; /* an answer came before the request was whole */
} HttpTransfer;

/* A mail's way: mail.c. From MAIL_IDLE to MAIL_ENDED the connection is ours, not libcurl's. */
typedef enum MailState
{
	MAIL_AWAY, /* no connection, or libcurl is making one. Next: MAIL_FROM */
	MAIL_IDLE, /* a connection that waits for a mail. Next: MAIL_RESET, MAIL_FROM, MAIL_AWAY */
	/* what was said last; each may be followed by MAIL_ENDED */
	MAIL_RESET, /* forget the mail before. Next: MAIL_FROM */
	MAIL_FROM,	/* who sends. Next: MAIL_TO, or MAIL_STALE */
	MAIL_TO,	/* who gets it. Next: MAIL_DATA */
	MAIL_DATA,	/* that the mail will follow. Next: MAIL_TEXT */
	MAIL_TEXT,	/* the mail. Next: MAIL_DOT */
	MAIL_DOT,	/* its end: from here on it may have been sent */
	MAIL_STALE, /* the connection was over before it was used again. Next: MAIL_AWAY */
	MAIL_ENDED	/* there is an outcome. Next: MAIL_IDLE, MAIL_AWAY */
} MailState;

typedef struct MailTransfer
{
	MailState state;
	curl_socket_t fd; /* of a connection that is ours */
	bool was_used;	  /* by a mail before this one */
	bool needs_reset; /* that one was broken off */
	bool offers_utf8; /* SMTPUTF8 */
	bool keep;		  /* another mail may follow */
	int64 act_at;	  /* by monotonic_us(): when to go on without an event */
	int64 deadline;
	Mail mail;
	char command[MAIL_REPLY_LINE_MAX + 64];
	const char *out; /* what is still to be said */
	size_t out_len;
	MailReply reply;
	TransferEnd end; /* where it has ended */
} MailTransfer;

typedef struct Transfer Transfer;

/* Whether nothing may begin at this moment; called inside libcurl, so no error may leave it. */
typedef struct TransferGate
{
	bool (*is_shut)(void *arg);
	void *arg;
} TransferGate;

/* How a protocol is spoken. No palloc, no ereport, no waiting in any of them. */
typedef struct TransferKind
{
	bool (*set_fixed_options)(Transfer *t);
	bool (*set_configuration)(Transfer *t, const CadenceConfiguration *c);
	bool (*set_request)(Transfer *t, ConnectionUse use);
	void (*forget_request)(Transfer *t);
	void (*tell)(Transfer *t, CURLcode code, TransferFacts *facts);
	bool (*met_bad_connection)(const Transfer *t, CURLcode code);
} TransferKind;

extern const TransferKind http_transfer;
extern const TransferKind mail_transfer;

/* Malloc'd, and used for one request after the other. */
struct Transfer
{
	dlist_node node; /* among its endpoint's, free or under way */
	CURL *easy;
	const TransferKind *kind;			 /* that the handle is set up for; NULL: none yet */
	CadenceRequest *request;			 /* NULL: it was withdrawn, and nothing may leave */
	CadenceConfiguration *configuration; /* that the handle is set up for, held */
	TimestampTz started_at;

	const TransferGate *gate;
	bool asked;			  /* it has got leave to send: from here on it may have left */
	bool was_stopped;	  /* it gets none, or has got none */
	bool refused_address; /* the name leads where nothing may go */
	HttpTransfer http;
	MailTransfer mail;
	AnswerBuffer answer;
	char error[CURL_ERROR_SIZE];
};

/* Notes a refusal instead of raising it: the caller makes it the request's outcome. */
#define SETOPT(easy, option, value, ok)                              \
	do                                                               \
	{                                                                \
		if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK) \
			(ok) = false;                                            \
	} while (0)

extern int64 monotonic_us(void);
extern Transfer *transfer_create(const TransferGate *gate);
extern void transfer_free(Transfer *t);
extern bool transfer_prepare(Transfer *t, CadenceRequest *request, ConnectionUse use);
extern bool transfer_set_protocols(Transfer *t, const char *names, long flags);
extern bool transfer_may_begin(Transfer *t);
extern void transfer_note_broken_off(CadenceRequest *request);
extern void transfer_end(Transfer *t, CURLcode code);
extern void transfer_end_unsent(Transfer *t, const char *why);

#endif
