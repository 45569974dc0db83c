/*
 * zones.h
 *		Thirty zones, as the system's tzdata has them.
 */
#ifndef SIMULATE_ZONES_H
#define SIMULATE_ZONES_H

#include <stdint.h>

#define ZONES 30

/* In the zones of Brazil lives who is of the first so many. */
#define ZONES_OF_BRAZIL 4

extern void zones_load(int64_t from, int64_t to);
extern const char *zone_name(int zone);
extern int32_t zone_offset(const void *zone, int64_t at);
extern const void *zone_of(int number);

#endif
