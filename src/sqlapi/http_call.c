/*
 * http_call.c
 *		Functions of ours that requests are answered by.
 *
 * They are found by their whole signature, and only where they are the extension's:
 * what somebody else has put under such a name, where ours is not there, is not run
 * with the rights of the tables' owner. The right to execute cadence_http() is the
 * authorization, so theirs is not asked for.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "sqlapi/http.h"

/* InvalidOid: the extension has none. */
Oid
http_function(const char *name, const Oid *types, int n, Oid result)
{
	oidvector *arguments = buildoidvector(types, n);
	Oid function =
		GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
						PointerGetDatum(arguments), ObjectIdGetDatum(cadence_extension_schema()));

	if (!OidIsValid(function) || get_func_rettype(function) != result ||
		getExtensionOfObject(ProcedureRelationId, function) !=
			get_extension_oid("cadence_runner", true))
		return InvalidOid;
	return function;
}

/* As whoever calls: it asks for no right of the caller's but to be called. */
Datum
http_call(Oid function, const NullableDatum *args, int n, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	FmgrInfo info;
	Datum result;

	if (!OidIsValid(function))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("the extension lacks a function that this is answered by"),
						errhint("Its script is older than its library.")));
	fmgr_info(function, &info);
	InitFunctionCallInfoData(*fcinfo, &info, n, DEFAULT_COLLATION_OID, NULL, NULL);
	for (int i = 0; i < n; i++)
		fcinfo->args[i] = args[i];
	result = FunctionCallInvoke(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/* Unlike statements of ours, these may want any plan. */
static void
allow_all_scans(void)
{
	static const char *const settings[] = {"enable_seqscan", "enable_bitmapscan"};

	for (size_t i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i], "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
}

/* As the owner of the tables, in a security-restricted operation. */
Datum
http_call_as_owner(const HttpRequest *request, Oid function, const NullableDatum *args, int n,
				   bool *isnull)
{
	CadenceCaller caller = cadence_owner_begin(request->tables->owner);
	Datum result;

	allow_all_scans();
	result = http_call(function, args, n, isnull);
	cadence_owner_end(caller);
	return result;
}
