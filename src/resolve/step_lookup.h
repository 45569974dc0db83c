/*
 * step_lookup.h
 *		What all runs have in common that stand before the same step of a cadence,
 *		for the same company.
 */
#ifndef CADENCE_STEP_LOOKUP_H
#define CADENCE_STEP_LOOKUP_H

#include "postgres.h"

#include "schema/policy.h"
#include "schema/tables.h"
#include "step.h"

typedef struct CadenceStepLookup
{
	const CadenceStep *step; /* one that stands there */
	char *key;				 /* the same for all that do */

	/* what is there; texts may be NULL */
	bool has_cadence;
	bool is_active;
	bool has_step;
	pg_uuid_t step_id;
	int ordem;
	char *canal;
	char *template_codigo;
	bool has_next;
	pg_uuid_t next_id;
	int next_ordem;
	StepTime next_time;
	char *next_template;
	bool has_template;
	bool template_is_active;
	char *template_version;
	bool template_is_too_long;
	bool template_has_no_room;		 /* now */
	char *texts[TEMPLATE_TEXTS_MAX]; /* of the template, by template_fields */
	char *empresa_nome;
	char *pais;
	int64 valid_for_us;
	bool goes_on;
	StepTime time;
	CadencePolicy policy;

	CadencePool *pool;		   /* who may serve it */
	CadenceTemplate *template; /* its texts, parsed when they are first needed */
} CadenceStepLookup;

/* A template's texts: what they are in its row, and in a message. */
typedef struct TemplateField
{
	const char *sql; /* of the row x */
	MessageField field;
	TemplateEscape escape;
} TemplateField;

extern const TemplateField template_fields[TEMPLATE_TEXTS_MAX];

typedef struct CadenceStepLookups CadenceStepLookups;

/* What is longer counts as large: it waits where a batch has no room for more. */
#define LARGE_TEXT (4 * 1024)

extern bool step_lookup_has_room(void);
extern bool step_lookup_has_approved(const CadenceStepLookup *found);
extern char *step_lookup_category(const CadenceStepLookup *found);

extern CadenceStepLookups *cadence_step_lookups_create(const CadenceTables *tables, bool in_query);
extern void cadence_step_lookups_find(CadenceStepLookups *lookups, CadenceStep **steps, int n,
									  CadenceStepLookup **found);

#endif
