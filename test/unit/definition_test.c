/*
 * definition_test.c
 *		Definitions of protocols, compiled: what is wrong with one is said with
 *		where it is; and the table of classes.
 */
#include "rules/definition.h"

#include "check.h"
#include "definition_tools.h"

/* What a compilation has reported. */
typedef struct Problems
{
	int n;
	char pointers[32][600];
	char texts[32][600];
} Problems;

static Problems problems;

static void
note_problem(void *arg, const char *pointer, const char *problem)
{
	Problems *to = arg;

	if (to->n < 32)
	{
		snprintf(to->pointers[to->n], sizeof(to->pointers[0]), "%s", pointer);
		snprintf(to->texts[to->n], sizeof(to->texts[0]), "%s", problem);
	}
	to->n++;
}

static Definition *
compile(const char *text, size_t len)
{
	memset(&problems, 0, sizeof(problems));
	return definition_compile(text, len, note_problem, &problems);
}

/* One problem, there, and it says so. */
static void
check_problem(const char *literal, const char *pointer, const char *part, int line)
{
	char *text = json_of(literal);
	Definition *d = compile(text, strlen(text));

	check_note(d == NULL, __FILE__, line, literal);
	check_int(problems.n, 1, __FILE__, line, literal);
	for (int i = 1; i < problems.n && i < 32; i++)
		printf("#   also %s: %s\n", problems.pointers[i], problems.texts[i]);
	check_text(problems.pointers[0], pointer, __FILE__, line, literal);
	if (!check_note(strstr(problems.texts[0], part) != NULL, __FILE__, line, part))
		printf("#   is \"%s\"\n", problems.texts[0]);
	definition_free(d);
	free(text);
}

#define PROBLEM(literal, pointer, part) check_problem(literal, pointer, part, __LINE__)

/* A definition without problems, with more members; with more of its operation. */
#define WITH(members) \
	"{'channels': ['SMS'], 'operations': {'text': {'url': '{{option.url}}/m'}}" members "}"
#define WITH_OPERATION(members)                                              \
	"{'channels': ['SMS'], 'options': {'line': {}}, 'secrets': {'key': {}}," \
	" 'operations': {'text': {'url': '{{option.url}}/m'" members "}}}"
#define WITH_RULE(members)                                                                    \
	WITH(", 'response': {'code': ['/code']}, 'classes': [{'status': 404, 'class': 'retry'}, " \
		 "{" members "}]")

#define WITH_KEY(members, key)                                                                 \
	"{'channels': ['SMS'], 'operations': {'text': {'url': 'https://a.example', " members "}}," \
	" 'idempotency': '" key "'}"

static void
check_fine(const char *literal, int line)
{
	char *text = json_of(literal);
	Definition *d = compile(text, strlen(text));

	if (!check_note(d != NULL && problems.n == 0, __FILE__, line, literal))
		printf("#   has %s: %s\n", problems.pointers[0], problems.texts[0]);
	definition_free(d);
	free(text);
}

#define FINE(literal) check_fine(literal, __LINE__)

static void
files(void)
{
	for (int i = 0; shipped[i] != NULL; i++)
	{
		Definition *d = compile_protocol(shipped[i]);

		check_note(d != NULL, __FILE__, __LINE__, shipped[i]);
		definition_free(d);
	}
}

static void
whole(void)
{
	FINE(WITH(""));
	FINE(WITH_OPERATION(""));
	FINE(WITH_RULE("'status': '5xx', 'class': 'uncertain'"));
	PROBLEM("", "", "is no JSON object");
	PROBLEM("{'channels': ", "", "is no JSON object");
	PROBLEM("nada", "", "is no JSON object");
	PROBLEM("[1, 2]", "", "is not an object");
	PROBLEM("{'channels': ['SMS'], 'channels': ['SMS']}", "", "duplicate");
	PROBLEM(WITH(", 'transport': 'http', 'transport': 'http'"), "", "duplicate");
	PROBLEM(WITH(", 'note': '\\u0000'"), "", "is no JSON object");
	PROBLEM(WITH(", 'note': '\xff'"), "", "is no JSON object");
}

static void
too_long(void)
{
	size_t len = 300 * 1024;
	char *text = malloc(len);

	memset(text, ' ', len);
	memcpy(text, "{}", 2);
	CHECK(compile(text, len) == NULL);
	CHECK_INT(problems.n, 1);
	CHECK_TEXT(problems.pointers[0], "");
	CHECK(strstr(problems.texts[0], "longer than") != NULL);
	free(text);
}

