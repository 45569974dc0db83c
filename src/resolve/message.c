/*
 * message.c
 *		A step's message: its template, and the values that it names.
 *
 * Values are read while the row's transaction is open (a large text may be a
 * pointer to toast), but only those that the step's own template names: the text
 * itself is made when its turn to be sent comes, so that a batch of large
 * messages never stands in memory at once.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/xml.h"

#include "base/row.h"
#include "base/settings.h"
#include "resolve/message.h"

/* Where a placeholder's value comes from, if not from a column of the contact. */
enum
{
	SOURCE_PRIMEIRO_NOME = -1,
	SOURCE_LEAD_NOME = -2,
	SOURCE_EMPRESA = -3,
	SOURCE_UNSUBSCRIBE_URL = -4,
	SOURCE_UNKNOWN = -5,
	SOURCE_SPECIALS = 5 /* so many of the above */
};

#define UNSUBSCRIBE_URL "unsubscribe_url"

/* A hidden column is as good as none. */
static int
find_source(const ContactColumns *c, const TemplatePart *part)
{
	bool is_lead_nome = template_name_is(part, "lead_nome");
	const char *name = is_lead_nome ? "nome" : part->name;
	size_t len = is_lead_nome ? strlen(name) : part->name_len;
	int column;

	if (template_name_is(part, "empresa"))
		return SOURCE_EMPRESA;
	if (template_name_is(part, UNSUBSCRIBE_URL) && cadence_unsubscribe_base[0] != '\0')
		return SOURCE_UNSUBSCRIBE_URL;
	if (contact_hides(c, name, len))
		return SOURCE_UNKNOWN;
	if (is_lead_nome)
		return SOURCE_LEAD_NOME;
	if (template_name_is(part, "primeiro_nome"))
		return SOURCE_PRIMEIRO_NOME;
	column = contact_column(c, name, len);
	return column != 0 ? column : SOURCE_UNKNOWN;
}

static const char *
describe_parse_error(TemplateStatus status, const char *source, size_t at)
{
	int position = pg_mbstrlen_with_len(source, at) + 1;

	if (status == TEMPLATE_TOO_LONG)
		return psprintf("it is longer than %d bytes", TEMPLATE_MAX_BYTES);
	if (status == TEMPLATE_TOO_MANY)
		return psprintf("it has more than %d placeholders", TEMPLATE_MAX_PLACEHOLDERS);
	if (status == TEMPLATE_UNCLOSED)
		return psprintf("the placeholder at character %d has no closing braces", position);
	return psprintf("the placeholder at character %d has no valid name", position);
}

static const char *
unknown_placeholder(const ContactColumns *c, const TemplatePart *part)
{
	int len = pg_mbcliplen(part->name, part->name_len, NAMEDATALEN);

	if (template_name_is(part, UNSUBSCRIBE_URL))
		return "placeholder \"" UNSUBSCRIBE_URL "\" needs the setting "
			   "cadence_runner.unsubscribe_url";
	return psprintf("%s placeholder \"%.*s\"",
					contact_hides(c, part->name, part->name_len) ? "hidden" : "unknown", len,
					part->name);
}

/* Sources are few, parts may be many: placeholders of one source share a value. */
static int
value_number(CadenceTemplate *t, int source, const TemplatePart *part)
{
	int k = 0;

	while (k < t->nvalues && t->sources[k] != source)
		k++;
	if (k == t->nvalues)
	{
		t->sources[k] = source;
		t->named_by[k] = part;
		t->nvalues++;
	}
	return k;
}

static void
find_values(const ContactColumns *c, CadenceTemplate *t, CadenceTemplateText *text)
{
	for (size_t i = 0; i < text->nparts && t->problem == NULL; i++)
	{
		TemplatePart *part = &text->parts[i];
		int source = part->name != NULL ? find_source(c, part) : 0;

		if (source == SOURCE_UNKNOWN)
			t->problem = unknown_placeholder(c, part);
		else if (part->name != NULL)
			part->value = value_number(t, source, part);
	}
}

