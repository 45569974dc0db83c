/*
 * edit_parts.h
 *		What the files share that make of runs what an edit of their cadence's steps says.
 */
#ifndef CADENCE_EDIT_PARTS_H
#define CADENCE_EDIT_PARTS_H

#include "postgres.h"

#include "utils/uuid.h"

#include "base/statement.h"
#include "record/edit.h"
#include "record/tally.h"
#include "rules/due.h"
#include "schema/calendar.h"

/* A step that the statement has changed. */
typedef struct EditedStep
{
	pg_uuid_t cadence;
	pg_uuid_t id;
	bool has_was;
	int was; /* its number before */
	bool has_now;
	int now;
	bool has_era;
	pg_uuid_t era; /* whose place it has taken */
	bool times;	   /* when it is due is another time */
	bool at_end;
} EditedStep;

/* Runs of a cadence that are alike, and what becomes of them. */
typedef struct RunGroup
{
	Datum *ids;
	int n;
	Datum next;
	Datum last;
	bool has_last;
	bool changed;
	Datum edition;	 /* 0: as it is */
	Datum had;		 /* 0: as it is */
	bool is_claimed; /* by somebody who has to find that its row has changed */
	bool retime;
	StepTime time;
	pg_uuid_t *to;	 /* the step that they have come to by the edit; NULL: none */
	pg_uuid_t *from; /* and the one to which they are to come again; NULL: none */
} RunGroup;

typedef struct StepsEditing
{
	Statement look;
	Statement lock;
	Statement group;
	Statement read;
	Statement write;
	CadenceCalendars *calendars;
	CadenceTally *tally;
	EditedStep *steps;
	int n;
	bool renumbers;
} StepsEditing;

/* In SQL: of a run r. Of one that was cancelled its message may be under way, and is recorded. */
#define IS_OPEN                                                 \
	"(r.status " EQ " 'ATIVA' OR r.status " EQ " 'PAUSADA' OR " \
	"(r.claim_id IS NOT NULL AND r.status " NE " 'ATIVA'))"

extern void edit_steps_prepare(StepsEditing *editing, const CadenceTables *tables, StepsEdit edit);
extern void edit_steps_look(StepsEditing *editing, StepsEdit edit);
extern void edit_groups_prepare(StepsEditing *editing, const CadenceTables *tables);
extern RunGroup *edit_groups_find(StepsEditing *editing, int *n);
extern void edit_write_prepare(StepsEditing *editing, const CadenceTables *tables);
extern void edit_write_group(StepsEditing *editing, const RunGroup *group);

#endif
