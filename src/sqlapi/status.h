/*
 * status.h
 *		What cadence_runner_status() says of the tables, and how much of it.
 */
#ifndef CADENCE_STATUS_H
#define CADENCE_STATUS_H

#include "postgres.h"

#include "schema/tables.h"

extern bool cadence_status_is_brief;
extern char *cadence_status_sql(const CadenceTables *tables);

#endif
