/*
 * http_error.c
 *		What is answered where the work on a request has failed.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/transaction.h"
#include "sqlapi/http.h"

/* An execution that was not begun, or only in vain, may be another time. */
static int
status_of_execution(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_READ_ONLY_SQL_TRANSACTION:
		case ERRCODE_CONFIGURATION_LIMIT_EXCEEDED:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_QUERY_CANCELED:
			return 503;
	}
	return 500;
}

static int
status_of(const HttpRoute *route, int sqlstate)
{
	int category = ERRCODE_TO_CATEGORY(sqlstate);

	if (route->needs == HTTP_RUN)
		return status_of_execution(sqlstate);
	if (sqlstate == ERRCODE_NO_DATA_FOUND)
		return 404;
	if (category == ERRCODE_DATA_EXCEPTION)
		return 400;
	/* nor where the tables are missing, or this is a standby */
	if (sqlstate_is_of_the_moment(sqlstate) || sqlstate == ERRCODE_UNDEFINED_TABLE ||
		category == ERRCODE_INVALID_TRANSACTION_STATE ||
		category == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
		return 503;
	return 500;
}

/*
 * An error may have people's data in its text. What the functions of pages say of a
 * parameter has none.
 */
static bool
may_see(const HttpVisitor *visitor, int sqlstate)
{
	if (!http_masks_people(visitor))
		return visitor->rights != 0;
	return sqlstate == ERRCODE_INVALID_PARAMETER_VALUE || sqlstate == ERRCODE_NO_DATA_FOUND;
}

/* Strangers may cause the same as often as they like. */
static bool
may_log(void)
{
	static TimestampTz logged_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (now >= logged_at && now < logged_at + USECS_PER_SEC)
		return false;
	logged_at = now;
	return true;
}

/* In the place of what was answered so far. */
void
http_answer_error(const HttpRoute *route, const HttpRequest *request, HttpAnswer *answer,
				  const ErrorData *error)
{
	int status = status_of(route, error->sqlerrcode);

	if (status >= 500 && may_log())
		ereport(LOG, (errcode(error->sqlerrcode), errhidestmt(true),
					  errmsg("cadence_runner: a request for %s has failed: %s", route->pattern,
							 error->message),
					  error->detail != NULL ? errdetail("%s", error->detail) : 0,
					  error->hint != NULL ? errhint("%s", error->hint) : 0));
	*answer = (HttpAnswer){0};
	route->refuse(answer, status, error->sqlerrcode,
				  may_see(&request->visitor, error->sqlerrcode) ? error->message : NULL);
}
