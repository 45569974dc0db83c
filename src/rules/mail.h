/*
 * mail.h
 *		From a message's values to a mail as it goes over the wire.
 */
#ifndef CADENCE_MAIL_H
#define CADENCE_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* NULL and "" are no value, as among Values. */
typedef struct MailParts
{
	const char *from; /* an address, with a name or without */
	const char *recipient;
	const char *reply_to;
	const char *subject;
	const char *text;
	const char *html;
	const char *key;
	const char *unsubscribe_url;
	time_t at;
} MailParts;

/* All malloc'd. */
typedef struct Mail
{
	char *sender; /* the envelope's address */
	char *id;	  /* with its brackets */
	char *text;	  /* no line of it begins with a dot, and the last one is ended */
	size_t len;
	bool needs_utf8; /* an address is not ASCII (RFC 6531) */
} Mail;

extern bool mail_write(const MailParts *parts, Mail *mail);
extern void mail_free(Mail *mail);

#endif
