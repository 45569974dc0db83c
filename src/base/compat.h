/*
 * compat.h
 *		Where PostgreSQL 14 to 18 differ, and the version of this binary.
 */
#ifndef CADENCE_COMPAT_H
#define CADENCE_COMPAT_H

#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"

#if PG_VERSION_NUM < 140000 || PG_VERSION_NUM >= 190000
#error "cadence_runner is written for PostgreSQL 14 to 18"
#endif

/* The version of the SQL objects that this binary serves; see cadence_runner.control. */
#ifndef CADENCE_VERSION
#define CADENCE_VERSION "1.0"
#endif

/* A library asks for shared memory in a hook, not while it is loaded. */
#define CADENCE_HAS_SHMEM_REQUEST_HOOK (PG_VERSION_NUM >= 150000)

#define CADENCE_HAS_TRANSACTION_TIMEOUT (PG_VERSION_NUM >= 170000)

#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* Roles that may not log in can be served from 17 on. */
#if PG_VERSION_NUM >= 170000
#define CADENCE_WORKER_FLAGS BGWORKER_BYPASS_ROLELOGINCHECK
#define CADENCE_OWNER_MUST_LOG_IN false
#else
#define CADENCE_WORKER_FLAGS 0
#define CADENCE_OWNER_MUST_LOG_IN true
#endif

#if PG_VERSION_NUM >= 160000
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#define cadence_owns_database(database, role) \
	object_ownercheck(DatabaseRelationId, (database), (role))
#define cadence_server_usage(server, role) \
	object_aclcheck(ForeignServerRelationId, (server), (role), ACL_USAGE)
#else
#define cadence_owns_database(database, role) pg_database_ownercheck((database), (role))
#define cadence_server_usage(server, role) pg_foreign_server_aclcheck((server), (role), ACL_USAGE)
#endif

/* The timeline that is written to; only outside recovery. */
#if PG_VERSION_NUM >= 150000
#include "access/xlog.h"
#define cadence_timeline() GetWALInsertionTimeLine()
#else
#include "access/xlog.h"
#define cadence_timeline() ((void) RecoveryInProgress(), ThisTimeLineID)
#endif

#if PG_VERSION_NUM >= 160000
#define cadence_backend_status(number) pgstat_get_local_beentry_by_index(number)
#else
#define cadence_backend_status(number) pgstat_fetch_stat_local_beentry(number)
#endif

/* Without waiting for room. */
#if PG_VERSION_NUM >= 150000
#define cadence_mq_sendv(queue, parts, nparts) shm_mq_sendv((queue), (parts), (nparts), true, true)
#else
#define cadence_mq_sendv(queue, parts, nparts) shm_mq_sendv((queue), (parts), (nparts), true)
#endif

/* The process that a lock's holder is, NULL when it is gone. */
#if PG_VERSION_NUM >= 170000
#include "storage/procarray.h"
#define cadence_process_of(holder) ProcNumberGetProc((holder).procNumber)
#else
#include "storage/sinvaladt.h"
#define cadence_process_of(holder) BackendIdGetProc((holder).backendId)
#endif

#if PG_VERSION_NUM < 150000
#include "funcapi.h"

/* As 15 and later have it, for a function that is declared with its columns. */
static inline void
InitMaterializedSRF(FunctionCallInfo fcinfo, int flags)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	TupleDesc desc;

	if ((result->allowedModes & SFRM_Materialize) == 0 ||
		get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "a set is not accepted here");
	result->returnMode = SFRM_Materialize;
	result->setResult = tuplestore_begin_heap(true, false, work_mem);
	result->setDesc = desc;
	MemoryContextSwitchTo(old);
}
#endif

#endif
