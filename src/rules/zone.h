/*
 * zone.h
 *		Where a telephone number is at home: zone, country, state.
 */
#ifndef CADENCE_ZONE_H
#define CADENCE_ZONE_H

extern const char *zone_of_phone(const char *e164);
extern const char *zone_uf_of_phone(const char *e164);
extern const char *zone_country_of_phone(const char *e164);

#endif
