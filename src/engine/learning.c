/*
 * learning.c
 *		What answers say about their senders.
 *
 * An answer is judged as soon as it is there, for what waits in this process.
 * Its record tells the sender's state what was learned, and gives back what was
 * not used: then all executions know.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#include "engine/limiting.h"

/* Longer each time, up to half an hour. */
#define OPEN_MOST_US (1800 * USECS_PER_SEC)

/* wait_us: what was said of it, which may lengthen it, and not shorten it. */
static void
open_breaker(CadenceSenderState *s, const CadenceConfiguration *c, const char *why, int64 wait_us,
			 TimestampTz now)
{
	int64 wait = Min(((int64) c->breaker_for * 1000) << Min(s->openings, 10), OPEN_MOST_US);

	cadence_sender_open_breaker(s, why, Max(wait, wait_us), now);
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
	if (step->answer.is_of_recipient)
		return ANSWER_WAS_BUSY;
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

/* What was taken back before anything left has got no answer. */
static bool
is_answered(const CadenceStep *step)
{
	return step->request.provider != NULL && step->answer.at != 0 &&
		   step->outcome != OUTCOME_UNSENT;
}

static void
opens(CadenceStep *step, const char *reason, int64 wait_us)
{
	CadenceProvider *p = step->request.provider;
	int64 wait = Max(wait_us, (int64) p->configuration->breaker_for * 1000);

	step->breaker = BREAKER_OPENS;
	step->breaker_reason = reason;
	step->breaker_wait_us = wait_us;
	p->tripped_until = GetCurrentTimestamp() + wait;
}

/* Whether a sender has to wait: what was said of one recipient alone may be about that. */
static bool
asks_for_less(const SenderHistory *history, const CadenceStep *step)
{
	return step->answer.class == CLASS_SLOW_DOWN ||
		   (step->answer.is_of_recipient && sender_history_is_suspect(history));
}

/* For how long, the first time. */
static int64
slow_wait(const CadenceStep *step)
{
	return step->answer.is_of_recipient && !step->answer.says_when
			   ? cadence_classes[CLASS_SLOW_DOWN].wait_s * USECS_PER_SEC
			   : step->answer.retry_after_us;
}

/* For as long as the provider has said; what the state makes of it comes with the record. */
static void
pauses(CadenceStep *step)
{
	CadenceProvider *p = step->request.provider;
	TimestampTz now = GetCurrentTimestamp();

	if (asks_for_less(&p->history, step))
		p->slow_tripped_until = Max(p->slow_tripped_until, now + slow_wait(step));
	if (step->answer.stops_first_touches)
		p->new_tripped_until = now + step->answer.retry_after_us;
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
	if (what_was(step) == ANSWER_WAS_FINE || what_was(step) == ANSWER_WAS_BUSY)
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
	pauses(step);
	why = charge(history, step);
	if (cadence_was_accepted(step))
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

	if (!says_something(step) || !is_news(s, step))
		return;
	if (remember(&s->history, step))
		s->changed = true;
	why = step->breaker == BREAKER_OPENS ? step->breaker_reason : charge(&s->history, step);
	if (step->breaker == BREAKER_CLOSES)
		(void) cadence_sender_close_breaker(s);
	else if (why != NULL)
		open_breaker(s, c, why, step->breaker_wait_us, now);
}

static TimestampTz
started_at(const CadenceStep *step)
{
	return step->answer.at - step->answer.elapsed_us;
}

/* Where the provider does not say how long: twice as long each time, up to ten minutes. */
#define SLOW_MOST_US (600 * USECS_PER_SEC)

static int64
grown_wait(const CadenceSenderState *s, const CadenceStep *step)
{
	int64 wait = slow_wait(step);

	return Max(wait, Min(wait << Min(s->slow_downs, 10), SLOW_MOST_US));
}

/*
 * The provider asks for less: of nobody for a while. What was under way when that
 * was heard is no news, unless it says so itself.
 */
static void
slow_down(CadenceSenderState *s, const CadenceStep *step, TimestampTz now)
{
	bool is_news = started_at(step) >= s->slow_until;
	TimestampTz until = now + (step->answer.says_when ? slow_wait(step) : grown_wait(s, step));

	if ((is_news || step->answer.says_when) && until > s->slow_until)
	{
		s->slow_until = until;
		s->limits.next_at = Max(s->limits.next_at, until);
		s->changed = true;
	}
	if (is_news)
	{
		s->slow_downs++;
		s->changed = true;
	}
}

/* Something that was begun after the pause went through. */
static bool
has_sped_up(const CadenceSenderState *s, const CadenceStep *step)
{
	return s->slow_downs > 0 && cadence_was_accepted(step) && started_at(step) >= s->slow_until;
}

/* Longer each time, up to a week. */
#define NEW_STOP_MOST_US (7 * USECS_PER_DAY)

/*
 * People whom the sender has not written to before can not be written to now.
 * What was under way when that was heard is no news.
 */
static void
stop_first_touches(CadenceSenderState *s, const CadenceStep *step, TimestampTz now)
{
	if (s->new_until <= now)
	{
		s->new_until =
			now + Min(step->answer.retry_after_us << Min(s->new_stops, 10), NEW_STOP_MOST_US);
		if (s->new_since == 0)
			s->new_since = now;
		s->new_stops++;
		cadence_sender_state_keep(s, &s->new_reason, step->reason.text);
		s->changed = true;
	}
}

/* One of them has got a message that was begun after the stop. */
static bool
has_resumed(const CadenceSenderState *s, const CadenceStep *step)
{
	return s->new_since != 0 && step->is_first_touch && cadence_was_accepted(step) &&
		   started_at(step) >= s->new_until;
}

static void
resume_first_touches(CadenceSenderState *s)
{
	s->new_since = s->new_until = 0;
	s->new_stops = 0;
	cadence_sender_state_keep(s, &s->new_reason, NULL);
	s->changed = true;
}

static bool
teaches(Limiting *l, const CadenceStep *step)
{
	const CadenceSenderState *s;

	if (step->has_taught)
		return false;
	if (!is_answered(step))
		return step->has_start && step->outcome == OUTCOME_UNSENT;
	s = cadence_sender_of(l->states, step->request.provider);
	return step->breaker == BREAKER_OPENS || step->answer.class == CLASS_SLOW_DOWN ||
		   has_sped_up(cadence_limits_of(l->states, step->request.provider), step) ||
		   step->answer.stops_first_touches || has_resumed(s, step) ||
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
	CadenceSenderState *s = cadence_limits_of(l->states, step->request.provider);
	LimitRules rules;
	CadenceSenderState *domain = limiting_domain(l, step, &rules);

	limits_give_back(&step->request.configuration->limits, &s->limits, step->request.start_at,
					 step->is_first_touch);
	s->changed = true;
	if (domain == NULL)
		return;
	limits_give_back(&rules, &domain->limits, step->request.start_at, step->is_first_touch);
	domain->changed = true;
}

static void
learn_from(Limiting *l, const CadenceStep *step, TimestampTz now)
{
	CadenceSenderState *s = cadence_sender_of(l->states, step->request.provider);
	CadenceSenderState *limits = cadence_limits_of(l->states, step->request.provider);

	if (!is_answered(step))
	{
		give_back(l, step);
		return;
	}
	learn(s, step, now);
	if (asks_for_less(&s->history, step))
		slow_down(limits, step, now);
	else if (has_sped_up(limits, step))
	{
		limits->slow_downs = 0;
		limits->changed = true;
	}
	if (step->answer.stops_first_touches)
		stop_first_touches(s, step, now);
	else if (has_resumed(s, step))
		resume_first_touches(s);
}

/*
 * What is in the states now need not be remembered by this process, so that it
 * hears of a resumption. Others' first touches wait for as long as theirs.
 */
static void
note_learned(Limiting *l, CadenceStep *step)
{
	CadenceProvider *p = step->request.provider;
	const CadenceSenderState *s = cadence_sender_of(l->states, p);

	if (!is_answered(step))
		return;
	p->tripped_until = 0;
	if (asks_for_less(&s->history, step))
	{
		p->slow_tripped_until = 0;
		step->answer.retry_after_us =
			Max(step->answer.retry_after_us,
				cadence_limits_of(l->states, p)->slow_until - step->answer.at);
	}
	if (!step->answer.stops_first_touches)
		return;
	p->new_tripped_until = 0;
	step->answer.retry_after_us = Max(s->new_until - step->answer.at, USECS_PER_SEC);
}

/* Whether steps that have ended say anything that limiting_learn() has a use for. */
bool
limiting_can_learn(Limiting *l, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (steps[i]->request.provider != NULL && teaches(l, steps[i]))
			return true;
	return false;
}

/*
 * Takes what answers say about their senders into their states, and gives back
 * the times of steps that have not started; in the record's transaction, inside
 * an SPI connection. What is said of a sender whose state somebody else keeps
 * locked is lost to the others; this process knows it.
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
			wanted = limiting_states(l, steps[i], wanted);
		}
	cadence_sender_states_lock(l->states, wanted, limiting_is_patient(l));
	qsort(some, nsome, sizeof(*some), by_start);
	for (int i = 0; i < nsome; i++)
		if (limiting_has_locked(l, some[i]))
			learn_from(l, some[i], now);
	cadence_sender_states_save(l->states);
	for (int i = 0; i < nsome; i++)
		if (limiting_has_locked(l, some[i]))
			note_learned(l, some[i]);
	limiting_note_shut(l);
	pfree(some);
}
