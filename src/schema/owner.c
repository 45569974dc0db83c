/*
 * owner.c
 *		Whether a worker may connect as the owner of the tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/builtins.h"
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
