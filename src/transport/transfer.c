/*
 * transfer.c
 *		One message to a provider: a handle of libcurl's with its options, what
 *		comes back, and its end. How a protocol is spoken is its kind's.
 *
 * libcurl's callbacks run on libcurl's stack: none of them allocates from
 * PostgreSQL or raises an error.
 */
#include "postgres.h"

#include <time.h>

#include "utils/timestamp.h"

#include "transport/address.h"
#include "transport/transfer.h"

/* The smallest that libcurl takes. */
#define UPLOAD_BYTES 16384L

int64
monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * USECS_PER_SEC + now.tv_nsec / 1000;
}

/* The address is what the name resolved to, so a name can not hide it. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	Transfer *t = arg;

	if (address_is_refused(&address->addr))
	{
		t->refused_address = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype, address->protocol);
}

/* ---- options -------------------------------------------------------------- */

/* What is the same for every protocol. */
static bool
set_common_options(Transfer *t)
{
	bool ok = true;
	CURL *easy = t->easy;

	SETOPT(easy, CURLOPT_NOSIGNAL, 1L, ok);
	/* A resolver's thread that hangs is left to itself: to join it would stop everything else. */
#if LIBCURL_VERSION_NUM >= 0x075700
	SETOPT(easy, CURLOPT_QUICK_EXIT, 1L, ok);
#endif
	SETOPT(easy, CURLOPT_FOLLOWLOCATION, 0L, ok);
	/* Many wait at once for answers, and libcurl 8 keeps one for each, of 64 kB by default. */
	SETOPT(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BYTES, ok);
	SETOPT(easy, CURLOPT_PROXY, "", ok);
	SETOPT(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket, ok);
	SETOPT(easy, CURLOPT_OPENSOCKETDATA, t, ok);
	SETOPT(easy, CURLOPT_ERRORBUFFER, t->error, ok);
	SETOPT(easy, CURLOPT_PRIVATE, t, ok);
	return ok;
}

/* What libcurl may speak, by name, or as it was said before there were names. */
bool
transfer_set_protocols(Transfer *t, const char *names, long flags)
{
	bool ok = true;

#if LIBCURL_VERSION_NUM >= 0x075500
	SETOPT(t->easy, CURLOPT_PROTOCOLS_STR, names, ok);
#else
	SETOPT(t->easy, CURLOPT_PROTOCOLS, flags, ok);
#endif
	return ok;
}

static void
forget_configuration(Transfer *t)
{
	if (t->configuration != NULL)
		cadence_configuration_release(t->configuration);
	t->configuration = NULL;
}

/* A server that speaks another protocol now gets a handle that is as new. */
static bool
set_kind(Transfer *t, const TransferKind *kind)
{
	if (t->kind == kind)
		return true;
	forget_configuration(t);
	t->kind = NULL;
	curl_easy_reset(t->easy);
	if (!set_common_options(t) || !kind->set_fixed_options(t))
		return false;
	t->kind = kind;
	return true;
}

/* What is the same for every request with one configuration. */
static bool
set_configuration(Transfer *t, CadenceConfiguration *c)
{
	bool ok = true;

	if (!set_kind(t, c->definition->is_smtp ? &mail_transfer : &http_transfer))
		return false;
	if (t->configuration == c)
		return true;
	forget_configuration(t);
	SETOPT(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long) c->connect_timeout, ok);
	SETOPT(t->easy, CURLOPT_TIMEOUT_MS, (long) c->timeout, ok);
	if (!ok || !t->kind->set_configuration(t, c))
		return false;
	t->configuration = c;
	cadence_configuration_hold(c);
	return true;
}

/* What was made for one request. */
static void
forget_request(Transfer *t)
{
	if (t->kind != NULL)
		t->kind->forget_request(t);
	t->request = NULL;
}

static void
reset(Transfer *t, CadenceRequest *request)
{
	t->request = request;
	t->error[0] = '\0';
	t->asked = t->was_stopped = t->refused_address = false;
	answer_reset(&t->answer);
	t->started_at = GetCurrentTimestamp();
}

/* ---- what the endpoint calls ------------------------------------------------ */

/*
 * A transfer that can be used again and again, and asks at that gate whether it may
 * begin; NULL when memory is short.
 */
Transfer *
transfer_create(const TransferGate *gate)
{
	Transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->gate = gate;
	t->easy = curl_easy_init();
	if (t->easy != NULL)
		return t;
	free(t);
	return NULL;
}

/* Its handle must not be under way. */
void
transfer_free(Transfer *t)
{
	curl_easy_cleanup(t->easy);
	forget_request(t);
	forget_configuration(t);
	free(t);
}

/*
 * Makes a transfer ready to send a request. False when it can not be: memory is
 * short, or a value can not stand where its operation has it.
 */
bool
transfer_prepare(Transfer *t, CadenceRequest *request, ConnectionUse use)
{
	reset(t, request);
	return set_configuration(t, request->configuration) && t->kind->set_request(t, use);
}

/* Whether it may send, from now on. */
bool
transfer_may_begin(Transfer *t)
{
	t->was_stopped = t->was_stopped || t->gate->is_shut(t->gate->arg);
	t->asked = !t->was_stopped;
	return t->asked;
}

/* It was not the provider's doing; where nothing has left, it is as if it had never begun. */
void
transfer_note_broken_off(CadenceRequest *request)
{
	request->answer->broken_off = true;
	if (request->answer->outcome == OUTCOME_FAILED)
		request->answer->outcome = OUTCOME_UNSENT;
}

/* Fills in its request's answer by how it has ended, and lets go of it. */
void
transfer_end(Transfer *t, CURLcode code)
{
	TransferFacts facts = {.status_line = t->answer.status_line,
						   .text = {.body = t->answer.body, .body_len = t->answer.body_len},
						   .started_at = t->started_at};

	if (t->refused_address)
		strlcpy(t->error,
				"the provider's name leads to a link-local or metadata address, which is never "
				"connected to",
				sizeof(t->error));
	else if (t->error[0] == '\0')
		strlcpy(t->error, curl_easy_strerror(code), sizeof(t->error));
	facts.error = t->error;
	t->kind->tell(t, code, &facts);
	facts.text.body_len = t->answer.body_len;
	answer_judge(t->request, &facts);
	if (t->was_stopped)
		transfer_note_broken_off(t->request);
	forget_request(t);
}

/* The same where it could not begin: not one byte left. */
void
transfer_end_unsent(Transfer *t, const char *why)
{
	TransferFacts facts = {.end = TRANSFER_NOT_STARTED, .error = why, .started_at = t->started_at};

	answer_judge(t->request, &facts);
	forget_request(t);
}
