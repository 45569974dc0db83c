/*
 * template.h
 *		The template engine: text with {{placeholders}}.
 *
 * Pure C: no PostgreSQL, no allocation. The caller brings the memory, so the
 * same code serves a backend, a worker and a fuzzer.
 */
#ifndef CADENCE_TEMPLATE_H
#define CADENCE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

/* No template that people write is longer, or has more; what is would cost memory. */
#define TEMPLATE_MAX_BYTES (1024 * 1024)
#define TEMPLATE_MAX_PLACEHOLDERS 10000

/* Repeated placeholders multiply what a value brings; no provider takes that much. */
#define TEMPLATE_MAX_MESSAGE (16 * 1024 * 1024)

typedef enum TemplateStatus
{
	TEMPLATE_OK,
	TEMPLATE_UNCLOSED, /* "{{" without its "}}" */
	TEMPLATE_BAD_NAME, /* nothing, or braces, between them */
	TEMPLATE_TOO_LONG, /* than TEMPLATE_MAX_BYTES */
	TEMPLATE_TOO_MANY  /* placeholders */
} TemplateStatus;

/* A stretch of literal text (name is NULL) or one placeholder. */
typedef struct TemplatePart
{
	const char *text; /* the literal, or a placeholder's fallback (NULL: none given) */
	size_t text_len;
	const char *name; /* the placeholder's name, not terminated */
	size_t name_len;
	int value; /* which of the values stands here: the caller's to fill in */
} TemplatePart;

extern size_t template_max_parts(const char *source, size_t len);
extern TemplateStatus template_parse(const char *source, size_t len, TemplatePart *parts,
									 size_t *nparts, size_t *error_at);
extern bool template_name_is(const TemplatePart *part, const char *name);
extern bool template_value_is_empty(const char *value);
extern size_t template_first_word(const char *value, const char **word);
extern size_t template_render(const TemplatePart *parts, size_t nparts, const char *const *values,
							  char *out);

#endif
