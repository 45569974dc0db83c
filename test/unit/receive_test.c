/*
 * receive_test.c
 *		A definition's "receive": what is wrong with it, and how rules read a body.
 */
#include "check.h"
#include "receive_tools.h"

#include <time.h>

#define WITH(receive)                                                                             \
	"{'channels':['SMS'],'secrets':{'s':{},'u':{},'path_secret':{}},'operations':{'text':{'url':" \
	"'{{option.url}}','form':{'m':'{{message}}'}}},'receive':" receive "}"
#define EVENTS(events) WITH("{'international':true,'events':[" events "]}")

/* ---- problems ---------------------------------------------------------------------------- */

static char problems[4096];

static void
note_problem(void *arg, const char *pointer, const char *problem)
{
	size_t len = strlen(problems);

	(void) arg;
	snprintf(problems + len, sizeof(problems) - len, "%s%s: %s", len > 0 ? "; " : "", pointer,
			 problem);
}

static void
has_problem(const char *literal, const char *part, const char *file, int line)
{
	char *text = json_of(literal);
	Definition *d;

	problems[0] = '\0';
	d = definition_compile(text, strlen(text), note_problem, NULL);
	if (!check_note(d == NULL && strstr(problems, part) != NULL, file, line, literal))
		printf("#   says \"%s\", should say \"%s\"\n", problems, part);
	definition_free(d);
	free(text);
}

#define PROBLEM(literal, part) has_problem((literal), (part), __FILE__, __LINE__)
#define RULE "{'event':'receipt','fields':{'id':'/id','state':'/state'}}"

static void
problems_of_the_whole(void)
{
	PROBLEM(WITH("[]"), "/receive: is not an object");
	PROBLEM(WITH("{}"), "/receive: has no events");
	PROBLEM(WITH("{'event':[" RULE "]}"), "/receive/event: is no member that is known here");
	PROBLEM(WITH("{'events':[]}"), "/receive/events: is not an array of 1 to");
	PROBLEM(WITH("{'events':{}}"), "/receive/events: is not an array of 1 to");
	PROBLEM(WITH("{'body':'xml','events':[" RULE "]}"), "/receive/body: is none of json");
	PROBLEM(WITH("{'answer':{'status':404},'events':[" RULE "]}"),
			"/receive/answer/status: is no status of success");
	PROBLEM(WITH("{'scrub':['apikey'],'events':[" RULE "]}"), "/receive/scrub: \"apikey\" is no");
	PROBLEM("{'channels':['SMS'],'operations':{'text':{'url':'{{option.url}}'}},'receive':{"
			"'events':[" RULE "]}}",
			"/receive: has no signature, nor has the definition a secret path_secret");
}

static void
problems_of_rules(void)
{
	PROBLEM(EVENTS("{'event':'mesage','fields':{}}"), "/receive/events/0/event: \"mesage\" is no");
	PROBLEM(EVENTS("{'fields':{'id':'/id'}}"), "has not one of event, ignore, reject and events");
	PROBLEM(EVENTS("{'reject':'x','ignore':'x'}"), "has not one of event, ignore, reject and");
	PROBLEM(EVENTS("{'when':{'/a':{'is_not_option':'sesion'}},'reject':'x'}"),
			"/receive/events/0/when/~1a/is_not_option: \"sesion\" is no option");
	PROBLEM(EVENTS("{'when':{'/a':{'is_not_option':1}},'reject':'x'}"), "\"\" is no option");
	PROBLEM(EVENTS("{'event':'echo','ignore':'x'}"),
			"has not one of event, ignore, reject and events");
	PROBLEM(EVENTS("{'ignore':'x','fields':{'id':'/id'}}"), "has fields, but is no event");
	PROBLEM(EVENTS("{'event':'message','fields':{'phone':'/p'}}"), "/receive/events/0: has no id");
	PROBLEM(EVENTS("{'event':'message','fields':{'id':'/id'}}"), "names nobody");
	PROBLEM(EVENTS("{'event':'receipt','fields':{'state':'/s'}}"), "names no message");
	PROBLEM(EVENTS("{'event':'receipt','fields':{'id':'/id'}}"), "has no state");
	PROBLEM(EVENTS("{'event':'bounce','fields':{'state':'/s'}}"), "names neither a person nor");
	PROBLEM(EVENTS("{'event':'identity','fields':{'old':'/o'}}"), "does not say what is new");
	PROBLEM(EVENTS("{'event':'receipt','fields':{'idd':'/id','state':'/s'}}"),
			"/receive/events/0/fields/idd: is no field of an event");
	PROBLEM(EVENTS("{'event':'receipt','fields':{'id':'/id','state':{'value':'hard'}}}"),
			"\"hard\" is no state of such an event");
	PROBLEM(EVENTS("{'event':'receipt','fields':{'id':'/id','state':{'at':'/s','map':{'a':"
				   "'gone'}}}}"),
			"\"gone\" is no state of such an event");
	PROBLEM(EVENTS("{'each':'/a/*','event':'receipt','fields':{'id':'^^/id','state':'/s'}}"),
			"goes up 2 elements, where 1 are around");
	PROBLEM(EVENTS("{'event':'receipt','fields':{'id':'/a/*','state':'/s'}}"),
			"which only \"each\" can");
	PROBLEM(EVENTS("{'event':'receipt','fields':{'id':'id','state':'/s'}}"), "is no JSON pointer");
	PROBLEM(EVENTS("{'event':'receipt','fields':{'id':{'after':'_'},'state':'/s'}}"),
			"has neither a path nor a value");
	PROBLEM(EVENTS(RULE ",{'each':'/a/*','ignore':'x'}"), "has rules with \"each\" and rules");
	PROBLEM(EVENTS("{'each':'/*/*/*/*/*/*/*/*/*','ignore':'x'}"), "goes through every element 9");
	PROBLEM(EVENTS("{'when':{'/a':{}},'ignore':'x'}"), "asks for nothing");
	PROBLEM(EVENTS("{'when':{'/a':[]},'ignore':'x'}"), "is an empty array");
	PROBLEM(EVENTS("{'when':{'/a':[null]},'ignore':'x'}"), "is neither a single value nor");
	PROBLEM(EVENTS("{'when':{'/a':{'contains':'x'}},'ignore':'x'}"),
			"/receive/events/0/when/~1a/contains: is no member");
	PROBLEM(EVENTS("{'events':[{'events':[{'events':[{'events':[{'events':[" RULE "]}]}]}]}]}"),
			"is deeper than");
}

