/*
 * forecast.c
 *		What becomes of runs when nothing but time passes.
 *
 * Runs stand in a heap by when they are due, and by their ids. Those that are due at
 * one instant are looked at together, as an execution does that is there at that very
 * moment: policies are asked in the order of turns, then the senders, in the order in
 * which the runs were due, follow-ups first. What is sent is accepted, and nobody
 * replies. What nothing but somebody's act can move is left where it is.
 */
#include "rules/forecast.h"

#include <stdlib.h>
#include <string.h>

#define ID_SIZE 16
#define CACHE_LINE 64

/* How long what had no room in a cap waits that has it after all, as in resolve/ruling.c. */
#define COME_BACK (60 * CALENDAR_SECOND)

/* ---- the heap ------------------------------------------------------------------------ */

/* What is compared most stands in the heap itself, which has four children to each place. */
typedef struct Heap
{
	ForecastEvent *events;
	size_t n;
} Heap;

#define CHILDREN 4

static int
compare_due(const ForecastRun *a, const ForecastRun *b)
{
	if (a->due != b->due)
		return a->due < b->due ? -1 : 1;
	return memcmp(a->id, b->id, ID_SIZE);
}

static bool
is_before(const ForecastEvent *a, const ForecastEvent *b)
{
	if (a->due != b->due)
		return a->due < b->due;
	if (a->order != b->order)
		return a->order < b->order;
	return memcmp(a->run->id, b->run->id, ID_SIZE) < 0;
}

static ForecastEvent
event_of(ForecastRun *run)
{
	ForecastEvent event = {.due = run->due, .run = run};

	for (size_t i = 0; i < sizeof(event.order); i++)
		event.order = event.order << 8 | run->id[i];
	return event;
}

static size_t
first_child(const Heap *h, size_t at)
{
	size_t first = CHILDREN * at + 1;
	size_t last = first + CHILDREN < h->n ? first + CHILDREN : h->n;
	size_t best = first;

	for (size_t i = first + 1; i < last; i++)
		if (is_before(&h->events[i], &h->events[best]))
			best = i;
	return best;
}

static void
sift_down(Heap *h, size_t at)
{
	ForecastEvent event = h->events[at];

	while (CHILDREN * at + 1 < h->n)
	{
		size_t child = first_child(h, at);

		if (!is_before(&h->events[child], &event))
			break;
		h->events[at] = h->events[child];
		at = child;
	}
	h->events[at] = event;
}

static void
push(Heap *h, ForecastRun *run)
{
	ForecastEvent event = event_of(run);
	size_t at = h->n++;

	while (at > 0 && is_before(&event, &h->events[(at - 1) / CHILDREN]))
	{
		h->events[at] = h->events[(at - 1) / CHILDREN];
		at = (at - 1) / CHILDREN;
	}
	h->events[at] = event;
}

static ForecastRun *
pop(Heap *h)
{
	ForecastRun *first = h->events[0].run;

	h->events[0] = h->events[--h->n];
	if (h->n > 0)
		sift_down(h, 0);
	return first;
}

static void
make_heap(Heap *h)
{
	for (size_t i = 0; i < h->n; i++)
		h->events[i] = event_of(h->events[i].run);
	for (size_t i = h->n / CHILDREN + 1; i-- > 0;)
		if (i < h->n)
			sift_down(h, i);
}

/* ---- moving on ------------------------------------------------------------------------- */

typedef struct Look
{
	const ForecastEngine *engine;
	Heap heap;
	int64_t now;
} Look;

/* It is looked at again then, if that is of any interest. */
static void
come_back(Look *look, ForecastRun *run, int64_t due)
{
	/* nothing is looked at twice at once */
	run->due = due > look->now ? due : look->now + 1;
	if (run->due <= look->engine->until)
		push(&look->heap, run);
}

static bool
is_among(uint64_t steps, const ForecastStep *step)
{
	return step->number < FORECAST_SKIPS && (steps >> step->number & 1) != 0;
}

/* Where a run goes on, past what it does not get; NULL: it ends. */
static const ForecastStep *
next_of(const ForecastRun *run, StepTime *time)
{
	const ForecastStep *step = run->step;

	if (run->jump != NULL && run->jump->from == step)
	{
		*time = run->jump->time;
		return run->jump->to;
	}
	while (step->next != NULL && is_among(run->had, step->next))
		step = step->next;
	*time = step->next_time;
	return step->next;
}

