/*
 * template.c
 *		The template engine: text with {{placeholders}}.
 *
 * A placeholder is {{name}} or {{name|fallback}}, blanks and invisible characters
 * around the name do not count. Substitution is single-pass: the template is cut into parts once,
 * and a value is copied as it is, so a value that contains "{{" is only text.
 *
 * Which names exist is not known here: the caller looks each part's name up
 * and brings one value per part.
 */
#include "rules/template.h"
#include "rules/text.h"

#include <string.h>

static const char *
find_pair(const char *at, const char *end, char c)
{
	while (at < end && (at = memchr(at, c, end - at)) != NULL)
	{
		if (at + 1 < end && at[1] == c)
			return at;
		at++;
	}
	return NULL;
}

/*
 * How many parts template_parse() can make of a source at most; what it refuses
 * as a whole has one.
 */
size_t
template_max_parts(const char *source, size_t len)
{
	const char *end = source + len;
	size_t n = 1;

	if (len > TEMPLATE_MAX_BYTES)
		return 1;
	for (const char *at = find_pair(source, end, '{'); at; at = find_pair(at + 2, end, '{'))
		if ((n += 2) > 2 * TEMPLATE_MAX_PLACEHOLDERS + 1)
			return 1;
	return n;
}

/*
 * Fills in the name and the fallback of what stands between the braces.
 */
static bool
parse_placeholder(const char *start, const char *end, TemplatePart *part)
{
	const char *bar = memchr(start, '|', end - start);
	const char *name_end = bar ? bar : end;

	text_trim(&start, &name_end);
	part->name = start;
	part->name_len = name_end - start;
	part->text = bar ? bar + 1 : NULL;
	part->text_len = bar ? end - (bar + 1) : 0;

	for (const char *c = start; c < name_end; c++)
		if (*c == '{' || *c == '}' || *c == '\0')
			return false;
	/* a placeholder inside a fallback would be sent as it stands */
	if (part->text != NULL && find_pair(part->text, part->text + part->text_len, '{') != NULL)
		return false;
	return part->name_len > 0;
}

/*
 * Cuts a template into parts that point into it.
 *
 * parts must have room for template_max_parts(). On an error, *error_at is the
 * offset in bytes of the offending "{{".
 */
TemplateStatus
template_parse(const char *source, size_t len, TemplatePart *parts, size_t *nparts,
			   size_t *error_at)
{
	const char *at = source;
	const char *end = source + len;
	size_t n = 0;

	*nparts = 0;
	*error_at = 0;
	if (len > TEMPLATE_MAX_BYTES)
		return TEMPLATE_TOO_LONG;
	if (len > 1 && template_max_parts(source, len) == 1 && find_pair(at, end, '{') != NULL)
		return TEMPLATE_TOO_MANY;
	while (at < end)
	{
		const char *open = find_pair(at, end, '{');
		const char *close;

		if (open != at)
			parts[n++] = (TemplatePart){.text = at, .text_len = (open ? open : end) - at};
		if (open == NULL)
			break;
		*error_at = open - source;
		close = find_pair(open + 2, end, '}');
		if (close == NULL)
			return TEMPLATE_UNCLOSED;
		if (!parse_placeholder(open + 2, close, &parts[n++]))
			return TEMPLATE_BAD_NAME;
		at = close + 2;
	}
	*nparts = n;
	return TEMPLATE_OK;
}

bool
template_name_is(const TemplatePart *part, const char *name)
{
	return part->name_len == strlen(name) && memcmp(part->name, name, part->name_len) == 0;
}

/*
 * NULL and what nobody sees are empty: a lead called " " is greeted by the
 * fallback.
 */
bool
template_value_is_empty(const char *value)
{
	const char *end;

	if (value == NULL)
		return true;
	end = value + strlen(value);
	text_trim(&value, &end);
	return value == end;
}

/*
 * The first word of a value, for {{primeiro_nome}} out of "nome".
 */
size_t
template_first_word(const char *value, const char **word)
{
	const char *end = value + strlen(value);
	const char *word_end;

	text_trim(&value, &end);
	for (word_end = value; word_end < end && text_blank(word_end, end) == 0; word_end++)
		;
	text_trim(&value, &word_end);
	*word = value;
	return word_end - value;
}

static bool
is_a_name(const TemplatePart *part)
{
	return template_name_is(part, "nome") || template_name_is(part, "primeiro_nome") ||
		   template_name_is(part, "lead_nome");
}

/* What an empty value becomes: the template's fallback, "você" for a name, or nothing. */
static const char *
fallback_of(const TemplatePart *part, size_t *len)
{
	const char *text = part->text != NULL ? part->text : is_a_name(part) ? "você" : "";

	*len = part->text != NULL ? part->text_len : strlen(text);
	return text;
}

/* A name is greeted without what nobody sees around it. */
static const char *
piece_of(const TemplatePart *part, const char *value, size_t *len)
{
	const char *end;

	if (template_value_is_empty(value))
		return fallback_of(part, len);
	end = value + strlen(value);
	if (is_a_name(part))
		text_trim(&value, &end);
	*len = end - value;
	return value;
}

/*
 * Writes the text to out, without a terminator, and returns its length in
 * bytes; with out NULL it only measures.
 *
 * A placeholder's value is values[part.value], so that placeholders of one name
 * can share it.
 */
size_t
template_render(const TemplatePart *parts, size_t nparts, const char *const *values, char *out)
{
	size_t total = 0;

	for (size_t i = 0; i < nparts; i++)
	{
		const char *piece = parts[i].text;
		size_t len = parts[i].text_len;

		if (parts[i].name != NULL)
			piece = piece_of(&parts[i], values[parts[i].value], &len);
		if (out != NULL && len > 0)
			memcpy(out + total, piece, len);
		total += len;
	}
	return total;
}