#define SIGNED(signature) WITH("{'signature':" signature ",'events':[" RULE "]}")

static void
problems_of_signatures(void)
{
	PROBLEM(SIGNED("{'kind':'hmac','secret':'t','at':'header:X','signed':'{body}'}"),
			"/receive/signature/secret: \"t\" is no secret");
	PROBLEM(SIGNED("[]"), "/receive/signature: is an empty array");
	PROBLEM(SIGNED("[{'kind':'path'}]"), "/receive/signature/0: has no secret");
	PROBLEM(SIGNED("{'secret':'s'}"), "has no kind");
	PROBLEM(SIGNED("{'kind':'rsa','secret':'s'}"), "/kind: \"rsa\" is not known here");
	PROBLEM(SIGNED("{'kind':'hmac','secret':'s','signed':'{body}'}"), "does not say where");
	PROBLEM(SIGNED("{'kind':'hmac','secret':'s','at':'header:X','signed':'{boddy}'}"),
			"has \"{boddy}\", which is none of");
	PROBLEM(SIGNED("{'kind':'hmac','secret':'s','at':'header:X'}"), "signs neither the body");
	PROBLEM(SIGNED("{'kind':'hmac','secret':'s','at':'header:X','signed':'{timestamp}.{body}'}"),
			"must sign a timestamp if, and only if");
	PROBLEM(SIGNED("{'kind':'hmac','secret':'s','at':'header:X','signed':'{body}','window':'5min'"
				   "}"),
			"has a window, but no timestamp");
	PROBLEM(SIGNED("{'kind':'header','secret':'s','at':'/x'}"), "stands at a pointer");
	PROBLEM(SIGNED("{'kind':'hmac','secret':'s','at':'header:X','signed':'{url}{body}','url':"
				   "'{{message}}'}"),
			"names what only a message has");
	PROBLEM(WITH("{'verify':{'mode':'m'},'events':[" RULE "]}"), "lacks one of mode, value");
}

static void
signatures(void)
{
	Definition *d = compile_literal(
		SIGNED("[{'kind':'hmac','secret':'u','algorithm':'sha512','encoding':'base64','at':["
			   "'header:X','/x'],'prefix':'v1,','separator':' ','signed':'{id}.{timestamp}.{body}"
			   "','id':'header:I','timestamp':'/t','window':'5min','secret_prefix':'w_',"
			   "'secret_is_base64':true},{'kind':'basic','secret':'s','user':'u'}]"));
	const ReceiveSignature *s = d->receive->signatures;

	CHECK_INT(d->receive->nsignatures, 2);
	CHECK(s->kind == SIGNATURE_HMAC && s->hash == HASH_SHA512 && s->encoding == ENCODING_BASE64);
	CHECK_INT(s->secret, number_of(d, "secret.u"));
	CHECK_INT(s->nparts, 5);
	CHECK(s->parts[0].kind == SIGNED_ID && s->parts[2].kind == SIGNED_TIMESTAMP);
	CHECK_TEXT(s->parts[1].text, ".");
	CHECK_TEXT(s->at.list[0].header, "X");
	CHECK_TEXT(s->timestamp.list[0].steps[0], "t");
	CHECK_INT(s->window_s, 300);
	CHECK_INT(s[1].user, number_of(d, "secret.u"));
	definition_free(d);
	d = compile_literal(WITH("{'events':[" RULE "]}"));
	CHECK_INT(d->receive->nsignatures, 1);
	CHECK(d->receive->signatures[0].kind == SIGNATURE_PATH);
	CHECK_INT(d->receive->signatures[0].user, -1);
	CHECK_INT(d->receive->answer_status, 200);
	definition_free(d);
}

