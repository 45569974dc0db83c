/*
 * mark.h
 *		Marks: what an answer says about a person, an address or a template, for
 *		later runs.
 */
#ifndef CADENCE_MARK_H
#define CADENCE_MARK_H

#include "postgres.h"

#include "schema/tables.h"
#include "step.h"

typedef struct CadenceMarker CadenceMarker;

extern CadenceMarker *cadence_marker_create(const CadenceTables *tables);
extern bool cadence_marks_any(const CadenceStep *step);
extern void cadence_marks_write(CadenceMarker *marker, CadenceStep **steps, int n);

#endif
