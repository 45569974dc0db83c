/*
 * rollup.h
 *		Keeping what was counted together, for those who read it.
 */
#ifndef CADENCE_ROLLUP_H
#define CADENCE_ROLLUP_H

#include "postgres.h"

#include "schema/tables.h"

extern void cadence_rollup_want(const CadenceTables *tables);

#endif
