/*
 * configuration.c
 *		What one server and its user mapping say, as it was read.
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "base/settings.h"
#include "provider/configuration.h"

static double
number_or(List *options, const char *name, double otherwise)
{
	const char *value = cadence_option_get(options, name);
	bool from_file;
	double number;

	if (value != NULL &&
		cadence_option_number(cadence_option_find(ForeignServerRelationId, NULL, name, &from_file),
							  value, &number))
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
read_server(CadenceConfiguration *c, List *options)
{
	const char *policy = cadence_option_get(options, "on_uncertain");
	const char *record = cadence_option_get(options, "record_message");

	c->canal = text_or_null(options, "canal");
	c->empresa = text_or_null(options, "empresa");
	c->url = text_or_null(options, "url");
	c->protocol = cadence_protocol_find(cadence_option_get(options, "protocol"));
	c->timeout = number_or(options, "timeout", cadence_request_timeout);
	c->connect_timeout = number_or(options, "connect_timeout", cadence_connect_timeout);
	c->max_in_flight = number_or(options, "max_in_flight", cadence_max_in_flight);
	c->max_rate = number_or(options, "max_rate", 0);
	c->limited = cadence_option_get(options, "max_in_flight") != NULL || c->max_rate > 0;
	if (policy != NULL)
		c->hold = pg_strcasecmp(policy, "hold") == 0;
	else
		c->hold = c->protocol != NULL && c->protocol->hold;
	if (record == NULL || !parse_bool(record, &c->record_message))
		c->record_message = true;
}

/* All that the protocol knows; the first that can not be read is the problem. */
static void
read_secrets(CadenceConfiguration *c, List *mapping)
{
	const OptionRule *rule;

	for (rule = c->protocol->options; rule->name != NULL; rule++)
		c->nsecrets += rule->kind == OPTION_SECRET ? 1 : 0;
	c->secrets = palloc0(sizeof(CadenceSecret) * c->nsecrets);
	c->nsecrets = 0;
	for (rule = c->protocol->options; rule->name != NULL; rule++)
	{
		const char *problem;

		if (rule->kind != OPTION_SECRET)
			continue;
		problem = cadence_secret_read(&c->secrets[c->nsecrets++], mapping, rule->name);
		if (c->problem == NULL)
			c->problem = problem;
	}
}

/*
 * Whether a list of hosts has this one; ".example.com" in it means all hosts
 * below that name.
 */
static bool
is_listed(const char *list, const char *host)
{
	List *names;
	ListCell *cell;
	size_t len = strlen(host);

	if (!SplitGUCList(pstrdup(list), ',', &names))
		return false;
	foreach (cell, names)
	{
		const char *name = lfirst(cell);
		size_t n = strlen(name);

		if (pg_strcasecmp(name, host) == 0 ||
			(name[0] == '.' && n < len && pg_strcasecmp(name, host + len - n) == 0))
			return true;
	}
	return names == NIL;
}

/*
 * Secrets may be bound to a host, so that who changes the URL does not read
 * them. One from a file was given by a superuser, and must be.
 */
static const char *
host_problem(const CadenceConfiguration *c, List *mapping)
{
	const char *bound = cadence_option_get(mapping, "host");
	char *host = cadence_url_host(c->url);

	if (!is_listed(cadence_allowed_hosts, host))
		return "its host is not in cadence_runner.allowed_hosts";
	if (bound != NULL && pg_strcasecmp(bound, host) != 0)
		return "its secrets are for another host than its url's";
	for (int i = 0; i < c->nsecrets && bound == NULL; i++)
		if (c->secrets[i].path != NULL)
			return "a secret from a file needs option host in its user mapping";
	return NULL;
}

/*
 * Reads a server with the options of its user mapping. The caller is its first
 * holder.
 */
CadenceConfiguration *
cadence_configuration_read(const ForeignServer *server, List *mapping)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "cadence_runner configuration", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	CadenceConfiguration *c = palloc0(sizeof(*c));

	c->context = context;
	c->holders = 1;
	c->server = server->serverid;
	c->name = pstrdup(server->servername);
	read_server(c, server->options);
	if (c->canal == NULL || c->url == NULL)
		c->problem = "it has no canal or no url";
	else if (c->protocol == NULL)
		c->problem = "its protocol is unknown";
	else
	{
		read_secrets(c, mapping);
		if (c->problem == NULL)
			c->problem = host_problem(c, mapping);
		c->protocol->prepare(c);
	}
	MemoryContextSwitchTo(old);
	/* it lives as long as its holders, wherever they are; an error before this leaves nothing */
	MemoryContextSetParent(context, TopMemoryContext);
	return c;
}

char *
cadence_configuration_secret(const CadenceConfiguration *c, const char *name)
{
	for (int i = 0; i < c->nsecrets; i++)
		if (strcmp(c->secrets[i].name, name) == 0)
			return c->secrets[i].value;
	return NULL;
}

/* Whether the file of one of its secrets is another now. */
bool
cadence_configuration_is_outdated(const CadenceConfiguration *c)
{
	for (int i = 0; i < c->nsecrets; i++)
		if (cadence_secret_has_changed(&c->secrets[i]))
			return true;
	return false;
}

static void
let_go(void *arg)
{
	cadence_configuration_release(arg);
}

/* Holds it for as long as a memory context has what it has now. */
void
cadence_configuration_hold_in(CadenceConfiguration *c, MemoryContext context)
{
	MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(*callback));

	callback->func = let_go;
	callback->arg = c;
	MemoryContextRegisterResetCallback(context, callback);
	cadence_configuration_hold(c);
}
