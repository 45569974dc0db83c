/*
 * http_text.c
 *		The texts of a request's headers and address, taken apart.
 */
#include "rules/http_text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "rules/signature_text.h"
#include "rules/text.h"

/* Until the year 33658, with which sums can be made. */
#define SECONDS_DIGITS_MAX 12

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static Slice
trimmed(const char *at, size_t len)
{
	while (len > 0 && is_blank(at[0]))
	{
		at++;
		len--;
	}
	while (len > 0 && is_blank(at[len - 1]))
		len--;
	return (Slice){at, len};
}

/* The next item of a list, of which "rest" keeps what follows; false: there is none. */
static bool
next_item(Slice *rest, const char *separators, Slice *item)
{
	size_t len = 0;

	if (rest->at == NULL)
		return false;
	while (len < rest->len && strchr(separators, rest->at[len]) == NULL)
		len++;
	*item = trimmed(rest->at, len);
	if (len < rest->len)
		*rest = (Slice){rest->at + len + 1, rest->len - len - 1};
	else
		*rest = (Slice){NULL, 0};
	return true;
}

static Slice
whole(const char *text)
{
	return (Slice){text, text != NULL ? strlen(text) : 0};
}

static bool
is_token_character(char c)
{
	return c > ' ' && c < 0x7f && c != ',' && c != ';' && c != '"';
}

/*
 * The token of "Bearer TOKEN", or of a header that is nothing but a token: the edge
 * function took that, too.
 */
bool
http_bearer(const char *authorization, Slice *token)
{
	static const char scheme[] = "bearer";
	size_t n = sizeof(scheme) - 1;

	if (authorization == NULL)
		return false;
	*token = trimmed(authorization, strlen(authorization));
	if (token->len > n && strncasecmp(token->at, scheme, n) == 0 && is_blank(token->at[n]))
		*token = trimmed(token->at + n, token->len - n);
	for (size_t i = 0; i < token->len; i++)
		if (!is_token_character(token->at[i]))
			return false;
	return token->len > 0;
}

/* The first cookie of that name. */
bool
http_cookie(const char *cookies, const char *name, Slice *value)
{
	Slice rest = whole(cookies);
	size_t len = strlen(name);
	Slice item;

	/* a header that came twice was joined by a comma, which no cookie may have */
	while (next_item(&rest, ";,", &item))
		if (item.len > len && item.at[len] == '=' && memcmp(item.at, name, len) == 0)
		{
			*value = (Slice){item.at + len + 1, item.len - len - 1};
			return true;
		}
	return false;
}

/* ---- sessions -------------------------------------------------------------------------- */

/* What stands behind the last dot, which is cut off with it. */
static bool
cut_last(Slice *text, Slice *last)
{
	for (size_t i = text->len; i > 0; i--)
		if (text->at[i - 1] == '.')
		{
			*last = (Slice){text->at + i, text->len - i};
			text->len = i - 1;
			return true;
		}
	return false;
}

static bool
read_proof(Slice hex, unsigned char *proof)
{
	return hex.len == 2 * HTTP_PROOF_SIZE &&
		   hex_decode(hex.at, hex.len, proof, HTTP_PROOF_SIZE) == HTTP_PROOF_SIZE;
}

static bool
read_seconds(Slice digits, int64_t *seconds)
{
	*seconds = 0;
	if (digits.len == 0 || digits.len > SECONDS_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < digits.len; i++)
	{
		if (!isdigit((unsigned char) digits.at[i]))
			return false;
		*seconds = *seconds * 10 + (digits.at[i] - '0');
	}
	return true;
}

/* A session's parts, none of which is true yet. */
bool
http_session_read(Slice cookie, HttpSession *session)
{
	Slice signature;
	Slice proof;

	if (!cut_last(&cookie, &signature))
		return false;
	session->is_signed = cookie;
	return cut_last(&cookie, &proof) && read_seconds(cookie, &session->until) &&
		   read_proof(proof, session->proof) && read_proof(signature, session->signature);
}

