/*
 * request.c
 *		One request to a provider: its options, what comes back, and its end.
 *
 * One attempt is one request on the wire. libcurl sends a request again by
 * itself when a connection that it used again dies without an answer. It asks
 * before each time that it is about to send (CURLOPT_PREREQFUNCTION, from 7.80
 * on), and is told no once bytes have left. Older ones get the body from a read
 * function whose seek function refuses once bytes were taken. Either way the
 * transfer ends as uncertain instead of reaching the provider twice.
 *
 * libcurl's callbacks run on libcurl's stack: none of them allocates from
 * PostgreSQL or raises an error.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "transport/address.h"
#include "base/compat.h"
#include "rules/outcome.h"
#include "provider/provider.h"
#include "transport/request.h"
#include "rules/webhook.h"

/* From here on libcurl asks before it sends; with the body at hand it sends both at once. */
#define ASKS_BEFORE_SENDING (LIBCURL_VERSION_NUM >= 0x075000)

/* What one header line says, its value to be written over for each request. */
#define KEY_HEADER "Idempotency-Key: "

/* ---- libcurl's callbacks: no palloc, no ereport ------------------------ */

static bool
bytes_have_left(const Transfer *t)
{
	long request_bytes = 0;

	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	return request_bytes > 0 || t->body_sent > 0;
}

#if ASKS_BEFORE_SENDING
static int
may_send(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	return bytes_have_left(arg) ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}
#else
static size_t
read_body(char *buffer, size_t size, size_t count, void *arg)
{
	Transfer *t = arg;
	size_t n = Min(size * count, t->body_len - t->body_sent);

	memcpy(buffer, t->body + t->body_sent, n);
	t->body_sent += n;
	return n;
}

/* Back to the start only while nothing was handed over. */
static int
seek_body(void *arg, curl_off_t offset, int origin)
{
	Transfer *t = arg;

	return offset == 0 && origin == SEEK_SET && t->body_sent == 0 ? CURL_SEEKFUNC_OK
																  : CURL_SEEKFUNC_FAIL;
}
#endif

static size_t
read_header(char *line, size_t size, size_t count, void *arg)
{
	Transfer *t = arg;

	return answer_add_header(&t->answer, line, size * count) ? size * count : 0;
}

static size_t
read_answer(char *data, size_t size, size_t count, void *arg)
{
	Transfer *t = arg;

	return answer_add_body(&t->answer, data, size * count) ? size * count : 0;
}

/* The address is what the name resolved to, so a name can not hide it. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	Transfer *t = arg;

	if (address_is_link_local(&address->addr))
	{
		t->refused_address = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype, address->protocol);
}

/* ---- options -------------------------------------------------------------- */

/* Notes a refusal instead of raising it: the caller makes it the step's outcome. */
#define SETOPT(easy, option, value, ok)                              \
	do                                                               \
	{                                                                \
		if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK) \
			(ok) = false;                                            \
	} while (0)

