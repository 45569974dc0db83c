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

static int
compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int
by_name_and_value(const void *a, const void *b)
{
	const FormField *x = a;
	const FormField *y = b;
	int order = compare(x->name, x->name_len, y->name, y->name_len);

	return order != 0 ? order : compare(x->value, x->value_len, y->value, y->value_len);
}

/*
 * Names and values, by name, in a buffer of the form's length; what stands there
 * twice counts once. How long it is. The fields are in that order then.
 */
size_t
form_sorted(Form *form, char *to)
{
	size_t n = 0;

	if (form->n > 0)
		qsort(form->fields, form->n, sizeof(FormField), by_name_and_value);
	for (size_t i = 0; i < form->n; i++)
	{
		const FormField *field = &form->fields[i];

		if (i > 0 && by_name_and_value(field, field - 1) == 0)
			continue;
		memcpy(to + n, field->name, field->name_len);
		n += field->name_len;
		memcpy(to + n, field->value, field->value_len);
		n += field->value_len;
	}
	return n;
}

void
form_free(Form *form)
{
	free(form->memory);
	free(form->fields);
	*form = (Form){NULL, 0, NULL};
}
