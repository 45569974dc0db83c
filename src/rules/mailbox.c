/*
 * mailbox.c
 *		E-mail addresses, with and without a name.
 *
 * Whether an address exists is the mail server's to say. What is kept from it
 * is what would end a command or a header's line, or the brackets around it.
 */
#include "rules/mailbox.h"

#include <string.h>

static bool
has_only_allowed(const char *address, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char) address[i] < 0x20 || address[i] == 0x7F || address[i] == '<' ||
			address[i] == '>')
			return false;
	return len <= MAILBOX_ADDRESS_MAX;
}

/*
 * Whether a recipient's address can be given to a mail server, or to a provider
 * that takes lists, too: what may be read as one is none, not even in quotes.
 */
bool
mailbox_can_be_written_to(const char *address)
{
	const char *at = strchr(address, '@');

	return has_only_allowed(address, strlen(address)) && strpbrk(address, ",; ") == NULL &&
		   (at == NULL || strchr(at + 1, '@') == NULL);
}

/* A local part, "@", a domain, and no blank between them. */
static bool
is_address(const char *address, size_t len)
{
	const char *at = memchr(address, '@', len);

	return at != NULL && at > address && at < address + len - 1 &&
		   memchr(address, ' ', len) == NULL && has_only_allowed(address, len);
}

static void
trim(const char **text, size_t *len)
{
	while (*len > 0 && **text == ' ')
	{
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && (*text)[*len - 1] == ' ')
		(*len)--;
}

/* "address", "<address>" or "Name <address>"; false when it is none of these. */
bool
mailbox_read(const char *text, Mailbox *mailbox)
{
	const char *open = strrchr(text, '<');
	size_t len = strlen(text);

	memset(mailbox, 0, sizeof(*mailbox));
	mailbox->address = text;
	mailbox->address_len = len;
	trim(&mailbox->address, &mailbox->address_len);
	if (open != NULL)
	{
		if (mailbox->address[mailbox->address_len - 1] != '>')
			return false;
		mailbox->address_len -= open + 1 - mailbox->address + 1;
		mailbox->address = open + 1;
		mailbox->name = text;
		mailbox->name_len = open - text;
		trim(&mailbox->name, &mailbox->name_len);
	}
	for (size_t i = 0; i < mailbox->name_len; i++)
		if ((unsigned char) mailbox->name[i] < 0x20 || mailbox->name[i] == 0x7F)
			return false;
	return is_address(mailbox->address, mailbox->address_len);
}
