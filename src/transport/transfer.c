/*
 * transfer.c
 *		One request to a provider: a handle of libcurl's with its options, what
 *		comes back, and its end.
 *
 * One attempt is one request on the wire. libcurl sends a request again by
 * itself when a connection that it used again dies without an answer. It asks
 * before each time that it is about to send, and is told no once bytes may have
 * left: the transfer then ends as uncertain instead of reaching the provider
 * twice. Over TLS it counts bytes late, so they may have left from the moment
 * that it was told yes.
 *
 * libcurl's callbacks run on libcurl's stack: none of them allocates from
 * PostgreSQL or raises an error.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/compat.h"
#include "transport/address.h"
#include "transport/transfer.h"

/* ---- libcurl's callbacks: no palloc, no ereport ------------------------ */

static bool
bytes_may_have_left(const Transfer *t)
{
	long request_bytes = 0;

	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	return request_bytes > 0 || (t->is_tls && t->asked);
}

static int
may_send(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	Transfer *t = arg;

	if (t->request == NULL)
		return CURL_PREREQFUNC_ABORT;
	t->asked_again = bytes_may_have_left(t);
	t->asked = true;
	return t->asked_again ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* Two counters, of which one or both have the body: what they miss is less than the headers. */
static bool
is_sent_whole(const Transfer *t)
{
	long request_bytes = 0;
	curl_off_t body_bytes = 0;

	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &body_bytes);
	return request_bytes + body_bytes >= (curl_off_t) t->built.body_len;
}

/* What comes before the request is whole is no answer to it. */
static size_t
read_header(char *line, size_t size, size_t count, void *arg)
{
	Transfer *t = arg;

	if (t->answer.header_bytes == 0 && !is_sent_whole(t))
		t->spoke_early = true;
	return !t->spoke_early && answer_add_header(&t->answer, line, size * count) ? size * count : 0;
}

static size_t
read_body(char *data, size_t size, size_t count, void *arg)
{
	Transfer *t = arg;

	return answer_add_body(&t->answer, data, size * count) ? size * count : 0;
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

/* Notes a refusal instead of raising it: the caller makes it the request's outcome. */
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
	SETOPT(easy, CURLOPT_PREREQFUNCTION, may_send, ok);
	SETOPT(easy, CURLOPT_PREREQDATA, t, ok);
	SETOPT(easy, CURLOPT_HEADERFUNCTION, read_header, ok);
	SETOPT(easy, CURLOPT_HEADERDATA, t, ok);
	SETOPT(easy, CURLOPT_WRITEFUNCTION, read_body, ok);
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

	if (list != NULL)
		t->headers = list;
	return list != NULL;
}

/* Of the operation that is sent: its own, what its "basic" makes, and no wait for "100 Continue".
 */
static bool
add_headers(Transfer *t)
{
	const CadenceConfiguration *c = t->configuration;
	const char *basic = c->basic[t->request->operation - c->definition->operations];
	bool ok = add_header(t, "Expect:") && (basic == NULL || add_header(t, basic));

	for (char **line = t->built.headers; *line != NULL && ok; line++)
		ok = add_header(t, *line);
	return ok;
}

static void
forget_configuration(Transfer *t)
{
	if (t->configuration != NULL)
		cadence_configuration_release(t->configuration);
	t->configuration = NULL;
}

/* What is the same for every request with one configuration. */
static bool
set_configuration(Transfer *t, CadenceConfiguration *c)
{
	bool ok = true;

	if (t->configuration == c)
		return true;
	forget_configuration(t);
	SETOPT(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long) c->connect_timeout, ok);
	SETOPT(t->easy, CURLOPT_TIMEOUT_MS, (long) c->timeout, ok);
	if (!ok)
		return false;
	t->configuration = c;
	cadence_configuration_hold(c);
	return true;
}

