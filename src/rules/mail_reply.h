/*
 * mail_reply.h
 *		What a mail server says: replies, as they come in.
 */
#ifndef CADENCE_MAIL_REPLY_H
#define CADENCE_MAIL_REPLY_H

#include <stdbool.h>
#include <stddef.h>

/* RFC 5321, section 4.5.3.1.5, and what is kept of many such lines. */
#define MAIL_REPLY_LINE_MAX 512
#define MAIL_REPLY_TEXT_MAX 512

typedef struct MailReply
{
	bool is_whole;
	int code;		   /* of its last line so far; 0: that was none */
	char enhanced[16]; /* RFC 3463: "5.1.1"; "": none */
	char text[MAIL_REPLY_TEXT_MAX];
	size_t text_len;
	char line[MAIL_REPLY_LINE_MAX]; /* that has not ended */
	size_t line_len;
} MailReply;

/* For its JSON, every character escaped. */
#define MAIL_REPLY_JSON_MAX (6 * MAIL_REPLY_TEXT_MAX + 2048)

extern void mail_reply_reset(MailReply *reply);
extern size_t mail_reply_add(MailReply *reply, const char *data, size_t len);
extern size_t mail_reply_json(const MailReply *reply, const char *id, char *to, size_t size);

#endif
