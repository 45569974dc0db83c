/*
 * blocklist.c
 *		Addresses that are blocked, for all or for one company: how they are stored, and
 *		which are there.
 *
 * Of each the table has a hash by a key of this database: a plain one of a
 * telephone number is found by trying all numbers.
 *
 * An entry is everybody's, or one company's: what a company's provider tells of a
 * stranger stops nobody else.
 *
 * Most often the list is empty, or has millions of entries: whoever looks up a
 * batch asks once whether there is any, and then for each by the primary key.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "base/row.h"
#include "base/statement.h"
#include "schema/blocklist.h"
#include "schema/key.h"
#include "schema/secret_key.h"

struct CadenceBlocklist
{
	const CadenceTables *tables;
	Statement any;
	Statement find;
	CadenceSecretKey *key;
	uint8 key_print[sizeof(((BlockedHash *) 0)->key)]; /* after it was read */
	bool in_query;
};

static const RowsetColumn lookup_columns[] = {
	{"n", INT4OID}, {"kind", TEXTOID}, {"value_hash", BYTEAOID}, {"empresa", TEXTOID}};

enum
{
	FOUND_NUMBER = 1,
	FOUND_REASON
};

const char *
cadence_block_kind(bool is_email)
{
	return is_email ? "email" : "phone";
}

/* The condition that an entry, known by that alias, is a company's or everybody's. */
static char *
is_for(const CadenceTables *t, const char *alias, const char *empresa)
{
	return psprintf("(%s.empresa " EQ " '' OR %s)", alias,
					cadence_key_is(t, "lead_contacts", alias, "empresa", empresa));
}

/* In the current memory context. in_query: for one call in somebody's query, as that caller. */
CadenceBlocklist *
cadence_blocklist_create(const CadenceTables *t, bool in_query)
{
	CadenceBlocklist *list = palloc0(sizeof(*list));

	list->tables = t;
	list->in_query = in_query;
	list->any = ROWS_STATEMENT(
		"looking for a blocklist",
		psprintf("SELECT b.value_hash::pg_catalog.bytea FROM %s AS b LIMIT 1", t->blocklist),
		SPI_OK_SELECT);
	list->key = cadence_secret_key_create(t, "blocklist", in_query);
	list->find = ROWS_STATEMENT(
		"looking for blocked addresses",
		psprintf("SELECT d.n, b.reason::pg_catalog.text FROM " ROWSET_NAME " AS d, %s AS b "
				 "WHERE b.value_hash " EQ " d.value_hash AND b.kind " EQ " d.kind AND %s",
				 t->blocklist, is_for(t, "b", "d.empresa")),
		SPI_OK_SELECT);
	list->any.in_query = list->find.in_query = in_query;
	return list;
}

/* ---- hashes -------------------------------------------------------------------------- */

static void
hmac_of(const CadenceBlocklist *list, const char *text, uint8 *to, size_t len)
{
	SignedBytes part = {text, strlen(text)};
	SignedMessage message = {&part, 1};
	uint8 digest[PG_SHA256_DIGEST_LENGTH];

	cadence_secret_key_hmac(list->key, &message, digest);
	memcpy(to, digest, len);
}

/* Of no address: it has no "@", and does not begin with "+". */
static void
read_key(CadenceBlocklist *list)
{
	cadence_secret_key_read(list->key);
	hmac_of(list, "blocklist", list->key_print, sizeof(list->key_print));
}

/* One of the entries; false: there is none. */
static bool
look(CadenceBlocklist *list, BlockedHash *entry)
{
	bool isnull = true;
	Datum value = (Datum) 0;
	bool any;

	memset(entry, 0, sizeof(*entry));
	statement_execute(&list->any, NULL, NULL, 1);
	any = SPI_processed > 0;
	if (any)
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull && VARSIZE_ANY_EXHDR(DatumGetByteaPP(value)) == sizeof(*entry))
		memcpy(entry, VARDATA_ANY(DatumGetByteaPP(value)), sizeof(*entry));
	SPI_freetuptable(SPI_tuptable);
	return any;
}

