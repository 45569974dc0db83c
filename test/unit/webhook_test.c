/*
 * webhook_test.c
 *		The protocol "webhook": the request's body and the answer's meaning.
 */
#include "rules/webhook.h"

#include <jansson.h>
#include <stdlib.h>

#include "check.h"

static const MessageFields full = {.lead_id = "lead-1",
								   .canal = "WHATSAPP",
								   .recipient = "+5511999990000",
								   .mensagem = "Oi \"Ana\"\n\\o/ 🎉",
								   .empresa = "BLUE",
								   .run_id = "00000000-0000-0000-0000-000000000001",
								   .step_ordem = 2,
								   .template_codigo = "OLA"};

static json_t *
parsed_body(const MessageFields *message)
{
	char *text = webhook_body(message);
	json_t *object = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

	CHECK(json_is_object(object));
	free(text);
	return object;
}

static void
request(void)
{
	json_t *object = parsed_body(&full);
	json_t *expected =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "leadId", full.lead_id, "telefone",
				  full.recipient, "mensagem", full.mensagem, "empresa", full.empresa, "runId",
				  full.run_id, "stepOrdem", 2, "templateCodigo", "OLA", "canal", "WHATSAPP");

	CHECK(json_equal(object, expected));
	json_decref(object);
	json_decref(expected);
}

static void
request_by_channel(void)
{
	static const char *const channels[] = {"EMAIL", "email", "Email", "WHATSAPP", "SMS", "sms"};

	for (int i = 0; i < 6; i++)
	{
		MessageFields message = full;
		json_t *object;

		message.canal = channels[i];
		object = parsed_body(&message);
		CHECK_TEXT(json_string_value(json_object_get(object, i < 3 ? "email" : "telefone")),
				   full.recipient);
		CHECK(json_object_get(object, i < 3 ? "telefone" : "email") == NULL);
		CHECK_TEXT(json_string_value(json_object_get(object, "canal")), channels[i]);
		json_decref(object);
	}
}

static void
request_with_nulls(void)
{
	MessageFields message = {.canal = "SMS", .step_ordem = -1};
	json_t *object = parsed_body(&message);

	CHECK_INT(json_object_size(object), 8);
	CHECK(json_is_null(json_object_get(object, "leadId")));
	CHECK(json_is_null(json_object_get(object, "telefone")));
	CHECK(json_is_null(json_object_get(object, "mensagem")));
	CHECK(json_is_null(json_object_get(object, "empresa")));
	CHECK(json_is_null(json_object_get(object, "runId")));
	CHECK(json_is_null(json_object_get(object, "templateCodigo")));
	CHECK_INT(json_integer_value(json_object_get(object, "stepOrdem")), -1);
	json_decref(object);
}

static void
request_of_bad_bytes(void)
{
	MessageFields message = full;
	char *body;

	message.mensagem = "\xff\xfe";
	CHECK(webhook_body(&message) == NULL);
	message.mensagem = "cortado \xc3";
	CHECK(webhook_body(&message) == NULL);
	message.mensagem = full.mensagem;
	message.lead_id = "\xed\xa0\x80"; /* a surrogate */
	CHECK(webhook_body(&message) == NULL);
	message.lead_id = "\x01\x1f\x7f";
	body = webhook_body(&message);
	CHECK(body != NULL);
	free(body);
}

static AnswerReading
answer_of_type(const char *type, const char *body, size_t len)
{
	AnswerReading answer;
	char *exact = malloc(len > 0 ? len : 1);

	memset(&answer, 0x55, sizeof(answer));
	memcpy(exact, body, len);
	webhook_read_answer(&(AnswerText){.content_type = type, .body = exact, .body_len = len},
						&answer);
	free(exact);
	return answer;
}

static AnswerReading
answer_of(const char *body, size_t len)
{
	return answer_of_type("application/json", body, len);
}

static void
check_answer(const char *body, BodyVerdict verdict, const char *reason, const char *id, int line)
{
	AnswerReading answer = answer_of(body, strlen(body));

	check_int(answer.verdict, verdict, __FILE__, line, body);
	check_text(answer.reason, reason, __FILE__, line, body);
	check_text(answer.message_id, id, __FILE__, line, body);
}

#define ANSWER(body, verdict, reason, id) check_answer(body, verdict, reason, id, __LINE__)

static void
answers(void)
{
	ANSWER("{\"success\": true, \"messageId\": \"wamid.1\"}", BODY_SILENT, "", "wamid.1");
	ANSWER("{\"success\": false, \"error\": \"sem saldo\"}", BODY_FAILURE, "sem saldo", "");
	ANSWER("{\"success\": false}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": false, \"permanent\": true, \"error\": \"bloqueado\"}", BODY_NEVER,
		   "bloqueado", "");
	ANSWER("{\"success\": false, \"permanent\": false}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": false, \"permanent\": \"true\"}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": true, \"permanent\": true}", BODY_SILENT, "", "");
	ANSWER("{\"permanent\": true}", BODY_SILENT, "", "");
	ANSWER("{\"error\": \"x\", \"message\": \"y\"}", BODY_SILENT, "x", "");
	ANSWER("{\"message\": \"y\"}", BODY_SILENT, "y", "");
	ANSWER("{\"error\": null, \"message\": \"y\"}", BODY_SILENT, "y", "");
	ANSWER("  {\"success\"\n:\tfalse}\r\n", BODY_FAILURE, "", "");
}

