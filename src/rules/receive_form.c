/*
 * receive_form.c
 *		A form, as application/x-www-form-urlencoded has it.
 */
#include "rules/receive_form.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int
hex_digit(char c)
{
	return isdigit((unsigned char) c) ? c - '0' : tolower((unsigned char) c) - 'a' + 10;
}

/* Decodes up to "end", and terminates it; how long it is. */
static size_t
decode(const char *at, const char *end, char *to)
{
	size_t n = 0;

	for (; at < end; at++)
	{
		if (*at == '%' && end - at > 2 && isxdigit((unsigned char) at[1]) &&
			isxdigit((unsigned char) at[2]))
		{
			to[n++] = (char) (hex_digit(at[1]) * 16 + hex_digit(at[2]));
			at += 2;
		}
		else
			to[n++] = *at == '+' ? ' ' : *at;
	}
	to[n] = '\0';
	return n;
}

static size_t
count_fields(const char *body, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += body[i] == '&' ? 1 : 0;
	return n;
}

/* Both of one field into memory; what follows them there. */
static char *
read_field(const char *at, const char *end, FormField *field, char *memory)
{
	const char *equals = memchr(at, '=', end - at);
	const char *name_end = equals != NULL ? equals : end;

	field->name = memory;
	field->name_len = decode(at, name_end, field->name);
	memory += field->name_len + 1;
	field->value = memory;
	field->value_len = decode(equals != NULL ? equals + 1 : end, end, field->value);
	return memory + field->value_len + 1;
}

/* False: there are too many fields, or memory is short. */
bool
form_read(const char *body, size_t len, Form *form)
{
	size_t most = count_fields(body, len);
	const char *end = body + len;
	char *memory;

	*form = (Form){NULL, 0, NULL};
	if (most > FORM_FIELDS_MAX)
		return false;
	/* two terminators for each, of which one takes the place of "=" or is more */
	form->memory = memory = malloc(len + 2 * most);
	form->fields = malloc(sizeof(FormField) * most);
	if (form->memory == NULL || form->fields == NULL)
	{
		form_free(form);
		return false;
	}
	for (const char *at = body; at < end;)
	{
		const char *next = memchr(at, '&', end - at);
		const char *field_end = next != NULL ? next : end;

		if (field_end > at)
			memory = read_field(at, field_end, &form->fields[form->n++], memory);
		at = field_end + 1;
	}
	return true;
}

void
form_free(Form *form)
{
	free(form->memory);
	free(form->fields);
	*form = (Form){NULL, 0, NULL};
}
