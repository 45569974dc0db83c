/*
 * http.c
 *		A request over HTTP, and its answer.
 *
 * One attempt is one request on the wire. libcurl sends a request again by
 * itself when a connection that it used again dies without an answer. It asks
 * before each time that it is about to send, and is told no once bytes may have
 * left: the transfer then ends as uncertain instead of reaching the provider
 * twice. Over TLS it counts bytes late, so they may have left from the moment
 * that it was told yes.
 */
#include "postgres.h"

#include "base/compat.h"
#include "transport/transfer.h"

/* ---- libcurl's callbacks: no palloc, no ereport ------------------------ */

static bool
bytes_may_have_left(const Transfer *t)
{
	long request_bytes = 0;

	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	return request_bytes > 0 || (t->http.is_tls && t->asked);
}

static int
may_send(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	Transfer *t = arg;

	if (t->request == NULL)
		return CURL_PREREQFUNC_ABORT;
	t->http.asked_again = bytes_may_have_left(t);
	if (t->http.asked_again || !transfer_may_begin(t))
		return CURL_PREREQFUNC_ABORT;
	return CURL_PREREQFUNC_OK;
}

/* Two counters, of which one or both have the body: what they miss is less than the headers. */
static bool
is_sent_whole(const Transfer *t)
{
	long request_bytes = 0;
	curl_off_t body_bytes = 0;

	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &body_bytes);
	return request_bytes + body_bytes >= (curl_off_t) t->http.built.body_len;
}

/* What comes before the request is whole is no answer to it. */
static size_t
read_header(char *line, size_t size, size_t count, void *arg)
{
	Transfer *t = arg;

	if (t->answer.header_bytes == 0 && !is_sent_whole(t))
		t->http.spoke_early = true;
	return !t->http.spoke_early && answer_add_header(&t->answer, line, size * count) ? size * count
																					 : 0;
}

static size_t
read_body(char *data, size_t size, size_t count, void *arg)
{
	Transfer *t = arg;

	return answer_add_body(&t->answer, data, size * count) ? size * count : 0;
}

/* ---- options -------------------------------------------------------------- */

static bool
set_fixed_options(Transfer *t)
{
	bool ok = transfer_set_protocols(t, "http,https", CURLPROTO_HTTP | CURLPROTO_HTTPS);
	CURL *easy = t->easy;

	SETOPT(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1, ok);
	SETOPT(easy, CURLOPT_USERAGENT, "cadence_runner/" CADENCE_VERSION, ok);
	SETOPT(easy, CURLOPT_POST, 1L, ok);
	SETOPT(easy, CURLOPT_PREREQFUNCTION, may_send, ok);
	SETOPT(easy, CURLOPT_PREREQDATA, t, ok);
	SETOPT(easy, CURLOPT_HEADERFUNCTION, read_header, ok);
	SETOPT(easy, CURLOPT_HEADERDATA, t, ok);
	SETOPT(easy, CURLOPT_WRITEFUNCTION, read_body, ok);
	SETOPT(easy, CURLOPT_WRITEDATA, t, ok);
	return ok;
}

static bool
set_configuration(Transfer *t, const CadenceConfiguration *c)
{
	return true;
}

static bool
add_header(Transfer *t, const char *header)
{
	struct curl_slist *list = curl_slist_append(t->http.headers, header);

	if (list != NULL)
		t->http.headers = list;
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

	for (char **line = t->http.built.headers; *line != NULL && ok; line++)
		ok = add_header(t, *line);
	return ok;
}

static bool
set_request(Transfer *t, ConnectionUse use)
{
	BuiltRequest *built = &t->http.built;
	bool ok = request_build(t->request->operation, t->request->values, built);

	t->http.asked_again = t->http.spoke_early = false;
	if (!ok || !add_headers(t))
		return false;
	t->http.is_tls = pg_strncasecmp(built->url, "https:", 6) == 0;
	SETOPT(t->easy, CURLOPT_URL, built->url, ok);
	SETOPT(t->easy, CURLOPT_HTTPHEADER, t->http.headers, ok);
	SETOPT(t->easy, CURLOPT_CUSTOMREQUEST, built->method, ok);
	SETOPT(t->easy, CURLOPT_POSTFIELDS, built->body != NULL ? built->body : "", ok);
	SETOPT(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) built->body_len, ok);
	SETOPT(t->easy, CURLOPT_FRESH_CONNECT, use == CONNECTION_KEPT ? 0L : 1L, ok);
	SETOPT(t->easy, CURLOPT_FORBID_REUSE, use == CONNECTION_FOR_ONE ? 1L : 0L, ok);
	return ok;
}

static void
forget_request(Transfer *t)
{
	request_free(&t->http.built);
	curl_slist_free_all(t->http.headers);
	t->http.headers = NULL;
}

/* ---- the end ---------------------------------------------------------------- */

static TransferEnd
how_it_ended(const Transfer *t, CURLcode code)
{
	if (code == CURLE_OK || t->answer.too_long)
		return TRANSFER_ANSWERED;
	return t->http.spoke_early || bytes_may_have_left(t) ? TRANSFER_BROKEN : TRANSFER_NOT_STARTED;
}

/* What we, and not libcurl, know about a transfer without an answer. */
static const char *
error_text(const Transfer *t)
{
	if (t->http.spoke_early)
		return "an answer came before the request was sent";
	if (answer_headers_are_too_long(&t->answer))
		return "the answer's headers are too long";
	if (t->http.asked_again)
		return "the connection ended before an answer";
	return t->error;
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

static void
tell(Transfer *t, CURLcode code, TransferFacts *facts)
{
	curl_off_t retry_after = 0;
	char *content_type = NULL;

	facts->end = how_it_ended(t, code);
	facts->error = error_text(t);
	facts->text.is_cut = t->answer.too_long;
	facts->text.header = find_header;
	facts->text.header_arg = t->easy;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &facts->text.status);
	if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK)
		facts->retry_after_s = retry_after;
	if (curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &content_type) == CURLE_OK)
		facts->text.content_type = content_type;
}

/*
 * Whether it has met a connection that should not have been used again: one
 * that ended without a byte, or had one to say unasked.
 */
static bool
met_bad_connection(const Transfer *t, CURLcode code)
{
	long connects = 0;

	if (t->http.asked_again || t->http.spoke_early)
		return true;
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	return connects == 0 && t->answer.header_bytes == 0 &&
		   (code == CURLE_GOT_NOTHING || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR);
}

const TransferKind http_transfer = {.set_fixed_options = set_fixed_options,
									.set_configuration = set_configuration,
									.set_request = set_request,
									.forget_request = forget_request,
									.tell = tell,
									.met_bad_connection = met_bad_connection};
