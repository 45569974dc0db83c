/*
 * mail_test.c
 *		Mails as they go over the wire, and what a mail server answers. That others
 *		read them as they were meant is test/mail_test.py's to show.
 */
#include "rules/mail.h"

#include <stdlib.h>

#include "check.h"
#include "rules/mail_reply.h"
#include "rules/mailbox.h"

static const MailParts plain = {.from = "ACME <vendas@acme.example>",
								.recipient = "ana@example.com",
								.text = "Hi",
								.key = "0474d302-b50b-5a0b-a4e6-cbffab729d9c",
								.at = 1764406978};

static void
whole_mail(void)
{
	Mail mail;

	CHECK(mail_write(&plain, &mail));
	CHECK_TEXT(mail.text, "Date: Sat, 29 Nov 2025 09:02:58 +0000\r\n"
						  "From: \"ACME\" <vendas@acme.example>\r\n"
						  "To: <ana@example.com>\r\n"
						  "Message-ID: <0474d302-b50b-5a0b-a4e6-cbffab729d9c@acme.example>\r\n"
						  "MIME-Version: 1.0\r\n"
						  "Content-Type: text/plain; charset=utf-8\r\n"
						  "Content-Transfer-Encoding: quoted-printable\r\n"
						  "\r\n"
						  "Hi\r\n");
	CHECK_INT(mail.len, strlen(mail.text));
	CHECK_TEXT(mail.sender, "vendas@acme.example");
	CHECK_TEXT(mail.id, "<0474d302-b50b-5a0b-a4e6-cbffab729d9c@acme.example>");
	CHECK(!mail.needs_utf8);
	mail_free(&mail);
}

/* What no header may carry makes no mail at all. */
static void
refused(void)
{
	static const struct
	{
		const char *from;
		const char *recipient;
		const char *reply_to;
		const char *subject;
		const char *key;
	} bad[] = {{.from = "ACME"},
			   {.from = "@acme.example"},
			   {.from = "a@"},
			   {.from = "A <a@b.c> x"},
			   {.from = "A\r\nBcc: x@y.z <a@b.c>"},
			   {.from = "a@b.c\r\nBcc: x@y.z"},
			   {.from = "<>"},
			   {.from = "<"},
			   {.from = ""},
			   {.recipient = ""},
			   {.recipient = "a@b.c>"},
			   {.recipient = "a@b.c\r\nDATA"},
			   {.reply_to = "nobody"},
			   {.subject = "Hi\r\nBcc: x@y.z"},
			   {.subject = "Hi\x7F"},
			   {.key = ""},
			   {.key = "a>b"}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		MailParts parts = plain;
		Mail mail;

		parts.from = bad[i].from != NULL ? bad[i].from : parts.from;
		parts.recipient = bad[i].recipient != NULL ? bad[i].recipient : parts.recipient;
		parts.key = bad[i].key != NULL ? bad[i].key : parts.key;
		parts.reply_to = bad[i].reply_to;
		parts.subject = bad[i].subject;
		CHECK(!mail_write(&parts, &mail));
		CHECK(mail.text == NULL);
	}
}

static void
addresses_beyond_ascii(void)
{
	MailParts parts = plain;
	Mail mail;

	parts.recipient = "jo\xC3\xA3o@example.com";
	CHECK(mail_write(&parts, &mail));
	CHECK(mail.needs_utf8);
	mail_free(&mail);
	parts = plain;
	parts.from = "Jo\xC3\xA3o <vendas@acme.example>";
	CHECK(mail_write(&parts, &mail));
	CHECK(!mail.needs_utf8);
	mail_free(&mail);
}

/* Takes a reply byte by byte and at once, with what comes after it. */
static void
check_reply(const char *text, size_t len, int code, const char *enhanced, const char *said)
{
	for (int bytewise = 0; bytewise < 2; bytewise++)
	{
		MailReply reply;
		size_t at = 0;

		mail_reply_reset(&reply);
		while (!reply.is_whole && at < strlen(text))
			at += mail_reply_add(&reply, text + at, bytewise ? 1 : strlen(text + at));
		CHECK(reply.is_whole);
		CHECK_INT(at, len);
		CHECK_INT(reply.code, code);
		CHECK_TEXT(reply.enhanced, enhanced);
		CHECK_TEXT(reply.text, said);
	}
}

