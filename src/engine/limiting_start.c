/*
 * limiting_start.c
 *		Whether a claimed step may start, and when: what its sender is shut for, and what
 *		limits, gaps and windows leave.
 *
 * A mail may have to wait for its domain as well. Where that is full, and the
 * sender has a pace or windows of its own, the mail is put off rather than given
 * a later start: starts of one sender are given out in order, and the mails to
 * others must not stand behind it.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/timestamp.h"

#include "engine/conversing.h"
#include "engine/limiting_parts.h"
#include "engine/sender.h"

/* What waits for a sender that was paused by hand asks again after so long. */
#define PAUSED_RETRY_US (300 * USECS_PER_SEC)

/* While a probe is under way nobody else sends one. */
#define PROBE_MARGIN_US (10 * USECS_PER_SEC)

/* And what finds its sender's state locked by somebody else. */
#define LOCKED_RETRY_US USECS_PER_SEC

/* ---- a sender that is shut ------------------------------------------------------------------ */

/* Not now, and no attempt. All that go at one time are due at that very time, in their order. */
static void
put_off(CadenceStep *step, const char *code, char *why, TimestampTz now, int64 wait_us)
{
	step->put_off_at = now;
	step->outcome = OUTCOME_PUT_OFF;
	step->reason.code = code;
	step->reason.text = why;
	step->answer.retry_after_us = Max(wait_us, USECS_PER_SEC);
}

/*
 * Puts a step off to the end of the sender's round, when all come back that
 * wait for it: each is put off once in a round, so that they can be counted.
 */
static void
wait_for_round(CadenceStep *step, CadenceSenderState *s, const char *code, char *why,
			   TimestampTz until, TimestampTz now)
{
	if (s->round_until <= now || s->round_until > until)
	{
		s->waited = s->waiting;
		s->waiting = 0;
		s->round_until = until;
	}
	s->waiting++;
	s->changed = true;
	put_off(step, code, why, now, s->round_until - now);
}

static void
wait_for_resumption(CadenceStep *step, CadenceSenderState *s, TimestampTz now)
{
	const char *why = s->pause_reason != NULL ? s->pause_reason : "";
	TimestampTz until = now + PAUSED_RETRY_US;

	if (s->open_since != 0)
		until = Max(until, s->open_until);
	wait_for_round(step, s, "PROVEDOR_PAUSADO",
				   psprintf("server \"%s\" is paused%s%s", step->request.configuration->name,
							*why != '\0' ? ": " : "", why),
				   until, now);
}

