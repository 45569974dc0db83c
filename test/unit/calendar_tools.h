/*
 * calendar_tools.h
 *		What the tests of time share: zones given by their changes, instants as texts,
 *		and a zone's minutes one after the other, to look things up in.
 *
 * The changes are those of the IANA time zone database, release 2025b, as "zdump -v"
 * prints them. Neither they nor the timeline use the calendar that is tested.
 */
#ifndef CADENCE_CALENDAR_TOOLS_H
#define CADENCE_CALENDAR_TOOLS_H

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "rules/calendar.h"

/* 2000-01-01 in time_t */
#define EPOCH_2000 INT64_C(946684800)

#define ZONE_CHANGES_MAX 12

typedef struct Zone
{
	const char *name;
	int32_t first; /* seconds east of UTC, before all changes */
	int nchanges;
	struct
	{
		int64_t at; /* time_t */
		int32_t offset;
	} changes[ZONE_CHANGES_MAX];
} Zone;

typedef enum ZoneName
{
	UTC,
	SAO_PAULO, /* midnight is put forward, and back to 23:00; none of that since 2019 */
	NEW_YORK,
	LORD_HOWE,	/* half an hour */
	APIA,		/* 2011-12-30 is left out */
	KATHMANDU,	/* another law in 1986: a quarter of an hour more, to 5:45 */
	ST_JOHNS,	/* at 00:01, to 23:01 of the day before */
	NUUK,		/* the last hour of a Saturday is left out, or comes twice */
	ASUNCION,	/* its summer time stays since 2024 */
	CASABLANCA, /* an hour less in Ramadan */
	BEIRUT,
	TORONTO, /* in 1919 at 23:30, to 00:30 of the next day */
	ZONES
} ZoneName;

static const Zone zones[ZONES] = {
	[UTC] = {.name = "UTC"},
	[SAO_PAULO] = {"America/Sao_Paulo",
				   -7200,
				   5,
				   {{1487469600, -10800},
					{1508036400, -7200},
					{1518919200, -10800},
					{1541300400, -7200},
					{1550368800, -10800}}},
	[NEW_YORK] = {"America/New_York",
				  -18000,
				  8,
				  {{1678604400, -14400},
				   {1699164000, -18000},
				   {1710054000, -14400},
				   {1730613600, -18000},
				   {1741503600, -14400},
				   {1762063200, -18000},
				   {1772953200, -14400},
				   {1793512800, -18000}}},
	[LORD_HOWE] = {"Australia/Lord_Howe",
				   39600,
				   6,
				   {{1680361200, 37800},
					{1696087800, 39600},
					{1712415600, 37800},
					{1728142200, 39600},
					{1743865200, 37800},
					{1759591800, 39600}}},
	[APIA] = {"Pacific/Apia",
			  -39600,
			  6,
			  {{1285498800, -36000},
			   {1301752800, -39600},
			   {1316872800, -36000},
			   {1325239200, 50400},
			   {1333202400, 46800},
			   {1348927200, 50400}}},
	[KATHMANDU] = {"Asia/Kathmandu", 19800, 1, {{504901800, 20700}}},
	[ST_JOHNS] = {"America/St_Johns",
				  -12600,
				  6,
				  {{1236483060, -9000},
				   {1257042660, -12600},
				   {1268537460, -9000},
				   {1289097060, -12600},
				   {1299987060, -9000},
				   {1320553800, -12600}}},
	[NUUK] = {"America/Nuuk",
			  -10800,
			  9,
			  {{1648342800, -7200},
			   {1667091600, -10800},
			   {1679792400, -7200},
			   {1711846800, -3600},
			   {1729990800, -7200},
			   {1743296400, -3600},
			   {1761440400, -7200},
			   {1774746000, -3600},
			   {1792890000, -7200}}},
	[ASUNCION] =
		{"America/Asuncion",
		 -10800,
		 4,
		 {{1679799600, -14400}, {1696132800, -10800}, {1711249200, -14400}, {1728187200, -10800}}},
	[CASABLANCA] = {"Africa/Casablanca",
					3600,
					4,
					{{1740276000, 0}, {1743904800, 3600}, {1771120800, 0}, {1774144800, 3600}}},
	[BEIRUT] = {"Asia/Beirut",
				7200,
				8,
				{{1679781600, 10800},
				 {1698526800, 7200},
				 {1711836000, 10800},
				 {1729976400, 7200},
				 {1743285600, 10800},
				 {1761426000, 7200},
				 {1774735200, 10800},
				 {1792875600, 7200}}},
	[TORONTO] = {"America/Toronto", -18000, 2, {{-1601753400, -14400}, {-1583697600, -18000}}}};

