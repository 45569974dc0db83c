/*
 * zone.c
 *		Where a telephone number is from: country, state, time zone.
 */
#include "rules/zone.h"

#include <stddef.h>

const char *
zone_of_phone(const char *e164)
{
	(void) e164;
	return NULL;
}

const char *
zone_uf_of_phone(const char *e164)
{
	(void) e164;
	return NULL;
}

const char *
zone_country_of_phone(const char *e164)
{
	(void) e164;
	return NULL;
}
