/*
 * receive_fuzz.c
 *		Any bytes as a webhook's body: to each definition of protocols/, one by the
 *		length, and to rules of the input's own, which stand before an empty line.
 */
#include <stdint.h>

#include "receive_tools.h"
#include "rules/text.h"

static void
require(int condition)
{
	if (!condition)
		abort();
}

/* UTF-8, and nothing that a table, a log or a terminal would choke on. */
static void
check_text(const char *text, bool has_lines)
{
	size_t left = strlen(text);

	require(left > 0);
	while (left > 0)
	{
		size_t n = text_character(text, left);

		require(n > 0);
		require((unsigned char) *text >= 0x20 || (has_lines && (*text == '\n' || *text == '\t')));
		require(*text != 0x7F);
		text += n;
		left -= n;
	}
}

static bool
check_event(void *arg, const ReceivedEvent *event)
{
	unsigned long fields = 0;

	(*(size_t *) arg)++;
	require(event->kind < RECEIVED_KINDS && event->state < RECEIVED_STATES);
	require(event->element != NULL);
	for (int i = 0; i < RECEIVED_FIELDS; i++)
		if (event->fields[i] != NULL)
		{
			check_text(event->fields[i], i == RECEIVED_TEXT);
			fields |= 1UL << i;
		}
	require((event->reason != NULL) == (event->kind <= RECEIVED_IGNORED));
	require(event->kind <= RECEIVED_IGNORED || received_lacks(event->kind, fields) == NULL);
	require((event->state != STATE_NONE) == (event->fields[RECEIVED_STATE] != NULL));
	require(!event->has_time || (event->time_us > 0 && event->fields[RECEIVED_TIME] != NULL));
	if (event->fields[RECEIVED_EMAIL] != NULL)
		require(strchr(event->fields[RECEIVED_EMAIL], '@') != NULL);
	return true;
}

static void
read_body(const Definition *d, const char *body, size_t len)
{
	json_t *json = receive_parse(d->receive, body, len);
	size_t told = 0;

	if (json == NULL)
		return;
	receive_scrub(d->receive, json);
	require(receive_read(d->receive, NULL, NULL, json, check_event, &told));
	require(told > 0);
	json_decref(json);
}

static void
no_report(void *arg, const char *pointer, const char *problem)
{
	(void) arg;
	require(pointer != NULL && problem[0] != '\0');
}

/* With what a definition must have besides. */
static void
read_with_rules(const char *rules, size_t rules_len, const char *body, size_t len)
{
	static const char head[] =
		"{\"channels\":[\"SMS\"],\"options\":{\"status_callback\":{}},\"secrets\":{\"s\":{},"
		"\"path_secret\":{},\"app_secret\":{},\"verify_token\":{},\"webhook_secret\":{},"
		"\"webhook_token\":{},\"hmac_key\":{},\"auth_token\":{}},\"operations\":{\"text\":{"
		"\"url\":\"x\"}},\"receive\":";
	char *text = malloc(sizeof(head) + rules_len + 1);
	Definition *d;

	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + sizeof(head) - 1, rules, rules_len);
	text[sizeof(head) - 1 + rules_len] = '}';
	d = definition_compile(text, sizeof(head) + rules_len, no_report, NULL);
	free(text);
	if (d != NULL && d->receive != NULL)
		read_body(d, body, len);
	definition_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Definition *definitions[sizeof(shipped) / sizeof(shipped[0]) - 1];
	size_t which = size % (sizeof(definitions) / sizeof(definitions[0]));
	char *body = malloc(size > 0 ? size : 1);
	char *empty_line;

	if (size > 0)
		memcpy(body, data, size);
	empty_line = memmem(body, size, "\n\n", 2);
	if (definitions[which] == NULL)
		definitions[which] = compile_protocol(shipped[which]);
	if (empty_line != NULL)
		read_with_rules(body, empty_line - body, empty_line + 2, body + size - empty_line - 2);
	else if (definitions[which]->receive != NULL)
		read_body(definitions[which], body, size);
	free(body);
	return 0;
}
