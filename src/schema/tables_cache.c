/*
 * tables_cache.c
 *		The tables, kept for the session, for functions that are called often.
 *
 * What cadence_tables_load() has found and the gate has let through stays true
 * until a catalog changes. Any change of a relation drops it, since a partition, an
 * index or a trigger counts as much as a table of ours; and so does one of what
 * decides whose they are, or how they are read: types, functions, roles, whose the
 * database is, schemas, words of enums, collations, operators. Then all of it is looked
 * at anew, every column's type with it. A transaction's own changes count at once, and
 * count again when it is undone.
 *
 * Whoever has the tables keeps them until its memory context goes: a trigger may
 * change a table and call us again, and the call that it has interrupted goes on with
 * what it began with. Statements that hang on the tables go with them.
 */
#include "postgres.h"

#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "schema/barrier.h"
#include "schema/tables.h"

typedef struct CachedTables
{
	MemoryContext context; /* of all of it */
	CadenceTables *tables;
	uint64 generation; /* of the catalogs, before they were read */
	int holders;
} CachedTables;

static CachedTables *latest;
static uint64 generation = 1;

/* ---- what changes ---------------------------------------------------------------------- */

static void
note_catalog_change(Datum arg, int cacheid, uint32 hashvalue)
{
	generation++;
}

static void
note_relation_change(Datum arg, Oid relid)
{
	if (!cadence_barrier_is(relid))
		generation++;
}

static void
follow_catalogs(void)
{
	static const int caches[] = {TYPEOID,	   PROCOID,		   AUTHOID, AUTHMEMMEMROLE, DATABASEOID,
								 NAMESPACEOID, ENUMTYPOIDNAME, COLLOID, OPEROID};
	static bool registered = false;

	for (size_t i = 0; i < lengthof(caches) && !registered; i++)
		CacheRegisterSyscacheCallback(caches[i], note_catalog_change, (Datum) 0);
	if (!registered)
		CacheRegisterRelcacheCallback(note_relation_change, (Datum) 0);
	registered = true;
}

/* ---- who has them ---------------------------------------------------------------------- */

static void
delete_unheld(CachedTables *cached)
{
	if (cached->holders == 0 && cached != latest)
		MemoryContextDelete(cached->context);
}

static void
let_go(void *arg)
{
	CachedTables *cached = arg;

	cached->holders--;
	delete_unheld(cached);
}

static void
hold(CachedTables *cached)
{
	MemoryContextCallback *callback = palloc(sizeof(*callback));

	*callback = (MemoryContextCallback){.func = let_go, .arg = cached};
	cached->holders++;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
}

static void
drop_latest(void)
{
	CachedTables *old = latest;

	latest = NULL;
	delete_unheld(old);
}

/* An error on the way leaves nothing behind; a change, as an older generation. */
static CachedTables *
load(Oid schema)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "cadence_runner tables",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	CachedTables *cached = palloc0(sizeof(*cached));

	cached->context = context;
	cached->generation = generation;
	cadence_barrier_follow(schema);
	cached->tables = cadence_tables_load(schema);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	return cached;
}

/*
 * The tables of the extension, for as long as the current memory context; what hangs
 * on them belongs into theirs, and lives as long.
 *
 * Errors: 55000 when there is no extension in this database, or one of another
 * version; else as of cadence_tables_load().
 */
const CadenceTables *
cadence_tables_cached(void)
{
	Oid schema = cadence_extension_schema();

	follow_catalogs();
	if (latest != NULL && latest->tables->schema == schema)
		cadence_guard_lock(latest->tables);
	AcceptInvalidationMessages();
	if (latest != NULL && (latest->generation != generation || latest->tables->schema != schema))
		drop_latest();
	if (latest == NULL)
	{
		latest = load(schema);
		cadence_guard_lock(latest->tables);
		/* what came between */
		for (int i = 0; latest->generation != generation && i < CADENCE_TABLE_COUNT; i++)
			cadence_gate_look(latest->tables, i);
	}
	hold(latest);
	return latest->tables;
}

/* ---- what goes with them --------------------------------------------------------------- */

typedef struct Made
{
	TablesCompanion *companion;
	void *made;
	MemoryContextCallback callback;
} Made;

/* Another's may have taken its place. */
static void
forget_made(void *arg)
{
	const Made *m = arg;

	if (m->companion->made == m->made)
		*m->companion = (TablesCompanion){.tables = NULL};
}

/*
 * What is made of tables once, in memory that goes with theirs: whoever keeps them keeps
 * its plans.
 */
void *
cadence_tables_companion(TablesCompanion *companion, const CadenceTables *t,
						 void *(*make)(const CadenceTables *tables))
{
	MemoryContext context;
	MemoryContext old;
	Made *m;

	if (companion->made != NULL && companion->tables == t)
		return companion->made;
	context = AllocSetContextCreate(CurrentMemoryContext, "cadence_runner companion",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	m = palloc(sizeof(*m));
	*m = (Made){.companion = companion, .made = make(t)};
	m->callback = (MemoryContextCallback){.func = forget_made, .arg = m};
	MemoryContextRegisterResetCallback(context, &m->callback);
	MemoryContextSwitchTo(old);
	/* an error on the way has left nothing behind */
	MemoryContextSetParent(context, GetMemoryChunkContext((void *) t));
	*companion = (TablesCompanion){.tables = t, .made = m->made};
	return m->made;
}

/*
 * What the calls of one query have in common: made of the tables once, and gone with the
 * query, also where that fails.
 */
void *
cadence_query_companion(FunctionCallInfo fcinfo, void *(*make)(const CadenceTables *tables))
{
	FmgrInfo *function = fcinfo->flinfo;

	if (function->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(function->fn_mcxt);

		function->fn_extra = make(cadence_tables_load(cadence_extension_schema()));
		MemoryContextSwitchTo(old);
	}
	return function->fn_extra;
}
