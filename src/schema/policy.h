/*
 * policy.h
 *		What cadences, their steps and companies say about when and whether.
 */
#ifndef CADENCE_POLICY_H
#define CADENCE_POLICY_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

#include "rules/due.h"
#include "rules/window.h"

/* So many columns are read by the functions below. */
#define STEP_TIME_NCOLUMNS 4
#define POLICY_NCOLUMNS 12

typedef struct CadencePolicy
{
	const Window *window; /* NULL: always */
	bool window_unknown;  /* what is written there is none */
	int64 spread_us;
	int priority;
	const char *zone; /* the company's; NULL: it says none */
	const char *uf;

	/* 0: any number */
	int max_of_cadence;
	int max_new;
	int max_of_person;
	int max_of_company;
	int64 min_gap_us;
} CadencePolicy;

/* Whether something depends on the people's or the company's time. */
static inline bool
cadence_policy_counts_days(const CadencePolicy *p)
{
	return p->max_of_cadence != 0 || p->max_new != 0 || p->max_of_person != 0 ||
		   p->max_of_company != 0;
}

extern char *cadence_step_time_columns(const char *step);
extern char *cadence_policy_columns(const char *cadence, const char *empresa);
extern int64 cadence_interval_us(TupleDesc desc, HeapTuple row, int column, int64 otherwise);
extern void cadence_step_time_read(TupleDesc desc, HeapTuple row, int first, StepTime *time);
extern void cadence_policy_read(TupleDesc desc, HeapTuple row, int first, CadencePolicy *policy);

#endif
