/*
 * text.c
 *		Texts in UTF-8: their characters, and those that nobody sees.
 *
 * Blanks separate words: those of ASCII, and Unicode's spaces (Zs). Invisible
 * are these spaces but the plain one, controls (C1) and formats (Cf). Texts are
 * UTF-8; what is not is neither.
 */
#include "rules/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct Range
{
	uint32_t first;
	uint32_t last;
} Range;

/* Zs without U+0020, and the separators of lines and paragraphs. */
static const Range spaces[] = {{0x00A0, 0x00A0}, {0x1680, 0x1680}, {0x2000, 0x200A},
							   {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
							   {0x3000, 0x3000}};

/* C1 and Cf of Unicode 16. */
static const Range formats[] = {
	{0x0080, 0x009F},	{0x00AD, 0x00AD},	{0x0600, 0x0605},	{0x061C, 0x061C},
	{0x06DD, 0x06DD},	{0x070F, 0x070F},	{0x0890, 0x0891},	{0x08E2, 0x08E2},
	{0x180E, 0x180E},	{0x200B, 0x200F},	{0x202A, 0x202E},	{0x2060, 0x2064},
	{0x2066, 0x206F},	{0xFEFF, 0xFEFF},	{0xFFF9, 0xFFFB},	{0x110BD, 0x110BD},
	{0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
	{0xE0001, 0xE0001}, {0xE0020, 0xE007F}};

static bool
is_in(const Range *ranges, size_t n, uint32_t c)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

/* Neither longer than it need be, nor a surrogate, nor above the last character (RFC 3629). */
static bool
is_shortest(unsigned char lead, unsigned char second)
{
	return !(lead == 0xE0 && second < 0xA0) && !(lead == 0xED && second >= 0xA0) &&
		   !(lead == 0xF0 && second < 0x90) && !(lead == 0xF4 && second >= 0x90);
}

/*
 * The length in bytes of the UTF-8 sequence at "at", of which so many bytes are
 * left; 0 when it is none.
 */
size_t
text_character(const char *at, size_t len)
{
	unsigned char lead = (unsigned char) *at;
	size_t n = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;

	if (n > len || (lead >= 0x80 && lead < 0xC2) || lead > 0xF4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (((unsigned char) at[i] & 0xC0) != 0x80)
			return 0;
	return n < 3 || is_shortest((unsigned char) at[0], (unsigned char) at[1]) ? n : 0;
}

/* The character itself, of the length that text_character() has found. */
uint32_t
text_code_point(const char *at, size_t len)
{
	uint32_t c = (unsigned char) *at & (len == 1 ? 0x7F : 0xFF >> (len + 1));

	for (size_t i = 1; i < len; i++)
		c = c << 6 | ((unsigned char) at[i] & 0x3F);
	return c;
}

/* Every character in question takes two bytes at least: most texts have few of those. */
static size_t
of_kind(const char *at, const char *end, const Range *ranges, size_t n)
{
	size_t len;

	if (at >= end || (unsigned char) *at < 0xC0)
		return 0;
	len = text_character(at, end - at);
	return len > 0 && is_in(ranges, n, text_code_point(at, len)) ? len : 0;
}

/* ASCII's own are not those of isspace(), which depend on the locale. */
size_t
text_blank(const char *at, const char *end)
{
	if (at < end && (*at == ' ' || (*at >= '\t' && *at <= '\r')))
		return 1;
	return of_kind(at, end, spaces, sizeof(spaces) / sizeof(spaces[0]));
}

size_t
text_invisible(const char *at, const char *end)
{
	size_t len = of_kind(at, end, formats, sizeof(formats) / sizeof(formats[0]));

	return len > 0 ? len : of_kind(at, end, spaces, sizeof(spaces) / sizeof(spaces[0]));
}

static size_t
to_trim(const char *at, const char *end)
{
	size_t len = text_blank(at, end);

	return len > 0 ? len : text_invisible(at, end);
}

/*
 * Takes blanks and invisible characters off both ends. Inside they stay: names
 * are written with joiners.
 */
void
text_trim(const char **start, const char **end)
{
	size_t len;

	while ((len = to_trim(*start, *end)) > 0)
		*start += len;
	while (*end > *start)
	{
		const char *last = *end - 1;

		while (last > *start && ((unsigned char) *last & 0xC0) == 0x80)
			last--;
		if (to_trim(last, *end) != (size_t) (*end - last))
			return;
		*end = last;
	}
}

/*
 * The same for a text that may be cut off; NULL stays NULL.
 */
char *
text_trimmed(char *text)
{
	const char *start = text;
	const char *end;

	if (text == NULL)
		return NULL;
	end = text + strlen(text);
	text_trim(&start, &end);
	text[end - text] = '\0';
	return text + (start - text);
}

/*
 * The first invisible character; NULL when there is none.
 */
const char *
text_find_invisible(const char *start, const char *end)
{
	for (; start < end; start++)
		if (text_invisible(start, end) > 0)
			return start;
	return NULL;
}

/*
 * Copies a text into a buffer, or onto itself, cut at a character's edge, without
 * control characters and what is no UTF-8: it ends up in tables, logs and terminals.
 */
void
text_copy(char *to, size_t size, const char *from)
{
	const char *end = from + strlen(from);
	size_t n;

	for (; from < end; from += n, to += n, size -= n)
	{
		size_t len = text_character(from, end - from);

		n = len > 0 ? len : 1;
		if (n >= size)
			break;
		if (len == 0)
			*to = '?';
		else if ((unsigned char) *from < 0x20 || *from == 0x7F)
			*to = ' ';
		else
			memmove(to, from, n);
	}
	*to = '\0';
}

/* What no text of JSON can hold becomes a question mark. */
void
text_mend(char *text, size_t len)
{
	for (size_t i = 0; i < len;)
	{
		size_t n = text[i] != '\0' ? text_character(text + i, len - i) : 0;

		if (n == 0)
			text[i] = '?';
		i += n > 0 ? n : 1;
	}
}
