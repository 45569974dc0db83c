/*
 * received_fuzz.c
 *		Any text as what a webhook's call has beside its body: a form or a query, the
 *		headers that prove who calls; and as what its fields hold: numbers, mailboxes,
 *		times, answers. What they are read as has properties, whatever they are.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/opt_out_word.h"
#include "rules/phone.h"
#include "rules/receive_form.h"
#include "rules/received_value.h"
#include "rules/signature_text.h"

static void
require(int condition)
{
	if (!condition)
		abort();
}

/* ---- forms and queries ----------------------------------------------------------------- */

static bool
is_same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static char *
encoded(const Form *form)
{
	size_t size = 1;
	char *text;
	char *at;

	for (size_t i = 0; i < form->n; i++)
		size += 3 * (form->fields[i].name_len + form->fields[i].value_len) + 2;
	at = text = malloc(size);
	for (size_t i = 0; i < form->n; i++)
	{
		const FormField *field = &form->fields[i];

		for (size_t k = 0; k < field->name_len; k++)
			at += sprintf(at, "%%%02x", (unsigned char) field->name[k]);
		*at++ = '=';
		for (size_t k = 0; k < field->value_len; k++)
			at += sprintf(at, "%%%02X", (unsigned char) field->value[k]);
		*at++ = '&';
	}
	*at = '\0';
	return text;
}

/* Written again in another way it is the same, but for what has neither name nor value. */
static void
check_form(const char *body, size_t len)
{
	Form form;
	Form again;
	char *text;
	char *is_signed;
	char *signed_again;

	if (!form_read(body, len, &form))
		return;
	require(form.n <= FORM_FIELDS_MAX);
	text = encoded(&form);
	require(form_read(text, strlen(text), &again));
	require(again.n <= form.n);
	for (size_t i = 0, k = 0; i < form.n; i++)
	{
		const FormField *x = &form.fields[i];

		require(x->name[x->name_len] == '\0' && x->value[x->value_len] == '\0');
		require(x->name_len + x->value_len <= len);
		while (k < again.n &&
			   !is_same_text(x->name, x->name_len, again.fields[k].name, again.fields[k].name_len))
			k++;
		require(k < again.n);
	}

	/* what is signed of it does not depend on its order, nor on how often something is said */
	is_signed = malloc(len + 1);
	signed_again = malloc(len + 1);
	for (size_t i = 0; i < again.n / 2; i++)
	{
		FormField other = again.fields[i];

		again.fields[i] = again.fields[again.n - 1 - i];
		again.fields[again.n - 1 - i] = other;
	}
	{
		size_t n = form_sorted(&form, is_signed);
		size_t m = form_sorted(&again, signed_again);

		require(n <= len && is_same_text(is_signed, n, signed_again, m));
		require(form_sorted(&form, signed_again) == n && memcmp(is_signed, signed_again, n) == 0);
	}
	free(is_signed);
	free(signed_again);
	free(text);
	form_free(&form);
	form_free(&again);
}

/* ---- headers --------------------------------------------------------------------------- */

static void
check_signatures(const char *header)
{
	static const char *const separators[] = {"", " ", ", ", ";"};
	static const char *const prefixes[] = {"", "v1,", "sha256=", "Bearer "};
	Slice list[SIGNATURES_MAX];
	size_t len = strlen(header);

	for (int s = 0; s < 4; s++)
		for (int p = 0; p < 4; p++)
		{
			size_t n = signature_list(header, separators[s], prefixes[p], list);
			const char *before = header;

			require(n <= SIGNATURES_MAX && (s > 0 || n <= 1));
			for (size_t i = 0; i < n; i++)
			{
				size_t prefix = strlen(prefixes[p]);

				/* in order, inside, behind its prefix, and without a separator */
				require(list[i].at >= before + prefix && list[i].at + list[i].len <= header + len);
				require(memcmp(list[i].at - prefix, prefixes[p], prefix) == 0);
				require(s == 0 || list[i].len == 0 ||
						memmem(list[i].at, list[i].len, separators[s], strlen(separators[s])) ==
							NULL);
				before = list[i].at + list[i].len;
			}
		}
}

