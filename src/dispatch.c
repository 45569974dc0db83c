/*
 * dispatch.c
 *		Dispatch: sends resolved steps to their providers, many at once.
 *
 * The only file that knows libcurl. One multi handle, whose easy handles are
 * kept and used again, as are its connections.
 *
 * One attempt is one request on the wire. libcurl sends a request again by
 * itself when a connection that it used again dies without an answer. It asks
 * before each time that it is about to send (CURLOPT_PREREQFUNCTION, from 7.80
 * on), and is told no once bytes have left. Older ones get the body from a read
 * function whose seek function refuses once bytes were taken. Either way the
 * transfer ends as uncertain instead of reaching the provider twice.
 *
 * libcurl's callbacks run on libcurl's stack: none of them allocates from
 * PostgreSQL or raises an error. Its resolver makes threads, which must never
 * run one of the server's signal handlers: signals are masked wherever such a
 * thread can be born, and a thread inherits the mask.
 *
 * No transaction is open here and no snapshot is held.
 */
#include "postgres.h"

#include <curl/curl.h>
#include <signal.h>
#include <time.h>

#include "fmgr.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "address.h"
#include "answer.h"
#include "compat.h"
#include "dispatch.h"
#include "outcome.h"
#include "provider.h"
#include "sockets.h"
#include "webhook.h"

PG_MODULE_MAGIC;

/* An answer's body is read up to here: its JSON says little. */
#define ANSWER_MAX (64 * 1024)
#define ANSWER_HEADERS_MAX (64 * 1024)
#define STATUS_LINE_MAX 128

/* From here on libcurl asks before it sends; with the body at hand it sends both at once. */
#define ASKS_BEFORE_SENDING (LIBCURL_VERSION_NUM >= 0x075000)

#define NO_TIMER PG_INT64_MAX

/* So many sockets are looked at before new transfers get their turn. */
#define READY_MAX 256

/* What one header line says, its value to be written over for each request. */
#define KEY_HEADER "Idempotency-Key: "

typedef struct Transfer
{
	slist_node node; /* in the free list or in the list of what has ended */
	CadenceDispatcher *dispatcher;
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

	char status_line[STATUS_LINE_MAX];
	size_t header_bytes;
	bool refused_address;
	bool too_long;
	size_t answer_len;
	char answer[ANSWER_MAX];
	char error[CURL_ERROR_SIZE];
} Transfer;

struct CadenceDispatcher
{
	CURLM *multi;
	Sockets *sockets;
	const char *problem; /* what libcurl has said, or we to it */
	int64 timer_at;		 /* when libcurl wants to be called, by monotonic_us() */
	int wakeup_fd;
	int capacity;
	int in_flight;
	int ntransfers;
	Transfer **transfers; /* all that were ever made, malloc'd */
	slist_head free;
	slist_head done;
	MemoryContextCallback cleanup;
};

/* ---- signals ---------------------------------------------------------- */

static void
mask_signals(sigset_t *saved)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, saved);
}

static void
unmask_signals(const sigset_t *saved)
{
	sigprocmask(SIG_SETMASK, saved, NULL);
}

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

static void
keep_status_line(Transfer *t, const char *line, size_t len)
{
	const char *text = memchr(line, ' ', len);
	size_t n = 0;

	if (text == NULL)
		return;
	for (text++; text < line + len && n < STATUS_LINE_MAX - 1; text++)
		if (*text >= 0x20 && *text < 0x7F)
			t->status_line[n++] = *text;
	t->status_line[n] = '\0';
}

static size_t
read_header(char *line, size_t size, size_t count, void *arg)
{
	Transfer *t = arg;
	size_t len = size * count;

	t->header_bytes += len;
	if (t->header_bytes > ANSWER_HEADERS_MAX)
		return 0;
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
		keep_status_line(t, line, len);
	return len;
}

