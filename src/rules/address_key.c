/*
 * address_key.c
 *		An address as it is remembered, however it was typed.
 *
 * A number with and one without Brazil's ninth digit, or what Argentina and Mexico
 * have put before mobile ones, are two: that digit may be all that was wrong with the
 * first.
 */
#include "rules/address_key.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "rules/mailbox.h"
#include "rules/phone.h"
#include "rules/text.h"

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

/* Of a mailbox, with or without a name, the address in lower case. */
static bool
mailbox_one(const char *stored, char *one)
{
	const char *end = stored + strlen(stored);
	char text[ADDRESS_KEY_SIZE];
	Mailbox mailbox;

	text_trim(&stored, &end);
	if (end - stored >= ADDRESS_KEY_SIZE)
		return false;
	memcpy(text, stored, end - stored);
	text[end - stored] = '\0';
	if (!mailbox_read(text, &mailbox))
		return false;
	for (size_t i = 0; i < mailbox.address_len; i++)
		one[i] = lower(mailbox.address[i]);
	one[mailbox.address_len] = '\0';
	return true;
}

/*
 * Writes an address so that all spellings of it are one, into a buffer of
 * ADDRESS_ONE_SIZE: a number in E.164, the longer one where a digit makes no other
 * person's (phone_other()); a mailbox in lower case. False: it can be none.
 */
bool
address_one(const char *stored, bool is_email, const char *country, char *one)
{
	char other[PHONE_E164_SIZE];

	if (is_email)
		return mailbox_one(stored, one);
	if (!phone_e164(stored, country, one))
		return false;
	if (phone_other(one, other) && strlen(other) > strlen(one))
		strcpy(one, other);
	return true;
}

/* "+" and the digits of a text, as many as a buffer of ADDRESS_ONE_SIZE holds. */
static void
plus_digits(const char *text, char *to)
{
	size_t n = 0;

	to[n++] = '+';
	for (; *text != '\0' && n < ADDRESS_ONE_SIZE - 1; text++)
		if (isdigit((unsigned char) *text))
			to[n++] = *text;
	to[n] = '\0';
}

/*
 * As address_one(), for looking up whom nobody may write to: of a text that can be no
 * number, some providers get it as it is, and write to the number that its digits are,
 * in that country or with their country's code.
 */
bool
address_reached(const char *stored, bool is_email, const char *country, char *one)
{
	char number[ADDRESS_ONE_SIZE];

	if (address_one(stored, is_email, country, one))
		return true;
	if (is_email)
		return false;
	plus_digits(stored, number);
	return address_one(number + 1, false, country, one) || address_one(number, false, country, one);
}
