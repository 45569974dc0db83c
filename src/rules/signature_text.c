/*
 * signature_text.c
 *		The texts of a call that prove who makes it, taken apart.
 */
#include "rules/signature_text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/*
 * The signatures of a header, in its order, without the prefix that each must have;
 * one without it is another version's. No separator: there is one. How many.
 */
size_t
signature_list(const char *header, const char *separator, const char *prefix, Slice *signatures)
{
	size_t prefix_len = strlen(prefix);
	size_t n = 0;

	for (int i = 0; i < SIGNATURES_MAX && *header != '\0'; i++)
	{
		const char *end = separator[0] != '\0' ? strstr(header, separator) : NULL;
		Slice one = {header, end != NULL ? (size_t) (end - header) : strlen(header)};

		header += one.len + (end != NULL ? strlen(separator) : 0);
		if (one.len >= prefix_len && memcmp(one.at, prefix, prefix_len) == 0)
			signatures[n++] = (Slice){one.at + prefix_len, one.len - prefix_len};
	}
	return n;
}

/* Seconds since 1970, in digits and nothing else. */
bool
signature_timestamp(const char *text, int64_t *seconds)
{
	size_t len = strspn(text, "0123456789");

	*seconds = 0;
	if (len == 0 || len > 12 || text[len] != '\0')
		return false;
	for (size_t i = 0; i < len; i++)
		*seconds = *seconds * 10 + (text[i] - '0');
	return true;
}

/* What stands in base64 in an Authorization of HTTP's kind "Basic". */
bool
basic_token(const char *header, Slice *token)
{
	static const char scheme[] = "Basic ";
	size_t len = sizeof(scheme) - 1;

	if (strncasecmp(header, scheme, len) != 0)
		return false;
	*token = (Slice){header + len, strlen(header + len)};
	return true;
}

/* "user:password", decoded, in a buffer that has a byte more; a byte 0 stands in neither. */
bool
basic_credentials(char *plain, size_t len, char **user, char **password)
{
	char *colon = memchr(plain, ':', len);

	if (colon == NULL || memchr(plain, '\0', len) != NULL)
		return false;
	plain[len] = *colon = '\0';
	*user = plain;
	*password = colon + 1;
	return true;
}

static int
hex_value(char c)
{
	if (isdigit((unsigned char) c))
		return c - '0';
	return isxdigit((unsigned char) c) ? tolower((unsigned char) c) - 'a' + 10 : -1;
}

/* How many bytes a text stands for; -1: it is no such text, or of too many. */
int
hex_decode(const char *text, size_t len, unsigned char *to, size_t size)
{
	if (len % 2 != 0 || len / 2 > size)
		return -1;
	for (size_t i = 0; i < len; i += 2)
	{
		int high = hex_value(text[i]);
		int low = hex_value(text[i + 1]);

		if (high < 0 || low < 0)
			return -1;
		to[i / 2] = (unsigned char) (high << 4 | low);
	}
	return (int) (len / 2);
}
