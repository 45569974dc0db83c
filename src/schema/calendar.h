/*
 * calendar.h
 *		The calendars of people: their time zones and holidays.
 */
#ifndef CADENCE_SCHEMA_CALENDAR_H
#define CADENCE_SCHEMA_CALENDAR_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "rules/calendar.h"
#include "schema/tables.h"

/* What a company's people have whose own is not known. */
#define CALENDAR_ZONE "America/Sao_Paulo"

/* What is known of where somebody is; texts may be NULL. */
typedef struct CadencePlace
{
	const char *zone;  /* the person's own, as it stands in the table */
	const char *phone; /* likewise */
	const char *uf;
	const char *empresa;
	const char *empresa_zone;
	const char *empresa_pais;
	const char *empresa_uf;
} CadencePlace;

/* Somebody of whom only lead and company are known. */
typedef struct CadenceLead
{
	const char *lead_id;
	const char *empresa;
} CadenceLead;

typedef struct CadenceCalendars CadenceCalendars;

extern CadenceCalendars *cadence_calendars_create(const CadenceTables *tables, bool in_query);
extern void cadence_calendars_refresh(CadenceCalendars *calendars);
extern bool cadence_calendars_have_holidays(CadenceCalendars *calendars);
extern bool cadence_calendar_of(CadenceCalendars *calendars, const CadencePlace *place,
								Calendar *calendar);
extern void cadence_calendars_find(CadenceCalendars *calendars, const CadenceLead *leads, int n,
								   Calendar *found);
extern const void *cadence_zone_find(const char *name);
extern int32 cadence_cohort_day(const char *empresa_zone, TimestampTz started_at);

#endif
