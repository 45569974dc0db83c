/*
 * limiting.c
 *		What senders may do: which claimed steps may start, and when; and what
 *		answers say about their sender.
 *
 * A claim gives its steps the times at which they start, in the claim's own
 * transaction, with the sender's state locked: no two executions are given the
 * same. What can not start within the lease is put off to when it can go, and is
 * no attempt. A record tells the state what was learned, and gives back what was
 * not used.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "engine/limiting.h"
#include "engine/sender.h"
#include "provider/provider.h"

/* What a sender that was paused by hand is asked after. */
#define PAUSED_RETRY_US (300 * USECS_PER_SEC)

/* While a probe is under way nobody else sends one. */
#define PROBE_MARGIN_US (10 * USECS_PER_SEC)

/* In the current memory context. */
void
limiting_prepare(Limiting *l, const CadenceTables *tables, const CadenceProviders *providers,
				 double share)
{
	l->states = cadence_sender_states_create(tables);
	l->providers = providers;
	l->share = share;
}

/* ---- before ------------------------------------------------------------------------------- */

/* Not now, and no attempt. */
static void
put_off(CadenceStep *step, const char *code, char *why, int64 wait_us)
{
	step->outcome = OUTCOME_PUT_OFF;
	step->reason.code = code;
	step->reason.text = why;
	step->answer.retry_after_us = Max(wait_us, USECS_PER_SEC);
}

static CadenceSenderState *
breaker_of(Limiting *l, const CadenceProvider *p)
{
	return cadence_sender_state(l->states, p->configuration->name);
}

/* A group's limits are its senders' together. */
static CadenceSenderState *
limits_of(Limiting *l, const CadenceProvider *p)
{
	const char *group = p->configuration->limit_group;

	return group != NULL ? cadence_sender_state(l->states, psprintf("limit_group %s", group))
						 : breaker_of(l, p);
}

static bool
is_limited(Limiting *l, const CadenceProvider *p, TimestampTz now)
{
	const CadenceSenderState *s = limits_of(l, p);

	return limits_are_set(&p->configuration->limits) || p->configuration->max_in_flight_is_own ||
		   s->limits.next_at > now || breaker_of(l, p)->open_since != 0;
}

static bool
is_pending(const CadenceStep *step)
{
	return step->outcome == OUTCOME_PENDING && step->request.provider != NULL;
}

/* The states that are to be locked: of senders that are limited and have something to do. */
static List *
states_to_lock(Limiting *l, CadenceStep **steps, int n, TimestampTz now)
{
	List *wanted = NIL;

	for (int i = 0; i < n; i++)
	{
		const CadenceProvider *p = steps[i]->request.provider;

		if (!is_pending(steps[i]) || !is_limited(l, p, now))
			continue;
		wanted = list_append_unique_ptr(wanted, limits_of(l, p));
		wanted = list_append_unique_ptr(wanted, breaker_of(l, p));
	}
	return wanted;
}

/* As long as a sender is used its day's limit grows. */
static LimitRules
rules_of(const CadenceConfiguration *c, const CadenceSenderState *s, TimestampTz now)
{
	LimitRules rules = c->limits;
	int warm = 0;

	if (c->warm_up_us > 0)
		warm = limits_warm_up(c->warm_up_from, c->warm_up_to, c->warm_up_us,
							  s->first_used != 0 ? now - s->first_used : 0);
	if (warm > 0 && (rules.most[WINDOW_DAY] == 0 || warm < rules.most[WINDOW_DAY]))
		rules.most[WINDOW_DAY] = warm;
	return rules;
}

/* Whether a sender is shut; after a while one message is let through, to see. */
static bool
is_shut(Limiting *l, CadenceStep *step, TimestampTz now)
{
	const CadenceConfiguration *c = step->request.configuration;
	CadenceSenderState *s = breaker_of(l, step->request.provider);
	const char *why = s->pause_reason != NULL ? s->pause_reason : "";

	if (s->paused_at != 0)
	{
		put_off(step, "PROVEDOR_PAUSADO",
				psprintf("server \"%s\" is paused%s%s", c->name, *why != '\0' ? ": " : "", why),
				PAUSED_RETRY_US);
		return true;
	}
	if (s->open_since == 0)
		return false;
	if (now >= s->open_until)
	{
		step->request.is_probe = true;
		s->open_until = now + (int64) c->timeout * 1000 + PROBE_MARGIN_US;
		s->changed = true;
		return false;
	}
	put_off(step, "PROVEDOR_PARADO",
			psprintf("server \"%s\" does not send: %s", c->name,
					 s->open_reason != NULL ? s->open_reason : ""),
			s->open_until - now);
	return true;
}

