/*
 * mail_fuzz.c
 *		Mails of any values, and replies of any bytes: lines that keep to the rules,
 *		and a reply that is the same however it comes in.
 */
#include "rules/mail.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/mail_reply.h"

#define FIELDS 6

static void
check_lines(const Mail *mail)
{
	size_t line = 0;

	for (size_t i = 0; i < mail->len; i++, line++)
	{
		char c = mail->text[i];

		if (c == '\n' && i > 0 && mail->text[i - 1] == '\r')
			line = -1;
		else if (c == '\n' || c == '\0' || (c == '\r' && mail->text[i + 1] != '\n') ||
				 (line == 0 && c == '.') || line > 998 ||
				 ((unsigned char) c >= 0x80 && !mail->needs_utf8))
			abort();
	}
	if (line != 0)
		abort();
}

/* Fields between NULs. */
static void
write_mail(const char *data, size_t size)
{
	const char *fields[FIELDS] = {"", "", "", "", "", ""};
	char *copy = malloc(size + 1);
	char *at = copy;
	MailParts parts;
	Mail mail;

	memcpy(copy, data, size);
	copy[size] = '\0';
	for (int i = 0; i < FIELDS && at <= copy + size; i++, at += strlen(at) + 1)
		fields[i] = at;
	parts = (MailParts){.from = fields[0],
						.recipient = "ana@example.com",
						.reply_to = fields[1],
						.subject = fields[2],
						.text = fields[3],
						.html = fields[4],
						.unsubscribe_url = fields[5],
						.key = "0474d302"};
	if (mail_write(&parts, &mail))
		check_lines(&mail);
	mail_free(&mail);
	parts.from = "A <a@b.c>";
	parts.reply_to = NULL;
	if (mail_write(&parts, &mail))
		check_lines(&mail);
	mail_free(&mail);
	free(copy);
}

static void
read_reply(const char *data, size_t size)
{
	MailReply once;
	MailReply bytewise;
	char json[MAIL_REPLY_JSON_MAX];
	size_t at = 0;

	mail_reply_reset(&once);
	mail_reply_reset(&bytewise);
	if (mail_reply_add(&once, data, size) > size)
		abort();
	while (at < size && !bytewise.is_whole)
		at += mail_reply_add(&bytewise, data + at, 1);
	if (once.code != bytewise.code || once.is_whole != bytewise.is_whole ||
		strcmp(once.text, bytewise.text) != 0 || strcmp(once.enhanced, bytewise.enhanced) != 0)
		abort();
	if (mail_reply_json(&once, "<id>", json, sizeof(json)) >= sizeof(json))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	write_mail((const char *) data, size);
	read_reply((const char *) data, size);
	return 0;
}
