/*
 * configuration.c
 *		What one server and its user mapping say, as it was read.
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "common/base64.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "base/settings.h"
#include "provider/configuration.h"
#include "provider/options.h"
#include "rules/domain_limits.h"
#include "rules/request_builder.h"

/* What the server says, else what its protocol does; NULL: neither. */
static const char *
option_of(const CadenceConfiguration *c, List *options, const char *name)
{
	const char *value = cadence_option_get(options, name);
	const DefinitionOptions *defaults[] = {&c->definition->options, &c->definition->limits};

	for (int i = 0; i < 2 && value == NULL; i++)
		for (size_t k = 0; k < defaults[i]->n && value == NULL; k++)
			if (strcmp(defaults[i]->list[k].name, name) == 0)
				value = defaults[i]->list[k].otherwise;
	return value;
}

static double
number_or(const CadenceConfiguration *c, List *options, const char *name, double otherwise)
{
	const char *value = option_of(c, options, name);
	double number;

	if (value != NULL &&
		cadence_option_number(cadence_option_common(ForeignServerRelationId, name), value, &number))
		return number;
	return otherwise;
}

static char *
text_or_null(const char *value)
{
	return value != NULL ? pstrdup(value) : NULL;
}

/*
 * Of what may have been sent nobody knows. By default it is sent again only where
 * the provider sends a key once, and as long as it remembers it.
 */
static void
read_policy(CadenceConfiguration *c, const char *policy)
{
	const Definition *d = c->definition;

	c->hold = policy != NULL ? pg_strcasecmp(policy, "hold") == 0 : !d->honours_key;
	if (policy == NULL && d->honours_key)
		c->hold_after = (int64) d->key_valid_s * USECS_PER_SEC;
}

static void
add_domain(void *arg, const char *domain, int per_minute)
{
	CadenceConfiguration *c = arg;

	c->domains[c->ndomains++] = (CadenceDomainLimit){.domain = asc_tolower(domain, strlen(domain)),
													 .per_minute = per_minute};
}

/* Only mails have domains. */
static void
read_domain_limits(CadenceConfiguration *c, const char *value)
{
	if (value == NULL || c->canal == NULL || pg_strcasecmp(c->canal, "EMAIL") != 0)
		return;
	c->domains = palloc(sizeof(*c->domains) * DOMAIN_LIMITS_MAX);
	(void) domain_limits_read(value, add_domain, c);
}

static void
read_limits(CadenceConfiguration *c, List *options)
{
	LimitRules *l = &c->limits;
	const char *gap = option_of(c, options, "gap");
	const char *warm_up = option_of(c, options, "warm_up");
	const char *quiet = option_of(c, options, "quiet_until_reply");
	int64 over_ms;

	l->rate = number_or(c, options, "max_rate", 0);
	l->most[WINDOW_MINUTE] = number_or(c, options, "max_per_minute", 0);
	l->most[WINDOW_HOUR] = number_or(c, options, "max_per_hour", 0);
	l->most[WINDOW_DAY] = number_or(c, options, "max_per_day", 0);
	l->most[WINDOW_NEW_DAY] = number_or(c, options, "max_new_per_day", 0);
	if (gap != NULL && cadence_option_gap(gap, &l->gap_min, &l->gap_max))
	{
		l->gap_min *= 1000;
		l->gap_max *= 1000;
	}
	if (warm_up != NULL &&
		cadence_option_warm_up(warm_up, &c->warm_up_from, &c->warm_up_to, &over_ms))
		c->warm_up_us = over_ms * 1000;
	c->min_gap_us = (int64) number_or(c, options, "min_gap", 0) * 1000;
	if (quiet == NULL || !parse_bool(quiet, &c->quiet_until_reply))
		c->quiet_until_reply = false;
	c->limit_group = text_or_null(option_of(c, options, "limit_group"));
	read_domain_limits(c, option_of(c, options, "domain_limits"));
	c->breaker_after = number_or(c, options, "breaker_after", 10);
	c->breaker_for = number_or(c, options, "breaker_for", 60000);
}

