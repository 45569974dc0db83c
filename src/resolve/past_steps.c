/*
 * past_steps.c
 *		Steps that a run has had already: it goes past them, where an edit of its
 *		cadence has put them before it.
 */
#include "postgres.h"

#include "resolve/questions.h"

/* So many steps in a row that a run has had are gone past: each costs a look-up. */
#define PAST_MAX 50

static bool
has_had(const CadenceStep *step, const pg_uuid_t *id)
{
	for (int i = 0; i < step->nhad; i++)
		if (memcmp(&step->had[i], id, UUID_LEN) == 0)
			return true;
	return false;
}

/* What is there for runs that stood elsewhere: places says where, and for which of them. */
static void
find_elsewhere(CadenceStepLookups *lookups, CadenceStep **places, const int *numbers, int n,
			   CadenceStepLookup **found)
{
	CadenceStepLookup **there = palloc(sizeof(*there) * n);

	cadence_step_lookups_find(lookups, places, n, there);
	for (int i = 0; i < n; i++)
		found[numbers[i]] = there[i];
	pfree(there);
}

/* Where a run would stand that has gone past a number; behind the last one there is nothing. */
static CadenceStep *
place_from(const CadenceStep *step, int64 position)
{
	CadenceStep *place = palloc(sizeof(*place));

	*place = *step;
	place->has_position = position <= PG_INT32_MAX;
	place->position = place->has_position ? (int) position : 0;
	return place;
}

/*
 * No step comes twice, whatever its number is now: a run goes past those that it has
 * had. Few have any before them. Of each round's steps every run has had one, and not
 * the same one again, so the rounds end.
 */
void
resolve_past_had(CadenceStepLookups *lookups, CadenceStep **steps, int n, CadenceStepLookup **found)
{
	CadenceStep **places = palloc(sizeof(*places) * Max(n, 1));
	int *numbers = palloc(sizeof(*numbers) * Max(n, 1));
	int nplaces;
	int rounds = 0;

	do
	{
		nplaces = 0;
		for (int i = 0; i < n; i++)
		{
			if (!found[i]->has_step || steps[i]->outcome != OUTCOME_PENDING ||
				!has_had(steps[i], &found[i]->step_id))
				continue;
			if (rounds == PAST_MAX)
			{
				(void) resolve_fails(steps[i], "SEM_PASSO",
									 pstrdup("it has had too many of the steps that follow"));
				continue;
			}
			numbers[nplaces] = i;
			places[nplaces++] = place_from(steps[i], (int64) found[i]->ordem + 1);
		}
		if (nplaces > 0)
			find_elsewhere(lookups, places, numbers, nplaces, found);
		rounds++;
	} while (nplaces > 0);
	pfree(places);
	pfree(numbers);
}

/* What comes after it is neither itself, where an edit has moved it to the end, nor had. */
static bool
is_behind(const CadenceStep *step, const CadenceStepLookup *found, const pg_uuid_t *next)
{
	return (found->has_step && memcmp(&found->step_id, next, UUID_LEN) == 0) || has_had(step, next);
}

/* The same of the step after it: next is the place of the last one that it has had. */
void
resolve_next(CadenceStepLookups *lookups, CadenceStep **steps, int n, CadenceStepLookup **found,
			 CadenceStepLookup **next)
{
	CadenceStep **places = palloc(sizeof(*places) * Max(n, 1));
	int *numbers = palloc(sizeof(*numbers) * Max(n, 1));
	int nplaces;
	int rounds = 0;

	memcpy(next, found, sizeof(*next) * n);
	do
	{
		nplaces = 0;
		for (int i = 0; i < n; i++)
		{
			if (!next[i]->has_next || !is_behind(steps[i], found[i], &next[i]->next_id))
				continue;
			numbers[nplaces] = i;
			places[nplaces] = place_from(steps[i], next[i]->next_ordem);
			places[nplaces++]->has_pending = false;
		}
		if (nplaces > 0)
			find_elsewhere(lookups, places, numbers, nplaces, next);
		/* then the next claim goes past the rest */
	} while (nplaces > 0 && ++rounds < PAST_MAX);
	pfree(places);
	pfree(numbers);
}
