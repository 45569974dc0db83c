/*
 * rollup.h
 *		Keeping what was counted together, for those who read it.
 */
#ifndef CADENCE_ROLLUP_H
#define CADENCE_ROLLUP_H

#include "postgres.h"

#include "schema/tables.h"

extern void cadence_rollup_want(const CadenceTables *tables);
extern void cadence_count_request(const CadenceTables *tables, const char *route,
								  const char *method, int status);

#endif
