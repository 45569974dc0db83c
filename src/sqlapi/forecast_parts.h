/*
 * forecast_parts.h
 *		What the files share that read what a forecast has to know.
 */
#ifndef CADENCE_FORECAST_PARTS_H
#define CADENCE_FORECAST_PARTS_H

#include "postgres.h"

#include "utils/hsearch.h"

#include "base/statement.h"
#include "resolve/contact.h"
#include "resolve/conversation.h"
#include "resolve/resolve.h"
#include "resolve/step_lookup.h"
#include "resolve/usage.h"
#include "schema/calendar.h"
#include "schema/exits.h"
#include "sqlapi/forecast.h"

typedef struct Loader
{
	Forecast *forecast;
	Statement runs;
	Statement codes; /* of cadences */
	CadenceRulings *rulings;
	CadenceResolver *resolver;
	CadenceStepLookups *lookups;
	CadenceConversations *conversations;
	CadenceExits *exits;
	CadenceUsages *usages;
	ContactColumns contact;
	MemoryContext batch;
	HTAB *calendars; /* each its own file's, as the next */
	HTAB *zones;
	HTAB *people;
	HTAB *plans;
	HTAB *counts;
	TimestampTz due; /* of the last run that was read, */
	pg_uuid_t id;	 /* and its id */
} Loader;

/* One of a batch: a run, and the steps of it that are resolved. */
typedef struct Member
{
	PlannedRun *run;
	CadenceStep *step; /* its next one; NULL: it is left out */
	const PlannedStep *planned;
	bool is_claimed;
	int first; /* its steps among those that are resolved */
	int n;
	const PlannedStep *others[FORECAST_KINDS];
} Member;

extern HTAB *forecast_table(const Loader *loader, const char *name, Size key, Size entry);
extern uint64 forecast_hash(const char *text, uint64 seed);

/* forecast_calendars.c */
extern void forecast_calendars_begin(Loader *loader);
extern ForecastCalendar *forecast_calendar(Loader *loader, const Calendar *calendar);

/* forecast_plans.c */
extern void forecast_plans_begin(Loader *loader);
extern void forecast_plans_read(Loader *loader, CadenceStep **steps, int n);
extern PlannedCadence *forecast_plan(Loader *loader, const CadenceStep *step);
extern bool forecast_has_had(const CadenceStep *run, const PlannedStep *step);

/* forecast_people.c */
extern void forecast_people_begin(Loader *loader);
extern Person *forecast_person(Loader *loader, const CadenceStep *step);
extern void forecast_note_reach(Loader *loader, Member *member, const PlannedStep *planned,
								const CadenceStep *step, bool is_next);

/* forecast_counts.c */
extern void forecast_counts_begin(Loader *loader);
extern ForecastCount *forecast_count(Loader *loader, uint64 key);
extern void forecast_counts_of_plan(Loader *loader, const PlannedCadence *plan,
									const char *empresa);
extern void forecast_counts_of_people(Loader *loader, Member *members, int n);

#endif
