/*
 * template_test.c
 *		The template engine: parsing, fallbacks, single-pass substitution.
 *
 * Buffers have exactly the size that the engine asks for, so that the address
 * sanitizer sees one byte too many.
 */
#include "rules/template.h"

#include <stdlib.h>

#include "check.h"

typedef struct Variable
{
	const char *name;
	const char *value;
} Variable;

static const char *
lookup(const Variable *variables, const TemplatePart *part)
{
	for (; variables->name != NULL; variables++)
		if (template_name_is(part, variables->name))
			return variables->value;
	return NULL;
}

/* A copy without a terminator, to be freed. */
static char *
exact_copy(const char *source)
{
	size_t len = strlen(source);
	char *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, source, len);
	return copy;
}

static TemplateStatus
parse(const char *source, size_t len, TemplatePart **parts, size_t *nparts, size_t *error_at)
{
	*parts = malloc(sizeof(TemplatePart) * template_max_parts(source, len));
	*nparts = 0;
	*error_at = SIZE_MAX;
	return template_parse(source, len, *parts, nparts, error_at);
}

/* The rendered text, "UNCLOSED" or "BAD NAME"; to be freed. */
static char *
render(const char *source, const Variable *variables)
{
	char *copy = exact_copy(source);
	TemplatePart *parts;
	size_t nparts;
	size_t error_at;
	TemplateStatus status = parse(copy, strlen(source), &parts, &nparts, &error_at);
	const char **values;
	char *exact;
	char *text;
	size_t len;

	if (status != TEMPLATE_OK)
	{
		free(parts);
		free(copy);
		return strdup(status == TEMPLATE_UNCLOSED ? "UNCLOSED" : "BAD NAME");
	}
	values = malloc(sizeof(char *) * (nparts + 1));
	for (size_t i = 0; i < nparts; i++)
	{
		parts[i].value = i;
		values[i] = parts[i].name != NULL ? lookup(variables, &parts[i]) : NULL;
	}
	len = template_render(parts, nparts, values, NULL);
	exact = malloc(len > 0 ? len : 1);
	CHECK_INT(template_render(parts, nparts, values, exact), len);
	text = malloc(len + 1);
	memcpy(text, exact, len);
	text[len] = '\0';
	free(exact);
	free(values);
	free(parts);
	free(copy);
	return text;
}

static const Variable people[] = {
	{"nome", "Ana Souza"},		 {"primeiro_nome", "Ana"}, {"vazio", ""},  {"espacos", " \t\n "},
	{"chaves", "{{nome}} e {{"}, {"çedilha", "sim"},	   {"emoji", "🎉"}, {NULL, NULL}};
static const Variable nobody[] = {{NULL, NULL}};

static void
check_render(const char *source, const Variable *variables, const char *expected, int line)
{
	char *text = render(source, variables);

	check_text(text, expected, __FILE__, line, source);
	free(text);
}

#define RENDERS(source, expected) check_render(source, people, expected, __LINE__)
#define RENDERS_EMPTY(source, expected) check_render(source, nobody, expected, __LINE__)

static void
literals(void)
{
	RENDERS("", "");
	RENDERS("só texto", "só texto");
	RENDERS("{", "{");
	RENDERS("}", "}");
	RENDERS("}}", "}}");
	RENDERS("a { b } c", "a { b } c");
	RENDERS("{nome}", "{nome}");
	RENDERS("{ {nome} }", "{ {nome} }");
	RENDERS("linha\nlinha\ttab", "linha\nlinha\ttab");
	RENDERS("{\"a\": {\"b\": 1} }", "{\"a\": {\"b\": 1} }");
}

static void
placeholders(void)
{
	RENDERS("{{nome}}", "Ana Souza");
	RENDERS("Oi {{primeiro_nome}}!", "Oi Ana!");
	RENDERS("{{nome}}{{nome}}", "Ana SouzaAna Souza");
	RENDERS("{{ nome }}", "Ana Souza");
	RENDERS("{{\n\tnome\r\n}}", "Ana Souza");
	RENDERS("{{çedilha}}{{emoji}}", "sim🎉");
	RENDERS("{{nome}}}", "Ana Souza}");
	RENDERS("{{nome}} {", "Ana Souza {");
	RENDERS("}}{{nome}}", "}}Ana Souza");
	RENDERS("{a}{{nome}}{b}", "{a}Ana Souza{b}");
}

static void
fallbacks(void)
{
	RENDERS("{{nome|amigo}}", "Ana Souza");
	RENDERS("{{vazio|amigo}}", "amigo");
	RENDERS("{{espacos|amigo}}", "amigo");
	RENDERS("{{ vazio | amigo }}", " amigo ");
	RENDERS("{{vazio|}}", "");
	RENDERS("{{vazio}}", "");
	RENDERS("{{outro}}", "");
	RENDERS("{{outro|a|b}}", "a|b");
	RENDERS("{{outro|a}b}}", "a}b");
	RENDERS("{{outro|{x}}", "{x");
	RENDERS("[{{outro|é 🎉}}]", "[é 🎉]");
}

