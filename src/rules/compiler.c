/*
 * compiler.c
 *		Reading a definition's values, each with its problems.
 *
 * All problems are reported, not the first: who writes a definition mends them
 * in one go. What a problem leaves unread stays zero, and nobody uses it.
 */
#include "rules/compiler.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/text.h"

#define PATH_MAX_BYTES 512

/* "~" and "/" in a key are written as RFC 6901 says. */
static size_t
write_path(const Path *path, char *to, size_t size)
{
	size_t n = path->up != NULL ? write_path(path->up, to, size) : 0;

	if (path->up == NULL)
		return 0;
	for (const char *c = path->key; n + 4 < size; c++)
	{
		if (c == path->key)
			to[n++] = '/';
		if (*c == '\0')
			break;
		if (*c == '~' || *c == '/')
			to[n++] = '~';
		to[n++] = *c == '~' ? '0' : *c == '/' ? '1' : *c;
	}
	to[n] = '\0';
	return n;
}

void
compiler_problem(Compiler *c, const Path *path, const char *format, ...)
{
	char pointer[PATH_MAX_BYTES] = "";
	char problem[512];
	va_list args;

	write_path(path, pointer, sizeof(pointer));
	va_start(args, format);
	vsnprintf(problem, sizeof(problem), format, args);
	va_end(args);
	/* what was cut may end within a character; and it stands in a line of its own */
	text_copy(pointer, sizeof(pointer), pointer);
	text_copy(problem, sizeof(problem), problem);
	c->problems++;
	c->report(c->arg, pointer, problem);
}

bool
compile_is_object(Compiler *c, const Path *path, json_t *value)
{
	if (!json_is_object(value))
		compiler_problem(c, path, "is not an object");
	return json_is_object(value);
}

static void
report_unknown(Compiler *c, const Path *path, const Member *members)
{
	char names[400] = "";

	for (; members->name != NULL; members++)
	{
		size_t len = strlen(names);

		snprintf(names + len, sizeof(names) - len, "%s%s", len > 0 ? ", " : "", members->name);
	}
	compiler_problem(c, path, "is no member that is known here; those are %s", names);
}

void
compile_object(Compiler *c, const Path *path, json_t *value, const Member *members, void *to)
{
	const char *key;
	json_t *member;

	if (!compile_is_object(c, path, value))
		return;
	json_object_foreach(value, key, member)
	{
		Path at = {path, key};
		const Member *m = members;

		while (m->name != NULL && strcmp(m->name, key) != 0)
			m++;
		if (m->name == NULL)
			report_unknown(c, &at, members);
		else
			m->compile(c, &at, member, (char *) to + m->offset);
	}
}

/* A single value stands for an array of one. */
size_t
compile_count(const json_t *value)
{
	return json_is_array(value) ? json_array_size(value) : 1;
}

json_t *
compile_element(json_t *value, size_t i)
{
	return json_is_array(value) ? json_array_get(value, i) : value;
}

/* The path of an array's element. */
Path
compile_path_of(Compiler *c, const Path *path, size_t i)
{
	char key[24];

	return (Path){path, arena_copy(c->arena, key, snprintf(key, sizeof(key), "%zu", i))};
}

/*
 * A list of structs of that size, each filled in from a member of an object, whose name is the
 * last of its path and lives as long as the definition.
 */
void *
compile_members(Compiler *c, const Path *path, json_t *value, Compile compile, size_t size,
				size_t *n)
{
	const char *key;
	json_t *member;
	char *list;

	if (!compile_is_object(c, path, value))
		return NULL;
	list = arena_alloc(c->arena, size * json_object_size(value));
	json_object_foreach(value, key, member)
	{
		Path at = {path, arena_copy(c->arena, key, strlen(key))};

		compile(c, &at, member, list + size * (*n)++);
	}
	return list;
}

/* The same from the elements of an array, or from a single value. */
void *
compile_array(Compiler *c, const Path *path, json_t *value, Compile compile, size_t size, size_t *n)
{
	size_t count = compile_count(value);
	char *list = arena_alloc(c->arena, size * count);

	if (count == 0)
		compiler_problem(c, path, "is an empty array");
	for (; *n < count; (*n)++)
		compile(c, path, compile_element(value, *n), list + size * *n);
	return list;
}

/* ---- plain values ---------------------------------------------------------------- */

static bool
is_text(Compiler *c, const Path *path, const json_t *value)
{
	if (json_is_string(value) && json_string_length(value) > 0 &&
		strlen(json_string_value(value)) == json_string_length(value))
		return true;
	compiler_problem(c, path, "is not a text, or empty");
	return false;
}