/* How often a zone was asked. */
static long zone_calls;

static int32_t
zone_offset(const void *arg, int64_t at)
{
	const Zone *zone = arg;
	int32_t offset = zone->first;

	zone_calls++;
	for (int i = 0; i < zone->nchanges; i++)
		if (at >= (zone->changes[i].at - EPOCH_2000) * CALENDAR_SECOND)
			offset = zone->changes[i].offset;
	return offset;
}

static inline Calendar
calendar_of(ZoneName zone, const int32_t *holidays, size_t nholidays)
{
	return (Calendar){zone_offset, &zones[zone], holidays, nholidays};
}

/* ---- texts ----------------------------------------------------------------------------- */

/* "2024-02-29 08:00[:30]", of whatever zone: microseconds since 2000. */
static inline int64_t
instant_of(const char *text)
{
	struct tm tm = {0};

	if (sscanf(text, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
			   &tm.tm_min, &tm.tm_sec) < 3)
		abort();
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (timegm(&tm) - EPOCH_2000) * CALENDAR_SECOND;
}

static inline int32_t
day_of(const char *text)
{
	int64_t at = instant_of(text);

	return (int32_t) (at / CALENDAR_DAY - (at % CALENDAR_DAY < 0));
}

/* What clocks show, and how far that is from UTC: "2024-02-29 08:00:00-03:00". */
static inline const char *
local_text(const Calendar *c, int64_t at)
{
	static char texts[4][64];
	static int next;
	char *text = texts[next++ % 4];
	int32_t offset;
	time_t local;
	struct tm tm;

	if (at == CALENDAR_NEVER)
		return "never";
	offset = c->utc_offset(c->zone, at);
	local = at / CALENDAR_SECOND - (at % CALENDAR_SECOND < 0) + EPOCH_2000 + offset;
	gmtime_r(&local, &tm);
	strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(text + strlen(text), 32, "%c%02d:%02d", offset < 0 ? '-' : '+', abs(offset) / 3600,
			 abs(offset) / 60 % 60);
	return text;
}

static inline void
check_local(const Calendar *c, int64_t actual, const char *expected, const char *file, int line)
{
	check_text(local_text(c, actual), expected, file, line, "time");
}

#define CHECK_LOCAL(calendar, actual, expected) \
	check_local((calendar), (actual), (expected), __FILE__, __LINE__)

/* ---- chance ---------------------------------------------------------------------------- */

static uint64_t chance_state = 88172645463325252;

/* xorshift64: the same numbers each time; from 0 to n - 1. */
static inline int
chance(int n)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return (int) (chance_state >> 16 & 0x7fffffff) % n;
}

/* ---- a zone's minutes ------------------------------------------------------------------ */

#define TIMELINE_DAYS 60
#define TIMELINE_MINUTES (TIMELINE_DAYS * 1440)

/* Minute by minute; what is asked has to lie within, two days from its ends. */
typedef struct Timeline
{
	const Zone *zone;
	int64_t start;					/* of the first minute */
	int64_t wall[TIMELINE_MINUTES]; /* minutes that clocks show, since 2000-01-01 00:00 */
	int64_t first_wall;
	int first[TIMELINE_MINUTES + 2 * 1440]; /* the first minute at which they do; -1: never */
	int32_t day[TIMELINE_MINUTES];
} Timeline;

