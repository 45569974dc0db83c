/*
 * http_body.h
 *		Single fields of a request's body.
 */
#ifndef CADENCE_HTTP_BODY_H
#define CADENCE_HTTP_BODY_H

#include <stddef.h>

typedef enum HttpField
{
	HTTP_FIELD_NONE, /* there is no such field, or it is null */
	HTTP_FIELD_TEXT,
	HTTP_FIELD_OTHER /* no text, or one that is too long, or has a zero */
} HttpField;

/* Each leaves a text in a buffer of that size, terminated. */
extern HttpField http_json_field(const char *body, size_t len, const char *name, char *to,
								 size_t size);
extern HttpField http_form_field(const char *body, size_t len, const char *name, char *to,
								 size_t size);

#endif
