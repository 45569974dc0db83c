/*
 * zone.c
 *		Where a telephone number is at home: zone, country, state.
 *
 * Of each number the longest beginning in the table counts. What that does not
 * say is not known: a country is not guessed, nor a zone, since whoever is taken
 * to be where most others are is written to at night.
 */
#include "rules/zone.h"

#include <stdlib.h>
#include <string.h>

#include "rules/zone_table.h"

#define PREFIX_MAX 7

static int
compare(const void *key, const void *row)
{
	return strcmp(key, ((const ZonePrefix *) row)->prefix);
}

static const ZonePrefix *
find(const char *e164)
{
	char prefix[PREFIX_MAX + 1] = "";
	const ZonePrefix *found = NULL;

	if (e164[0] != '+')
		return NULL;
	strncpy(prefix, e164 + 1, PREFIX_MAX);
	for (size_t len = strlen(prefix); len > 0 && found == NULL; len--)
	{
		prefix[len] = '\0';
		found = bsearch(prefix, zone_prefixes, sizeof(zone_prefixes) / sizeof(zone_prefixes[0]),
						sizeof(zone_prefixes[0]), compare);
	}
	return found;
}

/* The time zone (IANA) of a number in E.164; NULL: the number does not tell. */
const char *
zone_of_phone(const char *e164)
{
	const ZonePrefix *found = find(e164);

	return found != NULL ? found->zone : NULL;
}

/* The state of a Brazilian number, by its area code: "AM". */
const char *
zone_uf_of_phone(const char *e164)
{
	const ZonePrefix *found = find(e164);

	return found != NULL ? found->uf : NULL;
}

/* The country of a number (ISO 3166, two letters); NULL: it shares its code with others. */
const char *
zone_country_of_phone(const char *e164)
{
	const ZonePrefix *found = find(e164);

	return found != NULL ? found->country : NULL;
}
