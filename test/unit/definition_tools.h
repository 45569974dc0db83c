/*
 * definition_tools.h
 *		What tests of definitions share: definitions from files and from literals,
 *		and values by the names of their placeholders.
 */
#ifndef CADENCE_DEFINITION_TOOLS_H
#define CADENCE_DEFINITION_TOOLS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/definition.h"

/* More than any definition has. */
#define VALUES_MAX 128

/* The files of protocols/. */
static const char *const shipped[] = {
	"webhook",	"whatsapp_cloud", "d360",	"evolution", "evolution_v1", "zapi",
	"waha",		"gupshup",		  "zenvia", "infobip",	 "twilio",		 "resend",
	"brevo",	"sendgrid",		  "postmark", "mailgun",	 "smtp",		 NULL};

/* Of protocols/, malloc'd and terminated. */
static inline char *
read_protocol(const char *name, size_t *len)
{
	char path[512];
	char *text = malloc(1024 * 1024);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.json", PROTOCOLS, name);
	file = fopen(path, "r");
	if (file == NULL)
	{
		perror(path);
		exit(2);
	}
	*len = fread(text, 1, 1024 * 1024 - 1, file);
	text[*len] = '\0';
	fclose(file);
	return text;
}

static inline void
print_problem(void *arg, const char *pointer, const char *problem)
{
	printf("# %s: %s: %s\n", (const char *) arg, pointer, problem);
}

static inline Definition *
compile_protocol(const char *name)
{
	size_t len;
	char *text = read_protocol(name, &len);
	Definition *d = definition_compile(text, len, print_problem, (void *) name);

	free(text);
	return d;
}

/* Quotes are written ' in literals of JSON; malloc'd. */
static inline char *
json_of(const char *literal)
{
	char *text = strdup(literal);

	for (char *c = text; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	return text;
}

static inline Definition *
compile_literal(const char *literal)
{
	char *text = json_of(literal);
	Definition *d = definition_compile(text, strlen(text), print_problem, "literal");

	free(text);
	return d;
}

static inline int
named_option(const DefinitionOptions *options, const char *name)
{
	for (size_t i = 0; i < options->n; i++)
		if (strcmp(options->list[i].name, name) == 0)
			return i;
	return -1;
}

/* The number of what a placeholder names; the test is wrong where there is none. */
static inline int
number_of(const Definition *d, const char *name)
{
	int i = -1;

	if (strncmp(name, "option.", 7) == 0)
		i = named_option(&d->options, name + 7) + FIELD_COUNT;
	else if (strncmp(name, "secret.", 7) == 0)
		i = named_option(&d->secrets, name + 7) + FIELD_COUNT + d->options.n;
	else
		for (int k = 0; k < FIELD_COUNT; k++)
			if (strcmp(message_field_names[k], name) == 0)
				i = k;
	if (i < 0 || i >= VALUES_MAX)
	{
		printf("not ok no placeholder %s\n", name);
		exit(2);
	}
	return i;
}

#endif