/*
 * How many messages of a sender may be under way in this worker, over all
 * executions. None: its steps wait until another has ended.
 */
static void
get_permits(Limiting *l, CadenceProvider *p, const pg_uuid_t *claim_id)
{
	const CadenceConfiguration *c = p->configuration;
	int wanted = Max((int) (c->max_in_flight * l->share), 1);

	if (c->max_in_flight_is_own && !p->permits_are_new)
		p->permits = cadence_sender_permits(l->states, limits_of(l, p)->key, claim_id, wanted,
											c->max_in_flight);
	p->permits_are_new = true;
}

/* How late the sender may find it then. */
#define LATE_MS 1000

static TimestampTz
latest_start(const CadenceStep *step)
{
	int64 needed_ms =
		(int64) step->request.configuration->timeout + SENDER_LEASE_MARGIN_MS + LATE_MS;

	return step->lease_end - needed_ms * 1000;
}

/* Gives a step the time at which it starts, or puts it off to when it can go. */
static void
give_start(Limiting *l, CadenceStep *step, TimestampTz now, TimestampTz latest)
{
	CadenceProvider *p = step->request.provider;
	CadenceSenderState *s = limits_of(l, p);
	LimitRules rules = rules_of(p->configuration, s, now);
	TimestampTz at = limits_next(&rules, &s->limits, now, step->is_first_touch);
	double chance = pg_prng_double(&pg_global_prng_state);

	if (at <= latest)
	{
		limits_take(&rules, &s->limits, at, step->is_first_touch, chance);
		step->request.start_at = at;
		step->has_start = s->changed = true;
		if (s->first_used == 0)
			s->first_used = now;
		return;
	}
	/* what is put off keeps its order: each to its own time, as far as can be foreseen */
	if (!p->has_plan)
		p->plan = s->limits;
	p->has_plan = true;
	at = limits_next(&rules, &p->plan, now, step->is_first_touch);
	limits_take(&rules, &p->plan, at, step->is_first_touch, chance);
	put_off(step, "LIMITE", psprintf("server \"%s\" is at its limit", p->configuration->name),
			at - now);
}

static void
limit_step(Limiting *l, CadenceStep *step, const pg_uuid_t *claim_id, TimestampTz now,
		   TimestampTz latest)
{
	if (is_shut(l, step, now))
		return;
	get_permits(l, step->request.provider, claim_id);
	give_start(l, step, now, latest);
}

static void
forget_plans(CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (steps[i]->request.provider != NULL)
			steps[i]->request.provider->has_plan = steps[i]->request.provider->permits_are_new =
				false;
}

/* Takes over which senders are shut, or nearly so: what waits in this process must not start. */
static void
note_shut(Limiting *l)
{
	ListCell *cell;

	foreach (cell, cadence_providers_list(l->providers))
	{
		CadenceProvider *p = lfirst(cell);
		const CadenceSenderState *s = breaker_of(l, p);

		p->shut_until = s->paused_at != 0 ? DT_NOEND : s->open_since != 0 ? s->open_until : 0;
		p->history = s->history;
	}
}

/*
 * Reads whether others have shut a sender, or let go of its permits; in a
 * transaction, inside an SPI connection.
 */
void
limiting_refresh(Limiting *l, const pg_uuid_t *claim_id)
{
	ListCell *cell;

	cadence_sender_states_read(l->states);
	foreach (cell, cadence_providers_list(l->providers))
	{
		CadenceProvider *p = lfirst(cell);

		if (p->nwaiting == 0 || p->permits > 0)
			continue;
		cadence_sender_states_lock(l->states, list_make1(limits_of(l, p)));
		p->permits_are_new = false;
		get_permits(l, p, claim_id);
	}
	note_shut(l);
}

/*
 * Says of resolved steps when they start, or puts them off; in the claim's
 * transaction, inside an SPI connection. Follow-ups go first: people who know us
 * wait for them.
 */
