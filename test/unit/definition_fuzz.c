/*
 * definition_fuzz.c
 *		Any bytes as a definition; one that compiles makes requests of hostile
 *		values, and reads hostile answers.
 */
#include <jansson.h>
#include <stdint.h>

#include "definition_tools.h"
#include "rules/answer_reader.h"
#include "rules/request_builder.h"

static void
require(int condition)
{
	if (!condition)
		abort();
}

static void
require_printable(const char *text)
{
	json_t *string = json_string(text);

	require(string != NULL);
	json_decref(string);
	for (const char *c = text; *c != '\0'; c++)
		require((unsigned char) *c >= 0x20 && *c != 0x7F);
}

/* Each goes into a text of the server's. */
static void
check_problem(void *arg, const char *pointer, const char *problem)
{
	require(*pointer == '\0' || *pointer == '/');
	require_printable(pointer);
	require(*problem != '\0');
	require_printable(problem);
	(*(int *) arg)++;
}

/* What makes JSON brings JSON: the message's part, and the values that are numbers or objects. */
static const char *
hostile_value(int number, int round)
{
	static const char *const any[] = {
		NULL,		   "",		   "a",	 "\xff\xc3", "a\r\nX: b", "\"}],{{message}}", "\xc3",
		"%00&=?#/../", "\x01\x7f", "ção"};

	if (number == FIELD_STEP)
		return "7";
	if (number == FIELD_TEMPLATE_COMPONENTS)
		return round % 2 == 0 ? "[{\"type\":\"body\"}]" : NULL;
	if (number == FIELD_TEMPLATE_VARIABLES)
		return round % 3 == 0 ? "{}" : "";
	return any[(number + round) % 10];
}

static void
check_request(const DefinitionOperation *op, Values values)
{
	BuiltRequest request;
	json_t *json;

	if (!request_build(op, values, &request))
	{
		require(request.url == NULL && request.headers == NULL && request.body == NULL);
		return;
	}
	require(strncmp(request.url, "https://", 8) == 0);
	for (char **line = request.headers; *line != NULL; line++)
		for (const char *c = *line; *c != '\0'; c++)
			require((unsigned char) *c >= 0x20 && *c != 0x7F);
	if (op->json != NULL)
	{
		json = json_loadb(request.body, request.body_len, JSON_DECODE_ANY, NULL);
		require(json != NULL);
		json_decref(json);
	}
	require(request.body == NULL || strlen(request.body) == request.body_len);
	request_free(&request);
}

static void
check_requests(const Definition *d)
{
	size_t n = FIELD_COUNT + d->options.n + d->secrets.n;
	const char **values = calloc(n, sizeof(char *));

	for (int round = 0; round < 10; round++)
	{
		for (size_t i = 0; i < n; i++)
			values[i] = hostile_value(i, round);
		for (size_t i = 0; i < d->options.n; i++)
			if (strcmp(d->options.list[i].name, "url") == 0)
				values[FIELD_COUNT + i] = "https://api.example/x/";
		for (size_t i = 0; i < d->noperations; i++)
			check_request(&d->operations[i], values);
		for (size_t i = 0; i < d->address.n; i++)
			free(definition_render(&d->address.list[i].text, values));
		(void) definition_operation(d, "media.image", "SMS", values);
		(void) definition_operation(d, "template.marketing", "WHATSAPP", values);
	}
	free(values);
}

static const char *
a_header(void *arg, const char *name)
{
	return name[0] % 2 == 0 ? arg : NULL;
}

static void
check_answer(const Definition *d, const char *body, size_t len, long status, int attempt)
{
	AnswerReading reading;
	char *exact = malloc(len > 0 ? len : 1);
	AnswerText answer = {.status = status,
						 .content_type = attempt % 2 == 0 ? "text/html" : NULL,
						 .body = exact,
						 .body_len = len,
						 .is_cut = attempt == 3,
						 .header = a_header,
						 .header_arg = "12\n"};
	AnsweredMessage message = {
		.channel = "WHATSAPP", .category = attempt == 1 ? NULL : "MARKETING", .recipient = "+1"};
	char earlier[64] = "";

	memcpy(exact, body, len);
	answer_read(d, &answer, &message, &reading);
	/* and once more, as if the same had come before */
	for (int i = 1; i < attempt; i++)
		snprintf(earlier + strlen(earlier), sizeof(earlier) - strlen(earlier), "%u ",
				 reading.answer);
	message.earlier = earlier;
	answer_read(d, &answer, &message, &reading);
	require(reading.times == attempt && reading.times_in_row == attempt);
	require(reading.class < CLASS_COUNT);
	require(reading.wait_s >= 0);
	require_printable(reading.reason);
	require_printable(reading.message_id);
	require_printable(reading.code);
	free(exact);
}

static void
check_answers(const Definition *d, const char *data, size_t size)
{
	static const char *const bodies[] = {
		"",
		"{",
		"[",
		"{\"success\": false,",
		"{\"success\": \"true",
		"[[[[{\"a\": [0, 1]}]]]]",
		"{\"error\":{\"code\":131047},\"messages\":[{\"id\":18446744073709551616}]}"};
	static const long statuses[] = {0, 200, 299, 302, 400, 429, 500, 999};

	for (size_t k = 0; k < sizeof(bodies) / sizeof(bodies[0]); k++)
		for (int i = 0; i < 8; i++)
			check_answer(d, bodies[k], strlen(bodies[k]), statuses[i], 1 + (int) (i + k) % 4);
	/* the definition itself has what its places name */
	for (int attempt = 1; attempt <= 4; attempt++)
		check_answer(d, data, size, statuses[(size + attempt) % 8], attempt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size > 0 ? size : 1);
	int problems = 0;
	Definition *d;

	if (size > 0)
		memcpy(exact, data, size);
	d = definition_compile(exact, size, check_problem, &problems);
	require((d == NULL) == (problems > 0));
	if (d != NULL)
	{
		check_requests(d);
		check_answers(d, exact, size);
	}
	definition_free(d);
	free(exact);
	return 0;
}
