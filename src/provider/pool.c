/*
 * pool.c
 *		The servers that may serve a channel and a company, and which of them a
 *		person's message goes to.
 *
 * A person keeps the server that has written last, also while it is shut: an
 * answer goes to that sender's number, and a conversation does not move. Others go
 * to the server with the most room, of those that can be used and are open: one
 * that can not has no limits that anybody has read. Among equals that is
 * the highest hash of lead and server (rendezvous hashing), so that they are
 * spread, whoever asks gets the same answer, and one more server moves only those
 * whom it takes over.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "provider/pool.h"

static bool
serves(const CadenceProvider *p, const char *canal, const char *empresa)
{
	const CadenceConfiguration *c = p->configuration;

	return !p->gone && c->canal != NULL && pg_strcasecmp(c->canal, canal) == 0 &&
		   (empresa == NULL ? c->empresa == NULL
							: c->empresa != NULL && strcmp(c->empresa, empresa) == 0);
}

static List *
members_for(const CadenceProviders *providers, const char *canal, const char *empresa)
{
	List *members = NIL;
	ListCell *cell;

	foreach (cell, cadence_providers_list(providers))
		if (serves(lfirst(cell), canal, empresa))
			members = lappend(members, lfirst(cell));
	return members;
}

/*
 * The servers of the company, else those for any; in the current memory context.
 */
CadencePool *
cadence_pool_of(const CadenceProviders *providers, const char *canal, const char *empresa)
{
	CadencePool *pool = palloc0(sizeof(*pool));
	ListCell *cell;

	if (empresa != NULL)
		pool->members = members_for(providers, canal, empresa);
	if (pool->members == NIL)
		pool->members = members_for(providers, canal, NULL);
	foreach (cell, pool->members)
	{
		const CadenceConfiguration *c = ((CadenceProvider *) lfirst(cell))->configuration;

		pool->is_timed = pool->is_timed || c->min_gap_us > 0 || c->quiet_until_reply;
		pool->has_answers =
			pool->has_answers || c->quiet_until_reply || c->limits.most[WINDOW_NEW_DAY] > 0;
		pool->has_domains = pool->has_domains || c->ndomains > 0;
	}
	pool->is_tracked = pool->is_timed || pool->has_answers || list_length(pool->members) > 1;
	return pool;
}

/* One whose probe is due may take one person, who shows whether it is well again. */
static bool
is_open(const CadenceSenderState *s, bool is_new, TimestampTz now)
{
	return s->paused_at == 0 && !(is_new && s->new_until > now) &&
		   (s->open_since == 0 || (now >= s->open_until && s->ngiven_people == 0));
}

/* How many more it may start; those whom this claim has given it count already. */
static int
room_of(CadenceSenderStates *states, CadenceProvider *p, bool is_new, TimestampTz now)
{
	const CadenceSenderState *s = cadence_limits_of(states, p);
	LimitRules rules = cadence_limit_rules(p->configuration, s, now);
	int room = limits_room(&rules, &s->limits, now, is_new);

	return room == LIMITS_ANY_ROOM ? room : room - s->ngiven_people;
}

static uint32
weight_of(const char *lead_id, const CadenceConfiguration *c)
{
	uint32 lead = hash_bytes((const unsigned char *) lead_id, strlen(lead_id));

	return murmurhash32(
		hash_combine(lead, hash_bytes((const unsigned char *) c->name, strlen(c->name))));
}

/* The server of that name; NULL: it serves no more. */
static CadenceProvider *
pool_member(const CadencePool *pool, const char *server)
{
	ListCell *cell;

	foreach (cell, pool->members)
	{
		CadenceProvider *p = lfirst(cell);

		if (server != NULL && strcmp(p->configuration->name, server) == 0)
			return p;
	}
	return NULL;
}

/* That server; NULL: it does not serve. */
CadenceProvider *
cadence_pool_server(const CadencePool *pool, Oid server)
{
	ListCell *cell;

	foreach (cell, pool->members)
		if (((CadenceProvider *) lfirst(cell))->server == server)
			return lfirst(cell);
	return NULL;
}

/* How a server stands for a person: by these, in their order. */
typedef struct Standing
{
	bool is_usable; /* its configuration has no problem */
	bool is_open;
	int room;
	uint32 weight;
} Standing;

static bool
is_better(const Standing *a, const Standing *b)
{
	if (a->is_usable != b->is_usable)
		return a->is_usable;
	if (a->is_open != b->is_open)
		return a->is_open;
	return a->room != b->room ? a->room > b->room : a->weight > b->weight;
}

static CadenceProvider *
find_best(const CadencePool *pool, CadenceSenderStates *states, const CadencePerson *person,
		  TimestampTz now)
{
	CadenceProvider *best = NULL;
	Standing best_standing = {0};
	ListCell *cell;

	foreach (cell, pool->members)
	{
		CadenceProvider *p = lfirst(cell);
		const CadenceConfiguration *c = p->configuration;
		Standing standing = {.is_usable = c->problem == NULL,
							 .is_open = is_open(cadence_sender_of(states, p), person->is_new, now),
							 .room = room_of(states, p, person->is_new, now),
							 .weight =
								 weight_of(person->lead_id != NULL ? person->lead_id : "", c)};

		if (best == NULL || is_better(&standing, &best_standing))
		{
			best = p;
			best_standing = standing;
		}
	}
	return best;
}

/*
 * The server for a person's message, by the senders' states as they were last
 * read; NULL when nobody serves. Until the states are read again, whom it was
 * given to count.
 */
CadenceProvider *
cadence_pool_choose(const CadencePool *pool, CadenceSenderStates *states,
					const CadencePerson *person, TimestampTz now)
{
	CadenceProvider *p;

	if (list_length(pool->members) <= 1)
		return pool->members != NIL ? linitial(pool->members) : NULL;
	p = pool_member(pool, person->server);
	if (p != NULL)
		return p;
	p = find_best(pool, states, person, now);
	cadence_sender_note_given(states, p);
	return p;
}
