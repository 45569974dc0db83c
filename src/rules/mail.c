/*
 * mail.c
 *		From a message's values to a mail as it goes over the wire.
 *
 * RFC 5322 with what makes it carry any text: encoded words in headers (RFC
 * 2047), quoted-printable in bodies (RFC 2045). All of it is ASCII, in lines of
 * at most 76 characters where there is a choice, of which none begins with a
 * dot: no relay on the way has a reason to change it.
 */
#include "rules/mail.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/buffer.h"
#include "rules/mailbox.h"
#include "rules/text.h"

/* RFC 5322, section 2.1.1: where a line should end, and where it must. */
#define LINE_MAX_WANTED 76
#define LINE_MAX_ALLOWED 998

static bool
has_value(const char *text)
{
	return text != NULL && *text != '\0';
}

static bool
is_ascii(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char) text[i] >= 0x80)
			return false;
	return true;
}

static bool
has_control_character(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char) text[i] < 0x20 || text[i] == 0x7F)
			return true;
	return false;
}

static void
append_hex(Buffer *b, char before, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char encoded[3] = {before, digits[c >> 4], digits[c & 15]};

	(void) buffer_append(encoded, sizeof(encoded), b);
}

/* ---- headers ---------------------------------------------------------------------------- */

/* How many bytes the character has that begins here; what is no UTF-8 has one. */
static size_t
character_length(const char *text, size_t left)
{
	size_t n = text_character(text, left);

	return n > 0 ? n : 1;
}

/* What may stand for itself in an encoded word, wherever that stands (RFC 2047, section 5). */
static bool
stands_in_word(unsigned char c)
{
	return c < 0x80 && (isalnum(c) || strchr("!*+-/", c) != NULL);
}

static void
append_character(Buffer *b, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] == ' ')
			buffer_append_text(b, "_");
		else if (stands_in_word(text[i]))
			(void) buffer_append(text + i, 1, b);
		else
			append_hex(b, '=', text[i]);
}

static size_t
encoded_length(const char *text, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += text[i] == ' ' || stands_in_word(text[i]) ? 1 : 3;
	return len;
}

/* As encoded words, as many as it takes; a character is never split. */
static void
append_words(Buffer *b, const char *text, size_t len, size_t line_start)
{
	static const char begin[] = "=?UTF-8?Q?";

	buffer_append_text(b, begin);
	for (size_t at = 0, n; at < len; at += n)
	{
		n = character_length(text + at, len - at);
		if (b->len - line_start + encoded_length(text + at, n) + 2 > LINE_MAX_WANTED)
		{
			buffer_append_text(b, "?=\r\n");
			line_start = b->len;
			buffer_append_text(b, " ");
			buffer_append_text(b, begin);
		}
		append_character(b, text + at, n);
	}
	buffer_append_text(b, "?=");
}

/* Whether it reads the same after it was folded at its blanks, and before. */
static bool
can_stand_as_it_is(const char *text)
{
	size_t word = 0;

	if (!is_ascii(text, strlen(text)) || strstr(text, "=?") != NULL || *text == ' ')
		return false;
	for (; *text != '\0'; text++)
	{
		if (*text == ' ' && (word == 0 || text[1] == '\0'))
			return false;
		word = *text == ' ' ? 0 : word + 1;
		if (word > LINE_MAX_WANTED - 20)
			return false;
	}
	return true;
}

static void
append_folded(Buffer *b, const char *text, size_t line_start)
{
	while (*text != '\0')
	{
		size_t n = 1 + strcspn(text + 1, " ");

		if (*text == ' ' && b->len - line_start + n > LINE_MAX_WANTED)
		{
			buffer_append_text(b, "\r\n");
			line_start = b->len;
		}
		(void) buffer_append(text, n, b);
		text += n;
	}
}

static void
append_subject(Buffer *b, const char *subject)
{
	size_t line_start = b->len;

	if (has_control_character(subject, strlen(subject)))
		b->failed = true;
	buffer_append_text(b, "Subject: ");
	if (can_stand_as_it_is(subject))
		append_folded(b, subject, line_start);
	else
		append_words(b, subject, strlen(subject), line_start);
	buffer_append_text(b, "\r\n");
}

