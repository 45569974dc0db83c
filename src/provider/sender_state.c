/*
 * sender_state.c
 *		What this process knows of senders, by key: their limits, and whether one is shut.
 *
 * A row each (sender_rows.c); what is changed here is saved only where that is locked.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "provider/sender_state_parts.h"

/* A state that nothing is known of is one of a sender that was never used. */
CadenceSenderState *
cadence_sender_state(CadenceSenderStates *states, const char *key)
{
	MemoryContext old;
	CadenceSenderState *state;
	ListCell *cell;

	foreach (cell, states->list)
		if (strcmp(((CadenceSenderState *) lfirst(cell))->key, key) == 0)
			return lfirst(cell);
	old = MemoryContextSwitchTo(states->context);
	state = palloc0(sizeof(*state));
	state->key = pstrdup(key);
	states->list = lappend(states->list, state);
	MemoryContextSwitchTo(old);
	return state;
}

/* The key of the state that the servers of a group share. */
char *
cadence_limit_group_key(const char *group)
{
	return psprintf("limit_group %s", group);
}

/* The key of the state of a server's mails to a domain. */
char *
cadence_domain_limit_key(const CadenceConfiguration *c, const char *domain)
{
	return psprintf("domain %s of %s", domain, c->name);
}

/* By name once: many senders have many names. */
static void
find_states(CadenceSenderStates *states, CadenceProvider *p)
{
	const CadenceConfiguration *c = p->configuration;

	if (p->sender_state != NULL)
		return;
	p->sender_state = p->limits_state = cadence_sender_state(states, c->name);
	if (c->limit_group != NULL)
		p->limits_state = cadence_sender_state(states, cadence_limit_group_key(c->limit_group));
}

/* What is known of a sender alone: its breaker, and whom it may write to. */
CadenceSenderState *
cadence_sender_of(CadenceSenderStates *states, CadenceProvider *p)
{
	find_states(states, p);
	return p->sender_state;
}

/* Its limits: a group's are its senders' together. */
CadenceSenderState *
cadence_limits_of(CadenceSenderStates *states, CadenceProvider *p)
{
	find_states(states, p);
	return p->limits_state;
}

/* Under way in this process, of all whose limits are the same. */
int
cadence_sender_in_flight(const CadenceProvider *p)
{
	return p->limits_state != NULL ? p->limits_state->in_flight : p->in_flight;
}

/* Nothing of them is under way or waits in this process. */
bool
cadence_sender_is_idle(const List *providers, const CadenceProvider *p)
{
	ListCell *cell;

	if (p->nwaiting > 0 || p->in_flight > 0)
		return false;
	if (p->limits_state == p->sender_state)
		return true;
	foreach (cell, providers)
	{
		const CadenceProvider *other = lfirst(cell);

		if (other->limits_state == p->limits_state && (other->nwaiting > 0 || other->in_flight > 0))
			return false;
	}
	return true;
}

/* As long as a sender is used its day's limit grows. */
LimitRules
cadence_limit_rules(const CadenceConfiguration *c, const CadenceSenderState *s, TimestampTz now)
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

/* What is put off has its own limits: those that go now, and then it. NULL: there are none. */
LimitUse *
cadence_sender_plan(CadenceSenderState *s)
{
	if (s == NULL)
		return NULL;
	if (!s->has_plan)
		s->plan = s->limits;
	s->has_plan = true;
	return &s->plan;
}

/* Somebody was given to a sender: that leaves less of its room, and is its probe. */
void
cadence_sender_note_given(CadenceSenderStates *states, CadenceProvider *p)
{
	CadenceSenderState *sender = cadence_sender_of(states, p);
	CadenceSenderState *limits = cadence_limits_of(states, p);

	sender->ngiven_people++;
	if (limits != sender)
		limits->ngiven_people++;
}

/* Puts a copy into the place of one of its texts; NULL: there is none. */
void
cadence_sender_state_keep(CadenceSenderState *s, char **text, const char *to)
{
	char *copy = to != NULL ? MemoryContextStrdup(GetMemoryChunkContext(s->key), to) : NULL;

	if (*text != NULL)
		pfree(*text);
	*text = copy;
}

/* It is shut until then, and one message tries it afterwards; its state is locked. */
void
cadence_sender_open_breaker(CadenceSenderState *s, const char *why, int64 wait_us, TimestampTz now)
{
	if (s->open_since == 0)
		s->open_since = now;
	s->open_until = now + wait_us;
	s->opened_at = now;
	s->openings++;
	cadence_sender_state_keep(s, &s->open_reason, why != NULL ? why : "");
	s->changed = true;
}

/* False: it was not shut. */
bool
cadence_sender_close_breaker(CadenceSenderState *s)
{
	if (s->open_since == 0)
		return false;
	s->open_since = s->open_until = 0;
	s->openings = s->waiting = s->waited = 0;
	s->round_until = 0;
	cadence_sender_state_keep(s, &s->open_reason, NULL);
	s->history.n = 0;
	s->changed = true;
	return true;
}
