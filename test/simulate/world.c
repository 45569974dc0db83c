/*
 * world.c
 *		Companies, their cadences and people, by chance.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "chance.h"
#include "rules/due.h"
#include "zones.h"

World world;

/* By country and state. */
const char *const places[PLACES] = {"BR-SP", "BR-RJ", "BR", "XX"};

#define WORKDAYS "{\"dias\": [1, 2, 3, 4, 5], "

/* clang-format off */
static const char *const windows[] = {
	"[" WORKDAYS "\"das\": \"08:00\", \"ate\": \"18:00\"}]",
	"[" WORKDAYS "\"das\": \"08:00\", \"ate\": \"18:00\"}]",
	"[" WORKDAYS "\"das\": \"09:00\", \"ate\": \"12:00\"}, " WORKDAYS "\"das\": \"14:00\", \"ate\": \"19:30\"}]",
	"[{\"das\": \"18:00\", \"ate\": \"02:00\"}]",
	"[{\"das\": \"00:00\", \"ate\": \"24:00\"}]",
	"[{\"das\": \"01:30\", \"ate\": \"02:45\"}, {\"das\": \"22:00\", \"ate\": \"23:59\"}]",
	"[{\"das\": \"08:00\", \"ate\": \"20:00\"}]",
	"[{\"dias\": [6, 7], \"das\": \"23:00\", \"ate\": \"03:00\"}, {\"dias\": [2, 4], \"das\": \"10:00\", \"ate\": \"16:00\"}]"};
/* clang-format on */

#define NWINDOWS ((int) (sizeof(windows) / sizeof(windows[0])))

/* ---- calendars ----------------------------------------------------------------------- */

static struct
{
	int32_t days[HOLIDAYS_MAX];
	size_t n;
	bool is_known;
} holidays_of[COMPANIES][PLACES];

static int
compare_days(const void *a, const void *b)
{
	int32_t x = *(const int32_t *) a;
	int32_t y = *(const int32_t *) b;

	return (x > y) - (x < y);
}

/* "BR" holds what is in "BR-SP". */
static bool
is_in(int place, int holiday_place)
{
	return holiday_place < 0 ||
		   strncmp(places[place], places[holiday_place], strlen(places[holiday_place])) == 0;
}

Calendar
calendar_of_lead(const Lead *lead)
{
	int32_t *days = holidays_of[lead->company][lead->place].days;
	size_t *n = &holidays_of[lead->company][lead->place].n;

	if (!holidays_of[lead->company][lead->place].is_known)
	{
		*n = 0;
		for (int i = 0; i < world.nholidays; i++)
			if (is_in(lead->place, world.holidays[i].place) &&
				(world.holidays[i].company < 0 || world.holidays[i].company == lead->company))
				days[(*n)++] = world.holidays[i].day;
		qsort(days, *n, sizeof(*days), compare_days);
		holidays_of[lead->company][lead->place].is_known = true;
	}
	return (Calendar){zone_offset, zone_of(lead->zone), days, *n};
}

/* Its holidays do not matter where days are counted. */
Calendar
calendar_of_company(int company)
{
	return (Calendar){zone_offset, zone_of(world.companies[company].zone), NULL, 0};
}

void
add_holiday(int32_t day, int place, int company)
{
	if (world.nholidays == HOLIDAYS_MAX)
		return;
	world.holidays[world.nholidays++] = (Holiday){day, place, company};
	for (int i = 0; i < COMPANIES; i++)
		for (int j = 0; j < PLACES; j++)
			holidays_of[i][j].is_known = false;
}

/* ---- steps ----------------------------------------------------------------------------- */

static int64_t
any_time(void)
{
	/* some of them minutes before a window closes, or when clocks are changed */
	static const int minutes[] = {540, 630, 1078, 1079, 150, 163, 0, 1169};

	return minutes[chance_below(8)] * CALENDAR_MINUTE;
}

/* A step of a place in its cadence, with a time by chance. */
Step
any_step(int ordem, bool is_first)
{
	static const int offsets[] = {0, 5, 60, 300, 1440, 1440, 2880, 2880, 4320, 7200, 10080};
	static const int64_t valid[] = {0, 0, 0, HOUR, 4 * HOUR, 24 * HOUR, 72 * HOUR};
	Step step = {.id = ++world.next_step_id, .ordem = ordem};

	step.time.offset = is_first && chance_percent(60) ? 0 : offsets[chance_below(11)];
	step.time.from_start = chance_percent(15);
	if (step.time.from_start)
		step.time.offset = ordem / 10 * 1440;
	step.time.has_time = chance_percent(30);
	step.time.time = step.time.has_time ? any_time() : 0;
	step.time.working_days = chance_percent(25);
	step.valid_for = valid[chance_below(7)];
	step.goes_on = chance_percent(50);
	step.stops = chance_percent(70);
	return step;
}

void
add_step(Cadence *cadence, const Step *step)
{
	int i = cadence->nsteps++;

	for (; i > 0 && cadence->steps[i - 1].ordem > step->ordem; i--)
		cadence->steps[i] = cadence->steps[i - 1];
	cadence->steps[i] = *step;
}

void
remove_step(Cadence *cadence, int index)
{
	cadence->nsteps--;
	memmove(&cadence->steps[index], &cadence->steps[index + 1],
			sizeof(Step) * (cadence->nsteps - index));
}

