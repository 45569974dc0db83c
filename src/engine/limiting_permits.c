/*
 * limiting_permits.c
 *		How many messages of a sender may be under way, where it says that itself: permits,
 *		which all executions have together.
 */
#include "postgres.h"

#include "base/settings.h"
#include "engine/limiting_parts.h"

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
void
limiting_get_permits(Limiting *l, CadenceProvider *p, const pg_uuid_t *claim_id)
{
	get_permits(l, p, claim_id, Max((int) (p->configuration->max_in_flight * l->share), 1));
}

/* Each claim asks for its own. */
void
limiting_forget_permits(Limiting *l, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (steps[i]->request.provider != NULL)
			cadence_limits_of(l->states, steps[i]->request.provider)->permits_are_new = false;
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
void
limiting_get_more_permits(Limiting *l, const pg_uuid_t *claim_id)
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