/* Each secret that proves a call has one beside it that was. */
static void
rotated_secrets(void)
{
	Definition *d = compile_protocol("whatsapp_cloud");
	const ReceiveRules *rules = d->receive;
	const int first = (int) (FIELD_COUNT + d->options.n);

	CHECK_INT(rules->signatures[0].previous, number_of(d, "secret.app_secret_previous"));
	CHECK_INT(rules->signatures[1].previous, number_of(d, "secret.path_secret_previous"));
	CHECK_INT(rules->verify.previous, number_of(d, "secret.verify_token_previous"));
	CHECK_INT(rules->signatures[0].secret, number_of(d, "secret.app_secret"));
	CHECK_INT(d->secrets.list[rules->signatures[1].secret - first].min_length, PATH_SECRET_MIN);
	CHECK_INT(d->secrets.list[rules->signatures[1].previous - first].min_length, PATH_SECRET_MIN);
	CHECK_INT(d->secrets.list[rules->signatures[0].previous - first].min_length, 0);
	CHECK(!d->secrets.list[rules->signatures[0].previous - first].required);
	definition_free(d);
	d = compile_literal(SIGNED("[{'kind':'header','secret':'s','at':'header:A'},{'kind':'basic',"
							   "'secret':'s'},{'kind':'path','secret':'s'}]"));
	CHECK_INT(d->secrets.n, 4);
	CHECK_INT(d->receive->signatures[2].previous, d->receive->signatures[0].previous);
	CHECK_INT(d->secrets.list[0].min_length, PATH_SECRET_MIN);
	definition_free(d);
	PROBLEM("{'channels':['SMS'],'secrets':{'s':{},'s_previous':{}},'operations':{'text':{'url':"
			"'{{option.url}}'}},'receive':{'signature':{'kind':'path','secret':'s'},'events':["
			"{'ignore':'x'}]}}",
			"has the secret \"s_previous\", which is one that was, while \"s\" is rotated");
}

