/*
 * edit.c
 *		What an edit of a cadence's steps makes of the runs that are in it.
 *
 * A run knows where it stands by a number, which operators set by hand; what it has
 * had, it knows by ids. When numbers change, it goes on to the first of the steps
 * that were still to come, in their new order, so that nothing is left out and, by
 * the ids, nothing comes twice. A step that is inserted between what it has had and
 * what it stands before is its next one. One that is removed is passed by, since the
 * number that it had leads to the one behind it.
 *
 * A run at whose step somebody works, or has tried already, stays before that step,
 * whatever its number is now. What the edit has put before it comes afterwards: the
 * column edicao says from which number on (pendente), as which other steps it was
 * tried, whose place it has taken (era), and of what its idempotency key was made
 * (chave), all of the step that it names (passo). Where that step is gone, nothing of
 * it counts any more. A run of which that column is not null has met other numbers
 * than those of now: its keys are made of the steps' ids, and by these its events are
 * known.
 *
 * Whoever has claimed a run finds that its row has changed, and looks again at what it
 * comes to (second_look.c). When a step is due that it stays before, step_due_at says
 * to that: next_run_at is the end of the lease.
 *
 * Whoever enrols in it at this moment is waited for: their runs are not there yet. Then
 * all runs of the cadence are locked that have not ended, and then they are
 * looked at with a newer snapshot: whoever moves one at this moment has done so, or
 * finds that its row has changed, and moves it by what stands there.
 *
 * No index serves this: each claim and each move of a run would write to it, and
 * people edit cadences now and then.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/compare.h"
#include "base/lock.h"
#include "record/edit_parts.h"

static void
create_statements(StepsEditing *e, const CadenceTables *t, StepsEdit edit)
{
	static const Oid types[] = {UUIDOID};

	edit_steps_prepare(e, t, edit);
	e->lock = STATEMENT("locking the runs of a cadence",
						psprintf("SELECT pg_catalog.count(*) FROM (SELECT r.id FROM %s AS r "
								 "WHERE r.cadence_id " EQ " $1 AND " IS_OPEN
								 " ORDER BY r.id FOR NO KEY UPDATE) AS l",
								 t->runs),
						types, SPI_OK_SELECT);
	e->lock.latest = true;
	edit_groups_prepare(e, t);
	edit_write_prepare(e, t);
}

static void
set_here(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/*
 * Whoever edits waits for executions that write, which wait for nobody longer than a
 * second; so of a worker and an editor who wait for each other it is the worker who
 * tries again. All runs of a cadence are read at once.
 */
static void
settle_down(const CadenceTables *t)
{
	static const char *const settings[][2] = {{"lock_timeout", "30s"},
											  {"deadlock_timeout", "5s"},
											  {"enable_seqscan", "on"},
											  {"enable_bitmapscan", "on"}};

	for (size_t i = 0; i < lengthof(settings); i++)
		set_here(settings[i][0], settings[i][1]);
	/* triggers of the runs may name tables without a schema, as in the worker's own session */
	set_here("search_path", psprintf("pg_catalog, %s, pg_temp", quote_identifier(t->schema_name)));
}

/* The server's table of locks is small: cadences share so many, however many are edited at once. */
#define STEPS_LOCKS 1024

static uint64
key_of(const pg_uuid_t *cadence)
{
	return hash_bytes_extended(cadence->data, UUID_LEN, 0) % STEPS_LOCKS;
}

/* By their locks first: whoever edits many takes these in one order. */
static int
by_cadence(const void *a, const void *b)
{
	const EditedStep *one = a;
	const EditedStep *two = b;

	COMPARE(key_of(&one->cadence), key_of(&two->cadence));
	return memcmp(&one->cadence, &two->cadence, UUID_LEN);
}

/*
 * Nobody else edits a cadence's steps from here on, until the transaction under way ends:
 * for who puts runs before one of them that no edit can see yet. False: that was so
 * already; else what was read of them before may be out of date.
 */
bool
cadence_steps_keep(const pg_uuid_t *cadence)
{
	return cadence_lock_share(CADENCE_LOCK_STEPS, key_of(cadence));
}

/* Of a cadence, which all steps that were edited belong to. */
static void
move_runs(StepsEditing *e)
{
	Datum cadence = UUIDPGetDatum(&e->steps[0].cadence);
	RunGroup *groups;
	int n;

	cadence_lock_hold(CADENCE_LOCK_STEPS, key_of(&e->steps[0].cadence));
	statement_execute(&e->lock, &cadence, NULL, 0);
	SPI_freetuptable(SPI_tuptable);
	groups = edit_groups_find(e, &n);
	cadence_calendars_refresh(e->calendars);
	for (int i = 0; i < n; i++)
		edit_write_group(e, &groups[i]);
}

/* One cadence after the other: what a statement has edited may be thousands. */
static void
move_runs_of_all(StepsEditing *e)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cadence_runner edit", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	EditedStep *end = e->steps + e->n;

	for (; e->steps < end; e->steps += e->n)
	{
		for (e->n = 1; e->steps + e->n < end && by_cadence(e->steps, e->steps + e->n) == 0;)
			e->n++;
		move_runs(e);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * Keeps the runs right that are in cadences whose steps a statement has edited, as the
 * tables' owner, inside an SPI connection that knows the transition tables. False: that
 * concerns none.
 */
bool
cadence_steps_edit(const CadenceTables *t, StepsEdit edit)
{
	StepsEditing *e = palloc0(sizeof(*e));
	CadenceCaller caller = cadence_owner_begin(t->owner);
	bool is_concerned;

	/* of their owner's own edit deferred triggers may wait for the transaction's end */
	if (caller.user == t->owner)
		SetUserIdAndSecContext(caller.user, caller.security | SECURITY_LOCAL_USERID_CHANGE);
	settle_down(t);
	create_statements(e, t, edit);
	edit_steps_look(e, edit);
	is_concerned = e->n > 0;
	qsort(e->steps, e->n, sizeof(EditedStep), by_cadence);
	move_runs_of_all(e);
	cadence_owner_end(caller);
	return is_concerned;
}
