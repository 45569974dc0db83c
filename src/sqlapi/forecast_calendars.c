/*
 * forecast_calendars.c
 *		The zones and holidays that people, companies and their cadences go by, each kept once:
 *		zones are asked here, not while time passes.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "sqlapi/forecast_parts.h"

/* Zones are asked once for so long before and after what is played. */
#define ZONE_MARGIN (500 * CALENDAR_DAY)

/* A calendar by what it consists of. */
typedef struct CalendarKey
{
	const void *zone;
	size_t nholidays;
	uint64 holidays;
} CalendarKey;

typedef struct CalendarEntry
{
	CalendarKey key;
	ForecastCalendar *calendar;
} CalendarEntry;

typedef struct ZoneEntry
{
	const void *zone;
	ForecastZone *asked;
} ZoneEntry;

void
forecast_calendars_begin(Loader *l)
{
	l->calendars =
		forecast_table(l, "cadence_forecast calendars", sizeof(CalendarKey), sizeof(CalendarEntry));
	l->zones = forecast_table(l, "cadence_forecast zones", sizeof(void *), sizeof(ZoneEntry));
}

static const ForecastZone *
find_zone(Loader *l, const Calendar *calendar)
{
	Forecast *f = l->forecast;
	bool found;
	ZoneEntry *entry = hash_search(l->zones, &calendar->zone, HASH_ENTER, &found);

	if (!found)
	{
		entry->asked = MemoryContextAlloc(f->context, sizeof(ForecastZone));
		forecast_zone(entry->asked, calendar, f->now - 10 * CALENDAR_DAY, f->until + ZONE_MARGIN);
	}
	return entry->asked;
}

/* People of one place share it. */
ForecastCalendar *
forecast_calendar(Loader *l, const Calendar *calendar)
{
	Size size = sizeof(int32) * calendar->nholidays;
	CalendarKey key;
	CalendarEntry *entry;
	bool found;

	memset(&key, 0, sizeof(key));
	key.zone = calendar->zone;
	key.nholidays = calendar->nholidays;
	if (size > 0)
		key.holidays =
			hash_bytes_extended((const unsigned char *) calendar->holidays, (int) size, 0);
	entry = hash_search(l->calendars, &key, HASH_ENTER, &found);
	if (!found)
	{
		int32 *holidays = MemoryContextAlloc(l->forecast->context, Max(size, 1));

		if (size > 0)
			memcpy(holidays, calendar->holidays, size);
		entry->calendar = MemoryContextAllocZero(l->forecast->context, sizeof(ForecastCalendar));
		entry->calendar->calendar = (Calendar){.utc_offset = forecast_offset,
											   .zone = find_zone(l, calendar),
											   .holidays = holidays,
											   .nholidays = calendar->nholidays};
	}
	return entry->calendar;
}