void
compile_string(Compiler *c, const Path *path, json_t *value, void *to)
{
	if (is_text(c, path, value))
		*(const char **) to =
			arena_copy(c->arena, json_string_value(value), json_string_length(value));
}

void
compile_bool(Compiler *c, const Path *path, json_t *value, void *to)
{
	if (!json_is_boolean(value))
		compiler_problem(c, path, "is neither true nor false");
	*(bool *) to = json_is_true(value);
}

void
compile_count_of(Compiler *c, const Path *path, json_t *value, void *to)
{
	if (!json_is_integer(value) || json_integer_value(value) < 1 ||
		json_integer_value(value) > 1000000)
		compiler_problem(c, path, "is not a whole number from 1 to 1000000");
	else
		*(int *) to = json_integer_value(value);
}

void
compile_words(Compiler *c, const Path *path, json_t *value, void *to)
{
	size_t n = json_array_size(value);
	const char **words = arena_alloc(c->arena, sizeof(char *) * (n + 1));

	if (n == 0)
		compiler_problem(c, path, "is not an array of texts");
	for (size_t i = 0; i < n; i++)
	{
		Path at = compile_path_of(c, path, i);

		compile_string(c, &at, json_array_get(value, i), &words[i]);
	}
	*(const char *const **) to = words;
}

/* In seconds. */
void
compile_duration(Compiler *c, const Path *path, json_t *value, void *to)
{
	static const struct
	{
		const char *name;
		long seconds;
	} units[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};
	char *unit = "";
	long number = json_is_string(value) ? strtol(json_string_value(value), &unit, 10) : 0;

	for (int i = 0; i < 4; i++)
		if (strcmp(unit, units[i].name) == 0 && number > 0 && number <= 10000000)
		{
			*(long *) to = number * units[i].seconds;
			return;
		}
	compiler_problem(c, path, "is not a duration such as \"6s\", \"10min\", \"24h\" or \"30d\"");
}

/* For people. */
void
compile_documentation(Compiler *c, const Path *path, json_t *value, void *to)
{
	(void) to;
	if (!json_is_string(value) && !json_is_array(value))
		compiler_problem(c, path, "is not a text, nor an array of texts");
}

/* ---- places in an answer --------------------------------------------------------- */

/* Cuts a JSON pointer (RFC 6901) into its steps. */
const char *const *
compiler_cut_pointer(Compiler *c, const char *pointer)
{
	size_t n = 0;
	char *copy = arena_copy(c->arena, pointer, strlen(pointer));
	const char **steps;

	for (const char *at = pointer; *at != '\0'; at++)
		n += *at == '/' ? 1 : 0;
	steps = arena_alloc(c->arena, sizeof(char *) * (n + 1));
	for (size_t i = 0; i < n; i++)
	{
		char *to = ++copy;

		for (steps[i] = to; *copy != '\0' && *copy != '/'; copy++)
			*to++ = *copy != '~' ? *copy : *++copy == '0' ? '~' : '/';
		*to = '\0';
	}
	return steps;
}

bool
compiler_is_pointer(const char *text)
{
	if (*text != '/')
		return false;
	for (; *text != '\0'; text++)
		if (*text == '~' && text[1] != '0' && text[1] != '1')
			return false;
	return true;
}

void
compile_place(Compiler *c, const Path *path, json_t *value, void *to)
{
	AnswerPlace *place = to;
	const char *text = "";

	compile_string(c, path, value, &text);
	if (strncmp(text, "header:", 7) == 0 && text[7] != '\0')
		place->header = text + 7;
	else if (compiler_is_pointer(text))
		place->steps = compiler_cut_pointer(c, text);
	else if (*text != '\0')
		compiler_problem(c, path, "\"%.100s\" is neither a JSON pointer nor \"header:NAME\"", text);
}

void
compile_places(Compiler *c, const Path *path, json_t *value, void *to)
{
	AnswerPlaces *places = to;

	places->list = compile_array(c, path, value, compile_place, sizeof(AnswerPlace), &places->n);
}

/* ---- texts with placeholders ------------------------------------------------------ */

