/*
 * resolve.c
 *		Resolve: from a run's row to a message, its recipient and its provider.
 *
 * Works on rows of cadence_row_select(), whoever ran it, and sends nothing, so
 * that cadence_preview() shows what an execution does. Everything is read
 * while the row's transaction is open (a large text may be a pointer to toast),
 * but only what the step's own template names: the text itself is made when
 * its turn to be sent comes, so that a batch of large messages never stands in
 * memory at once.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "options.h"
#include "resolve.h"
#include "row.h"

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

typedef struct ParsedTemplate
{
	pg_uuid_t id; /* the key */
	CadenceTemplate template;
	int nvalues;
	int *sources;  /* per value: a column's number in the row, or one of the above */
	int *named_by; /* per value: a part that names it */
} ParsedTemplate;

struct CadenceResolver
{
	TupleDesc desc;
	const CadenceProviders *providers;
	HTAB *templates;

	/* columns of the contact that mean something to us; 0: it has none */
	int nome;
	int primeiro_nome;
	int email;
	int telefone;
	int opt_out;
};

static int
contact_column(TupleDesc desc, const char *name, size_t len)
{
	for (int i = ROW_CONTACT_FIRST; i <= desc->natts; i++)
	{
		const char *column = NameStr(TupleDescAttr(desc, i - 1)->attname);

		if (strlen(column) == len && memcmp(column, name, len) == 0)
			return i;
	}
	return 0;
}

/*
 * A resolver for rows of one result, in the current memory context, which the
 * steps that it makes live in too.
 */
