/*
 * added_parts.h
 *		Runs that this transaction has brought to a step, noted until it commits.
 */
#ifndef CADENCE_ADDED_PARTS_H
#define CADENCE_ADDED_PARTS_H

#include "postgres.h"

#include "access/xact.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* So many runs of a subtransaction that are alike. */
typedef struct Noted
{
	SubTransactionId subxact;
	Oid relation;
	pg_uuid_t cadence;
	bool has_step; /* that they have had */
	pg_uuid_t step;
	bool has_ordem; /* or before which they stand */
	int32 ordem;
	const char *empresa;
	TimestampTz began; /* a quarter of an hour is of one day everywhere */
	int64 n;
} Noted;

/* added_noted.c */
extern void added_note(Noted one);
extern const char *added_company(const char *name);
extern bool added_any(void);
extern const Noted *added_noted(int *n);
extern void added_end_part(SubXactEvent event, SubTransactionId mine, SubTransactionId parent);
extern void added_forget(void);

/* added_count.c */
extern void added_count(void);

#endif