static void
read_server(CadenceConfiguration *c, List *options)
{
	const char *record = cadence_option_get(options, "record_message");

	c->url = text_or_null(option_of(c, options, "url"));
	c->timeout = number_or(c, options, "timeout", cadence_request_timeout);
	c->connect_timeout = number_or(c, options, "connect_timeout", cadence_connect_timeout);
	c->max_in_flight = number_or(c, options, "max_in_flight", cadence_max_in_flight);
	c->max_in_flight_is_own = option_of(c, options, "max_in_flight") != NULL;
	read_limits(c, options);
	read_policy(c, option_of(c, options, "on_uncertain"));
	if (record == NULL || !parse_bool(record, &c->record_message))
		c->record_message = true;
}

/* Options and secrets by their numbers; the first that can not be read is the problem. */
static void
read_values(CadenceConfiguration *c, List *options, List *mapping)
{
	const DefinitionOptions *own = &c->definition->options;
	const DefinitionOptions *secrets = &c->definition->secrets;

	c->values = palloc0(sizeof(char *) * (own->n + secrets->n));
	c->secrets = palloc0(sizeof(CadenceSecret) * secrets->n);
	for (size_t i = 0; i < own->n; i++)
		c->values[i] = text_or_null(option_of(c, options, own->list[i].name));
	for (size_t i = 0; i < secrets->n; i++)
	{
		const char *problem = cadence_secret_read(&c->secrets[i], mapping, secrets->list[i].name);

		c->values[own->n + i] = c->secrets[i].value;
		if (c->problem == NULL)
			c->problem = problem;
		if (c->secrets[i].value != NULL)
			c->hidden = lappend(c->hidden, c->secrets[i].value);
		else if (c->problem == NULL && secrets->list[i].required)
			c->problem = psprintf("its user mapping has no \"%s\"", secrets->list[i].name);
	}
}

static char *
base64(const char *plain, int len)
{
	int size = pg_b64_enc_len(len);
	char *encoded = palloc0(size + 1);

	if (pg_b64_encode((const void *) plain, len, encoded, size) < 0)
		encoded[0] = '\0';
	return encoded;
}

/* A text that names no field of a message; "" where it has no value. */
static char *
render_fixed(const CadenceConfiguration *c, const DefinitionText *text)
{
	const char *const none[FIELD_COUNT] = {NULL};
	char *rendered = definition_render(text, cadence_configuration_values(c, none));
	char *copy = pstrdup(rendered != NULL ? rendered : "");

	free(rendered);
	return copy;
}

/* The header that an operation's "basic" makes; it can not be read back to user and password. */
static void
make_basic(CadenceConfiguration *c)
{
	const Definition *d = c->definition;

	c->basic = palloc0(sizeof(char *) * Max(d->noperations, 1));
	for (size_t i = 0; i < d->noperations; i++)
	{
		const DefinitionText *basic = d->operations[i].basic;
		char *user = basic != NULL ? render_fixed(c, &basic[0]) : "";
		char *password = basic != NULL ? render_fixed(c, &basic[1]) : "";
		char *both = psprintf("%s:%s", user, password);
		char *encoded;

		if (*user == '\0' && *password == '\0')
			continue;
		encoded = base64(both, strlen(both));
		c->basic[i] = psprintf("Authorization: Basic %s", encoded);
		c->hidden = lappend(c->hidden, encoded);
	}
}

