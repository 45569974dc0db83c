/*
 * text.c
 *		Texts that grow, and what makes one fit for the database.
 */
#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
make_room(Text *text, size_t more)
{
	size_t room = text->room > 0 ? text->room : 256;
	char *data;

	if (text->broken)
		return false;
	while (room - text->len <= more)
		room *= 2;
	if (room == text->room)
		return true;
	data = realloc(text->data, room);
	text->broken = data == NULL;
	if (text->broken)
		return false;
	text->data = data;
	text->room = room;
	return true;
}

void
text_add(Text *text, const char *bytes, size_t len)
{
	if (!make_room(text, len))
		return;
	if (len > 0)
		memcpy(text->data + text->len, bytes, len);
	text->len += len;
	text->data[text->len] = '\0';
}

void
text_add_string(Text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

void
text_free(Text *text)
{
	free(text->data);
	memset(text, 0, sizeof(*text));
}

/* The bytes that follow the first one of a character; -1: it begins none. */
static int
bytes_that_follow(unsigned char first)
{
	if (first < 0x80)
		return 0;
	if (first >= 0xC2 && first <= 0xDF)
		return 1;
	if (first >= 0xE0 && first <= 0xEF)
		return 2;
	return first >= 0xF0 && first <= 0xF4 ? 3 : -1;
}

/* Of the second byte: no longer form than needed, no surrogate, nothing past the last character. */
static bool
is_second(unsigned char first, unsigned char second)
{
	unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
	unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;

	return second >= low && second <= high;
}

bool
text_is_utf8(const char *bytes, size_t len)
{
	const unsigned char *at = (const unsigned char *) bytes;
	const unsigned char *end = at + len;

	while (at < end)
	{
		int more = bytes_that_follow(*at);

		if (more < 0 || end - at <= more || (more > 0 && !is_second(at[0], at[1])))
			return false;
		for (int i = 2; i <= more; i++)
			if ((at[i] & 0xC0) != 0x80)
				return false;
		at += 1 + more;
	}
	return true;
}

/* Into a few bytes, as many as it takes, since many may wait with all that headers may have. */
static void
escape(unsigned char c, bool is_utf8, char *escaped, size_t room)
{
	if (c == '"' || c == '\\')
		snprintf(escaped, room, "\\%c", c);
	else if (c == '\t')
		snprintf(escaped, room, "\\t");
	else if (c < 0x20)
		snprintf(escaped, room, "\\u%04x", c);
	else if (c >= 0x80 && !is_utf8)
		snprintf(escaped, room, "%c%c", 0xC0 | c >> 6, 0x80 | (c & 0x3F));
	else
		snprintf(escaped, room, "%c", c);
}

/*
 * A string of JSON, quotes and all. What is not UTF-8 is read as Latin-1, as
 * HTTP's headers once were.
 */
void
text_add_json(Text *text, const char *bytes, size_t len)
{
	bool is_utf8 = text_is_utf8(bytes, len);
	char escaped[8];

	text_add(text, "\"", 1);
	for (size_t i = 0; i < len; i++)
	{
		escape((unsigned char) bytes[i], is_utf8, escaped, sizeof(escaped));
		text_add_string(text, escaped);
	}
	text_add(text, "\"", 1);
}
