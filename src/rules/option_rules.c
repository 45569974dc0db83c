/*
 * option_rules.c
 *		A definition's "options", "secrets" and "limits", compiled.
 */
#include "rules/compiler.h"
#include "rules/domain_limits.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

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

/* A date of the calendar, written as 2028-02-18. */
static bool
is_date(const char *text)
{
	static const char form[] = "dddd-dd-dd";
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day;
	size_t i = 0;

	while (form[i] != '\0' &&
		   (form[i] == 'd' ? isdigit((unsigned char) text[i]) != 0 : text[i] == form[i]))
		i++;
	if (form[i] != '\0' || text[i] != '\0' || sscanf(text, "%4d-%2d-%2d", &year, &month, &day) != 3)
		return false;
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > days[month - 1])
		return false;
	return month != 2 || day < 29 || (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

static void
compile_end(Compiler *c, const Path *path, json_t *value, void *to)
{
	OptionEnd *end = to;

	end->value = path->key;
	compile_string(c, path, value, &end->date);
	if (json_is_string(value) && !is_date(json_string_value(value)))
		compiler_problem(c, path, "is no date such as 2028-02-18");
}

static void
compile_ends(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionOption *option = to;

	option->ends = compile_members(c, path, value, compile_end, sizeof(OptionEnd), &option->nends);
}

static const Member option_members[] = {
	{"required", compile_bool, offsetof(DefinitionOption, required)},
	{"default", compile_string, offsetof(DefinitionOption, otherwise)},
	{"help", compile_string, offsetof(DefinitionOption, help)},
	{"alternative", compile_string, offsetof(DefinitionOption, alternative)},
	{"excludes", compile_string, offsetof(DefinitionOption, excludes)},
	{"values", compile_words, offsetof(DefinitionOption, values)},
	{"ends", compile_ends, 0},
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
compile_option(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionOption *option = to;

	option->name = path->key;
	if (!is_option_name(option->name))
		compiler_problem(c, path,
						 "is no name of small letters, digits and underscores, or ends as a "
						 "secret's file does");
	compile_object(c, path, value, option_members, option);
}

void
compile_options(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionOptions *options = to;

	options->list =
		compile_members(c, path, value, compile_option, sizeof(DefinitionOption), &options->n);
}

static const DefinitionOption *
find_option(const DefinitionOptions *options, const char *name)
{
	for (size_t i = 0; i < options->n; i++)
		if (strcmp(options->list[i].name, name) == 0)
			return &options->list[i];
	return NULL;
}

void
compiler_check_alternatives(Compiler *c, const Path *path, const DefinitionOptions *options)
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
void
compiler_check_names(Compiler *c, const Path *path, const DefinitionOptions *options)
{
	static const char *const others[] = {"canal",			"empresa",		  "protocol", "on_echo",
										 "on_late_failure", "record_message", NULL};

	for (size_t i = 0; i < options->n; i++)
	{
		Path at = {path, options->list[i].name};

		if (compiler_knows(others, at.key) || compiler_knows(common_option_names, at.key))
			compiler_problem(c, &at, "is an option of every server");
	}
}

/*
 * Every server has a url. One that the definition does not name is an option
 * without a default.
 */
void
compiler_add_url(Compiler *c)
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
check_limit(Compiler *c, const Path *at, const json_t *value, const char *text)
{
	if (strcmp(at->key, "domain_limits") == 0)
	{
		if (!domain_limits_read(text, NULL, NULL))
			compiler_problem(c, at, "is no object of domains, each with its mails a minute");
	}
	else if (!json_is_string(value) && !json_is_number(value))
		compiler_problem(c, at, "is neither a text nor a number");
}

static void
compile_limit(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionOption *limit = to;

	limit->name = path->key;
	limit->otherwise = compiler_text_of(c, value);
	if (!compiler_knows(common_option_names, limit->name))
		compiler_problem(c, path, "is no limit");
	check_limit(c, path, value, limit->otherwise);
}

void
compile_limits(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionOptions *limits = to;

	limits->list =
		compile_members(c, path, value, compile_limit, sizeof(DefinitionOption), &limits->n);
}
