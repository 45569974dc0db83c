/*
 * position.h
 *		What all runs have in common that stand before the same step of a cadence,
 *		for the same company.
 */
#ifndef CADENCE_POSITION_H
#define CADENCE_POSITION_H

#include "postgres.h"

#include "utils/uuid.h"

#include "schema/tables.h"

struct CadenceTemplate;

typedef struct CadencePosition
{
	/* which one; where a run has no such value, NULL and false */
	const pg_uuid_t *cadence_id;
	bool has_next_step_ordem;
	int next_step_ordem;
	const char *empresa;

	/* what is there; texts may be NULL */
	bool has_cadence;
	bool is_active;
	bool has_step;
	int ordem;
	char *canal;
	char *template_codigo;
	bool has_next;
	int next_ordem;
	int next_offset;
	char *next_template;
	bool has_template;
	bool template_is_active;
	char *template_text;
	char *empresa_nome;

	struct CadenceTemplate *template; /* template_text, parsed when it is first needed */
} CadencePosition;

typedef struct CadencePositions CadencePositions;

extern CadencePositions *cadence_positions_create(const CadenceTables *tables, bool in_query);
extern void cadence_positions_find(CadencePositions *positions, CadencePosition **wanted, int n);

#endif
