/*
 * usage.h
 *		How much of each cap a day has had: rows of cadence_usage.
 */
#ifndef CADENCE_USAGE_H
#define CADENCE_USAGE_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "schema/tables.h"

/* What is counted for one cap. Texts are not NULL. */
typedef struct UsageRow
{
	const char *scope;
	const char *name;
	const char *empresa;
	int32 day;			 /* that it has counted last, of whomever it counts for */
	int used;			 /* of that day */
	TimestampTz last_at; /* 0: never */
	bool is_changed;
} UsageRow;

/* What was taken and not used. */
typedef struct UsageReturn
{
	const UsageRow *row;
	int n;				  /* so many; 0: only the time is corrected */
	TimestampTz taken_at; /* when the message was to leave; 0: that is not noted */
	TimestampTz before;	  /* what last_at becomes instead; 0: never */
} UsageReturn;

typedef struct CadenceUsages CadenceUsages;

extern int cadence_usage_compare(const UsageRow *a, const UsageRow *b);
extern CadenceUsages *cadence_usages_create(const CadenceTables *tables, bool in_query);
extern void cadence_usages_find(CadenceUsages *usages, UsageRow **rows, int n);
extern void cadence_usage_begin_day(UsageRow *row, int32 day);
extern void cadence_usages_write(CadenceUsages *usages, UsageRow **rows, int n);
extern void cadence_usages_return(CadenceUsages *usages, const UsageReturn *returns, int n);

#endif