/* Names fall back to "você", unless the template says otherwise. */
static void
names(void)
{
	RENDERS_EMPTY("Oi {{nome}}", "Oi você");
	RENDERS_EMPTY("Oi {{primeiro_nome}}", "Oi você");
	RENDERS_EMPTY("Oi {{lead_nome}}", "Oi você");
	RENDERS_EMPTY("Oi {{nome|amiga}}", "Oi amiga");
	RENDERS_EMPTY("Oi {{nome|}}", "Oi ");
	RENDERS_EMPTY("Oi {{empresa}}", "Oi ");
	RENDERS_EMPTY("Oi {{nomes}}", "Oi ");
	RENDERS_EMPTY("Oi {{Nome}}", "Oi ");
}

static void
single_pass(void)
{
	RENDERS("{{chaves}}", "{{nome}} e {{");
	RENDERS("{{chaves}}{{nome}}", "{{nome}} e {{Ana Souza");
	RENDERS("{{chaves|x}} fim", "{{nome}} e {{ fim");
}

static void
check_refused(const char *source, TemplateStatus expected, size_t expected_at, int line)
{
	char *copy = exact_copy(source);
	TemplatePart *parts;
	size_t nparts;
	size_t error_at;

	check_int(parse(copy, strlen(source), &parts, &nparts, &error_at), expected, __FILE__, line,
			  source);
	check_int(error_at, expected_at, __FILE__, line, source);
	free(parts);
	free(copy);
}

#define REFUSES(source, status, at) check_refused(source, status, at, __LINE__)

static void
refusals(void)
{
	REFUSES("{{", TEMPLATE_UNCLOSED, 0);
	REFUSES("Oi {{nome", TEMPLATE_UNCLOSED, 3);
	REFUSES("Oi {{nome}", TEMPLATE_UNCLOSED, 3);
	REFUSES("é {{nome} }", TEMPLATE_UNCLOSED, 3);
	REFUSES("{{a}} {{b", TEMPLATE_UNCLOSED, 6);
	REFUSES("{{{{", TEMPLATE_UNCLOSED, 0);
	REFUSES("{{}}", TEMPLATE_BAD_NAME, 0);
	REFUSES("{{ }}", TEMPLATE_BAD_NAME, 0);
	REFUSES("{{|x}}", TEMPLATE_BAD_NAME, 0);
	REFUSES("x{{{nome}}}", TEMPLATE_BAD_NAME, 1);
	REFUSES("{{a{{b}}}}", TEMPLATE_BAD_NAME, 0);
	REFUSES("{{a|{{b}}}}", TEMPLATE_BAD_NAME, 0);
	REFUSES("{{a}b}}", TEMPLATE_BAD_NAME, 0);
}

/* A length, not a terminator, ends the source. */
static void
lengths(void)
{
	static const char source[] = {'a', '{', '{', 'n', '}', '}', '{', '{'};
	static const char with_nul[] = {'{', '{', 'a', '\0', 'b', '}', '}'};
	static const char literal_nul[] = {'a', '\0', 'b'};
	TemplatePart parts[8];
	size_t nparts = 0;
	size_t at = 0;

	CHECK_INT(template_parse(source, 6, parts, &nparts, &at), TEMPLATE_OK);
	CHECK_INT(nparts, 2);
	CHECK_INT(parts[0].text_len, 1);
	CHECK(parts[0].name == NULL);
	CHECK_INT(parts[1].name_len, 1);
	CHECK(parts[1].text == NULL);
	CHECK_INT(template_parse(source, 7, parts, &nparts, &at), TEMPLATE_OK);
	CHECK_INT(nparts, 3);
	CHECK_INT(template_parse(source, 8, parts, &nparts, &at), TEMPLATE_UNCLOSED);
	CHECK_INT(at, 6);
	CHECK_INT(template_parse(with_nul, sizeof(with_nul), parts, &nparts, &at), TEMPLATE_BAD_NAME);
	CHECK_INT(template_parse(literal_nul, sizeof(literal_nul), parts, &nparts, &at), TEMPLATE_OK);
	CHECK_INT(parts[0].text_len, 3);
	CHECK_INT(template_parse("", 0, parts, &nparts, &at), TEMPLATE_OK);
	CHECK_INT(nparts, 0);
}

static void
part_bounds(void)
{
	CHECK_INT(template_max_parts("", 0), 1);
	CHECK_INT(template_max_parts("texto", 5), 1);
	CHECK_INT(template_max_parts("{{a}}", 5), 3);
	CHECK_INT(template_max_parts("{{{{{{", 6), 7);
	CHECK_INT(template_max_parts("{{a}}{{b}}{{c}}", 15), 7);
}

static void
empty_values(void)
{
	CHECK(template_value_is_empty(NULL));
	CHECK(template_value_is_empty(""));
	CHECK(template_value_is_empty(" \t\n\r\v\f"));
	CHECK(!template_value_is_empty("a"));
	CHECK(!template_value_is_empty("  a  "));
	CHECK(!template_value_is_empty("é"));
	CHECK(!template_value_is_empty("0"));
}