static inline int
timeline_minute(const Timeline *t, int64_t at)
{
	return (int) ((at - t->start) / CALENDAR_MINUTE);
}

static inline int64_t
timeline_at(const Timeline *t, int minute)
{
	return t->start + minute * CALENDAR_MINUTE;
}

/*
 * The minute of a local time: the first one at which clocks show it. One that they go past
 * is later by what they are put forward by.
 */
static inline int
timeline_find(const Timeline *t, int32_t day, int minutes)
{
	int64_t wall = day * INT64_C(1440) + minutes;

	if (wall < t->first_wall || wall >= t->first_wall + TIMELINE_MINUTES)
		return -1;
	if (t->first[wall - t->first_wall] >= 0)
		return t->first[wall - t->first_wall];
	for (int i = 1; i < TIMELINE_MINUTES; i++)
		if (t->wall[i - 1] < wall && t->wall[i] > wall)
			return t->first[wall + t->wall[i] - t->wall[i - 1] - 1 - t->first_wall];
	return -1;
}

/* A day goes from its midnight to that of the next one. */
static inline void
timeline_days(Timeline *t)
{
	int32_t first = (int32_t) (t->first_wall / 1440) - 1;

	for (int i = 0; i < TIMELINE_MINUTES; i++)
		t->day[i] = INT32_MIN;
	for (int32_t day = first; day < first + TIMELINE_DAYS + 4; day++)
		for (int i = timeline_find(t, day, 0); i >= 0 && i < TIMELINE_MINUTES; i++)
			t->day[i] = day;
}

static inline void
timeline_fill(Timeline *t, ZoneName zone, const char *from)
{
	t->zone = &zones[zone];
	t->start = instant_of(from);
	for (int i = 0; i < TIMELINE_MINUTES; i++)
		t->wall[i] =
			timeline_at(t, i) / CALENDAR_MINUTE + zone_offset(t->zone, timeline_at(t, i)) / 60;
	t->first_wall = t->wall[0];
	memset(t->first, -1, sizeof(t->first));
	for (int i = TIMELINE_MINUTES - 1; i >= 0; i--)
		if (t->wall[i] >= t->first_wall && t->wall[i] < t->first_wall + TIMELINE_MINUTES)
			t->first[t->wall[i] - t->first_wall] = i;
	timeline_days(t);
}

/* 1: Monday, to 7: Sunday. */
static inline int
weekday_of(int32_t day)
{
	time_t at = EPOCH_2000 + day * INT64_C(86400);
	struct tm tm;

	gmtime_r(&at, &tm);
	return tm.tm_wday == 0 ? 7 : tm.tm_wday;
}

/* Where each zone changes its clocks, and the days around that. */
typedef struct Period
{
	ZoneName zone;
	const char *from;
} Period;

static const Period periods[] = {
	{UTC, "2024-02-01"},	   {SAO_PAULO, "2018-10-25"}, {SAO_PAULO, "2019-02-07"},
	{NEW_YORK, "2024-03-01"},  {NEW_YORK, "2024-10-25"},  {LORD_HOWE, "2024-03-28"},
	{LORD_HOWE, "2024-09-26"}, {APIA, "2011-12-20"},	  {KATHMANDU, "1985-12-22"},
	{ST_JOHNS, "2010-10-28"},  {ST_JOHNS, "2010-03-04"},  {NUUK, "2024-03-21"},
	{NUUK, "2024-10-17"},	   {ASUNCION, "2024-09-26"},  {CASABLANCA, "2025-02-14"},
	{BEIRUT, "2024-03-21"},	   {BEIRUT, "2024-10-16"},
};

#define NPERIODS ((int) (sizeof(periods) / sizeof(periods[0])))

#endif