/* All of them, not the first. */
static void
all_at_once(void)
{
	char *text = json_of("{'channels': ['FAX'], 'transport': 7, 'receive': 1, 'color': 'red',"
						 " 'operations': {'text': {'method': 'DELETE'}},"
						 " 'classes': [{}, {'class': 'odd'}]}");

	CHECK(compile(text, strlen(text)) == NULL);
	CHECK_INT(problems.n, 10);
	free(text);
}

static void
unknown_members(void)
{
	PROBLEM(WITH(", 'color': 'red'"), "/color", "is no member that is known here");
	PROBLEM(WITH(", 'color': 'red'"), "/color", "channels, transport");
	PROBLEM(WITH(", 'a/b~c': 1"), "/a~1b~0c", "is no member");
	PROBLEM(WITH(", '': 1"), "/", "is no member");
	PROBLEM(WITH(", 'options': {'from': {'requird': true}}"), "/options/from/requird",
			"is no member");
	PROBLEM(WITH(", 'secrets': {'key': {'type': 1}}"), "/secrets/key/type", "is no member");
	PROBLEM(WITH_OPERATION(", 'jsom': {}"), "/operations/text/jsom", "is no member");
	PROBLEM(WITH(", 'response': {'ids': ['/id']}"), "/response/ids", "is no member");
	PROBLEM(WITH(", 'response': {'success': {'state': 1}}"), "/response/success/state",
			"is no member");
	PROBLEM(WITH_RULE("'status': 400, 'class': 'retry', 'wiat': '1s'"), "/classes/1/wiat",
			"is no member");
	PROBLEM(WITH(", 'idempotency': {'key': 'none', 'for': '1h'}"), "/idempotency/for",
			"is no member");
	PROBLEM(WITH(", 'limits': {'max_size': 1}"), "/limits/max_size", "is no limit");
}

static void
wrong_types(void)
{
	PROBLEM(WITH(", 'note': 1"), "/note", "is not a text");
	PROBLEM(WITH(", 'sources': {}"), "/sources", "is not a text, nor an array");
	PROBLEM(WITH(", 'transport': 'ftp'"), "/transport", "neither \"http\" nor \"smtp\"");
	PROBLEM(WITH(", 'options': []"), "/options", "is not an object");
	PROBLEM(WITH(", 'options': {'from': true}"), "/options/from", "is not an object");
	PROBLEM(WITH(", 'options': {'from': {'required': 1}}"), "/options/from/required",
			"neither true nor false");
	PROBLEM(WITH(", 'options': {'from': {'default': 5}}"), "/options/from/default",
			"is not a text");
	PROBLEM(WITH(", 'options': {'from': {'help': ''}}"), "/options/from/help", "is not a text");
	PROBLEM(WITH(", 'options': {'from': {'values': []}}"), "/options/from/values",
			"is not an array of texts");
	PROBLEM(WITH(", 'options': {'from': {'values': ['a', 2]}}"), "/options/from/values/1",
			"is not a text");
	PROBLEM(WITH(", 'address': 5"), "/address", "is not a text");
	PROBLEM(WITH(", 'response': []"), "/response", "is not an object");
	PROBLEM(WITH(", 'response': {'success': 200}"), "/response/success", "is not an object");
	PROBLEM(WITH(", 'response': {'success': {'status': 'good'}}"), "/response/success/status",
			"neither a status");
	PROBLEM(WITH(", 'response': {'success': {'status': 12}}"), "/response/success/status",
			"neither a status");
	PROBLEM(WITH(", 'classes': {}"), "/classes", "is not an array");
	PROBLEM(WITH(", 'limits': {'max_rate': true}"), "/limits/max_rate", "neither a text nor");
	PROBLEM(WITH(", 'limits': {'gap': ['1s']}"), "/limits/gap", "neither a text nor");
	PROBLEM(WITH(", 'limits': {'domain_limits': {'gmail.com': 0}}"), "/limits/domain_limits",
			"is no object of domains");
	PROBLEM(WITH(", 'limits': {'domain_limits': 20}"), "/limits/domain_limits",
			"is no object of domains");
	FINE(WITH(", 'limits': {'domain_limits': {'gmail.com': 20}}"));
	PROBLEM(WITH(", 'receive': 'here'"), "/receive", "is not an object");
}

