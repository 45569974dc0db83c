/*
 * provider.c
 *		Where messages go: the servers of the wrapper cadence_provider.
 *
 * Servers count where the tables' owner has USAGE, and secrets come from that
 * owner's user mapping, else from PUBLIC's: who may write the tables must not
 * thereby reach a provider that the owner was never given.
 *
 * They are few, so they are read once and again only after a catalog change.
 * A refresh updates the structs in place, since steps under way point to them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "common/base64.h"
#include "common/hashfn.h"
#include "foreign/foreign.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "provider/options.h"
#include "provider/provider.h"
#include "base/settings.h"

#define SECRET_FILE_MAX 8192

struct CadenceProviders
{
	MemoryContext context;
	Oid owner;
	List *list;
};

static bool catalog_changed = true;

static void
note_catalog_change(Datum arg, int cacheid, uint32 hashvalue)
{
	catalog_changed = true;
}

/*
 * An empty set, in the current memory context; refresh fills it.
 */
CadenceProviders *
cadence_providers_create(Oid owner)
{
	static bool registered = false;
	CadenceProviders *providers = palloc0(sizeof(*providers));

	providers->context = CurrentMemoryContext;
	providers->owner = owner;
	catalog_changed = true;
	if (!registered)
	{
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, note_catalog_change, (Datum) 0);
		CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, note_catalog_change, (Datum) 0);
		CacheRegisterSyscacheCallback(USERMAPPINGOID, note_catalog_change, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, note_catalog_change, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMMEMROLE, note_catalog_change, (Datum) 0);
		registered = true;
	}
	return providers;
}

static CadenceProvider *
find_or_add(CadenceProviders *providers, Oid server)
{
	CadenceProvider *p;
	MemoryContext old;
	ListCell *cell;

	foreach (cell, providers->list)
	{
		p = lfirst(cell);
		if (p->server == server)
			return p;
	}
	old = MemoryContextSwitchTo(providers->context);
	p = palloc0(sizeof(*p));
	p->server = server;
	dlist_init(&p->waiting);
	providers->list = lappend(providers->list, p);
	MemoryContextSwitchTo(old);
	return p;
}

/*
 * The owner's user mapping for a server, else PUBLIC's, else NIL.
 * GetUserMapping() would raise an error where there is none.
 */
static List *
mapping_options(Oid owner, Oid server)
{
	Oid users[] = {owner, InvalidOid};

	for (size_t i = 0; i < lengthof(users); i++)
	{
		HeapTuple tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(users[i]),
										  ObjectIdGetDatum(server));
		Datum datum;
		bool isnull;
		List *options;

		if (!HeapTupleIsValid(tuple))
			continue;
		datum =
			SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &isnull);
		options = isnull ? NIL : untransformRelOptions(datum);
		ReleaseSysCache(tuple);
		return options;
	}
	return NIL;
}

/* A secret's file, without the newline at its end; NULL and a problem when it is no secret. */
static char *
read_secret_file(const char *path, char **problem)
{
	char buffer[SECRET_FILE_MAX + 1];
	FILE *file = AllocateFile(path, PG_BINARY_R);
	size_t len;

	if (file == NULL)
	{
		*problem = psprintf("could not open the file of a secret: %s", strerror(errno));
		return NULL;
	}
	len = fread(buffer, 1, sizeof(buffer), file);
	FreeFile(file);
	while (len > 0 && (buffer[len - 1] == '\n' || buffer[len - 1] == '\r'))
		len--;
	if (len > SECRET_FILE_MAX || len == 0)
	{
		*problem = psprintf("the file of a secret must hold from 1 to %d bytes", SECRET_FILE_MAX);
		return NULL;
	}
	buffer[len] = '\0';
	if (strlen(buffer) != len || cadence_has_control_characters(buffer))
	{
		*problem = pstrdup("the file of a secret contains control characters");
		return NULL;
	}
	return pstrdup(buffer);
}

static char *
secret(List *options, const char *name, const char *file_option, char **problem)
{
	const char *value = cadence_option_get(options, name);
	const char *path = cadence_option_get(options, file_option);

	if (value != NULL)
		return pstrdup(value);
	return path != NULL ? read_secret_file(path, problem) : NULL;
}

/* As they stand in the header: what a provider may send back to us. */
static char *
basic_credentials(const char *username, const char *password)
{
	char *plain =
		psprintf("%s:%s", username != NULL ? username : "", password != NULL ? password : "");
	int len = strlen(plain);
	int size = pg_b64_enc_len(len);
	char *encoded = palloc0(size + 1);

	if (pg_b64_encode((const void *) plain, len, encoded, size) < 0)
		encoded[0] = '\0';
	return encoded;
}

static double
number_or(List *options, const char *name, double otherwise)
{
	const char *value = cadence_option_get(options, name);
	double number;

	if (value != NULL &&
		cadence_option_number(cadence_option_find(ForeignServerRelationId, name), value, &number))
		return number;
	return otherwise;
}

static char *
text_or_null(List *options, const char *name)
{
	const char *value = cadence_option_get(options, name);

	return value != NULL ? pstrdup(value) : NULL;
}

