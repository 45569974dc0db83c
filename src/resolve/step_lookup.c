/*
 * step_lookup.c
 *		What all runs have in common that stand before the same step of a cadence,
 *		for the same company.
 *
 * Cadences, steps, templates and companies are few, and the runs of a batch are
 * many: they are looked up once per batch for each combination, instead of once
 * per run. They are never older than that: who switches a cadence off or edits
 * a template must not wait for an execution's end.
 *
 * An adopted message_templates may lack the unique constraint that ours has. Of
 * its rows those of the step's channel count, or of none; active ones before
 * others, then the most recently updated.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "base/row.h"
#include "base/statement.h"
#include "resolve/step_lookup.h"
#include "schema/key.h"

/* What a batch may hold before large texts are left to the next one. */
#define BATCH_BYTES_MAX (32 * 1024 * 1024)

struct CadenceStepLookups
{
	Statement find;
};

static const RowsetColumn wanted_columns[] = {{"n", INT4OID},
											  {"cadence_id", UUIDOID},
											  {"next_step_ordem", INT4OID},
											  {"pending", INT4OID},
											  {"empresa", TEXTOID}};

enum
{
	FOUND_NUMBER = 1,
	FOUND_HAS_CADENCE,
	FOUND_IS_ACTIVE,
	FOUND_ORDEM, /* NULL: no step left */
	FOUND_CANAL,
	FOUND_TEMPLATE_CODIGO,
	FOUND_NEXT_ORDEM,
	FOUND_NEXT_TEMPLATE,
	FOUND_HAS_TEMPLATE,
	FOUND_TEMPLATE_IS_ACTIVE,
	FOUND_EMPRESA_NOME,
	FOUND_PAIS,
	FOUND_TEMPLATE_VERSION,
	FOUND_VALID_FOR,
	FOUND_IF_IT_FAILS,
	FOUND_STEP_ID,
	FOUND_NEXT_ID,
	FOUND_TIME,
	FOUND_NEXT_TIME = FOUND_TIME + STEP_TIME_NCOLUMNS,
	FOUND_POLICY = FOUND_NEXT_TIME + STEP_TIME_NCOLUMNS,
	FOUND_TEXTS = FOUND_POLICY + POLICY_NCOLUMNS
};

#define MEMBER(column, name) "t." column " " JSON_TEXT " '" name "'"

const TemplateField template_fields[TEMPLATE_TEXTS_MAX] = {
	{"t.conteudo::text", FIELD_MESSAGE, ESCAPE_NOTHING},
	{"t.assunto::text", FIELD_SUBJECT, ESCAPE_NOTHING},
	{"t.html::text", FIELD_HTML, ESCAPE_HTML},
	{MEMBER("midia", "url"), FIELD_MEDIA_URL, ESCAPE_NOTHING},
	{MEMBER("midia", "tipo"), FIELD_MEDIA_TYPE, ESCAPE_NOTHING},
	{MEMBER("midia", "mime"), FIELD_MEDIA_MIME, ESCAPE_NOTHING},
	{MEMBER("midia", "nome"), FIELD_MEDIA_NAME, ESCAPE_NOTHING},
	{MEMBER("midia", "legenda"), FIELD_MEDIA_CAPTION, ESCAPE_NOTHING},
	{MEMBER("whatsapp", "nome"), FIELD_TEMPLATE_NAME, ESCAPE_NOTHING},
	{MEMBER("whatsapp", "idioma"), FIELD_TEMPLATE_LANGUAGE, ESCAPE_NOTHING},
	{MEMBER("whatsapp", "categoria"), FIELD_TEMPLATE_CATEGORY, ESCAPE_NOTHING},
	{MEMBER("whatsapp", "componentes"), FIELD_TEMPLATE_COMPONENTS, ESCAPE_JSON},
	{MEMBER("whatsapp", "variaveis"), FIELD_TEMPLATE_VARIABLES, ESCAPE_JSON}};

/* An adopted bigint column may go further than ours: no step stands there. */
#define STEP_LIMIT "x.ordem " LE " 2147483647"

/* A word that is longer is no channel. */
#define CHANNEL(column) "pg_catalog.upper((" SHORT_TEXT(column, "100") ") COLLATE pg_catalog.\"C\")"

static char *
texts_sql(void)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < TEMPLATE_TEXTS_MAX; i++)
		appendStringInfo(&sql, ", %s", template_fields[i].sql);
	return sql.data;
}

/* Of the rows of message_templates the one that counts for a step. */
static char *
template_sql(const CadenceTables *t)
{
	return psprintf("SELECT x.xmin, x.* FROM %s AS x WHERE %s AND %s "
					"AND (x.canal IS NULL OR " CHANNEL("x.canal") " " EQ " " CHANNEL(
						"s.canal") ") "
								   "ORDER BY COALESCE(x.ativo, true) DESC, x.updated_at DESC NULLS "
								   "LAST, x.id DESC LIMIT 1",
					t->templates,
					cadence_key_is(t, "message_templates", "x", "codigo",
								   SHORT_TEXT("s.template_codigo", CppAsString2(ROW_KEY_MAX))),
					cadence_key_is(t, "message_templates", "x", "empresa", "r.empresa"));
}

