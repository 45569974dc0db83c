/*
 * added_noted.c
 *		What was noted of the runs that this transaction has inserted.
 */
#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compare.h"
#include "record/tally.h"
#include "sqlapi/added_parts.h"

/*
 * In the order of their subtransactions, so that those of the innermost are the last. In
 * the transaction's memory; where more differ than NOTED_FINE, days are those of UTC.
 */
#define NOTED_FIRST 64
#define NOTED_FINE 40000

static Noted *noted;
static int nnoted;
static int noted_max;
static List *companies;

void
added_forget(void)
{
	noted = NULL;
	nnoted = noted_max = 0;
	companies = NIL;
}

static int
compare_noted(const void *left, const void *right)
{
	const Noted *a = left;
	const Noted *b = right;
	int order;

	COMPARE(a->subxact, b->subxact);
	COMPARE(a->relation, b->relation);
	COMPARE(a->has_step, b->has_step);
	COMPARE(a->has_ordem, b->has_ordem);
	COMPARE(a->ordem, b->ordem);
	COMPARE(a->began, b->began);
	order = memcmp(&a->cadence, &b->cadence, UUID_LEN);
	if (order == 0)
		order = memcmp(&a->step, &b->step, UUID_LEN);
	return order != 0 ? order : strcmp(a->empresa, b->empresa);
}

static void
put_together(void)
{
	int kept = 0;

	qsort(noted, nnoted, sizeof(*noted), compare_noted);
	for (int i = 0; i < nnoted; i++)
		if (kept > 0 && compare_noted(&noted[kept - 1], &noted[i]) == 0)
			noted[kept - 1].n += noted[i].n;
		else
			noted[kept++] = noted[i];
	nnoted = kept;
}

static void
make_room(void)
{
	if (noted == NULL)
	{
		noted_max = NOTED_FIRST;
		noted = MemoryContextAlloc(TopTransactionContext, sizeof(*noted) * noted_max);
	}
	if (nnoted < noted_max)
		return;
	put_together();
	if (nnoted > noted_max / 2)
	{
		noted_max *= 2;
		noted = repalloc_huge(noted, sizeof(*noted) * noted_max);
	}
}

/* One run more. */
void
added_note(Noted one)
{
	if (nnoted > NOTED_FINE && !TIMESTAMP_NOT_FINITE(one.began))
		one.began = tally_beginning(one.began, USECS_PER_DAY) + USECS_PER_DAY / 2;
	one.n = 1;
	/* the run before was like this one, and is noted as itself and before its step */
	for (int i = nnoted - 1; i >= Max(nnoted - 2, 0); i--)
		if (compare_noted(&noted[i], &one) == 0)
		{
			noted[i].n++;
			return;
		}
	make_room();
	noted[nnoted++] = one;
}

/* A company's name, kept with the transaction: few differ. */
const char *
added_company(const char *name)
{
	MemoryContext old;
	ListCell *cell;
	char *kept;

	foreach (cell, companies)
		if (strcmp(lfirst(cell), name) == 0)
			return lfirst(cell);
	old = MemoryContextSwitchTo(TopTransactionContext);
	kept = pstrdup(name);
	companies = lappend(companies, kept);
	MemoryContextSwitchTo(old);
	return kept;
}

bool
added_any(void)
{
	return nnoted > 0;
}

/* All of it, what is alike together. */
const Noted *
added_noted(int *n)
{
	put_together();
	*n = nnoted;
	return noted;
}

/* A subtransaction has ended: what it has noted is gone, or its parent's. */
void
added_end_part(SubXactEvent event, SubTransactionId mine, SubTransactionId parent)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		while (nnoted > 0 && noted[nnoted - 1].subxact == mine)
			nnoted--;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (int i = nnoted - 1; i >= 0 && noted[i].subxact == mine; i--)
			noted[i].subxact = parent;
}