/* An entry that another key has made stands for others that would not be found. */
static void
require_same_key(const CadenceBlocklist *list, const BlockedHash *entry)
{
	if (memcmp(entry->key, list->key_print, sizeof(entry->key)) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table %s was made with another key than table %s has",
							   list->tables->blocklist, list->tables->keys),
						errdetail("Nobody on it would be found."),
						errhint("Restore the key \"blocklist\" from the same backup, or empty the "
								"list and load it again.")));
}

/* Inside an SPI connection, as the tables' owner; without it nothing may be sent to anybody. */
void
cadence_blocklist_read_key(CadenceBlocklist *list)
{
	BlockedHash entry;

	read_key(list);
	if (look(list, &entry))
		require_same_key(list, &entry);
}

/* Of an address as address_one() writes it, after the key was read. */
BlockedHash
cadence_blocklist_hash(const CadenceBlocklist *list, const char *address)
{
	BlockedHash hash;

	hmac_of(list, address, hash.bytes, sizeof(hash.bytes));
	memcpy(hash.key, list->key_print, sizeof(hash.key));
	return hash;
}

/* A value of type bytea, in the current memory context. */
Datum
cadence_block_hash_datum(const BlockedHash *hash)
{
	bytea *value = palloc(VARHDRSZ + sizeof(*hash));

	SET_VARSIZE(value, VARHDRSZ + sizeof(*hash));
	memcpy(VARDATA(value), hash, sizeof(*hash));
	return PointerGetDatum(value);
}

/* ---- looking up ---------------------------------------------------------------------- */

static bool
begin(CadenceBlocklist *list)
{
	BlockedHash entry;

	if (!look(list, &entry))
		return false;
	read_key(list);
	require_same_key(list, &entry);
	return true;
}

/* Whether anybody is on the list, inside an SPI connection; then addresses can be hashed. */
bool
cadence_blocklist_begin(CadenceBlocklist *list)
{
	CadenceCaller caller;
	bool any;

	if (!list->in_query)
		return begin(list);
	caller = cadence_owner_begin(list->tables->owner);
	any = begin(list);
	cadence_owner_end(caller);
	return any;
}

static void
put_lookup(const CadenceBlocklist *list, Rowset *rows, const BlocklistLookup *lookup, int number)
{
	BlockedHash hash = cadence_blocklist_hash(list, lookup->address);

	rowset_put_int(rows, number);
	rowset_put_text(rows, cadence_block_kind(lookup->is_email));
	rowset_put_datum(rows, cadence_block_hash_datum(&hash));
	rowset_put_text(rows, lookup->empresa);
}

/* One that is there for all and for its company is found twice, which makes no difference. */
static int
find(CadenceBlocklist *list, BlocklistLookup *lookups, int n)
{
	int found;
	Rowset rows;

	rowset_begin(&rows, lookup_columns, lengthof(lookup_columns));
	for (int i = 0; i < n; i++)
		if (lookups[i].address[0] != '\0')
			put_lookup(list, &rows, &lookups[i], i);
	statement_execute(&list->find, NULL, NULL, 0);
	rowset_end(&rows);
	found = SPI_processed;
	for (int i = 0; i < found; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		BlocklistLookup *lookup = &lookups[row_int(desc, row, FOUND_NUMBER, 0)];

		lookup->is_blocked = true;
		lookup->reason = row_text(desc, row, FOUND_REASON, ROW_FIELD_MAX);
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* Notes which of them are on the list, after cadence_blocklist_begin(); 0: none is. */
int
cadence_blocklist_find(CadenceBlocklist *list, BlocklistLookup *lookups, int n)
{
	CadenceCaller caller;
	int found;

	if (!list->in_query)
		return find(list, lookups, n);
	caller = cadence_owner_begin(list->tables->owner);
	found = find(list, lookups, n);
	cadence_owner_end(caller);
	return found;
}
