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
#include "provider/options.h"
#include "provider/provider.h"
#include "schema/tables.h"

struct CadenceProviders
{
	MemoryContext context;
	Oid owner;
	List *list;
	uint64 generation; /* of the catalogs, when they were read; 0: never */
	MemoryContextCallback cleanup;
};

/* Another with each change; what was read of an older one is outdated. */
static uint64 catalog_generation = 1;
static Oid protocols_table;

static void
note_catalog_change(Datum arg, int cacheid, uint32 hashvalue)
{
	catalog_generation++;
}

/* A protocol has been defined anew: whoever does that says so (see sqlapi/protocols.c). */
static void
note_table_change(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == protocols_table)
		catalog_generation++;
}

static void
follow_catalogs(void)
{
	static const int caches[] = {FOREIGNSERVEROID, FOREIGNDATAWRAPPEROID, USERMAPPINGOID,
								 AUTHOID,		   AUTHMEMMEMROLE,		  DATABASEOID};
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

/* NULL: it does not count. */
static CadenceConfiguration *
read_configuration(Oid owner, Oid id)
{
	ForeignServer *server = GetForeignServerExtended(id, FSV_MISSING_OK);
	List *options;

	if (server == NULL || cadence_server_usage(id, owner) != ACLCHECK_OK ||
		!cadence_gate_trusts(owner, server->owner))
		return NULL;
	if (!get_mapping(owner, id, &options))
		(void) get_mapping(InvalidOid, id, &options);
	return cadence_configuration_read(server, options);
}

/* An error on the way leaves the provider as it was. */
static void
read_server(CadenceProviders *providers, Oid id)
{
	CadenceProvider *p = find(providers, id);
	CadenceConfiguration *configuration = read_configuration(providers->owner, id);

	if (configuration == NULL)
		return;
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
	catalog_generation++;
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
 * A change that arrives while we read is one more, and after an error all of it
 * is read again.
 */
void
cadence_providers_refresh(CadenceProviders *providers)
{
	uint64 generation = catalog_generation;

	if (providers->generation == generation && !is_outdated(providers))
		return;
	providers->generation = 0;
	read_servers(providers);
	providers->generation = generation;
}

/* ---- one of them, by its name --------------------------------------------------------- */

/* What was read for webhooks, in this session: most come to the same few servers. */
static List *named;
static Oid named_owner;
static uint64 named_generation;

static void
forget_named(void)
{
	while (named != NIL)
	{
		CadenceConfiguration *c = linitial(named);

		named = list_delete_first(named);
		cadence_configuration_release(c);
	}
}

static CadenceConfiguration *
find_named(Oid server)
{
	ListCell *cell;

	foreach (cell, named)
	{
		CadenceConfiguration *c = lfirst(cell);

		if (c->server != server)
			continue;
		if (!cadence_configuration_is_outdated(c))
			return c;
		named = foreach_delete_current(named, cell);
		cadence_configuration_release(c);
	}
	return NULL;
}

static CadenceConfiguration *
add_named(Oid owner, Oid server, uint64 generation)
{
	CadenceConfiguration *c = read_configuration(owner, server);
	MemoryContext old;

	if (c == NULL)
		return NULL;
	old = MemoryContextSwitchTo(TopMemoryContext);
	named = lappend(named, c);
	MemoryContextSwitchTo(old);
	named_owner = owner;
	named_generation = generation;
	return c;
}

/*
 * What the server of that name says, where it counts for the tables' owner; NULL:
 * it does not, or there is none. Held by the current memory context. The others
 * are not read.
 */
CadenceConfiguration *
cadence_provider_named(Oid owner, const char *name)
{
	uint64 generation;
	Oid server;
	CadenceConfiguration *c;

	follow_catalogs();
	server = get_foreign_server_oid(name, true);
	generation = catalog_generation;
	if (!OidIsValid(server) || cadence_is_no_sender(name))
		return NULL;
	if (named_owner != owner || named_generation != generation)
		forget_named();
	c = find_named(server);
	if (c == NULL && list_member_oid(cadence_provider_servers(), server))
	{
		protocols_table = cadence_protocols_table();
		c = add_named(owner, server, generation);
	}
	if (c != NULL)
		cadence_configuration_hold_in(c, CurrentMemoryContext);
	return c;
}

/* ---- who hears news --------------------------------------------------------------------- */

static List *listeners; /* companies; "": all */
static Oid listeners_owner;
static uint64 listeners_generation;

static void
add_listener(Oid owner, Oid id)
{
	ForeignServer *server = GetForeignServerExtended(id, FSV_MISSING_OK);
	const char *canal = server != NULL ? cadence_option_get(server->options, "canal") : NULL;
	const char *empresa = server != NULL ? cadence_option_get(server->options, "empresa") : NULL;
	MemoryContext old;

	if (canal == NULL || pg_strcasecmp(canal, CADENCE_NEWS_CHANNEL) != 0 ||
		cadence_server_usage(id, owner) != ACLCHECK_OK ||
		!cadence_gate_trusts(owner, server->owner))
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	listeners = lappend(listeners, pstrdup(empresa != NULL ? empresa : ""));
	MemoryContextSwitchTo(old);
}

/*
 * The companies of which somebody wants to hear news: who has a server for them
 * that counts for the tables' owner; an empty text stands for all. Valid until a
 * catalog changes. Needs a transaction.
 */
List *
cadence_news_companies(Oid owner)
{
	uint64 generation;
	List *servers;
	ListCell *cell;

	follow_catalogs();
	generation = catalog_generation;
	if (listeners_owner == owner && listeners_generation == generation)
		return listeners;
	listeners_generation = 0;
	servers = cadence_provider_servers();
	list_free_deep(listeners);
	listeners = NIL;
	foreach (cell, servers)
		add_listener(owner, lfirst_oid(cell));
	list_free(servers);
	listeners_owner = owner;
	listeners_generation = generation;
	return listeners;
}

/* ---- what is known of all ------------------------------------------------------------- */

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
