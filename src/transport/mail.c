/*
 * mail.c
 *		A mail over SMTP, one recipient at a time.
 *
 * libcurl makes the connection: name, TLS, greeting, STARTTLS, log-in. The mail
 * itself is ours to say, over that connection, for two reasons. libcurl waits
 * for the answer to a mail's end without letting go of the process (up to the
 * newest version: "the DONE operation" in its list of what blocks), and one mail
 * server that takes its time would stop every other provider and the orderly
 * end. And it does not tell whether that end was on the wire: here it is known,
 * and until it is about to be said nothing was sent.
 *
 * No command is said before the one before it was answered, so an answer that
 * nobody asked for is seen as such, and is never taken for one to the mail.
 */
#include "postgres.h"

#include "transport/mail.h"

/* So much is read at once. */
#define READ_MAX 4096

/* ---- options -------------------------------------------------------------- */

/* What the server says before the connection is ours; of the last reply its text is kept. */
static size_t
read_line(char *line, size_t size, size_t count, void *arg)
{
	Transfer *t = arg;
	size_t len = size * count;

	if (t->mail.reply.is_whole)
		mail_reply_reset(&t->mail.reply);
	(void) mail_reply_add(&t->mail.reply, line, len);
	/* after STARTTLS only what is offered then counts */
	if (len > 3 && strncmp(line, "220", 3) == 0)
		t->mail.offers_utf8 = false;
	if (len > 11 && pg_strncasecmp(line + 4, "SMTPUTF8", 8) == 0)
		t->mail.offers_utf8 = true;
	return len;
}

