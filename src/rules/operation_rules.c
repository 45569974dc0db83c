/*
 * operation_rules.c
 *		A definition's "operations", "address" and "idempotency", compiled.
 */
#include "rules/compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
		Path at = compile_path_of(c, path, i);

		fill_node(c, &at, json_array_get(value, i), &node->children[node->n++]);
	}
}

/* Where a value is JSON, what stands for it must be, or no request could be made without it. */
static void
check_fallback(Compiler *c, const Path *path, const DefinitionText *text)
{
	const TemplatePart *part = text->parts;
	json_t *json;

	if (text->nparts != 1 || part->name == NULL || part->text_len == 0 ||
		!field_is_json(part->value))
		return;
	json = json_loadb(part->text, part->text_len,
					  JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES, NULL);
	if (json == NULL)
		compiler_problem(c, path, "has a fallback that is no JSON, for a value that is");
	json_decref(json);
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
		check_fallback(c, path, &node->text);
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

/*
 * Whether its host is what its beginning says, and no value of a message's or an
 * option's makes another of it: secrets are bound to hosts.
 */
static bool
keeps_its_host(const DefinitionText *url)
{
	const TemplatePart *part = &url->parts[0];
	size_t len;

	if (part->name == NULL)
	{
		for (len = strlen("https://"); len < part->text_len; len++)
			if (strchr("/?", part->text[len]) != NULL)
				return true;
		return url->nparts == 1;
	}
	return url->nparts == 1 ||
		   (part[1].name == NULL && part[1].text_len > 0 && strchr("/?", part[1].text[0]) != NULL);
}

static void
check_operation(Compiler *c, const Path *path, DefinitionOperation *op)
{
	static const char *const methods[] = {"POST", "PUT", "PATCH", "GET", NULL};
	const TemplatePart *first = op->url.parts;

	if (op->method == NULL)
		op->method = "POST";
	if (!compiler_knows(methods, op->method))
		compiler_problem(c, path, "has another method than POST, PUT, PATCH or GET");
	if (op->url.nparts == 0)
		compiler_problem(c, path, "has no url");
	else if (first->name != NULL ? !template_name_is(first, "option.url") || first->text != NULL
								 : strncmp(first->text, "https://", 8) != 0)
		compiler_problem(c, path, "has a url that begins with neither {{option.url}} nor https://");
	else if (!keeps_its_host(&op->url))
		compiler_problem(c, path,
						 "has a url in whose host something may be inserted: a / or ? must "
						 "come before any placeholder but {{option.url}}");
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

/* "text", "media.image", and either for one channel: "text@SMS". */
static bool
is_operation_name(const char *name)
{
	static const char *const names[] = {
		"text",		   "template",	  "template.marketing", "email",		  "email.html", "media",
		"media.image", "media.audio", "media.video",		"media.document", "event",		NULL};
	size_t len = strcspn(name, "@");

	for (int i = 0; names[i] != NULL; i++)
		if (strlen(names[i]) == len && strncmp(names[i], name, len) == 0)
			return name[len] == '\0' || compiler_is_channel(name + len + 1);
	return false;
}

static void
compile_operation(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionOperation *op = to;

	op->name = path->key;
	if (!is_operation_name(op->name))
		compiler_problem(c, path,
						 "is no operation: text, template, template.marketing, email, "
						 "email.html, media, media.image, media.audio, media.video, "
						 "media.document, event, each also with @CHANNEL");
	c->fields = 0;
	compile_object(c, path, value, operation_members, op);
	op->fields = c->fields;
	check_operation(c, path, op);
	order_body(c, path, op->json, json_object_get(value, "order"));
}

void
compile_operations(Compiler *c, const Path *path, json_t *value, void *to)
{
	Definition *d = to;

	d->operations = compile_members(c, path, value, compile_operation, sizeof(DefinitionOperation),
									&d->noperations);
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
		else if (texts->list[i].name[0] != '\0' && !compiler_is_channel(texts->list[i].name))
			compiler_problem(c, path,
							 "is for \"%.40s\", which is none of WHATSAPP, SMS, EMAIL, EVENTOS",
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

void
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
void
compiler_place_key(Compiler *c, const Path *path, json_t *root)
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
