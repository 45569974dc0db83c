/*
 * edition.c
 *		What edits of its cadence have left to a run: under which numbers its step is
 *		known, and what its idempotency key is made of.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/json.h"
#include "base/uuid.h"
#include "schema/edition.h"

/* So many numbers of one step are known. */
#define NUMBERS_MAX 100

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

/* How many there are. */
static int
read_numbers(const NumberedStep *step, int *numbers)
{
	JsonbContainer *edition = about(step);
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;
	JsonbValue *list;
	int n = 0;

	numbers[n++] = step->ordem;
	list = edition != NULL ? getKeyJsonValueFromContainer(edition, "numeros", 7, NULL) : NULL;
	if (list == NULL || list->type != jbvBinary || !JsonContainerIsArray(list->val.binary.data))
		return n;
	it = JsonbIteratorInit(list->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE && n < NUMBERS_MAX)
		if (token == WJB_ELEM && value.type == jbvNumeric)
			numbers[n++] = atoi(DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric))));
	return n;
}

/* As an array: the numbers under which attempts at a step are recorded. */
Datum
cadence_step_numbers(const NumberedStep *step)
{
	int numbers[NUMBERS_MAX];
	Datum values[NUMBERS_MAX];
	int n = read_numbers(step, numbers);

	for (int i = 0; i < n; i++)
		values[i] = Int32GetDatum(numbers[i]);
	return PointerGetDatum(construct_array(values, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* Whether that is one of them. */
bool
cadence_step_had_number(const NumberedStep *step, int ordem)
{
	int numbers[NUMBERS_MAX];
	int n = read_numbers(step, numbers);

	for (int i = 0; i < n; i++)
		if (numbers[i] == ordem)
			return true;
	return false;
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
