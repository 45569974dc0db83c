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
	int32 day;			 /* that is now, of whomever it counts for */
	int used;			 /* of that day */
	TimestampTz last_at; /* 0: never */
	bool is_changed;
} UsageRow;

/* What was taken and not used. */
typedef struct UsageReturn
{
	const UsageRow *row;
	int n;
	TimestampTz taken_at; /* when the message was to leave */
	TimestampTz before;	  /* and last_at before that; 0: never */
} UsageReturn;

typedef struct CadenceUsages CadenceUsages;

extern int cadence_usage_compare(const UsageRow *a, const UsageRow *b);
extern CadenceUsages *cadence_usages_create(const CadenceTables *tables, bool in_query);
extern void cadence_usages_find(CadenceUsages *usages, UsageRow **rows, int n);
extern void cadence_usages_write(CadenceUsages *usages, UsageRow **rows, int n);
extern void cadence_usages_return(CadenceUsages *usages, const UsageReturn *returns, int n);

#endif
