/*
 * event.h
 *		The column "detalhes" of an event, from a step that has ended.
 */
#ifndef CADENCE_EVENT_H
#define CADENCE_EVENT_H

#include "step.h"

extern Datum event_sent_details(const CadenceStep *step);
extern Datum event_scheduled_details(const CadenceStep *step);
extern Datum event_error_details(const CadenceStep *step);

#endif
