/*
 * holidays.c
 *		cadence_easter(): by which cadence_holidays_br() knows the days that move.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/date.h"

#include "rules/calendar.h"

PG_FUNCTION_INFO_V1(cadence_easter);

#define YEAR_MIN 1900
#define YEAR_MAX 2299

/* cadence_easter(year int) -> date: Easter Sunday; an error also where there is no year. */
Datum
cadence_easter(PG_FUNCTION_ARGS)
{
	int year = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT32(0);

	if (year < YEAR_MIN || year > YEAR_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						PG_ARGISNULL(0) ? errmsg("year must not be null")
										: errmsg("invalid year: %d", year),
						errhint("Give one from %d to %d.", YEAR_MIN, YEAR_MAX)));
	PG_RETURN_DATEADT(calendar_easter(year));
}