/* Of the steps from there on the first. */
static char *
step_sql(const CadenceTables *t, const char *from)
{
	return psprintf("SELECT x.* FROM %s AS x WHERE x.cadence_id " EQ " r.cadence_id "
					"AND x.ordem %s AND " STEP_LIMIT " ORDER BY x.ordem LIMIT 1",
					t->steps, from);
}

static char *
find_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT r.n, c.id IS NOT NULL, COALESCE(c.ativo, true), "
		"s.ordem::int4, s.canal::text, s.template_codigo::text, n.ordem::int4, "
		"n.template_codigo::text, t.id IS NOT NULL, COALESCE(t.ativo, true), "
		"e.nome::text, e.pais::text, t.xmin::text, s.validade::interval, %s, "
		"s.id::uuid, n.id::uuid, %s, %s, %s%s "
		"FROM " ROWSET_NAME " AS r "
		"LEFT JOIN LATERAL (SELECT x.* FROM %s AS x "
		"WHERE x.id " EQ " r.cadence_id LIMIT 1) AS c ON true "
		"LEFT JOIN LATERAL (%s) AS s ON true "
		"LEFT JOIN LATERAL (%s) AS n ON true "
		"LEFT JOIN LATERAL (%s) AS t ON true "
		"LEFT JOIN LATERAL (SELECT x.* FROM %s AS x WHERE %s LIMIT 1) AS e ON true",
		SHORT_TEXT("s.se_falhar", "100"), cadence_step_time_columns("s"),
		cadence_step_time_columns("n"), cadence_policy_columns("c", "e"), texts_sql(), t->cadences,
		step_sql(t, GE " r.next_step_ordem"),
		step_sql(t, GE " COALESCE(r.pending::int8, s.ordem::int8 OPERATOR(pg_catalog.+) 1)"),
		template_sql(t), t->empresas,
		cadence_key_is(t, "cadence_empresas", "x", "empresa", "r.empresa"));
}

/* in_query: for one call in somebody's query, inside its SPI connection. */
CadenceStepLookups *
cadence_step_lookups_create(const CadenceTables *t, bool in_query)
{
	CadenceStepLookups *lookups = palloc0(sizeof(*lookups));

	lookups->find = ROWS_STATEMENT("looking for steps", find_sql(t), SPI_OK_SELECT);
	lookups->find.in_query = in_query;
	return lookups;
}

static void
put_wanted(Rowset *rows, const CadenceStep *step, int number)
{
	rowset_put_int(rows, number);
	if (step->has_cadence)
		rowset_put_uuid(rows, &step->cadence_id);
	else
		rowset_put_null(rows);
	if (step->has_position)
		rowset_put_int(rows, step->position);
	else
		rowset_put_null(rows);
	rowset_put_if(rows, step->has_pending, Int32GetDatum(step->pending));
	rowset_put_text(rows, step->empresa);
}

/*
 * Whether the current memory context, a batch's, takes large texts. A batch is
 * held until its last message is on its way, and there are several.
 */
bool
step_lookup_has_room(void)
{
	return MemoryContextMemAllocated(CurrentMemoryContext, false) < BATCH_BYTES_MAX;
}

static void
read_text(CadenceStepLookup *found, TupleDesc desc, HeapTuple row, int i)
{
	char **text = &found->texts[i];

	if (row_read_text(desc, row, FOUND_TEXTS + i, LARGE_TEXT, text))
		return;
	if (!step_lookup_has_room())
		found->template_has_no_room = true;
	else if (!row_read_text(desc, row, FOUND_TEXTS + i, TEMPLATE_MAX_BYTES, text))
		found->template_is_too_long = true;
}

/* What its step's se_falhar says. */
static bool
goes_on(const char *if_it_fails)
{
	return if_it_fails != NULL && strcmp(if_it_fails, "PULAR") == 0;
}

