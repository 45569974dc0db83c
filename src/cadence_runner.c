/*
 * cadence_runner.c
 *		The library's entry point.
 *
 * This library holds the SQL functions and every stage of an execution but the
 * transport. libcurl costs each process that maps it some megabytes and
 * milliseconds, so dispatch lives in a library of its own, which only a worker
 * loads when it is about to send (as the server does with libpqwalreceiver).
 */
#include "postgres.h"

#include "fmgr.h"

#include "settings.h"

PG_MODULE_MAGIC;

void _PG_init(void);

void
_PG_init(void)
{
	cadence_define_settings();
}
