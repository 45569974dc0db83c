/*
 * extension.c
 *		Where this database's cadence_runner is installed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "schema/extension.h"

/*
 * Binary and SQL objects are installed by different commands, so they can
 * differ: a new library with old objects would run statements that do not fit.
 */
static void
check_version(Relation rel, HeapTuple tuple)
{
	bool isnull;
	Datum version =
		heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(rel), &isnull);
	char *installed = isnull ? pstrdup("unknown") : TextDatumGetCString(version);

	if (strcmp(installed, CADENCE_VERSION) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the loaded library of cadence_runner is version %s, but the "
							   "extension in this database is version %s",
							   CADENCE_VERSION, installed),
						errhint("Run ALTER EXTENSION cadence_runner UPDATE, or install the "
								"library of version %s and reconnect.",
								installed)));
}

/*
 * The schema of the extension, which is also the schema of its tables.
 *
 * Errors: 55000 when there is no extension in this database, or when its SQL
 * objects are not of this binary's version.
 */
Oid
cadence_extension_schema(void)
{
	Relation rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid schema = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("cadence_runner"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		check_version(rel, tuple);
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (!OidIsValid(schema))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("extension \"cadence_runner\" does not exist in this database")));
	return schema;
}