/* What its outcome makes of a run. */
static void
move(Look *look, ForecastRun *run, CadenceOutcome outcome, int64_t at, int64_t until)
{
	StepTime next_time;
	const ForecastStep *next = next_of(run, &next_time);
	TransitionInput in = {.act = ACT_ATTEMPT,
						  .outcome = outcome,
						  .attempts = 1,
						  .has_due = true,
						  .due = run->due,
						  .has_next = next != NULL,
						  .next_time = next_time,
						  .started_at = run->started_at,
						  .calendar = &run->person->calendar,
						  .at = at,
						  .until = until,
						  .goes_on = run->step->goes_on,
						  .retry_after = until > at ? until - at : 0,
						  .retry_unresolved = look->engine->retry_unresolved};
	RunTransition to = cadence_transition(&in);

	if (to.status != RUN_ACTIVE || !to.has_due)
		return;
	if (to.advance)
	{
		run->step = next;
		run->first_due = to.next_due;
		run->has_begun = run->has_begun || outcome == OUTCOME_SENT;
		run->is_counted = run->is_retry = false;
	}
	come_back(look, run, to.next_due);
}

/* ---- counting --------------------------------------------------------------------------- */

static const ForecastCalendar *
today(ForecastCalendar *c, int64_t now)
{
	if (c->is_asked && c->asked_at == now)
		return c;
	/* a day is asked about many times */
	if (!c->is_asked || now < c->asked_at || now >= c->day_ends)
	{
		c->day = calendar_day(&c->calendar, now);
		c->day_ends = calendar_instant(&c->calendar, c->day + 1, 0);
	}
	c->is_asked = true;
	c->asked_at = now;
	return c;
}

static ForecastCalendar *
calendar_of(const ForecastRun *run, int cap)
{
	return cap == DECIDE_CAP_PERSON ? run->person : run->policy->company;
}

static bool
counts(const ForecastRun *run, int cap)
{
	const ForecastPolicy *p = run->policy;

	if (cap == DECIDE_CAP_PERSON)
		return (p->max[cap] != 0 || p->decide.min_gap != 0) && !run->is_counted;
	return p->max[cap] != 0 && !run->is_counted && (cap != DECIDE_CAP_NEW || !run->has_begun);
}

static ForecastCount *
count_of(const ForecastRun *run, int cap)
{
	return cap == DECIDE_CAP_PERSON ? run->count : run->policy->counts[cap];
}

static int64_t
later_message(int64_t a, int64_t b)
{
	return a == CALENDAR_NEVER || b > a ? b : a;
}

/* It is to be sent: the next one finds that counted. */
static void
take(ForecastRun *run, int64_t now)
{
	run->has_taken = true;
	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		ForecastCount *count = count_of(run, i);
		int32_t day;

		if (!counts(run, i))
			continue;
		day = today(calendar_of(run, i), now)->day;
		count->used = count->day == day ? count->used + 1 : 1;
		count->day = day;
	}
	run->before = run->count->last_at;
	if (counts(run, DECIDE_CAP_PERSON))
		run->count->last_at = later_message(run->count->last_at, now);
}

/* It is not, after all. */
static void
give_back(ForecastRun *run, int64_t now)
{
	for (int i = 0; i < DECIDE_CAPS; i++)
		if (counts(run, i))
			count_of(run, i)->used--;
	if (counts(run, DECIDE_CAP_PERSON) && run->count->last_at == now)
		run->count->last_at = run->before;
	run->has_taken = false;
}

/* ---- policies ----------------------------------------------------------------------------- */

static const CadenceReasonCode cap_reasons[DECIDE_CAPS] = {REASON_CAP_PERSON, REASON_CAP_COMPANY,
														   REASON_CAP_CADENCE, REASON_CAP_NEW};

static Decision
decide(ForecastRun *run, int64_t now)
{
	const ForecastPolicy *p = run->policy;
	DecidePolicy policy = p->decide;
	DecideFacts facts = {.opted_out = run->reach[run->step->kind] == REACH_STOPPED,
						 .has_skip = is_among(run->skips, run->step),
						 .can_expire = run->step->valid_for != 0,
						 .due = run->first_due,
						 .valid_for = run->step->valid_for,
						 .window_unknown = p->window_unknown,
						 .zone_unknown = run->zone_unknown,
						 .has_time = run->step->time.has_time,
						 .time = run->step->time.time,
						 .last_to_person = CALENDAR_NEVER};

	policy.place = run->place;
	if (run->is_counted)
		policy.min_gap = 0;
	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		const ForecastCount *count = count_of(run, i);
		const ForecastCalendar *c;

		if (!counts(run, i))
			continue;
		c = today(calendar_of(run, i), now);
		facts.caps[i] = (DecideCap){.reason = cap_reasons[i],
									.is_set = p->max[i] != 0,
									.max = p->max[i] > 0 ? p->max[i] : 0,
									.used = count->day == c->day ? count->used : 0,
									.day_ends = c->day_ends};
	}
	if (counts(run, DECIDE_CAP_PERSON))
		facts.last_to_person = run->count->last_at;
	return cadence_decide(&facts, &policy, &run->person->calendar, now);
}

