/*
 * status_rules.h
 *		Rules that never let anything through, for cadence_health().
 */
#ifndef CADENCE_STATUS_RULES_H
#define CADENCE_STATUS_RULES_H

#include "postgres.h"

#include "schema/tables.h"

extern Datum cadence_rule_problems(const CadenceTables *tables);

#endif
