/*
 * answer_json.c
 *		An answer's body as JSON, read as leniently as can be.
 */
#include "rules/answer_json.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "rules/text.h"

/*
 * Copies a character; what is no UTF-8 becomes a question mark, since some
 * endpoints answer in Latin-1, and that must not hide what the rest says.
 */
static size_t
copy_character(char *to, const char *from, size_t len)
{
	size_t n = text_character(from, len);

	if (n == 0)
		*to = '?';
	else
		memcpy(to, from, n);
	return n == 0 ? 1 : n;
}

/* The code unit of an escape of four hexadecimal digits; -1: that is none. */
static int
escaped_unit(const char *at, size_t len)
{
	int unit = 0;

	if (len < 6 || at[0] != '\\' || at[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++)
	{
		if (!isxdigit((unsigned char) at[i]))
			return -1;
		unit = unit * 16 + (isdigit((unsigned char) at[i])
								? at[i] - '0'
								: tolower((unsigned char) at[i]) - 'a' + 10);
	}
	return unit;
}

/*
 * Copies an escaped character. Half of a pair (a name that was cut within an
 * emoji) is no reason for the library to refuse the whole body, and a zero is
 * nothing that a text of the server's can hold: U+FFFD takes the place of both.
 */
static size_t
copy_escape(char *to, const char *from, size_t len)
{
	int unit = escaped_unit(from, len);
	bool is_high = unit >= 0xD800 && unit < 0xDC00;
	int next = is_high && len >= 12 ? escaped_unit(from + 6, len - 6) : -1;
	bool is_pair = next >= 0xDC00 && next < 0xE000;
	size_t n = is_pair ? 12 : 6;

	if (unit < 0)
	{
		*to = '\\';
		return len > 1 ? 1 + copy_character(to + 1, from + 1, len - 1) : 1;
	}
	if (unit == 0 || (unit >= 0xD800 && unit < 0xE000 && !is_pair))
		memcpy(to, "\\ufffd", n);
	else
		memcpy(to, from, n);
	return n;
}

/* Up to the end of a number's characters. */
static size_t
number_length(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len &&
		   (isdigit((unsigned char) text[n]) || (text[n] != '\0' && strchr("+-.eE", text[n]))))
		n++;
	return n;
}

/* The library keeps 64 bits of an integer, and all else in binary. */
static bool
would_lose_digits(const char *number, size_t len)
{
	return len > 18 || memchr(number, '.', len) || memchr(number, 'e', len) ||
		   memchr(number, 'E', len);
}

/*
 * A copy for the library: valid UTF-8, and numbers that it would not keep to
 * the last digit in quotes. Needs room for twice the length.
 */
static size_t
make_readable(char *to, const char *from, size_t len)
{
	size_t n = 0;
	bool in_string = false;

	for (size_t at = 0; at < len;)
	{
		size_t digits = !in_string && (isdigit((unsigned char) from[at]) || from[at] == '-')
							? number_length(from + at, len - at)
							: 0;
		size_t copied;

		if (digits > 0)
		{
			bool quoted = would_lose_digits(from + at, digits);

			if (quoted)
				to[n++] = '"';
			memcpy(to + n, from + at, digits);
			n += digits;
			if (quoted)
				to[n++] = '"';
			at += digits;
			continue;
		}
		if (in_string && from[at] == '\\')
		{
			copied = copy_escape(to + n, from + at, len - at);
			n += copied;
			at += copied;
			continue;
		}
		if (from[at] == '"')
			in_string = !in_string;
		copied = copy_character(to + n, from + at, len - at);
		n += copied;
		at += copied;
	}
	return n;
}

/*
 * The body as JSON, read as leniently as the library can; NULL when it is none,
 * or memory is short.
 */
json_t *
answer_json(const char *body, size_t len)
{
	json_t *value;
	char *copy;

	if (len >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0)
	{
		body += 3;
		len -= 3;
	}
	copy = malloc(len * 2 + 1);
	if (copy == NULL)
		return NULL;
	value = json_loadb(copy, make_readable(copy, body, len),
					   JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, NULL);
	free(copy);
	return value;
}
