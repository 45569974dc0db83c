/*
 * exits.h
 *		The owner's own views cadence_exits and cadence_skips: which runs are to end,
 *		and which steps are to be passed by.
 */
#ifndef CADENCE_EXITS_H
#define CADENCE_EXITS_H

#include "postgres.h"

#include "utils/uuid.h"

#include "schema/tables.h"

/* A run that is asked about, and what was answered. */
typedef struct ExitAsked
{
	const pg_uuid_t *run;
	bool has_step; /* only then a step may be passed by */
	int ordem;

	bool exits;
	bool skips;
	char *motivo;		 /* of either; NULL: none */
	const char *problem; /* NULL, or why a view could not be asked: then nothing is known */
} ExitAsked;

typedef struct CadenceExits CadenceExits;

extern CadenceExits *cadence_exits_create(const CadenceTables *tables, bool in_query);
extern bool cadence_exits_exist(CadenceExits *exits);
extern void cadence_exits_ask(CadenceExits *exits, ExitAsked *asked, int n);
extern const char *cadence_exits_problem(CadenceExits *exits);

#endif
