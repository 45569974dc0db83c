/*
 * receive_form.h
 *		A form, as application/x-www-form-urlencoded has it.
 */
#ifndef CADENCE_RECEIVE_FORM_H
#define CADENCE_RECEIVE_FORM_H

#include <stdbool.h>
#include <stddef.h>

/* No webhook's has more. */
#define FORM_FIELDS_MAX 10000

/* Decoded, terminated; a byte 0 and what is no UTF-8 may be in it. */
typedef struct FormField
{
	char *name;
	size_t name_len;
	char *value;
	size_t value_len;
} FormField;

typedef struct Form
{
	FormField *fields; /* in the order of the form */
	size_t n;
	char *memory; /* of all names and values */
} Form;

extern bool form_read(const char *body, size_t len, Form *form);
extern size_t form_sorted(Form *form, char *to);
extern void form_free(Form *form);

#endif
