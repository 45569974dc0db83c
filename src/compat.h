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
#define CADENCE_VERSION "1.0"

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
#include "catalog/pg_foreign_server.h"
#define cadence_server_usage(server, role) \
	object_aclcheck(ForeignServerRelationId, (server), (role), ACL_USAGE)
#else
#define cadence_server_usage(server, role) pg_foreign_server_aclcheck((server), (role), ACL_USAGE)
#endif

#endif
