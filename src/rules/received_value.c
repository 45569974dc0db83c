/*
 * received_value.c
 *		Values of a webhook, as the rest of the program writes them.
 *
 * Who somebody is comes in many spellings: a number in digits, one with
 * "whatsapp:" before it, WhatsApp's own addresses of phones (@s.whatsapp.net,
 * @c.us), of people whose phone is hidden (@lid), of groups. Each function takes
 * one kind and refuses the others, so a definition may name every place where
 * one could stand.
 */
#include "rules/received_value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ITU-T E.164, and a "00" or a carrier's digits before it. */
#define PHONE_DIGITS_MIN 8
#define PHONE_DIGITS_MAX 20

/* ---- slices ------------------------------------------------------------------------- */

Slice
slice_trimmed(Slice s)
{
	while (s.len > 0 && isspace((unsigned char) s.at[0]))
	{
		s.at++;
		s.len--;
	}
	while (s.len > 0 && isspace((unsigned char) s.at[s.len - 1]))
		s.len--;
	return s;
}

/* What follows the last occurrence of a mark; all of it where there is none. */
Slice
slice_after(Slice s, const char *mark)
{
	size_t n = strlen(mark);

	for (size_t i = s.len; i >= n && i > 0; i--)
		if (memcmp(s.at + i - n, mark, n) == 0)
			return (Slice){s.at + i, s.len - i};
	return s;
}

/* What precedes the first; all of it where there is none. */
Slice
slice_until(Slice s, const char *mark)
{
	const char *found = memmem(s.at, s.len, mark, strlen(mark));

	return found != NULL ? (Slice){s.at, found - s.at} : s;
}

bool
slice_is(Slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

bool
slice_begins(Slice s, const char *text)
{
	size_t n = strlen(text);

	return s.len >= n && strncasecmp(s.at, text, n) == 0;
}

bool
slice_ends(Slice s, const char *text)
{
	size_t n = strlen(text);

	return s.len >= n && memcmp(s.at + s.len - n, text, n) == 0;
}

/* ---- who it is ---------------------------------------------------------------------- */

/* Without the network's part; a device or an agent follows ":" or "_" before it. */
static bool
user_at(Slice *s, const char *network)
{
	if (!slice_ends(*s, network))
		return false;
	s->len -= strlen(network);
	*s = slice_until(slice_until(*s, ":"), "_");
	return true;
}

/* Digits, and what people put between them, into a buffer; -1: something else. */
static int
take_digits(Slice s, char *to)
{
	int n = 0;

	for (size_t i = 0; i < s.len; i++)
	{
		if (isdigit((unsigned char) s.at[i]) && n < PHONE_DIGITS_MAX)
			to[n++] = s.at[i];
		else if (s.at[i] == '\0' || strchr(" -.()", s.at[i]) == NULL)
			return -1;
	}
	to[n] = '\0';
	return n;
}

/*
 * A telephone number: "+" and its digits where it says its country or all do
 * (is_international), else its digits as they were given.
 */
bool
received_phone(Slice s, bool is_international, char *to)
{
	bool is_address;

	s = slice_trimmed(s);
	if (slice_begins(s, "whatsapp:") || slice_begins(s, "tel:") || slice_begins(s, "sms:"))
		s = slice_after(s, ":");
	is_address = user_at(&s, "@s.whatsapp.net") || user_at(&s, "@c.us");
	is_international = is_international || is_address || (s.len > 0 && s.at[0] == '+');
	if (s.len > 0 && s.at[0] == '+')
		s = (Slice){s.at + 1, s.len - 1};
	else if (is_international && slice_begins(s, "00"))
		s = (Slice){s.at + 2, s.len - 2};
	if (is_international)
		*to++ = '+';
	return take_digits(s, to) >= PHONE_DIGITS_MIN && (!is_international || *to != '0');
}

/* What stands between the last angle brackets, as in "Ana <ana@x.example>", else all of it. */
static Slice
bare_address(Slice s)
{
	Slice inside = slice_after(s, "<");

	return inside.at > s.at ? slice_trimmed(slice_until(inside, ">")) : slice_trimmed(s);
}

/* An e-mail address, in small letters. */
bool
received_email(Slice s, char *to)
{
	const char *at;

	s = bare_address(s);
	at = s.len > 0 ? memrchr(s.at, '@', s.len) : NULL;
	if (at == NULL || at == s.at || at == s.at + s.len - 1 || s.len >= RECEIVED_ADDRESS_SIZE)
		return false;
	for (size_t i = 0; i < s.len; i++)
	{
		unsigned char c = s.at[i];

		if (c <= ' ' || c == 0x7F || strchr("<>,;\"", c) != NULL)
			return false;
		to[i] = c < 0x80 ? tolower(c) : c;
	}
	to[s.len] = '\0';
	return true;
}

/* WhatsApp's id of somebody whose number is hidden. */
bool
received_lid(Slice s, char *to)
{
	int n;

	s = slice_trimmed(s);
	if (!user_at(&s, "@lid"))
		return false;
	n = take_digits(s, to);
	if (n <= 0)
		return false;
	strcpy(to + n, "@lid");
	return true;
}
