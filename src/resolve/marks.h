/*
 * marks.h
 *		What earlier answers have said about a step's person, address or template.
 */
#ifndef CADENCE_MARKS_H
#define CADENCE_MARKS_H

#include "postgres.h"

#include "schema/tables.h"
#include "step.h"

/* What is remembered of the person that a step is for, and of the address; texts may be NULL. */
typedef struct PersonMarks
{
	bool has_opted_out; /* of the step's channel */
	bool of_category;	/* but only of its template's category */
	char *motivo;
	bool is_dead; /* the address, on the step's channel */
	char *dead_motivo;
	char *dead_server; /* that has said so */
	bool is_blocked;   /* the address, for everybody */
	char *blocked_reason;
} PersonMarks;

typedef struct CadenceMarks CadenceMarks;

extern CadenceMarks *cadence_marks_create(const CadenceTables *tables, bool in_query);
extern const PersonMarks *cadence_marks_of_people(CadenceMarks *marks, CadenceStep **steps, int n);
extern void cadence_marks_of_templates(CadenceMarks *marks, CadenceStep **steps, int n);

#endif
