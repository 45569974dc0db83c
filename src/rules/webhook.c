/*
 * webhook.c
 *		The provider protocol "webhook": one JSON object per message.
 */
#include "rules/webhook.h"

#include <ctype.h>
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

/*
 * Copies a character; what is no UTF-8 becomes a question mark, since some
 * endpoints answer in Latin-1, and that must not hide what the rest says.
 */
static size_t
copy_character(char *to, const char *from, size_t len)
{
	size_t n = utf8_length((const unsigned char *) from, len);

	if (n == 0)
		*to = '?';
	else
		memcpy(to, from, n);
	return n == 0 ? 1 : n;
}

/* Up to the end of a number's characters. */
static size_t
number_length(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len &&
		   (isdigit((unsigned char) text[n]) || (text[n] != '\0' && strchr("+-.eE", text[n]))))
		n++;
	return n;
}

/* The library keeps 64 bits of an integer, and all else in binary. */
static bool
would_lose_digits(const char *number, size_t len)
{
	return len > 18 || memchr(number, '.', len) || memchr(number, 'e', len) ||
		   memchr(number, 'E', len);
}

/*
 * A copy for the library: valid UTF-8, and numbers that it would not keep to
 * the last digit in quotes. Needs room for twice the length.
 */
static size_t
make_readable(char *to, const char *from, size_t len)
{
	size_t n = 0;
	bool in_string = false;

	for (size_t at = 0; at < len;)
	{
		size_t digits = !in_string && (isdigit((unsigned char) from[at]) || from[at] == '-')
							? number_length(from + at, len - at)
							: 0;
		size_t copied;

		if (digits > 0)
		{
			bool quoted = would_lose_digits(from + at, digits);

			if (quoted)
				to[n++] = '"';
			memcpy(to + n, from + at, digits);
			n += digits;
			if (quoted)
				to[n++] = '"';
			at += digits;
			continue;
		}
		if (in_string && from[at] == '\\' && at + 1 < len)
			to[n++] = from[at++];
		else if (from[at] == '"')
			in_string = !in_string;
		copied = copy_character(to + n, from + at, len - at);
		n += copied;
		at += copied;
	}
	return n;
}

/* The body as JSON, read as leniently as the library can; NULL when it is none. */
static json_t *
parse_body(const char *body, size_t len)
{
	json_t *value;
	char *copy;

	if (len >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0)
	{
		body += 3;
		len -= 3;
	}
	copy = malloc(len * 2 + 1);
	if (copy == NULL)
		return NULL;
	value = json_loadb(copy, make_readable(copy, body, len),
					   JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, NULL);
	free(copy);
	return value;
}

/* Only a plain yes is one: an endpoint that says anything else has not said that it sent. */
static bool
is_yes(const json_t *value)
{
	return json_is_true(value) ||
		   (json_is_string(value) && strcmp(json_string_value(value), "true") == 0) ||
		   (json_is_integer(value) && json_integer_value(value) == 1);
}

/*
 * Whether an object that the library can not read (a comma too many, a cut)
 * has a "success" that is not followed by a yes all the same.
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
		while (at < end && (isspace((unsigned char) *at) || *at == ':'))
			at++;
		if (!(end - at >= 4 && memcmp(at, "true", 4) == 0) &&
			!(end - at >= 6 && memcmp(at, "\"true\"", 6) == 0) &&
			!(end - at >= 2 && at[0] == '1' && strchr(",} \t\r\n", at[1]) != NULL))
			return true;
	}
	return false;
}

static void
read_object(const json_t *object, AnswerReading *reading)
{
	static const char *const reasons[] = {"error", "message", NULL};
	static const char *const ids[] = {"messageId", NULL};
	const json_t *success = json_object_get(object, "success");

	if (success != NULL && !is_yes(success))
		reading->verdict =
			json_is_true(json_object_get(object, "permanent")) ? BODY_NEVER : BODY_FAILURE;
	copy_first_of(reading->reason, sizeof(reading->reason), object, reasons);
	copy_first_of(reading->message_id, sizeof(reading->message_id), object, ids);
}

/* A page is made for people: a login, a proxy's excuse, a router's portal. */
static bool
is_page(const AnswerText *answer)
{
	return answer->content_type != NULL && answer->body_len > 0 &&
		   strncasecmp(answer->content_type, "text/html", 9) == 0;
}

/*
 * Reads what an answer says about the message. A body that is neither JSON nor
 * a page says nothing: the status decides alone.
 */
void
webhook_read_answer(const AnswerText *answer, AnswerReading *reading)
{
	json_t *value = parse_body(answer->body, answer->body_len);

	memset(reading, 0, sizeof(*reading));
	if (json_is_object(value))
		read_object(value, reading);
	else if (value == NULL && answer->body_len > 0 && answer->body[0] == '{' &&
			 says_failure(answer->body, answer->body_len))
		reading->verdict = BODY_FAILURE;
	else if (value == NULL && is_page(answer))
	{
		reading->verdict = BODY_FAILURE;
		webhook_copy_text(reading->reason, sizeof(reading->reason),
						  "the answer is a page (text/html)");
	}
	json_decref(value);
}
