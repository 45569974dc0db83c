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

#include "access/tupdesc.h"
#include "fmgr.h"

#define CADENCE_TABLE_COUNT 28

/* see guard.c */
typedef struct CadenceGuard CadenceGuard;

typedef struct CadenceTables
{
	Oid schema;
	Oid runs_oid;
	Oid oids[CADENCE_TABLE_COUNT];			/* of all that are worked on */
	TupleDesc columns[CADENCE_TABLE_COUNT]; /* of these, as the gate found them */
	Oid arming_oid;
	Oid owner; /* of the runs */
	CadenceGuard *guard;
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
	char *sender_states;
	char *conversations;
	char *opt_outs;
	char *dead_addresses;
	char *stopped_templates;
	char *rejected;
	char *identities;
	char *opt_out_words;
	char *blocklist;
	char *keys;
	char *outbox;
	char *holidays;
	char *usage;
	char *deltas;
	char *counts;
	char *cohorts;
	char *stock;
	char *secrets;
	char *arming;

	/* types that values are written as: text in our own tables, perhaps enums in adopted ones */
	char *run_status_type;
	char *event_type_type;
	bool event_knows_reply; /* false: that is an enum without RESPOSTA_DETECTADA */
	char *message_empresa_type;
	char *message_canal_type;
	bool message_knows_uncertain; /* false: its estado is an enum without INCERTO */
	bool message_knows_delivered; /* likewise ENTREGUE, */
	bool message_knows_read;	  /* LIDO */
	bool message_knows_failed;	  /* and ERRO */
	char *log_trigger_type;
	bool log_knows_worker; /* false: that is an enum without WORKER */
} CadenceTables;

typedef struct CadenceTable
{
	const char *name;
	size_t field; /* where CadenceTables has its qualified name */
	bool is_written;
	const char *kinds; /* of its columns, for the gate */
} CadenceTable;

/* as in oids, and then cadence_arming */
extern const CadenceTable cadence_table_list[CADENCE_TABLE_COUNT + 1];

/* Who somebody was before. */
typedef struct CadenceCaller
{
	Oid user;
	int security;
	int guc_level;
} CadenceCaller;

extern Oid cadence_extension_schema(void);
extern CadenceTables *cadence_tables_load(Oid schema);
extern const char *cadence_tables_missing(Oid schema);
extern Oid cadence_catalog_oid(int cache, Oid object, AttrNumber column);
extern Oid cadence_relation_owner(Oid relation);
extern bool cadence_column_is_required(Oid relation, const char *column);
extern char *cadence_value_or(Oid relation, const char *column, const char *value,
							  const char *otherwise);
extern bool cadence_contacts_have_e164(const CadenceTables *tables);

/* tables_cache.c */
extern const CadenceTables *cadence_tables_cached(void);

/* What one function makes of a session's tables, for those that were used last: statements. */
typedef struct TablesCompanion
{
	const CadenceTables *tables;
	void *made;
} TablesCompanion;

extern void *cadence_query_companion(FunctionCallInfo fcinfo,
									 void *(*make)(const CadenceTables *tables));
extern void *cadence_tables_companion(TablesCompanion *companion, const CadenceTables *tables,
									  void *(*make)(const CadenceTables *tables));

extern void cadence_owner_check_connect(Oid owner);
extern CadenceCaller cadence_owner_begin(Oid owner);
extern void cadence_owner_end(CadenceCaller caller);

/* gate.c */
extern bool cadence_gate_trusts(Oid owner, Oid role);
extern void cadence_gate_open(CadenceTables *tables);
extern void cadence_gate_check(const CadenceTables *tables);
extern void cadence_gate_look(const CadenceTables *tables, int table);

/* guard.c */
extern CadenceGuard *cadence_guard_create(const CadenceTables *tables);
extern void cadence_guard_lock(const CadenceTables *tables);
extern void cadence_guard_wait(const CadenceTables *tables);

/* arming.c */
extern void cadence_arming_preload(void);
extern const char *cadence_arming_problem(const CadenceTables *tables);
extern void cadence_arming_check(const CadenceTables *tables);

#endif