static void
options(void)
{
	FINE(WITH(", 'options': {'a': {'required': true, 'alternative': 'b'}, 'b': {}}"));
	FINE(WITH(", 'options': {'url': {'default': 'https://api.example'}}"));
	PROBLEM(WITH(", 'options': {'a': {'alternative': 'c'}}"), "/options/a", "alternative \"c\"");
	PROBLEM(WITH(", 'options': {'From': {}}"), "/options/From", "small letters");
	PROBLEM(WITH(", 'secrets': {'token_file': {}}"), "/secrets/token_file", "secret's file");
	PROBLEM(WITH(", 'options': {'canal': {}}"), "/options/canal", "of every server");
	PROBLEM(WITH(", 'options': {'max_rate': {}}"), "/options/max_rate", "of every server");
}

#define WITH_URL(url)                             \
	"{'channels': ['SMS'], 'options': {'x': {}}," \
	" 'operations': {'text': {'url': '" url "'}}}"

/* A request goes to the host that its server, or its definition, names. */
static void
hosts(void)
{
	FINE(WITH_URL("{{option.url}}"));
	FINE(WITH_URL("{{option.url}}?a={{recipient}}"));
	FINE(WITH_URL("https://a.example/{{option.x}}"));
	FINE(WITH_URL("https://a.example?a={{option.x}}"));
	PROBLEM(WITH_URL("{{option.url}}{{option.x}}"), "/operations/text", "in whose host");
	PROBLEM(WITH_URL("{{option.url}}.evil.example/"), "/operations/text", "in whose host");
	PROBLEM(WITH_URL("https://{{option.x}}.example/"), "/operations/text", "in whose host");
	PROBLEM(WITH_URL("https://a.example{{option.x}}/"), "/operations/text", "in whose host");
}

static void
channels(void)
{
	PROBLEM("{'channels': ['SMS', 'FAX'], 'operations': {'text': {'url': 'https://a.example'}}}",
			"/channels", "\"FAX\"");
	PROBLEM("{'operations': {'text': {'url': 'https://a.example'}}}", "", "has no channels");
	PROBLEM("{'channels': [], 'operations': {'text': {'url': 'https://a.example'}}}", "/channels",
			"is not an array");
	PROBLEM(WITH(", 'address': {'FAX': '{{digits}}'}"), "/address", "\"FAX\"");
	PROBLEM("{'channels': ['SMS'], 'operations': {'text': {'url': 'https://a.example'},"
			" 'media@FAX': {'url': 'https://a.example'}}}",
			"/operations/media@FAX", "is no operation");
}

