/*
 * target.c
 *		Path and query of a request: they go to the database as they came, percent signs
 *		and all, so what they stand for is looked at here.
 *
 * Refused is what no honest client sends and what somebody behind us might read
 * in another way: characters that are none, zeros, and paths that walk.
 */
#include "target.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* In the query a text may have lines. */
static const char in_path[] = "";
static const char in_query[] = "\t\n\r";

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char) tolower((unsigned char) c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7F;
}

/* What a text stands for, and how long that is; false if a percent sign stands for nothing. */
static bool
decode(const char *text, char *decoded, size_t *len, const char *allowed)
{
	*len = 0;
	for (; *text != '\0'; text++)
	{
		char c = *text;

		if (c == ' ' || is_control((unsigned char) c))
			return false;
		if (c == '%')
		{
			int high = hex_digit(text[1]);
			int low = high >= 0 ? hex_digit(text[2]) : -1;

			if (low < 0)
				return false;
			c = (char) (high * 16 + low);
			text += 2;
			if (is_control((unsigned char) c) && (c == '\0' || strchr(allowed, c) == NULL))
				return false;
		}
		decoded[(*len)++] = c;
	}
	decoded[*len] = '\0';
	return true;
}

/* Both as it came and decoded: half of a character may be behind a percent sign. */
static bool
is_fit(const char *text, char *decoded, const char *allowed)
{
	size_t len;

	return text_is_utf8(text, strlen(text)) && decode(text, decoded, &len, allowed) &&
		   text_is_utf8(decoded, len);
}

/* Whether a part of the path is "." or "..". */
static bool
walks(const char *path)
{
	while (*path == '/')
	{
		size_t dots = strspn(++path, ".");

		if ((dots == 1 || dots == 2) && (path[dots] == '/' || path[dots] == '\0'))
			return true;
		path += strcspn(path, "/");
	}
	return false;
}

/* The query is null where there is no question mark. */
bool
target_is_good(const char *path, const char *query)
{
	size_t longest = strlen(path) + (query != NULL ? strlen(query) : 0);
	char *decoded = malloc(longest + 1);
	bool is_good = decoded != NULL && *path == '/' && strchr(path, '#') == NULL &&
				   is_fit(path, decoded, in_path) && !walks(decoded) &&
				   (query == NULL || is_fit(query, decoded, in_query));

	free(decoded);
	return is_good;
}