CadenceResolver *
cadence_resolver_create(TupleDesc desc, const CadenceProviders *providers)
{
	CadenceResolver *r = palloc0(sizeof(*r));
	HASHCTL info = {.keysize = sizeof(pg_uuid_t),
					.entrysize = sizeof(ParsedTemplate),
					.hcxt = CurrentMemoryContext};

	r->desc = desc;
	r->providers = providers;
	r->templates =
		hash_create("cadence_runner templates", 32, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	r->nome = contact_column(desc, "nome", 4);
	r->primeiro_nome = contact_column(desc, "primeiro_nome", 13);
	r->email = contact_column(desc, "email", 5);
	r->telefone = contact_column(desc, "telefone", 8);
	r->opt_out = contact_column(desc, "opt_out", 7);
	return r;
}

static int
find_source(const CadenceResolver *r, const TemplatePart *part)
{
	int column;

	if (template_name_is(part, "primeiro_nome"))
		return SOURCE_PRIMEIRO_NOME;
	if (template_name_is(part, "lead_nome"))
		return SOURCE_LEAD_NOME;
	if (template_name_is(part, "empresa"))
		return SOURCE_EMPRESA;
	column = contact_column(r->desc, part->name, part->name_len);
	return column != 0 ? column : SOURCE_UNKNOWN;
}

static const char *
describe_parse_error(TemplateStatus status, const char *source, size_t at)
{
	int position = pg_mbstrlen_with_len(source, at) + 1;

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
value_number(ParsedTemplate *entry, int source, int part)
{
	int k = 0;

	while (k < entry->nvalues && entry->sources[k] != source)
		k++;
	if (k == entry->nvalues)
	{
		entry->sources[k] = source;
		entry->named_by[k] = part;
		entry->nvalues++;
	}
	return k;
}

static void
find_values(const CadenceResolver *r, ParsedTemplate *entry)
{
	CadenceTemplate *t = &entry->template;
	int most = r->desc->natts + SOURCE_SPECIALS;

	entry->nvalues = 0;
	entry->sources = palloc(sizeof(int) * most);
	entry->named_by = palloc(sizeof(int) * most);
	for (size_t i = 0; i < t->nparts; i++)
	{
		int source;

		if (t->parts[i].name == NULL)
			continue;
		source = find_source(r, &t->parts[i]);
		if (source == SOURCE_UNKNOWN)
		{
			t->problem = unknown_placeholder(&t->parts[i]);
			return;
		}
		t->parts[i].value = value_number(entry, source, i);
	}
}

static void
parse_template(const CadenceResolver *r, ParsedTemplate *entry, char *source)
{
	CadenceTemplate *t = &entry->template;
	size_t len = strlen(source);
	size_t error_at;
	TemplateStatus status;

	memset(t, 0, sizeof(*t));
	t->parts = palloc(sizeof(TemplatePart) * template_max_parts(source, len));
	status = template_parse(source, len, t->parts, &t->nparts, &error_at);
	if (status != TEMPLATE_OK)
	{
		t->problem = describe_parse_error(status, source, error_at);
		return;
	}
	find_values(r, entry);
}

/* Templates are few: each is read and parsed once per batch. */
static ParsedTemplate *
get_template(const CadenceResolver *r, HeapTuple row)
{
	bool isnull;
	bool found;
	pg_uuid_t *id = DatumGetUUIDP(heap_getattr(row, ROW_TEMPLATE_ID, r->desc, &isnull));
	ParsedTemplate *entry = hash_search(r->templates, id, HASH_ENTER, &found);

	if (!found)
	{
		char *source = row_text(r->desc, row, ROW_TEMPLATE_TEXT);

		parse_template(r, entry, source != NULL ? source : pstrdup(""));
	}
	return entry;
}

static char *
first_name(const CadenceResolver *r, HeapTuple row)
{
	char *given = row_text(r->desc, row, r->primeiro_nome);
	char *nome;
	const char *word;
	size_t len;

	if (!template_value_is_empty(given))
		return given;
	nome = row_text(r->desc, row, r->nome);
	if (nome == NULL)
		return NULL;
	len = template_first_word(nome, &word);
	return pnstrdup(word, len);
}

static char *
company_name(const CadenceResolver *r, HeapTuple row)
{
	char *display = row_text(r->desc, row, ROW_EMPRESA_NOME);

	return template_value_is_empty(display) ? row_text(r->desc, row, ROW_EMPRESA) : display;
}

static char *
value_of(const CadenceResolver *r, HeapTuple row, int source)
{
	switch (source)
	{
		case SOURCE_PRIMEIRO_NOME:
			return first_name(r, row);
		case SOURCE_LEAD_NOME:
			return row_text(r->desc, row, r->nome);
		case SOURCE_EMPRESA:
			return company_name(r, row);
		default:
			return row_text(r->desc, row, source);
	}
}

static void
unresolved(CadenceStep *step, const char *code, char *text)
{
	step->outcome = OUTCOME_UNRESOLVED;
	step->reason.code = code;
	step->reason.text = text;
}

/*
 * Each of the following settles one question and returns false when it ended
 * the step's resolution.
 */
static bool
resolve_step(const CadenceResolver *r, HeapTuple row, CadenceStep *step)
{
	if (row_is_null(r->desc, row, ROW_CADENCE_ATIVO))
	{
		unresolved(step, "SEM_CADENCIA", pstrdup("the run's cadence does not exist"));
		return false;
	}
	if (!row_true(r->desc, row, ROW_CADENCE_ATIVO))
	{
		step->outcome = OUTCOME_WAITING;
		step->reason.code = "CADENCIA_INATIVA";
		step->reason.text = pstrdup("the cadence is inactive: the run waits");
		return false;
	}
	if (!step->has_step)
	{
		step->outcome = OUTCOME_NO_STEP;
		return false;
	}
	return true;
}

static bool
resolve_contact(const CadenceResolver *r, HeapTuple row, CadenceStep *step)
{
	if (!row_true(r->desc, row, ROW_HAS_CONTACT))
	{
		unresolved(step, "SEM_CONTATO", pstrdup("the lead has no contact in this company"));
		return false;
	}
	if (row_true(r->desc, row, r->opt_out))
	{
		step->outcome = OUTCOME_OPTED_OUT;
		step->reason.code = "OPT_OUT";
		step->reason.text = pstrdup("the contact has opted out: the run is cancelled");
		step->opt_out_motivo =
			row_text(r->desc, row, contact_column(r->desc, "opt_out_motivo", 14));
		return false;
	}
	return true;
}

static bool
resolve_recipient(const CadenceResolver *r, HeapTuple row, CadenceStep *step)
{
	const char *canal = step->canal != NULL ? step->canal : "";
	bool is_email = pg_strcasecmp(canal, "EMAIL") == 0;

	if (!is_email && pg_strcasecmp(canal, "WHATSAPP") != 0 && pg_strcasecmp(canal, "SMS") != 0)
	{
		unresolved(step, "CANAL_DESCONHECIDO", psprintf("unknown channel \"%s\"", canal));
		return false;
	}
	step->recipient = row_text(r->desc, row, is_email ? r->email : r->telefone);
	if (template_value_is_empty(step->recipient))
	{
		unresolved(step, "SEM_ENDERECO",
				   psprintf("the contact has no %s", is_email ? "email" : "telefone"));
		return false;
	}
	if (cadence_has_control_characters(step->recipient))
	{
		unresolved(step, "ENDERECO_INVALIDO",
				   psprintf("the contact's %s contains control characters",
							is_email ? "email" : "telefone"));
		return false;
	}
	return true;
}

/* Whether a column's value is too long to be read; a toasted one is not fetched to find out. */
static bool
is_too_long(const CadenceResolver *r, HeapTuple row, int source)
{
	bool isnull;
	Datum value;

	if (source <= 0 || TupleDescAttr(r->desc, source - 1)->attlen != -1)
		return false;
	value = heap_getattr(row, source, r->desc, &isnull);
	return !isnull && toast_raw_datum_size(value) > VALUE_MAX;
}

static bool
resolve_values(const CadenceResolver *r, HeapTuple row, CadenceStep *step,
			   const ParsedTemplate *parsed)
{
	const CadenceTemplate *t = &parsed->template;

	step->values = palloc(sizeof(char *) * Max(parsed->nvalues, 1));
	for (int i = 0; i < parsed->nvalues; i++)
	{
		if (is_too_long(r, row, parsed->sources[i]))
		{
			const TemplatePart *part = &t->parts[parsed->named_by[i]];

			unresolved(step, "TEMPLATE_INVALIDO",
					   psprintf("the contact's \"%.*s\" is longer than %d bytes",
								(int) part->name_len, part->name, VALUE_MAX));
			return false;
		}
		step->values[i] = value_of(r, row, parsed->sources[i]);
	}
	return true;
}

static bool
resolve_template(const CadenceResolver *r, HeapTuple row, CadenceStep *step)
{
	ParsedTemplate *parsed;
	const char *codigo = step->template_codigo != NULL ? step->template_codigo : "";

	if (row_is_null(r->desc, row, ROW_TEMPLATE_ID))
	{
		unresolved(step, "SEM_TEMPLATE",
				   psprintf("template \"%s\" does not exist in this company", codigo));
		return false;
	}
	if (!row_true(r->desc, row, ROW_TEMPLATE_ATIVO))
	{
		unresolved(step, "SEM_TEMPLATE", psprintf("template \"%s\" is inactive", codigo));
		return false;
	}
	parsed = get_template(r, row);
	step->template = &parsed->template;
	if (parsed->template.problem != NULL)
	{
		unresolved(step, "TEMPLATE_INVALIDO",
				   psprintf("template \"%s\": %s", codigo, parsed->template.problem));
		return false;
	}

	if (!resolve_values(r, row, step, parsed))
		return false;
	step->message_len =
		template_render(parsed->template.parts, parsed->template.nparts, step->values, NULL);
	if (step->message_len == 0 || step->message_len > MESSAGE_MAX)
	{
		unresolved(step, "TEMPLATE_INVALIDO",
				   step->message_len == 0
					   ? psprintf("template \"%s\" yields an empty message", codigo)
					   : psprintf("template \"%s\" yields a message of more than %d bytes", codigo,
								  MESSAGE_MAX));
		return false;
	}
	return true;
}

static bool
resolve_provider(const CadenceResolver *r, CadenceStep *step)
{
	step->provider =
		cadence_provider_choose(r->providers, step->canal, step->empresa, step->lead_id);
	if (step->provider == NULL)
	{
		unresolved(step, "SEM_PROVEDOR",
				   psprintf("no server of cadence_provider serves channel %s for company \"%s\" "
							"with USAGE for the tables' owner",
							step->canal, step->empresa != NULL ? step->empresa : ""));
		return false;
	}
	if (step->provider->problem != NULL)
	{
		unresolved(step, "PROVEDOR_INVALIDO",
				   psprintf("server \"%s\": %s", step->provider->name, step->provider->problem));
		return false;
	}
	return true;
}

/*
 * An earlier claim was never recorded: its attempt may have reached the
 * provider. This claim sends nothing, and is no attempt; it says so, and what
 * follows is up to the provider's on_uncertain.
 */
static void
resolve_interruption(CadenceStep *step)
{
	step->outcome = OUTCOME_UNCERTAIN;
	step->attempts = Max(step->attempts - 1, 0);
	step->reason.code = "INCERTO";
	step->reason.text = pstrdup("an attempt was interrupted; whether it was sent is unknown");
}

/* Made here, inside a transaction: the server's hashing needs a resource owner. */
static void
set_idempotency_key(CadenceStep *step)
{
	pg_uuid_t key;

	cadence_idempotency_key(&step->run_id, step->ordem, &key);
	cadence_uuid_text(&key, step->key_text);
}

static CadenceStep *
read_row(const CadenceResolver *r, HeapTuple row)
{
	CadenceStep *step = palloc0(sizeof(*step));
	bool isnull;
	Datum id = heap_getattr(row, ROW_RUN_ID, r->desc, &isnull);
	Datum at = heap_getattr(row, ROW_NEXT_RUN_AT, r->desc, &isnull);

	step->run_id = *DatumGetUUIDP(id);
	cadence_uuid_text(&step->run_id, step->run_id_text);
	step->lease_end = isnull ? DT_NOBEGIN : DatumGetTimestampTz(at);
	step->lead_id = row_text(r->desc, row, ROW_LEAD_ID);
	step->empresa = row_text(r->desc, row, ROW_EMPRESA);
	step->attempts = row_int(r->desc, row, ROW_ATTEMPTS, 0);
	step->has_step = !row_is_null(r->desc, row, ROW_STEP_ORDEM);
	step->ordem = row_int(r->desc, row, ROW_STEP_ORDEM, 0);
	step->canal = row_text(r->desc, row, ROW_STEP_CANAL);
	step->template_codigo = row_text(r->desc, row, ROW_STEP_TEMPLATE);
	step->has_next = !row_is_null(r->desc, row, ROW_NEXT_ORDEM);
	step->next_ordem = row_int(r->desc, row, ROW_NEXT_ORDEM, 0);
	step->next_offset = row_int(r->desc, row, ROW_NEXT_OFFSET, 0);
	step->next_template = row_text(r->desc, row, ROW_NEXT_TEMPLATE);
	return step;
}

/*
 * Resolves one row. The step's outcome stays OUTCOME_PENDING when there is
 * something to send, and is final otherwise, with its reason.
 *
 * interrupted says that an earlier claim of this run was never recorded.
 */
CadenceStep *
cadence_resolve(CadenceResolver *r, HeapTuple row, bool interrupted)
{
	CadenceStep *step = read_row(r, row);

	step->interrupted = interrupted;
	if (resolve_step(r, row, step) && resolve_contact(r, row, step) &&
		resolve_recipient(r, row, step) && resolve_template(r, row, step) &&
		resolve_provider(r, step))
	{
		set_idempotency_key(step);
		if (interrupted)
			resolve_interruption(step);
	}
	return step;
}

/*
 * The text of a resolved step, in the current memory context.
 */
char *
cadence_render_message(const CadenceStep *step)
{
	char *text = MemoryContextAllocHuge(CurrentMemoryContext, step->message_len + 1);

	template_render(step->template->parts, step->template->nparts, step->values, text);
	text[step->message_len] = '\0';
	return text;
}