static bool
set_fixed_options(Transfer *t)
{
	bool ok = transfer_set_protocols(t, "smtp,smtps", CURLPROTO_SMTP | CURLPROTO_SMTPS);
	CURL *easy = t->easy;

	SETOPT(easy, CURLOPT_CONNECT_ONLY, 1L, ok);
	SETOPT(easy, CURLOPT_HEADERFUNCTION, read_line, ok);
	SETOPT(easy, CURLOPT_HEADERDATA, t, ok);
	/* no way to log in that asks a third party, or waits for one */
	SETOPT(easy, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN;AUTH=CRAM-MD5", ok);
	return ok;
}

/* libcurl greets with a URL's path. */
static bool
set_url(Transfer *t, const CadenceConfiguration *c)
{
	const char *helo = cadence_configuration_value(c, "helo");
	const char *host = strstr(c->url, "://");
	char *name = NULL;
	char *url = NULL;
	bool ok = host != NULL;

	if (helo != NULL && ok)
	{
		int len = host + 3 + strcspn(host + 3, "/?#") - c->url;

		name = curl_easy_escape(t->easy, helo, 0);
		ok = name != NULL && asprintf(&url, "%.*s/%s", len, c->url, name) >= 0;
	}
	if (ok)
		SETOPT(t->easy, CURLOPT_URL, url != NULL ? url : c->url, ok);
	free(url);
	curl_free(name);
	return ok;
}

static bool
set_configuration(Transfer *t, const CadenceConfiguration *c)
{
	const char *starttls = cadence_configuration_value(c, "starttls");
	bool optional = starttls != NULL && pg_strcasecmp(starttls, "optional") == 0;
	bool ok = set_url(t, c);

	SETOPT(t->easy, CURLOPT_USE_SSL, (long) (optional ? CURLUSESSL_TRY : CURLUSESSL_ALL), ok);
	SETOPT(t->easy, CURLOPT_USERNAME, cadence_configuration_value(c, "username"), ok);
	SETOPT(t->easy, CURLOPT_PASSWORD, cadence_configuration_value(c, "password"), ok);
	return ok;
}

static bool
set_request(Transfer *t, ConnectionUse use)
{
	const CadenceConfiguration *c = t->configuration;
	Values values = t->request->values;
	MailParts parts = {.from = cadence_configuration_value(c, "from"),
					   .reply_to = cadence_configuration_value(c, "reply_to"),
					   .recipient = values[FIELD_RECIPIENT],
					   .subject = values[FIELD_SUBJECT],
					   .text = values[FIELD_MESSAGE],
					   .html = values[FIELD_HTML],
					   .key = values[FIELD_KEY],
					   .unsubscribe_url = values[FIELD_UNSUBSCRIBE_URL],
					   .at = time(NULL)};

	bool ok = mail_write(&parts, &t->mail.mail);

	t->mail.deadline = monotonic_us() + (int64) c->timeout * 1000;
	mail_reply_reset(&t->mail.reply);
	SETOPT(t->easy, CURLOPT_TIMEOUT_MS, (long) c->timeout, ok);
	return ok;
}

static void
forget_request(Transfer *t)
{
	mail_free(&t->mail.mail);
	t->mail.out = NULL;
	t->mail.out_len = 0;
}

/* ---- the talk --------------------------------------------------------------- */

static void
end_mail(Transfer *t, TransferEnd end, const char *error)
{
	t->mail.state = MAIL_ENDED;
	t->mail.end = end;
	if (error != NULL)
		strlcpy(t->error, error, sizeof(t->error));
}

static void
say(Transfer *t, MailState state, const char *before, const char *what, const char *after)
{
	MailTransfer *m = &t->mail;

	m->state = state;
	m->out_len = snprintf(m->command, sizeof(m->command), "%s%s%s\r\n", before, what, after);
	m->out = m->command;
	mail_reply_reset(&m->reply);
}

static void
say_sender(Transfer *t)
{
	say(t, MAIL_FROM, "MAIL FROM:<", t->mail.mail.sender,
		t->mail.mail.needs_utf8 ? "> SMTPUTF8" : ">");
}

/* What no relay has said, but would: RFC 6531, section 3.5. */
static void
refuse_for_lack_of_utf8(Transfer *t)
{
	static const char refusal[] = "553 5.6.7 an address of this message needs SMTPUTF8, which the "
								  "mail server does not offer\n";

	mail_reply_reset(&t->mail.reply);
	(void) mail_reply_add(&t->mail.reply, refusal, strlen(refusal));
	t->mail.keep = true;
	end_mail(t, TRANSFER_ANSWERED, NULL);
}

static void
begin(Transfer *t)
{
	if (t->mail.mail.needs_utf8 && !t->mail.offers_utf8)
		refuse_for_lack_of_utf8(t);
	else if (t->mail.needs_reset)
		say(t, MAIL_RESET, "RSET", "", "");
	else
		say_sender(t);
}

/* A reply that is none to what was said last, or makes no sense. */
static void
end_by_nonsense(Transfer *t)
{
	end_mail(t, t->mail.state == MAIL_DOT ? TRANSFER_BROKEN : TRANSFER_NOT_STARTED,
			 "the mail server's answer makes no sense");
}

/* No mail was taken; what was begun must be forgotten before there is another. */
static void
end_by_refusal(Transfer *t)
{
	MailTransfer *m = &t->mail;

	if (m->reply.code < 400)
	{
		end_by_nonsense(t);
		return;
	}
	m->needs_reset = m->state != MAIL_DOT;
	m->keep = m->state != MAIL_TEXT && m->reply.code != 421;
	end_mail(t, TRANSFER_ANSWERED, NULL);
}

/* A connection that was used before may be over: nothing of this mail was said then. */
static bool
is_stale(const Transfer *t)
{
	return t->mail.was_used && (t->mail.state == MAIL_RESET || t->mail.state == MAIL_FROM);
}

static void
end_by_loss(Transfer *t)
{
	if (is_stale(t))
		t->mail.state = MAIL_STALE;
	else if (t->mail.state == MAIL_DOT)
		end_mail(t, TRANSFER_BROKEN, "the connection ended before the mail server's answer");
	else
		end_mail(t, TRANSFER_NOT_STARTED, "the mail server ended the connection");
}

/* A whole reply to what was said last. */
static void
act_on_reply(Transfer *t)
{
	MailTransfer *m = &t->mail;
	int kind = m->reply.code / 100;

	if (m->reply.code == 421 && is_stale(t))
		m->state = MAIL_STALE;
	else if (m->state == MAIL_RESET && kind == 2)
		say_sender(t);
	else if (m->state == MAIL_FROM && kind == 2)
		say(t, MAIL_TO, "RCPT TO:<", t->request->values[FIELD_RECIPIENT], ">");
	else if (m->state == MAIL_TO && kind == 2)
		say(t, MAIL_DATA, "DATA", "", "");
	else if (m->state == MAIL_DATA && m->reply.code == 354)
	{
		m->state = MAIL_TEXT;
		m->out = m->mail.text;
		m->out_len = m->mail.len;
		mail_reply_reset(&m->reply);
	}
	else if (m->state == MAIL_DOT && kind == 2)
	{
		m->needs_reset = false;
		m->keep = true;
		end_mail(t, TRANSFER_ANSWERED, NULL);
	}
	else
		end_by_refusal(t);
}

/* Says what is left; false when that has to wait, or is of no use any more. */
static bool
send_rest(Transfer *t)
{
	MailTransfer *m = &t->mail;

	while (m->out_len > 0)
	{
		size_t n = 0;
		CURLcode code = curl_easy_send(t->easy, m->out, m->out_len, &n);

		if (code != CURLE_OK)
			return false;
		m->out += n;
		m->out_len -= n;
	}
	return true;
}

/* Reads what there is; false when there is nothing, or nothing more can come. */
static bool
read_some(Transfer *t)
{
	MailTransfer *m = &t->mail;
	char data[READ_MAX];
	size_t n = 0;
	size_t taken;
	CURLcode code = curl_easy_recv(t->easy, data, sizeof(data), &n);

	if (code == CURLE_AGAIN)
		return false;
	if (code != CURLE_OK || n == 0)
	{
		end_by_loss(t);
		return false;
	}
	taken = mail_reply_add(&m->reply, data, n);
	if (m->reply.is_whole && m->reply.code < 400 &&
		(m->out_len > 0 || (taken < n && m->state != MAIL_DOT)))
		end_by_nonsense(t);
	else if (m->reply.is_whole)
	{
		act_on_reply(t);
		m->keep = m->keep && taken == n;
	}
	return true;
}

/* The text is through, and nobody has said a word against it: now it may become a mail. */
static void
say_end(Transfer *t)
{
	if (transfer_may_begin(t))
		say(t, MAIL_DOT, ".", "", "");
	else
		end_mail(t, TRANSFER_NOT_STARTED, "the execution was stopped");
}

/*
 * Goes on until it has to wait, or has ended. What the server says comes first:
 * it may refuse a text that has not been said whole.
 */
static void
go_on(Transfer *t)
{
	bool has_said;
	bool has_heard;

	do
	{
		has_said = send_rest(t);
		has_heard = read_some(t);
		if (t->mail.state == MAIL_TEXT && has_said && !has_heard)
			say_end(t);
		else if (!has_heard)
			break;
	} while (mail_is_under_way(t));
}

/* ---- what the endpoint calls ------------------------------------------------ */

/* Whether a connection that waits for a mail has anything to say, be it goodbye. */
bool
mail_idle_is_over(Transfer *t)
{
	char byte;
	size_t n;

	return curl_easy_recv(t->easy, &byte, 1, &n) != CURLE_AGAIN;
}

/* libcurl has made the connection, which is ours from here on; false when there is none. */
bool
mail_take_connection(Transfer *t)
{
	t->mail.fd = CURL_SOCKET_BAD;
	if (curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &t->mail.fd) != CURLE_OK ||
		t->mail.fd == CURL_SOCKET_BAD)
		return false;
	t->mail.state = MAIL_IDLE;
	t->mail.was_used = t->mail.needs_reset = false;
	return true;
}