static bool
has_had(const Run *run, int id)
{
	for (int i = 0; i < run->nhad; i++)
		if (run->had[i] == id)
			return true;
	return false;
}

/* The first step from a place on that a run has not had; NULL: there is none. */
Step *
step_at(Cadence *cadence, const Run *run, int position)
{
	for (int i = 0; i < cadence->nsteps; i++)
		if (cadence->steps[i].ordem >= position && !has_had(run, cadence->steps[i].id))
			return &cadence->steps[i];
	return NULL;
}

/* ---- making ----------------------------------------------------------------------------- */

/* One by chance; NULL: none. */
const char *
any_window(bool may_be_none, Window *window)
{
	char problem[WINDOW_PROBLEM_SIZE];
	const char *text = windows[chance_below(NWINDOWS)];

	window->n = 0;
	if (may_be_none && chance_percent(30))
		return NULL;
	if (!window_read(text, strlen(text), window, problem))
		abort();
	return text;
}

static void
make_company(Company *c)
{
	c->zone = (int) chance_below(ZONES);
	c->janela = any_window(true, &c->window);
	c->spread = chance_percent(30) ? 0 : chance_between(1, 60) * CALENDAR_MINUTE;
	c->min_gap = chance_percent(30) ? 0 : chance_between(1, 30) * HOUR;
	c->max_of_person = chance_percent(30) ? 0 : (int) chance_between(1, 3);
	c->max_a_day =
		chance_percent(30) ? 0 : (int) (world.nleads / COMPANIES / chance_between(2, 8) + 2);
	c->usage.day = INT32_MIN;
	/* a sender that needs up to two hours for all that there is */
	c->pace = chance_percent(50) ? 0 : chance_below(2 * HOUR * COMPANIES / world.nleads);
	c->holds = chance_percent(50);
}

static void
make_cadence(Cadence *c, int company)
{
	int n = (int) chance_between(2, 7);

	c->company = company;
	c->janela = chance_percent(50) ? any_window(false, &c->window) : NULL;
	c->priority = (int) chance_between(0, 2);
	c->max_a_day =
		chance_percent(60) ? 0 : (int) (world.nleads / CADENCES / chance_between(2, 6) + 2);
	c->max_new =
		chance_percent(60) ? 0 : (int) (world.nleads / CADENCES / chance_between(5, 15) + 1);
	c->is_active = true;
	c->usage.day = c->new_ones.day = INT32_MIN;
	for (int i = 1; i <= n; i++)
	{
		Step step = any_step(i * 10, i == 1);

		add_step(c, &step);
	}
}

static void
make_lead(Lead *lead)
{
	lead->company = (int) chance_below(COMPANIES);
	lead->zone = (int) chance_below(ZONES);
	lead->place = lead->zone < ZONES_OF_BRAZIL ? (int) chance_below(PLACES - 1) : PLACES - 1;
	lead->spot = chance_part();
	lead->usage.day = INT32_MIN;
}

/* Those of a law, and a bridge of some company. */
static void
make_holidays(int days)
{
	int32_t first = (int32_t) (world.begins / CALENDAR_DAY);

	for (int32_t day = first; day < first + days; day++)
	{
		if (chance_percent(3))
			add_holiday(day, (int) chance_below(PLACES), -1);
		if (chance_percent(1))
			add_holiday(day, -1, (int) chance_below(COMPANIES));
	}
	/* Christmas goes on for days somewhere */
	for (int32_t day = first + days / 2; day < first + days / 2 + 4; day++)
		add_holiday(day, -1, -1);
}

/* A world of so many people, for so many days from 2026-01-01 on. */
void
world_make(int days, int nleads)
{
	world.begins = calendar_day_of(2026, 1, 1) * CALENDAR_DAY;
	world.ends = world.begins + days * CALENDAR_DAY;
	world.nleads = nleads;
	world.leads = calloc(nleads, sizeof(Lead));
	world.runs_room = nleads * (days / 10 + 4);
	world.runs = calloc(world.runs_room, sizeof(Run));
	if (world.leads == NULL || world.runs == NULL)
		abort();
	zones_load(world.begins - 400 * CALENDAR_DAY, world.ends + 900 * CALENDAR_DAY);
	make_holidays(days);
	for (int i = 0; i < COMPANIES; i++)
		make_company(&world.companies[i]);
	for (int i = 0; i < CADENCES; i++)
		make_cadence(&world.cadences[i], i % COMPANIES);
	for (int i = 0; i < nleads; i++)
		make_lead(&world.leads[i]);
	book_world();
}

/* A new run, before the first step of a cadence; NULL: there is no room, or no step. */
Run *
run_enroll(int lead, int cadence, int64_t at)
{
	Cadence *c = &world.cadences[cadence];
	Run *run = &world.runs[world.nruns];
	Calendar calendar = calendar_of_lead(&world.leads[lead]);

	if (world.nruns == world.runs_room || c->nsteps == 0)
		return NULL;
	*run = (Run){.lead = lead,
				 .cadence = cadence,
				 .status = RUN_ACTIVE,
				 .has_due = true,
				 .started_at = at,
				 .counts_from = at,
				 .waits_for = c->steps[0].id,
				 .scheduled_at = at};
	run->next_due = run->first_due = step_due(&c->steps[0].time, at, at, at, &calendar);
	world.nruns++;
	book_run(run);
	return run;
}
