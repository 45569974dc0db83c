/*
 * limiting.c
 *		What senders may do: which claimed steps may start, and when.
 *
 * A claim gives its steps the times at which they start, in the claim's own
 * transaction, with the sender's state locked: no two executions are given the
 * same. What can not start within the lease is put off to when it can go, and is
 * no attempt.
 *
 * A mail may have to wait for its domain as well. Where that is full, and the
 * sender has a pace or windows of its own, the mail is put off rather than given
 * a later start: starts of one sender are given out in order, and the mails to
 * others must not stand behind it.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "engine/conversing.h"
#include "engine/limiting.h"
#include "engine/sender.h"
#include "provider/provider.h"

/* What waits for a sender that was paused by hand asks again after so long. */
#define PAUSED_RETRY_US (300 * USECS_PER_SEC)

/* While a probe is under way nobody else sends one. */
#define PROBE_MARGIN_US (10 * USECS_PER_SEC)

/* In the current memory context. */
void
limiting_prepare(Limiting *l, const CadenceTables *tables, const CadenceProviders *providers)
{
	l->states = cadence_sender_states_create(tables);
	l->providers = providers;
}

/*
 * Whoever owns a server, or may pause it, can lock its state and keep it. That is
 * waited for once, as an execution's lock would be. Then its steps are put off for
 * a while whenever it is locked, and the others' go.
 */
#define IMPATIENT_US (60 * USECS_PER_SEC)
#define LOCKED_RETRY_US USECS_PER_SEC

bool
limiting_is_patient(const Limiting *l)
{
	return l->impatient_until <= GetCurrentTimestamp();
}

/* A lock was in the way. */
void
limiting_note_conflict(Limiting *l)
{
	l->impatient_until = GetCurrentTimestamp() + IMPATIENT_US;
}

/* ---- which states ------------------------------------------------------------------------- */

/* What a server's mails to a domain have to keep to, and their state; NULL: nothing. */
static CadenceSenderState *
domain_state(Limiting *l, const CadenceConfiguration *c, const char *recipient, LimitRules *rules)
{
	const CadenceDomainLimit *limit = cadence_configuration_domain_limit(c, recipient);

	if (limit == NULL)
		return NULL;
	memset(rules, 0, sizeof(*rules));
	rules->most[WINDOW_MINUTE] = limit->per_minute;
	return cadence_sender_state(l->states, cadence_domain_limit_key(c, limit->domain));
}

CadenceSenderState *
limiting_domain(Limiting *l, const CadenceStep *step, LimitRules *rules)
{
	return domain_state(l, step->request.configuration, step->recipient, rules);
}

static List *
add_states(Limiting *l, CadenceProvider *p, const char *recipient, List *wanted)
{
	LimitRules rules;
	CadenceSenderState *domain = domain_state(l, p->configuration, recipient, &rules);

	wanted = list_append_unique_ptr(wanted, cadence_sender_of(l->states, p));
	wanted = list_append_unique_ptr(wanted, cadence_limits_of(l->states, p));
	return domain != NULL ? list_append_unique_ptr(wanted, domain) : wanted;
}

/* All that a step's start or end may change. */
List *
limiting_states(Limiting *l, const CadenceStep *step, List *wanted)
{
	return add_states(l, step->request.provider, step->recipient, wanted);
}

static bool
has_limits(const CadenceConfiguration *c)
{
	return limits_are_set(&c->limits) || c->warm_up_us > 0 || c->max_in_flight_is_own ||
		   c->min_gap_us > 0 || c->quiet_until_reply;
}

/* Whether anything may stand between a sender and its messages. */
static bool
may_be_limited(Limiting *l, CadenceProvider *p, TimestampTz now)
{
	const CadenceSenderState *s = cadence_sender_of(l->states, p);

	return has_limits(p->configuration) || p->configuration->ndomains > 0 ||
		   cadence_limits_of(l->states, p)->limits.next_at > now || s->paused_at != 0 ||
		   s->open_since != 0 || s->new_until > now;
}

static bool
is_pending(const CadenceStep *step)
{
	return step->outcome == OUTCOME_PENDING && step->request.provider != NULL;
}

/* The states that are to be locked: of senders that are limited and may have something to do. */
static List *
states_to_lock(Limiting *l, CadenceStep **steps, int n, TimestampTz now)
{
	List *wanted = NIL;
	const CadencePool *last = NULL;

	for (int i = 0; i < n; i++)
	{
		const CadencePool *pool = steps[i]->pool;
		ListCell *cell;

		if (steps[i]->outcome != OUTCOME_PENDING || (pool == last && !pool->has_domains))
			continue;
		last = pool;
		foreach (cell, pool->members)
			if (may_be_limited(l, lfirst(cell), now))
				wanted = add_states(l, lfirst(cell), steps[i]->recipient, wanted);
	}
	return wanted;
}

/* Whether a step's states are this transaction's to change. */
bool
limiting_has_locked(Limiting *l, const CadenceStep *step)
{
	ListCell *cell;

	foreach (cell, limiting_states(l, step, NIL))
		if (!((CadenceSenderState *) lfirst(cell))->is_locked)
			return false;
	return true;
}

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

/* ---- how many at once ----------------------------------------------------------------------- */

/*
 * How many messages of a sender may be under way in this worker, over all
 * executions. None: its steps wait until another has ended.
 */