/* Without a "success" at the top, the status decides. */
static void
answers_that_say_nothing(void)
{
	ANSWER("", BODY_SILENT, "", "");
	ANSWER("OK", BODY_SILENT, "", "");
	ANSWER("null", BODY_SILENT, "", "");
	ANSWER("false", BODY_SILENT, "", "");
	ANSWER("[{\"success\": false}]", BODY_SILENT, "", "");
	ANSWER("\"{\\\"success\\\": false}\"", BODY_SILENT, "", "");
	ANSWER("{\"data\": {\"success\": false}}", BODY_SILENT, "", "");
	ANSWER("{\"Success\": false}", BODY_SILENT, "", "");
	ANSWER("<html>{\"success\": false}</html>", BODY_SILENT, "", "");
}

static void
only_a_plain_yes(void)
{
	ANSWER("{\"success\": true}", BODY_SILENT, "", "");
	ANSWER("{\"success\": \"true\"}", BODY_SILENT, "", "");
	ANSWER("{\"success\": 1}", BODY_SILENT, "", "");
	ANSWER("{\"success\": \"false\"}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": \"no\"}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": \"True \"}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": \"\"}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": 0}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": 2}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": 0.1}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": -1}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": null}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": {}}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": [true]}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": \"false\", \"permanent\": true}", BODY_NEVER, "", "");
	/* the same where the rest can not be read */
	ANSWER("{\"success\": true,", BODY_SILENT, "", "");
	ANSWER("{\"success\": \"true\",", BODY_SILENT, "", "");
	ANSWER("{\"success\": 1,", BODY_SILENT, "", "");
	ANSWER("{\"success\": 10,", BODY_FAILURE, "", "");
	ANSWER("{\"success\": \"no\",", BODY_FAILURE, "", "");
	ANSWER("{\"success\": null,", BODY_FAILURE, "", "");
}

static void
check_type(const char *type, const char *body, BodyVerdict verdict, int line)
{
	AnswerReading answer = answer_of_type(type, body, strlen(body));

	check_int(answer.verdict, verdict, __FILE__, line, body);
}

/* A page is no answer, unless it is JSON that only says that it is a page. */
static void
pages(void)
{
	check_type("text/html", "<html>Login</html>", BODY_FAILURE, __LINE__);
	check_type("text/html; charset=utf-8", "<!doctype html>", BODY_FAILURE, __LINE__);
	check_type("Text/HTML", "Bem-vindo", BODY_FAILURE, __LINE__);
	check_type("text/html", "", BODY_SILENT, __LINE__);
	check_type("text/html", "{\"success\": true}", BODY_SILENT, __LINE__);
	check_type("text/html", "{\"success\": false}", BODY_FAILURE, __LINE__);
	check_type("text/plain", "<html>", BODY_SILENT, __LINE__);
	check_type(NULL, "<html>", BODY_SILENT, __LINE__);
}

static void
numbers_to_the_last_digit(void)
{
	ANSWER("{\"messageId\": 9007199254740993}", BODY_SILENT, "", "9007199254740993");
	ANSWER("{\"messageId\": 9223372036854775807}", BODY_SILENT, "", "9223372036854775807");
	ANSWER("{\"messageId\": 18446744073709551615}", BODY_SILENT, "", "18446744073709551615");
	ANSWER("{\"messageId\": 123456789012345678901234567890, \"success\": true}", BODY_SILENT, "",
		   "123456789012345678901234567890");
	ANSWER("{\"messageId\": -98765432109876543210}", BODY_SILENT, "", "-98765432109876543210");
	ANSWER("{\"messageId\": 1.10}", BODY_SILENT, "", "1.10");
	ANSWER("{\"messageId\": 1e2}", BODY_SILENT, "", "1e2");
	ANSWER("{\"messageId\": \"12345678901234567890\"}", BODY_SILENT, "", "12345678901234567890");
	ANSWER("{\"messageId\":[12345678901234567890]}", BODY_SILENT, "", "[\"12345678901234567890\"]");
	/* digits in a string stay as they are, behind a quote in it, too */
	ANSWER("{\"messageId\": \"a\\\"1.5\"}", BODY_SILENT, "", "a\"1.5");
	ANSWER("{\"messageId\": \"\\\\\", \"error\": \"2.50\"}", BODY_SILENT, "2.50", "\\");
}

