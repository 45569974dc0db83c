/*
 * arming.c
 *		Whether these tables may send from this server.
 *
 * A copy of the tables must not write to real people. cadence_arming remembers
 * for which database of which cluster the tables were armed:
 *
 *	- a dump that was restored elsewhere, a database that has this one as its
 *	  template, or one that pg_upgrade has moved: another system identifier of
 *	  the cluster, or another OID of the database;
 *	- a copy of the data directory: global/pg_control is written in place for the
 *	  whole life of a cluster, so a copy's has another inode number or time of
 *	  birth, and one that has moved with its disk the same;
 *	- a promoted standby is on a newer timeline, and goes on by itself;
 *	- so is a backup that was recovered, but it was not started as a standby: that
 *	  is seen while this library is preloaded;
 *	- a subscriber's copy of the runs never sends: its publisher does.
 *
 * Not told apart: a snapshot of the whole disk.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/statement.h"
#include "schema/tables.h"

PG_FUNCTION_INFO_V1(cadence_arm);

#define CONTROL_FILE "global/pg_control"

#define ARM_HINT                                                                         \
	"If messages shall be sent from here, and no longer from where this copy was made, " \
	"call %s.cadence_arm()."

static const char subscribed[] =
	"A subscription writes to lead_cadence_runs, so its publisher sends.";

/* What the row says, and what is true here. */
typedef struct Arming
{
	char *cluster;
	char *database;
	char *control_file; /* NULL in a row that no execution has seen yet */
	int timeline;		/* 0: unknown */
} Arming;

/* In this life of the server; every process has inherited it from the postmaster. */
static bool started_as_standby = false;

/* Called while the library is preloaded, before recovery ends. */
void
cadence_arming_preload(void)
{
	started_as_standby = access("standby.signal", F_OK) == 0;
}

static char *
control_file_identity(void)
{
	struct stat st;
	int64 born = 0;
#ifdef STATX_BTIME
	struct statx stx;

	if (statx(AT_FDCWD, CONTROL_FILE, 0, STATX_BTIME, &stx) == 0 &&
		(stx.stx_mask & STATX_BTIME) != 0)
		born = (int64) stx.stx_btime.tv_sec * 1000000 + stx.stx_btime.tv_nsec / 1000;
#endif
	if (stat(CONTROL_FILE, &st) != 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not stat file \"%s\": %m", CONTROL_FILE)));
	return psprintf("%llu/%lld", (unsigned long long) st.st_ino, (long long) born);
}

static Arming
here(void)
{
	return (Arming){.cluster = psprintf(UINT64_FORMAT, GetSystemIdentifier()),
					.database = psprintf("%u", MyDatabaseId),
					.control_file = control_file_identity(),
					.timeline = (int) GetWALInsertionTimeLine()};
}

static char *
column_text(TupleDesc desc, HeapTuple row, const char *name)
{
	return SPI_getvalue(row, desc, SPI_fnumber(desc, name));
}

/*
 * The row that counts; why none does, otherwise.
 *
 * Read without a statement: whoever the table belongs to, nobody's policy,
 * right or function has a say in it.
 */
