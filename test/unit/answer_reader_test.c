/*
 * answer_reader_test.c
 *		What answers mean, by the definitions of protocols/ and by others.
 */
#include "rules/answer_reader.h"
#include "rules/text.h"

#include <strings.h>

#include "check.h"
#include "definition_tools.h"

static Definition *definition;

static void
use(Definition *d)
{
	definition_free(definition);
	definition = d;
	if (d == NULL)
		exit(2);
}

/* What is answered; the rest of it is that of a plain JSON answer. */
typedef struct Case
{
	long status;
	const char *type;
	const char *header;	 /* NULL: none; else NAME: value */
	int times;			 /* so often the same has come, with this one; 0 is once, too */
	const char *earlier; /* what has come before that; NULL: nothing */
	const char *channel;
	const char *category;
	const char *recipient;
	bool is_cut;
} Case;

static const char *
header_value(void *arg, const char *name)
{
	const char *line = arg;
	size_t len = strlen(name);

	return line != NULL && strncasecmp(line, name, len) == 0 && line[len] == ':' ? line + len + 2
																				 : NULL;
}

static AnswerReading
read_bytes(const Case *c, const char *body, size_t len)
{
	AnswerReading reading;
	char *exact = malloc(len > 0 ? len : 1);
	AnswerText answer = {.status = c->status,
						 .content_type = c->type != NULL ? c->type : "application/json",
						 .body = exact,
						 .body_len = len,
						 .is_cut = c->is_cut,
						 .header = header_value,
						 .header_arg = (void *) c->header};
	AnsweredMessage message = {.channel = c->channel != NULL ? c->channel : "WHATSAPP",
							   .category = c->category,
							   .recipient = c->recipient != NULL ? c->recipient : "+5511987654321",
							   .earlier = c->earlier};
	char earlier[256] = "";

	memset(&reading, 0x55, sizeof(reading));
	memcpy(exact, body, len);
	answer_read(definition, &answer, &message, &reading);
	for (int i = 1; i < c->times; i++)
		snprintf(earlier + strlen(earlier), sizeof(earlier) - strlen(earlier), "%u ",
				 reading.answer);
	if (c->times > 1)
	{
		message.earlier = earlier;
		answer_read(definition, &answer, &message, &reading);
		CHECK_INT(reading.times, c->times);
	}
	free(exact);
	return reading;
}

static AnswerReading
read_case(const Case *c, const char *body)
{
	return read_bytes(c, body, strlen(body));
}

static const char *
class_name(CadenceClass class)
{
	return cadence_classes[class].name;
}

/* Quotes are written ' where there is none in the answer. */
static AnswerReading
check_class(const Case *c, const char *literal, CadenceClass class, int line)
{
	char *body = json_of(literal);
	AnswerReading reading = read_case(c, body);

	check_text(class_name(reading.class), class_name(class), __FILE__, line, literal);
	free(body);
	return reading;
}

#define CLASS(class, body, ...) \
	(void) check_class(&(Case){.status = __VA_ARGS__}, body, class, __LINE__)

/* ---- webhook ------------------------------------------------------------------------------ */

static void
check_answer(const char *body, CadenceClass class, const char *reason, const char *id, int line)
{
	for (int times = 1; times <= 2; times++)
	{
		AnswerReading reading = read_case(&(Case){.status = 200, .times = times}, body);

		check_text(class_name(reading.class), class_name(class), __FILE__, line, body);
		check_text(reading.reason, reason, __FILE__, line, body);
		check_text(reading.message_id, id, __FILE__, line, body);
	}
}

#define ANSWER(body, class, reason, id) check_answer(body, class, reason, id, __LINE__)

static void
webhook_answers(void)
{
	use(compile_protocol("webhook"));
	ANSWER("{\"success\": true, \"messageId\": \"wamid.1\"}", CLASS_SENT, "", "wamid.1");
	ANSWER("{\"success\": false, \"error\": \"sem saldo\"}", CLASS_RETRY, "sem saldo", "");
	ANSWER("{\"success\": false}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": false, \"permanent\": true, \"error\": \"bloqueado\"}", CLASS_REFUSED,
		   "bloqueado", "");
	ANSWER("{\"success\": false, \"permanent\": false}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": false, \"permanent\": \"true\"}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": true, \"permanent\": true}", CLASS_SENT, "", "");
	ANSWER("{\"permanent\": true}", CLASS_SENT, "", "");
	ANSWER("{\"error\": \"x\", \"message\": \"y\"}", CLASS_SENT, "x", "");
	ANSWER("{\"message\": \"y\"}", CLASS_SENT, "y", "");
	ANSWER("{\"error\": null, \"message\": \"y\"}", CLASS_SENT, "y", "");
	ANSWER("{\"error\": \"\", \"message\": \"y\"}", CLASS_SENT, "y", "");
	ANSWER("  {\"success\"\n:\tfalse}\r\n", CLASS_RETRY, "", "");
}

/* Without a "success" at the top, the status decides. */
static void
webhook_says_nothing(void)
{
	use(compile_protocol("webhook"));
	ANSWER("", CLASS_SENT, "", "");
	ANSWER("OK", CLASS_SENT, "", "");
	ANSWER("null", CLASS_SENT, "", "");
	ANSWER("false", CLASS_SENT, "", "");
	ANSWER("[{\"success\": false}]", CLASS_SENT, "", "");
	ANSWER("\"{\\\"success\\\": false}\"", CLASS_SENT, "", "");
	ANSWER("{\"data\": {\"success\": false}}", CLASS_SENT, "", "");
	ANSWER("{\"Success\": false}", CLASS_SENT, "", "");
	ANSWER("<html>{\"success\": false}</html>", CLASS_SENT, "", "");
}

