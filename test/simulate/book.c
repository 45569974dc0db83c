/*
 * book.c
 *		What has happened, a line of JSON for each, for the checker to read.
 *
 * Times are microseconds since 2000-01-01 UTC, days those since then.
 */
#include "book.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "zones.h"

static FILE *file;

void
book_open(const char *path)
{
	file = fopen(path, "w");
	if (file != NULL)
		return;
	perror(path);
	exit(2);
}

void
book_close(void)
{
	if (fclose(file) == 0)
		return;
	perror("simulate");
	exit(2);
}

static void __attribute__((format(printf, 1, 2))) line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(file, format, args);
	va_end(args);
	fputc('\n', file);
}

void
book_company(int64_t at, int company)
{
	const Company *c = &world.companies[company];

	line("{\"what\": \"company\", \"at\": %" PRId64 ", \"id\": %d, \"zone\": \"%s\", "
		 "\"janela\": %s, \"max_of_person\": %d, \"max\": %d, \"gap\": %" PRId64 "}",
		 at, company, zone_name(c->zone), c->janela != NULL ? c->janela : "null", c->max_of_person,
		 c->max_a_day, c->min_gap);
}

void
book_cadence(int64_t at, int cadence)
{
	const Cadence *c = &world.cadences[cadence];

	line("{\"what\": \"cadence\", \"at\": %" PRId64 ", \"id\": %d, \"company\": %d, "
		 "\"janela\": %s, \"max\": %d, \"max_new\": %d, \"ativo\": %s}",
		 at, cadence, c->company, c->janela != NULL ? c->janela : "null", c->max_a_day, c->max_new,
		 c->is_active ? "true" : "false");
}

void
book_step(int64_t at, int cadence, const Step *s)
{
	line("{\"what\": \"step\", \"at\": %" PRId64 ", \"id\": %d, \"cadence\": %d, \"ordem\": %d, "
		 "\"offset\": %d, \"inicio\": %s, \"horario\": %d, \"uteis\": %s, \"validade\": %" PRId64
		 ", \"pular\": %s, \"parar\": %s}",
		 at, s->id, cadence, s->ordem, s->time.offset, s->time.from_start ? "true" : "false",
		 s->time.has_time ? (int) (s->time.time / CALENDAR_MINUTE) : -1,
		 s->time.working_days ? "true" : "false", s->valid_for, s->goes_on ? "true" : "false",
		 s->stops ? "true" : "false");
}

void
book_step_gone(int64_t at, int step)
{
	line("{\"what\": \"step_gone\", \"at\": %" PRId64 ", \"id\": %d}", at, step);
}

void
book_holiday(int64_t at, const Holiday *h)
{
	line("{\"what\": \"holiday\", \"at\": %" PRId64 ", \"day\": %d, \"place\": \"%s\", "
		 "\"company\": %d}",
		 at, h->day, h->place < 0 ? "" : places[h->place], h->company);
}

/* All that there is in the beginning. */
void
book_world(void)
{
	line("{\"what\": \"begin\", \"at\": %" PRId64 "}", world.begins);
	for (int i = 0; i < world.nholidays; i++)
		book_holiday(world.begins, &world.holidays[i]);
	for (int i = 0; i < COMPANIES; i++)
		book_company(world.begins, i);
	for (int i = 0; i < CADENCES; i++)
	{
		book_cadence(world.begins, i);
		for (int j = 0; j < world.cadences[i].nsteps; j++)
			book_step(world.begins, i, &world.cadences[i].steps[j]);
	}
	for (int i = 0; i < world.nleads; i++)
		line("{\"what\": \"lead\", \"at\": %" PRId64 ", \"id\": %d, \"company\": %d, "
			 "\"zone\": \"%s\", \"place\": \"%s\"}",
			 world.begins, i, world.leads[i].company, zone_name(world.leads[i].zone),
			 places[world.leads[i].place]);
}

static int
id_of(const Run *run)
{
	return (int) (run - world.runs);
}

void
book_run(const Run *run)
{
	line("{\"what\": \"run\", \"at\": %" PRId64 ", \"id\": %d, \"lead\": %d, \"cadence\": %d}",
		 run->started_at, id_of(run), run->lead, run->cadence);
}

/* Something that has become of a run. */
void
book_of_run(const char *what, int64_t at, const Run *run, const char *why)
{
	line("{\"what\": \"%s\", \"at\": %" PRId64 ", \"run\": %d, \"why\": \"%s\"}", what, at,
		 id_of(run), why);
}

/* Something that has become of one of its steps, which was claimed then. */
void
book_of_step(const char *what, int64_t at, const Run *run, int step, const char *why)
{
	line("{\"what\": \"%s\", \"at\": %" PRId64 ", \"run\": %d, \"step\": %d, \"why\": \"%s\", "
		 "\"decided\": %" PRId64 "}",
		 what, at, id_of(run), step, why, run->claimed_at);
}

void
book_of_lead(const char *what, int64_t at, int lead)
{
	line("{\"what\": \"%s\", \"at\": %" PRId64 ", \"lead\": %d}", what, at, lead);
}

/* A company's provider is out, or, with company -1, the server is. */
void
book_down(int company, int64_t at, int64_t until)
{
	line("{\"what\": \"down\", \"at\": %" PRId64 ", \"company\": %d, \"until\": %" PRId64 "}", at,
		 company, until);
}

void
book_end(void)
{
	line("{\"what\": \"end\", \"at\": %" PRId64 "}", world.ends);
}
