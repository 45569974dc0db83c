/*
 * blocklist.c
 *		cadence_block(), cadence_block_many() and cadence_unblock(): whom nobody may
 *		write to, or a company may not.
 *
 * The right to execute them is all that their caller needs: they act as the owner of
 * the tables, who alone may read the key that entries are made with.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "record/blocks.h"
#include "rules/address_key.h"
#include "rules/phone.h"

PG_FUNCTION_INFO_V1(cadence_block);
PG_FUNCTION_INFO_V1(cadence_block_many);
PG_FUNCTION_INFO_V1(cadence_unblock);

/* What a reason and a source may have: there may be millions of them. */
#define WORD_MAX 1000

static char *
text_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	char *value = PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));

	if (value != NULL && strlen(value) > WORD_MAX)
		ereport(ERROR, (errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
						errmsg("%s is longer than %d bytes", name, WORD_MAX)));
	return value;
}

static void
set_kind(FunctionCallInfo fcinfo, AddressBlock *block)
{
	char *kind = text_arg(fcinfo, 0, "kind");

	block->is_email = kind != NULL && strcmp(kind, "email") == 0;
	if (!block->is_email && (kind == NULL || strcmp(kind, "phone") != 0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is no kind of address", kind != NULL ? kind : "null"),
						errhint("Kinds are phone and email.")));
}

/* One that was misspelt would let Brazil's numbers stand for another country's. */
static void
set_country(FunctionCallInfo fcinfo, int n, AddressBlock *block)
{
	block->country = text_arg(fcinfo, n, "country");
	if (block->country != NULL && !phone_knows_country(block->country))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("country \"%s\" is not known", block->country),
						errhint("Write numbers of other countries with \"+\".")));
}

/* An empty one would be everybody's. */
static char *
company_arg(FunctionCallInfo fcinfo, int n)
{
	char *empresa = text_arg(fcinfo, n, "empresa");

	if (empresa != NULL && empresa[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("empresa must not be empty"), errhint("Null means all companies.")));
	return empresa;
}

/* Whose word it is, before this session acts as somebody else. */
static AddressBlock
block_args(FunctionCallInfo fcinfo)
{
	AddressBlock block = {.source = text_arg(fcinfo, 3, "source")};

	set_kind(fcinfo, &block);
	set_country(fcinfo, 4, &block);
	block.empresa = company_arg(fcinfo, 5);
	block.reason = text_arg(fcinfo, 2, "reason");
	if (block.source == NULL)
		block.source = GetUserNameFromId(GetUserId(), false);
	return block;
}

static char *
address_arg(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("value must not be null")));
	return text_to_cstring(PG_GETARG_TEXT_PP(1));
}

/* The address itself is not repeated: an error may end up in the server's log. */
static void
refuse(const AddressBlock *block)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the value can be no %s", block->is_email ? "mailbox" : "telephone number"),
			 errhint("%s", block->is_email ? "Write it as name@domain."
										   : "Write it with its area code, and with \"+\" and its "
											 "country's code where it is of another country.")));
}

static CadenceCaller
begin(const CadenceTables *t)
{
	CadenceCaller caller = cadence_owner_begin(t->owner);

	(void) SPI_connect();
	return caller;
}

static void
end(CadenceCaller caller)
{
	SPI_finish();
	cadence_owner_end(caller);
}

/*
 * cadence_block(kind text, value text, reason text, source text, country text, empresa
 * text) -> boolean: no execution claims a message to that address from the commit on, for
 * that company, or for any where it is null; what is claimed and waits to be sent is looked
 * up again before it starts. False: it was on the list.
 *
 * Errors: 22023 for what is no kind, no country or no address; 22004 for a null
 * value; 55000 without the list's key.
 */
Datum
cadence_block(PG_FUNCTION_ARGS)
{
	AddressBlock block = block_args(fcinfo);
	char *address = address_arg(fcinfo);
	CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	CadenceCaller caller = begin(t);
	BlockCounts counts = cadence_blocks_add_one(cadence_blocks_create(t), &block, address);

	end(caller);
	if (counts.refused > 0)
		refuse(&block);
	PG_RETURN_BOOL(counts.added > 0);
}

/*
 * cadence_unblock(kind text, value text, country text, empresa text) -> boolean: takes an address
 * off the list; false: it was not there.
 *
 * Errors: as cadence_block().
 */
Datum
cadence_unblock(PG_FUNCTION_ARGS)
{
	AddressBlock block = {0};
	char *address;
	CadenceTables *t;
	CadenceCaller caller;
	char one[ADDRESS_ONE_SIZE];
	bool found;

	set_kind(fcinfo, &block);
	set_country(fcinfo, 2, &block);
	block.empresa = company_arg(fcinfo, 3);
	address = address_arg(fcinfo);
	if (!address_one(address, block.is_email, block.country, one))
		refuse(&block);
	t = cadence_tables_load(cadence_extension_schema());
	caller = begin(t);
	found = cadence_blocks_remove(cadence_blocks_create(t), &block, address);
	end(caller);
	PG_RETURN_BOOL(found);
}

/* ---- many ---------------------------------------------------------------------------- */

typedef struct Elements
{
	ArrayIterator iterator;
	char *text; /* of the last */
} Elements;

static const char *
next_element(void *arg)
{
	Elements *elements = arg;
	Datum value;
	bool isnull;

	if (elements->text != NULL)
		pfree(elements->text);
	elements->text = NULL;
	if (array_iterate(elements->iterator, &value, &isnull) && !isnull)
		elements->text = TextDatumGetCString(value);
	return elements->text;
}

static Datum
counts_row(FunctionCallInfo fcinfo, const BlockCounts *counts)
{
	Datum at[BLOCKS_REFUSED_MAX];
	int nat = Min(counts->refused, BLOCKS_REFUSED_MAX);
	Datum values[4] = {Int64GetDatum(counts->added), Int64GetDatum(counts->known),
					   Int64GetDatum(counts->refused)};
	bool nulls[4] = {false};
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "cadence_block_many() does not return a row");
	for (int i = 0; i < nat; i++)
		at[i] = Int32GetDatum(counts->refused_at[i]);
	values[3] =
		PointerGetDatum(construct_array(at, nat, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * cadence_block_many(kind text, addresses text[], reason text, source text, country
 * text, empresa text): the same for many. What can be no address is counted, and stops nothing.
 *
 * Errors: 22023 for what is no kind or no country; 22004 for null instead of an array;
 * 55000 without the list's key.
 */
Datum
cadence_block_many(PG_FUNCTION_ARGS)
{
	AddressBlock block = block_args(fcinfo);
	Elements elements = {0};
	CadenceTables *t;
	CadenceCaller caller;
	ArrayType *array;
	BlockCounts counts;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("addresses must not be null")));
	array = PG_GETARG_ARRAYTYPE_P(1);
	elements.iterator = array_create_iterator(array, 0, NULL);
	t = cadence_tables_load(cadence_extension_schema());
	caller = begin(t);
	counts = cadence_blocks_add(cadence_blocks_create(t), &block, next_element, &elements,
								ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)));
	end(caller);
	PG_RETURN_DATUM(counts_row(fcinfo, &counts));
}