/* Whether a sender is shut; after a while one message is let through, to see. */
static bool
is_shut(Limiting *l, CadenceStep *step, TimestampTz now)
{
	const CadenceConfiguration *c = step->request.configuration;
	CadenceSenderState *s = cadence_sender_of(l->states, step->request.provider);

	if (s->paused_at != 0)
	{
		wait_for_resumption(step, s, now);
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
	wait_for_round(step, s, "PROVEDOR_PARADO",
				   psprintf("server \"%s\" does not send: %s", c->name,
							s->open_reason != NULL ? s->open_reason : ""),
				   s->open_until, now);
	return true;
}

/* ---- when ----------------------------------------------------------------------------------- */

/* How late the sender may find it then. */
#define LATE_MS 1000

TimestampTz
limiting_latest_start(const CadenceConfiguration *c, TimestampTz lease_end, TimestampTz leave_by)
{
	int64 needed_ms = (int64) c->timeout + SENDER_LEASE_MARGIN_MS + LATE_MS;
	TimestampTz latest = lease_end - needed_ms * 1000;

	return leave_by != 0 ? Min(latest, leave_by - 1) : latest;
}

/* Whose limits a step has to keep to. */
typedef struct Turn
{
	CadenceSenderState *sender;
	CadenceSenderState *domain; /* NULL: it has no limit */
	LimitTurn turn;
} Turn;

static char *
why_not_now(const Turn *t, const CadenceStep *step, const CadenceSenderState *s, TimestampTz now)
{
	const CadenceConfiguration *c = step->request.configuration;

	if (t->turn.from > now)
		return psprintf("server \"%s\" writes to nobody first for a while: %s", c->name,
						s->new_reason != NULL ? s->new_reason : "");
	if (t->turn.domain_is_full)
		return psprintf("server \"%s\" is at its limit for %s", c->name,
						cadence_configuration_domain_limit(c, step->recipient)->domain);
	return psprintf("server \"%s\" is at its limit", c->name);
}

static Turn
begin_turn(Limiting *l, const CadenceStep *step, TimestampTz now)
{
	CadenceProvider *p = step->request.provider;
	const CadenceSenderState *s = cadence_sender_of(l->states, p);
	Turn t = {.sender = cadence_limits_of(l->states, p),
			  .turn = {.is_new = step->is_first_touch,
					   .from = step->is_first_touch ? Max(now, s->new_until) : now}};

	t.turn.rules = cadence_limit_rules(p->configuration, t.sender, now);
	t.domain = limiting_domain(l, step, &t.turn.domain_rules);
	return t;
}

/*
 * Whether a step with a provider would have to wait for its sender's limits, if it were
 * claimed now, by the states as they were last read. Nothing is taken.
 */
bool
limiting_waits(Limiting *l, const CadenceStep *step, TimestampTz now, LimitingWait *wait)
{
	const CadenceSenderState *s = cadence_sender_of(l->states, step->request.provider);
	Turn t = begin_turn(l, step, now);

	*wait = (LimitingWait){.until = limits_next_turn(&t.turn, &t.sender->limits,
													 t.domain != NULL ? &t.domain->limits : NULL)};
	if (wait->until <= now)
		return false;
	wait->is_first = t.turn.from > now;
	if (wait->is_first)
		wait->since = s->new_since;
	else if (t.turn.domain_is_full)
		wait->domain =
			cadence_configuration_domain_limit(step->request.configuration, step->recipient)
				->domain;
	return true;
}

/* Gives a step the time at which it starts, or puts it off to when it can go. */
static void
give_start(Limiting *l, CadenceStep *step, TimestampTz now)
{
	TimestampTz latest =
		limiting_latest_start(step->request.configuration, step->lease_end, step->leave_by);
	const CadenceSenderState *s = cadence_sender_of(l->states, step->request.provider);
	Turn t = begin_turn(l, step, now);
	LimitUse *domain = t.domain != NULL ? &t.domain->limits : NULL;
	TimestampTz at;

	t.turn.chance = pg_prng_double(&pg_global_prng_state);
	at = limits_next_turn(&t.turn, &t.sender->limits, domain);
	if (at <= latest && !(t.turn.domain_is_full && limits_are_set(&t.turn.rules)))
	{
		limits_take_turn(&t.turn, &t.sender->limits, domain, at);
		step->request.start_at = at;
		step->has_start = t.sender->changed = true;
		if (t.domain != NULL)
			t.domain->changed = true;
		if (t.sender->first_used == 0)
			t.sender->first_used = now;
		return;
	}
	/* what is put off keeps its order: each to its own time, as far as can be foreseen */
	at = limits_next_turn(&t.turn, cadence_sender_plan(t.sender), cadence_sender_plan(t.domain));
	limits_take_turn(&t.turn, cadence_sender_plan(t.sender), cadence_sender_plan(t.domain), at);
	put_off(step, "LIMITE", why_not_now(&t, step, s, now), now, at - now);
}

/* Gives a step its start, or puts it off; in the claim's transaction. */
void
limiting_start(Limiting *l, CadenceStep *step, const pg_uuid_t *claim_id, TimestampTz now)
{
	CadenceProvider *p = step->request.provider;
	ConversingWait wait;

	if (!limiting_has_locked(l, step))
	{
		put_off(
			step, "LIMITE",
			psprintf("somebody else has locked the state of server \"%s\"", p->configuration->name),
			now, LOCKED_RETRY_US);
		return;
	}
	if (is_shut(l, step, now))
		return;
	if (conversing_waits(step, now, &wait))
	{
		put_off(step, wait.code, wait.why, now, wait.us);
		return;
	}
	limiting_get_permits(l, p, claim_id);
	give_start(l, step, now);
}
