/*
 * pipeline.h
 *		One execution, from the claim to the log.
 */
#ifndef CADENCE_PIPELINE_H
#define CADENCE_PIPELINE_H

#include "postgres.h"

extern char *cadence_pipeline_execute(Oid schema, const char *trigger);

#endif
