/*
 * edit.h
 *		What an edit of a cadence's steps makes of the runs that are in it.
 */
#ifndef CADENCE_EDIT_H
#define CADENCE_EDIT_H

#include "postgres.h"

#include "utils/uuid.h"

#include "schema/tables.h"

/* What a statement has done with rows of cadence_steps. */
typedef enum StepsEdit
{
	STEPS_INSERTED,
	STEPS_UPDATED,
	STEPS_DELETED
} StepsEdit;

/* The transition tables that its trigger knows them by. */
#define STEPS_BEFORE "cadence_steps_before"
#define STEPS_AFTER "cadence_steps_after"

extern bool cadence_steps_edit(const CadenceTables *tables, StepsEdit edit);
extern bool cadence_steps_keep(const pg_uuid_t *cadence);

#endif
