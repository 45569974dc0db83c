/*
 * owner.c
 *		Acting as the owner of the tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "schema/owner.h"

/*
 * Before 17 the server lets no background worker connect as a role that may
 * not log in; said here, since the server's own message names no way out.
 */
void
cadence_owner_check_connect(Oid owner)
{
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner));
	bool may_log_in;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role %u does not exist", owner)));
	may_log_in = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	if (CADENCE_OWNER_MUST_LOG_IN && !may_log_in)
	{
		char *name = GetUserNameFromId(owner, false);

		ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
						errmsg("the owner of lead_cadence_runs, role \"%s\", may not log in", name),
						errdetail("An execution connects as that role."),
						errhint("Run ALTER ROLE %s LOGIN; it needs no password.",
								quote_identifier(name))));
	}
}

static void
set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/*
 * What is done for somebody else is done as the owner of the tables, in a
 * security-restricted operation: what hangs on them gets nobody else's rights.
 * After an error, the end of the transaction brings the caller back.
 */
CadenceCaller
cadence_owner_begin(Oid owner)
{
	CadenceCaller caller = {.guc_level = NewGUCNestLevel()};

	GetUserIdAndSecContext(&caller.user, &caller.security);
	SetUserIdAndSecContext(owner, caller.security | SECURITY_LOCAL_USERID_CHANGE |
									  SECURITY_RESTRICTED_OPERATION);
	set_locally("search_path", "pg_catalog, pg_temp");
	/* a policy that would hide rows is an error, and not nothing */
	set_locally("row_security", "off");
	/* every statement of ours has its index: see init_session() */
	set_locally("enable_seqscan", "off");
	set_locally("enable_bitmapscan", "off");
	return caller;
}

void
cadence_owner_end(CadenceCaller caller)
{
	AtEOXact_GUC(false, caller.guc_level);
	SetUserIdAndSecContext(caller.user, caller.security);
}
