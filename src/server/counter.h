/*
 * counter.h
 *		A process that counts the runs, so that nobody who asks how many there are waits.
 */
#ifndef CADENCE_COUNTER_H
#define CADENCE_COUNTER_H

#include "postgres.h"

#include "schema/tables.h"

extern void cadence_counter_start(const CadenceTables *tables);

#endif