static void
check_basic(const char *header, const char *text, size_t len)
{
	Slice token;
	char *plain = malloc(len + 1);
	char *user;
	char *password;

	if (basic_token(header, &token))
		require(token.at == header + 6 && token.len == strlen(header) - 6);
	memcpy(plain, text, len);
	if (basic_credentials(plain, len, &user, &password))
	{
		require(strchr(user, ':') == NULL);
		require(strlen(user) + 1 + strlen(password) == len);
		require(memcmp(text, user, strlen(user)) == 0);
		require(memcmp(text + strlen(user) + 1, password, strlen(password)) == 0);
	}
	else
		require(memchr(text, ':', len) == NULL || memchr(text, '\0', len) != NULL);
	free(plain);
}

static void
check_digits(const char *text, size_t len)
{
	unsigned char bytes[64];
	char again[sizeof(bytes) * 2 + 1];
	int n = hex_decode(text, len, bytes, sizeof(bytes));
	int64_t seconds;

	require(n <= (int) sizeof(bytes) && (n < 0 || (size_t) n * 2 == len));
	for (int i = 0; i < n; i++)
		sprintf(again + 2 * i, "%02x", bytes[i]);
	require(n <= 0 || strncasecmp(again, text, len) == 0);
	if (signature_timestamp(text, &seconds))
		require(seconds >= 0 && seconds < INT64_C(1000000000000));
}

/* ---- fields ---------------------------------------------------------------------------- */

static void
check_number(const char *e164)
{
	char again[PHONE_E164_SIZE];
	char other[PHONE_E164_SIZE];
	size_t len = strlen(e164);

	require(e164[0] == '+' && len >= 9 && len < PHONE_E164_SIZE && e164[1] != '0');
	require(strspn(e164 + 1, "0123456789") == len - 1);
	/* it is what it says, in any country, and is found by its end */
	require(phone_e164(e164, "PT", again) && strcmp(again, e164) == 0);
	require(strlen(phone_tail(e164)) == PHONE_TAIL && phone_is_same(e164, e164));
	if (!phone_other(e164, other))
		return;
	/* with and without the ninth digit: the same person, both ways, by the same end */
	require(phone_e164(other, NULL, again) && strcmp(again, other) == 0);
	require(phone_other(other, again) && strcmp(again, e164) == 0);
	require(phone_is_same(e164, other) && phone_is_same(other, e164));
	require(strcmp(phone_tail(e164), phone_tail(other)) == 0);
}

static void
check_fields(const char *text, size_t len)
{
	static const char *const countries[] = {NULL, "BR", "PT", "IT", "US", "??"};
	Slice s = {text, len};
	char to[RECEIVED_ADDRESS_SIZE];
	char e164[PHONE_E164_SIZE];
	char word[OPT_OUT_WORD_SIZE];
	char again[OPT_OUT_WORD_SIZE];
	int64_t us;

	for (size_t i = 0; i < sizeof(countries) / sizeof(countries[0]); i++)
		if (phone_e164(text, countries[i], e164))
			check_number(e164);
	for (int i = 0; i < 2; i++)
		if (received_phone(s, i == 1, to))
			require(strlen(to) < sizeof(to) && to[0] != '\0');
	if (received_email(s, to))
	{
		require(strchr(to, '@') != NULL && strlen(to) < sizeof(to));
		for (const char *c = to; *c != '\0'; c++)
			require((unsigned char) *c > 0x20 && *c != 0x7F && !isupper((unsigned char) *c));
	}
	if (received_lid(s, to))
		require(strlen(to) > 4 && strcmp(to + strlen(to) - 4, "@lid") == 0);
	if (received_time(s, &us))
		require(us > 0);
	if (opt_out_word(text, word))
	{
		/* capital letters and digits, one blank between words; a word is itself */
		require(strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ") == strlen(word));
		require(word[0] != ' ' && word[strlen(word) - 1] != ' ' && strstr(word, "  ") == NULL);
		require(opt_out_word(word, again) && strcmp(word, again) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* to the byte, so that whoever reads one more is caught */
	char *exact = malloc(size > 0 ? size : 1);
	char *text = malloc(size + 1);

	if (size > 0)
	{
		memcpy(exact, data, size);
		memcpy(text, data, size);
	}
	text[size] = '\0';
	check_form(exact, size);
	check_signatures(text);
	check_basic(text, exact, size);
	check_digits(text, strlen(text));
	check_fields(text, strlen(text));
	free(text);
	free(exact);
	return 0;
}
