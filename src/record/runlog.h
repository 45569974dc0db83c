/*
 * runlog.h
 *		Log: one row per execution.
 */
#ifndef CADENCE_RUNLOG_H
#define CADENCE_RUNLOG_H

#include "postgres.h"

#include "record/summary.h"
#include "schema/tables.h"

typedef struct CadenceLog CadenceLog;

extern CadenceLog *cadence_log_create(const CadenceTables *tables);
extern void cadence_log_write(CadenceLog *log, const CadenceSummary *summary);
extern bool cadence_log_prune(CadenceLog *log);

#endif
