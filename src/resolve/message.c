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

#include "access/detoast.h"
#include "access/htup_details.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "resolve/message.h"

/* Repeated placeholders multiply what a value brings; no provider takes that much. */
#define MESSAGE_MAX (16 * 1024 * 1024)

/* No field of a contact that belongs into a message is longer; read in whole, it would be kept. */
#define VALUE_MAX (64 * 1024)

/* Where a placeholder's value comes from, if not from a column of the contact. */
enum
{
	SOURCE_PRIMEIRO_NOME = -1,
	SOURCE_LEAD_NOME = -2,
	SOURCE_EMPRESA = -3,
	SOURCE_UNKNOWN = -4,
	SOURCE_SPECIALS = 4 /* so many of the above */
};

static int
find_source(const ContactColumns *c, const TemplatePart *part)
{
	int column;

	if (template_name_is(part, "primeiro_nome"))
		return SOURCE_PRIMEIRO_NOME;
	if (template_name_is(part, "lead_nome"))
		return SOURCE_LEAD_NOME;
	if (template_name_is(part, "empresa"))
		return SOURCE_EMPRESA;
	column = contact_column(c->desc, part->name, part->name_len);
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
unknown_placeholder(const TemplatePart *part)
{
	int len = pg_mbcliplen(part->name, part->name_len, NAMEDATALEN);

	return psprintf("unknown placeholder \"%.*s\"", len, part->name);
}

/* Sources are few, parts may be many: placeholders of one source share a value. */
static int
value_number(CadenceTemplate *t, int source, int part)
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
find_values(const ContactColumns *c, CadenceTemplate *t)
{
	int most = c->desc->natts + SOURCE_SPECIALS;

	t->sources = palloc(sizeof(int) * most);
	t->named_by = palloc(sizeof(int) * most);
	for (size_t i = 0; i < t->nparts; i++)
	{
		int source;

		if (t->parts[i].name == NULL)
			continue;
		source = find_source(c, &t->parts[i]);
		if (source == SOURCE_UNKNOWN)
		{
			t->problem = unknown_placeholder(&t->parts[i]);
			return;
		}
		t->parts[i].value = value_number(t, source, i);
	}
}

static CadenceTemplate *
parse_template(const ContactColumns *c, const char *source)
{
	CadenceTemplate *t = palloc0(sizeof(*t));
	size_t len = strlen(source);
	size_t error_at;
	TemplateStatus status;

	t->parts = palloc(sizeof(TemplatePart) * template_max_parts(source, len));
	status = template_parse(source, len, t->parts, &t->nparts, &error_at);
	if (status != TEMPLATE_OK)
		t->problem = describe_parse_error(status, source, error_at);
	else
		find_values(c, t);
	return t;
}

/*
 * The template of a position, with where its values come from. Templates are
 * few: each position's is parsed once per batch.
 */
const CadenceTemplate *
message_template(const ContactColumns *c, CadencePosition *position)
{
	if (position->template == NULL)
		position->template =
			parse_template(c, position->template_text != NULL ? position->template_text : "");
	return position->template;
}

static char *
first_name(const ContactColumns *c, HeapTuple row)
{
	char *given = row_text(c->desc, row, c->primeiro_nome);
	char *nome;
	const char *word;
	size_t len;

	if (!template_value_is_empty(given))
		return given;
	nome = row_text(c->desc, row, c->nome);
	if (nome == NULL)
		return NULL;
	len = template_first_word(nome, &word);
	return pnstrdup(word, len);
}

static const char *
company_name(const CadenceStep *step, const CadencePosition *position)
{
	return template_value_is_empty(position->empresa_nome) ? step->empresa : position->empresa_nome;
}

static const char *
value_of(const ContactColumns *c, HeapTuple row, const CadenceStep *step,
		 const CadencePosition *position, int source)
{
	switch (source)
	{
		case SOURCE_PRIMEIRO_NOME:
			return first_name(c, row);
		case SOURCE_LEAD_NOME:
			return row_text(c->desc, row, c->nome);
		case SOURCE_EMPRESA:
			return company_name(step, position);
		default:
			return row_text(c->desc, row, source);
	}
}

/* Whether a column's value is too long to be read; a toasted one is not fetched to find out. */
static bool
is_too_long(const ContactColumns *c, HeapTuple row, int source)
{
	bool isnull;
	Datum value;

	if (source <= 0 || TupleDescAttr(c->desc, source - 1)->attlen != -1)
		return false;
	value = heap_getattr(row, source, c->desc, &isnull);
	return !isnull && toast_raw_datum_size(value) > VALUE_MAX;
}

/*
 * Reads what a step's template names of a contact's row; why it can not be
 * sent, or NULL.
 */
char *
message_read_values(const ContactColumns *c, HeapTuple row, const CadencePosition *position,
					CadenceStep *step)
{
	const CadenceTemplate *t = step->template;

	step->values = palloc(sizeof(char *) * Max(t->nvalues, 1));
	for (int i = 0; i < t->nvalues; i++)
	{
		if (is_too_long(c, row, t->sources[i]))
		{
			const TemplatePart *part = &t->parts[t->named_by[i]];

			return psprintf("the contact's \"%.*s\" is longer than %d bytes", (int) part->name_len,
							part->name, VALUE_MAX);
		}
		step->values[i] = value_of(c, row, step, position, t->sources[i]);
	}
	return NULL;
}

/*
 * Finds out how long a step's message is; why it can not be sent, or NULL.
 */
char *
message_measure(CadenceStep *step, const char *codigo)
{
	step->message_len =
		template_render(step->template->parts, step->template->nparts, step->values, NULL);
	if (step->message_len == 0)
		return psprintf("template \"%s\" yields an empty message", codigo);
	if (step->message_len > MESSAGE_MAX)
		return psprintf("template \"%s\" yields a message of more than %d bytes", codigo,
						MESSAGE_MAX);
	return NULL;
}

/*
 * The text of a resolved step, in the current memory context.
 */
char *
message_render(const CadenceStep *step)
{
	char *text = MemoryContextAllocHuge(CurrentMemoryContext, step->message_len + 1);

	template_render(step->template->parts, step->template->nparts, step->values, text);
	text[step->message_len] = '\0';
	return text;
}