static void
get_permits(Limiting *l, CadenceProvider *p, const pg_uuid_t *claim_id, int wanted)
{
	const CadenceConfiguration *c = p->configuration;
	CadenceSenderState *s = cadence_limits_of(l->states, p);

	if (!c->max_in_flight_is_own || s->permits_are_new)
		return;
	s->permits = cadence_sender_permits(l->states, s->key, claim_id, Min(wanted, c->max_in_flight),
										c->max_in_flight);
	s->permits_are_new = true;
	s->permits_of = *claim_id;
}

/* A part for each worker: what others do not use is to be had later. */
static int
fair_share(const Limiting *l, const CadenceProvider *p)
{
	return Max((int) (p->configuration->max_in_flight * l->share), 1);
}

static bool
wants_permits(Limiting *l, CadenceProvider *p)
{
	const CadenceSenderState *s = cadence_limits_of(l->states, p);

	return p->configuration->max_in_flight_is_own && p->nwaiting > 0 &&
		   s->permits < p->configuration->max_in_flight &&
		   cadence_sender_in_flight(p) >= s->permits;
}

/* Steps that wait since others had the permits, or that could use more of them. */
static void
get_more_permits(Limiting *l, const pg_uuid_t *claim_id)
{
	List *wanted = NIL;
	ListCell *cell;

	foreach (cell, cadence_providers_list(l->providers))
		if (wants_permits(l, lfirst(cell)))
			wanted = list_append_unique_ptr(wanted, cadence_limits_of(l->states, lfirst(cell)));
	cadence_sender_states_lock(l->states, wanted, limiting_is_patient(l));
	foreach (cell, cadence_providers_list(l->providers))
	{
		CadenceProvider *p = lfirst(cell);

		if (!wants_permits(l, p) || !cadence_limits_of(l->states, p)->is_locked)
			continue;
		cadence_limits_of(l->states, p)->permits_are_new = false;
		get_permits(l, p, claim_id, Max((int) (cadence_max_in_flight * l->share), 1));
	}
}

/*
 * Of senders that have nothing to do here: another worker's steps may wait for
 * them. In a transaction, inside an SPI connection.
 */
void
limiting_let_go(Limiting *l)
{
	pg_uuid_t claim_id;
	const List *providers = cadence_providers_list(l->providers);
	ListCell *cell;

	foreach (cell, providers)
	{
		CadenceProvider *p = lfirst(cell);
		CadenceSenderState *s = cadence_limits_of(l->states, p);

		if (s->permits == 0 || !cadence_sender_is_idle(providers, p))
			continue;
		claim_id = s->permits_of;
		s->permits_are_new = false;
		get_permits(l, p, &claim_id, 0);
	}
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
give_start(Limiting *l, CadenceStep *step, TimestampTz now, TimestampTz latest)
{
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

static void
limit_step(Limiting *l, CadenceStep *step, const pg_uuid_t *claim_id, TimestampTz now,
		   TimestampTz latest)
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
	get_permits(l, p, claim_id, fair_share(l, p));
	give_start(l, step, now, latest);
}

/* ---- each claim, and each second while steps wait -------------------------------------------- */

static void
forget_permits(Limiting *l, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (steps[i]->request.provider != NULL)
			cadence_limits_of(l->states, steps[i]->request.provider)->permits_are_new = false;
}

/* Takes over which senders are shut, or nearly so: what waits in this process must not start. */
void
limiting_note_shut(Limiting *l)
{
	ListCell *cell;

	foreach (cell, cadence_providers_list(l->providers))
	{
		CadenceProvider *p = lfirst(cell);
		const CadenceSenderState *s = cadence_sender_of(l->states, p);

		p->shut_until = s->paused_at != 0 ? DT_NOEND : s->open_since != 0 ? s->open_until : 0;
		p->new_until = s->new_until;
		p->slow_until = cadence_limits_of(l->states, p)->slow_until;
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
	cadence_sender_states_read(l->states);
	if (claim_id != NULL)
		get_more_permits(l, claim_id);
	limiting_note_shut(l);
}

/* When a step may start, or that it has to wait; its person's conversation is its own then. */
static void
allow(Limiting *l, CadenceStep *step, const pg_uuid_t *claim_id, TimestampTz now)
{
	/* a step before it in this claim may have taken it */
	if (step->conversation != NULL && step->conversation->last.at != 0)
		step->is_first_touch = false;
	if (may_be_limited(l, step->request.provider, now))
		limit_step(
			l, step, claim_id, now,
			limiting_latest_start(step->request.configuration, step->lease_end, step->leave_by));
	if (is_pending(step))
		cadence_conversation_reserve(step, Max(step->request.start_at, now));
}

/*
 * Reads what all executions know of the senders, and locks those that are limited
 * and may serve a step, before one of them is chosen; in the claim's transaction,
 * inside an SPI connection.
 */
void
limiting_lock(Limiting *l, CadenceStep **steps, int n)
{
	cadence_sender_states_read(l->states);
	cadence_sender_states_lock(l->states, states_to_lock(l, steps, n, GetCurrentTimestamp()),
							   limiting_is_patient(l));
}

/*
 * Says of resolved steps when they start, or puts them off; in the same
 * transaction. Follow-ups go first: people who know us wait for them.
 */
void
limiting_apply(Limiting *l, CadenceStep **steps, int n, const pg_uuid_t *claim_id)
{
	TimestampTz now = GetCurrentTimestamp();

	forget_permits(l, steps, n);
	for (int first_touch = 0; first_touch < 2; first_touch++)
		for (int i = 0; i < n; i++)
			if (is_pending(steps[i]) && steps[i]->is_first_touch == (first_touch == 1) &&
				!steps[i]->has_start)
				allow(l, steps[i], claim_id, now);
	cadence_sender_states_save(l->states);
	limiting_note_shut(l);
}