static size_t
read_answer(char *data, size_t size, size_t count, void *arg)
{
	Transfer *t = arg;
	size_t len = size * count;
	size_t n = Min(len, ANSWER_MAX - t->answer_len);

	memcpy(t->answer + t->answer_len, data, n);
	t->answer_len += n;
	if (n < len)
	{
		t->too_long = true;
		return 0;
	}
	return len;
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

static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	CadenceDispatcher *d = arg;
	int events = 0;

	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= SOCKET_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= SOCKET_WRITE;
	if (!sockets_watch(d->sockets, fd, events))
		d->problem = "a socket can not be watched";
	return 0;
}

static int64
monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * USECS_PER_SEC + now.tv_nsec / 1000;
}

static int
set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	CadenceDispatcher *d = arg;

	if (timeout_ms < 0)
		d->timer_at = NO_TIMER;
	else
		d->timer_at = timeout_ms == 0 ? 0 : monotonic_us() + (int64) timeout_ms * 1000;
	return 0;
}

/* ---- handles ------------------------------------------------------------ */

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

/* NULL when memory is short. */
static Transfer *
new_transfer(CadenceDispatcher *d)
{
	Transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->dispatcher = d;
	t->easy = curl_easy_init();
	if (t->easy == NULL || !set_fixed_options(t))
	{
		curl_easy_cleanup(t->easy);
		free(t);
		return NULL;
	}
	/*
	 * A socket for each: libcurl does not tell of every one that it closes, so
	 * they can not be counted one by one. See socket_limit().
	 */
	ReserveExternalFD();
	d->transfers[d->ntransfers++] = t;
	return t;
}

static Transfer *
get_transfer(CadenceDispatcher *d)
{
	if (!slist_is_empty(&d->free))
		return slist_container(Transfer, node, slist_pop_head_node(&d->free));
	return d->ntransfers < d->capacity ? new_transfer(d) : NULL;
}

/* Called when the memory context goes, or is called again on what is gone already. */
static void
destroy(void *arg)
{
	CadenceDispatcher *d = arg;

	if (d->multi == NULL)
		return;
	for (int i = 0; i < d->ntransfers; i++)
	{
		Transfer *t = d->transfers[i];

		if (t->active)
			curl_multi_remove_handle(d->multi, t->easy);
		curl_easy_cleanup(t->easy);
		curl_slist_free_all(t->headers);
		free(t->body);
		free(t);
		ReleaseExternalFD();
	}
	curl_multi_cleanup(d->multi);
	sockets_free(d->sockets);
	ReleaseExternalFD();
	free(d->transfers);
	d->multi = NULL;
	d->ntransfers = 0;
}

/*
 * Connections that wait to be used again hold a socket, too. The server lends
 * external code a third of its files.
 */
static int
socket_limit(int wanted)
{
	int lent = max_safe_fds / 3 - 8;

	if (wanted <= lent)
		return wanted;
	ereport(LOG, (errmsg("cadence_runner sends at most %d messages at once, not %d", lent, wanted),
				  errhint("Raise max_files_per_process.")));
	return Max(lent, 1);
}

static void
resize(CadenceDispatcher *d, int max_in_flight)
{
	int wanted = socket_limit(max_in_flight);
	Transfer **transfers = realloc(d->transfers, Max(wanted, d->ntransfers) * sizeof(Transfer *));

	if (transfers == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	d->transfers = transfers;
	d->capacity = wanted;
	curl_multi_setopt(d->multi, CURLMOPT_MAXCONNECTS, (long) wanted);
	curl_multi_setopt(d->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long) wanted);
}

