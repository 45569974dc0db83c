/*
 * definition.c
 *		A protocol's definition, compiled: the whole, and what is looked up in it.
 */
#include "rules/compiler.h"

#include <string.h>
#include <strings.h>

/* No API needs a longer description. */
#define DEFINITION_MAX_BYTES (256 * 1024)

/* ---- the whole ---------------------------------------------------------------------------- */

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
	{"receive", compile_receive, offsetof(Definition, receive)},
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
		const char *usual = strcmp(*channel, "EMAIL") == 0	   ? "email"
							: strcmp(*channel, "EVENTOS") == 0 ? "event"
															   : "text";

		if (!compiler_is_channel(*channel))
			compiler_problem(
				c, &at, "has \"%.40s\", which is none of WHATSAPP, SMS, EMAIL, EVENTOS", *channel);
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
	compiler_check_names(c, &options, &c->d->options);
	compiler_add_url(c);
	compiler_check_alternatives(c, &options, &c->d->options);
	value = json_object_get(root, "secrets");
	if (value != NULL)
		compile_options(c, &secrets, value, &c->d->secrets);
	compiler_check_alternatives(c, &secrets, &c->d->secrets);
	compiler_place_key(c, &operations, root);
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

/* ---- what is looked up -------------------------------------------------------------------- */

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
