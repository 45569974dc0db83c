/*
 * http_fuzz.c
 *		Headers, addresses and bodies of any bytes: what is found in them is a part of them,
 *		and what is a text is one.
 */
#include "rules/http_body.h"
#include "rules/http_text.h"
#include "rules/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_SIZE 40

#define MUST(condition)   \
	do                    \
	{                     \
		if (!(condition)) \
			abort();      \
	} while (0)

static void
check_part(const char *text, Slice part)
{
	MUST(part.at >= text && part.at + part.len <= text + strlen(text));
}

static void
check_headers(const char *text)
{
	HttpSession session;
	Slice part;
	int quality = http_quality(text, "text/plain");

	if (http_bearer(text, &part))
	{
		check_part(text, part);
		MUST(part.len > 0);
		for (size_t i = 0; i < part.len; i++)
			MUST(part.at[i] > ' ' && part.at[i] < 0x7f && part.at[i] != ',');
	}
	if (http_cookie(text, "c", &part))
	{
		check_part(text, part);
		MUST(part.at[-1] == '=' && part.at[-2] == 'c');
		MUST(memchr(part.at, ';', part.len) == NULL);
	}
	if (http_session_read((Slice){text, strlen(text)}, &session))
	{
		check_part(text, session.is_signed);
		MUST(session.until >= 0 && session.until <= INT64_C(999999999999));
		MUST(strlen(text) == session.is_signed.len + 1 + 2 * HTTP_PROOF_SIZE);
	}
	MUST(quality >= -1 && quality <= 1000);
	MUST(!http_has_tag(text, "\"a\"") || strstr(text, "\"a\"") != NULL ||
		 strchr(text, '*') != NULL);
	MUST(!http_is_same_origin(text, "h.example") || strlen(text) <= strlen("https://h.example"));
}

static void
check_address(const char *text, size_t len)
{
	char *to = malloc(len + 1);

	if (http_decode(text, len, to))
	{
		size_t n = strlen(to);

		MUST(n <= len);
		for (size_t i = 0; i < n;)
		{
			size_t character = text_character(to + i, n - i);

			MUST(character > 0);
			i += character;
		}
	}
	free(to);
}

static void
check_body(const char *text, size_t len)
{
	char field[FIELD_SIZE];

	memset(field, 'x', sizeof(field));
	if (http_json_field(text, len, "a", field, sizeof(field)) == HTTP_FIELD_TEXT)
		MUST(memchr(field, '\0', sizeof(field)) != NULL);
	memset(field, 'x', sizeof(field));
	if (http_form_field(text, len, "a", field, sizeof(field)) == HTTP_FIELD_TEXT)
		MUST(memchr(field, '\0', sizeof(field)) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	check_headers(text);
	check_address(text, size);
	check_body(text, size);
	free(text);
	return 0;
}