void
limiting_apply(Limiting *l, CadenceStep **steps, int n, const pg_uuid_t *claim_id)
{
	TimestampTz now = GetCurrentTimestamp();

	cadence_sender_states_read(l->states);
	cadence_sender_states_lock(l->states, states_to_lock(l, steps, n, now));
	forget_plans(steps, n);
	for (int first_touch = 0; first_touch < 2; first_touch++)
		for (int i = 0; i < n; i++)
			if (is_pending(steps[i]) && steps[i]->is_first_touch == (first_touch == 1) &&
				!steps[i]->has_start &&
				(is_limited(l, steps[i]->request.provider, now) ||
				 breaker_of(l, steps[i]->request.provider)->paused_at != 0))
				limit_step(l, steps[i], claim_id, now, latest_start(steps[i]));
	cadence_sender_states_save(l->states);
	note_shut(l);
}

/* ---- after -------------------------------------------------------------------------------- */

/* Longer each time, up to half an hour. */
#define OPEN_MOST_US (1800 * USECS_PER_SEC)

static void
open_breaker(CadenceSenderState *s, const CadenceConfiguration *c, const char *why, int64 wait_us,
			 TimestampTz now)
{
	int64 wait = wait_us;

	if (wait <= 0)
		wait = Min(((int64) c->breaker_for * 1000) << Min(s->openings, 10), OPEN_MOST_US);
	if (s->open_since == 0)
		s->open_since = now;
	s->open_until = now + wait;
	s->opened_at = now;
	s->openings++;
	s->open_reason = MemoryContextStrdup(GetMemoryChunkContext(s->key), why != NULL ? why : "");
	s->changed = true;
}

static void
close_breaker(CadenceSenderState *s)
{
	if (s->open_since == 0)
		return;
	s->open_since = s->open_until = 0;
	s->openings = 0;
	s->open_reason = NULL;
	s->history.n = 0;
	s->changed = true;
}

/* What was under way when the breaker opened is no news. */
static bool
is_news(const CadenceSenderState *s, const CadenceStep *step)
{
	return step->answer.at - step->answer.elapsed_us > Max(s->opened_at, s->open_since);
}

static uint32
hash_of(const char *text)
{
	return text != NULL ? hash_bytes((const unsigned char *) text, strlen(text)) : 0;
}

/* What an answer says about its sender. */
static uint32
what_was(const CadenceStep *step)
{
	if (step->answer.is_unknown)
		return sender_history_refusal(hash_of(step->reason.text));
	return step->outcome == OUTCOME_FAILED || step->outcome == OUTCOME_UNCERTAIN
			   ? ANSWER_WAS_FAILURE
			   : ANSWER_WAS_FINE;
}

static bool
remember(SenderHistory *history, const CadenceStep *step)
{
	uint32 lead = hash_combine(hash_of(step->lead_id), hash_of(step->empresa));

	return sender_history_add(history, lead, what_was(step));
}

static bool
is_answered(const CadenceStep *step)
{
	return step->request.provider != NULL && step->answer.at != 0 && !step->interrupted;
}

static void
opens(CadenceStep *step, const char *reason, int64 wait_us)
{
	CadenceProvider *p = step->request.provider;
	int64 wait = wait_us > 0 ? wait_us : (int64) p->configuration->breaker_for * 1000;

	step->breaker = BREAKER_OPENS;
	step->breaker_reason = reason;
	step->breaker_wait_us = wait_us;
	p->tripped_until = GetCurrentTimestamp() + wait;
}

/* In the memory of the step's batch, where its reason is, too. */
static char *
suspicion(const CadenceStep *step)
{
	MemoryContext old = MemoryContextSwitchTo(step->batch->context);
	char *text = psprintf("the same refusal for several leads: %s", step->reason.text);

	MemoryContextSwitchTo(old);
	return text;
}

/* What its latest answers have against a sender; NULL: nothing. */
static const char *
charge(const SenderHistory *history, const CadenceStep *step)
{
	if (what_was(step) == ANSWER_WAS_FINE)
		return NULL;
	if (sender_history_is_suspect(history))
		return suspicion(step);
	if (sender_history_has_failed(history, step->request.configuration->breaker_after) ||
		step->request.is_probe)
		return step->reason.text;
	return NULL;
}

