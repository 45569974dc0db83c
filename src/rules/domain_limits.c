/*
 * domain_limits.c
 *		How many mails a minute go to a domain's mailboxes at most: the option
 *		domain_limits, {"gmail.com": 20}.
 *
 * Domains are compared without case, in ASCII alone: who writes to addresses with
 * other letters writes the domain as the addresses do.
 */
#include "rules/domain_limits.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

#define PER_MINUTE_MAX 1000000
#define DOMAIN_LENGTH_MAX 253

static bool
is_domain(const char *text)
{
	size_t len = strlen(text);

	for (const char *at = text; *at != '\0'; at++)
		if ((unsigned char) *at <= 0x20 || *at == 0x7F || strchr("@<>,;:\"", *at) != NULL)
			return false;
	return len > 0 && len <= DOMAIN_LENGTH_MAX && text[0] != '.' && text[len - 1] != '.';
}

/* Written twice in different cases, it would have two limits. */
static bool
is_twice(json_t *limits, const char *domain)
{
	const char *key;
	json_t *value;
	int n = 0;

	json_object_foreach(limits, key, value) n += strcasecmp(key, domain) == 0;
	return n > 1;
}

static bool
is_limit(json_t *limits, const char *domain, json_t *value)
{
	return is_domain(domain) && !is_twice(limits, domain) && json_is_integer(value) &&
		   json_integer_value(value) >= 1 && json_integer_value(value) <= PER_MINUTE_MAX;
}

/*
 * Reads the option's value; false when it is none, and then nobody is told of any.
 */
bool
domain_limits_read(const char *json, DomainLimitTake take, void *arg)
{
	json_t *limits = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
	bool ok = json_is_object(limits) && json_object_size(limits) <= DOMAIN_LIMITS_MAX;
	const char *domain;
	json_t *value;

	if (ok)
		json_object_foreach(limits, domain, value) ok = ok && is_limit(limits, domain, value);
	if (ok && take != NULL)
		json_object_foreach(limits, domain, value) take(arg, domain, json_integer_value(value));
	json_decref(limits);
	return ok;
}

/* An address's domain, which the root's dot does not belong to; NULL: it has none. */
const char *
domain_limits_domain(const char *address, size_t *len)
{
	const char *at = strrchr(address, '@');

	if (at == NULL)
		return NULL;
	*len = strcspn(at + 1, "> \t");
	if (*len > 0 && at[*len] == '.')
		(*len)--;
	return *len > 0 ? at + 1 : NULL;
}
