/*
 * answer_fuzz.c
 *		Any bytes as an answer to each definition of protocols/, one by the length.
 */
#include <jansson.h>
#include <stdint.h>

#include "definition_tools.h"
#include "rules/answer_reader.h"

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

static const char *
header_value(void *arg, const char *name)
{
	(void) name;
	return arg;
}

static AnswerReading
read_answer(const Definition *d, const AnswerText *answer, int times)
{
	AnsweredMessage message = {.channel = "WHATSAPP", .recipient = "+5511987654321"};
	AnswerReading reading;
	char earlier[64] = "";

	memset(&reading, 0x55, sizeof(reading));
	answer_read(d, answer, &message, &reading);
	for (int i = 1; i < times; i++)
		snprintf(earlier + strlen(earlier), sizeof(earlier) - strlen(earlier), "%u ",
				 reading.answer);
	message.earlier = earlier;
	answer_read(d, answer, &message, &reading);
	require(reading.times == times && reading.times_in_row == times);
	require(reading.class < CLASS_COUNT);
	require(reading.wait_s >= 0);
	check_kept_text(reading.reason, sizeof(reading.reason));
	check_kept_text(reading.message_id, sizeof(reading.message_id));
	check_kept_text(reading.code, sizeof(reading.code));
	if (reading.is_unknown)
		require(reading.class == CLASS_RETRY || (reading.class == CLASS_REFUSED && times >= 3));
	return reading;
}

/* What webhook has promised of a 200 for as long as there is one. */
static void
check_webhook(const Definition *d, const char *body, size_t len)
{
	AnswerText answer = {.status = 200, .body = body, .body_len = len};
	AnswerReading reading = read_answer(d, &answer, 1);
	json_t *object = json_loadb(body, len, 0, NULL);
	const json_t *success = json_object_get(object, "success");

	if (json_is_false(success) || json_is_null(success) || json_is_real(success))
		require(reading.class != CLASS_SENT);
	if (json_is_true(success) ||
		(json_is_object(object) && success == NULL && json_object_get(object, "permanent") == NULL))
		require(reading.class == CLASS_SENT);
	json_decref(object);
}

static void
check_all(const Definition *d, const char *body, size_t len, char *text)
{
	static const long statuses[] = {0, 200, 302, 400, 429, 503};
	static const char *const types[] = {"application/json", "text/html", NULL};

	for (int i = 0; i < 6; i++)
	{
		AnswerText answer = {.status = statuses[i],
							 .content_type = types[i % 3],
							 .body = body,
							 .body_len = len,
							 .is_cut = i == 1,
							 .header = header_value,
							 .header_arg = i % 2 == 0 ? text : NULL};

		(void) read_answer(d, &answer, 1 + i % 4);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Definition *definitions[sizeof(shipped) / sizeof(shipped[0]) - 1];
	size_t which = size % (sizeof(definitions) / sizeof(definitions[0]));
	char *exact = malloc(size > 0 ? size : 1);
	char *text = malloc(size + 1);

	if (size > 0)
	{
		memcpy(exact, data, size);
		memcpy(text, data, size);
	}
	text[size] = '\0';
	if (definitions[which] == NULL)
		definitions[which] = compile_protocol(shipped[which]);
	if (definitions[0] == NULL)
		definitions[0] = compile_protocol(shipped[0]);
	check_all(definitions[which], exact, size, text);
	check_webhook(definitions[0], exact, size);
	free(text);
	free(exact);
	return 0;
}