static void
operations(void)
{
	FINE("{'channels': ['EMAIL'], 'operations': {'email': {'url': 'https://a.example'},"
		 " 'email.html': {'url': 'https://a.example'}}}");
	FINE("{'channels': ['SMS'], 'operations': {'text@SMS': {'url': 'https://a.example'},"
		 " 'template.marketing': {'url': 'https://a.example'},"
		 " 'media.document': {'url': 'https://a.example'}}}");
	FINE("{'channels': ['EMAIL'], 'transport': 'smtp'}");
	PROBLEM("{'channels': ['SMS']}", "", "no operation \"text\" for channel SMS");
	PROBLEM("{'channels': ['SMS', 'EMAIL'], 'operations': {'text': {'url': 'https://a.example'}}}",
			"", "no operation \"email\" for channel EMAIL");
	PROBLEM("{'channels': ['SMS', 'WHATSAPP'],"
			" 'operations': {'text@SMS': {'url': 'https://a.example'}}}",
			"", "no operation \"text\" for channel WHATSAPP");
	PROBLEM("{'channels': ['SMS'], 'operations': {'text': {'url': 'https://a.example'},"
			" 'texts': {'url': 'https://a.example'}}}",
			"/operations/texts", "is no operation");
	PROBLEM("{'channels': ['EMAIL'], 'transport': 'smtp',"
			" 'operations': {'email': {'url': 'https://a.example'}}}",
			"/operations", "no place beside transport smtp");
	PROBLEM("{'channels': ['SMS'], 'operations': {'text': {}}}", "/operations/text", "has no url");
	PROBLEM("{'channels': ['SMS'], 'operations': {'text': {'url': 'http://a.example'}}}",
			"/operations/text", "begins with neither");
	PROBLEM("{'channels': ['SMS'], 'operations': {'text': {'url': '{{recipient}}'}}}",
			"/operations/text", "begins with neither");
	PROBLEM("{'channels': ['SMS'], 'operations': {'text': {'url': '{{option.url|http://a}}'}}}",
			"/operations/text", "begins with neither");
	PROBLEM(WITH_OPERATION(", 'method': 'DELETE'"), "/operations/text", "another method");
	PROBLEM(WITH_OPERATION(", 'json': {'a': 1}, 'form': {'a': '1'}"), "/operations/text",
			"json and form");
	PROBLEM(WITH_OPERATION(", 'headers': {'X Y': 'a'}"), "/operations/text", "\"X Y\"");
	PROBLEM(WITH_OPERATION(", 'headers': {'X\x7f': 'a'}"), "/operations/text", "\"X \"");
	PROBLEM(WITH_OPERATION(", 'headers': {'Açúcar': 'a'}"), "/operations/text",
			"whose name is none");
	PROBLEM(WITH_OPERATION(", 'headers': {'X': 'a\\r\\nY: b'}"), "/operations/text",
			"control character");
	PROBLEM(WITH_OPERATION(", 'headers': {'X': ['a']}"), "/operations/text/headers",
			"not a text: \"X\"");
	PROBLEM(WITH_OPERATION(", 'headers': {'X': 1}"), "/operations/text/headers/X", "is not a text");
	PROBLEM(WITH_OPERATION(", 'query': 'a=b'"), "/operations/text/query", "is not an object");
	PROBLEM(WITH_OPERATION(", 'basic': ['a']"), "/operations/text/basic", "user and password");
	PROBLEM(WITH_OPERATION(", 'basic': ['a', '{{message}}']"), "/operations/text/basic",
			"a field of a message");
	FINE(WITH_OPERATION(", 'when': {'option': 'line', 'value': 'on'}},"
						" 'text@SMS': {'url': '{{option.url}}'"));
	PROBLEM(WITH_OPERATION(", 'when': {'option': 'no', 'value': 'on'}},"
						   " 'text@SMS': {'url': '{{option.url}}'"),
			"/operations/text/when", "does not name an option");
	PROBLEM(WITH_OPERATION(", 'when': {'option': 'line'}},"
						   " 'text@SMS': {'url': '{{option.url}}'"),
			"/operations/text/when", "does not name an option");
}

static void
placeholders(void)
{
	FINE(WITH_OPERATION(", 'json': {'a': '{{ message }} {{option.line}} {{secret.key|x}}'}"));
	PROBLEM(WITH_OPERATION(", 'json': {'a': [{'b': '{{mesage}}'}]}"), "/operations/text/json/a/0/b",
			"names \"mesage\"");
	PROBLEM(WITH_OPERATION(", 'json': {'a': '{{option.lina}}'}"), "/operations/text/json/a",
			"names \"option.lina\"");
	PROBLEM(WITH_OPERATION(", 'form': {'a': '{{secret.line}}'}"), "/operations/text/form/a",
			"names \"secret.line\"");
	PROBLEM(WITH_OPERATION(", 'form': {'a': {'b': '{{x}}'}}"), "/operations/text/form/a/b",
			"names \"x\"");
	PROBLEM(WITH_OPERATION(", 'headers': {'X': '{{option.}}'}"), "/operations/text/headers/X",
			"names \"option.\"");
	PROBLEM(WITH_OPERATION(", 'json': {'a': '{{e164}}'}"), "/operations/text/json/a",
			"names \"e164\"");
	PROBLEM(WITH_OPERATION(", 'json': {'a': 'x {{message'}"), "/operations/text/json/a",
			"at byte 2");
	PROBLEM(WITH_OPERATION(", 'query': {'a': '{{}}'}"), "/operations/text/query/a", "at byte 0");
	/* what stands for JSON must be JSON */
	FINE(WITH_OPERATION(", 'json': {'a': '{{template.components|[]}}', 'b': '{{step|1}}',"
						" 'c': 'x{{template.variables|none}}', 'd': '{{message|none}}'}"));
	PROBLEM(WITH_OPERATION(", 'json': {'a': ['{{template.components|none}}']}"),
			"/operations/text/json/a/0", "fallback that is no JSON");
	PROBLEM(WITH_OPERATION(", 'form': {'a': {'b': '{{step|1 2}}'}}"), "/operations/text/form/a/b",
			"fallback that is no JSON");
}