/* What can not be sent is not read. */
static void
read_found(CadenceStepLookup *found, TupleDesc desc, HeapTuple row)
{
	found->has_cadence = row_true(desc, row, FOUND_HAS_CADENCE);
	found->is_active = row_true(desc, row, FOUND_IS_ACTIVE);
	found->has_step = !row_is_null(desc, row, FOUND_ORDEM);
	(void) row_uuid(desc, row, FOUND_STEP_ID, &found->step_id);
	found->ordem = row_int(desc, row, FOUND_ORDEM, 0);
	found->canal = row_text(desc, row, FOUND_CANAL, ROW_KEY_MAX);
	found->template_codigo = row_text(desc, row, FOUND_TEMPLATE_CODIGO, ROW_KEY_MAX);
	found->has_next = !row_is_null(desc, row, FOUND_NEXT_ORDEM);
	(void) row_uuid(desc, row, FOUND_NEXT_ID, &found->next_id);
	found->next_ordem = row_int(desc, row, FOUND_NEXT_ORDEM, 0);
	cadence_step_time_read(desc, row, FOUND_NEXT_TIME, &found->next_time);
	found->next_template = row_text(desc, row, FOUND_NEXT_TEMPLATE, ROW_KEY_MAX);
	found->has_template = row_true(desc, row, FOUND_HAS_TEMPLATE);
	found->template_is_active = row_true(desc, row, FOUND_TEMPLATE_IS_ACTIVE);
	for (int i = 0; i < TEMPLATE_TEXTS_MAX && found->template_is_active; i++)
		read_text(found, desc, row, i);
	found->empresa_nome = row_text(desc, row, FOUND_EMPRESA_NOME, ROW_FIELD_MAX);
	found->pais = row_text(desc, row, FOUND_PAIS, ROW_KEY_MAX);
	found->valid_for_us = cadence_interval_us(desc, row, FOUND_VALID_FOR, 0);
	found->goes_on = goes_on(row_text(desc, row, FOUND_IF_IT_FAILS, ROW_KEY_MAX));
	cadence_step_time_read(desc, row, FOUND_TIME, &found->time);
	cadence_policy_read(desc, row, FOUND_POLICY, &found->policy);
	found->template_version = row_text(desc, row, FOUND_TEMPLATE_VERSION, ROW_KEY_MAX);
}

static char *
text_of(const CadenceStepLookup *found, MessageField field)
{
	for (int i = 0; i < TEMPLATE_TEXTS_MAX; i++)
		if (template_fields[i].field == field)
			return found->texts[i];
	return NULL;
}

/* Whether the template names one that the provider has approved. */
bool
step_lookup_has_approved(const CadenceStepLookup *found)
{
	return text_of(found, FIELD_TEMPLATE_NAME) != NULL;
}

/* Of the one that is approved: "" where its row says none; NULL: there is no such template. */
char *
step_lookup_category(const CadenceStepLookup *found)
{
	char *category = text_of(found, FIELD_TEMPLATE_CATEGORY);

	if (!step_lookup_has_approved(found))
		return NULL;
	return category != NULL ? category : "";
}

/* Steps of one place have one key. */
static char *
key_of(const CadenceStep *step)
{
	char cadence[UUID_TEXT_SIZE] = "";

	if (step->has_cadence)
		cadence_uuid_text(&step->cadence_id, cadence);
	return psprintf("%s %d %d %d %d %s%s", cadence, step->has_position, step->position,
					step->has_pending, step->has_pending ? step->pending : 0,
					step->empresa != NULL ? "=" : "", step->empresa != NULL ? step->empresa : "");
}

static int
by_key(const void *a, const void *b)
{
	return strcmp((*(CadenceStepLookup *const *) a)->key, (*(CadenceStepLookup *const *) b)->key);
}

/* Puts the places of steps in order, and lets those that are the same be one; how many there are.
 */
static int
make_lookups(CadenceStep **steps, int n, CadenceStepLookup **found, CadenceStepLookup **wanted)
{
	CadenceStepLookup *all = palloc0(sizeof(CadenceStepLookup) * Max(n, 1));
	int nwanted = 0;

	for (int i = 0; i < n; i++)
	{
		all[i].step = steps[i];
		all[i].key = key_of(steps[i]);
		wanted[i] = &all[i];
	}
	qsort(wanted, n, sizeof(*wanted), by_key);
	for (int i = 0; i < n; i++)
	{
		if (nwanted == 0 || strcmp(wanted[nwanted - 1]->key, wanted[i]->key) != 0)
			wanted[nwanted++] = wanted[i];
		found[wanted[i] - all] = wanted[nwanted - 1];
	}
	return nwanted;
}

/*
 * What is there for each of some steps, in the current memory context, inside
 * an SPI connection.
 */
void
cadence_step_lookups_find(CadenceStepLookups *lookups, CadenceStep **steps, int n,
						  CadenceStepLookup **found)
{
	CadenceStepLookup **wanted = palloc(sizeof(*wanted) * Max(n, 1));
	int nwanted = make_lookups(steps, n, found, wanted);
	Rowset rows;

	rowset_begin(&rows, wanted_columns, lengthof(wanted_columns));
	for (int i = 0; i < nwanted; i++)
		put_wanted(&rows, wanted[i]->step, i);
	statement_execute(&lookups->find, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		read_found(wanted[row_int(desc, row, FOUND_NUMBER, 0)], desc, row);
	}
	SPI_freetuptable(SPI_tuptable);
	rowset_end(&rows);
	pfree(wanted);
}