/* A name in quotes is meant without them. */
static char *
unquoted(const Mailbox *mailbox)
{
	const char *from = mailbox->name;
	const char *end = from + mailbox->name_len;
	char *name = malloc(mailbox->name_len + 1);
	bool quoted = mailbox->name_len > 1 && *from == '"' && end[-1] == '"';
	size_t n = 0;

	if (name == NULL)
		return NULL;
	if (quoted)
	{
		from++;
		end--;
	}
	for (; from < end; from++)
	{
		if (quoted && *from == '\\' && from + 1 < end)
			from++;
		name[n++] = *from;
	}
	name[n] = '\0';
	return name;
}

static void
append_quoted(Buffer *b, const char *name)
{
	buffer_append_text(b, "\"");
	for (; *name != '\0'; name++)
	{
		if (*name == '"' || *name == '\\')
			buffer_append_text(b, "\\");
		(void) buffer_append(name, 1, b);
	}
	buffer_append_text(b, "\"");
}

/* A name that is not short leaves the address a line of its own. */
static void
append_name(Buffer *b, const Mailbox *mailbox, size_t line_start)
{
	char *name = unquoted(mailbox);
	bool is_short = mailbox->name_len + mailbox->address_len < LINE_MAX_WANTED / 2;

	if (name == NULL)
		b->failed = true;
	else if (is_ascii(name, strlen(name)) && strlen(name) < LINE_MAX_WANTED / 2 &&
			 strstr(name, "=?") == NULL)
		append_quoted(b, name);
	else
	{
		append_words(b, name, strlen(name), line_start);
		is_short = false;
	}
	buffer_append_text(b, is_short ? " " : "\r\n ");
	free(name);
}

static void
append_mailbox(Buffer *b, const char *header, const char *text, bool *needs_utf8)
{
	size_t line_start = b->len;
	Mailbox mailbox;

	if (!mailbox_read(text, &mailbox))
	{
		b->failed = true;
		return;
	}
	buffer_append_text(b, header);
	if (mailbox.name_len > 0)
		append_name(b, &mailbox, line_start);
	buffer_append_text(b, "<");
	(void) buffer_append(mailbox.address, mailbox.address_len, b);
	buffer_append_text(b, ">\r\n");
	*needs_utf8 = *needs_utf8 || !is_ascii(mailbox.address, mailbox.address_len);
}

static void
append_date(Buffer *b, time_t at)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char line[80];
	struct tm tm;

	if (gmtime_r(&at, &tm) == NULL)
	{
		b->failed = true;
		return;
	}
	snprintf(line, sizeof(line), "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n",
			 days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
			 tm.tm_hour, tm.tm_min, tm.tm_sec);
	buffer_append_text(b, line);
}