static void
read_options(CadenceProvider *p, ForeignServer *server, List *mapping)
{
	const char *policy = cadence_option_get(server->options, "on_uncertain");
	const char *record = cadence_option_get(server->options, "record_message");

	p->generation++;
	p->name = pstrdup(server->servername);
	p->canal = text_or_null(server->options, "canal");
	p->empresa = text_or_null(server->options, "empresa");
	p->url = text_or_null(server->options, "url");
	p->timeout = number_or(server->options, "timeout", cadence_request_timeout);
	p->connect_timeout = number_or(server->options, "connect_timeout", cadence_connect_timeout);
	p->max_in_flight = number_or(server->options, "max_in_flight", cadence_max_in_flight);
	p->max_rate = number_or(server->options, "max_rate", 0);
	p->limited = cadence_option_get(server->options, "max_in_flight") != NULL ||
				 cadence_option_get(server->options, "max_rate") != NULL;
	p->hold = policy != NULL && pg_strcasecmp(policy, "hold") == 0;
	if (record == NULL || !parse_bool(record, &p->record_message))
		p->record_message = true;

	p->problem = NULL;
	p->basic_credentials = NULL;
	p->bearer_token = secret(mapping, "bearer_token", "bearer_token_file", &p->problem);
	p->username = secret(mapping, "username", "username_file", &p->problem);
	p->password = secret(mapping, "password", "password_file", &p->problem);
	if (p->username != NULL || p->password != NULL)
		p->basic_credentials = basic_credentials(p->username, p->password);
	if (p->canal == NULL || p->url == NULL)
		p->problem = pstrdup("it has no canal or no url");
}

/*
 * What transfers under way point to stays as long as there are any (see
 * cadence_provider_is_idle()).
 */
static void
retire_texts(CadenceProviders *providers, CadenceProvider *p)
{
	if (p->texts == NULL)
		return;
	if (p->outdated == NULL)
		p->outdated = AllocSetContextCreate(providers->context, "cadence_runner provider before",
											ALLOCSET_SMALL_SIZES);
	MemoryContextSetParent(p->texts, p->outdated);
	if (p->in_flight == 0)
		cadence_provider_is_idle(p);
}

/* Nothing of it is under way. */
void
cadence_provider_is_idle(CadenceProvider *p)
{
	if (p->outdated != NULL)
		MemoryContextDeleteChildren(p->outdated);
}

/* An error on the way leaves the provider as it was. */
static void
refresh_server(CadenceProviders *providers, Oid server)
{
	CadenceProvider *p = find_or_add(providers, server);
	ForeignServer *found = GetForeignServerExtended(server, FSV_MISSING_OK);
	CadenceProvider fresh = *p;
	MemoryContext old;

	p->gone = found == NULL || cadence_server_usage(server, providers->owner) != ACLCHECK_OK;
	if (p->gone)
		return;
	fresh.texts = AllocSetContextCreate(CurrentMemoryContext, "cadence_runner provider",
										ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(fresh.texts);
	read_options(&fresh, found, mapping_options(providers->owner, server));
	MemoryContextSwitchTo(old);
	retire_texts(providers, p);
	fresh.outdated = p->outdated;
	fresh.gone = false;
	MemoryContextSetParent(fresh.texts, providers->context);
	/* the list of what waits lies in place: its links are the same in both */
	*p = fresh;
}

static int
by_name(const ListCell *a, const ListCell *b)
{
	const CadenceProvider *pa = lfirst(a);
	const CadenceProvider *pb = lfirst(b);

	return strcmp(pa->name ? pa->name : "", pb->name ? pb->name : "");
}

static void
read_servers(CadenceProviders *providers)
{
	ForeignDataWrapper *wrapper = GetForeignDataWrapperByName("cadence_provider", false);
	Relation rel = table_open(ForeignServerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	ListCell *cell;

	foreach (cell, providers->list)
		((CadenceProvider *) lfirst(cell))->gone = true;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server form = (Form_pg_foreign_server) GETSTRUCT(tuple);

		if (form->srvfdw == wrapper->fdwid)
			refresh_server(providers, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(providers->list, by_name);
}

/* Settings that are defaults of a server's options have changed. */
void
cadence_providers_expire(void)
{
	catalog_changed = true;
}

/*
 * Reads the servers again if a catalog has changed. Needs a transaction.
 *
 * The flag is cleared first: a change that arrives while we read is one more.
 */
void
cadence_providers_refresh(CadenceProviders *providers)
{
	if (!catalog_changed)
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

static bool
serves(const CadenceProvider *p, const char *canal, const char *empresa)
{
	return !p->gone && p->canal != NULL && pg_strcasecmp(p->canal, canal) == 0 &&
		   (empresa == NULL ? p->empresa == NULL
							: p->empresa != NULL && strcmp(p->empresa, empresa) == 0);
}

/*
 * Among equals, the highest hash of lead and server (rendezvous hashing): the
 * same lead always meets the same server, and one more server moves only the
 * leads that it takes over.
 */
static CadenceProvider *
choose_among(const CadenceProviders *providers, const char *canal, const char *empresa,
			 const char *lead_id)
{
	CadenceProvider *best = NULL;
	uint32 best_weight = 0;
	uint32 lead = hash_bytes((const unsigned char *) lead_id, strlen(lead_id));
	ListCell *cell;

	foreach (cell, providers->list)
	{
		CadenceProvider *p = lfirst(cell);
		uint32 weight;

		if (!serves(p, canal, empresa))
			continue;
		weight = murmurhash32(
			hash_combine(lead, hash_bytes((const unsigned char *) p->name, strlen(p->name))));
		if (best == NULL || weight > best_weight)
		{
			best = p;
			best_weight = weight;
		}
	}
	return best;
}

/*
 * The provider for a message: a server of the lead's company before one for
 * any company. NULL when no server serves the channel.
 */
CadenceProvider *
cadence_provider_choose(const CadenceProviders *providers, const char *canal, const char *empresa,
						const char *lead_id)
{
	CadenceProvider *p = NULL;

	if (lead_id == NULL)
		lead_id = "";
	if (empresa != NULL)
		p = choose_among(providers, canal, empresa, lead_id);
	return p != NULL ? p : choose_among(providers, canal, NULL, lead_id);
}
