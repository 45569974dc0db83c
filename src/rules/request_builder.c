/*
 * request_builder.c
 *		From a definition's operation and a message's values to an HTTP request.
 *
 * Every value is written as its place needs it: percent-encoded in a URL and a
 * form, by the JSON library in JSON, as it is in a header, where it must not have
 * a control character. What is JSON already stands there as it is, if that is one
 * value and no more. A value is never read for placeholders again.
 */
#include "rules/request_builder.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rules/buffer.h"

static void
append_plain(Buffer *buffer, const char *text, size_t len)
{
	(void) buffer_append(text, len, buffer);
}

/* RFC 3986, section 2.3: all but the unreserved characters. */
static void
append_encoded(Buffer *buffer, const char *text, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = text[i];
		char encoded[3] = {'%', digits[c >> 4], digits[c & 15]};

		if ((c < 0x80 && isalnum(c)) || (c != '\0' && strchr("-._~", c) != NULL))
			(void) buffer_append(text + i, 1, buffer);
		else
			(void) buffer_append(encoded, 3, buffer);
	}
}

/* A control character would end the line. */
static void
append_to_header(Buffer *buffer, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char) text[i] < 0x20 || text[i] == 0x7F)
			buffer->failed = true;
	(void) buffer_append(text, len, buffer);
}

/* What was written; NULL when it could not be. */
static char *
finished(Buffer *buffer)
{
	if (!buffer->failed)
		return buffer->text;
	free(buffer->text);
	return NULL;
}

typedef void (*AppendValue)(Buffer *buffer, const char *text, size_t len);
typedef void (*AppendJson)(Buffer *buffer, const char *text);

static const char *
value_of(const TemplatePart *part, Values values)
{
	const char *value = values[part->value];

	return value != NULL && *value != '\0' ? value : NULL;
}

/* Whether a placeholder has neither value nor fallback. */
static bool
lacks_value(const DefinitionText *text, Values values)
{
	for (size_t i = 0; i < text->nparts; i++)
		if (text->parts[i].name != NULL && text->parts[i].text == NULL &&
			value_of(&text->parts[i], values) == NULL)
			return true;
	return false;
}

/* literal: how what stands between the placeholders is written. */
static void
render(Buffer *buffer, const DefinitionText *text, Values values, AppendValue literal,
	   AppendValue append_value)
{
	for (size_t i = 0; i < text->nparts; i++)
	{
		const TemplatePart *part = &text->parts[i];
		const char *value = part->name != NULL ? value_of(part, values) : NULL;

		if (value != NULL)
			append_value(buffer, value, strlen(value));
		else if (part->text != NULL)
			literal(buffer, part->text, part->text_len);
	}
}

