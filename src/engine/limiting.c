/*
 * limiting.c
 *		What senders may do: whose states a claim's steps depend on.
 *
 * A claim gives its steps the times at which they start, in the claim's own
 * transaction, with the sender's state locked: no two executions are given the
 * same. What can not start within the lease is put off to when it can go, and is
 * no attempt.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "engine/limiting.h"
#include "engine/limiting_parts.h"
#include "provider/provider.h"
#include "resolve/conversation.h"

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

/* ---- each claim, and each second while steps wait -------------------------------------------- */

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
		limiting_get_more_permits(l, claim_id);
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
		limiting_start(l, step, claim_id, now);
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

	limiting_forget_permits(l, steps, n);
	for (int first_touch = 0; first_touch < 2; first_touch++)
		for (int i = 0; i < n; i++)
			if (is_pending(steps[i]) && steps[i]->is_first_touch == (first_touch == 1) &&
				!steps[i]->has_start)
				allow(l, steps[i], claim_id, now);
	cadence_sender_states_save(l->states);
	limiting_note_shut(l);
}
