/*
 * metrics_health.c
 *		What cadence_health() says, as metrics.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "sqlapi/health_reason.h"
#include "sqlapi/metrics_parts.h"
#include "sqlapi/status.h"

/*
 * What cadence_health() says, as its own owner: it reads no table but as the tables'
 * owner, and whoever scrapes need not be allowed to execute it.
 */
static ArrayType *
read_reasons(const char *schema)
{
	char *sql = psprintf("SELECT reasons FROM %s.cadence_health()", quote_identifier(schema));
	MemoryContext context = CurrentMemoryContext;
	volatile bool found = false;
	bool isnull = true;
	Datum value = 0;

	cadence_status_is_brief = true;
	PG_TRY();
	{
		found = SPI_execute(sql, false, 1) == SPI_OK_SELECT && SPI_processed > 0;
	}
	PG_FINALLY();
	{
		cadence_status_is_brief = false;
	}
	PG_END_TRY();
	/* SPI has left its own behind, which ends with the connection */
	MemoryContextSwitchTo(context);
	if (found)
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return isnull ? NULL : DatumGetArrayTypePCopy(value);
}

static Oid
health_owner(Oid schema)
{
	Oid types[] = {INTERVALOID};
	oidvector *args = buildoidvector(types, 1);
	HeapTuple tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum("cadence_health"),
									  PointerGetDatum(args), ObjectIdGetDatum(schema));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("function cadence_health() does not exist")));
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

static void
put_reasons(Exposition *x, ArrayType *reasons)
{
	int64 n[HEALTH_REASONS] = {0};
	Datum *lines = NULL;
	int nlines = 0;

	if (reasons != NULL)
		deconstruct_array(reasons, TEXTOID, -1, false, TYPALIGN_INT, &lines, NULL, &nlines);
	for (int i = 0; i < nlines; i++)
		n[health_reason_of(TextDatumGetCString(lines[i]))]++;
	exposition_family(x, "cadence_healthy", "gauge",
					  "Whether messages leave as they should, as cadence_health() says.");
	exposition_int(x, "", "", reasons != NULL && nlines == 0);
	exposition_family(x, "cadence_unhealthy", "gauge",
					  "Reasons why not, by kind; cadence_health() has them in words.");
	for (int i = 0; i < HEALTH_REASONS; i++)
		exposition_int(x, "", metrics_label("reason", health_reason_name(i)), n[i]);
}

void
metrics_put_health(Exposition *x, Oid schema)
{
	MemoryContext context = CurrentMemoryContext;
	CadenceCaller caller = cadence_owner_begin(health_owner(schema));
	char *name = get_namespace_name(schema);
	ArrayType *reasons;

	(void) SPI_connect();
	/* what SPI has made goes with its connection */
	MemoryContextSwitchTo(context);
	reasons = read_reasons(name);
	SPI_finish();
	cadence_owner_end(caller);
	put_reasons(x, reasons);
}