static void
webhook_plain_yes(void)
{
	use(compile_protocol("webhook"));
	ANSWER("{\"success\": true}", CLASS_SENT, "", "");
	ANSWER("{\"success\": \"true\"}", CLASS_SENT, "", "");
	ANSWER("{\"success\": 1}", CLASS_SENT, "", "");
	ANSWER("{\"success\": \"1\"}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": 1.0}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": \"false\"}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": \"no\"}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": \"True \"}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": \"\"}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": 0}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": 2}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": 0.1}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": -1}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": null}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": {}}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": [true]}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": \"false\", \"permanent\": true}", CLASS_REFUSED, "", "");
	ANSWER("{\"success\": null, \"permanent\": true}", CLASS_REFUSED, "", "");
	/* the same where the rest can not be read */
	ANSWER("{\"success\": true,", CLASS_SENT, "", "");
	ANSWER("{\"success\": true", CLASS_SENT, "", "");
	ANSWER("{\"success\": \"true\",", CLASS_SENT, "", "");
	ANSWER("{\"success\": 1,", CLASS_SENT, "", "");
	ANSWER("{\"success\": 10,", CLASS_RETRY, "", "");
	ANSWER("{\"success\": \"1\",", CLASS_RETRY, "", "");
	ANSWER("{\"success\": \"true", CLASS_RETRY, "", "");
	ANSWER("{\"success\": truest,", CLASS_RETRY, "", "");
	ANSWER("{\"success\": \"no\",", CLASS_RETRY, "", "");
	ANSWER("{\"success\": null,", CLASS_RETRY, "", "");
	ANSWER("{\"success\":", CLASS_RETRY, "", "");
	ANSWER("{\"success\": true, \"x\": {\"success\": false,", CLASS_RETRY, "", "");
}

/* A page is no answer, unless it is JSON that only says that it is a page; and never a refusal. */
static void
webhook_pages(void)
{
	use(compile_protocol("webhook"));
	for (int times = 1; times <= 4; times++)
	{
		CLASS(CLASS_RETRY, "<html>Login</html>", 200, .type = "text/html", .times = times);
		CLASS(CLASS_RETRY, "<!doctype html>", 200, .type = "text/html; charset=utf-8",
			  .times = times);
		CLASS(CLASS_RETRY, "Bem-vindo", 200, .type = "Text/HTML", .times = times);
		CLASS(CLASS_RETRY, "{'success': false,", 200, .times = times);
	}
	CLASS(CLASS_SENT, "", 200, .type = "text/html");
	CLASS(CLASS_SENT, "{'success': true}", 200, .type = "text/html");
	CLASS(CLASS_RETRY, "{'success': false}", 200, .type = "text/html");
	CLASS(CLASS_SENT, "<html>", 200, .type = "text/plain");
	CHECK_TEXT(read_case(&(Case){.status = 200, .type = "text/html"}, "<html>").reason,
			   "the answer is a page (text/html)");
}

static void
webhook_numbers(void)
{
	use(compile_protocol("webhook"));
	ANSWER("{\"messageId\": 9007199254740993}", CLASS_SENT, "", "9007199254740993");
	ANSWER("{\"messageId\": 9223372036854775807}", CLASS_SENT, "", "9223372036854775807");
	ANSWER("{\"messageId\": 18446744073709551615}", CLASS_SENT, "", "18446744073709551615");
	ANSWER("{\"messageId\": 123456789012345678901234567890, \"success\": true}", CLASS_SENT, "",
		   "123456789012345678901234567890");
	ANSWER("{\"messageId\": -98765432109876543210}", CLASS_SENT, "", "-98765432109876543210");
	ANSWER("{\"messageId\": 1.10}", CLASS_SENT, "", "1.10");
	ANSWER("{\"messageId\": 1e2}", CLASS_SENT, "", "1e2");
	ANSWER("{\"messageId\": \"12345678901234567890\"}", CLASS_SENT, "", "12345678901234567890");
	ANSWER("{\"messageId\":[12345678901234567890]}", CLASS_SENT, "", "[\"12345678901234567890\"]");
	/* digits in a string stay as they are, behind a quote in it, too */
	ANSWER("{\"messageId\": \"a\\\"1.5\"}", CLASS_SENT, "", "a\"1.5");
	ANSWER("{\"messageId\": \"\\\\\", \"error\": \"2.50\"}", CLASS_SENT, "2.50", "\\");
}

