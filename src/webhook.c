/*
 * webhook.c
 *		The provider protocol "webhook": one JSON object per message.
 */
#include "webhook.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

/*
 * The request's body, to be freed with free(); NULL when a field is not UTF-8
 * or memory is short.
 */
char *
webhook_body(const MessageFields *message)
{
	const char *address = strcasecmp(message->canal, "EMAIL") == 0 ? "email" : "telefone";
	json_t *body;
	char *text;

	body = json_pack("{s:s?, s:s?, s:s?, s:s?, s:s?, s:i, s:s?, s:s?}", "leadId", message->lead_id,
					 address, message->recipient, "mensagem", message->mensagem, "empresa",
					 message->empresa, "runId", message->run_id, "stepOrdem", message->step_ordem,
					 "templateCodigo", message->template_codigo, "canal", message->canal);
	if (body == NULL)
		return NULL;
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	return text;
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

/*
 * Reads what an answer says about the message. A body that is not a JSON
 * object says nothing: the status decides alone.
 */
void
webhook_read_answer(const char *body, size_t len, WebhookAnswer *answer)
{
	static const char *const reasons[] = {"error", "message", NULL};
	static const char *const ids[] = {"messageId", NULL};
	json_t *object = json_loadb(body, len, 0, NULL);

	memset(answer, 0, sizeof(*answer));
	if (json_is_object(object))
	{
		if (json_is_false(json_object_get(object, "success")))
			answer->verdict =
				json_is_true(json_object_get(object, "permanent")) ? BODY_NEVER : BODY_FAILURE;
		copy_first_of(answer->reason, sizeof(answer->reason), object, reasons);
		copy_first_of(answer->message_id, sizeof(answer->message_id), object, ids);
	}
	json_decref(object);
}