static void
parse_text(const ContactColumns *c, CadenceTemplate *t, const TemplateField *of, const char *source)
{
	CadenceTemplateText *text = &t->texts[t->ntexts++];
	size_t len = strlen(source);
	size_t error_at;
	TemplateStatus status;

	text->field = of->field;
	text->escape = of->escape;
	text->parts = palloc(sizeof(TemplatePart) * template_max_parts(source, len));
	status = template_parse(source, len, text->parts, &text->nparts, &error_at);
	if (status != TEMPLATE_OK)
		t->problem = describe_parse_error(status, source, error_at);
	else
		find_values(c, t, text);
}

static CadenceTemplate *
parse_template(const ContactColumns *c, const CadenceStepLookup *lookup)
{
	CadenceTemplate *t = palloc0(sizeof(*t));
	int most = c->desc->natts + SOURCE_SPECIALS;

	t->sources = palloc(sizeof(int) * most);
	t->named_by = palloc(sizeof(TemplatePart *) * most);
	if (lookup->template_is_too_long)
		t->problem = describe_parse_error(TEMPLATE_TOO_LONG, "", 0);
	for (int i = 0; i < TEMPLATE_TEXTS_MAX && t->problem == NULL; i++)
		if (lookup->texts[i] != NULL || template_fields[i].field == FIELD_MESSAGE)
			parse_text(c, t, &template_fields[i], lookup->texts[i] != NULL ? lookup->texts[i] : "");
	return t;
}

/*
 * The template that was looked up, with where its values come from. Templates
 * are few: each is parsed once per batch.
 */
const CadenceTemplate *
message_template(const ContactColumns *c, CadenceStepLookup *lookup)
{
	if (lookup->template == NULL)
		lookup->template = parse_template(c, lookup);
	return lookup->template;
}

/* Whether any of its texts has the link to unsubscribe. */
bool
message_names_link(const CadenceTemplate *t)
{
	for (int i = 0; i < t->nvalues; i++)
		if (t->sources[i] == SOURCE_UNSUBSCRIBE_URL)
			return true;
	return false;
}

static bool
first_name(const ContactColumns *c, HeapTuple row, char **value)
{
	const char *word;
	size_t len;

	if (!row_read_text(c->desc, row, c->primeiro_nome, ROW_FIELD_MAX, value))
		return false;
	if (!template_value_is_empty(*value) || contact_hides(c, "nome", strlen("nome")))
		return true;
	if (!row_read_text(c->desc, row, c->nome, ROW_FIELD_MAX, value))
		return false;
	if (*value != NULL)
	{
		char *nome = *value;

		len = template_first_word(nome, &word);
		*value = pnstrdup(word, len);
		pfree(nome);
	}
	return true;
}

/* A placeholder's value; false when it is too long to be read. */
static bool
read_value(const ContactColumns *c, HeapTuple row, const CadenceStep *step,
		   const CadenceStepLookup *lookup, int source, char **value)
{
	switch (source)
	{
		case SOURCE_PRIMEIRO_NOME:
			return first_name(c, row, value);
		case SOURCE_LEAD_NOME:
			return row_read_text(c->desc, row, c->nome, ROW_FIELD_MAX, value);
		case SOURCE_EMPRESA:
			*value = template_value_is_empty(lookup->empresa_nome) ? step->empresa
																   : lookup->empresa_nome;
			return true;
		case SOURCE_UNSUBSCRIBE_URL:
			*value = step->unsubscribe_url;
			return true;
		default:
			return row_read_text(c->desc, row, source, ROW_FIELD_MAX, value);
	}
}

/* Values are given up; the step is given back, and has its turn in another batch. */
static void
give_back(const CadenceTemplate *t, CadenceStep *step)
{
	for (int i = 0; i < t->nvalues; i++)
		if (t->sources[i] != SOURCE_EMPRESA && t->sources[i] != SOURCE_UNSUBSCRIBE_URL &&
			step->values[i] != NULL)
			pfree((char *) step->values[i]);
	step->outcome = OUTCOME_UNSENT;
}

/*
 * Reads what a step's template names of a contact's row, and finds out how long
 * its message is; why it can not be sent, or NULL. Where the batch has no room
 * for it, the step's outcome says so.
 */
