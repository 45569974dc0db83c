/*
 * tables.h
 *		The tables of one installation: their qualified names, their owner, and
 *		the types that an adopted table may have chosen for itself.
 *
 * Every statement is built from this struct.
 */
#ifndef CADENCE_TABLES_H
#define CADENCE_TABLES_H

#include "postgres.h"

#include "nodes/pg_list.h"

#define CADENCE_TABLE_COUNT 10
#define CADENCE_TABLE_TEMPLATES 3
#define CADENCE_TABLE_EMPRESAS 7

typedef struct CadenceTables
{
	Oid schema;
	Oid runs_oid;
	Oid oids[CADENCE_TABLE_COUNT]; /* of all that are worked on */
	List *columns;				   /* of these, as the gate found them */
	Oid arming_oid;
	Oid owner; /* of the runs */
	char *schema_name;

	/* qualified and quoted */
	char *cadences;
	char *steps;
	char *contacts;
	char *templates;
	char *runs;
	char *events;
	char *messages;
	char *empresas;
	char *logs;
	char *claims;
	char *arming;

	/* types that values are written as: text in our own tables, perhaps enums in adopted ones */
	char *run_status_type;
	char *event_type_type;
	char *message_empresa_type;
	char *message_canal_type;
	char *message_direcao_type;
	char *message_estado_type;
	char *log_trigger_type;
	bool log_knows_worker; /* false: that is an enum without WORKER */
} CadenceTables;

/* as in oids, and then cadence_arming */
extern const char *const cadence_table_names[];

extern const char *cadence_tables_missing(Oid schema);
extern CadenceTables *cadence_tables_load(Oid schema);
extern Oid cadence_tables_owner(Oid relation);

#endif