/* Whatever else valid JSON brings along must not hide a no. */
static void
webhook_hard_to_read(void)
{
	use(compile_protocol("webhook"));
	ANSWER("{\"success\": false, \"error\": \"a\\tb\\u0007c\\nd\"}", CLASS_RETRY, "a b c d", "");
	ANSWER("{\"success\": false, \"error\": \"\\u00e9 \\ud83c\\udf89\"}", CLASS_RETRY, "é 🎉", "");
	ANSWER("{\"success\": true, \"success\": false}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": false, \"n\": 1e300}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": false, \"id\": \"a\\u0000b\"}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": false, \"id\": 123456789012345678901234567890}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": false, \"id\": 1e999}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": false", CLASS_RETRY, "", "");
	ANSWER("\xEF\xBB\xBF{\"success\": false}", CLASS_RETRY, "", "");
	ANSWER("{\"success\": false, \"error\": \"n\xE3o\"}", CLASS_RETRY, "n?o", "");
}

static void
webhook_other_types(void)
{
	use(compile_protocol("webhook"));
	ANSWER("{\"messageId\": 42}", CLASS_SENT, "", "42");
	ANSWER("{\"messageId\": null}", CLASS_SENT, "", "");
	ANSWER("{\"messageId\": {\"id\": [1]}}", CLASS_SENT, "", "{\"id\":[1]}");
	ANSWER("{\"error\": {\"code\": 131, \"text\": \"não\"}}", CLASS_SENT,
		   "{\"code\":131,\"text\":\"não\"}", "");
	ANSWER("{\"error\": true}", CLASS_SENT, "true", "");
	ANSWER("{\"error\": \"\"}", CLASS_SENT, "", "");
}

static void
webhook_good_statuses(void)
{
	use(compile_protocol("webhook"));
	for (long status = 200; status <= 299; status++)
	{
		CLASS(CLASS_SENT, "", status);
		CLASS(CLASS_SENT, "{'success': true}", status, .times = 5);
		CLASS(CLASS_SENT, "{'messageId': 'a', 'long': 'xxxxx", status, .is_cut = true);
		CLASS(CLASS_RETRY, "{'success': false, 'long': 'xxxxx", status, .is_cut = true);
	}
}

/* The endpoint's health or our configuration: worth another try, the tenth time, too. */
static void
webhook_transient_statuses(void)
{
	static const long statuses[] = {0,	 100, 199, 300, 301, 302, 303, 307, 308, 401, 402, 403,
									404, 405, 406, 407, 408, 409, 411, 412, 415, 421, 423, 425,
									426, 429, 431, 451, 500, 501, 502, 503, 504, 505, 599, 999};

	use(compile_protocol("webhook"));
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		for (int times = 1; times <= 10; times += 9)
		{
			CLASS(CLASS_RETRY, "", statuses[i], .times = times);
			CLASS(CLASS_RETRY, "Erro", statuses[i], .times = times, .is_cut = true);
		}
	CLASS(CLASS_RETRY, "{'success': true}", 500);
	CLASS(CLASS_RETRY, "{'success': false}", 500);
	CLASS(CLASS_REFUSED, "{'success': false, 'permanent': true}", 500);
	CLASS(CLASS_RETRY, "{'permanent': true}", 500);
}

static void
webhook_final_statuses(void)
{
	static const long statuses[] = {400, 410, 413, 422};

	use(compile_protocol("webhook"));
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
	{
		CLASS(CLASS_REFUSED, "", statuses[i]);
		CLASS(CLASS_REFUSED, "{'success': false}", statuses[i]);
		CLASS(CLASS_REFUSED, "{'success': true}", statuses[i]);
	}
}

/* ---- texts --------------------------------------------------------------------------------- */

static void
long_values(void)
{
	char body[4096];
	char text[2048];
	AnswerReading reading;

	/* 'é' has two bytes: with one 'x' before them, the limit falls inside a character */
	use(compile_protocol("webhook"));
	text[0] = 'x';
	for (int i = 0; i < 1000; i++)
		memcpy(text + 1 + i * 2, "é", 3);
	snprintf(body, sizeof(body), "{\"error\": \"%.2001s\", \"messageId\": \"%.2001s\"}", text,
			 text);
	reading = read_case(&(Case){.status = 200}, body);
	CHECK_INT(strlen(reading.reason), ANSWER_REASON_MAX - 1);
	CHECK_INT(strlen(reading.message_id), ANSWER_ID_MAX - 1);

	snprintf(body, sizeof(body), "{\"error\": \"%.2000s\", \"messageId\": \"%.2000s\"}", text + 1,
			 text + 1);
	reading = read_case(&(Case){.status = 200}, body);
	CHECK_INT(strlen(reading.reason), ANSWER_REASON_MAX - 2);
	CHECK_INT(strlen(reading.message_id), ANSWER_ID_MAX - 2);
	CHECK(strncmp(reading.reason, text + 1, ANSWER_REASON_MAX - 2) == 0);
}

static void
check_copy(const char *from, size_t size, const char *expected, int line)
{
	char *to = malloc(size);

	memset(to, 0x55, size);
	text_copy(to, size, from);
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
	check_copy("\x80\x80\x80", 3, "??", __LINE__);
	check_copy("n\xe3o \xc3", 20, "n?o ?", __LINE__);
}

static void
deep_nesting(void)
{
	static char body[200000];
	AnswerReading reading;

	use(compile_protocol("webhook"));
	memset(body, '[', sizeof(body));
	reading = read_bytes(&(Case){.status = 200}, body, sizeof(body));
	CHECK_INT(reading.class, CLASS_SENT);
	CHECK_TEXT(reading.reason, "");
	CHECK_TEXT(reading.message_id, "");
}

/* ---- places, success, waits ---------------------------------------------------------------- */

#define WITH_RESPONSE(members)                                                    \
	"{'channels': ['SMS'], 'operations': {'text': {'url': 'https://a.example'}}," \
	" 'response': {" members "}}"

static void
check_id(const char *body, const char *header, const char *expected, int line)
{
	AnswerReading reading;
	char *json = json_of(body);

	reading = read_case(&(Case){.status = 200, .header = header}, json);
	check_text(reading.message_id, expected, __FILE__, line, body);
	free(json);
}

#define ID(body, header, expected) check_id(body, header, expected, __LINE__)

static void
ids(void)
{
	use(compile_literal(WITH_RESPONSE(
		"'id': ['/messages/0/id', '/a~1b/~0c', '/list/10', '/obj/1', 'header:X-Id']")));
	ID("{'messages': [{'id': 'm'}], 'a/b': {'~c': 'n'}}", NULL, "m");
	ID("{'messages': [], 'a/b': {'~c': 'n'}}", NULL, "n");
	ID("{'messages': [{'id': null}], 'a/b': {'~c': ''}}", "X-Id: h", "h");
	ID("{'messages': [{'id': 123456789012345678901234567890}]}", NULL,
	   "123456789012345678901234567890");
	ID("{'messages': {'0': {'id': 'o'}}}", NULL, "o");
	ID("{'list': [0,1,2,3,4,5,6,7,8,9,'ten']}", NULL, "ten");
	ID("{'list': [0]}", "x-id: h", "h");
	ID("{'obj': ['zero', 'one']}", NULL, "one");
	ID("[]", "X-Id: a\tb", "a b");
	ID("", "X-Id: h", "h");
	ID("", "X-Id: n\xe3o", "n?o");
	ID("torn {", "X-Id: ", "");
	ID("{}", NULL, "");
}

static void
success(void)
{
	/* nothing said: any 2xx that is no page */
	use(compile_literal(WITH_RESPONSE("")));
	CLASS(CLASS_SENT, "", 204);
	CLASS(CLASS_RETRY, "", 302);
	CLASS(CLASS_RETRY, "<html>", 200, .type = "text/html");
	CLASS(CLASS_SLOW_DOWN, "", 429);
	CLASS(CLASS_RETRY, "", 503, .times = 9);

	use(compile_literal(WITH_RESPONSE("'success': {'status': [200, 202]}")));
	CLASS(CLASS_SENT, "{}", 202);
	CLASS(CLASS_RETRY, "{}", 201);
	CLASS(CLASS_SENT, "{'long", 200, .is_cut = true);

	use(compile_literal(WITH_RESPONSE("'success': {'pointer': '/r/ok', 'value': [0, 'yes']}")));
	CLASS(CLASS_SENT, "{'r': {'ok': 0}}", 200);
	CLASS(CLASS_SENT, "{'r': {'ok': 'yes'}}", 200);
	CLASS(CLASS_RETRY, "{'r': {'ok': '0'}}", 200);
	CLASS(CLASS_RETRY, "{'r': {'ok': null}}", 200);
	CLASS(CLASS_RETRY, "{'r': {}}", 200);
	CLASS(CLASS_RETRY, "{'r': {'ok': 0}}", 500);
	CLASS(CLASS_RETRY, "", 200);
	CLASS(CLASS_RETRY, "{'r': {'ok': 0}", 200);
	/* the rest of it might have said so: the status is the provider's word */
	CLASS(CLASS_SENT, "{'long': 'xxx", 200, .is_cut = true);
	CLASS(CLASS_RETRY, "{'r': {'ok': 1}}", 200, .is_cut = true);

	use(compile_literal(
		WITH_RESPONSE("'success': {'pointer': '/r/ok', 'value': true, 'optional': true}")));
	CLASS(CLASS_SENT, "", 200);
	CLASS(CLASS_SENT, "{'other': 1}", 200);
	CLASS(CLASS_RETRY, "{'r': {'ok': false}}", 200);
	CLASS(CLASS_SENT, "{'other': 1,", 200);

	/* by a header */
	use(compile_literal(
		WITH_RESPONSE("'success': {'pointer': 'header:X-Ok', 'value': 'yes', 'optional': true}")));
	CLASS(CLASS_SENT, "{torn", 200, .header = "X-Ok: yes");
	CLASS(CLASS_SENT, "{torn", 200);
	use(compile_literal(WITH_RESPONSE("'success': {'pointer': 'header:X-Ok', 'value': 'yes'}")));
	CLASS(CLASS_SENT, "{torn", 200, .header = "X-Ok: yes");
	CLASS(CLASS_RETRY, "{}", 200, .header = "X-Ok: no");
}

static void
check_wait(long expected, const char *body, const char *header, long status, int line)
{
	char *json = json_of(body);
	AnswerReading reading = read_case(&(Case){.status = status, .header = header}, json);

	check_int(reading.wait_s, expected, __FILE__, line, body);
	free(json);
}

#define WAIT(expected, body, header, status) check_wait(expected, body, header, status, __LINE__)

static void
waits(void)
{
	use(compile_literal(
		"{'channels': ['SMS'], 'operations': {'text': {'url': 'https://a.example'}},"
		" 'response': {'wait': ['/wait', 'header:Retry-After']},"
		" 'classes': [{'status': 429, 'class': 'slow_down', 'wait': '10min'},"
		"             {'status': 503, 'class': 'retry'}]}"));
	WAIT(30, "{'wait': 30}", NULL, 429);
	WAIT(30, "{'wait': '30'}", "Retry-After: 40", 429);
	WAIT(2, "{'wait': 1.2}", NULL, 429);
	WAIT(40, "{'wait': ''}", "Retry-After: 40", 503);
	WAIT(600, "{}", NULL, 429);
	WAIT(0, "{}", NULL, 503);
	WAIT(600, "{'wait': 'soon'}", NULL, 429);
	WAIT(600, "{'wait': -5}", NULL, 429);
	WAIT(600, "{'wait': 1e99}", NULL, 429);
	WAIT(600, "{'wait': 'nan'}", NULL, 429);
	WAIT(600, "{'wait': {'s': 1}}", NULL, 429);

	/* what stops a sender is no matter of the seconds that stand in every answer */
	use(compile_literal(
		"{'channels': ['SMS'], 'operations': {'text': {'url': 'https://a.example'}},"
		" 'response': {'wait': ['header:Retry-After']},"
		" 'classes': [{'status': 402, 'class': 'stopped', 'wait': '10min'},"
		"             {'status': 403, 'class': 'stopped'},"
		"             {'status': 409, 'class': 'later', 'wait': '10min'}]}"));
	WAIT(600, "", "Retry-After: 1", 402);
	WAIT(600, "", NULL, 402);
	WAIT(900, "", "Retry-After: 900", 402);
	WAIT(1, "", "Retry-After: 1", 403);
	WAIT(1, "", "Retry-After: 1", 409);
}

static void
unknown_refusals(void)
{
	AnswerReading reading;

	use(compile_literal(WITH_RESPONSE("'error': ['/e'], 'success': {'pointer': '/ok',"
									  " 'value': true}")));
	for (int times = 1; times <= 4; times++)
	{
		CadenceClass class = times < 3 ? CLASS_RETRY : CLASS_REFUSED;

		reading =
			check_class(&(Case){.status = 418, .times = times}, "{'e': 'tea'}", class, __LINE__);
		CHECK(reading.is_unknown);
		CHECK_TEXT(reading.reason, "tea");
		reading = check_class(&(Case){.status = 418, .times = times}, "", class, __LINE__);
		CHECK(reading.is_unknown);
		reading =
			check_class(&(Case){.status = 200, .times = times}, "{'ok': false}", class, __LINE__);
		CHECK(reading.is_unknown);
		reading = check_class(&(Case){.status = 500, .times = times}, "{}", CLASS_RETRY, __LINE__);
		CHECK(!reading.is_unknown);
		reading =
			check_class(&(Case){.status = 429, .times = times}, "{}", CLASS_SLOW_DOWN, __LINE__);
		CHECK(!reading.is_unknown);
		reading = check_class(&(Case){.status = 200, .type = "text/html", .times = times}, "<html>",
							  CLASS_RETRY, __LINE__);
		CHECK(reading.is_unknown);
	}
	CHECK(!read_case(&(Case){.status = 200}, "{\"ok\": true}").is_unknown);
}

static uint32_t
answer_number(long status, const char *literal)
{
	char *body = json_of(literal);
	uint32_t number = read_case(&(Case){.status = status}, body).answer;

	free(body);
	return number;
}

/* The same answer, and not an attempt of any kind; of what nobody knows in a row. */
static void
the_same_again(void)
{
	char earlier[128];
	uint32_t tea;
	uint32_t code;

	use(compile_literal(
		"{'channels': ['SMS'], 'operations': {'text': {'url': 'https://a.example'}},"
		" 'response': {'error': ['/e'], 'code': ['/c']}, 'classes': ["
		" {'code': 9, 'times': 3, 'class': 'dead_address'}, {'code': 9, 'class': 'retry'}]}"));
	tea = answer_number(418, "{'e': 'tea'}");
	CHECK(tea == answer_number(418, "{'e': 'tea'}"));
	CHECK(tea != answer_number(418, "{'e': 'coffee'}"));
	CHECK(tea != answer_number(400, "{'e': 'tea'}"));
	/* where there is a code, the words may differ each time */
	code = answer_number(400, "{'c': 7, 'e': 'request 1'}");
	CHECK(code == answer_number(400, "{'c': 7, 'e': 'request 2'}"));
	CHECK(code != answer_number(400, "{'c': 8, 'e': 'request 1'}"));

	CLASS(CLASS_RETRY, "{'e': 'tea'}", 418, .earlier = "1 2 3 4 5 6 7 8");
	snprintf(earlier, sizeof(earlier), "%u %u", tea, tea);
	CLASS(CLASS_REFUSED, "{'e': 'tea'}", 418, .earlier = earlier);
	CLASS(CLASS_RETRY, "{'e': 'coffee'}", 418, .earlier = earlier);
	snprintf(earlier, sizeof(earlier), "%u 5 %u %u", tea, tea, tea);
	CLASS(CLASS_RETRY, "{'e': 'tea'}", 418, .earlier = earlier);
	snprintf(earlier, sizeof(earlier), "%u - %u %u", tea, tea, tea);
	CLASS(CLASS_RETRY, "{'e': 'tea'}", 418, .earlier = earlier);
	CLASS(CLASS_RETRY, "{'e': 'tea'}", 418, .earlier = "x");
	/* a rule counts those between which something else has come, too */
	code = answer_number(400, "{'c': 9}");
	snprintf(earlier, sizeof(earlier), "5 %u 5 %u", code, code);
	CLASS(CLASS_DEAD_ADDRESS, "{'c': 9}", 400, .earlier = earlier);
	snprintf(earlier, sizeof(earlier), "5 %u 5 - %u", code, code);
	CLASS(CLASS_RETRY, "{'c': 9}", 400, .earlier = earlier);
}

/* All that a rule gives must hold, and the first that matches wins. */
static void
rules(void)
{
	use(compile_literal(
		"{'channels': ['SMS', 'WHATSAPP'], 'operations': {'text': {'url': 'https://a.example'}},"
		" 'response': {'code': ['/code'], 'error': ['/error']}, 'classes': ["
		" {'code': ['200-299', 'X1'], 'class': 'stopped'},"
		" {'code': 7, 'times': 3, 'class': 'refused'}, {'code': 7, 'class': 'retry'},"
		" {'code': 8, 'channel': 'SMS', 'class': 'dead_address'},"
		" {'code': 8, 'category': 'MARKETING', 'class': 'opted_out'},"
		" {'code': 8, 'recipient': ['+1', '+44'], 'class': 'later'},"
		" {'status': 200, 'text': 'Em ANÁLISE', 'class': 'held'},"
		" {'pointer': '/held', 'value': [true, 'yes', 3], 'class': 'held'},"
		" {'pointer': '/dup', 'class': 'duplicate'},"
		" {'status': ['4xx', 599], 'class': 'uncertain'}]}"));
	CLASS(CLASS_STOPPED, "{'code': 200}", 200);
	CLASS(CLASS_STOPPED, "{'code': '299'}", 400);
	CLASS(CLASS_STOPPED, "{'code': 'X1'}", 400);
	CLASS(CLASS_UNCERTAIN, "{'code': 300}", 400);
	CLASS(CLASS_UNCERTAIN, "{'code': '250x'}", 400);
	CLASS(CLASS_RETRY, "{'code': 7}", 400, .times = 2);
	CLASS(CLASS_REFUSED, "{'code': 7}", 400, .times = 3);
	CLASS(CLASS_REFUSED, "{'code': 7}", 400, .times = 4);
	CLASS(CLASS_DEAD_ADDRESS, "{'code': 8}", 400, .channel = "sms", .category = "MARKETING");
	CLASS(CLASS_OPTED_OUT, "{'code': 8}", 400, .category = "marketing");
	CLASS(CLASS_UNCERTAIN, "{'code': 8}", 400, .category = "UTILITY");
	CLASS(CLASS_LATER, "{'code': 8}", 400, .recipient = "+4420");
	CLASS(CLASS_UNCERTAIN, "{'code': 8}", 400, .recipient = "4420");
	CLASS(CLASS_HELD, "{'error': 'x em ANÁLISE'}", 200);
	CLASS(CLASS_HELD, "mensagem em ANÁLISE.", 200, .type = "text/plain");
	CLASS(CLASS_SENT, "{'error': 'em'}", 200);
	CLASS(CLASS_HELD, "{'held': true}", 200);
	CLASS(CLASS_SENT, "{'held': 'true'}", 200);
	CLASS(CLASS_HELD, "{'held': 3}", 200);
	CLASS(CLASS_SENT, "{'held': '3'}", 200);
	CLASS(CLASS_DUPLICATE, "{'dup': false}", 500);
	CLASS(CLASS_RETRY, "{'dup': null}", 500);
	CLASS(CLASS_UNCERTAIN, "", 599);
}

/* ---- the others of protocols/ ---------------------------------------------------------------- */

static void
meta(void)
{
	static const char ok[] =
		"{'messaging_product': 'whatsapp', 'contacts': [{'input': '+5511987654321',"
		" 'wa_id': '5511987654321'}], 'messages': [{'id': 'wamid.HBgL'%s}]}";
	static const char *const names[] = {"whatsapp_cloud", "d360"};
	char body[512];
	AnswerReading reading;

#define META(code)                                                                          \
	"{'error': {'message': '(#" #code ") Falhou', 'type': 'OAuthException', 'code': " #code \
	", 'error_data': {'messaging_product': 'whatsapp', 'details': 'Detalhe'}}}"

	for (int i = 0; i < 2; i++)
	{
		use(compile_protocol(names[i]));
		snprintf(body, sizeof(body), ok, "");
		reading = check_class(&(Case){.status = 200}, body, CLASS_SENT, __LINE__);
		CHECK_TEXT(reading.message_id, "wamid.HBgL");
		snprintf(body, sizeof(body), ok, ", 'message_status': 'accepted'");
		CLASS(CLASS_SENT, body, 200);
		snprintf(body, sizeof(body), ok, ", 'message_status': 'held_for_quality_assessment'");
		reading = check_class(&(Case){.status = 200}, body, CLASS_HELD, __LINE__);
		CHECK_TEXT(reading.message_id, "wamid.HBgL");
		reading = check_class(&(Case){.status = 400}, META(131047), CLASS_WINDOW_CLOSED, __LINE__);
		CHECK_TEXT(reading.code, "131047");
		CHECK_TEXT(reading.reason, "Detalhe");
		reading = check_class(&(Case){.status = 400}, META(131056), CLASS_SLOW_DOWN, __LINE__);
		CHECK_INT(reading.wait_s, 6);
		CLASS(CLASS_SLOW_DOWN, META(130429), 429);
		reading = check_class(&(Case){.status = 400}, META(131049), CLASS_LATER, __LINE__);
		CHECK_INT(reading.wait_s, 24 * 3600);
		CLASS(CLASS_REFUSED, META(131049), 400, .recipient = "+12125550123");
		CLASS(CLASS_RETRY, META(131026), 400, .times = 1);
		CLASS(CLASS_DEAD_ADDRESS, META(131026), 400, .times = 2);
		reading = check_class(&(Case){.status = 400}, META(131050), CLASS_OPTED_OUT, __LINE__);
		CHECK(!reading.of_category);
		reading = check_class(&(Case){.status = 400, .category = "MARKETING"}, META(131050),
							  CLASS_OPTED_OUT, __LINE__);
		CHECK(reading.of_category);
		CLASS(CLASS_TEMPLATE_STOPPED, META(132015), 400);
		CLASS(CLASS_STOPPED, META(33), 400);
		CLASS(CLASS_STOPPED,
			  "{'error': {'message': 'Unsupported post request. Object with ID 5511987654321 does"
			  " not exist', 'type': 'GraphMethodException', 'code': 100, 'error_subcode': 33}}",
			  400, .times = 9);
		/* anything may be a 100: nobody is paused before it has come three times */
		reading = check_class(&(Case){.status = 400}, META(100), CLASS_RETRY, __LINE__);
		CHECK(reading.is_unknown);
		reading = check_class(&(Case){.status = 400},
							  "{'error': {'code': 100, 'error_subcode': 2494010}}", CLASS_RETRY,
							  __LINE__);
		CHECK(reading.is_unknown);
		CLASS(CLASS_REFUSED, META(131009), 400);
		CLASS(CLASS_STOPPED, META(190), 401);
		CLASS(CLASS_STOPPED, META(200), 403);
		CLASS(CLASS_STOPPED, META(0), 401);
		CLASS(CLASS_RETRY, META(131000), 500, .times = 9);
		CLASS(CLASS_UNCERTAIN, "<html>502</html>", 502, .type = "text/html");
		CLASS(CLASS_RETRY, META(999999), 400, .times = 2);
		CLASS(CLASS_REFUSED, META(999999), 400, .times = 3);
	}
	CLASS(CLASS_STOPPED,
		  "{'meta': {'success': false, 'http_code': 400, 'developer_message':"
		  " 'The channel has been disabled'}}",
		  400);
}

static void
evolution(void)
{
	static const char *const names[] = {"evolution", "evolution_v1"};
	AnswerReading reading;

#define EVOLUTION(status, message) \
	"{'status': " #status ", 'error': 'Bad Request', 'response': {'message': [" message "]}}"

	for (int i = 0; i < 2; i++)
	{
		use(compile_protocol(names[i]));
		reading = check_class(&(Case){.status = 201},
							  "{'key': {'remoteJid': '5511987654321@s.whatsapp.net',"
							  " 'fromMe': true, 'id': 'BAE5'}, 'status': 'PENDING'}",
							  CLASS_SENT, __LINE__);
		CHECK_TEXT(reading.message_id, "BAE5");
		CLASS(CLASS_DEAD_ADDRESS,
			  EVOLUTION(400, "{'jid': '55@s.whatsapp.net', 'exists': false, 'number': '55'}"), 400);
		reading = check_class(&(Case){.status = 400}, EVOLUTION(400, "'Error: Connection Closed'"),
							  CLASS_STOPPED, __LINE__);
		CHECK_TEXT(reading.reason, "Error: Connection Closed");
		CLASS(CLASS_STOPPED, "{'status': 500, 'message': 'Connection Closed'}", 500);
		CLASS(CLASS_UNCERTAIN, EVOLUTION(400, "'PrismaClientKnownRequestError'"), 400);
		reading = check_class(&(Case){.status = 400}, EVOLUTION(400, "'error 463'"), CLASS_LATER,
							  __LINE__);
		CHECK_INT(reading.scope, SCOPE_FIRST_TOUCHES);
		CLASS(CLASS_STOPPED, "{'status': 401, 'error': 'Unauthorized'}", 401);
		CLASS(CLASS_STOPPED, EVOLUTION(400, "['instance requires property \\\"textMessage\\\"']"),
			  400);
		CLASS(CLASS_UNCERTAIN, "<html>", 504, .type = "text/html");
		CLASS(CLASS_RETRY, "", 503);
	}
}

static void
gateways(void)
{
	AnswerReading reading;

	use(compile_protocol("zapi"));
	reading =
		check_class(&(Case){.status = 200}, "{'zaapId': '3999', 'messageId': 'D241', 'id': 'D241'}",
					CLASS_SENT, __LINE__);
	CHECK_TEXT(reading.message_id, "D241");
	CLASS(CLASS_STOPPED, "{'error': 'your client-token is not configured'}", 400);
	CLASS(CLASS_STOPPED, "{'error': 'You need to be connected'}", 400);
	CLASS(CLASS_DEAD_ADDRESS, "{'error': 'Phone number does not exist'}", 400);
	CLASS(CLASS_UNCERTAIN, "", 500);

	use(compile_protocol("waha"));
	reading = check_class(&(Case){.status = 201},
						  "{'id': {'fromMe': true, '_serialized': 'true_55@c.us_3EB0'}}",
						  CLASS_SENT, __LINE__);
	CHECK_TEXT(reading.message_id, "true_55@c.us_3EB0");
	reading = check_class(&(Case){.status = 201}, "{'key': {'id': '3EB1'}}", CLASS_SENT, __LINE__);
	CHECK_TEXT(reading.message_id, "3EB1");
	CLASS(CLASS_SENT, "", 201);
	CLASS(CLASS_STOPPED,
		  "{'statusCode': 422, 'error': 'Session status is not as expected.', 'status': 'STOPPED'}",
		  422);
	CLASS(CLASS_UNCERTAIN, "{'statusCode': 500, 'exception': {'message': 'Evaluation failed'}}",
		  500);
}

/* What Twilio answers at once; what may speak of the recipient's country is of nobody yet. */
static void
twilio_codes(void)
{
	static const int refused[] = {21602, 21617, 21619, 21620, 21656, 21658};
	static const int stopped[] = {20404, 21212, 21603, 21660, 21701, 21704, 21705};
	static const int unknown[] = {21606, 21659, 21703};
	char body[64];

#define TWILIO(class, codes)                                                   \
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)              \
	{                                                                          \
		snprintf(body, sizeof(body), "{'code': %d, 'status': 400}", codes[i]); \
		CLASS(class, body, 400);                                               \
	}

	use(compile_protocol("twilio"));
	TWILIO(CLASS_REFUSED, refused);
	TWILIO(CLASS_STOPPED, stopped);
	TWILIO(CLASS_RETRY, unknown);
	CLASS(CLASS_TEMPLATE_STOPPED, "{'code': 21655, 'status': 400}", 400);
}