const char *const message_field_names[FIELD_COUNT] = {
	[FIELD_RECIPIENT] = "recipient",
	[FIELD_MESSAGE] = "message",
	[FIELD_SUBJECT] = "subject",
	[FIELD_HTML] = "html",
	[FIELD_KEY] = "key",
	[FIELD_RUN_ID] = "run_id",
	[FIELD_LEAD_ID] = "lead_id",
	[FIELD_EMPRESA] = "empresa",
	[FIELD_STEP] = "step",
	[FIELD_TEMPLATE_CODE] = "template_code",
	[FIELD_CHANNEL] = "channel",
	[FIELD_MEDIA_URL] = "media.url",
	[FIELD_MEDIA_TYPE] = "media.type",
	[FIELD_MEDIA_MIME] = "media.mime",
	[FIELD_MEDIA_NAME] = "media.name",
	[FIELD_MEDIA_EXTENSION] = "media.extension",
	[FIELD_MEDIA_CAPTION] = "media.caption",
	[FIELD_TEMPLATE_NAME] = "template.name",
	[FIELD_TEMPLATE_LANGUAGE] = "template.language",
	[FIELD_TEMPLATE_CATEGORY] = "template.category",
	[FIELD_TEMPLATE_COMPONENTS] = "template.components",
	[FIELD_TEMPLATE_VARIABLES] = "template.variables",
	[FIELD_UNSUBSCRIBE_URL] = "unsubscribe_url",
	[FIELD_UNSUBSCRIBE_POST] = "unsubscribe_post",
	[FIELD_EVENT] = "event",
	[FIELD_E164] = "e164",
	[FIELD_DIGITS] = "digits",
	[FIELD_AS_STORED] = "as_stored"};

static int
find_option(const DefinitionOptions *options, const char *name, size_t len)
{
	for (size_t i = 0; i < options->n; i++)
		if (strlen(options->list[i].name) == len && memcmp(options->list[i].name, name, len) == 0)
			return i;
	return -1;
}

/* How a recipient can be written is known only while its address is made. */
static int
field_number(const Compiler *c, const TemplatePart *part)
{
	int first = c->in_address ? FIELD_E164 : 0;
	int end = c->in_address ? FIELD_COUNT : FIELD_E164;

	for (int i = first; i < end; i++)
		if (template_name_is(part, message_field_names[i]))
			return i;
	return -1;
}

/* The number among Values of what a placeholder names; -1: there is none of that name. */
static int
value_number(const Compiler *c, const TemplatePart *part)
{
	const Definition *d = c->d;
	static const char option[] = "option.";
	static const char secret[] = "secret.";
	size_t prefix = strlen(option);
	int number = field_number(c, part);

	if (number >= 0 || part->name_len <= prefix)
		return number;
	if (memcmp(part->name, option, prefix) == 0)
	{
		number = find_option(&d->options, part->name + prefix, part->name_len - prefix);
		return number < 0 ? -1 : FIELD_COUNT + number;
	}
	if (memcmp(part->name, secret, prefix) == 0)
	{
		number = find_option(&d->secrets, part->name + prefix, part->name_len - prefix);
		return number < 0 ? -1 : (int) (FIELD_COUNT + d->options.n) + number;
	}
	return -1;
}

static void
find_values(Compiler *c, const Path *path, DefinitionText *text)
{
	for (size_t i = 0; i < text->nparts; i++)
	{
		TemplatePart *part = &text->parts[i];

		if (part->name == NULL)
			continue;
		part->value = value_number(c, part);
		if (part->value >= 0 && part->value < FIELD_COUNT)
			c->fields |= 1UL << part->value;
		if (part->value >= 0)
			continue;
		compiler_problem(c, path,
						 "names \"%.*s\", which is no option, secret or field that can stand here",
						 part->name_len > 100 ? 100 : (int) part->name_len, part->name);
		part->value = 0;
	}
}

void
compile_text(Compiler *c, const Path *path, json_t *value, DefinitionText *to)
{
	const char *source = NULL;
	size_t error_at;
	size_t len;

	if (json_is_string(value) && json_string_length(value) == 0)
		return;
	compile_string(c, path, value, &source);
	if (source == NULL)
		return;
	len = strlen(source);
	to->parts = arena_alloc(c->arena, sizeof(TemplatePart) * template_max_parts(source, len));
	if (template_parse(source, len, to->parts, &to->nparts, &error_at) == TEMPLATE_OK)
		find_values(c, path, to);
	else
		compiler_problem(c, path, "has a placeholder that is none at byte %zu", error_at);
}

static void
compile_named_text(Compiler *c, const Path *path, json_t *value, void *to)
{
	NamedText *text = to;

	text->name = path->key;
	if (json_is_object(value) || json_is_array(value))
		text->json = compile_node(c, path, value);
	else
		compile_text(c, path, value, &text->text);
}

void
compile_named_texts(Compiler *c, const Path *path, json_t *value, void *to)
{
	NamedTexts *texts = to;

	texts->list = compile_members(c, path, value, compile_named_text, sizeof(NamedText), &texts->n);
}

/* names: NULL at the end. */
bool
compiler_knows(const char *const *names, const char *name)
{
	while (*names != NULL && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

bool
compiler_is_channel(const char *name)
{
	static const char *const channels[] = {"WHATSAPP", "SMS", "EMAIL", "EVENTOS", NULL};

	return compiler_knows(channels, name);
}
