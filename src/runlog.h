/*
 * runlog.h
 *		Log: one row per execution.
 */
#ifndef CADENCE_RUNLOG_H
#define CADENCE_RUNLOG_H

#include "postgres.h"

#include "summary.h"
#include "tables.h"

extern void cadence_log_write(const CadenceTables *tables, const CadenceSummary *summary);
extern void cadence_log_prune(const CadenceTables *tables);

#endif