static bool
set_request(Transfer *t, ConnectionUse use)
{
	bool ok = request_build(t->request->operation, t->request->values, &t->built);

	if (!ok || !add_headers(t))
		return false;
	t->is_tls = pg_strncasecmp(t->built.url, "https:", 6) == 0;
	SETOPT(t->easy, CURLOPT_URL, t->built.url, ok);
	SETOPT(t->easy, CURLOPT_HTTPHEADER, t->headers, ok);
	SETOPT(t->easy, CURLOPT_CUSTOMREQUEST, t->built.method, ok);
	SETOPT(t->easy, CURLOPT_POSTFIELDS, t->built.body != NULL ? t->built.body : "", ok);
	SETOPT(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) t->built.body_len, ok);
	SETOPT(t->easy, CURLOPT_FRESH_CONNECT, use == CONNECTION_KEPT ? 0L : 1L, ok);
	SETOPT(t->easy, CURLOPT_FORBID_REUSE, use == CONNECTION_FOR_ONE ? 1L : 0L, ok);
	return ok;
}

/* What was made for one request. */
static void
forget_request(Transfer *t)
{
	request_free(&t->built);
	curl_slist_free_all(t->headers);
	t->headers = NULL;
	t->request = NULL;
}

static void
reset(Transfer *t, CadenceRequest *request)
{
	t->request = request;
	t->error[0] = '\0';
	t->asked = t->asked_again = t->refused_address = t->spoke_early = false;
	answer_reset(&t->answer);
	t->started_at = GetCurrentTimestamp();
}

/* ---- the end ---------------------------------------------------------------- */

static TransferEnd
how_it_ended(const Transfer *t, CURLcode code)
{
	if (code == CURLE_OK || t->answer.too_long)
		return TRANSFER_ANSWERED;
	return t->spoke_early || bytes_may_have_left(t) ? TRANSFER_BROKEN : TRANSFER_NOT_STARTED;
}

/* What libcurl, or we in its name, have to say about a transfer without an answer. */
static const char *
error_text(const Transfer *t, CURLcode code)
{
	if (t->refused_address)
		return "the provider's name leads to a link-local or metadata address, which is never "
			   "connected to";
	if (t->spoke_early)
		return "an answer came before the request was sent";
	if (answer_headers_are_too_long(&t->answer))
		return "the answer's headers are too long";
	if (t->asked_again)
		return "the connection ended before an answer";
	return t->error[0] != '\0' ? t->error : curl_easy_strerror(code);
}

/* Of the answer itself, not of one before it that libcurl has read on the way. */
static const char *
find_header(void *arg, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(arg, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

static TransferFacts
facts_of(const Transfer *t, CURLcode code)
{
	TransferFacts facts = {.end = how_it_ended(t, code),
						   .error = error_text(t, code),
						   .status_line = t->answer.status_line,
						   .text = {.body = t->answer.body,
									.body_len = t->answer.body_len,
									.is_cut = t->answer.too_long,
									.header = find_header,
									.header_arg = t->easy},
						   .started_at = t->started_at};
	curl_off_t retry_after = 0;
	char *content_type = NULL;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &facts.text.status);
	if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK)
		facts.retry_after_s = retry_after;
	if (curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &content_type) == CURLE_OK)
		facts.text.content_type = content_type;
	return facts;
}

/* ---- what the endpoint calls ------------------------------------------------ */

/*
 * A transfer that can be used again and again; NULL when memory is short.
 */
Transfer *
transfer_create(void *owner)
{
	Transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->owner = owner;
	t->easy = curl_easy_init();
	if (t->easy == NULL || !set_fixed_options(t))
	{
		transfer_free(t);
		return NULL;
	}
	return t;
}

/* Its handle must not be under way. */
void
transfer_free(Transfer *t)
{
	curl_easy_cleanup(t->easy);
	forget_configuration(t);
	forget_request(t);
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
	return set_configuration(t, request->configuration) && set_request(t, use);
}

/*
 * Whether it has met a connection that should not have been used again: one
 * that ended without a byte, or had one to say unasked.
 */
bool
transfer_met_bad_connection(const Transfer *t, CURLcode code)
{
	long connects = 0;

	if (t->asked_again || t->spoke_early)
		return true;
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	return connects == 0 && t->answer.header_bytes == 0 &&
		   (code == CURLE_GOT_NOTHING || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR);
}

/* Fills in its request's answer by how it has ended, and lets go of it. */
void
transfer_end(Transfer *t, CURLcode code)
{
	TransferFacts facts = facts_of(t, code);

	answer_judge(t->request, &facts);
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