/* Whatever else valid JSON brings along must not hide a no. */
static void
answers_hard_to_read(void)
{
	ANSWER("{\"success\": false, \"error\": \"a\\tb\\u0007c\\nd\"}", BODY_FAILURE, "a b c d", "");
	ANSWER("{\"success\": false, \"error\": \"\\u00e9 \\ud83c\\udf89\"}", BODY_FAILURE, "é 🎉", "");
	ANSWER("{\"success\": true, \"success\": false}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": false, \"n\": 1e300}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": false, \"id\": \"a\\u0000b\"}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": false, \"id\": 123456789012345678901234567890}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": false, \"id\": 1e999}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": false", BODY_FAILURE, "", "");
	ANSWER("\xEF\xBB\xBF{\"success\": false}", BODY_FAILURE, "", "");
	ANSWER("{\"success\": false, \"error\": \"n\xE3o\"}", BODY_FAILURE, "n?o", "");
}

static void
values_of_other_types(void)
{
	ANSWER("{\"messageId\": 42}", BODY_SILENT, "", "42");
	ANSWER("{\"messageId\": null}", BODY_SILENT, "", "");
	ANSWER("{\"messageId\": {\"id\": [1]}}", BODY_SILENT, "", "{\"id\":[1]}");
	ANSWER("{\"error\": {\"code\": 131, \"text\": \"não\"}}", BODY_SILENT,
		   "{\"code\":131,\"text\":\"não\"}", "");
	ANSWER("{\"error\": true}", BODY_SILENT, "true", "");
	ANSWER("{\"error\": \"\"}", BODY_SILENT, "", "");
}

static void
long_values(void)
{
	char body[4096];
	char text[2048];
	AnswerReading answer;

	/* 'é' has two bytes: with one 'x' before them, the limit falls inside a character */
	text[0] = 'x';
	for (int i = 0; i < 1000; i++)
		memcpy(text + 1 + i * 2, "é", 3);
	snprintf(body, sizeof(body), "{\"error\": \"%s\", \"messageId\": \"%s\"}", text, text);
	answer = answer_of(body, strlen(body));
	CHECK_INT(strlen(answer.reason), ANSWER_REASON_MAX - 1);
	CHECK_INT(strlen(answer.message_id), ANSWER_ID_MAX - 1);

	snprintf(body, sizeof(body), "{\"error\": \"%s\", \"messageId\": \"%s\"}", text + 1, text + 1);
	answer = answer_of(body, strlen(body));
	CHECK_INT(strlen(answer.reason), ANSWER_REASON_MAX - 2);
	CHECK_INT(strlen(answer.message_id), ANSWER_ID_MAX - 2);
	CHECK(strncmp(answer.reason, text + 1, ANSWER_REASON_MAX - 2) == 0);
}

static void
check_copy(const char *from, size_t size, const char *expected, int line)
{
	char *to = malloc(size);

	memset(to, 0x55, size);
	webhook_copy_text(to, size, from);
	check_text(to, expected, __FILE__, line, from);
	free(to);
}

static void
copies(void)
{
	check_copy("abc", 10, "abc", __LINE__);
	check_copy("abc", 4, "abc", __LINE__);
	check_copy("abc", 3, "ab", __LINE__);
	check_copy("abc", 1, "", __LINE__);
	check_copy("", 1, "", __LINE__);
	check_copy("aé", 3, "a", __LINE__);
	check_copy("aé", 4, "aé", __LINE__);
	check_copy("🎉🎉", 8, "🎉", __LINE__);
	check_copy("🎉", 4, "", __LINE__);
	check_copy("a\033[31mb\177\r\n", 20, "a [31mb   ", __LINE__);
	check_copy("\x80\x80\x80", 3, "", __LINE__);
}

static void
deep_nesting(void)
{
	static char body[200000];
	AnswerReading answer;

	memset(body, '[', sizeof(body));
	answer = answer_of(body, sizeof(body));
	CHECK_INT(answer.verdict, BODY_SILENT);
	CHECK_TEXT(answer.reason, "");
	CHECK_TEXT(answer.message_id, "");
}

int
main(void)
{
	RUN_GROUP("webhook: the request's fields", request);
	RUN_GROUP("webhook: the address is called by its channel", request_by_channel);
	RUN_GROUP("webhook: what is not there is null", request_with_nulls);
	RUN_GROUP("webhook: texts that are not UTF-8 make no request", request_of_bad_bytes);
	RUN_GROUP("webhook: answers", answers);
	RUN_GROUP("webhook: answers that say nothing", answers_that_say_nothing);
	RUN_GROUP("webhook: only a plain yes is one", only_a_plain_yes);
	RUN_GROUP("webhook: pages", pages);
	RUN_GROUP("webhook: numbers to the last digit", numbers_to_the_last_digit);
	RUN_GROUP("webhook: a no that is hard to read", answers_hard_to_read);
	RUN_GROUP("webhook: reasons and ids of other types", values_of_other_types);
	RUN_GROUP("webhook: long reasons and ids are cut at a character", long_values);
	RUN_GROUP("webhook: copies are bounded and printable", copies);
	RUN_GROUP("webhook: deep nesting", deep_nesting);
	return check_result();
}
