/*
 * edition.h
 *		What edits of its cadence have left to a run (see record/edit.c).
 */
#ifndef CADENCE_EDITION_H
#define CADENCE_EDITION_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/uuid.h"

/* From which number on a run's steps are still to come, where an edit has said so; rubbish is none.
 */
#define EDITION_PENDING(run)                                                              \
	"CASE WHEN " run ".edicao " JSON_TEXT                                                 \
	" 'pendente' OPERATOR(pg_catalog.~) '^-?[0-9]{1,9}$' THEN (" run ".edicao " JSON_TEXT \
	" 'pendente')::int4 END"

/* A run's column edicao is not longer. */
#define EDITION_MAX (16 * 1024)

/* A step as a run stands before it. */
typedef struct NumberedStep
{
	const pg_uuid_t *run;
	const pg_uuid_t *id; /* NULL: there is none */
	int ordem;
	const Jsonb *edition; /* NULL: its number is the one that it has always had */
} NumberedStep;

extern void cadence_step_key(const NumberedStep *step, pg_uuid_t *key);
extern Datum cadence_step_numbers(const NumberedStep *step);
extern bool cadence_edition_pending(const Jsonb *edition, int *from);
extern bool cadence_step_had_number(const NumberedStep *step, int ordem);

/* In SQL: whether a run has not had a step. */
#define NOT_HAD(step, run) "(" step ".id " EQ " ANY (" run ".passos_enviados)) IS NOT TRUE"

/* In SQL, of runs: all numbers of their step, which has the number that is given now. */
#define STEP_NUMBERS(step, run, ordem)                                                   \
	"ARRAY(SELECT v.n::int4 FROM pg_catalog.jsonb_array_elements_text(CASE WHEN " run    \
	".edicao " JSON_TEXT " 'passo' " EQ " " step ".id::text THEN COALESCE(" run          \
	".edicao OPERATOR(pg_catalog.->) 'numeros', '[]') ELSE '[]' END) AS v(n) UNION ALL " \
	"SELECT " ordem "::int4)"

#endif
