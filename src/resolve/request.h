/*
 * request.h
 *		A resolved step's request: which operation of its protocol, and the values
 *		that its placeholders name.
 */
#ifndef CADENCE_STEP_REQUEST_H
#define CADENCE_STEP_REQUEST_H

#include "postgres.h"

#include "step.h"

extern char *step_request_problem(CadenceStep *step);
extern bool step_request_is_template(const CadenceStep *step);
extern bool step_key_has_expired(const CadenceStep *step, TimestampTz now);
extern bool step_request_make(CadenceStep *step);

#endif
