/*
 * mailbox.h
 *		E-mail addresses, with and without a name.
 */
#ifndef CADENCE_MAILBOX_H
#define CADENCE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

/* RFC 5321, section 4.5.3.1.3: a path's 256 less its brackets. */
#define MAILBOX_ADDRESS_MAX 254

/* Parts of the text that it was read from. */
typedef struct Mailbox
{
	const char *name;
	size_t name_len; /* 0: none */
	const char *address;
	size_t address_len;
} Mailbox;

extern bool mailbox_can_be_written_to(const char *address);
extern bool mailbox_read(const char *text, Mailbox *mailbox);

#endif