static void
brokers(void)
{
	AnswerReading reading;

	use(compile_protocol("gupshup"));
	reading = check_class(&(Case){.status = 202}, "{'status': 'submitted', 'messageId': 'ee4a-b5'}",
						  CLASS_SENT, __LINE__);
	CHECK_TEXT(reading.message_id, "ee4a-b5");
	CLASS(CLASS_STOPPED, "{'status': 'error', 'message': 'Portal User Not Found With APIKey'}",
		  401);
	CLASS(CLASS_DEAD_ADDRESS, "{'status': 'error', 'message': 'Invalid Destination'}", 400);
	CLASS(CLASS_STOPPED, "{'code': 33}", 400);
	CLASS(CLASS_RETRY, "{'code': 100}", 400);
	/* in E.164, whatever it is sent */
	CLASS(CLASS_REFUSED, "{'code': 131049}", 400, .recipient = "+12125550123");
	CLASS(CLASS_LATER, "{'code': 131049}", 400, .recipient = "+5511987654321");

	use(compile_protocol("zenvia"));
	reading = check_class(&(Case){.status = 200}, "{'id': 'a1b2', 'direction': 'OUT'}", CLASS_SENT,
						  __LINE__);
	CHECK_TEXT(reading.message_id, "a1b2");
	CLASS(CLASS_STOPPED, "{'code': 'AUTHENTICATION_ERROR', 'message': 'No API token'}", 401);
	reading = check_class(&(Case){.status = 400},
						  "{'code': 'VALIDATION_ERROR', 'message': 'Validation error',"
						  " 'details': [{'code': 'INVALID', 'path': 'to', 'message': 'bad to'}]}",
						  CLASS_RETRY, __LINE__);
	CHECK(reading.is_unknown);
	CHECK_TEXT(reading.reason, "bad to");

	use(compile_protocol("infobip"));
	reading = check_class(&(Case){.status = 200},
						  "{'to': '55', 'messageCount': 1, 'messageId': 'k', 'status':"
						  " {'groupId': 1, 'groupName': 'PENDING', 'id': 7}}",
						  CLASS_SENT, __LINE__);
	CHECK_TEXT(reading.message_id, "k");
	CLASS(CLASS_DUPLICATE, "{'messages': [{'status': {'groupName': 'REJECTED', 'id': 23}}]}", 200);
	CLASS(CLASS_STOPPED, "{'messages': [{'status': {'groupName': 'REJECTED', 'id': 12}}]}", 200);
	CLASS(CLASS_RETRY, "{'messages': [{'status': {'groupName': 'REJECTED', 'id': 99}}]}", 200);
	CLASS(CLASS_REFUSED, "{'messages': [{'status': {'groupName': 'REJECTED', 'id': 99}}]}", 200,
		  .times = 3);
	CLASS(CLASS_STOPPED,
		  "{'requestError': {'serviceException': {'messageId': 'UNAUTHORIZED', 'text': 'x'}}}",
		  401);

	use(compile_protocol("twilio"));
	reading = check_class(&(Case){.status = 201},
						  "{'sid': 'SM12', 'status': 'queued', 'error_code': null}", CLASS_SENT,
						  __LINE__);
	CHECK_TEXT(reading.message_id, "SM12");
	CLASS(CLASS_OPTED_OUT, "{'code': 21610, 'message': 'unsubscribed', 'status': 400}", 400);
	CLASS(CLASS_DEAD_ADDRESS, "{'code': 21211, 'status': 400}", 400);
	CLASS(CLASS_WINDOW_CLOSED, "{'code': 63016, 'status': 400}", 400);
	CLASS(CLASS_REFUSED, "{'code': 63028, 'status': 400}", 400);
	CLASS(CLASS_SLOW_DOWN, "{'code': 20429, 'status': 429}", 429);
	CLASS(CLASS_STOPPED, "{'code': 20003, 'message': 'Authenticate', 'status': 401}", 401);
	CLASS(CLASS_RETRY, "{'code': 30003}", 400, .times = 3);
	CLASS(CLASS_REFUSED, "{'code': 30003}", 400, .times = 4);
	CLASS(CLASS_UNCERTAIN, "{'code': 20500, 'status': 500}", 500);
}

