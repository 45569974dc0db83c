/*
 * zones.c
 *		Thirty zones, as the system's tzdata has them: each is asked hour by hour with
 *		localtime_r(), and where it changes its clocks is found to the second.
 */
#include "zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "rules/calendar.h"

#define EPOCH_2000 INT64_C(946684800)
#define HOUR INT64_C(3600)
#define CHANGES_MAX 128

typedef struct Zone
{
	const char *name;
	int32_t first; /* seconds east of UTC, before all changes */
	int nchanges;
	struct
	{
		int64_t at; /* seconds since 1970 */
		int32_t offset;
	} changes[CHANGES_MAX];
} Zone;

/* No summer time, or one that begins and ends at midnight, at 1:00, 2:00, 2:45, by half an hour, …
 */
static Zone zones[ZONES] = {{.name = "America/Sao_Paulo"},	 {.name = "America/Manaus"},
							{.name = "America/Noronha"},	 {.name = "America/Rio_Branco"},
							{.name = "America/New_York"},	 {.name = "America/Chicago"},
							{.name = "America/Los_Angeles"}, {.name = "America/Phoenix"},
							{.name = "America/St_Johns"},	 {.name = "America/Havana"},
							{.name = "America/Santiago"},	 {.name = "America/Asuncion"},
							{.name = "America/Nuuk"},		 {.name = "America/Scoresbysund"},
							{.name = "Atlantic/Azores"},	 {.name = "Europe/Lisbon"},
							{.name = "Europe/London"},		 {.name = "Europe/Berlin"},
							{.name = "Europe/Chisinau"},	 {.name = "Africa/Cairo"},
							{.name = "Africa/Casablanca"},	 {.name = "Asia/Beirut"},
							{.name = "Asia/Jerusalem"},		 {.name = "Asia/Kolkata"},
							{.name = "Asia/Kathmandu"},		 {.name = "Asia/Tokyo"},
							{.name = "Australia/Lord_Howe"}, {.name = "Australia/Adelaide"},
							{.name = "Pacific/Chatham"},	 {.name = "Pacific/Kiritimati"}};

static int32_t
system_offset(int64_t at)
{
	time_t when = at;
	struct tm tm;

	if (localtime_r(&when, &tm) == NULL)
		abort();
	return (int32_t) tm.tm_gmtoff;
}

/* The first second at which clocks show what they show at "after". */
static int64_t
change_between(int64_t before, int64_t after)
{
	int32_t offset = system_offset(after);

	while (after - before > 1)
	{
		int64_t middle = before + (after - before) / 2;

		if (system_offset(middle) == offset)
			after = middle;
		else
			before = middle;
	}
	return after;
}

static void
load(Zone *zone, int64_t from, int64_t to)
{
	char path[128];

	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zone->name);
	if (access(path, R_OK) != 0)
	{
		fprintf(stderr, "simulate: no zone %s: install tzdata\n", zone->name);
		exit(2);
	}
	setenv("TZ", zone->name, 1);
	tzset();
	zone->first = system_offset(from);
	for (int64_t at = from; at < to; at += HOUR)
	{
		if (system_offset(at) == system_offset(at + HOUR))
			continue;
		if (zone->nchanges == CHANGES_MAX)
			abort();
		zone->changes[zone->nchanges].at = change_between(at, at + HOUR);
		zone->changes[zone->nchanges++].offset = system_offset(at + HOUR);
	}
}

/* Reads all zones, for a time from an instant to another. */
void
zones_load(int64_t from, int64_t to)
{
	for (int i = 0; i < ZONES; i++)
		load(&zones[i], from / CALENDAR_SECOND + EPOCH_2000, to / CALENDAR_SECOND + EPOCH_2000);
}

const char *
zone_name(int zone)
{
	return zones[zone].name;
}

const void *
zone_of(int number)
{
	return &zones[number];
}

/* A calendar's utc_offset. */
int32_t
zone_offset(const void *arg, int64_t at)
{
	const Zone *zone = arg;
	int64_t seconds = at / CALENDAR_SECOND - (at % CALENDAR_SECOND < 0) + EPOCH_2000;
	int32_t offset = zone->first;

	for (int i = 0; i < zone->nchanges && seconds >= zone->changes[i].at; i++)
		offset = zone->changes[i].offset;
	return offset;
}