/* What is the same for every request of a handle's life. */
static bool
set_fixed_options(Transfer *t)
{
	bool ok = true;
	CURL *easy = t->easy;

	SETOPT(easy, CURLOPT_NOSIGNAL, 1L, ok);
	/* A resolver's thread that hangs is left to itself: to join it would stop everything else. */
#if LIBCURL_VERSION_NUM >= 0x075700
	SETOPT(easy, CURLOPT_QUICK_EXIT, 1L, ok);
#endif
#if LIBCURL_VERSION_NUM >= 0x075500
	SETOPT(easy, CURLOPT_PROTOCOLS_STR, "http,https", ok);
#else
	SETOPT(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS, ok);
#endif
	SETOPT(easy, CURLOPT_FOLLOWLOCATION, 0L, ok);
	SETOPT(easy, CURLOPT_PROXY, "", ok);
	SETOPT(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1, ok);
	SETOPT(easy, CURLOPT_USERAGENT, "cadence_runner/" CADENCE_VERSION, ok);
	SETOPT(easy, CURLOPT_POST, 1L, ok);
#if ASKS_BEFORE_SENDING
	SETOPT(easy, CURLOPT_PREREQFUNCTION, may_send, ok);
	SETOPT(easy, CURLOPT_PREREQDATA, t, ok);
#else
	SETOPT(easy, CURLOPT_READFUNCTION, read_body, ok);
	SETOPT(easy, CURLOPT_READDATA, t, ok);
	SETOPT(easy, CURLOPT_SEEKFUNCTION, seek_body, ok);
	SETOPT(easy, CURLOPT_SEEKDATA, t, ok);
#endif
	SETOPT(easy, CURLOPT_HEADERFUNCTION, read_header, ok);
	SETOPT(easy, CURLOPT_HEADERDATA, t, ok);
	SETOPT(easy, CURLOPT_WRITEFUNCTION, read_answer, ok);
	SETOPT(easy, CURLOPT_WRITEDATA, t, ok);
	SETOPT(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket, ok);
	SETOPT(easy, CURLOPT_OPENSOCKETDATA, t, ok);
	SETOPT(easy, CURLOPT_ERRORBUFFER, t->error, ok);
	SETOPT(easy, CURLOPT_PRIVATE, t, ok);
	return ok;
}

static bool
add_header(Transfer *t, const char *header)
{
	struct curl_slist *list = curl_slist_append(t->headers, header);

	if (list == NULL)
		return false;
	t->headers = list;
	return true;
}

static bool
add_bearer(Transfer *t, const char *token)
{
	char *bearer = psprintf("Authorization: Bearer %s", token);
	bool ok = add_header(t, bearer);

	explicit_bzero(bearer, strlen(bearer));
	pfree(bearer);
	return ok;
}

/* The key comes last, so that it is found again: its value differs, its length does not. */
static bool
add_headers(Transfer *t, const CadenceProvider *p)
{
	struct curl_slist *last;
	bool ok = add_header(t, "Content-Type: application/json; charset=utf-8") &&
			  add_header(t, "Accept: application/json") && add_header(t, "Expect:");

	if (ok && p->bearer_token != NULL)
		ok = add_bearer(t, p->bearer_token);
	if (!ok || !add_header(t, KEY_HEADER "00000000-0000-0000-0000-000000000000"))
		return false;
	for (last = t->headers; last->next != NULL; last = last->next)
		;
	t->key = last->data + strlen(KEY_HEADER);
	return true;
}

static bool
build_body(Transfer *t)
{
	const CadenceStep *s = t->step;
	MessageFields message = {.lead_id = s->lead_id,
							 .canal = s->canal,
							 .recipient = s->recipient,
							 .mensagem = s->message,
							 .empresa = s->empresa,
							 .run_id = s->run_id_text,
							 .step_ordem = s->ordem,
							 .template_codigo = s->template_codigo};

	t->body = webhook_body(&message);
	t->body_len = t->body != NULL ? strlen(t->body) : 0;
	return t->body != NULL;
}

/* What is the same for every request to one provider, until its options change. */
static bool
set_provider_options(Transfer *t)
{
	const CadenceProvider *p = t->step->provider;
	bool ok = true;

	if (t->provider == p && t->generation == p->generation)
		return true;
	t->provider = NULL;
	curl_slist_free_all(t->headers);
	t->headers = NULL;
	if (!add_headers(t, p))
		return false;
	SETOPT(t->easy, CURLOPT_URL, p->url, ok);
	SETOPT(t->easy, CURLOPT_HTTPHEADER, t->headers, ok);
	SETOPT(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long) p->connect_timeout, ok);
	SETOPT(t->easy, CURLOPT_TIMEOUT_MS, (long) p->timeout, ok);
	SETOPT(t->easy, CURLOPT_USERNAME, p->username, ok);
	SETOPT(t->easy, CURLOPT_PASSWORD, p->password, ok);
	SETOPT(t->easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC, ok);
	if (!ok)
		return false;
	t->provider = p;
	t->generation = p->generation;
	return true;
}

