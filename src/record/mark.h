/*
 * mark.h
 *		Marks: what an answer says about a person, an address or a template, for
 *		later runs.
 */
#ifndef CADENCE_MARK_H
#define CADENCE_MARK_H

#include "postgres.h"

#include "rules/address_key.h"
#include "schema/tables.h"
#include "step.h"

typedef struct CadenceMarker CadenceMarker;

/* An address that takes no messages, or did not this time. */
typedef struct FailedAddress
{
	char key[ADDRESS_KEY_SIZE];
	const char *canal; /* in capital letters */
	const char *empresa;
	const char *reason;
	const char *source; /* who says so */
} FailedAddress;

extern CadenceMarker *cadence_marker_create(const CadenceTables *tables);
extern bool cadence_marks_any(const CadenceStep *step);
extern void cadence_marks_write(CadenceMarker *marker, CadenceStep **steps, int n);
extern int cadence_marks_failed(CadenceMarker *marker, const FailedAddress *list, int n,
								bool are_dead);

#endif