static CadenceDispatcher *
create(int max_in_flight, int wakeup_fd)
{
	CadenceDispatcher *d = palloc0(sizeof(*d));

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
						errmsg("could not initialise libcurl")));
	d->wakeup_fd = wakeup_fd;
	slist_init(&d->free);
	slist_init(&d->done);
	d->timer_at = NO_TIMER;
	d->sockets = sockets_create();
	d->multi = d->sockets != NULL ? curl_multi_init() : NULL;
	if (d->multi == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	ReserveExternalFD();
	d->cleanup.func = destroy;
	d->cleanup.arg = d;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &d->cleanup);

	resize(d, max_in_flight);
	curl_multi_setopt(d->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING);
	curl_multi_setopt(d->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(d->multi, CURLMOPT_SOCKETDATA, d);
	curl_multi_setopt(d->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(d->multi, CURLMOPT_TIMERDATA, d);
	if (!sockets_watch(d->sockets, d->wakeup_fd, SOCKET_READ) ||
		!sockets_watch(d->sockets, postmaster_alive_fds[POSTMASTER_FD_WATCH], SOCKET_READ))
		d->problem = "a socket can not be watched";
	return d;
}

/* ---- one request -------------------------------------------------------- */

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
	t->status_line[0] = t->error[0] = '\0';
	t->header_bytes = t->answer_len = 0;
	t->refused_address = t->too_long = false;
	t->started_at = GetCurrentTimestamp();
	t->secrets[0] = step->provider->bearer_token;
	t->secrets[1] = step->provider->password;
	t->secrets[2] = step->provider->basic_credentials;
}

/* ---- the end of a request ------------------------------------------------ */

static TransferEnd
how_it_ended(const Transfer *t, CURLcode code)
{
	if (code == CURLE_OK)
		return TRANSFER_ANSWERED;
	if (t->too_long)
		return TRANSFER_TOO_LONG;
	return bytes_have_left(t) ? TRANSFER_BROKEN : TRANSFER_NOT_STARTED;
}

/* What libcurl, or we in its name, have to say about a transfer without an answer. */
static const char *
transfer_error(const Transfer *t, CURLcode code)
{
	if (t->refused_address)
		return "the provider's name leads to a link-local address, which is never connected to";
	if (t->header_bytes > ANSWER_HEADERS_MAX)
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
						   .status_line = t->status_line,
						   .body = t->answer,
						   .body_len = t->answer_len,
						   .started_at = t->started_at};
	curl_off_t retry_after = 0;

	memcpy(facts.secrets, t->secrets, sizeof(facts.secrets));
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &facts.status);
	if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK)
		facts.retry_after_s = retry_after;
	return facts;
}

static void
judge(Transfer *t, CURLcode code)
{
	TransferFacts facts = facts_of(t, code);

	cadence_judge(t->step, &facts);
}

static void
finish(CadenceDispatcher *d, Transfer *t)
{
	free(t->body);
	t->body = NULL;
	slist_push_head(&d->done, &t->node);
}

/* Not one byte left: out of memory, or a message that is not UTF-8. */
static void
fail_at_start(CadenceDispatcher *d, Transfer *t, const char *why)
{
	TransferFacts facts = {.end = TRANSFER_NOT_STARTED, .error = why, .started_at = t->started_at};

	cadence_judge(t->step, &facts);
	d->in_flight++;
	finish(d, t);
}

/* ---- what the pipeline calls -------------------------------------------- */

static int
capacity(const CadenceDispatcher *d)
{
	return d->capacity;
}

static int
in_flight(const CadenceDispatcher *d)
{
	return d->in_flight;
}

static void
start(CadenceDispatcher *d, CadenceStep *step)
{
	Transfer *t = get_transfer(d);
	CURLMcode rc;

	if (t == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	reset_transfer(t, step);
	if (!build_body(t) || !set_provider_options(t) || !set_request_options(t))
	{
		fail_at_start(d, t, "the request could not be built");
		return;
	}
	rc = curl_multi_add_handle(d->multi, t->easy);
	if (rc != CURLM_OK)
	{
		fail_at_start(d, t, curl_multi_strerror(rc));
		return;
	}
	t->active = true;
	d->in_flight++;
}

static void
collect(CadenceDispatcher *d)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(d->multi, &left)) != NULL)
	{
		Transfer *t;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &t);
		judge(t, code);
		curl_multi_remove_handle(d->multi, t->easy);
		t->active = false;
		finish(d, t);
	}
}

static void
act(CadenceDispatcher *d, curl_socket_t fd, int events)
{
	int running;
	CURLMcode rc = curl_multi_socket_action(d->multi, fd, events, &running);

	if (rc != CURLM_OK)
		d->problem = curl_multi_strerror(rc);
}