/* What somebody has to do something about; what expires meanwhile goes on. */
static bool
is_for_people(CadenceReasonCode reason)
{
	return reason == REASON_ZONE_UNKNOWN || reason == REASON_WINDOW_UNKNOWN;
}

static void
wait_until_over(Look *look, ForecastRun *run)
{
	int64_t over = run->first_due;

	if (run->step->valid_for == 0)
		return;
	over = over > CALENDAR_NEVER - run->step->valid_for - 1 ? CALENDAR_NEVER
															: over + run->step->valid_for + 1;
	come_back(look, run, over);
}

/* What can not be sent, as an execution finds it: it tries again, and again. */
static void
stay(Look *look, ForecastRun *run)
{
	ForecastReach reach = run->reach[run->step->kind];

	if (reach == REACH_REFUSED || (reach == REACH_NO_ADDRESS && run->step->goes_on))
		move(look, run, OUTCOME_REFUSED, look->now, 0);
	else
		wait_until_over(look, run);
}

/* What a cap has no room for may have it when others of the look are put off. */
static void
defer(Look *look, ForecastRun *run, const Decision *d)
{
	run->is_deferred = d->cap != NULL || d->reason == REASON_MIN_GAP;
	run->deferred_until = d->until;
	if (!run->is_deferred)
		move(look, run, OUTCOME_DEFERRED, look->now, d->until);
}

/* Those that may leave are pending; the others are where they wait. */
static void
ask_policy(Look *look, ForecastRun *run)
{
	Decision d = decide(run, look->now);
	bool is_open = run->reach[run->step->kind] == REACH_OPEN && !run->step->is_unresolved &&
				   run->unresolved != run->step;

	run->is_pending = run->has_taken = run->is_deferred = false;
	switch (d.verdict)
	{
		case DECIDE_STOP:
			break;
		case DECIDE_SKIP:
			move(look, run, OUTCOME_SKIPPED, look->now, 0);
			break;
		case DECIDE_WAIT:
			if (is_for_people(d.reason))
				wait_until_over(look, run);
			else if (is_open)
				defer(look, run, &d);
			else
				stay(look, run);
			break;
		case DECIDE_SEND:
			if (!is_open)
			{
				stay(look, run);
				break;
			}
			run->is_pending = true;
			run->leave_by = d.until;
			take(run, look->now);
			break;
	}
}

/* Of what was sent before. */
static void
pass(Look *look, ForecastRun *run)
{
	run->passes = run->is_pending = run->has_taken = run->is_deferred = false;
	move(look, run, OUTCOME_SENT, run->counts_from, 0);
}

/* ---- senders ---------------------------------------------------------------------------- */

static void
ask_sender(Look *look, ForecastRun *run)
{
	const ForecastEngine *e = look->engine;
	int64_t at = look->now;
	ForecastTurn turn = e->turn(e->arg, run, look->now, &at);

	if (turn == TURN_STARTS)
	{
		if (counts(run, DECIDE_CAP_PERSON))
			run->count->last_at = later_message(run->count->last_at, at);
		run->has_taken = false;
		if (at <= e->until)
			e->leaves(e->arg, run, at);
		move(look, run, OUTCOME_SENT, at, 0);
	}
	else if (turn == TURN_WAITS)
		run->due = at;
	else
		run->due = CALENDAR_NEVER;
}

/*
 * What was taken and not used is given back when all have been asked, as a claim does.
 * True: something was.
 */
static bool
settle(Look *look, ForecastRun *run)
{
	if (!run->has_taken)
		return false;
	give_back(run, look->now);
	if (run->due != CALENDAR_NEVER)
		move(look, run, OUTCOME_PUT_OFF, look->now, run->due);
	else
		wait_until_over(look, run);
	return true;
}

/* ---- looks ------------------------------------------------------------------------------ */

/* The order in which a cap lets through: see resolve/ruling.c. */
static int
compare_turns(const void *a, const void *b)
{
	const ForecastRun *x = *(ForecastRun *const *) a;
	const ForecastRun *y = *(ForecastRun *const *) b;

	if (x->policy->priority != y->policy->priority)
		return x->policy->priority > y->policy->priority ? -1 : 1;
	if (x->has_begun != y->has_begun)
		return x->has_begun ? -1 : 1;
	if (x->first_due != y->first_due)
		return x->first_due < y->first_due ? -1 : 1;
	return memcmp(x->id, y->id, ID_SIZE);
}

static int
compare_claims(const void *a, const void *b)
{
	const ForecastRun *x = *(ForecastRun *const *) a;
	const ForecastRun *y = *(ForecastRun *const *) b;

	if (x->is_first != y->is_first)
		return x->is_first ? 1 : -1;
	return compare_due(x, y);
}

