/*
 * forecast.h
 *		The parts of cadence_forecast(): what is read, what senders allow, what is told.
 */
#ifndef CADENCE_SQLAPI_FORECAST_H
#define CADENCE_SQLAPI_FORECAST_H

#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/uuid.h"

#include "provider/pool.h"
#include "provider/provider.h"
#include "provider/sender_state.h"
#include "rules/forecast.h"
#include "schema/tables.h"

/* More active runs are not forecast at once: some 600 bytes each. */
#define FORECAST_RUNS_MAX 2000000

/* By whom, and when, somebody was last written to on a channel; of those where that matters. */
typedef struct Talk
{
	struct Talk *next;
	int channel;
	CadenceProvider *server; /* NULL: by nobody */
	TimestampTz last_at;	 /* 0: never */
	TimestampTz heard_at;
	bool is_first; /* nobody has written to them */
} Talk;

/* Of one company. */
typedef struct Person
{
	uint64 key;
	ForecastCount count;
	Talk *talks;
} Person;

/* A step, and what is told of it. */
typedef struct PlannedStep
{
	ForecastStep step;
	pg_uuid_t id;
	int ordem;
	int channel;
	Datum canal;
	CadencePool *pool;
	bool may_close; /* free text without an approved template depends on the 24 hours */
} PlannedStep;

/* A cadence for a company, and all its steps. */
typedef struct PlannedCadence
{
	pg_uuid_t cadence_id;
	const char *empresa; /* NULL: none */
	ForecastPolicy policy;
	Datum codigo;
	bool has_codigo;
	bool is_active;
	int priority;
	PlannedStep **steps; /* in their order */
	int nsteps;
	struct PlanKind
	{
		int channel;
		char *categoria;
	} kinds[FORECAST_KINDS];
	int nkinds;
	int next_position; /* while it is read */
	bool is_read;
} PlannedCadence;

typedef struct PlannedRun
{
	ForecastRun run;
	pg_uuid_t id;
	PlannedCadence *plan;
	Person *person;
	const char *lead_id; /* NULL: it has none */
	const char *domain;	 /* of the address, where a server limits it; NULL: none does */
	bool is_certain;
} PlannedRun;

/* What is told. */
typedef void (*ForecastTell)(void *arg, PlannedRun *run, const PlannedStep *step,
							 CadenceProvider *server, TimestampTz at);

typedef struct Forecast
{
	MemoryContext context; /* of all that is kept */
	MemoryContext look;	   /* of a look at what is due */
	const CadenceTables *tables;
	CadenceProviders *providers;
	CadenceSenderStates *states;
	TimestampTz now;
	TimestampTz until;
	int64 lease_us;
	ForecastEvent *runs;
	size_t nruns;
	size_t room;
	List *channels; /* names, in capitals */
	bool has_views; /* the owner's: what they say may change */
	ForecastTell tell;
	void *teller;

	List *domains;			 /* states of those that servers limit */
	CadenceProvider *server; /* of the message that is about to start */
} Forecast;

extern void forecast_load(Forecast *forecast);
extern Talk *forecast_talk(const PlannedRun *run, int channel);
extern void forecast_let_pass(Forecast *forecast);

#endif
