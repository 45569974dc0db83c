/*
 * mail_reply.c
 *		What a mail server says: replies, as they come in.
 *
 * A reply is one line or several: a code, a hyphen in all lines but the last,
 * and a text, which may begin with an enhanced code (RFC 2034).
 */
#include "rules/mail_reply.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void
mail_reply_reset(MailReply *reply)
{
	memset(reply, 0, sizeof(*reply));
}

/* The length of "5.1.1" at a text's beginning, 0 when there is none. */
static size_t
enhanced_length(const char *text)
{
	size_t n = 1;

	if (strchr("245", *text) == NULL || *text == '\0')
		return 0;
	for (int i = 0; i < 2; i++)
	{
		size_t digits = text[n] == '.' ? strspn(text + n + 1, "0123456789") : 0;

		if (digits < 1 || digits > 3)
			return 0;
		n += 1 + digits;
	}
	return text[n] == '\0' || text[n] == ' ' ? n : 0;
}

static void
add_text(MailReply *reply, const char *text)
{
	size_t room = sizeof(reply->text) - 1 - reply->text_len;
	size_t len = strlen(text);

	if (reply->text_len > 0 && room > 0 && len > 0)
	{
		reply->text[reply->text_len++] = ' ';
		room--;
	}
	if (len > room)
		len = room;
	memcpy(reply->text + reply->text_len, text, len);
	reply->text_len += len;
	reply->text[reply->text_len] = '\0';
}

static void
take_line(MailReply *reply)
{
	const char *text = reply->line;
	size_t n;

	while (reply->line_len > 0 && isspace((unsigned char) text[reply->line_len - 1]))
		reply->line_len--;
	reply->line[reply->line_len] = '\0';
	reply->code = 0;
	for (int i = 0; i < 3 && isdigit((unsigned char) text[i]); i++)
		reply->code = reply->code * 10 + text[i] - '0';
	if (reply->code < 200 || reply->code > 599 ||
		(text[3] != '\0' && strchr(" -", text[3]) == NULL))
		reply->code = 0;
	reply->is_whole = reply->code == 0 || text[3] != '-';
	text += reply->code == 0 ? 0 : text[3] == '\0' ? 3 : 4;
	n = reply->code == 0 ? 0 : enhanced_length(text);
	if (n > 0 && n < sizeof(reply->enhanced) && reply->enhanced[0] == '\0')
	{
		memcpy(reply->enhanced, text, n);
		reply->enhanced[n] = '\0';
	}
	text += n;
	add_text(reply, text + strspn(text, " "));
	reply->line_len = 0;
}

/*
 * Takes what has come, up to the reply's end, and returns how much that was. A
 * line's text that is too long is cut.
 */
size_t
mail_reply_add(MailReply *reply, const char *data, size_t len)
{
	size_t i = 0;

	while (i < len && !reply->is_whole)
	{
		char c = data[i++];

		if (c == '\n')
			take_line(reply);
		else if (reply->line_len < sizeof(reply->line) - 1)
			reply->line[reply->line_len++] = c == '\0' ? ' ' : c;
	}
	return i;
}

static size_t
add_string(char *to, const char *text)
{
	size_t n = 0;

	to[n++] = '"';
	for (; *text != '\0'; text++)
		if ((unsigned char) *text < 0x20)
			n += sprintf(to + n, "\\u%04x", *text);
		else
		{
			if (*text == '"' || *text == '\\')
				to[n++] = '\\';
			to[n++] = *text;
		}
	to[n++] = '"';
	return n;
}

/*
 * The reply as a protocol's rules read it, with the id that the mail has;
 * returns the length. The text is as the server wrote it, UTF-8 or not.
 */
size_t
mail_reply_json(const MailReply *reply, const char *id, char *to, size_t size)
{
	size_t n = 0;

	if (size < MAIL_REPLY_JSON_MAX || strlen(id) > 512)
		return 0;
	n += sprintf(to + n, "{\"id\":");
	n += add_string(to + n, id);
	if (reply->enhanced[0] != '\0')
		n += sprintf(to + n, ",\"code\":\"%s\"", reply->enhanced);
	n += sprintf(to + n, ",\"text\":");
	n += add_string(to + n, reply->text);
	n += sprintf(to + n, "}");
	return n;
}
