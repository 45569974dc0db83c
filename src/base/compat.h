/*
 * compat.h
 *		Where PostgreSQL 15 to 18 differ, and the version of this binary.
 */
#ifndef CADENCE_COMPAT_H
#define CADENCE_COMPAT_H

#include "postgres.h"

#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"

/* 19 is let through so that it can be tried; nothing is promised for it yet. */
#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 200000
#error "cadence_runner is written for PostgreSQL 15 to 18"
#endif

/* The version of the SQL objects that this binary serves; see cadence_runner.control. */
#ifndef CADENCE_VERSION
#define CADENCE_VERSION "1.0"
#endif

/* A number for each transaction of a session, also for one that has no id. */
#if PG_VERSION_NUM >= 170000
#define cadence_local_xid() (MyProc->vxid.lxid)
#else
#define cadence_local_xid() (MyProc->lxid)
#endif

#define CADENCE_HAS_TRANSACTION_TIMEOUT (PG_VERSION_NUM >= 170000)

/* Roles that may not log in can be served from 17 on. */
#if PG_VERSION_NUM >= 170000
#define CADENCE_WORKER_FLAGS BGWORKER_BYPASS_ROLELOGINCHECK
#define CADENCE_OWNER_MUST_LOG_IN false
#else
#define CADENCE_WORKER_FLAGS 0
#define CADENCE_OWNER_MUST_LOG_IN true
#endif

/* From 16 on a membership may come without the right to SET ROLE. */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#define cadence_may_become(role, other) member_can_set_role((role), (other))
#define cadence_owns_database(database, role) \
	object_ownercheck(DatabaseRelationId, (database), (role))
#define cadence_server_usage(server, role) \
	object_aclcheck(ForeignServerRelationId, (server), (role), ACL_USAGE)
#else
#define cadence_may_become(role, other) is_member_of_role((role), (other))
#define cadence_owns_database(database, role) pg_database_ownercheck((database), (role))
#define cadence_server_usage(server, role) pg_foreign_server_aclcheck((server), (role), ACL_USAGE)
#endif

#endif