static bool
set_request_options(Transfer *t)
{
	bool ok = true;

	memcpy(t->key, t->step->key_text, strlen(t->step->key_text));
	SETOPT(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) t->body_len, ok);
#if ASKS_BEFORE_SENDING
	SETOPT(t->easy, CURLOPT_POSTFIELDS, t->body, ok);
#endif
	return ok;
}

static void
reset_transfer(Transfer *t, CadenceStep *step)
{
	t->step = step;
	t->active = false;
	t->body_len = t->body_sent = 0;
	t->error[0] = '\0';
	answer_reset(&t->answer);
	t->refused_address = false;
	t->started_at = GetCurrentTimestamp();
	t->secrets[0] = step->provider->bearer_token;
	t->secrets[1] = step->provider->password;
	t->secrets[2] = step->provider->basic_credentials;
}

/* ---- the end ---------------------------------------------------------------- */

static TransferEnd
how_it_ended(const Transfer *t, CURLcode code)
{
	if (code == CURLE_OK)
		return TRANSFER_ANSWERED;
	if (t->answer.too_long)
		return TRANSFER_TOO_LONG;
	return bytes_have_left(t) ? TRANSFER_BROKEN : TRANSFER_NOT_STARTED;
}

/* What libcurl, or we in its name, have to say about a transfer without an answer. */
static const char *
transfer_error(const Transfer *t, CURLcode code)
{
	if (t->refused_address)
		return "the provider's name leads to a link-local address, which is never connected to";
	if (answer_headers_are_too_long(&t->answer))
		return "the answer's headers are too long";
	if (code == CURLE_SEND_FAIL_REWIND || code == CURLE_ABORTED_BY_CALLBACK)
		return "the connection ended before an answer";
	return t->error[0] != '\0' ? t->error : curl_easy_strerror(code);
}

static TransferFacts
facts_of(const Transfer *t, CURLcode code)
{
	TransferFacts facts = {.end = how_it_ended(t, code),
						   .error = transfer_error(t, code),
						   .status_line = t->answer.status_line,
						   .body = t->answer.body,
						   .body_len = t->answer.body_len,
						   .started_at = t->started_at};
	curl_off_t retry_after = 0;

	memcpy(facts.secrets, t->secrets, sizeof(facts.secrets));
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &facts.status);
	if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK)
		facts.retry_after_s = retry_after;
	return facts;
}

/* ---- what dispatch calls ---------------------------------------------------- */

/*
 * A transfer that can be used again and again; NULL when memory is short.
 */
Transfer *
request_create(void)
{
	Transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->easy = curl_easy_init();
	if (t->easy == NULL || !set_fixed_options(t))
	{
		request_free(t);
		return NULL;
	}
	return t;
}

/* Its handle must not be under way. */
void
request_free(Transfer *t)
{
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	free(t->body);
	free(t);
}

/*
 * Makes a transfer ready to send a step. False when it can not be: memory is
 * short, or its message is not UTF-8.
 */
bool
request_prepare(Transfer *t, CadenceStep *step)
{
	reset_transfer(t, step);
	return build_body(t) && set_provider_options(t) && set_request_options(t);
}

/* From here on the transfer needs its body no more. */
void
request_end(Transfer *t)
{
	t->active = false;
	free(t->body);
	t->body = NULL;
}

/*
 * Settles a step by how its transfer has ended.
 */
void
request_judge(Transfer *t, CURLcode code)
{
	TransferFacts facts = facts_of(t, code);

	cadence_judge(t->step, &facts);
}

/*
 * The same where it could not begin: not one byte left.
 */
void
request_judge_unsent(Transfer *t, const char *why)
{
	TransferFacts facts = {.end = TRANSFER_NOT_STARTED, .error = why, .started_at = t->started_at};

	cadence_judge(t->step, &facts);
}
