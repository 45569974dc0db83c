/*
 * edition.c
 *		What edits of its cadence have left to a run: by which ids its step is known, and
 *		what its idempotency key is made of.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/json.h"
#include "base/statement.h"
#include "base/uuid.h"
#include "schema/edition.h"

/* So many ids of one step are known. */
#define NAMES_MAX 50

/* Its member that is about this step; NULL: it is about another one. */
static JsonbContainer *
about(const NumberedStep *step)
{
	JsonbContainer *edition =
		step->edition != NULL ? (JsonbContainer *) &step->edition->root : NULL;
	char text[UUID_TEXT_SIZE];
	char *id;

	if (edition == NULL || step->id == NULL || !JsonContainerIsObject(edition) ||
		(id = json_get_text(edition, "passo")) == NULL)
		return NULL;
	cadence_uuid_text(step->id, text);
	return strcmp(id, text) == 0 ? edition : NULL;
}

/*
 * The key of a step: made of its number, as anybody can. Where the cadence was edited
 * before the run got there, another step may have had that number: then of its id,
 * unless it had been tried before.
 */
void
cadence_step_key(const NumberedStep *step, pg_uuid_t *key)
{
	JsonbContainer *edition = about(step);
	char *name = edition != NULL ? json_get_text(edition, "chave") : NULL;
	char id[UUID_TEXT_SIZE];

	if (step->edition == NULL || step->id == NULL)
	{
		cadence_idempotency_key(step->run, step->ordem, key);
		return;
	}
	cadence_uuid_text(step->id, id);
	cadence_uuid_v5(step->run, name != NULL ? name : id, key);
}

/* Puts the ids as which it was tried: how many. */
static int
read_former(const NumberedStep *step, Datum *names)
{
	JsonbContainer *edition = about(step);
	JsonbValue *list =
		edition != NULL ? getKeyJsonValueFromContainer(edition, "era", strlen("era"), NULL) : NULL;
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;
	int n = 0;

	if (list == NULL || list->type != jbvBinary || !JsonContainerIsArray(list->val.binary.data))
		return 0;
	it = JsonbIteratorInit(list->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE && n < NAMES_MAX)
		if (token == WJB_ELEM && value.type == jbvString)
			names[n++] = PointerGetDatum(
				cstring_to_text_with_len(value.val.string.val, value.val.string.len));
	return n;
}

/*
 * As an array: the ids by which attempts at a step are known, where its number does not
 * tell; 0: it does.
 */
Datum
cadence_step_names(const NumberedStep *step)
{
	Datum names[NAMES_MAX + 1];
	char text[UUID_TEXT_SIZE];
	int n;

	if (step->edition == NULL || step->id == NULL)
		return (Datum) 0;
	n = read_former(step, names);
	cadence_uuid_text(step->id, text);
	names[n++] = CStringGetTextDatum(text);
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Whether an edit has put steps before the one that a run has stayed before: from where on. */
bool
cadence_edition_pending(const Jsonb *edition, int *from)
{
	JsonbContainer *root = edition != NULL ? (JsonbContainer *) &edition->root : NULL;
	JsonbValue *value;

	if (root == NULL || !JsonContainerIsObject(root))
		return false;
	value = getKeyJsonValueFromContainer(root, "pendente", strlen("pendente"), NULL);
	if (value == NULL || value->type != jbvNumeric)
		return false;
	*from = atoi(
		DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric))));
	return true;
}

/*
 * In SQL: whether the step that a run had stayed before was removed since. Then nothing
 * of it counts any more, neither what was tried nor how often.
 */
char *
cadence_edition_is_over(const CadenceTables *t, const char *run)
{
	return psprintf("(%s.edicao " JSON_TEXT " 'passo' IS NOT NULL AND NOT EXISTS "
					"(SELECT FROM %s AS gone WHERE gone.cadence_id " EQ " %s.cadence_id "
					"AND gone.id::text " EQ " (%s.edicao " JSON_TEXT " 'passo')))",
					run, t->steps, run, run);
}

/* In SQL: the edition of a run that counts. */
char *
cadence_edition_column(const CadenceTables *t, const char *run)
{
	return psprintf("CASE WHEN %s THEN '{}' ELSE %s.edicao::jsonb END",
					cadence_edition_is_over(t, run), run);
}