/*
 * A mail for a connection that waits for one. It goes on when it is next called
 * to. A connection that has something to say meanwhile is not to be trusted.
 */
void
mail_start(Transfer *t)
{
	t->mail.act_at = 0;
	t->mail.keep = false;
	if (!mail_idle_is_over(t))
		begin(t);
	else if (t->mail.was_used)
		t->mail.state = MAIL_STALE;
	else
		end_by_nonsense(t);
}

/* Something has come, can leave, or is late. */
void
mail_act(Transfer *t, int64 now)
{
	t->mail.act_at = t->mail.deadline;
	if (!mail_is_under_way(t))
		return;
	if (t->request == NULL)
		end_mail(t, TRANSFER_NOT_STARTED, "the execution was stopped");
	else if (now >= t->mail.deadline)
		end_mail(t, t->mail.state == MAIL_DOT ? TRANSFER_BROKEN : TRANSFER_NOT_STARTED,
				 "the mail server did not answer in time");
	else
		go_on(t);
}

/* Nobody waits for the answer. */
void
mail_say_goodbye(Transfer *t)
{
	size_t n;

	(void) curl_easy_send(t->easy, "QUIT\r\n", 6, &n);
}

/* Its connection was closed. */
void
mail_connection_is_gone(Transfer *t)
{
	t->mail.state = MAIL_AWAY;
	t->mail.fd = CURL_SOCKET_BAD;
	t->mail.was_used = t->mail.offers_utf8 = false;
}

/* The same mail for a new connection, in what is left of its time. */
void
mail_connect_again(Transfer *t, int64 now)
{
	mail_connection_is_gone(t);
	mail_reply_reset(&t->mail.reply);
	t->mail.out_len = 0;
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long) Max((t->mail.deadline - now) / 1000, 1));
}

/* ---- the end ---------------------------------------------------------------- */

static void
keep_reply(Transfer *t, TransferFacts *facts)
{
	const MailReply *reply = &t->mail.reply;

	facts->end = TRANSFER_ANSWERED;
	facts->text.status = reply->code;
	snprintf(t->answer.status_line, sizeof(t->answer.status_line), "%d", reply->code);
	t->answer.body_len = mail_reply_json(reply, t->mail.mail.id != NULL ? t->mail.mail.id : "",
										 t->answer.body, sizeof(t->answer.body));
}

/* Before the connection was ours, the last reply counts where it was a refusal. */
static void
tell(Transfer *t, CURLcode code, TransferFacts *facts)
{
	const MailTransfer *m = &t->mail;
	bool has_refused = m->reply.is_whole && m->reply.code >= 400;

	if (m->state == MAIL_ENDED ? m->end == TRANSFER_ANSWERED
							   : m->state == MAIL_AWAY && code != CURLE_OK && has_refused)
		keep_reply(t, facts);
	else if (m->state == MAIL_ENDED)
		facts->end = m->end;
	else
		facts->end = m->state == MAIL_DOT ? TRANSFER_BROKEN : TRANSFER_NOT_STARTED;
}

/* A connection that is over is found out before anything has left. */
static bool
met_bad_connection(const Transfer *t, CURLcode code)
{
	return false;
}

const TransferKind mail_transfer = {.set_fixed_options = set_fixed_options,
									.set_configuration = set_configuration,
									.set_request = set_request,
									.forget_request = forget_request,
									.tell = tell,
									.met_bad_connection = met_bad_connection};
