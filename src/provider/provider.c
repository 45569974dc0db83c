/*
 * provider.c
 *		Where messages go: the servers of the wrapper cadence_provider.
 *
 * Who may write the tables, or name a URL, must not thereby reach a provider
 * that the tables' owner was never given, nor take over the owner's messages.
 * A server counts where the owner has USAGE, and where it belongs to the owner or
 * to somebody who could act as the owner. Whoever owns a server says where it
 * leads and whom it serves, and may write its user mappings for anybody: a
 * mapping is nobody's consent. Secrets come from the owner's, else from PUBLIC's.
 *
 * Servers are few, so they are read once and again only after a catalog or the
 * file of a secret has changed. A provider stays for the set's life, since
 * requests under way point to it; its configuration is replaced.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "provider/provider.h"
#include "schema/tables.h"

struct CadenceProviders
{
	MemoryContext context;
	Oid owner;
	List *list;
	MemoryContextCallback cleanup;
};

static bool catalog_changed = true;
static Oid protocols_table;

static void
note_catalog_change(Datum arg, int cacheid, uint32 hashvalue)
{
	catalog_changed = true;
}

/* A protocol has been defined anew: whoever does that says so (see sqlapi/protocols.c). */
static void
note_table_change(Datum arg, Oid relid)
{
	catalog_changed = catalog_changed || relid == InvalidOid || relid == protocols_table;
}

static void
follow_catalogs(void)
{
	static const int caches[] = {FOREIGNSERVEROID, FOREIGNDATAWRAPPEROID, USERMAPPINGOID, AUTHOID,
								 AUTHMEMMEMROLE};
	static bool registered = false;

	for (size_t i = 0; i < lengthof(caches) && !registered; i++)
		CacheRegisterSyscacheCallback(caches[i], note_catalog_change, (Datum) 0);
	if (!registered)
		CacheRegisterRelcacheCallback(note_table_change, (Datum) 0);
	registered = true;
}

static void
let_go_of_all(void *arg)
{
	CadenceProviders *providers = arg;
	ListCell *cell;

	foreach (cell, providers->list)
		cadence_configuration_release(((CadenceProvider *) lfirst(cell))->configuration);
}

/*
 * An empty set, in the current memory context; refresh fills it.
 */
CadenceProviders *
cadence_providers_create(Oid owner)
{
	CadenceProviders *providers = palloc0(sizeof(*providers));

	providers->context = CurrentMemoryContext;
	providers->owner = owner;
	providers->cleanup.func = let_go_of_all;
	providers->cleanup.arg = providers;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &providers->cleanup);
	catalog_changed = true;
	follow_catalogs();
	return providers;
}

/* One user's mapping for a server; false where there is none, which GetUserMapping() raises. */
static bool
get_mapping(Oid user, Oid server, List **options)
{
	HeapTuple tuple =
		SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(user), ObjectIdGetDatum(server));
	Datum datum;
	bool isnull;

	*options = NIL;
	if (!HeapTupleIsValid(tuple))
		return false;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
		*options = untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return true;
}

static CadenceProvider *
find(const CadenceProviders *providers, Oid server)
{
	ListCell *cell;

	foreach (cell, providers->list)
		if (((CadenceProvider *) lfirst(cell))->server == server)
			return lfirst(cell);
	return NULL;
}

static CadenceProvider *
add(CadenceProviders *providers, CadenceConfiguration *configuration)
{
	MemoryContext old = MemoryContextSwitchTo(providers->context);
	CadenceProvider *p = palloc0(sizeof(*p));

	p->server = configuration->server;
	p->configuration = configuration;
	dlist_init(&p->waiting);
	providers->list = lappend(providers->list, p);
	MemoryContextSwitchTo(old);
	return p;
}

/* An error on the way leaves the provider as it was. */
static void
read_server(CadenceProviders *providers, Oid id)
{
	ForeignServer *server = GetForeignServerExtended(id, FSV_MISSING_OK);
	CadenceProvider *p = find(providers, id);
	CadenceConfiguration *configuration;
	List *options;

	if (server == NULL || cadence_server_usage(id, providers->owner) != ACLCHECK_OK ||
		!cadence_gate_trusts(providers->owner, server->owner))
		return;
	if (!get_mapping(providers->owner, id, &options))
		(void) get_mapping(InvalidOid, id, &options);
	configuration = cadence_configuration_read(server, options);
	if (p == NULL)
		p = add(providers, configuration);
	else
	{
		cadence_configuration_release(p->configuration);
		p->configuration = configuration;
		p->sender_state = p->limits_state = NULL;
	}
	p->gone = false;
}

static int
by_name(const ListCell *a, const ListCell *b)
{
	return strcmp(((CadenceProvider *) lfirst(a))->configuration->name,
				  ((CadenceProvider *) lfirst(b))->configuration->name);
}

/* The OIDs of all servers of the wrapper, whoever may use them. */
List *
cadence_provider_servers(void)
{
	ForeignDataWrapper *wrapper = GetForeignDataWrapperByName("cadence_provider", false);
	Relation rel = table_open(ForeignServerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List *servers = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server form = (Form_pg_foreign_server) GETSTRUCT(tuple);

		if (form->srvfdw == wrapper->fdwid)
			servers = lappend_oid(servers, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return servers;
}

static void
read_servers(CadenceProviders *providers)
{
	List *servers = cadence_provider_servers();
	ListCell *cell;

	protocols_table = cadence_protocols_table();
	foreach (cell, providers->list)
		((CadenceProvider *) lfirst(cell))->gone = true;
	foreach (cell, servers)
		read_server(providers, lfirst_oid(cell));
	list_free(servers);
	list_sort(providers->list, by_name);
}

/* Settings that are defaults of a server's options have changed. */
void
cadence_providers_expire(void)
{
	catalog_changed = true;
}

static bool
is_outdated(const CadenceProviders *providers)
{
	ListCell *cell;

	foreach (cell, providers->list)
	{
		const CadenceProvider *p = lfirst(cell);

		if (!p->gone && cadence_configuration_is_outdated(p->configuration))
			return true;
	}
	return false;
}

/*
 * Reads the servers again if a catalog or a secret's file has changed. Needs a
 * transaction.
 *
 * The flag is cleared first: a change that arrives while we read is one more.
 */
void
cadence_providers_refresh(CadenceProviders *providers)
{
	if (!catalog_changed && !is_outdated(providers))
		return;
	catalog_changed = false;
	PG_TRY();
	{
		read_servers(providers);
	}
	PG_CATCH();
	{
		catalog_changed = true;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

List *
cadence_providers_list(const CadenceProviders *providers)
{
	return providers->list;
}

/*
 * Gives a request its provider, with the latest configuration, which the
 * context holds from here on, as it does the answer's texts.
 */
void
cadence_request_assign(CadenceRequest *request, CadenceProvider *provider, MemoryContext context)
{
	request->provider = provider;
	request->context = context;
	if (request->configuration == provider->configuration)
		return;
	request->configuration = provider->configuration;
	cadence_configuration_hold_in(request->configuration, context);
}