/* An answer that was broken off is nobody's fault. */
static bool
says_something(const CadenceStep *step)
{
	return is_answered(step) && !step->answer.broken_off;
}

/*
 * Judges an answer as soon as it is there: what waits in this process must not
 * go after what has just failed. All executions hear of it with its record.
 */
void
limiting_judge(CadenceStep *step)
{
	SenderHistory *history;
	const char *why;

	if (!says_something(step))
		return;
	history = &step->request.provider->history;
	(void) remember(history, step);
	why = charge(history, step);
	if (step->outcome == OUTCOME_SENT)
		step->breaker = BREAKER_CLOSES;
	else if (step->answer.class == CLASS_STOPPED)
		opens(step, step->reason.text, step->answer.wait_is_own ? step->answer.retry_after_us : 0);
	else if (why != NULL)
		opens(step, why, 0);
}

/*
 * A message that went through closes the breaker; others may open it, also where
 * only all executions together have seen enough.
 */
static void
learn(CadenceSenderState *s, const CadenceStep *step, TimestampTz now)
{
	const CadenceConfiguration *c = step->request.configuration;
	const char *why;

	step->request.provider->tripped_until = 0;
	if (!says_something(step) || !is_news(s, step))
		return;
	if (remember(&s->history, step))
		s->changed = true;
	why = step->breaker == BREAKER_OPENS ? step->breaker_reason : charge(&s->history, step);
	if (step->breaker == BREAKER_CLOSES)
		close_breaker(s);
	else if (why != NULL)
		open_breaker(s, c, why, step->breaker_wait_us, now);
}

/* The provider asks for less: of nobody for a while. */
static void
slow_down(CadenceSenderState *s, const CadenceStep *step, TimestampTz now)
{
	TimestampTz until = now + step->answer.retry_after_us;

	if (until <= s->limits.next_at)
		return;
	s->limits.next_at = until;
	s->changed = true;
}

static bool
teaches(Limiting *l, const CadenceStep *step)
{
	CadenceProvider *p = step->request.provider;
	CadenceSenderState *s;

	if (!is_answered(step))
		return step->has_start && step->outcome == OUTCOME_UNSENT;
	s = breaker_of(l, p);
	return step->breaker == BREAKER_OPENS || step->answer.class == CLASS_SLOW_DOWN ||
		   what_was(step) != ANSWER_WAS_FINE || s->open_since != 0 || s->history.n > 0;
}

static int
by_start(const void *a, const void *b)
{
	TimestampTz first = (*(CadenceStep *const *) a)->request.start_at;
	TimestampTz second = (*(CadenceStep *const *) b)->request.start_at;

	return first < second ? 1 : first > second ? -1 : 0;
}

/* Of a step that has not started: another may have its time. */
static void
give_back(Limiting *l, const CadenceStep *step)
{
	CadenceSenderState *s = limits_of(l, step->request.provider);

	limits_give_back(&step->request.configuration->limits, &s->limits, step->request.start_at,
					 step->is_first_touch);
	s->changed = true;
}

/*
 * Takes what answers say about their senders into their states, and gives back
 * the times of steps that have not started; in the record's transaction, inside
 * an SPI connection.
 */
void
limiting_learn(Limiting *l, CadenceStep **steps, int n)
{
	TimestampTz now = GetCurrentTimestamp();
	CadenceStep **some = palloc(sizeof(*some) * Max(n, 1));
	List *wanted = NIL;
	int nsome = 0;

	for (int i = 0; i < n; i++)
		if (steps[i]->request.provider != NULL && teaches(l, steps[i]))
		{
			some[nsome++] = steps[i];
			wanted = list_append_unique_ptr(wanted, breaker_of(l, steps[i]->request.provider));
			wanted = list_append_unique_ptr(wanted, limits_of(l, steps[i]->request.provider));
		}
	cadence_sender_states_lock(l->states, wanted);
	qsort(some, nsome, sizeof(*some), by_start);
	for (int i = 0; i < nsome; i++)
	{
		if (!is_answered(some[i]))
			give_back(l, some[i]);
		else
			learn(breaker_of(l, some[i]->request.provider), some[i], now);
		if (some[i]->answer.class == CLASS_SLOW_DOWN)
			slow_down(limits_of(l, some[i]->request.provider), some[i], now);
	}
	cadence_sender_states_save(l->states);
	note_shut(l);
	pfree(some);
}
