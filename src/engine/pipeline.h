/*
 * pipeline.h
 *		One execution, from the claim to the log.
 */
#ifndef CADENCE_PIPELINE_H
#define CADENCE_PIPELINE_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "engine/execution.h"

extern StringInfo cadence_pipeline_execute(CadenceShared *shared);
extern StringInfo cadence_pipeline_help(CadenceShared *shared, ErrorData **error);

#endif