/* Between brackets, where neither these nor blanks can stand. */
static void
append_unsubscribe(Buffer *b, const char *url)
{
	size_t line_start = b->len;

	buffer_append_text(b, "List-Unsubscribe: <");
	for (; *url != '\0'; url++)
		if ((unsigned char) *url <= 0x20 || (unsigned char) *url >= 0x7F || *url == '<' ||
			*url == '>')
			append_hex(b, '%', *url);
		else
			(void) buffer_append(url, 1, b);
	buffer_append_text(b, ">");
	if (b->len - line_start > LINE_MAX_ALLOWED)
		b->failed = true;
	buffer_append_text(b, "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
}

/* ---- bodies ------------------------------------------------------------------------------- */

static bool
is_line_end(char c)
{
	return c == '\r' || c == '\n' || c == '\0';
}

/*
 * Some relays eat a dot at a line's beginning, and old mailboxes begin a mail
 * with "From " (RFC 2049, section 3).
 */
static bool
stands_for_itself(const char *at, bool at_line_start)
{
	if (at_line_start && (*at == '.' || strncmp(at, "From ", 5) == 0))
		return false;
	if (*at == ' ' || *at == '\t')
		return !is_line_end(at[1]);
	return (unsigned char) *at > 0x20 && (unsigned char) *at < 0x7F && *at != '=';
}

/* Line ends of any kind become those of mail; the last line stays open. */
static void
append_quoted_printable(Buffer *b, const char *text)
{
	size_t line_start = b->len;

	for (const char *at = text; *at != '\0'; at++)
	{
		bool itself = stands_for_itself(at, b->len == line_start);
		/* a line that goes on needs one more for its "=" */
		size_t most = is_line_end(at[1]) ? LINE_MAX_WANTED : LINE_MAX_WANTED - 1;

		if (*at == '\r' && at[1] == '\n')
			continue;
		if (is_line_end(*at))
		{
			buffer_append_text(b, "\r\n");
			line_start = b->len;
			continue;
		}
		if (b->len - line_start + (itself ? 1 : 3) > most)
		{
			buffer_append_text(b, "=\r\n");
			line_start = b->len;
			itself = stands_for_itself(at, true);
		}
		if (itself)
			(void) buffer_append(at, 1, b);
		else
			append_hex(b, '=', *at);
	}
}

static void
append_part(Buffer *b, const char *type, const char *text)
{
	buffer_append_text(b, "Content-Type: ");
	buffer_append_text(b, type);
	buffer_append_text(b, "; charset=utf-8\r\n"
						  "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	append_quoted_printable(b, text);
	buffer_append_text(b, "\r\n");
}

/* "=_" can not stand in what is quoted-printable, so no text has the boundary. */
static void
append_alternatives(Buffer *b, const MailParts *parts)
{
	char boundary[80];

	snprintf(boundary, sizeof(boundary), "=_%.60s", parts->key);
	buffer_append_text(b, "Content-Type: multipart/alternative;\r\n boundary=\"");
	buffer_append_text(b, boundary);
	buffer_append_text(b, "\"\r\n\r\n--");
	buffer_append_text(b, boundary);
	buffer_append_text(b, "\r\n");
	append_part(b, "text/plain", has_value(parts->text) ? parts->text : "");
	buffer_append_text(b, "--");
	buffer_append_text(b, boundary);
	buffer_append_text(b, "\r\n");
	append_part(b, "text/html", parts->html);
	buffer_append_text(b, "--");
	buffer_append_text(b, boundary);
	buffer_append_text(b, "--\r\n");
}

/* ---- the whole ------------------------------------------------------------------------------ */

static bool
is_key(const char *key)
{
	return has_value(key) && key[strspn(key, "0123456789abcdefghijklmnopqrstuvwxyz"
											 "ABCDEFGHIJKLMNOPQRSTUVWXYZ-")] == '\0';
}

/* Of the sender's domain, and the same for every attempt. */
static bool
make_id(const MailParts *parts, Mail *mail)
{
	Buffer id = {0};

	buffer_append_text(&id, "<");
	buffer_append_text(&id, parts->key);
	buffer_append_text(&id, strrchr(mail->sender, '@'));
	buffer_append_text(&id, ">");
	mail->id = id.text;
	return !id.failed;
}

static void
append_headers(Buffer *b, const MailParts *parts, Mail *mail)
{
	append_date(b, parts->at);
	append_mailbox(b, "From: ", parts->from, &mail->needs_utf8);
	buffer_append_text(b, "To: <");
	buffer_append_text(b, parts->recipient);
	buffer_append_text(b, ">\r\n");
	if (has_value(parts->reply_to))
		append_mailbox(b, "Reply-To: ", parts->reply_to, &mail->needs_utf8);
	if (has_value(parts->subject))
		append_subject(b, parts->subject);
	buffer_append_text(b, "Message-ID: ");
	buffer_append_text(b, mail->id);
	buffer_append_text(b, "\r\n");
	if (has_value(parts->unsubscribe_url))
		append_unsubscribe(b, parts->unsubscribe_url);
	buffer_append_text(b, "MIME-Version: 1.0\r\n");
}

static bool
read_envelope(const MailParts *parts, Mail *mail)
{
	Mailbox from;

	if (!has_value(parts->from) || !mailbox_read(parts->from, &from) ||
		!has_value(parts->recipient) || !mailbox_can_be_written_to(parts->recipient) ||
		!is_key(parts->key))
		return false;
	mail->sender = strndup(from.address, from.address_len);
	if (mail->sender == NULL)
		return false;
	mail->needs_utf8 = !is_ascii(parts->recipient, strlen(parts->recipient));
	return make_id(parts, mail);
}

/*
 * Writes a mail; false when it can not be: an address is none, a control
 * character would end a header, or memory is short.
 */
bool
mail_write(const MailParts *parts, Mail *mail)
{
	Buffer b = {0};

	memset(mail, 0, sizeof(*mail));
	if (!read_envelope(parts, mail))
	{
		mail_free(mail);
		return false;
	}
	append_headers(&b, parts, mail);
	if (has_value(parts->html))
		append_alternatives(&b, parts);
	else
		append_part(&b, "text/plain", has_value(parts->text) ? parts->text : "");
	mail->text = b.text;
	mail->len = b.len;
	if (!b.failed)
		return true;
	mail_free(mail);
	return false;
}

void
mail_free(Mail *mail)
{
	free(mail->sender);
	free(mail->id);
	free(mail->text);
	memset(mail, 0, sizeof(*mail));
}
