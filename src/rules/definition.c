/*
 * definition.c
 *		A protocol's definition, compiled: its frame, and how a request is made.
 *
 * What answers mean is answer_rules.c's.
 */
#include "rules/compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* No API needs a longer description. */
#define DEFINITION_MAX_BYTES (256 * 1024)

/* ---- options and secrets ------------------------------------------------------------ */

/* Every server has them; "limits" may say their defaults. */
const char *const common_option_names[] = {"timeout",		 "connect_timeout",
										   "max_in_flight",	 "max_rate",
										   "max_per_minute", "max_per_hour",
										   "max_per_day",	 "gap",
										   "min_gap",		 "max_new_per_day",
										   "limit_group",	 "quiet_until_reply",
										   "warm_up",		 "breaker_after",
										   "breaker_for",	 "domain_limits",
										   "on_uncertain",	 NULL};

static bool
is_one_of(const char *const *names, const char *name)
{
	while (*names != NULL && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

static const Member option_members[] = {
	{"required", compile_bool, offsetof(DefinitionOption, required)},
	{"default", compile_string, offsetof(DefinitionOption, otherwise)},
	{"help", compile_string, offsetof(DefinitionOption, help)},
	{"alternative", compile_string, offsetof(DefinitionOption, alternative)},
	{"excludes", compile_string, offsetof(DefinitionOption, excludes)},
	{"values", compile_words, offsetof(DefinitionOption, values)},
	{"use", compile_documentation, 0},
	{NULL, NULL, 0}};

static bool
is_option_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < 60 && (len < 5 || strcmp(name + len - 5, "_file") != 0) &&
		   name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static void
compile_options(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionOptions *options = to;
	const char *key;
	json_t *member;

	if (!compile_is_object(c, path, value))
		return;
	options->list = arena_alloc(c->arena, sizeof(DefinitionOption) * json_object_size(value));
	json_object_foreach(value, key, member)
	{
		Path at = {path, key};
		DefinitionOption *option = &options->list[options->n++];

		option->name = arena_copy(c->arena, key, strlen(key));
		if (!is_option_name(key))
			compiler_problem(c, &at,
							 "is no name of small letters, digits and underscores, or ends as a "
							 "secret's file does");
		compile_object(c, &at, member, option_members, option);
	}
}

static const DefinitionOption *
find_option(const DefinitionOptions *options, const char *name)
{
	for (size_t i = 0; i < options->n; i++)
		if (strcmp(options->list[i].name, name) == 0)
			return &options->list[i];
	return NULL;
}

static void
check_alternatives(Compiler *c, const Path *path, const DefinitionOptions *options)
{
	for (size_t i = 0; i < options->n; i++)
	{
		const DefinitionOption *option = &options->list[i];
		Path at = {path, option->name};

		if (option->alternative != NULL && find_option(options, option->alternative) == NULL)
			compiler_problem(c, &at, "has the alternative \"%.60s\", which is not there",
							 option->alternative);
	}
}

/* What a server has anyway would be read as that. */
static void
check_names(Compiler *c, const Path *path, const DefinitionOptions *options)
{
	static const char *const others[] = {"canal", "empresa", "protocol", "record_message", NULL};

	for (size_t i = 0; i < options->n; i++)
	{
		Path at = {path, options->list[i].name};

		if (is_one_of(others, at.key) || is_one_of(common_option_names, at.key))
			compiler_problem(c, &at, "is an option of every server");
	}
}

/*
 * Every server has a url. One that the definition does not name is an option
 * without a default.
 */
static void
add_url(Compiler *c)
{
	DefinitionOptions *options = &c->d->options;
	DefinitionOption *list;

	if (find_option(options, "url") != NULL)
		return;
	list = arena_alloc(c->arena, sizeof(DefinitionOption) * (options->n + 1));
	if (options->n > 0)
		memcpy(list, options->list, sizeof(DefinitionOption) * options->n);
	list[options->n] = (DefinitionOption){.name = "url", .required = true};
	options->list = list;
	options->n++;
}

static void
compile_limits(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionOptions *limits = to;
	const char *key;
	json_t *member;

	if (!compile_is_object(c, path, value))
		return;
	limits->list = arena_alloc(c->arena, sizeof(DefinitionOption) * json_object_size(value));
	json_object_foreach(value, key, member)
	{
		Path at = {path, key};
		DefinitionOption *limit = &limits->list[limits->n++];
		char *text = json_is_string(member) ? strdup(json_string_value(member))
											: json_dumps(member, JSON_ENCODE_ANY | JSON_COMPACT);

		if (!is_one_of(common_option_names, key))
			compiler_problem(c, &at, "is no limit");
		if (text != NULL && (json_is_string(member) || json_is_number(member)))
			limit->otherwise = arena_copy(c->arena, text, strlen(text));
		else
			compiler_problem(c, &at, "is neither a text nor a number");
		limit->name = arena_copy(c->arena, key, strlen(key));
		free(text);
	}
}

/* ---- operations -------------------------------------------------------------------------- */

static void fill_node(Compiler *c, const Path *path, json_t *value, BodyNode *node);

/* Its name is written as JSON writes it, once. */
static const char *
quoted(Compiler *c, const char *key)
{
	json_t *name = json_string(key);
	char *text = json_dumps(name, JSON_ENCODE_ANY);
	char *copy = arena_alloc(c->arena, strlen(text != NULL ? text : "") + 2);

	sprintf(copy, "%s:", text != NULL ? text : "");
	free(text);
	json_decref(name);
	return copy;
}

static void
compile_children(Compiler *c, const Path *path, json_t *value, BodyNode *node)
{
	const char *key;
	json_t *member;

	node->kind = json_is_object(value) ? BODY_OBJECT : BODY_ARRAY;
	node->children = arena_alloc(c->arena, sizeof(BodyNode) *
											   (json_object_size(value) + json_array_size(value)));
	json_object_foreach(value, key, member)
	{
		Path at = {path, key};

		node->children[node->n].name = quoted(c, key);
		fill_node(c, &at, member, &node->children[node->n++]);
	}
	for (size_t i = 0; i < json_array_size(value); i++)
	{
		char number[24];
		Path at = {path, number};

		snprintf(number, sizeof(number), "%zu", i);
		fill_node(c, &at, json_array_get(value, i), &node->children[node->n++]);
	}
}

static void
fill_node(Compiler *c, const Path *path, json_t *value, BodyNode *node)
{
	char *text;

	if (json_is_object(value) || json_is_array(value))
	{
		compile_children(c, path, value, node);
		return;
	}
	if (json_is_string(value) && strstr(json_string_value(value), "{{") != NULL)
	{
		node->kind = BODY_TEXT;
		compile_text(c, path, value, &node->text);
		return;
	}
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	node->kind = BODY_LITERAL;
	node->literal =
		arena_copy(c->arena, text != NULL ? text : "", strlen(text != NULL ? text : ""));
	free(text);
}

/* A JSON value with placeholders in its strings. */
BodyNode *
compile_node(Compiler *c, const Path *path, json_t *value)
{
	BodyNode *node = arena_alloc(c->arena, sizeof(*node));

	fill_node(c, path, value, node);
	return node;
}

static void
compile_json(Compiler *c, const Path *path, json_t *value, void *to)
{
	*(BodyNode **) to = compile_node(c, path, value);
}

/* Headers and the query are texts. */
static void
compile_texts(Compiler *c, const Path *path, json_t *value, void *to)
{
	NamedTexts *texts = to;

	compile_named_texts(c, path, value, to);
	for (size_t i = 0; i < texts->n; i++)
		if (texts->list[i].json != NULL)
			compiler_problem(c, path, "has a member that is not a text: \"%.60s\"",
							 texts->list[i].name);
}

typedef struct WhenRule
{
	const char *option;
	const char *value;
} WhenRule;

static const Member when_members[] = {{"option", compile_string, offsetof(WhenRule, option)},
									  {"value", compile_string, offsetof(WhenRule, value)},
									  {NULL, NULL, 0}};

static void
compile_when(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionOperation *op = to;
	WhenRule when = {0};
	size_t i = 0;

	compile_object(c, path, value, when_members, &when);
	while (when.option != NULL && i < c->d->options.n &&
		   strcmp(c->d->options.list[i].name, when.option) != 0)
		i++;
	if (when.option == NULL || when.value == NULL || i == c->d->options.n)
		compiler_problem(c, path, "does not name an option of the definition and its value");
	op->when_option = FIELD_COUNT + i;
	op->when_value = when.value;
}

static void
compile_basic(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionText *texts = arena_alloc(c->arena, sizeof(DefinitionText) * 2);

	if (json_array_size(value) != 2)
	{
		compiler_problem(c, path, "is not an array of user and password");
		return;
	}
	for (int i = 0; i < 2; i++)
	{
		compile_text(c, path, json_array_get(value, i), &texts[i]);
		if (definition_text_names(&texts[i], 0, FIELD_COUNT))
			compiler_problem(c, path,
							 "names a field of a message: only options and secrets may "
							 "stand here");
	}
	*(DefinitionText **) to = texts;
}

static void
compile_url(Compiler *c, const Path *path, json_t *value, void *to)
{
	compile_text(c, path, value, to);
}

static const Member operation_members[] = {
	{"method", compile_string, offsetof(DefinitionOperation, method)},
	{"url", compile_url, offsetof(DefinitionOperation, url)},
	{"headers", compile_texts, offsetof(DefinitionOperation, headers)},
	{"query", compile_texts, offsetof(DefinitionOperation, query)},
	{"basic", compile_basic, offsetof(DefinitionOperation, basic)},
	{"json", compile_json, offsetof(DefinitionOperation, json)},
	{"form", compile_named_texts, offsetof(DefinitionOperation, form)},
	{"when", compile_when, 0},
	{"order", compile_documentation, 0},
	{"note", compile_documentation, 0},
	{NULL, NULL, 0}};

/* In what the definition itself writes. */
static bool
has_control_characters(const DefinitionText *text)
{
	for (size_t i = 0; i < text->nparts; i++)
		for (size_t k = 0; k < text->parts[i].text_len; k++)
			if ((unsigned char) text->parts[i].text[k] < 0x20 || text->parts[i].text[k] == 0x7F)
				return true;
	return false;
}

static void
check_headers(Compiler *c, const Path *path, const DefinitionOperation *op)
{
	/* RFC 9110, section 5.6.2 */
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
								"0123456789!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < op->headers.n; i++)
	{
		const char *name = op->headers.list[i].name;

		if (*name == '\0' || name[strspn(name, token)] != '\0')
			compiler_problem(c, path, "has a header whose name is none: \"%.60s\"", name);
		if (has_control_characters(&op->headers.list[i].text))
			compiler_problem(c, path, "has a control character in header \"%.60s\"", name);
	}
}

static void
check_operation(Compiler *c, const Path *path, DefinitionOperation *op)
{
	static const char *const methods[] = {"POST", "PUT", "PATCH", "GET", NULL};
	const TemplatePart *first = op->url.parts;

	if (op->method == NULL)
		op->method = "POST";
	if (!is_one_of(methods, op->method))
		compiler_problem(c, path, "has another method than POST, PUT, PATCH or GET");
	if (op->url.nparts == 0)
		compiler_problem(c, path, "has no url");
	else if (first->name != NULL ? !template_name_is(first, "option.url") || first->text != NULL
								 : strncmp(first->text, "https://", 8) != 0)
		compiler_problem(c, path, "has a url that begins with neither {{option.url}} nor https://");
	if (op->json != NULL && op->form.n > 0)
		compiler_problem(c, path, "has json and form: a body is one of them");
	check_headers(c, path, op);
}

/* Members in an order, which jsonb does not keep; these are written even when they are null. */
static void
order_body(Compiler *c, const Path *path, BodyNode *body, const json_t *order)
{
	size_t next = 0;

	if (order == NULL)
		return;
	if (body == NULL || body->kind != BODY_OBJECT || json_array_size(order) == 0)
	{
		compiler_problem(c, path, "has an order, but no object as json, or no names");
		return;
	}
	for (size_t i = 0; i < json_array_size(order); i++)
	{
		const char *name = json_string_value(json_array_get(order, i));
		const char *wanted = name != NULL ? quoted(c, name) : "";
		size_t at = next;

		while (at < body->n && strcmp(body->children[at].name, wanted) != 0)
			at++;
		if (at == body->n)
			compiler_problem(c, path, "orders \"%.60s\", which its json does not have",
							 name != NULL ? name : "");
		else
		{
			BodyNode node = body->children[at];

			memmove(&body->children[next + 1], &body->children[next],
					sizeof(BodyNode) * (at - next));
			node.keep_null = true;
			body->children[next++] = node;
		}
	}
}

static bool
is_channel(const char *name)
{
	static const char *const channels[] = {"WHATSAPP", "SMS", "EMAIL", NULL};

	return is_one_of(channels, name);
}

/* "text", "media.image", and either for one channel: "text@SMS". */
static bool
is_operation_name(const char *name)
{
	static const char *const names[] = {
		"text",		   "template",	  "template.marketing", "email",		  "email.html", "media",
		"media.image", "media.audio", "media.video",		"media.document", NULL};
	size_t len = strcspn(name, "@");

	for (int i = 0; names[i] != NULL; i++)
		if (strlen(names[i]) == len && strncmp(names[i], name, len) == 0)
			return name[len] == '\0' || is_channel(name + len + 1);
	return false;
}

void
compile_operations(Compiler *c, const Path *path, json_t *value, void *to)
{
	Definition *d = to;
	const char *key;
	json_t *member;

	if (!compile_is_object(c, path, value))
		return;
	d->operations = arena_alloc(c->arena, sizeof(DefinitionOperation) * json_object_size(value));
	json_object_foreach(value, key, member)
	{
		Path at = {path, key};
		DefinitionOperation *op = &d->operations[d->noperations++];

		op->name = arena_copy(c->arena, key, strlen(key));
		if (!is_operation_name(key))
			compiler_problem(c, &at,
							 "is no operation: text, template, template.marketing, email, "
							 "email.html, media, media.image, media.audio, media.video, "
							 "media.document, each also with @CHANNEL");
		c->fields = 0;
		compile_object(c, &at, member, operation_members, op);
		op->fields = c->fields;
		check_operation(c, &at, op);
		order_body(c, &at, op->json, json_object_get(member, "order"));
	}
}

/* A text for all channels, or one for each. */
void
compile_address(Compiler *c, const Path *path, json_t *value, void *to)
{
	NamedTexts *texts = to;

	c->in_address = true;
	if (json_is_object(value))
		compile_named_texts(c, path, value, to);
	else
	{
		texts->list = arena_alloc(c->arena, sizeof(NamedText));
		texts->list[0].name = "";
		compile_text(c, path, value, &texts->list[0].text);
		texts->n = 1;
	}
	for (size_t i = 0; i < texts->n; i++)
		if (texts->list[i].json != NULL ||
			definition_text_names(&texts->list[i].text, FIELD_COUNT + c->d->options.n,
								  FIELD_COUNT + c->d->options.n + c->d->secrets.n))
			compiler_problem(c, path, "is no text, or names a secret: addresses are logged");
		else if (texts->list[i].name[0] != '\0' && !is_channel(texts->list[i].name))
			compiler_problem(c, path, "is for \"%.40s\", which is none of WHATSAPP, SMS, EMAIL",
							 texts->list[i].name);
	c->in_address = false;
}

/* ---- the idempotency key -------------------------------------------------------------------- */

typedef struct KeyRule
{
	const char *key;
	long valid_s;
	const char *conflict;
} KeyRule;

static const Member key_members[] = {{"key", compile_string, offsetof(KeyRule, key)},
									 {"valid_for", compile_duration, offsetof(KeyRule, valid_s)},
									 {"conflict", compile_string, offsetof(KeyRule, conflict)},
									 {"note", compile_documentation, 0},
									 {NULL, NULL, 0}};

static void
compile_key(Compiler *c, const Path *path, json_t *value, void *to)
{
	KeyRule rule = {0};
	Definition *d = to;

	if (json_is_string(value))
		rule.key = json_string_value(value);
	else
		compile_object(c, path, value, key_members, &rule);
	if (rule.conflict != NULL && strcmp(rule.conflict, "sent") != 0)
		compiler_problem(c, path, "has another conflict than \"sent\"");
	if (rule.key == NULL ||
		(strcmp(rule.key, "none") != 0 && strncmp(rule.key, "header:", 7) != 0 &&
		 strncmp(rule.key, "json:/", 6) != 0 && strncmp(rule.key, "echo:/", 6) != 0))
		compiler_problem(c, path,
						 "says neither header:NAME, json:/pointer, echo:/pointer nor none");
	else
		d->honours_key = rule.key[0] == 'h' || rule.key[0] == 'j';
	d->key_valid_s = rule.valid_s;
}

/* Puts a text at a pointer below an object, with the objects on the way; false: it does not fit. */
static bool
put_at(json_t *object, const char *pointer, const char *text)
{
	char name[128];
	size_t len = strcspn(++pointer, "/");
	json_t *below;

	if (!json_is_object(object) || len == 0 || len >= sizeof(name))
		return false;
	memcpy(name, pointer, len);
	name[len] = '\0';
	if (pointer[len] == '\0')
		return json_object_get(object, name) == NULL &&
			   json_object_set_new(object, name, json_string(text)) == 0;
	below = json_object_get(object, name);
	if (below == NULL)
	{
		/* not by json_object(), which is the name of a function of the server's, too */
		below = json_loads("{}", 0, NULL);
		json_object_set_new(object, name, below);
	}
	return put_at(below, pointer + len, text);
}

/* The key becomes a part of each operation, before they are compiled. */
static void
place_key(Compiler *c, const Path *path, json_t *root)
{
	const json_t *idempotency = json_object_get(root, "idempotency");
	const json_t *key =
		json_is_object(idempotency) ? json_object_get(idempotency, "key") : idempotency;
	const char *place = json_string_value(key);
	const char *name;
	json_t *operation;

	json_object_foreach(json_object_get(root, "operations"), name, operation)
	{
		Path at = {path, name};
		bool fits = true;

		if (place == NULL || !json_is_object(operation))
			continue;
		if (strncmp(place, "header:", 7) == 0)
		{
			char pointer[160];

			snprintf(pointer, sizeof(pointer), "/headers/%.100s", place + 7);
			fits = put_at(operation, pointer, "{{key}}");
		}
		else if (strncmp(place, "json:/", 6) == 0 || strncmp(place, "echo:/", 6) == 0)
			fits = put_at(json_object_get(operation, "json") != NULL
							  ? json_object_get(operation, "json")
							  : json_object_get(operation, "form"),
						  place + 5, "{{key}}");
		if (!fits)
			compiler_problem(c, &at, "has no room for the key at %.100s, or has it twice", place);
	}
}

/* ---- the whole --------------------------------------------------------------------------------
 */

/* Before the others, which name what it holds, or after them. */
static void
compile_separately(Compiler *c, const Path *path, json_t *value, void *to)
{
	(void) c;
	(void) path;
	(void) value;
	(void) to;
}

static void
compile_transport(Compiler *c, const Path *path, json_t *value, void *to)
{
	const char *name = json_string_value(value);

	*(bool *) to = name != NULL && strcmp(name, "smtp") == 0;
	if (name == NULL || (strcmp(name, "smtp") != 0 && strcmp(name, "http") != 0))
		compiler_problem(c, path, "is neither \"http\" nor \"smtp\"");
}

static void
compile_receive(Compiler *c, const Path *path, json_t *value, void *to)
{
	(void) to;
	(void) compile_is_object(c, path, value);
}

static const Member definition_members[] = {
	{"note", compile_documentation, 0},
	{"sources", compile_documentation, 0},
	{"channels", compile_words, offsetof(Definition, channels)},
	{"transport", compile_transport, offsetof(Definition, is_smtp)},
	{"options", compile_separately, 0},
	{"secrets", compile_separately, 0},
	{"address", compile_address, offsetof(Definition, address)},
	{"operations", compile_operations, 0},
	{"response", compile_response, 0},
	{"classes", compile_separately, 0},
	{"idempotency", compile_key, 0},
	{"limits", compile_limits, offsetof(Definition, limits)},
	{"receive", compile_receive, 0},
	{NULL, NULL, 0}};

static void
check_channels(Compiler *c, const Path *path)
{
	Path at = {path, "channels"};

	if (c->d->channels == NULL)
		compiler_problem(c, path, "has no channels");
	for (const char *const *channel = c->d->channels; channel != NULL && *channel != NULL;
		 channel++)
	{
		const char *usual = strcmp(*channel, "EMAIL") == 0 ? "email" : "text";

		if (!is_channel(*channel))
			compiler_problem(c, &at, "has \"%.40s\", which is none of WHATSAPP, SMS, EMAIL",
							 *channel);
		else if (!c->d->is_smtp && definition_operation(c->d, usual, *channel, NULL) == NULL &&
				 definition_operation(c->d, "template", *channel, NULL) == NULL)
			compiler_problem(c, path, "has no operation \"%s\" for channel %s", usual, *channel);
	}
}

static void
compile_definition(Compiler *c, json_t *root)
{
	Path whole = {NULL, ""};
	Path options = {&whole, "options"};
	Path secrets = {&whole, "secrets"};
	Path operations = {&whole, "operations"};
	Path classes = {&whole, "classes"};
	json_t *value;

	if (!compile_is_object(c, &whole, root))
		return;
	value = json_object_get(root, "options");
	if (value != NULL)
		compile_options(c, &options, value, &c->d->options);
	check_names(c, &options, &c->d->options);
	add_url(c);
	check_alternatives(c, &options, &c->d->options);
	value = json_object_get(root, "secrets");
	if (value != NULL)
		compile_options(c, &secrets, value, &c->d->secrets);
	check_alternatives(c, &secrets, &c->d->secrets);
	place_key(c, &operations, root);
	compile_object(c, &whole, root, definition_members, c->d);
	value = json_object_get(root, "classes");
	if (value != NULL)
		compile_classes(c, &classes, value, c->d);
	check_channels(c, &whole);
	if (c->d->is_smtp && c->d->noperations > 0)
		compiler_problem(c, &operations, "has no place beside transport smtp");
}

/*
 * Compiles a definition, given as JSON; NULL when it has problems, each of which
 * was reported, or when memory is short.
 */
Definition *
definition_compile(const char *json, size_t len, DefinitionReport report, void *arg)
{
	Arena *arena = arena_create();
	json_error_t error;
	json_t *volatile root = NULL;
	Compiler c = {.arena = arena, .report = report, .arg = arg, .problems = 0};

	if (arena == NULL)
		return NULL;
	if (setjmp(arena->out_of_memory) != 0)
	{
		json_decref(root);
		arena_free(arena);
		return NULL;
	}
	c.d = arena_alloc(arena, sizeof(Definition));
	c.d->arena = arena;
	if (len > DEFINITION_MAX_BYTES)
		compiler_problem(&c, &(Path){NULL, ""}, "is longer than %d bytes", DEFINITION_MAX_BYTES);
	else if ((root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error)) == NULL)
		compiler_problem(&c, &(Path){NULL, ""}, "is no JSON object: %s", error.text);
	else
		compile_definition(&c, root);
	json_decref(root);
	if (c.problems == 0)
		return c.d;
	arena_free(arena);
	return NULL;
}

void
definition_free(Definition *d)
{
	if (d != NULL)
		arena_free(d->arena);
}

/* ---- what is looked up ------------------------------------------------------------------------
 */

static bool
is_for(const char *entry, const char *name, const char *channel)
{
	size_t len = strlen(name);

	if (strncmp(entry, name, len) != 0)
		return false;
	return channel == NULL ? entry[len] == '\0'
						   : entry[len] == '@' && strcasecmp(entry + len + 1, channel) == 0;
}

static bool
is_now(const DefinitionOperation *op, Values values)
{
	const char *value = op->when_value != NULL && values != NULL ? values[op->when_option] : NULL;

	return op->when_value == NULL || (value != NULL && strcasecmp(value, op->when_value) == 0);
}

/*
 * The operation of that name for a channel: its own, else the one for all; for
 * "media.TYPE" and the like also "media". NULL: there is none. values: those of
 * options at least.
 */
const DefinitionOperation *
definition_operation(const Definition *d, const char *name, const char *channel, Values values)
{
	char general[32];
	size_t len = strcspn(name, ".");

	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < d->noperations; k++)
			if (is_for(d->operations[k].name, name, i == 0 ? channel : NULL) &&
				is_now(&d->operations[k], values))
				return &d->operations[k];
	if (name[len] == '\0' || len >= sizeof(general))
		return NULL;
	memcpy(general, name, len);
	general[len] = '\0';
	return definition_operation(d, general, channel, values);
}

bool
operation_names(const DefinitionOperation *op, MessageField field)
{
	return (op->fields & (1UL << field)) != 0;
}

/* How a recipient is written on a channel; NULL: as it is stored. */
const DefinitionText *
definition_address(const Definition *d, const char *channel)
{
	for (size_t i = 0; i < d->address.n; i++)
		if (d->address.list[i].name[0] == '\0' || strcasecmp(d->address.list[i].name, channel) == 0)
			return &d->address.list[i].text;
	return NULL;
}

/* Whether a text names a value from first up to, not including, end. */
bool
definition_text_names(const DefinitionText *text, int first, int end)
{
	for (size_t i = 0; i < text->nparts; i++)
		if (text->parts[i].name != NULL && text->parts[i].value >= first &&
			text->parts[i].value < end)
			return true;
	return false;
}
