/*
 * http_body.c
 *		Single fields of a request's body.
 */
#include "rules/http_body.h"

#include <jansson.h>
#include <string.h>

#include "rules/receive_form.h"

static HttpField
copy_text(const char *text, size_t len, char *to, size_t size)
{
	if (len >= size || memchr(text, '\0', len) != NULL)
		return HTTP_FIELD_OTHER;
	memcpy(to, text, len);
	to[len] = '\0';
	return HTTP_FIELD_TEXT;
}

/* Of a member of an object; what is no object, or no JSON, has none. */
HttpField
http_json_field(const char *body, size_t len, const char *name, char *to, size_t size)
{
	json_t *json = json_loadb(body, len, JSON_ALLOW_NUL, NULL);
	const json_t *value = json_object_get(json, name);
	HttpField kind = HTTP_FIELD_OTHER;

	if (value == NULL || json_is_null(value))
		kind = HTTP_FIELD_NONE;
	else if (json_is_string(value))
		kind = copy_text(json_string_value(value), json_string_length(value), to, size);
	json_decref(json);
	return kind;
}

/* Of a form's first field of that name. */
HttpField
http_form_field(const char *body, size_t len, const char *name, char *to, size_t size)
{
	HttpField kind = HTTP_FIELD_NONE;
	Form form;

	if (!form_read(body, len, &form))
		return HTTP_FIELD_NONE;
	for (size_t i = 0; i < form.n && kind == HTTP_FIELD_NONE; i++)
	{
		const FormField *field = &form.fields[i];

		if (field->name_len == strlen(name) && memcmp(field->name, name, field->name_len) == 0)
			kind = copy_text(field->value, field->value_len, to, size);
	}
	form_free(&form);
	return kind;
}