static void
check_word(const char *value, const char *expected, int line)
{
	const char *word;
	size_t len = template_first_word(value, &word);

	check_int(len, strlen(expected), __FILE__, line, value);
	check_int(memcmp(word, expected, strlen(expected)), 0, __FILE__, line, value);
}

static void
first_words(void)
{
	check_word("Ana Souza", "Ana", __LINE__);
	check_word("  Ana  Souza", "Ana", __LINE__);
	check_word("Ana", "Ana", __LINE__);
	check_word("Ana\nSouza", "Ana", __LINE__);
	check_word("João-Pedro da Silva", "João-Pedro", __LINE__);
	check_word("🎉🎉 festa", "🎉🎉", __LINE__);
	check_word("", "", __LINE__);
	check_word("   ", "", __LINE__);
}

static void
part_names(void)
{
	TemplatePart part = {.name = "nomeado", .name_len = 4};

	CHECK(template_name_is(&part, "nome"));
	CHECK(!template_name_is(&part, "nomeado"));
	CHECK(!template_name_is(&part, "nom"));
	CHECK(!template_name_is(&part, ""));
	CHECK(!template_name_is(&part, "NOME"));
}

/* What nobody sees does not count, in a placeholder, in a value, between words. */
static void
invisible(void)
{
	RENDERS("{{\u00a0nome\u00a0}}", "Ana Souza");
	RENDERS("{{\ufeff nome\u200b| x}}", "Ana Souza");
	RENDERS("{{\u00a0}}", "BAD NAME");
	CHECK(template_value_is_empty("\u00a0"));
	CHECK(template_value_is_empty(" \u200b \u3000"));
	CHECK(!template_value_is_empty("\u00a0x"));
	check_word("Maria\u00a0Souza", "Maria", __LINE__);
	check_word("\u202aMaria\u202c Souza", "Maria", __LINE__);
	check_word("क्\u200dष Souza", "क्\u200dष", __LINE__);
	check_word("\u200b", "", __LINE__);
}

static void
check_limit(const char *piece, size_t times, TemplateStatus expected, size_t max_parts, int line)
{
	size_t len = strlen(piece);
	char *source = malloc(len * times);
	TemplatePart *parts;
	size_t nparts;
	size_t error_at;

	for (size_t i = 0; i < times; i++)
		memcpy(source + i * len, piece, len);
	check_int(template_max_parts(source, len * times), max_parts, __FILE__, line, piece);
	check_int(parse(source, len * times, &parts, &nparts, &error_at), expected, __FILE__, line,
			  piece);
	free(parts);
	free(source);
}

/* Known before anything is allocated: a template is data of the user's. */
static void
limits(void)
{
	size_t most = TEMPLATE_MAX_PLACEHOLDERS;

	check_limit("x", TEMPLATE_MAX_BYTES, TEMPLATE_OK, 1, __LINE__);
	check_limit("x", TEMPLATE_MAX_BYTES + 1, TEMPLATE_TOO_LONG, 1, __LINE__);
	check_limit("{{", 14000000, TEMPLATE_TOO_LONG, 1, __LINE__);
	check_limit("{", 52000000, TEMPLATE_TOO_LONG, 1, __LINE__);
	check_limit("{{", 500000, TEMPLATE_TOO_MANY, 1, __LINE__);
	check_limit("{{a}}", most, TEMPLATE_OK, 2 * most + 1, __LINE__);
	check_limit("{{a}}", most + 1, TEMPLATE_TOO_MANY, 1, __LINE__);
	check_limit("a", 2, TEMPLATE_OK, 1, __LINE__);
	check_limit("{{", 1, TEMPLATE_UNCLOSED, 3, __LINE__);
}

/* A text of many parts: sizes are sums, not guesses. */
static void
large(void)
{
	enum
	{
		TIMES = TEMPLATE_MAX_PLACEHOLDERS
	};
	static const char piece[] = "{{nome}}, ";
	char *source = malloc(TIMES * (sizeof(piece) - 1) + 1);
	char *text;

	for (int i = 0; i < TIMES; i++)
		memcpy(source + i * (sizeof(piece) - 1), piece, sizeof(piece));
	text = render(source, people);
	CHECK_INT(strlen(text), TIMES * strlen("Ana Souza, "));
	CHECK(strncmp(text, "Ana Souza, Ana Souza, ", 22) == 0);
	free(text);
	free(source);
}

int
main(void)
{
	RUN_GROUP("template: literal text", literals);
	RUN_GROUP("template: placeholders", placeholders);
	RUN_GROUP("template: fallbacks", fallbacks);
	RUN_GROUP("template: names fall back to você", names);
	RUN_GROUP("template: substitution is single-pass", single_pass);
	RUN_GROUP("template: what is refused, and where", refusals);
	RUN_GROUP("template: lengths count, terminators do not", lengths);
	RUN_GROUP("template: room for parts", part_bounds);
	RUN_GROUP("template: empty values", empty_values);
	RUN_GROUP("template: first words", first_words);
	RUN_GROUP("template: names of parts", part_names);
	RUN_GROUP("template: invisible characters", invisible);
	RUN_GROUP("template: limits", limits);
	RUN_GROUP("template: many parts", large);
	return check_result();
}
