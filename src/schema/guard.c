/*
 * guard.c
 *		Nothing changes between the look at a table and the statement that uses it.
 *
 * The locks of statements are taken before the look, where nobody is in the way.
 * Where somebody is, whoever waits would find what that one has made meanwhile: a
 * trigger of hers, which would run with the owner's rights. So a statement that uses
 * such a table waits for the lock here, and the table is looked at again before the
 * statement is executed. One that uses others does not wait.
 *
 * Whoever has just loaded the tables has locked none: each is looked at when a
 * statement uses it. So one who uses none is in nobody's way.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "lib/ilist.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

#include "base/statement.h"
#include "schema/tables.h"

/* Of tables that are in use; in their own memory context. */
struct CadenceGuard
{
	dlist_node node;
	const CadenceTables *tables;
	uint32 open; /* bits of oids: what is not locked yet */
};

StaticAssertDecl(CADENCE_TABLE_COUNT < 32, "a bit for each table");

static dlist_head guards = DLIST_STATIC_INIT(guards);

/* Reading fires nothing, and need not wait for an index that is being made. */
static LOCKMODE
mode_of(int i, bool writing)
{
	return writing && cadence_table_list[i].is_written ? RowExclusiveLock : AccessShareLock;
}

/* ---- locks -------------------------------------------------------------------------------- */

/* Whether it has partitions, whose triggers fire as its own do; one that is gone has none. */
static bool
has_parts(Oid table)
{
	return get_rel_relkind(table) != '\0' && has_subclass(table);
}

static void
lock_after_wait(Oid table, LOCKMODE mode)
{
	LockRelationOid(table, mode);
	if (has_parts(table))
		list_free(find_all_inheritors(table, mode, NULL));
}

/* The same without a wait; false: somebody is in the way. */
static bool
lock_now(Oid table, LOCKMODE mode)
{
	ListCell *cell;

	if (!ConditionalLockRelationOid(table, mode))
		return false;
	if (has_parts(table))
		foreach (cell, find_all_inheritors(table, NoLock, NULL))
			if (!ConditionalLockRelationOid(lfirst_oid(cell), mode))
				return false;
	return true;
}

/* ---- before a statement --------------------------------------------------------------- */

static bool
is_writing(const CachedPlanSource *source)
{
	ListCell *cell;

	foreach (cell, source->query_list)
	{
		const Query *query = lfirst_node(Query, cell);

		if (query->commandType != CMD_SELECT || query->hasModifyingCTE)
			return true;
	}
	return false;
}

static void
guard_source(const CadenceGuard *guard, const CachedPlanSource *source)
{
	for (int i = 0; i < CADENCE_TABLE_COUNT; i++)
	{
		Oid oid = guard->tables->oids[i];

		if ((guard->open & (1U << i)) == 0 || !list_member_oid(source->relationOids, oid))
			continue;
		lock_after_wait(oid, mode_of(i, is_writing(source)));
		cadence_gate_look(guard->tables, i);
	}
}

static void
guard_statement(void *plan)
{
	dlist_iter iter;
	ListCell *cell;

	dlist_foreach(iter, &guards)
	{
		const CadenceGuard *guard = dlist_container(CadenceGuard, node, iter.cur);

		if (guard->open != 0)
			foreach (cell, SPI_plan_get_plan_sources(plan))
				guard_source(guard, lfirst(cell));
	}
}

/* ---- which are open ------------------------------------------------------------------- */

/* Its locks are gone. */
static void
end_transaction(XactEvent event, void *arg)
{
	dlist_iter iter;

	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		dlist_foreach(iter, &guards) dlist_container(CadenceGuard, node, iter.cur)->open = 0;
}

static void
forget(void *arg)
{
	dlist_delete(&((CadenceGuard *) arg)->node);
}

/* For tables that are being loaded, until the current memory context goes; none is locked. */
CadenceGuard *
cadence_guard_create(const CadenceTables *t)
{
	static bool registered = false;
	CadenceGuard *guard = palloc0(sizeof(*guard));
	MemoryContextCallback *callback = palloc(sizeof(*callback));

	if (!registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		statement_set_guard(guard_statement);
		registered = true;
	}
	guard->tables = t;
	guard->open = (1U << CADENCE_TABLE_COUNT) - 1;
	dlist_push_head(&guards, &guard->node);
	*callback = (MemoryContextCallback){.func = forget, .arg = guard};
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return guard;
}

/*
 * Locks the tables for the rest of the transaction where nobody is in the way, as the
 * statements that write to them do; what has changed before that is known afterwards.
 */
void
cadence_guard_lock(const CadenceTables *t)
{
	CadenceGuard *guard = t->guard;

	guard->open = 0;
	for (int i = 0; i < CADENCE_TABLE_COUNT; i++)
		if (!lock_now(t->oids[i], mode_of(i, true)))
			guard->open |= 1U << i;
	AcceptInvalidationMessages();
}

/*
 * Locks them all, and waits where somebody is in the way: for statements that call
 * functions, whose own statements nobody sees beforehand.
 */
void
cadence_guard_wait(const CadenceTables *t)
{
	CadenceGuard *guard = t->guard;

	for (int i = 0; i < CADENCE_TABLE_COUNT; i++)
	{
		if ((guard->open & (1U << i)) == 0)
			continue;
		lock_after_wait(t->oids[i], mode_of(i, true));
		cadence_gate_look(t, i);
		guard->open &= ~(1U << i);
	}
}