/* Those that are pending come first, and then those that are deferred; how many of each. */
static int
part(ForecastRun **batch, int n, int *ndeferred)
{
	int npending = 0;
	int kept;

	for (int i = 0; i < n; i++)
		if (batch[i]->is_pending)
		{
			ForecastRun *run = batch[i];

			batch[i] = batch[npending];
			batch[npending++] = run;
		}
	kept = npending;
	for (int i = npending; i < n; i++)
		if (batch[i]->is_deferred)
			batch[kept++] = batch[i];
	*ndeferred = kept - npending;
	return npending;
}

/* It waits, unless what was given back has made room. */
static void
wait_for_room(Look *look, ForecastRun *run, bool some_given_back)
{
	int64_t until = run->deferred_until;

	if (some_given_back && decide(run, look->now).verdict == DECIDE_SEND)
		until = look->now + COME_BACK;
	move(look, run, OUTCOME_DEFERRED, look->now, until);
}

static void
look_at(Look *look, ForecastRun **batch, int n)
{
	const ForecastEngine *e = look->engine;
	bool some_given_back = false;
	int ndeferred;

	e->look(e->arg, look->now);
	if (n > 1)
		qsort(batch, (size_t) n, sizeof(*batch), compare_turns);
	for (int i = 0; i < n; i++)
	{
		if (batch[i]->passes)
			pass(look, batch[i]);
		else
			ask_policy(look, batch[i]);
	}
	n = part(batch, n, &ndeferred);
	for (int i = 0; i < n; i++)
		batch[i]->is_first = e->is_first_touch(e->arg, batch[i]);
	if (n > 1)
		qsort(batch, (size_t) n, sizeof(*batch), compare_claims);
	for (int i = 0; i < n; i++)
		ask_sender(look, batch[i]);
	for (int i = 0; i < n; i++)
		some_given_back = settle(look, batch[i]) || some_given_back;
	for (int i = n; i < n + ndeferred; i++)
		wait_for_room(look, batch[i], some_given_back);
}

/* Runs lie all over the memory: what is needed of one is on its way when its turn comes. */
static void
bring(const ForecastRun *run)
{
#ifdef __GNUC__
	for (size_t i = 0; i < sizeof(*run); i += CACHE_LINE)
		__builtin_prefetch((const char *) run + i, 1);
#endif
}

/*
 * Lets time pass until "until": every message that starts is told of. events name the
 * runs, in any order, and are used from here on; batch has room for the engine's batch_size.
 */
void
forecast_run(const ForecastEngine *engine, ForecastEvent *events, size_t n, ForecastRun **batch)
{
	Look look = {.engine = engine, .heap = {.events = events, .n = n}, .now = engine->now};
	Heap *heap = &look.heap;

	make_heap(heap);
	while (heap->n > 0 && events[0].due <= engine->until)
	{
		int nbatch = 0;

		if (events[0].due > look.now)
			look.now = events[0].due;
		while (nbatch < engine->batch_size && heap->n > 0 && events[0].due <= look.now)
		{
			batch[nbatch] = pop(heap);
			bring(batch[nbatch++]);
		}
		look_at(&look, batch, nbatch);
	}
}

/* ---- zones ------------------------------------------------------------------------------ */

/* The first instant, to the second, at which it is no longer what it was before. */
static int64_t
find_change(const Calendar *c, int64_t before, int64_t after)
{
	int32_t offset = c->utc_offset(c->zone, before);

	while (after - before > CALENDAR_SECOND)
	{
		int64_t middle = before + (after - before) / 2 / CALENDAR_SECOND * CALENDAR_SECOND;

		if (c->utc_offset(c->zone, middle) == offset)
			before = middle;
		else
			after = middle;
	}
	return after;
}

/* Asks a zone once for all of a span; where it changes more often than that, the rest is asked. */
void
forecast_zone(ForecastZone *z, const Calendar *real, int64_t from, int64_t until)
{
	from -= from % CALENDAR_SECOND;
	*z = (ForecastZone){.real = *real, .from = from, .until = from, .n = 1};
	z->since[0] = from;
	z->offset[0] = real->utc_offset(real->zone, from);
	for (int64_t at = from; at < until; at += CALENDAR_DAY)
	{
		int64_t next = at + CALENDAR_DAY;

		if (real->utc_offset(real->zone, next) != z->offset[z->n - 1])
		{
			if (z->n == FORECAST_CHANGES)
				return;
			z->since[z->n] = find_change(real, at, next);
			z->offset[z->n] = real->utc_offset(real->zone, next);
			z->n++;
		}
		z->until = next;
	}
}

/* As a calendar's utc_offset. */
int32_t
forecast_offset(const void *zone, int64_t at)
{
	const ForecastZone *z = zone;
	int i = z->n - 1;

	if (at < z->from || at >= z->until)
		return z->real.utc_offset(z->real.zone, at);
	while (at < z->since[i])
		i--;
	return z->offset[i];
}
