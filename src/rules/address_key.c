/*
 * address_key.c
 *		An address as it is remembered, however it was typed.
 *
 * A number with and one without Brazil's ninth digit are two: that digit may be
 * all that was wrong with the first.
 */
#include "rules/address_key.h"

#include <stdio.h>

#include "rules/phone.h"

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

/*
 * Writes a mailbox in lower case, a number in E.164 where it can be one, and
 * anything else as it is, into a buffer of ADDRESS_KEY_SIZE.
 */
void
address_key(const char *stored, bool is_email, const char *country, char *key)
{
	if (!is_email && phone_e164(stored, country, key))
		return;
	snprintf(key, ADDRESS_KEY_SIZE, "%s", stored);
	for (char *at = key; is_email && *at != '\0'; at++)
		*at = lower(*at);
}