/* ---- addresses ------------------------------------------------------------------------- */

static int
hex_value(char c)
{
	return isdigit((unsigned char) c) ? c - '0' : tolower((unsigned char) c) - 'a' + 10;
}

static bool
is_text(const char *at, size_t len)
{
	for (size_t i = 0; i < len;)
	{
		size_t n = at[i] != '\0' ? text_character(at + i, len - i) : 0;

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

/*
 * A part of an address without its %, terminated, in len + 1 bytes; false: it has one
 * that stands for nothing, a zero, or what is no UTF-8.
 */
bool
http_decode(const char *at, size_t len, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
	{
		if (at[i] != '%')
		{
			to[n++] = at[i];
			continue;
		}
		if (len - i < 3 || !isxdigit((unsigned char) at[i + 1]) ||
			!isxdigit((unsigned char) at[i + 2]))
			return false;
		to[n++] = (char) (hex_value(at[i + 1]) * 16 + hex_value(at[i + 2]));
		i += 2;
	}
	to[n] = '\0';
	return is_text(to, n);
}

/* ---- what is wanted -------------------------------------------------------------------- */

/* Thousandths; what can not be read wants it fully. */
static int
read_quality(Slice text)
{
	int quality = 0;
	int place = 1000;

	for (size_t i = 0; i < text.len && place > 0; i++)
	{
		if (i == 1 && text.at[i] == '.')
			continue;
		if (!isdigit((unsigned char) text.at[i]))
			return 1000;
		quality += (text.at[i] - '0') * place;
		place /= 10;
	}
	return text.len == 0 || quality > 1000 ? 1000 : quality;
}

/* How much a type is wanted, by an Accept that names it, in thousandths; -1: it names it not. */
int
http_quality(const char *accept, const char *type)
{
	Slice rest = whole(accept);
	int best = -1;
	Slice item;

	while (next_item(&rest, ",", &item))
	{
		Slice part;
		int quality = 1000;

		if (!next_item(&item, ";", &part) || part.len != strlen(type) ||
			strncasecmp(part.at, type, part.len) != 0)
			continue;
		while (next_item(&item, ";", &part))
			if (part.len >= 2 && (part.at[0] == 'q' || part.at[0] == 'Q') && part.at[1] == '=')
				quality = read_quality((Slice){part.at + 2, part.len - 2});
		if (quality > best)
			best = quality;
	}
	return best;
}

/* Whether somebody has that tag, which is quoted; a weak one is as good for reading. */
bool
http_has_tag(const char *if_none_match, const char *tag)
{
	Slice rest = whole(if_none_match);
	Slice item;

	while (next_item(&rest, ",", &item))
	{
		if (item.len > 2 && memcmp(item.at, "W/", 2) == 0)
			item = (Slice){item.at + 2, item.len - 2};
		if (item.len == strlen(tag) && memcmp(item.at, tag, item.len) == 0)
			return true;
		if (item.len == 1 && item.at[0] == '*')
			return true;
	}
	return false;
}

/* Behind whose name there is nobody between who could answer in its place. */
static bool
is_loopback(const char *host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		size_t n = strlen(names[i]);

		if (strncasecmp(host, names[i], n) == 0 && (host[n] == '\0' || host[n] == ':'))
			return true;
	}
	return false;
}

/*
 * Whether a page of the host that was asked has sent this. Whoever is between could have
 * made one that came without TLS.
 */
bool
http_is_same_origin(const char *origin, const char *host)
{
	static const char *const schemes[] = {"https://", "http://"};

	if (origin == NULL || host == NULL)
		return false;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
	{
		size_t n = strlen(schemes[i]);

		if (strncasecmp(origin, schemes[i], n) == 0)
			return origin[n] != '\0' && strcasecmp(origin + n, host) == 0 &&
				   (i == 0 || is_loopback(host));
	}
	return false;
}