static void
mail(void)
{
	AnswerReading reading;

	use(compile_protocol("resend"));
	reading = check_class(&(Case){.status = 200}, "{'id': '49a3'}", CLASS_SENT, __LINE__);
	CHECK_TEXT(reading.message_id, "49a3");
	CLASS(CLASS_DUPLICATE, "{'statusCode': 409, 'name': 'invalid_idempotent_request'}", 409);
	CLASS(CLASS_RETRY, "{'statusCode': 409, 'name': 'concurrent_idempotent_requests'}", 409);
	CLASS(CLASS_STOPPED, "{'statusCode': 403, 'message': 'The domain is not verified'}", 403);
	reading = check_class(&(Case){.status = 429, .header = "retry-after: 3"},
						  "{'statusCode': 429, 'name': 'rate_limit_exceeded'}", CLASS_SLOW_DOWN,
						  __LINE__);
	CHECK_INT(reading.wait_s, 3);
	reading =
		check_class(&(Case){.status = 429, .header = "retry-after: 1"},
					"{'statusCode': 429, 'name': 'daily_quota_exceeded'}", CLASS_STOPPED, __LINE__);
	CHECK_INT(reading.wait_s, 3600);

	use(compile_protocol("brevo"));
	reading = check_class(&(Case){.status = 201}, "{'messageId': '<2026@smtp-relay>'}", CLASS_SENT,
						  __LINE__);
	CHECK_TEXT(reading.message_id, "<2026@smtp-relay>");
	CLASS(CLASS_DUPLICATE, "{'code': 'duplicate_parameter', 'message': 'x'}", 400);
	CLASS(CLASS_STOPPED, "{'code': 'unauthorized', 'message': 'Key not found'}", 401);
	/* which stands in every answer, and speaks of the rate alone */
	reading =
		check_class(&(Case){.status = 402, .header = "x-sib-ratelimit-reset: 1"},
					"{'code': 'not_enough_credits', 'message': 'x'}", CLASS_STOPPED, __LINE__);
	CHECK_INT(reading.wait_s, 0);
	CLASS(CLASS_DEAD_ADDRESS,
		  "{'code': 'invalid_parameter', 'message': 'email is not valid in to'}", 400);

	use(compile_protocol("sendgrid"));
	reading = check_class(&(Case){.status = 202, .header = "X-Message-Id: 14c5"}, "", CLASS_SENT,
						  __LINE__);
	CHECK_TEXT(reading.message_id, "14c5");
	CLASS(CLASS_STOPPED, "{'errors': [{'message': 'Maximum credits exceeded', 'field': null}]}",
		  401);
	CLASS(CLASS_DEAD_ADDRESS,
		  "{'errors': [{'message': 'Does not contain a valid address.',"
		  " 'field': 'personalizations.0.to.0.email'}]}",
		  400);

	use(compile_protocol("postmark"));
	reading =
		check_class(&(Case){.status = 200}, "{'To': 'a@b.c', 'MessageID': 'b7bc', 'ErrorCode': 0}",
					CLASS_SENT, __LINE__);
	CHECK_TEXT(reading.message_id, "b7bc");
	CLASS(CLASS_DEAD_ADDRESS, "{'ErrorCode': 406, 'Message': 'inactive recipient'}", 422);
	CLASS(CLASS_STOPPED, "{'ErrorCode': 412, 'Message': 'pending approval'}", 422);
	CLASS(CLASS_REFUSED, "{'ErrorCode': 300, 'Message': 'Zero recipients specified'}", 422);
	CHECK_INT(read_case(&(Case){.status = 422},
						"{\"ErrorCode\": 300, \"Message\": \"Invalid 'From' address\"}")
				  .class,
			  CLASS_STOPPED);

	use(compile_protocol("mailgun"));
	reading =
		check_class(&(Case){.status = 200}, "{'id': '<2026@mg>', 'message': 'Queued. Thank you.'}",
					CLASS_SENT, __LINE__);
	CHECK_TEXT(reading.message_id, "<2026@mg>");
	CLASS(CLASS_DEAD_ADDRESS, "{'message': 'to parameter is not a valid address.'}", 400);
	CLASS(CLASS_STOPPED, "Forbidden", 401, .type = "text/plain");
	CLASS(CLASS_UNCERTAIN, "", 500);

	use(compile_protocol("smtp"));
	CLASS(CLASS_SENT, "{'code': '2.0.0', 'text': 'queued as 1'}", 250);
	CLASS(CLASS_DEAD_ADDRESS, "{'code': '5.1.1', 'text': 'User unknown'}", 550);
	reading = check_class(&(Case){.status = 451}, "{'code': '4.7.1', 'text': 'Greylisted'}",
						  CLASS_SLOW_DOWN, __LINE__);
	CHECK_INT(reading.scope, SCOPE_RECIPIENT);
	CHECK_INT(reading.wait_s, 300);
	CHECK(!reading.says_when);
	CLASS(CLASS_STOPPED, "{'code': '5.7.8', 'text': 'Authentication failed'}", 535);
	CLASS(CLASS_REFUSED, "{'code': '5.7.1', 'text': 'Message is spam'}", 550);
	CLASS(CLASS_RETRY, "{'code': '4.3.0', 'text': 'x'}", 451, .times = 9);
}