static const char *
read_row(const CadenceTables *t, Arming *arming)
{
	Relation rel = table_open(t->arming_oid, AccessShareLock);
	SysScanDesc scan;
	HeapTuple row;
	int n = 0;

	if (rel->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is not a table", t->arming)));
	scan = systable_beginscan(rel, InvalidOid, false, GetActiveSnapshot(), 0, NULL);
	for (; n < 2 && HeapTupleIsValid(row = systable_getnext(scan)); n++)
	{
		char *timeline = column_text(RelationGetDescr(rel), row, "timeline");

		arming->cluster = column_text(RelationGetDescr(rel), row, "cluster");
		arming->database = column_text(RelationGetDescr(rel), row, "database_oid");
		arming->control_file = column_text(RelationGetDescr(rel), row, "control_file");
		arming->timeline = timeline != NULL ? pg_strtoint32(timeline) : 0;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (n == 0)
		return "They were never armed: table cadence_arming is empty.";
	if (n > 1)
		return "They are armed for more than one server: table cadence_arming has several rows.";
	return NULL;
}

static bool
same(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

/*
 * A table in other hands is not written to, since its triggers would run with
 * the rights of this session: copies of the data directory are then not told.
 */
static bool
may_pin(const CadenceTables *t)
{
	return cadence_gate_trusts(t->owner, cadence_relation_owner(t->arming_oid)) &&
		   pg_class_aclcheck(t->arming_oid, GetUserId(), ACL_UPDATE) == ACLCHECK_OK &&
		   check_enable_rls(t->arming_oid, InvalidOid, true) != RLS_ENABLED;
}

/* From now on, only this server, and whatever standby is promoted after it. */
static void
pin(const CadenceTables *t, const Arming *this)
{
	static const Oid types[] = {TEXTOID, INT4OID};
	Datum values[] = {CStringGetTextDatum(this->control_file), Int32GetDatum(this->timeline)};
	Statement update =
		STATEMENT("noting which server was armed",
				  psprintf("UPDATE %s SET control_file = $1, timeline = $2", t->arming), types,
				  SPI_OK_UPDATE);

	statement_execute(&update, values, NULL, 0);
}

/* The time of birth counts where both know it: a kernel may begin to tell it. */
static bool
same_control_file(const char *a, const char *b)
{
	unsigned long long inode_a;
	unsigned long long inode_b;
	long long born_a;
	long long born_b;

	if (a == NULL || sscanf(a, "%llu/%lld", &inode_a, &born_a) != 2 ||
		sscanf(b, "%llu/%lld", &inode_b, &born_b) != 2)
		return false;
	return inode_a == inode_b && (born_a == born_b || born_a == 0 || born_b == 0);
}

static const char *
compare(const Arming *row, const Arming *this)
{
	if (!same(row->cluster, this->cluster))
		return psprintf("They were armed for the cluster with system identifier %s; this one "
						"has %s.",
						row->cluster != NULL ? row->cluster : "(none)", this->cluster);
	if (!same(row->database, this->database))
		return psprintf("They were armed for the database with OID %s; this one has %s.",
						row->database != NULL ? row->database : "(none)", this->database);
	if (row->timeline != 0 && this->timeline > row->timeline && started_as_standby)
		return NULL;
	if (row->timeline != 0 && this->timeline != row->timeline)
		return psprintf("They were armed on timeline %d, and this server is on timeline %d. Only "
						"one that preloads cadence_runner, was started as a standby and has been "
						"promoted since goes on by itself.",
						row->timeline, this->timeline);
	if (row->control_file != NULL && !same_control_file(row->control_file, this->control_file))
		return "This data directory is a copy of the one that they were armed in.";
	return NULL;
}

/* Whether a subscription writes to a table, or to one that inherits from it. */
static bool
is_subscribed(Oid relation)
{
	ListCell *cell;

	foreach (cell, find_all_inheritors(relation, NoLock, NULL))
	{
		CatCList *found =
			SearchSysCacheList1(SUBSCRIPTIONRELMAP, ObjectIdGetDatum(lfirst_oid(cell)));
		bool any = found->n_members > 0;

		ReleaseSysCacheList(found);
		if (any)
			return true;
	}
	return false;
}

/* Why nothing may be sent from here, or NULL. */
static const char *
find_problem(const CadenceTables *t, Arming *row, const Arming *this)
{
	const char *problem;

	if (is_subscribed(t->runs_oid))
		return subscribed;
	problem = read_row(t, row);
	return problem != NULL ? problem : compare(row, this);
}

/*
 * Why nothing may be sent from here, in the current memory context, or NULL.
 * Not to be called in recovery.
 */
const char *
cadence_arming_problem(const CadenceTables *t)
{
	Arming row;
	Arming this = here();

	return find_problem(t, &row, &this);
}

/*
 * Raises an error unless the tables may send from here, inside the caller's
 * transaction and SPI connection.
 *
 * Errors: 55000, with what tells this server from the one that they were armed
 * for, or when the runs are a subscriber's copy.
 */
void
cadence_arming_check(const CadenceTables *t)
{
	Arming row;
	Arming this = here();
	const char *problem = find_problem(t, &row, &this);

	if (problem == subscribed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s is a subscriber's copy: nothing is sent from here", t->runs),
				 errdetail("%s", problem),
				 errhint("Drop the subscription before this database takes over.")));
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the tables in schema %s are not armed to send from this server",
						t->schema_name),
				 errdetail("%s", problem), errhint(ARM_HINT, quote_identifier(t->schema_name))));
	if ((!same(row.control_file, this.control_file) || row.timeline != this.timeline) && may_pin(t))
		pin(t, &this);
}

/*
 * cadence_arm(): lets these tables send from here, and only from here.
 *
 * Errors: 42501 for who may not write to cadence_arming; 25006 on a standby;
 * else what cadence_tables_load() says.
 */
Datum
cadence_arm(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID};
	CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	Oid user = GetUserId();
	Statement arm = STATEMENT(
		"arming",
		psprintf("LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE; DELETE FROM %s; "
				 "INSERT INTO %s (cluster, database_oid, control_file, timeline, armed_by) "
				 "VALUES ($1, $2, $3, $4, $5)",
				 t->arming, t->arming, t->arming),
		types, SPI_OK_INSERT);
	CadenceCaller caller;
	Arming this;

	if (XactReadOnly)
		PreventCommandIfReadOnly("cadence_arm()");
	PreventCommandDuringRecovery("cadence_arm()");
	if (pg_class_aclmask(t->arming_oid, user, ACL_INSERT | ACL_DELETE, ACLMASK_ALL) !=
		(ACL_INSERT | ACL_DELETE))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, "cadence_arming");
	this = here();
	caller = cadence_owner_begin(cadence_relation_owner(t->arming_oid));
	(void) SPI_connect();
	statement_execute(
		&arm,
		(Datum[]){CStringGetTextDatum(this.cluster), CStringGetTextDatum(this.database),
				  CStringGetTextDatum(this.control_file), Int32GetDatum(this.timeline),
				  CStringGetTextDatum(GetUserNameFromId(user, false))},
		NULL, 0);
	SPI_finish();
	cadence_owner_end(caller);
	PG_RETURN_VOID();
}