static void
addresses(void)
{
	FINE(WITH(", 'address': '{{digits}}@c.us'"));
	FINE(WITH(", 'address': {'SMS': '{{e164}}', 'EMAIL': '{{as_stored}}'}"));
	FINE(WITH(", 'options': {'realm': {}}, 'address': '{{digits}}@{{option.realm}}'"));
	PROBLEM(WITH(", 'secrets': {'key': {}}, 'address': '{{digits}}{{secret.key}}'"), "/address",
			"names a secret");
	PROBLEM(WITH(", 'secrets': {'key': {}}, 'address': {'SMS': '{{secret.key}}'}"), "/address",
			"names a secret");
	PROBLEM(WITH(", 'address': {'SMS': ['{{digits}}']}"), "/address", "is no text");
	PROBLEM(WITH(", 'address': '{{message}}'"), "/address", "names \"message\"");
	PROBLEM(WITH(", 'address': '{{recipient}}'"), "/address", "names \"recipient\"");
	/* a field of a message may stand in a request, whatever stood before it */
	FINE("{'address': '{{digits}}', 'channels': ['SMS'],"
		 " 'operations': {'text': {'url': '{{option.url}}', 'json': '{{message}}'}}}");
}

static void
order(void)
{
	FINE(WITH_OPERATION(", 'json': {'a': '{{message}}', 'b': 1}, 'order': ['b', 'a']"));
	FINE(WITH_OPERATION(", 'json': {'a': '{{message}}', 'b': 1}, 'order': ['a']"));
	PROBLEM(WITH_OPERATION(", 'json': {'a': 1}, 'order': ['a', 'b']"), "/operations/text",
			"orders \"b\"");
	PROBLEM(WITH_OPERATION(", 'json': {'a': 1, 'b': 1}, 'order': ['a', 'a']"), "/operations/text",
			"orders \"a\"");
	PROBLEM(WITH_OPERATION(", 'json': [1], 'order': ['a']"), "/operations/text",
			"has an order, but no object");
	PROBLEM(WITH_OPERATION(", 'order': ['a']"), "/operations/text", "has an order, but no object");
	PROBLEM(WITH_OPERATION(", 'json': {'a': 1}, 'order': [5]"), "/operations/text", "orders \"\"");
}

static void
places(void)
{
	FINE(
		WITH(", 'response': {'id': ['/a~1b/~0/0/', 'header:X-Id'], 'wait': 'header:Retry-After'}"));
	PROBLEM(WITH(", 'response': {'id': ['id']}"), "/response/id", "neither a JSON pointer");
	PROBLEM(WITH(", 'response': {'code': ['/a~2']}"), "/response/code", "neither a JSON pointer");
	PROBLEM(WITH(", 'response': {'error': ['/a~']}"), "/response/error", "neither a JSON pointer");
	PROBLEM(WITH(", 'response': {'wait': ['header:']}"), "/response/wait",
			"neither a JSON pointer");
	PROBLEM(WITH(", 'response': {'state': [7]}"), "/response/state", "is not a text");
	PROBLEM(WITH(", 'response': {'state': ['']}"), "/response/state", "is not a text");
	PROBLEM(WITH(", 'response': {'id': []}"), "/response/id", "is an empty array");
	PROBLEM(WITH(", 'response': {'success': {'pointer': 'ok', 'value': true}}"),
			"/response/success/pointer", "neither a JSON pointer");
	PROBLEM(WITH(", 'response': {'success': {'value': true}}"), "/response/success",
			"no pointer to it");
}

