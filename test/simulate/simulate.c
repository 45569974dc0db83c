/*
 * simulate.c
 *		A year, or any other time, of sales cadences around src/rules, without a server.
 *
 *	simulate BOOK DAYS LEADS SEED
 *
 * Writes all that has happened into a book, which check.py reads. The same seed makes the
 * same book.
 */
#include <stdio.h>
#include <stdlib.h>

#include "book.h"
#include "chance.h"
#include "engine.h"
#include "life.h"
#include "world.h"

static void
happens(const Event *event)
{
	Run *run = &world.runs[event->who];

	if (event->kind >= EVENT_LIFE)
		life_goes_on(event);
	else if (run->claim != event->claim)
		return;
	else if (event->kind == EVENT_LEAVE)
		engine_leave(run, event->at);
	else
		engine_answer(run, event->at);
}

static void
run_world(void)
{
	for (;;)
	{
		int64_t work = engine_next();
		int64_t life = queue_next(&events);
		Event event;

		if ((work < life ? work : life) >= world.ends)
			return;
		if (work < life)
			engine_work(work);
		else if (queue_take(&events, &event))
			happens(&event);
	}
}

int
main(int argc, char **argv)
{
	int days = argc == 5 ? atoi(argv[2]) : 0;
	int leads = argc == 5 ? atoi(argv[3]) : 0;

	if (days < 2 || days > 3660 || leads < 1 || leads > 1000000)
	{
		fprintf(stderr, "usage: simulate BOOK DAYS LEADS SEED\n");
		return 2;
	}
	chance_seed(strtoull(argv[4], NULL, 10));
	book_open(argv[1]);
	world_make(days, leads);
	life_begin();
	run_world();
	book_end();
	book_close();
	return 0;
}