char *
message_read_values(const ContactColumns *c, HeapTuple row, const CadenceStepLookup *lookup,
					CadenceStep *step)
{
	const CadenceTemplate *t = step->template;
	size_t bytes = 0;

	if (message_names_link(t) && step->unsubscribe_url == NULL)
		return psprintf("template \"%s\" has a link to unsubscribe, which would be too long",
						step->template_codigo);
	step->values = palloc(sizeof(char *) * Max(t->nvalues, 1));
	for (int i = 0; i < t->nvalues; i++)
	{
		const TemplatePart *part = t->named_by[i];
		char *value;

		if (!read_value(c, row, step, lookup, t->sources[i], &value))
			return psprintf("the contact's \"%.*s\" is longer than %d bytes", (int) part->name_len,
							part->name, ROW_FIELD_MAX);
		step->values[i] = value;
		bytes += value != NULL ? strlen(value) : 0;
	}
	if (bytes > LARGE_TEXT && !step_lookup_has_room())
	{
		give_back(t, step);
		return NULL;
	}
	step->message_len = 0;
	for (int i = 0; i < t->ntexts; i++)
		step->message_len +=
			template_render(t->texts[i].parts, t->texts[i].nparts, step->values, NULL);
	if (step->message_len == 0)
		return psprintf("template \"%s\" yields an empty message", step->template_codigo);
	if (step->message_len > TEMPLATE_MAX_MESSAGE)
		return psprintf("template \"%s\" yields a message of more than %d bytes",
						step->template_codigo, TEMPLATE_MAX_MESSAGE);
	return NULL;
}

/* A value as it stands in a text of that kind; a copy, unless that is the value itself. */
static const char *
escape_value(const char *value, TemplateEscape escape)
{
	StringInfoData json;

	if (escape == ESCAPE_NOTHING || template_value_is_empty(value))
		return value;
	if (escape == ESCAPE_HTML)
		return escape_xml(value);
	initStringInfo(&json);
	escape_json(&json, value);
	/* without its quotes */
	json.data[json.len - 1] = '\0';
	return memmove(json.data, json.data + 1, json.len - 1);
}

/* One of a resolved step's texts, in the current memory context. */
char *
message_render_text(const CadenceStep *step, const CadenceTemplateText *text)
{
	const char *const *values = step->values;
	const char **escaped;
	size_t len;
	char *rendered;

	if (text->escape != ESCAPE_NOTHING)
	{
		escaped = palloc(sizeof(char *) * Max(step->template->nvalues, 1));
		for (int i = 0; i < step->template->nvalues; i++)
			escaped[i] = escape_value(step->values[i], text->escape);
		values = escaped;
	}
	len = template_render(text->parts, text->nparts, values, NULL);
	rendered = MemoryContextAllocHuge(CurrentMemoryContext, len + 1);
	template_render(text->parts, text->nparts, values, rendered);
	rendered[len] = '\0';
	for (int i = 0; values != step->values && i < step->template->nvalues; i++)
		if (values[i] != step->values[i])
			pfree((char *) values[i]);
	if (values != step->values)
		pfree((void *) values);
	return rendered;
}

/*
 * The text of a resolved step, in the current memory context.
 */
char *
message_render(const CadenceStep *step)
{
	return message_render_text(step, &step->template->texts[0]);
}

/* All others of its texts, by field; what it does not have stays as it is. */
void
message_render_others(const CadenceStep *step, const char **fields)
{
	for (int i = 1; i < step->template->ntexts; i++)
		fields[step->template->texts[i].field] =
			message_render_text(step, &step->template->texts[i]);
}

/* Whether a step's text for a field says anything. */
bool
message_has_text(const CadenceStep *step, MessageField field)
{
	for (int i = 0; i < step->template->ntexts; i++)
	{
		const CadenceTemplateText *text = &step->template->texts[i];

		if (text->field == field)
			return template_render(text->parts, text->nparts, step->values, NULL) > 0;
	}
	return false;
}

/* Whether its template has a text for a field. */
bool
message_has(const CadenceStep *step, MessageField field)
{
	for (int i = 0; i < step->template->ntexts; i++)
		if (step->template->texts[i].field == field)
			return true;
	return false;
}
