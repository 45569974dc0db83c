/*
 * request_builder_test.c
 *		From definitions and values to requests, to the byte.
 */
#include "rules/request_builder.h"

#include <strings.h>

#include "check.h"
#include "definition_tools.h"

static Definition *definition;
static const char *values[VALUES_MAX];

/* One after the other: each takes the place of the one before, without its values. */
static void
use(Definition *d)
{
	definition_free(definition);
	definition = d;
	memset(values, 0, sizeof(values));
	if (d == NULL)
		exit(2);
}

static void
set(const char *name, const char *value)
{
	values[number_of(definition, name)] = value;
}

static BuiltRequest
build(const char *name, const char *channel)
{
	const DefinitionOperation *op = definition_operation(definition, name, channel, values);
	BuiltRequest request;

	if (op == NULL || !request_build(op, values, &request))
		memset(&request, 0, sizeof(request));
	return request;
}

static const char *
header_of(const BuiltRequest *request, const char *name)
{
	size_t len = strlen(name);

	for (char **line = request->headers; line != NULL && *line != NULL; line++)
		if (strncasecmp(*line, name, len) == 0 && (*line)[len] == ':')
			return *line;
	return NULL;
}

/* Of operation "text" for SMS; quotes of JSON are written '. */
static void
check_body(const char *expected, int line)
{
	BuiltRequest request = build("text", "SMS");
	char *json = expected != NULL ? json_of(expected) : NULL;

	check_text(request.body, json, __FILE__, line, "body");
	check_int(request.body_len, json != NULL ? strlen(json) : 0, __FILE__, line, "body_len");
	request_free(&request);
	free(json);
}

#define BODY(expected) check_body(expected, __LINE__)

static void
check_url(const char *expected, int line)
{
	BuiltRequest request = build("text", "SMS");

	check_text(request.url, expected, __FILE__, line, "url");
	request_free(&request);
}

#define URL(expected) check_url(expected, __LINE__)

#define WITH_OPERATION(members)                                              \
	"{'channels': ['SMS'], 'options': {'line': {}}, 'secrets': {'key': {}}," \
	" 'operations': {'text': {'url': '{{option.url}}/m', " members "}}}"

static void
use_operation(const char *literal)
{
	use(compile_literal(literal));
	set("option.url", "https://api.example");
}

/* ---- webhook ---------------------------------------------------------------------------- */

static void
use_webhook(void)
{
	use(compile_protocol("webhook"));
	set("option.url", "https://crm.example/send/");
	set("lead_id", "lead-1");
	set("recipient", "+5511999990000");
	set("message", "Oi \"Ana\"\n\\o/ \xf0\x9f\x8e\x89 \x01\x7f");
	set("empresa", "BLUE");
	set("run_id", "00000000-0000-0000-0000-000000000001");
	set("step", "2");
	set("template_code", "OLA");
	set("channel", "WHATSAPP");
}

static void
check_webhook(const char *name, const char *channel, const char *expected, int line)
{
	BuiltRequest request = build(name, channel);

	check_text(request.body, expected, __FILE__, line, name);
	request_free(&request);
}

#define WEBHOOK(name, channel, expected) check_webhook(name, channel, expected, __LINE__)

static void
webhook_body(void)
{
	use_webhook();
	WEBHOOK("text", "WHATSAPP",
			"{\"leadId\":\"lead-1\",\"telefone\":\"+5511999990000\","
			"\"mensagem\":\"Oi \\\"Ana\\\"\\n\\\\o/ \xf0\x9f\x8e\x89 \\u0001\x7f\","
			"\"empresa\":\"BLUE\",\"runId\":\"00000000-0000-0000-0000-000000000001\","
			"\"stepOrdem\":2,\"templateCodigo\":\"OLA\",\"canal\":\"WHATSAPP\"}");
	set("channel", "email");
	set("recipient", "ana@example.com");
	set("message", "");
	WEBHOOK("email", "email",
			"{\"leadId\":\"lead-1\",\"email\":\"ana@example.com\",\"mensagem\":\"\","
			"\"empresa\":\"BLUE\",\"runId\":\"00000000-0000-0000-0000-000000000001\","
			"\"stepOrdem\":2,\"templateCodigo\":\"OLA\",\"canal\":\"email\"}");
}