static void
rules(void)
{
	PROBLEM(WITH_RULE("'status': 400"), "/classes/1", "has no class");
	PROBLEM(WITH_RULE("'status': 400, 'class': 'dead'"), "/classes/1/class", "\"dead\"");
	PROBLEM(WITH_RULE("'status': 400, 'class': 1"), "/classes/1/class", "is no class");
	PROBLEM(WITH_RULE("'class': 'retry'"), "/classes/1", "holds for every answer");
	PROBLEM(WITH_RULE("'status': 463, 'class': 'later', 'scope': 'lead'"), "/classes/1/scope",
			"is neither \"first_touches\" nor \"recipient\"");
	PROBLEM(WITH_RULE("'status': 463, 'class': 'stopped', 'scope': 'first_touches'"), "/classes/1",
			"which only class \"later\" takes");
	PROBLEM(WITH_RULE("'status': 463, 'class': 'later', 'scope': 'recipient'"), "/classes/1",
			"which only class \"slow_down\" takes");
	FINE(WITH_RULE("'status': 463, 'class': 'later', 'scope': 'first_touches'"));
	FINE(WITH_RULE("'status': 463, 'class': 'slow_down', 'scope': 'recipient'"));
	PROBLEM(WITH_RULE("'class': 'retry', 'channel': 'SMS', 'times': 2"), "/classes/1",
			"holds for every answer");
	PROBLEM(WITH_RULE("'status': '6', 'class': 'retry'"), "/classes/1/status", "neither a status");
	PROBLEM(WITH_RULE("'status': [], 'class': 'retry', 'code': 1"), "/classes/1/status",
			"is an empty array");
	PROBLEM(WITH_RULE("'code': {'a': 1}, 'class': 'retry'"), "/classes/1/code",
			"neither a single value");
	PROBLEM(WITH_RULE("'text': ['a', ''], 'class': 'retry'"), "/classes/1/text",
			"is an empty text");
	PROBLEM(WITH_RULE("'status': 400, 'value': 1, 'class': 'retry'"), "/classes/1",
			"no pointer to it");
	PROBLEM(WITH_RULE("'pointer': 'a', 'class': 'retry'"), "/classes/1/pointer",
			"neither a JSON pointer");
	PROBLEM(WITH_RULE("'status': 400, 'class': 'retry', 'times': 0"), "/classes/1/times",
			"is not a whole number");
	PROBLEM(WITH_RULE("'status': 400, 'class': 'later', 'wait': '1 hour'"), "/classes/1/wait",
			"is not a duration");
	PROBLEM(WITH_RULE("'status': 400, 'class': 'later', 'wait': 60"), "/classes/1/wait",
			"is not a duration");
	PROBLEM(WITH(", 'classes': [7]"), "/classes/0", "is not an object");
	PROBLEM(WITH(", 'classes': [{'code': 5, 'class': 'retry'}]"), "/classes/0",
			"response has no pointer");
}

static void
keys(void)
{
	FINE(WITH(", 'idempotency': 'header:Idempotency-Key'"));
	FINE(WITH(", 'idempotency': {'key': 'none'}"));
	FINE(WITH_KEY("'json': {'a': 1}", "json:/b/c"));
	FINE(WITH_KEY("'form': {'a': '1'}", "echo:/v:key"));
	FINE(WITH_KEY("'form': {'a': {'b': 1}}", "json:/a/c"));
	FINE(WITH(", 'idempotency': {'key': 'none', 'valid_for': '30min', 'conflict': 'sent'}"));
	PROBLEM(WITH(", 'idempotency': {}"), "/idempotency", "says neither");
	PROBLEM(WITH(", 'idempotency': 'cookie:a'"), "/idempotency", "says neither");
	PROBLEM(WITH(", 'idempotency': {'key': 'json:a'}"), "/idempotency", "says neither");
	PROBLEM(WITH(", 'idempotency': {'key': 'none', 'valid_for': '-1h'}"), "/idempotency/valid_for",
			"is not a duration");
	PROBLEM(WITH(", 'idempotency': {'key': 'none', 'conflict': 'lost'}"), "/idempotency",
			"another conflict");
	/* nothing to put it into, an array on the way, there already */
	PROBLEM(WITH(", 'idempotency': {'key': 'json:/ref'}"), "/operations/text", "no room");
	PROBLEM(WITH_KEY("'json': {'a': [1]}", "json:/a/b"), "/operations/text", "no room");
	PROBLEM(WITH_KEY("'json': {'a': 1}", "echo:/a"), "/operations/text", "no room");
	PROBLEM(WITH_KEY("'headers': {'Key': 'a'}", "header:Key"), "/operations/text", "no room");
}

/* In a line, and valid UTF-8: the server keeps it as a text. */
static void
problems_are_printable(void)
{
	char text[2048] = "{\"";

	for (int i = 0; i < 600; i++)
		strcat(text, "\xc3\xa9");
	strcat(text, "\": 1, \"a\\nb\": 2}");
	CHECK(compile(text, strlen(text)) == NULL);
	CHECK_INT(problems.n, 3);
	for (int i = 0; i < 2; i++)
		for (const char *c = problems.pointers[i]; *c != '\0'; c++)
			CHECK(*c == '/' || *c == 'a' || *c == ' ' || *c == 'b' || *c == '?' || *c == '\xc3' ||
				  *c == '\xa9');
	CHECK_TEXT(problems.pointers[1], "/a b");
	/* its last character was cut */
	CHECK_TEXT(problems.pointers[0] + strlen(problems.pointers[0]) - 3, "\xc3\xa9?");
}

