/*
 * webhook_fuzz.c
 *		Any bytes as a provider's answer and as a message's fields.
 */
#include "rules/webhook.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void
require(int condition)
{
	if (!condition)
		abort();
}

/* Terminated, printable, and UTF-8: it goes into a jsonb of the server. */
static void
check_kept_text(const char *text, size_t size)
{
	json_t *string;

	require(memchr(text, '\0', size) != NULL);
	for (const char *c = text; *c != '\0'; c++)
		require((unsigned char) *c >= 0x20 && *c != 0x7F);
	string = json_string(text);
	require(string != NULL);
	json_decref(string);
}

static void
check_answer(const char *body, size_t len)
{
	AnswerReading answer;
	json_t *object = json_loadb(body, len, 0, NULL);
	const json_t *success = json_object_get(object, "success");

	memset(&answer, 0x55, sizeof(answer));
	webhook_read_answer(&(AnswerText){.body = body, .body_len = len}, &answer);
	check_kept_text(answer.reason, sizeof(answer.reason));
	check_kept_text(answer.message_id, sizeof(answer.message_id));
	if (json_is_false(success) || json_is_null(success) || json_is_real(success))
		require(answer.verdict != BODY_SILENT);
	if (json_is_object(object) && (success == NULL || json_is_true(success)))
		require(answer.verdict == BODY_SILENT);
	json_decref(object);
}

static void
check_request(const char *text)
{
	MessageFields message = {.lead_id = text,
							 .canal = "EMAIL",
							 .recipient = text,
							 .mensagem = text,
							 .template_codigo = text,
							 .step_ordem = (int) strlen(text)};
	char *body = webhook_body(&message);
	json_t *object;

	if (body == NULL)
		return;
	object = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	require(json_object_size(object) == 8);
	require(strcmp(json_string_value(json_object_get(object, "mensagem")), text) == 0);
	require(strcmp(json_string_value(json_object_get(object, "email")), text) == 0);
	require(json_is_null(json_object_get(object, "empresa")));
	json_decref(object);
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size > 0 ? size : 1);
	char *text = malloc(size + 1);

	if (size > 0)
	{
		memcpy(exact, data, size);
		memcpy(text, data, size);
	}
	text[size] = '\0';
	check_answer(exact, size);
	check_request(text);
	free(text);
	free(exact);
	return 0;
}