/* A text by itself, malloc'd; NULL when a placeholder has no value, or memory is short. */
char *
definition_render(const DefinitionText *text, Values values)
{
	Buffer buffer = {0};

	if (lacks_value(text, values))
		return NULL;
	buffer_append_text(&buffer, "");
	render(&buffer, text, values, append_plain, append_plain);
	return finished(&buffer);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

/*
 * Whether a value is JSON, and can not be read in two ways: neither ends what it
 * stands in and begins something else, nor has a member twice.
 */
bool
request_value_is_json(const char *value)
{
	json_t *json =
		json_loads(value, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES, NULL);
	bool is_json = json != NULL;

	json_decref(json);
	return is_json;
}

static void
append_json(Buffer *buffer, const char *json)
{
	if (*json == '\0')
		json = "null";
	buffer->failed = buffer->failed || !request_value_is_json(json);
	buffer_append_text(buffer, json);
}

/* Bytes that are no UTF-8 are found when the string is written. */
static void
append_json_string(Buffer *buffer, const char *text)
{
	json_t *string = json_string_nocheck(text);

	if (string == NULL ||
		json_dump_callback(string, buffer_append, buffer, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		buffer->failed = true;
	json_decref(string);
}

/* What stands for a value that is JSON is JSON, too. */
static void
append_json_text(Buffer *buffer, const DefinitionText *text, Values values)
{
	const TemplatePart *only =
		text->nparts == 1 && text->parts[0].name != NULL ? text->parts : NULL;
	const char *value = only != NULL ? values[only->value] : NULL;
	AppendJson append =
		only != NULL && field_is_json(only->value) ? append_json : append_json_string;
	char *whole;

	if (value != NULL && *value == '\0' && only->text != NULL)
		value = NULL;
	if (value != NULL)
		append(buffer, value);
	else if ((whole = definition_render(text, values)) != NULL)
	{
		append(buffer, whole);
		free(whole);
	}
	else
		buffer_append_text(buffer, "null");
}

static bool
has_placeholders(const BodyNode *node)
{
	bool has = node->kind == BODY_TEXT;

	for (size_t i = 0; i < node->n && !has; i++)
		has = has_placeholders(&node->children[i]);
	return has;
}

static bool
has_a_value(const BodyNode *node, Values values)
{
	bool has = node->kind == BODY_TEXT && !lacks_value(&node->text, values);

	for (size_t i = 0; i < node->n && !has; i++)
		has = has_a_value(&node->children[i], values);
	return has;
}

static bool is_left_out(const BodyNode *node, Values values);

/*
 * An array's element says one thing: a type or a name that stands in it says
 * nothing without any of the values that it is there for.
 */
static bool
child_is_left_out(const BodyNode *node, const BodyNode *child, Values values)
{
	return is_left_out(child, values) ||
		   (node->kind == BODY_ARRAY && has_placeholders(child) && !has_a_value(child, values));
}

/* A member that has no value is left out, and an object or array that has none left. */
static bool
is_left_out(const BodyNode *node, Values values)
{
	if (node->kind == BODY_TEXT)
		return !node->keep_null && lacks_value(&node->text, values);
	for (size_t i = 0; i < node->n; i++)
		if (!child_is_left_out(node, &node->children[i], values))
			return false;
	return node->n > 0;
}

static void
append_node(Buffer *buffer, const BodyNode *node, Values values)
{
	bool first = true;

	if (node->kind == BODY_LITERAL)
		buffer_append_text(buffer, node->literal);
	else if (node->kind == BODY_TEXT)
		append_json_text(buffer, &node->text, values);
	else
	{
		buffer_append_text(buffer, node->kind == BODY_OBJECT ? "{" : "[");
		for (size_t i = 0; i < node->n; i++)
		{
			if (child_is_left_out(node, &node->children[i], values))
				continue;
			if (!first)
				buffer_append_text(buffer, ",");
			first = false;
			if (node->children[i].name != NULL)
				buffer_append_text(buffer, node->children[i].name);
			append_node(buffer, &node->children[i], values);
		}
		buffer_append_text(buffer, node->kind == BODY_OBJECT ? "}" : "]");
	}
}

/* ---- URL, form and headers ------------------------------------------------------------- */

static void
append_json_value(Buffer *buffer, const BodyNode *node, Values values)
{
	Buffer json = {0};

	append_node(&json, node, values);
	buffer->failed = buffer->failed || json.failed;
	if (json.text != NULL)
		append_encoded(buffer, json.text, json.len);
	free(json.text);
}

static void
append_pairs(Buffer *buffer, const NamedTexts *pairs, Values values, char first)
{
	for (size_t i = 0; i < pairs->n; i++)
	{
		const NamedText *pair = &pairs->list[i];

		if (pair->json != NULL ? is_left_out(pair->json, values) : lacks_value(&pair->text, values))
			continue;
		if (first != '\0')
			(void) buffer_append(&first, 1, buffer);
		first = '&';
		append_encoded(buffer, pair->name, strlen(pair->name));
		buffer_append_text(buffer, "=");
		if (pair->json != NULL)
			append_json_value(buffer, pair->json, values);
		else
			render(buffer, &pair->text, values, append_encoded, append_encoded);
	}
}

/* What begins a URL is one, without the stroke at its end that people give it. */
static void
append_base(Buffer *buffer, const char *url)
{
	size_t len = strlen(url);

	while (len > 0 && url[len - 1] == '/')
		len--;
	(void) buffer_append(url, len, buffer);
}

static char *
build_url(const DefinitionOperation *op, Values values)
{
	Buffer url = {0};
	DefinitionText rest = op->url;
	bool has_base = rest.parts[0].name != NULL;

	if (lacks_value(&op->url, values))
		return NULL;
	if (has_base && rest.nparts == 1)
		buffer_append_text(&url, values[rest.parts[0].value]);
	else if (has_base)
		append_base(&url, values[rest.parts[0].value]);
	rest.parts += has_base ? 1 : 0;
	rest.nparts -= has_base ? 1 : 0;
	render(&url, &rest, values, append_plain, append_encoded);
	append_pairs(&url, &op->query, values, url.text != NULL && strchr(url.text, '?') ? '&' : '?');
	return finished(&url);
}

static char *
build_header(const NamedText *header, Values values)
{
	Buffer line = {0};

	buffer_append_text(&line, header->name);
	buffer_append_text(&line, ": ");
	render(&line, &header->text, values, append_plain, append_to_header);
	return finished(&line);
}

static bool
says_content_type(const NamedTexts *headers)
{
	for (size_t i = 0; i < headers->n; i++)
		if (strcasecmp(headers->list[i].name, "Content-Type") == 0)
			return true;
	return false;
}

/* What a form is, the transport knows by itself; false when one can not be built. */
static bool
build_headers(const DefinitionOperation *op, Values values, BuiltRequest *request)
{
	const NamedTexts *headers = &op->headers;
	char **line = calloc(headers->n + 2, sizeof(char *));

	request->headers = line;
	if (line == NULL)
		return false;
	if (op->json != NULL && !says_content_type(headers) &&
		(*line++ = strdup("Content-Type: application/json")) == NULL)
		return false;
	for (size_t i = 0; i < headers->n; i++)
		if (!lacks_value(&headers->list[i].text, values) &&
			(*line++ = build_header(&headers->list[i], values)) == NULL)
			return false;
	return true;
}

/*
 * Builds a request; false when it can not be: a value of the URL is missing, a
 * value is not UTF-8 or has a control character where there can be none, or
 * memory is short.
 */
bool
request_build(const DefinitionOperation *op, Values values, BuiltRequest *request)
{
	Buffer body = {0};
	bool has_headers;

	memset(request, 0, sizeof(*request));
	request->method = op->method;
	request->url = build_url(op, values);
	has_headers = build_headers(op, values, request);
	if (op->json != NULL)
		append_node(&body, op->json, values);
	else if (op->form.n > 0)
		append_pairs(&body, &op->form, values, '\0');
	request->body = body.text;
	request->body_len = body.len;
	if (request->url != NULL && has_headers && !body.failed)
		return true;
	request_free(request);
	return false;
}

void
request_free(BuiltRequest *request)
{
	free(request->url);
	for (char **line = request->headers; line != NULL && *line != NULL; line++)
		free(*line);
	free(request->headers);
	free(request->body);
	memset(request, 0, sizeof(*request));
}
