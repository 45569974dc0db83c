/*
 * gate.h
 *		Whether the tables are the ones that were found, and in safe hands.
 */
#ifndef CADENCE_GATE_H
#define CADENCE_GATE_H

#include "schema/tables.h"

extern bool cadence_gate_trusts(const CadenceTables *tables, Oid role);
extern void cadence_gate_open(CadenceTables *tables);
extern void cadence_gate_check(const CadenceTables *tables);

#endif