/* As they log in over SMTP: a server may repeat a line that it does not understand. */
static void
hide_login(CadenceConfiguration *c)
{
	const char *user = cadence_configuration_value(c, "username");
	const char *password = cadence_configuration_value(c, "password");
	char *plain;

	if (!c->definition->is_smtp || user == NULL || password == NULL)
		return;
	plain = psprintf("%c%s%c%s", '\0', user, '\0', password);
	c->hidden = lappend(c->hidden, base64(plain, strlen(user) + strlen(password) + 2));
	c->hidden = lappend(c->hidden, base64(password, strlen(password)));
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

/* Where requests go: to its url's host, and to those that its protocol names itself. */
static List *
hosts_of(const CadenceConfiguration *c)
{
	const Definition *d = c->definition;
	List *hosts = list_make1(cadence_url_host(c->url));

	for (size_t i = 0; i < d->noperations; i++)
	{
		const TemplatePart *first = d->operations[i].url.parts;

		if (first->name == NULL)
			hosts = lappend(hosts, cadence_url_host(pnstrdup(first->text, first->text_len)));
	}
	return hosts;
}

/*
 * Secrets may be bound to a host, so that who changes the URL does not read
 * them. One from a file was given by a superuser, and must be.
 */
static const char *
host_problem(const CadenceConfiguration *c, List *mapping)
{
	const char *bound = cadence_option_get(mapping, "host");
	ListCell *cell;

	foreach (cell, hosts_of(c))
	{
		if (!is_listed(cadence_allowed_hosts, lfirst(cell)))
			return "its host is not in cadence_runner.allowed_hosts";
		if (bound != NULL && pg_strcasecmp(bound, lfirst(cell)) != 0)
			return "its secrets are for another host than its url's";
	}
	for (size_t i = 0; i < c->definition->secrets.n && bound == NULL; i++)
		if (c->secrets[i].path != NULL)
			return "a secret from a file needs option host in its user mapping";
	return NULL;
}

/* Whether a server's name is one by which the limits of groups and domains are known. */
bool
cadence_is_no_sender(const char *name)
{
	return strncmp(name, "limit_group ", strlen("limit_group ")) == 0 ||
		   strncmp(name, "domain ", strlen("domain ")) == 0;
}

static void
read_definition(CadenceConfiguration *c, List *options)
{
	const char *name = cadence_option_get(options, "protocol");
	List *protocols = cadence_protocols_read(name != NULL ? name : CADENCE_PROTOCOL_DEFAULT);

	if (protocols == NIL)
		c->problem = "its protocol is unknown";
	else if ((c->definition = cadence_protocol_compile(
				  ((CadenceProtocol *) linitial(protocols))->definition)) == NULL)
		c->problem = "its protocol's definition has problems";
}

static void
read_all(CadenceConfiguration *c, List *options, List *mapping)
{
	read_definition(c, options);
	if (c->problem != NULL)
		return;
	read_server(c, options);
	if (c->canal == NULL || c->url == NULL)
		c->problem = "it has no canal or no url";
	if (c->problem != NULL)
		return;
	read_values(c, options, mapping);
	make_basic(c);
	hide_login(c);
	if (c->problem == NULL)
		c->problem = host_problem(c, mapping);
}

/*
 * Reads a server with the options of its user mapping. The caller is its first
 * holder. Needs a transaction.
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
	c->canal = text_or_null(cadence_option_get(server->options, "canal"));
	c->empresa = text_or_null(cadence_option_get(server->options, "empresa"));
	read_all(c, server->options, mapping);
	if (cadence_is_no_sender(c->name))
	{
		c->problem = "its name begins as those of a group's or a domain's limits do";
		/* what is still under way of it leaves their states alone */
		c->name = pstrdup(quote_identifier(c->name));
	}
	MemoryContextSwitchTo(old);
	/* it lives as long as its holders, wherever they are; an error before this leaves nothing */
	MemoryContextSetParent(context, TopMemoryContext);
	return c;
}

/*
 * All values of a message by number, in the current memory context: its fields,
 * then the server's own.
 */
const char **
cadence_configuration_values(const CadenceConfiguration *c, const char *const *fields)
{
	size_t own = c->definition->options.n + c->definition->secrets.n;
	const char **values = palloc(sizeof(char *) * (FIELD_COUNT + own));

	memcpy(values, fields, sizeof(char *) * FIELD_COUNT);
	memcpy(values + FIELD_COUNT, c->values, sizeof(char *) * own);
	return values;
}

/* Of an address's domain; NULL: it has none of its own. */
const CadenceDomainLimit *
cadence_configuration_domain_limit(const CadenceConfiguration *c, const char *address)
{
	size_t len;
	const char *domain = c->ndomains > 0 ? domain_limits_domain(address, &len) : NULL;

	for (int i = 0; domain != NULL && i < c->ndomains; i++)
		if (strlen(c->domains[i].domain) == len &&
			pg_strncasecmp(c->domains[i].domain, domain, len) == 0)
			return &c->domains[i];
	return NULL;
}

/* Whether the file of one of its secrets is another now. */
bool
cadence_configuration_is_outdated(const CadenceConfiguration *c)
{
	for (size_t i = 0; c->secrets != NULL && i < c->definition->secrets.n; i++)
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