static void
webhook_nulls(void)
{
	use(compile_protocol("webhook"));
	set("option.url", "https://crm.example/send");
	set("step", "-1");
	set("channel", "SMS");
	WEBHOOK("text", "SMS",
			"{\"leadId\":null,\"telefone\":null,\"mensagem\":null,\"empresa\":null,"
			"\"runId\":null,\"stepOrdem\":-1,\"templateCodigo\":null,\"canal\":\"SMS\"}");
	WEBHOOK("email", "EMAIL",
			"{\"leadId\":null,\"email\":null,\"mensagem\":null,\"empresa\":null,"
			"\"runId\":null,\"stepOrdem\":-1,\"templateCodigo\":null,\"canal\":\"SMS\"}");
}

/* Its own address is the user's: not a byte of it is changed. */
static void
webhook_headers(void)
{
	BuiltRequest request;

	use_webhook();
	set("key", "00000000-0000-0000-0000-0000000000aa");
	request = build("text", "WHATSAPP");
	CHECK_TEXT(request.method, "POST");
	CHECK_TEXT(request.url, "https://crm.example/send/");
	CHECK_TEXT(header_of(&request, "Content-Type"),
			   "Content-Type: application/json; charset=utf-8");
	CHECK_TEXT(header_of(&request, "Accept"), "Accept: application/json");
	CHECK_TEXT(header_of(&request, "Idempotency-Key"),
			   "Idempotency-Key: 00000000-0000-0000-0000-0000000000aa");
	CHECK(header_of(&request, "Authorization") == NULL);
	request_free(&request);
	set("secret.bearer_token", "t0k");
	request = build("text", "WHATSAPP");
	CHECK_TEXT(header_of(&request, "Authorization"), "Authorization: Bearer t0k");
	request_free(&request);
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void
json_types(void)
{
	use_operation(WITH_OPERATION(
		"'json': {'s': '{{message}}', 'n': '{{step}}', 't': 'passo {{step}}',"
		" 'a': '{{template.components}}', 'o': '{{template.variables}}', 'l': [1, 2.5, true, null],"
		" 'x': 'a\\\\b', 'f': '{{subject|nada}}'}, 'order': ['s','n','t','a','o','l','x','f']"));
	set("message", "12");
	set("step", "7");
	set("template.components", "[ [7] ]");
	set("template.variables", "{ }");
	BODY("{'s':'12','n':7,'t':'passo 7','a':[ [7] ],'o':{ },"
		 "'l':[1,2.5,true,null],'x':'a\\\\b','f':'nada'}");
	set("subject", "Oi");
	set("message", "{{step}} \"x\"");
	set("template.components", "");
	set("template.variables", NULL);
	{
		BuiltRequest request = build("text", "SMS");

		/* a value is never read for placeholders; what is ordered stays as null */
		CHECK_TEXT(request.body, "{\"s\":\"{{step}} \\\"x\\\"\",\"n\":7,\"t\":\"passo 7\","
								 "\"a\":null,\"o\":null,\"l\":[1,2.5,true,null],"
								 "\"x\":\"a\\\\b\",\"f\":\"Oi\"}");
		request_free(&request);
	}
}

static void
json_left_out(void)
{
	use_operation(WITH_OPERATION(
		"'json': {'to': [{'email': '{{recipient}}', 'name': '{{lead_id}}'}],"
		" 'reply': {'deep': {'email': '{{option.line}}'}}, 'cc': ['{{html}}', '{{subject}}'],"
		" 'empty': {}, 'none': [], 'both': '{{subject}} {{html}}'}"));
	set("recipient", "a@b.c");
	BODY("{'to':[{'email':'a@b.c'}],'empty':{},'none':[]}");
	set("subject", "s");
	BODY("{'to':[{'email':'a@b.c'}],'cc':['s'],'empty':{},'none':[]}");
	set("option.line", "r");
	set("html", "h");
	BODY("{'to':[{'email':'a@b.c'}],'reply':{'deep':{'email':'r'}},'cc':['h','s'],"
		 "'empty':{},'none':[],'both':'s h'}");
}

/* What else stands in an array's element is there for its values; a member of an object stays. */
static void
json_elements_left_out(void)
{
	use_operation(WITH_OPERATION(
		"'json': {'parts': [{'type': 'plain', 'value': '{{message}}'},"
		" {'type': 'html', 'value': {'of': '{{html}}', 'or': '{{subject}}'}}, {'type': 'end'}],"
		" 'headers': [{'name': 'A', 'value': '<{{unsubscribe_url}}>'}, ['B', '{{html}}']],"
		" 'one': {'type': 'plain', 'value': '{{message}}'},"
		" 'deep': [{'x': [{'y': 1, 'z': '{{html}}'}], 'to': '{{recipient}}'}],"
		" 'otherwise': [{'type': 'a', 'value': '{{html|none}}'}]}"));
	BODY("{'parts':[{'type':'end'}],'one':{'type':'plain'},"
		 "'otherwise':[{'type':'a','value':'none'}]}");
	set("message", "");
	BODY("{'parts':[{'type':'end'}],'one':{'type':'plain'},"
		 "'otherwise':[{'type':'a','value':'none'}]}");
	set("message", "m");
	set("subject", "s");
	set("recipient", "r");
	BODY("{'parts':[{'type':'plain','value':'m'},{'type':'html','value':{'or':'s'}},"
		 "{'type':'end'}],'one':{'type':'plain','value':'m'},'deep':[{'to':'r'}],"
		 "'otherwise':[{'type':'a','value':'none'}]}");
	set("html", "h");
	set("unsubscribe_url", "u");
	BODY("{'parts':[{'type':'plain','value':'m'},{'type':'html','value':{'of':'h','or':'s'}},"
		 "{'type':'end'}],'headers':[{'name':'A','value':'<u>'},['B','h']],"
		 "'one':{'type':'plain','value':'m'},'deep':[{'x':[{'y':1,'z':'h'}],'to':'r'}],"
		 "'otherwise':[{'type':'a','value':'h'}]}");
	/* JSON inside a form is the same */
	use_operation(WITH_OPERATION("'form': {'l': [{'t': 1, 'v': '{{html}}'}], 'a': '1'}"));
	BODY("a=1");
	set("html", "h");
	BODY("l=%5B%7B%22t%22%3A1%2C%22v%22%3A%22h%22%7D%5D&a=1");
}

/* What stands for JSON is JSON, and no text. */
static void
json_fallbacks(void)
{
	use_operation(WITH_OPERATION(
		"'json': {'a': '{{template.components|[]}}', 'v': '{{template.variables|null}}',"
		" 'e': '{{template.components|}}', 't': 'x{{template.components|[]}}'}"));
	BODY("{'a':[],'v':null,'e':null,'t':'x[]'}");
	set("template.components", "");
	set("template.variables", "");
	BODY("{'a':[],'v':null,'e':null,'t':'x[]'}");
	set("template.components", "[1]");
	set("template.variables", "{'a': 2}");
	BODY(NULL);
	set("template.variables", "{\"a\": 2}");
	BODY("{'a':[1],'v':{'a': 2},'e':[1],'t':'x[1]'}");
}

static void
json_whole(void)
{
	use_operation(WITH_OPERATION("'json': '{{message}}'"));
	BODY("null");
	set("message", "x");
	BODY("'x'");
	use_operation(WITH_OPERATION("'json': {'a': '{{message}}'}"));
	BODY("{}");
	use_operation(WITH_OPERATION("'json': [['{{message}}'], 1]"));
	BODY("[1]");
	use_operation(WITH_OPERATION("'json': {'k\\\"é': 1}"));
	{
		BuiltRequest request = build("text", "SMS");

		CHECK_TEXT(request.body, "{\"k\\\"é\":1}");
		request_free(&request);
	}
}

static void
json_order(void)
{
	use_operation(WITH_OPERATION("'json': {'a': 1, 'b': '{{message}}', 'c': '{{subject}}'},"
								 " 'order': ['c', 'a']"));
	BODY("{'c':null,'a':1}");
	set("message", "m");
	BODY("{'c':null,'a':1,'b':'m'}");
}

static void
json_in_json(void)
{
	static const char *const bad[] = {"[]},\"to\":\"2",	   "[]]", "x", "[1",
									  "{\"a\":1,\"a\":2}", "1 2"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		use_operation(WITH_OPERATION("'json': {'to': '1', 'all': '{{template.components}}'}"));
		set("template.components", bad[i]);
		BODY(NULL);
		CHECK(!request_value_is_json(bad[i]));
	}
	set("template.components", "[{\"a\": [1.50, 12345678901234567890123]}]");
	BODY("{'to':'1','all':[{'a': [1.50, 12345678901234567890123]}]}");
	set("template.components", "");
	BODY("{'to':'1'}");
	use_operation(WITH_OPERATION("'json': '{{template.components}}'"));
	set("template.components", "");
	BODY("null");
}

static void
not_utf8(void)
{
	static const char *const bad[] = {"\xff\xfe", "cortado \xc3", "\xed\xa0\x80", "\xc0\x80",
									  "\xf5\x80\x80\x80"};

	for (int i = 0; i < 5; i++)
	{
		use_operation(WITH_OPERATION("'json': {'a': {'b': 'x{{message}}'}}"));
		set("message", bad[i]);
		BODY(NULL);
		URL(NULL);
		use_operation(WITH_OPERATION("'form': {'a': {'b': '{{message}}'}}"));
		set("message", bad[i]);
		BODY(NULL);
		use_webhook();
		set("lead_id", bad[i]);
		WEBHOOK("text", "SMS", NULL);
	}
}

/* ---- URL, query, form --------------------------------------------------------------------- */

static void
urls(void)
{
	use_operation("{'channels': ['SMS'], 'options': {'line': {}}, 'operations': {'text': {'url':"
				  " '{{option.url}}/v1/{{option.line}}/{{recipient}}/a b'}}}");
	URL(NULL);
	set("option.line", "a/../b?c#d");
	set("recipient", "ção-_.~+%");
	URL("https://api.example/v1/a%2F..%2Fb%3Fc%23d/%C3%A7%C3%A3o-_.~%2B%25/a b");
	set("option.url", "https://api.example/base//");
	set("recipient", "x");
	URL("https://api.example/base/v1/a%2F..%2Fb%3Fc%23d/x/a b");
	use_operation("{'channels': ['SMS'], 'operations': {'text': {'url': '{{option.url}}'}}}");
	set("option.url", "https://api.example/hook/?a=b");
	URL("https://api.example/hook/?a=b");
	set("option.url", NULL);
	URL(NULL);
	use_operation("{'channels': ['SMS'], 'options': {'line': {}},"
				  " 'operations': {'text': {'url': 'https://x.example/{{option.line|padrão}}'}}}");
	URL("https://x.example/padrão");
	set("option.line", "l");
	URL("https://x.example/l");
}

static void
queries(void)
{
	use_operation(WITH_OPERATION("'query': {'to': '{{recipient}}', 'a&b': 'x={{message}}',"
								 " 'k': '{{secret.key}}'}"));
	URL("https://api.example/m");
	set("recipient", "+55 11");
	URL("https://api.example/m?to=%2B55%2011");
	set("message", "a&b=c\r\n");
	set("secret.key", "\xc3\xa9");
	URL("https://api.example/m?to=%2B55%2011&a%26b=x%3Da%26b%3Dc%0D%0A&k=%C3%A9");
	use_operation("{'channels': ['SMS'], 'operations': {'text': {"
				  "'url': 'https://x.example/?v=1', 'query': {'a': '{{message}}'}}}}");
	set("message", "m");
	URL("https://x.example/?v=1&a=m");
}

static void
forms(void)
{
	BuiltRequest request;

	use_operation(WITH_OPERATION("'form': {'To': '{{recipient}}', 'Body': '{{message}}',"
								 " 'h:Reply-To': '{{option.line}}'}"));
	set("recipient", "whatsapp:+5511");
	BODY("To=whatsapp%3A%2B5511");
	set("message", "a&b é\n");
	set("option.line", "r@s");
	BODY("To=whatsapp%3A%2B5511&Body=a%26b%20%C3%A9%0A&h%3AReply-To=r%40s");
	/* what a form is, the transport says */
	request = build("text", "SMS");
	CHECK(header_of(&request, "Content-Type") == NULL);
	request_free(&request);
}

static void
forms_with_json(void)
{
	use_operation(
		WITH_OPERATION("'form': {'m': {'t': 'text', 'x': '{{message}}',"
					   " 'n': '{{step}}'}, 'o': {'y': '{{subject}}'}, 'l': ['{{html}}']}"));
	set("message", "\"a\"&\n");
	set("step", "3");
	BODY("m=%7B%22t%22%3A%22text%22%2C%22x%22%3A%22%5C%22a%5C%22%26%5Cn%22%2C%22n%22%3A3%7D");
	set("html", "b");
	BODY("m=%7B%22t%22%3A%22text%22%2C%22x%22%3A%22%5C%22a%5C%22%26%5Cn%22%2C%22n%22%3A3%7D"
		 "&l=%5B%22b%22%5D");
}

/* ---- headers ------------------------------------------------------------------------------ */

static void
headers(void)
{
	BuiltRequest request;

	use_operation(WITH_OPERATION("'headers': {'X-Key': 'k {{secret.key}}', 'X-Fixed': 'é',"
								 " 'X-None': '<{{unsubscribe_url}}>'}, 'json': {}"));
	set("secret.key", "a b");
	request = build("text", "SMS");
	CHECK_TEXT(header_of(&request, "X-Key"), "X-Key: k a b");
	CHECK_TEXT(header_of(&request, "X-Fixed"), "X-Fixed: é");
	CHECK(header_of(&request, "X-None") == NULL);
	CHECK_TEXT(header_of(&request, "Content-Type"), "Content-Type: application/json");
	request_free(&request);

	use_operation(WITH_OPERATION("'headers': {'content-type': 'application/x'}, 'json': {}"));
	request = build("text", "SMS");
	CHECK_TEXT(request.headers[0], "content-type: application/x");
	CHECK(request.headers[1] == NULL);
	request_free(&request);
}

static void
headers_with_control_characters(void)
{
	static const char *const bad[] = {"a\r\nX: b", "a\n", "\x01", "a\tb", "\x7f"};

	for (int i = 0; i < 5; i++)
	{
		use_operation(WITH_OPERATION("'headers': {'A': '{{step}}', 'X-Lead': '{{lead_id}}'}"));
		set("step", "1");
		set("lead_id", bad[i]);
		URL(NULL);
		set("lead_id", "well");
		URL("https://api.example/m");
	}
}

/* ---- operations --------------------------------------------------------------------------- */

static void
check_operation(const char *name, const char *channel, const char *expected, int line)
{
	const DefinitionOperation *op = definition_operation(definition, name, channel, values);

	check_text(op != NULL ? op->name : NULL, expected, __FILE__, line, name);
}

#define OPERATION(name, channel, expected) check_operation(name, channel, expected, __LINE__)

static void
operations(void)
{
	use(compile_literal(
		"{'channels': ['WHATSAPP', 'SMS', 'EMAIL'], 'options': {'fast': {}}, 'operations': {"
		" 'text': {'url': 'https://a.example'}, 'text@SMS': {'url': 'https://b.example'},"
		" 'email': {'url': 'https://c.example'}, 'email.html': {'url': 'https://d.example'},"
		" 'media': {'url': 'https://e.example'}, 'media.image': {'url': 'https://f.example'},"
		" 'media@SMS': {'url': 'https://g.example'}, 'template': {'url': 'https://h.example'},"
		" 'template.marketing': {'url': 'https://i.example',"
		"                        'when': {'option': 'fast', 'value': 'on'}}}}"));
	OPERATION("text", "WHATSAPP", "text");
	OPERATION("text", "SMS", "text@SMS");
	OPERATION("text", "sms", "text@SMS");
	OPERATION("email", "EMAIL", "email");
	OPERATION("email.html", "EMAIL", "email.html");
	OPERATION("media.image", "WHATSAPP", "media.image");
	OPERATION("media.video", "WHATSAPP", "media");
	OPERATION("media.video", "SMS", "media@SMS");
	OPERATION("template.marketing", "WHATSAPP", "template");
	set("option.fast", "off");
	OPERATION("template.marketing", "WHATSAPP", "template");
	set("option.fast", "ON");
	OPERATION("template.marketing", "WHATSAPP", "template.marketing");
	OPERATION("template.utility", "WHATSAPP", "template");
	OPERATION("voice", "SMS", NULL);
}

static void
addresses(void)
{
	char *text;

	use(compile_protocol("twilio"));
	set("e164", "+5511");
	text = definition_render(definition_address(definition, "whatsapp"), values);
	CHECK_TEXT(text, "whatsapp:+5511");
	free(text);
	text = definition_render(definition_address(definition, "SMS"), values);
	CHECK_TEXT(text, "+5511");
	free(text);
	set("e164", NULL);
	CHECK(definition_render(definition_address(definition, "SMS"), values) == NULL);
}

static void
check_shipped(const char *name, const char *expected, int line)
{
	BuiltRequest request = build(name, "EMAIL");
	char *json = json_of(expected);

	check_text(request.body, json, __FILE__, line, name);
	request_free(&request);
	free(json);
}

#define SHIPPED(name, expected) check_shipped(name, expected, __LINE__)

/* A part that has no content is none: SendGrid refuses the whole mail for one. */
static void
mail_with_and_without_html(void)
{
	use(compile_protocol("sendgrid"));
	set("option.url", "https://api.example");
	set("option.from", "v@a.example");
	set("recipient", "a@b.c");
	set("message", "oi");
	set("html", "");
	SHIPPED("email.html", "{'personalizations':[{'to':[{'email':'a@b.c'}]}],"
						  "'from':{'email':'v@a.example'},"
						  "'content':[{'type':'text/plain','value':'oi'}]}");
	set("message", "");
	set("html", "<p>");
	SHIPPED("email.html", "{'personalizations':[{'to':[{'email':'a@b.c'}]}],"
						  "'from':{'email':'v@a.example'},"
						  "'content':[{'type':'text/html','value':'<p>'}]}");
	set("message", "oi");
	set("key", "k");
	set("unsubscribe_url", "https://u");
	set("option.reply_to", "r@a.example");
	SHIPPED("email.html",
			"{'personalizations':[{'to':[{'email':'a@b.c'}],'custom_args':{'cadence_key':'k'}}],"
			"'from':{'email':'v@a.example'},'reply_to':{'email':'r@a.example'},"
			"'content':[{'type':'text/plain','value':'oi'},{'type':'text/html','value':'<p>'}],"
			"'headers':{'List-Unsubscribe':'<https://u>'}}");
	use(compile_protocol("postmark"));
	set("option.url", "https://api.example");
	set("recipient", "a@b.c");
	set("message", "oi");
	SHIPPED("email.html", "{'To':'a@b.c','TextBody':'oi'}");
	set("html", "<p>");
	SHIPPED("email.html", "{'To':'a@b.c','TextBody':'oi','HtmlBody':'<p>'}");
	set("unsubscribe_url", "https://u");
	set("unsubscribe_post", "List-Unsubscribe=One-Click");
	set("key", "k");
	SHIPPED("email", "{'To':'a@b.c','TextBody':'oi','HtmlBody':'<p>','Headers':["
					 "{'Name':'List-Unsubscribe','Value':'<https://u>'},"
					 "{'Name':'List-Unsubscribe-Post','Value':'List-Unsubscribe=One-Click'}],"
					 "'Metadata':{'cadence_key':'k'}}");
}

static void
templates(void)
{
	BuiltRequest request;

	use(compile_protocol("whatsapp_cloud"));
	set("option.url", "https://graph.example");
	set("option.version", "v24.0");
	set("option.phone_number_id", "1");
	set("recipient", "+55");
	set("template.name", "oi");
	set("template.language", "pt_BR");
	request = build("template.marketing", "WHATSAPP");
	CHECK_TEXT(request.url, "https://graph.example/v24.0/1/messages");
	request_free(&request);
	set("option.marketing_messages", "on");
	set("template.components", "[{}]");
	request = build("template.marketing", "WHATSAPP");
	CHECK_TEXT(request.url, "https://graph.example/v24.0/1/marketing_messages");
	CHECK_TEXT(request.body,
			   "{\"messaging_product\":\"whatsapp\",\"recipient_type\":\"individual\","
			   "\"to\":\"+55\",\"type\":\"template\",\"template\":{\"name\":\"oi\","
			   "\"language\":{\"policy\":\"deterministic\",\"code\":\"pt_BR\"},"
			   "\"components\":[{}]}}");
	request_free(&request);
}

/* Whose parameters Infobip wants to see, also where there are none. */
static void
templates_of_brokers(void)
{
	BuiltRequest request;

	use(compile_protocol("infobip"));
	set("option.url", "https://api.example");
	set("template.name", "oi");
	request = build("template", "WHATSAPP");
	CHECK_TEXT(request.body, "{\"messages\":[{\"content\":{\"templateName\":\"oi\","
							 "\"templateData\":{\"body\":{\"placeholders\":[]}}}}]}");
	request_free(&request);
	set("template.components", "[\"Ana\"]");
	request = build("template", "WHATSAPP");
	CHECK_TEXT(request.body, "{\"messages\":[{\"content\":{\"templateName\":\"oi\","
							 "\"templateData\":{\"body\":{\"placeholders\":[\"Ana\"]}}}}]}");
	request_free(&request);
	use(compile_protocol("zenvia"));
	set("option.url", "https://api.example");
	set("option.from", "acme");
	set("recipient", "55");
	set("template.name", "t1");
	request = build("template", "SMS");
	CHECK_TEXT(request.url, "https://api.example/channels/sms/messages");
	CHECK_TEXT(request.body, "{\"from\":\"acme\",\"to\":\"55\",\"contents\":"
							 "[{\"type\":\"template\",\"templateId\":\"t1\"}]}");
	request_free(&request);
}

/* A document's kind stands in Z-API's address. */
static void
documents(void)
{
	BuiltRequest request;

	use(compile_protocol("zapi"));
	set("option.url", "https://api.example");
	set("option.instance", "i");
	set("secret.token", "t");
	request = build("media.document", "WHATSAPP");
	CHECK_TEXT(request.url, "https://api.example/instances/i/token/t/send-document/pdf");
	request_free(&request);
	set("media.extension", "docx");
	request = build("media.document", "WHATSAPP");
	CHECK_TEXT(request.url, "https://api.example/instances/i/token/t/send-document/docx");
	request_free(&request);
}

/* News stand in the body as they are. */
static void
news(void)
{
	BuiltRequest request;

	use(compile_protocol("webhook"));
	set("option.url", "https://hub.example/x");
	set("key", "k");
	set("event", "{\"event\": \"reply\", \"details\": {\"texto\": \"\\\"}\"}}");
	request = build("event", "EVENTOS");
	CHECK_TEXT(request.url, "https://hub.example/x");
	CHECK_TEXT(request.body, "{\"event\": \"reply\", \"details\": {\"texto\": \"\\\"}\"}}");
	request_free(&request);
}

/* With all that a message can bring, and with no more than must be: whole requests. */
static void
shipped_operations(void)
{
	for (int i = 0; shipped[i] != NULL; i++)
	{
		use(compile_protocol(shipped[i]));
		for (size_t k = 0; k < FIELD_COUNT + definition->options.n + definition->secrets.n; k++)
			values[k] = "v";
		set("option.url", "https://api.example");
		set("step", "1");
		set("template.components", "[]");
		set("template.variables", "{}");
		set("event", "{}");
		for (size_t k = 0; k < definition->noperations; k++)
		{
			BuiltRequest request;

			check_note(request_build(&definition->operations[k], values, &request), __FILE__,
					   __LINE__, shipped[i]);
			request_free(&request);
		}
	}
}

int
main(void)
{
	RUN_GROUP("request: webhook's body, to the byte", webhook_body);
	RUN_GROUP("request: webhook's nulls", webhook_nulls);
	RUN_GROUP("request: webhook's address and headers", webhook_headers);
	RUN_GROUP("request: types in JSON", json_types);
	RUN_GROUP("request: JSON without what has no value", json_left_out);
	RUN_GROUP("request: arrays without elements that have no value", json_elements_left_out);
	RUN_GROUP("request: what stands for JSON", json_fallbacks);
	RUN_GROUP("request: JSON that is one value, or none", json_whole);
	RUN_GROUP("request: members in an order", json_order);
	RUN_GROUP("request: what is JSON already", json_in_json);
	RUN_GROUP("request: texts that are not UTF-8 make none", not_utf8);
	RUN_GROUP("request: addresses", urls);
	RUN_GROUP("request: queries", queries);
	RUN_GROUP("request: forms", forms);
	RUN_GROUP("request: JSON inside a form", forms_with_json);
	RUN_GROUP("request: headers", headers);
	RUN_GROUP("request: a control character in a header makes none",
			  headers_with_control_characters);
	RUN_GROUP("request: operations by channel, kind and option", operations);
	RUN_GROUP("request: how a recipient is written", addresses);
	RUN_GROUP("request: mail with and without html", mail_with_and_without_html);
	RUN_GROUP("request: approved templates", templates);
	RUN_GROUP("request: approved templates of infobip and zenvia", templates_of_brokers);
	RUN_GROUP("request: documents", documents);
	RUN_GROUP("request: news", news);
	RUN_GROUP("request: all operations of protocols/", shipped_operations);
	definition_free(definition);
	return check_result();
}