/* libcurl's own time-outs, and the start of what was added. */
static void
act_on_timer(CadenceDispatcher *d)
{
	if (d->timer_at == NO_TIMER || (d->timer_at > 0 && d->timer_at > monotonic_us()))
		return;
	d->timer_at = NO_TIMER;
	act(d, CURL_SOCKET_TIMEOUT, 0);
}

static void
act_on(CadenceDispatcher *d, const SocketEvent *ready)
{
	if (ready->fd == d->wakeup_fd || ready->fd == postmaster_alive_fds[POSTMASTER_FD_WATCH])
		return;
	act(d, ready->fd,
		((ready->events & SOCKET_READ) ? CURL_CSELECT_IN : 0) |
			((ready->events & SOCKET_WRITE) ? CURL_CSELECT_OUT : 0) |
			((ready->events & SOCKET_FAILED) ? CURL_CSELECT_ERR : 0));
}

static void
act_on_all(CadenceDispatcher *d, const SocketEvent *ready, int n)
{
	sigset_t saved;

	mask_signals(&saved);
	for (int i = 0; i < n; i++)
		act_on(d, &ready[i]);
	act_on_timer(d);
	unmask_signals(&saved);
	if (d->problem != NULL)
		ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
						errmsg("libcurl failed: %s", d->problem)));
	collect(d);
}

static bool
postmaster_spoke(const SocketEvent *ready, int n)
{
	for (int i = 0; i < n; i++)
		if (ready[i].fd == postmaster_alive_fds[POSTMASTER_FD_WATCH])
			return true;
	return false;
}

/* Until a socket is ready or libcurl's timer runs out, at most so long. */
static int
wait_ms(CadenceDispatcher *d, int at_most_ms)
{
	int64 left;

	if (!slist_is_empty(&d->done))
		return 0;
	if (d->timer_at == NO_TIMER)
		return at_most_ms;
	left = d->timer_at - monotonic_us();
	return left <= 0 ? 0 : (int) Min((left + 999) / 1000, at_most_ms);
}

static void
work(CadenceDispatcher *d, int timeout_ms)
{
	SocketEvent ready[READY_MAX];
	int n;

	act_on_all(d, NULL, 0);
	n = sockets_wait(d->sockets, wait_ms(d, timeout_ms), ready, READY_MAX);
	if (n < 0 && errno != EINTR)
		ereport(ERROR, (errcode_for_socket_access(),
						errmsg("could not wait for the connections to providers: %m")));
	if (postmaster_spoke(ready, n) && !PostmasterIsAlive())
		proc_exit(1);
	act_on_all(d, ready, Max(n, 0));
}

static CadenceStep *
next_done(CadenceDispatcher *d)
{
	Transfer *t;

	if (slist_is_empty(&d->done))
		return NULL;
	t = slist_container(Transfer, node, slist_pop_head_node(&d->done));
	slist_push_head(&d->free, &t->node);
	d->in_flight--;
	return t->step;
}

/*
 * Judges what is under way as broken off now. The handles stay where they are:
 * taking one out may wait for its resolver's thread, and the process is about
 * to end.
 */
static void
abandon(CadenceDispatcher *d)
{
	for (int i = 0; i < d->ntransfers; i++)
	{
		Transfer *t = d->transfers[i];

		if (!t->active)
			continue;
		strlcpy(t->error, "the execution was stopped", sizeof(t->error));
		judge(t, CURLE_OPERATION_TIMEDOUT);
		if (t->step->outcome == OUTCOME_FAILED)
			t->step->outcome = OUTCOME_UNSENT;
		t->active = false;
		slist_push_head(&d->done, &t->node);
	}
	d->multi = NULL;
}

extern PGDLLEXPORT const CadenceDispatchFunctions *cadence_dispatch_functions(void);

const CadenceDispatchFunctions *
cadence_dispatch_functions(void)
{
	static const CadenceDispatchFunctions functions = {.version = CADENCE_VERSION,
													   .create = create,
													   .capacity = capacity,
													   .resize = resize,
													   .in_flight = in_flight,
													   .start = start,
													   .work = work,
													   .next_done = next_done,
													   .abandon = abandon};

	return &functions;
}