static void
replies(void)
{
	check_reply("250 2.0.0 ok\r\n", 14, 250, "2.0.0", "ok");
	check_reply("250 ok\r\n221 bye\r\n", 8, 250, "", "ok");
	check_reply("550-5.1.1 no\r\n550 5.1.1 such user\r\n", 35, 550, "5.1.1", "no such user");
	check_reply("250\r\n", 5, 250, "", "");
	check_reply("250\n", 4, 250, "", "");
	check_reply("250-\r\n250 \r\n", 12, 250, "", "");
	check_reply("421 4.7.0\r\n", 11, 421, "4.7.0", "");
	check_reply("550 5.1 x\r\n", 11, 550, "", "5.1 x");
	check_reply("550 5.1.1234 x\r\n", 16, 550, "", "5.1.1234 x");
	check_reply("HTTP/1.1 400 Bad Request\r\n", 26, 0, "", "HTTP/1.1 400 Bad Request");
	check_reply("\r\n", 2, 0, "", "");
	check_reply("2500 x\r\n", 8, 0, "", "2500 x");
	check_reply("199 x\r\n", 7, 0, "", "199 x");
}

static void
long_replies(void)
{
	MailReply reply;
	char json[MAIL_REPLY_JSON_MAX];

	mail_reply_reset(&reply);
	for (int i = 0; i < 100000; i++)
		(void) mail_reply_add(&reply,
							  i % 5000 == 4999 ? "\n"
							  : i % 5000 < 4   ? &"550-"[i % 5000]
											   : "\"",
							  1);
	CHECK(!reply.is_whole);
	(void) mail_reply_add(&reply, "\n550 end\r\n", 10);
	CHECK(mail_reply_json(&reply, "<id>", json, sizeof(json)) < sizeof(json));
	CHECK_INT(mail_reply_json(&reply, "<id>", json, 10), 0);
}

static void
replies_as_json(void)
{
	MailReply reply;
	char json[MAIL_REPLY_JSON_MAX];
	size_t len;

	mail_reply_reset(&reply);
	(void) mail_reply_add(&reply, "550 5.1.1 \"a\\b\"\x01\r\n", 19);
	len = mail_reply_json(&reply, "<x@y>", json, sizeof(json));
	json[len] = '\0';
	CHECK_TEXT(json, "{\"id\":\"<x@y>\",\"code\":\"5.1.1\",\"text\":\"\\\"a\\\\b\\\"\\u0001\"}");
}

static void
mailboxes(void)
{
	Mailbox m;

	CHECK(mailbox_read(" A B <a@b> ", &m));
	CHECK_INT(m.name_len, 3);
	CHECK_INT(m.address_len, 3);
	CHECK(mailbox_read("<a@b>", &m));
	CHECK_INT(m.name_len, 0);
	CHECK(mailbox_read("a@b", &m));
	CHECK(!mailbox_read("a b@c", &m));
	CHECK(!mailbox_read("a@b>", &m));
	CHECK(mailbox_can_be_written_to("a"));
	CHECK(!mailbox_can_be_written_to("a\n"));
	CHECK(!mailbox_can_be_written_to("a<"));
	CHECK(mailbox_can_be_written_to("a+b@c"));
	CHECK(!mailbox_can_be_written_to("a@b,c@d"));
	CHECK(!mailbox_can_be_written_to("a@b;c"));
	CHECK(!mailbox_can_be_written_to("a@b c"));
	CHECK(!mailbox_can_be_written_to("a@b@c"));
	CHECK(!mailbox_can_be_written_to("\"a,b\"@c"));
}

int
main(void)
{
	RUN_GROUP("a mail", whole_mail);
	RUN_GROUP("what makes no mail", refused);
	RUN_GROUP("addresses beyond ASCII", addresses_beyond_ascii);
	RUN_GROUP("replies", replies);
	RUN_GROUP("long replies", long_replies);
	RUN_GROUP("replies as JSON", replies_as_json);
	RUN_GROUP("mailboxes", mailboxes);
	return check_result();
}
