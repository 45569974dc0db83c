/*
 * check_parts.h
 *		A cadence that is checked, and what may be wrong with it.
 */
#ifndef CADENCE_CHECK_PARTS_H
#define CADENCE_CHECK_PARTS_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "rules/calendar.h"
#include "rules/window.h"
#include "schema/tables.h"
#include "step.h"

typedef enum Problem
{
	PROBLEM_NO_STEPS,
	PROBLEM_INACTIVE,
	PROBLEM_REENTRY,
	PROBLEM_ZONE,
	PROBLEM_COUNTRY,
	PROBLEM_WINDOW,
	PROBLEM_NEVER_OPENS,
	PROBLEM_SAME_NUMBER,
	PROBLEM_HOLE,
	PROBLEM_NEGATIVE,
	PROBLEM_REFERENCE,
	PROBLEM_IF_IT_FAILS,
	PROBLEM_NOT_ASCENDING,
	PROBLEM_CHANNEL,
	PROBLEM_NO_SERVER,
	PROBLEM_NO_TEMPLATE,
	PROBLEM_OTHER_CHANNEL,
	PROBLEM_TEMPLATE_INACTIVE,
	PROBLEM_TEMPLATE,
	PROBLEM_NEVER_VALID,
	PROBLEM_TIME_OUTSIDE
} Problem;

/* A step as its row says it, where that is not what a run's lookup reads. */
typedef struct CheckedStep
{
	CadenceStep step; /* as a run would stand before it */
	StepTime time;
	bool is_again; /* another has its number */
	char *reference;
	char *if_it_fails;
} CheckedStep;

typedef struct Check
{
	const CadenceTables *tables;
	ReturnSetInfo *set;
	bool in_portuguese;
	pg_uuid_t cadence;
	char *empresa;
	bool is_enabled;
	char *reentry;
	CheckedStep *steps;
	int n;
	const Window *window; /* NULL: always open */
	Calendar calendar;	  /* the company's */
} Check;

/* check_read.c */
extern void check_read(Check *check, const char *codigo, const char *empresa);

/* check_problems.c */
extern void check_report(const Check *check, const CheckedStep *step, Problem problem,
						 const char *about);

#endif
