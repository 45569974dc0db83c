/*
 * webhook.c
 *		The provider protocol "webhook": one JSON object per message.
 */
#include "rules/webhook.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct Buffer
{
	char *text;
	size_t len;
	size_t size;
} Buffer;

/* Signature by json_dump_callback(): 0 when all is well. */
static int
append(const char *text, size_t len, void *arg)
{
	Buffer *buffer = arg;

	if (len > buffer->size - buffer->len)
	{
		size_t size = (buffer->len + len) * 2;
		char *larger = realloc(buffer->text, size);

		if (larger == NULL)
			return -1;
		buffer->text = larger;
		buffer->size = size;
	}
	memcpy(buffer->text + buffer->len, text, len);
	buffer->len += len;
	return 0;
}

/*
 * A name, with what stands before it, and a value that is given up. Names and
 * braces are ours, and every value is the library's: an object of its own per
 * message, which it hashes and walks through, takes twice the time.
 */
static bool
append_member(Buffer *body, const char *name, json_t *value)
{
	bool ok = value != NULL && append(name, strlen(name), body) == 0 &&
			  json_dump_callback(value, append, body, JSON_COMPACT | JSON_ENCODE_ANY) == 0;

	json_decref(value);
	return ok;
}

/* Bytes that are no UTF-8 are found when the string is written. */
static bool
append_string(Buffer *body, const char *name, const char *value)
{
	return append_member(body, name, value != NULL ? json_string_nocheck(value) : json_null());
}

/*
 * The request's body, to be freed with free(); NULL when a field is not UTF-8
 * or memory is short.
 */
char *
webhook_body(const MessageFields *message)
{
	bool is_email = strcasecmp(message->canal, "EMAIL") == 0;
	Buffer body = {0};

	if (append_string(&body, "{\"leadId\":", message->lead_id) &&
		append_string(&body, is_email ? ",\"email\":" : ",\"telefone\":", message->recipient) &&
		append_string(&body, ",\"mensagem\":", message->mensagem) &&
		append_string(&body, ",\"empresa\":", message->empresa) &&
		append_string(&body, ",\"runId\":", message->run_id) &&
		append_member(&body, ",\"stepOrdem\":", json_integer(message->step_ordem)) &&
		append_string(&body, ",\"templateCodigo\":", message->template_codigo) &&
		append_string(&body, ",\"canal\":", message->canal) && append("}", 2, &body) == 0)
		return body.text;
	free(body.text);
	return NULL;
}

/*
 * Copies UTF-8 into a buffer, cut at a character's edge, control characters
 * replaced: an answer's text ends up in logs and terminals.
 */
void
webhook_copy_text(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);

	if (len >= size)
	{
		len = size - 1;
		while (len > 0 && ((unsigned char) from[len] & 0xC0) == 0x80)
			len--;
	}
	for (size_t i = 0; i < len; i++)
		to[i] = (unsigned char) from[i] < 0x20 || from[i] == 0x7F ? ' ' : from[i];
	to[len] = '\0';
}

/* A string as it is, any other value as JSON. */
static void
copy_value(char *to, size_t size, const json_t *value)
{
	char *text;

	if (json_is_string(value))
	{
		webhook_copy_text(to, size, json_string_value(value));
		return;
	}
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	if (text != NULL)
		webhook_copy_text(to, size, text);
	free(text);
}

static void
copy_first_of(char *to, size_t size, const json_t *object, const char *const *keys)
{
	for (; *keys != NULL; keys++)
	{
		const json_t *value = json_object_get(object, *keys);

		if (value != NULL && !json_is_null(value))
		{
			copy_value(to, size, value);
			return;
		}
	}
}

/* How many bytes of a UTF-8 sequence stand at text, 0 when it is none. */
static size_t
utf8_length(const unsigned char *text, size_t len)
{
	size_t n = text[0] < 0x80 ? 1 : text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;

	if (n > len || (text[0] >= 0x80 && text[0] < 0xC2) || text[0] > 0xF4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xC0) != 0x80)
			return 0;
	return n;
}

/* Some endpoints answer in Latin-1: what is no UTF-8 must not hide what the rest says. */
static void
replace_invalid_utf8(char *text, size_t len)
{
	size_t at = 0;

	while (at < len)
	{
		size_t n = utf8_length((unsigned char *) text + at, len - at);

		if (n == 0)
		{
			text[at] = '?';
			n = 1;
		}
		at += n;
	}
}

/* The body as JSON, read as leniently as the library can; NULL when it is none. */
static json_t *
parse_body(const char *body, size_t len)
{
	const size_t flags = JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK;
	json_t *object;
	char *copy;

	if (len >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0)
	{
		body += 3;
		len -= 3;
	}
	copy = malloc(len + 1);
	if (copy == NULL)
		return NULL;
	memcpy(copy, body, len);
	replace_invalid_utf8(copy, len);
	object = json_loadb(copy, len, flags, NULL);
	if (object == NULL) /* perhaps for an integer out of range */
		object = json_loadb(copy, len, flags | JSON_DECODE_INT_AS_REAL, NULL);
	free(copy);
	return object;
}

/*
 * Whether an object that the library can not read (a number out of its range,
 * a comma too many, a cut) says "success": false all the same.
 */
static bool
says_failure(const char *body, size_t len)
{
	static const char key[] = "\"success\"";
	const char *end = body + len;

	for (const char *at = memmem(body, len, key, strlen(key)); at != NULL;
		 at = memmem(at, end - at, key, strlen(key)))
	{
		at += strlen(key);
		while (at < end && strchr(" \t\r\n:", *at) != NULL && *at != '\0')
			at++;
		if (end - at >= 5 && memcmp(at, "false", 5) == 0)
			return true;
	}
	return false;
}

static void
read_object(const json_t *object, WebhookAnswer *answer)
{
	static const char *const reasons[] = {"error", "message", NULL};
	static const char *const ids[] = {"messageId", NULL};

	if (json_is_false(json_object_get(object, "success")))
		answer->verdict =
			json_is_true(json_object_get(object, "permanent")) ? BODY_NEVER : BODY_FAILURE;
	copy_first_of(answer->reason, sizeof(answer->reason), object, reasons);
	copy_first_of(answer->message_id, sizeof(answer->message_id), object, ids);
}

/*
 * Reads what an answer says about the message. A body that is not a JSON
 * object says nothing: the status decides alone.
 */
void
webhook_read_answer(const char *body, size_t len, WebhookAnswer *answer)
{
	json_t *object = parse_body(body, len);

	memset(answer, 0, sizeof(*answer));
	if (json_is_object(object))
		read_object(object, answer);
	else if (object == NULL && len > 0 && body[0] == '{' && says_failure(body, len))
		answer->verdict = BODY_FAILURE;
	json_decref(object);
}
