/*
 * due.h
 *		When a step is due.
 */
#ifndef CADENCE_DUE_H
#define CADENCE_DUE_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/calendar.h"

/* What a row of cadence_steps says of its time. */
typedef struct StepTime
{
	int offset;		 /* minutes */
	bool from_start; /* they count from the run's beginning, else from the step before */
	bool has_time;
	int64_t time;	   /* microseconds after midnight, local */
	bool working_days; /* whole days of the offset are working days */
} StepTime;

extern bool step_needs_calendar(const StepTime *step);
extern int64_t step_due(const StepTime *step, int64_t previous, int64_t start, int64_t not_before,
						const Calendar *calendar);

#endif
