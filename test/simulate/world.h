/*
 * world.h
 *		Companies, their cadences, the people and what becomes of them.
 */
#ifndef SIMULATE_WORLD_H
#define SIMULATE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/decide.h"
#include "rules/transition.h"
#include "rules/window.h"

#define COMPANIES 8
#define CADENCES_EACH 5
#define CADENCES (COMPANIES * CADENCES_EACH)
#define STEPS_MAX 12
#define HOLIDAYS_MAX 400
#define PLACES 4
#define HOUR (60 * CALENDAR_MINUTE)

/* As a row of cadence_usage: it is of the day that it last counted. */
typedef struct Usage
{
	int32_t day;
	int used;
	int64_t last_at; /* a person's: the last message; 0: there was none */
} Usage;

typedef struct Holiday
{
	int32_t day;
	int place;	 /* -1: everywhere */
	int company; /* -1: all */
} Holiday;

typedef struct Company
{
	int zone;
	const char *janela; /* NULL: always */
	Window window;
	int64_t spread;
	int64_t min_gap;   /* 0: none */
	int max_of_person; /* 0: any number; so are the others */
	int max_a_day;
	Usage usage;
	/* its sender */
	int64_t pace;
	int64_t next_start;
	int64_t down_until; /* its provider answers with errors */
	bool holds;			/* on_uncertain */
} Company;

typedef struct Step
{
	int id;
	int ordem;
	StepTime time;
	int64_t valid_for; /* 0: for ever */
	bool goes_on;	   /* se_falhar */
	bool stops;		   /* parar_se_responder */
	int64_t edited_at;
} Step;

typedef struct Cadence
{
	int company;
	const char *janela; /* NULL: the company's */
	Window window;
	int priority;
	int max_a_day;
	int max_new;
	bool is_active;
	Usage usage;
	Usage new_ones;
	Step steps[STEPS_MAX]; /* by ordem */
	int nsteps;
} Cadence;

typedef struct Lead
{
	int company;
	int zone;
	int place;
	double spot; /* behind an opening */
	bool opted_out;
	Usage usage;
	int last_run; /* from 1; 0: none */
} Lead;

typedef struct Run
{
	int lead;
	int before; /* the lead's run before this one, from 1; 0: there is none */
	int cadence;
	RunStatus status;
	int position; /* the steps from there on are to come */
	bool has_due;
	int64_t next_due;
	int64_t first_due; /* of its step, whatever has put it off since */
	int64_t started_at;
	int64_t counts_from;
	int waits_for; /* the step that it is due with */
	int64_t scheduled_at;
	int attempts;
	bool has_begun;
	bool interrupted;
	bool kept; /* an uncertain attempt has left something to the next */
	bool uncertain;
	int64_t kept_at;
	bool delivered; /* and that was delivered, which nobody knows */
	bool has_exit;
	int *had; /* ids of steps */
	int nhad;
	int skips[4]; /* ids of steps, from the owner's view */
	int nskips;

	/* while it is claimed */
	int claim; /* counts; 0: nobody has it */
	int64_t claimed_at;
	int64_t due; /* before it was claimed */
	Step step;
	bool has_left;
	int64_t start_at;
	int64_t leave_by;
	CadenceOutcome answer; /* what will be heard */
	int64_t retry_after;
	Usage *taken[DECIDE_CAPS];
	int32_t taken_day[DECIDE_CAPS];
	int64_t taken_at;
	int64_t taken_before;
} Run;

typedef struct World
{
	int64_t begins;
	int64_t ends;
	Company companies[COMPANIES];
	Cadence cadences[CADENCES];
	Lead *leads;
	int nleads;
	Run *runs;
	int nruns;
	int runs_room;
	Holiday holidays[HOLIDAYS_MAX];
	int nholidays;
	int next_step_id;
	int64_t worker_from; /* the worker is busy, or its server down, until then */
} World;

extern const char *const places[PLACES];
extern World world;

extern void world_make(int days, int nleads);
extern Calendar calendar_of_lead(const Lead *lead);
extern Calendar calendar_of_company(int company);
extern const char *any_window(bool may_be_none, Window *window);
extern Step any_step(int ordem, bool is_first);
extern void add_step(Cadence *cadence, const Step *step);
extern void remove_step(Cadence *cadence, int index);
extern Step *step_at(Cadence *cadence, const Run *run, int position);
extern void add_holiday(int32_t day, int place, int company);
extern Run *run_enroll(int lead, int cadence, int64_t at);

#endif
