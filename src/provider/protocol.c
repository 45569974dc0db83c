/*
 * protocol.c
 *		How a provider's API is spoken: the rows of cadence_protocols.
 *
 * Read without SQL, so that nothing which somebody has hung on to the table, or
 * on a type's functions, runs with the reader's rights.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "provider/protocol.h"
#include "schema/tables.h"

/* The table; InvalidOid while the extension is being made. */
Oid
cadence_protocols_table(void)
{
	return get_relname_relid("cadence_protocols", cadence_extension_schema());
}

static CadenceProtocol *
read_row(HeapTuple row, TupleDesc desc, const char *wanted)
{
	bool isnull;
	char *name = TextDatumGetCString(heap_getattr(row, PROTOCOL_NAME, desc, &isnull));
	CadenceProtocol *protocol;
	Jsonb *definition;

	if (wanted != NULL && pg_strcasecmp(wanted, name) != 0)
		return NULL;
	protocol = palloc(sizeof(*protocol));
	definition = DatumGetJsonbP(heap_getattr(row, PROTOCOL_DEFINITION, desc, &isnull));
	protocol->name = name;
	protocol->definition = JsonbToCString(NULL, &definition->root, VARSIZE(definition));
	return protocol;
}

/*
 * The protocol of that name, or all with NULL: CadenceProtocol, in the current
 * memory context. Takes AccessShareLock on the table.
 */
List *
cadence_protocols_read(const char *name)
{
	Oid table = cadence_protocols_table();
	List *protocols = NIL;
	Relation rel;
	SysScanDesc scan;
	HeapTuple row;

	if (!OidIsValid(table))
		return NIL;
	rel = table_open(table, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		CadenceProtocol *protocol = read_row(row, RelationGetDescr(rel), name);

		if (protocol != NULL)
			protocols = lappend(protocols, protocol);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return protocols;
}

static void
ignore(void *arg, const char *pointer, const char *problem)
{
}

static void
free_definition(void *arg)
{
	definition_free(arg);
}

/* Compiled, for as long as the current memory context; NULL when it has problems. */
Definition *
cadence_protocol_compile(const char *json)
{
	MemoryContextCallback *callback = palloc(sizeof(*callback));
	Definition *d = definition_compile(json, strlen(json), ignore, NULL);

	callback->func = free_definition;
	callback->arg = d;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return d;
}

/* Words in a row, for a hint. */
char *
cadence_protocol_words(const char *const *words)
{
	StringInfoData text;

	initStringInfo(&text);
	for (; *words != NULL; words++)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", *words);
	return text.data;
}
