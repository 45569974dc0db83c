/*
 * arming.h
 *		Whether these tables may send from this server.
 */
#ifndef CADENCE_ARMING_H
#define CADENCE_ARMING_H

#include "schema/tables.h"

extern void cadence_arming_preload(void);
extern const char *cadence_arming_problem(const CadenceTables *tables);
extern void cadence_arming_check(const CadenceTables *tables);

#endif