int
main(void)
{
	RUN_GROUP("answer: webhook", webhook_answers);
	RUN_GROUP("answer: webhook's that say nothing", webhook_says_nothing);
	RUN_GROUP("answer: only a plain yes is one", webhook_plain_yes);
	RUN_GROUP("answer: pages", webhook_pages);
	RUN_GROUP("answer: numbers to the last digit", webhook_numbers);
	RUN_GROUP("answer: a no that is hard to read", webhook_hard_to_read);
	RUN_GROUP("answer: reasons and ids of other types", webhook_other_types);
	RUN_GROUP("answer: 2xx is sent, however long the body", webhook_good_statuses);
	RUN_GROUP("answer: statuses worth another try", webhook_transient_statuses);
	RUN_GROUP("answer: statuses that refuse webhook's message for good", webhook_final_statuses);
	RUN_GROUP("answer: long reasons and ids are cut at a character", long_values);
	RUN_GROUP("answer: copies are bounded and printable", copies);
	RUN_GROUP("answer: deep nesting", deep_nesting);
	RUN_GROUP("answer: where ids are", ids);
	RUN_GROUP("answer: what success is", success);
	RUN_GROUP("answer: waits", waits);
	RUN_GROUP("answer: unknown refusals", unknown_refusals);
	RUN_GROUP("answer: the same again", the_same_again);
	RUN_GROUP("answer: rules", rules);
	RUN_GROUP("answer: whatsapp_cloud, d360", meta);
	RUN_GROUP("answer: evolution", evolution);
	RUN_GROUP("answer: zapi, waha", gateways);
	RUN_GROUP("answer: gupshup, zenvia, infobip, twilio", brokers);
	RUN_GROUP("answer: twilio's codes", twilio_codes);
	RUN_GROUP("answer: e-mail", mail);
	definition_free(definition);
	return check_result();
}