/* What stands behind the placeholders of requests. */
static void
lookups(void)
{
	Definition *d = compile_literal(
		"{'channels': ['SMS', 'EMAIL'], 'address': {'SMS': '{{digits}}'},"
		" 'options': {'from': {'required': true, 'default': 'x', 'values': ['x', 'y']}},"
		" 'operations': {'text': {'url': 'https://a.example'},"
		" 'email': {'url': 'https://b.example'}},"
		" 'idempotency': {'key': 'header:Key', 'valid_for': '24h'}, 'limits': {'max_rate': 2.5}}");

	CHECK_TEXT(d->channels[1], "EMAIL");
	CHECK(d->channels[2] == NULL);
	CHECK(definition_address(d, "sms") != NULL);
	CHECK(definition_address(d, "EMAIL") == NULL);
	CHECK(d->honours_key);
	CHECK_INT(d->key_valid_s, 24 * 3600);
	CHECK_INT(d->options.n, 2);
	CHECK_TEXT(d->options.list[0].otherwise, "x");
	CHECK_TEXT(d->options.list[1].name, "url");
	CHECK(d->options.list[1].required);
	CHECK_TEXT(d->limits.list[0].otherwise, "2.5");
	definition_free(d);
}

static void
classes(void)
{
	static const char *const names[] = {
		"sent",		"duplicate",	"held",		 "retry",		  "slow_down",		  "later",
		"refused",	"dead_address", "opted_out", "window_closed", "template_stopped", "stopped",
		"uncertain"};

	CHECK_INT(CLASS_COUNT, sizeof(names) / sizeof(names[0]));
	for (int i = 0; i < CLASS_COUNT; i++)
	{
		const ClassFacts *facts = &cadence_classes[i];

		CHECK_TEXT(facts->name, names[i]);
		CHECK_INT(cadence_class_named(names[i]), i);
		/* what was not sent has a reason, and what is put off has a time */
		CHECK((facts->code == NULL) == (facts->outcome == OUTCOME_SENT));
		CHECK(facts->outcome != OUTCOME_PUT_OFF || facts->wait_s > 0);
		CHECK(facts->outcome != OUTCOME_PENDING);
	}
	CHECK_INT(cadence_class_named("lost"), CLASS_COUNT);
	CHECK_INT(cadence_class_named(""), CLASS_COUNT);
	CHECK_INT(cadence_classes[CLASS_RETRY].outcome, OUTCOME_FAILED);
	CHECK_INT(cadence_classes[CLASS_DUPLICATE].outcome, OUTCOME_SENT);
	CHECK_INT(cadence_classes[CLASS_OPTED_OUT].outcome, OUTCOME_STOPPED);
	CHECK_INT(cadence_classes[CLASS_UNCERTAIN].outcome, OUTCOME_UNCERTAIN);
	CHECK_INT(cadence_classes[CLASS_STOPPED].outcome, OUTCOME_PUT_OFF);
	CHECK_INT(cadence_classes[CLASS_DEAD_ADDRESS].outcome, OUTCOME_REFUSED);
}

int
main(void)
{
	RUN_GROUP("definition: all of protocols/ compile", files);
	RUN_GROUP("definition: no JSON, duplicates", whole);
	RUN_GROUP("definition: too long", too_long);
	RUN_GROUP("definition: all problems at once", all_at_once);
	RUN_GROUP("definition: unknown members", unknown_members);
	RUN_GROUP("definition: wrong types", wrong_types);
	RUN_GROUP("definition: options and secrets", options);
	RUN_GROUP("definition: hosts", hosts);
	RUN_GROUP("definition: channels", channels);
	RUN_GROUP("definition: operations", operations);
	RUN_GROUP("definition: placeholders", placeholders);
	RUN_GROUP("definition: addresses", addresses);
	RUN_GROUP("definition: order", order);
	RUN_GROUP("definition: places in answers", places);
	RUN_GROUP("definition: rules", rules);
	RUN_GROUP("definition: the idempotency key", keys);
	RUN_GROUP("definition: problems can be printed", problems_are_printable);
	RUN_GROUP("definition: what is looked up", lookups);
	RUN_GROUP("class: the table is complete", classes);
	return check_result();
}