static void
shipped_ones(void)
{
	Definition *d = compile_protocol("twilio");

	CHECK(d->receive->body == RECEIVE_FORM);
	CHECK_TEXT(d->receive->answer_type, "text/xml");
	CHECK_TEXT(d->receive->answer_body, "<Response/>");
	CHECK(d->receive->signatures[0].parts[0].kind == SIGNED_URL);
	CHECK_INT(d->receive->signatures[0].url.parts[0].value, number_of(d, "option.status_callback"));
	CHECK_INT(d->receive->signatures[0].secret, number_of(d, "secret.auth_token"));
	definition_free(d);
	d = compile_protocol("whatsapp_cloud");
	CHECK_TEXT(d->receive->verify.challenge, "hub.challenge");
	CHECK_INT(d->receive->verify.secret, number_of(d, "secret.verify_token"));
	CHECK_TEXT(d->receive->signatures[0].prefix, "sha256=");
	definition_free(d);
	d = compile_protocol("smtp");
	CHECK(d->receive == NULL);
	definition_free(d);
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* By a definition's rules, a body tells this; quotes are written '. */
static void
rules_tell(const char *definition, const char *literal, const char *expected, const char *file,
		   int line)
{
	Definition *d = compile_literal(definition);
	char *body = json_of(literal);

	if (check_note(d != NULL, file, line, "compiles"))
		check_text(what_is_told(d, body, strlen(body)), expected, file, line, literal);
	definition_free(d);
	free(body);
}

#define TELLS(events, body, expected) \
	rules_tell(EVENTS(events), (body), (expected), __FILE__, __LINE__)

static void
paths(void)
{
#define NESTED                                                                               \
	"{'each':'/a/*/b/*','when':{'/t':1},'event':'receipt','fields':{'id':'/id','key':'^/k'," \
	"'from':'$/who','to':'^^/who','code':['/no','/l/0','/l/only'],'state':{'value':'sent'}}}"
	TELLS(NESTED,
		  "{'who':'x','a':[{'k':1,'b':[{'t':1,'id':'p','l':['f','g']},{'t':2}]},{'k':2,'b':{'t':"
		  "'1','id':7}},{'b':null},{}]}",
		  "receipt id=p key=1 from=x to=x state=sent code=f; unknown: no rule knows it; receipt "
		  "id=7 key=2 from=x to=x state=sent");
	TELLS("{'each':'/x','event':'receipt','fields':{'id':'/id','key':'^/k','state':{'value':"
		  "'sent'}}}",
		  "{'k':'a','x':{'id':'b'}}", "receipt id=b key=a state=sent");
	TELLS("{'each':'/ids/*','event':'receipt','fields':{'id':'.','state':'^/s'}}",
		  "{'ids':['a',5,null],'s':'read'}",
		  "receipt id=a state=read; receipt id=5 state=read; unknown: names no message: neither id "
		  "nor key");
	TELLS("{'event':'receipt','fields':{'id':['/h/N=B/v','/h/only/v'],'state':{'value':'sent'}}}",
		  "{'h':[{'N':'a','v':1},{'N':'b','v':2},{'N':'b','v':3}]}", "receipt id=2 state=sent");
	TELLS("{'event':'receipt','fields':{'id':'/h/only/v','state':{'value':'sent'}}}",
		  "{'h':[{'v':1},{'v':2}]}", "unknown: names no message: neither id nor key");
	TELLS("{'event':'receipt','fields':{'id':'/a~1b/~0c','state':{'value':'sent'}}}",
		  "{'a/b':{'~c':'x'}}", "receipt id=x state=sent");
}

static void
conditions(void)
{
#define SAME                                                                                  \
	"{'when':{'/a':['x',5,true]},'ignore':'one'},{'when':{'/a':{'begins':'chat.'}},'ignore':" \
	"'two'},{'when':{'/a':{'ends':['@g.us','@b']}},'ignore':'three'},{'when':{'/b':{"         \
	"'present':true},'/c':{'present':false}},'ignore':'four'}"
	TELLS(SAME, "{'a':'5'}", "ignored: one");
	TELLS(SAME, "{'a':true}", "ignored: one");
	TELLS(SAME, "{'a':'chat.x'}", "ignored: two");
	TELLS(SAME, "{'a':'1@g.us'}", "ignored: three");
	TELLS(SAME, "{'b':{},'c':''}", "ignored: four");
	TELLS(SAME, "{'b':'','c':null}", "unknown: no rule knows it");
	TELLS(SAME, "{'b':0,'c':false}", "unknown: no rule knows it");
	TELLS(SAME, "{'b':false}", "ignored: four");
	TELLS(SAME, "[]", "unknown: no rule knows it");
	TELLS(SAME, "{'a':", "no body");
}

/* What names another sender than the server's option. */
static void
other_senders(void)
{
	Definition *d = compile_literal(
		"{'channels':['SMS'],'options':{'session':{}},'secrets':{'path_secret':{}},'operations':{"
		"'text':{'url':'{{option.url}}','form':{'m':'{{message}}'}}},'receive':{'events':[{'when':"
		"{'/s':{'is_not_option':'session','begins':'x'}},'ignore':'both'},{'when':{'/s':{"
		"'is_not_option':'session'}},'reject':'of another'},{'ignore':'ours'}]}}");
	const char *values[VALUES_MAX] = {NULL};
	const int session = number_of(d, "option.session");

#define OTHER(option, body, expected)                                             \
	do                                                                            \
	{                                                                             \
		values[session] = (option);                                               \
		CHECK_TEXT(what_is_told_to(d, values, (body), strlen(body)), (expected)); \
	} while (0)
	OTHER("a", "{\"s\":\"a\"}", "ignored: ours");
	OTHER("a", "{\"s\":\"b\"}", "unknown: of another");
	OTHER("a", "{\"s\":\"A\"}", "unknown: of another");
	OTHER("a", "{\"s\":\"xy\"}", "ignored: both");
	OTHER("5", "{\"s\":5}", "ignored: ours");
	/* nothing to compare */
	OTHER("a", "{\"s\":\"\"}", "ignored: ours");
	OTHER("a", "{\"s\":{\"b\":1}}", "ignored: ours");
	OTHER("a", "{}", "ignored: ours");
	OTHER("", "{\"s\":\"b\"}", "ignored: ours");
	OTHER(NULL, "{\"s\":\"b\"}", "ignored: ours");
	CHECK_TEXT(what_is_told(d, "{\"s\":\"b\"}", 9), "ignored: ours");
	definition_free(d);
}

static void
nesting(void)
{
#define INSIDE                                                                                    \
	"{'when':{'/t':'m'},'events':[{'each':'/x/*','when':{'/i':1},'ignore':'i'},{'each':'/x/*',"   \
	"'event':'echo','fields':{'id':'/id','phone':'/p'}},{'each':'/y/*','ignore':'y'}]},{'when':{" \
	"'/t':'n'},'ignore':'n'}"
	TELLS(INSIDE, "{'t':'m','x':[{'i':1},{'id':'a','p':'+5511987654321'},{'id':'b'}],'y':[1]}",
		  "ignored: i; echo id=a phone=+5511987654321; unknown: names nobody: no phone, email, lid "
		  "or user_id; ignored: y");
	TELLS(INSIDE, "{'t':'m','x':[]}", "unknown: holds nothing that a rule asks for");
	TELLS(INSIDE, "{'t':'n','x':[1]}", "ignored: n");
	TELLS(INSIDE, "{}", "unknown: no rule knows it");
}

#define FIELD(field, value)                                          \
	"{'event':'echo','fields':{'id':{'value':'i'},'phone':{'value':" \
	"'+5511987654321'},'" field "':" value "}}"
#define GIVES(field, value, body, expected) TELLS(FIELD(field, value), body, "echo id=i " expected)

static void
values(void)
{
	GIVES("key", "{'at':'/a','after':'_'}", "{'a':'x_y_z'}", "key=z phone=+5511987654321");
	GIVES("key", "{'at':'/a','until':['.','-']}", "{'a':'x-y.z'}", "key=x phone=+5511987654321");
	GIVES("key", "{'at':'/a','begin':'<','end':'>'}", "{'a':'x>'}", "key=<x> phone=+5511987654321");
	GIVES("key", "{'at':['/a','/b'],'map':{'y':'z'}}", "{'a':'x','b':'y'}",
		  "key=z phone=+5511987654321");
	GIVES("key", "{'at':'/a','value':'w','map':{'y':'z'}}", "{'a':'x'}",
		  "key=w phone=+5511987654321");
	GIVES("key", "'/a'", "{'a':123456789012345678901234567890}",
		  "key=123456789012345678901234567890 phone=+5511987654321");
	GIVES("key", "'/a'", "{'a':-9223372036854775807}",
		  "key=-9223372036854775807 phone=+5511987654321");
	GIVES("key", "'/a'", "{'a':1.50}", "key=1.50 phone=+5511987654321");
	GIVES("key", "'/a'", "{'a':'  '}", "phone=+5511987654321");
	GIVES("key", "'/a'", "{'a':{'b':1}}", "phone=+5511987654321");
	GIVES("key", "'/a'", "{'a':'x\\u0000y\\nz'}", "key=x\xEF\xBF\xBDy z phone=+5511987654321");
	GIVES("text", "'/a'", "{'a':'1\\r\\n2\\t3\\u0007\\ud83d'}",
		  "text=1\n2\t3 \xEF\xBF\xBD phone=+5511987654321");
	GIVES("text", "'/a'", "{'a':'\\ud83d\\ude00\xFF'}",
		  "text=\xF0\x9F\x98\x80? phone=+5511987654321");
	GIVES("name", "'/a'", "{'a':'\\\"Ana\\\"'}", "name=Ana phone=+5511987654321");
}

/* ---- who and when ------------------------------------------------------------------- */

static void
phones(void)
{
	static const struct
	{
		const char *from;
		const char *phone; /* NULL: none */
		const char *national;
	} cases[] = {
		{"5511987654321", "+5511987654321", "5511987654321"},
		{"+55 (11) 98765-4321", "+5511987654321", "+5511987654321"},
		{"005511987654321", "+5511987654321", "005511987654321"},
		{"whatsapp:+5511987654321", "+5511987654321", "+5511987654321"},
		{"5511987654321@s.whatsapp.net", "+5511987654321", "+5511987654321"},
		{"5511987654321:12@s.whatsapp.net", "+5511987654321", "+5511987654321"},
		{"5511987654321@c.us", "+5511987654321", "+5511987654321"},
		{"11987654321", "+11987654321", "11987654321"},
		{"5511987654321@lid", NULL, NULL},
		{"120363@g.us", NULL, NULL},
		{"5511-1234@g.us", NULL, NULL},
		{"5544999999999-group", NULL, NULL},
		{"status@broadcast", NULL, NULL},
		{"BR.1502576394655843", NULL, NULL},
		{"1234567", NULL, NULL},
		{"0", NULL, NULL},
		{"+", NULL, NULL},
		{"+0511987654321", NULL, NULL},
		{"111111111122222222223", NULL, NULL},
		{"", NULL, NULL},
	};
	char to[RECEIVED_ADDRESS_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Slice s = {cases[i].from, strlen(cases[i].from)};

		CHECK_TEXT(received_phone(s, true, to) ? to : NULL, cases[i].phone);
		CHECK_TEXT(received_phone(s, false, to) ? to : NULL, cases[i].national);
	}
}

static void
addresses(void)
{
#define EMAIL(from, expected) \
	CHECK_TEXT(received_email((Slice){from, strlen(from)}, to) ? to : NULL, expected)
#define LID(from, expected) \
	CHECK_TEXT(received_lid((Slice){from, strlen(from)}, to) ? to : NULL, expected)
	char to[RECEIVED_ADDRESS_SIZE];
	char large[400];

	EMAIL("Ana.Lima+x@Example.COM", "ana.lima+x@example.com");
	EMAIL("Ana <ana@x.example>", "ana@x.example");
	EMAIL("\"a@b\" <ana@x.example> ", "ana@x.example");
	EMAIL("<ana@x.example", "ana@x.example");
	EMAIL("jo\xC3\xA3o@x.example", "jo\xC3\xA3o@x.example");
	EMAIL("ana", NULL);
	EMAIL("@x", NULL);
	EMAIL("a@", NULL);
	EMAIL("a b@x", NULL);
	EMAIL("a@x, b@y", NULL);
	EMAIL("", NULL);
	memset(large, 'a', sizeof(large));
	large[1] = '@';
	CHECK(!received_email((Slice){large, sizeof(large)}, to));
	LID("103899771998284@lid", "103899771998284@lid");
	LID("103899771998284:2@lid", "103899771998284@lid");
	LID("103899771998284", NULL);
	LID("x@lid", NULL);
	LID("@lid", NULL);
}

static void
times(void)
{
	static const struct
	{
		const char *from;
		int64_t us; /* 0: none */
	} cases[] = {
		{"1749416383", 1749416383000000},
		{"1749416383.25", 1749416383250000},
		{"1632228638000", 1632228638000000},
		{"1632228638000000", 1632228638000000},
		{"1632228638000000000", 0}, /* 19 digits: no number of so many is kept */
		{"163222863800000000", 163222863800000},
		{"2023-09-28T17:19:44.823Z", 1695921584823000},
		{"2014-08-01T13:28:10.2735393-04:00", 1406914090273539},
		{"2024-02-22T23:41:11.894719+00:00", 1708645271894719},
		{"2024-02-29 00:00:00-0300", 1709175600000000},
		{"2024-02-29", 1709164800000000},
		{"Mon, 17 Jul 2023 11:11:22 -0700", 1689617482000000},
		{"1 jan 2024 00:00 GMT", 1704067200000000},
		{"2024-13-01T00:00:00Z", 0},
		{"2024-01-01T25:00:00Z", 0},
		{"1969-12-31T23:59:59Z", 0},
		{"0", 0},
		{"-5", 0},
		{"1749416383x", 0},
		{"soon", 0},
		{"", 0},
		{"9999999999999999999999999", 0},
		{"99999999999", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		int64_t us = 0;

		if (!received_time((Slice){cases[i].from, strlen(cases[i].from)}, &us))
			us = 0;
		CHECK_INT(us, cases[i].us);
	}
}

/* ---- large and deep ----------------------------------------------------------------- */

static bool
count_event(void *arg, const ReceivedEvent *event)
{
	long *counts = arg;

	counts[event->kind]++;
	return true;
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* head, then a part n times, then tail; malloc'd. */
static char *
repeated(const char *head, const char *part, int n, const char *tail, size_t *len)
{
	size_t part_len = strlen(part);
	char *text = malloc(strlen(head) + part_len * n + strlen(tail) + 1);
	char *at = stpcpy(text, head);

	for (int i = 0; i < n; i++, at += part_len)
		memcpy(at, part, part_len);
	strcpy(at, tail);
	*len = strlen(text);
	return text;
}

static void
many_elements(void)
{
	Definition *d = compile_protocol("whatsapp_cloud");
	long counts[RECEIVED_KINDS] = {0};
	size_t len;
	char *body =
		repeated("{\"entry\":[{\"changes\":[{\"field\":\"messages\",\"value\":{\"statuses\":[0",
				 ",{\"id\":\"a\",\"status\":\"read\"}", 100000, "]}}]}]}", &len);
	double start = seconds();
	json_t *json = receive_parse(d->receive, body, len);

	CHECK(receive_read(d->receive, NULL, NULL, json, count_event, counts));
	CHECK_INT(counts[RECEIVED_RECEIPT], 100000);
	CHECK_INT(counts[RECEIVED_UNKNOWN], 1);
	CHECK(seconds() - start < 10); /* a fifth of a second without sanitizers */
	json_decref(json);
	free(body);
	definition_free(d);
}

/* A text around many elements that want it. */
static void
large_text_around(void)
{
	Definition *d = compile_literal(EVENTS(
		"{'each':'/a/*','when':{'$/h/N=x/V':{'present':false}},'event':'echo','fields':{'id':"
		"'/i','text':'^/text','phone':{'value':'+5511987654321'},'name':{'at':'$/text','after':"
		"'!'}}}"));
	long counts[RECEIVED_KINDS] = {0};
	size_t len;
	char *elements = repeated("[0", ",{\"i\":1}", 50000, "]", &len);
	char *headers = repeated("[0", ",{\"N\":\"y\"}", 50000, "]", &len);
	char *text = repeated("\"", "abc ", 250000, "\"", &len);
	char *body = malloc(4 * 1024 * 1024);
	double start = seconds();
	json_t *json;

	sprintf(body, "{\"a\":%s,\"h\":%s,\"text\":%s}", elements, headers, text);
	json = receive_parse(d->receive, body, strlen(body));
	CHECK(receive_read(d->receive, NULL, NULL, json, count_event, counts));
	CHECK_INT(counts[RECEIVED_ECHO], 50000);
	CHECK(seconds() - start < 30);
	json_decref(json);
	free(body);
	free(text);
	free(headers);
	free(elements);
	definition_free(d);
}

static void
deep_bodies(void)
{
	Definition *d = compile_protocol("webhook");
	long counts[RECEIVED_KINDS] = {0};
	size_t len;
	char *body = repeated("", "[", 3000, "", &len);
	json_t *json = receive_parse(d->receive, body, len);

	CHECK(json == NULL); /* jansson reads 2048 levels */
	free(body);
	body = repeated("", "[", 2000, "", &len);
	memset(body, '[', len);
	body = realloc(body, 4001);
	memset(body + 2000, ']', 2000);
	json = receive_parse(d->receive, body, 4000);
	CHECK(json != NULL && receive_read(d->receive, NULL, NULL, json, count_event, counts));
	CHECK_INT(counts[RECEIVED_UNKNOWN], 1);
	json_decref(json);
	free(body);
	definition_free(d);
}

static void
long_fields(void)
{
	Definition *d = compile_literal(EVENTS(FIELD("text", "'/t'")));
	size_t len;
	char *body = repeated("{\"t\":\"", "\xC3\xA3", 600000, "\"}", &len);
	json_t *json = receive_parse(d->receive, body, len);
	Told *told = calloc(1, sizeof(Told));

	CHECK(receive_read(d->receive, NULL, NULL, json, told_event, told));
	CHECK(strlen(told->text) > 60000);
	json_decref(json);
	free(told);
	free(body);
	definition_free(d);
}

static void
no_more_wanted(void)
{
	Definition *d = compile_protocol("webhook");
	json_t *json = json_loads("[1, 2, 3]", 0, NULL);
	Told told = {.most = 2};

	CHECK(!receive_read(d->receive, NULL, NULL, json, told_event, &told));
	CHECK_INT(told.n, 2);
	json_decref(json);
	definition_free(d);
}

/* ---- bodies ------------------------------------------------------------------------- */

#define SCRUB(scrub, literal, expected)                                                          \
	do                                                                                           \
	{                                                                                            \
		Definition *scrubber = compile_literal(WITH("{'scrub':" scrub ",'events':[" RULE "]}")); \
		char *before = json_of(literal);                                                         \
		char *after = json_of(expected);                                                         \
		json_t *json = receive_parse(scrubber->receive, before, strlen(before));                 \
		char *now;                                                                               \
                                                                                                 \
		receive_scrub(scrubber->receive, json);                                                  \
		now = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);                                   \
		CHECK_TEXT(now, after);                                                                  \
		json_decref(json);                                                                       \
		free(now);                                                                               \
		free(before);                                                                            \
		free(after);                                                                             \
		definition_free(scrubber);                                                               \
	} while (0)

static void
scrubbing(void)
{
	SCRUB("['/apikey']", "{'apikey':'S','b':1}", "{'apikey':null,'b':1}");
	SCRUB("['/apikey']", "{'b':1}", "{'b':1}");
	SCRUB("['/apikey']", "[1]", "[1]");
	SCRUB("['/a/*/k','/a/0/z/1']", "{'a':[{'k':1,'z':[1,2,3]},{'k':{'x':2}},5]}",
		  "{'a':[{'k':null,'z':[1,null,3]},{'k':null},5]}");
	SCRUB("['/a/*']", "{'a':[1,{'b':2}]}", "{'a':[null,null]}");
	SCRUB("['/h/N=x']", "{'h':[{'N':'x','v':1},{'N':'y'}]}", "{'h':[{},{'N':'y'}]}");
	SCRUB("['/h/only']", "{'h':['s']}", "{'h':[null]}");
}

static void
forms(void)
{
	Definition *d = compile_protocol("twilio");
	static const char raw[] = "a=1&a=2&b=%zz%4&=x&c&&d=%00%ff+%C3%A3&e=1=2&%61b=3";
	json_t *json = receive_parse(d->receive, raw, sizeof(raw) - 1);

	CHECK_TEXT(json_string_value(json_object_get(json, "a")), "1");
	CHECK_TEXT(json_string_value(json_object_get(json, "b")), "%zz%4");
	CHECK_TEXT(json_string_value(json_object_get(json, "c")), "");
	CHECK_TEXT(json_string_value(json_object_get(json, "d")), "?? \xC3\xA3");
	CHECK_TEXT(json_string_value(json_object_get(json, "e")), "1=2");
	CHECK_TEXT(json_string_value(json_object_get(json, "ab")), "3");
	CHECK_TEXT(json_string_value(json_object_get(json, "")), "x");
	json_decref(json);
	json = receive_parse(d->receive, "", 0);
	CHECK_INT(json_object_size(json), 0);
	json_decref(json);
	definition_free(d);
}

static const char *
one_header(void *arg, const char *name)
{
	return strcmp(name, "svix-id") == 0 ? arg : NULL;
}

static void
signed_texts(void)
{
	Definition *d = compile_protocol("mailgun");
	const ReceiveSignature *s = d->receive->signatures;
	json_t *json = json_loads("{\"signature\": {\"token\": \"t\", \"timestamp\": 12, "
							  "\"signature\": \"\"}, \"timestamp\": \"13\"}",
							  0, NULL);
	char text[8];

	CHECK(receive_text_at(&s->id, json, one_header, NULL, text, sizeof(text)));
	CHECK_TEXT(text, "t");
	CHECK(receive_text_at(&s->timestamp, json, one_header, NULL, text, sizeof(text)));
	CHECK_TEXT(text, "12");
	CHECK(!receive_text_at(&s->at, json, one_header, NULL, text, sizeof(text)));
	CHECK(!receive_text_at(&s->at, NULL, one_header, NULL, text, sizeof(text)));
	json_decref(json);
	definition_free(d);
	d = compile_protocol("resend");
	s = d->receive->signatures;
	CHECK(receive_text_at(&s->id, NULL, one_header, "msg_1", text, sizeof(text)));
	CHECK_TEXT(text, "msg_1");
	CHECK(!receive_text_at(&s->id, NULL, one_header, "msg_12345", text, sizeof(text)));
	CHECK(!receive_text_at(&s->timestamp, NULL, one_header, "x", text, sizeof(text)));
	definition_free(d);
}

/* The example of docs/inbound.md. */
static void
documented_one(void)
{
	TELLS("{'each':'/eventos/*','when':{'/de':{'ends':'@grupo'}},'ignore':'of a group'},{'each':"
		  "'/eventos/*','when':{'/tipo':'recebida'},'event':'message','fields':{'id':'/id','time':"
		  "'/quando','phone':'/de','to':'$/conta/numero','text':'/texto'}},{'each':'/eventos/*',"
		  "'when':{'/tipo':'situacao'},'event':'receipt','fields':{'id':'/id','key':'/ref','phone':"
		  "'/para','state':{'at':'/situacao','map':{'ENVIADA':'sent','ENTREGUE':'delivered','LIDA':"
		  "'read','FALHOU':'failed'}}}}",
		  "{'conta':{'numero':'5511900000000'},'eventos':[{'tipo':'recebida','id':'m-7','de':"
		  "'5511987654321','texto':'Oi','quando':1767323044},{'tipo':'situacao','id':'m-6','ref':"
		  "'k','para':'5511987654321','situacao':'ENTREGUE'},{'tipo':'recebida','id':'m-8','de':"
		  "'77@grupo'}]}",
		  "message id=m-7 to=5511900000000 text=Oi phone=+5511987654321 time=1767323044000000; "
		  "receipt id=m-6 key=k state=delivered phone=+5511987654321; ignored: of a group");
}

int
main(void)
{
	RUN_GROUP("receive: problems of the whole", problems_of_the_whole);
	RUN_GROUP("receive: problems of rules", problems_of_rules);
	RUN_GROUP("receive: problems of signatures", problems_of_signatures);
	RUN_GROUP("receive: signatures", signatures);
	RUN_GROUP("receive: secrets that are rotated", rotated_secrets);
	RUN_GROUP("receive: shipped ones", shipped_ones);
	RUN_GROUP("receive: paths", paths);
	RUN_GROUP("receive: conditions", conditions);
	RUN_GROUP("receive: other senders", other_senders);
	RUN_GROUP("receive: rules within rules", nesting);
	RUN_GROUP("receive: values", values);
	RUN_GROUP("receive: phones", phones);
	RUN_GROUP("receive: e-mail addresses and LIDs", addresses);
	RUN_GROUP("receive: times", times);
	RUN_GROUP("receive: a hundred thousand elements", many_elements);
	RUN_GROUP("receive: a large text around", large_text_around);
	RUN_GROUP("receive: deep bodies", deep_bodies);
	RUN_GROUP("receive: long fields", long_fields);
	RUN_GROUP("receive: no more wanted", no_more_wanted);
	RUN_GROUP("receive: scrubbing", scrubbing);
	RUN_GROUP("receive: forms", forms);
	RUN_GROUP("receive: what is signed", signed_texts);
	RUN_GROUP("receive: the documented example", documented_one);
	return check_result();
}
