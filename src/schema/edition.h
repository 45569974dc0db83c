/*
 * edition.h
 *		What edits of its cadence have left to a run (see record/edit.c).
 */
#ifndef CADENCE_EDITION_H
#define CADENCE_EDITION_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "schema/tables.h"

/* From which number on a run's steps are still to come, where an edit has said so; rubbish is none.
 */
#define EDITION_PENDING(edition)                                                              \
	"CASE WHEN " edition " " JSON_TEXT " 'pendente' OPERATOR(pg_catalog.~) '^-?[0-9]{1,9}$' " \
	"THEN (" edition " " JSON_TEXT " 'pendente')::int4 END"

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
extern Datum cadence_step_names(const NumberedStep *step);
extern bool cadence_edition_pending(const Jsonb *edition, int *from);
extern char *cadence_edition_is_over(const CadenceTables *tables, const char *run);
extern char *cadence_edition_column(const CadenceTables *tables, const char *run);

/* In SQL: whether a run has not had a step. */
#define NOT_HAD(step, run) "(" step ".id " EQ " ANY (" run ".passos_enviados)) IS NOT TRUE"

/* In SQL, of a run with its effective edition: the ids by which its step is known in events. */
#define STEP_NAMES(step, edition)                                                                 \
	"CASE WHEN " edition " IS NOT NULL THEN ARRAY(SELECT " step ".id::text UNION ALL "            \
	"SELECT v.id FROM pg_catalog.jsonb_array_elements_text(CASE WHEN " edition " " JSON_TEXT      \
	" 'passo' " EQ " " step ".id::text THEN COALESCE(" edition " OPERATOR(pg_catalog.->) 'era', " \
	"'[]') ELSE '[]' END) AS v(id)) END"

#endif
