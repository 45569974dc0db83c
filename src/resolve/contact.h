/*
 * contact.h
 *		The contacts of steps: whoever a message is for.
 */
#ifndef CADENCE_CONTACT_H
#define CADENCE_CONTACT_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "nodes/pg_list.h"

#include "schema/tables.h"
#include "step.h"

/* Columns of the contact that mean something to us, by number; 0: it has none. */
typedef struct ContactColumns
{
	TupleDesc desc;
	List *hidden; /* names that no placeholder may show */
	int lead_id;
	int empresa;
	int nome;
	int primeiro_nome;
	int email;
	int email_placeholder;
	int telefone;
	int telefone_e164;
	int opt_out;
	int opt_out_motivo;
	int fuso_horario;
	int uf;
} ContactColumns;

typedef struct CadenceContacts CadenceContacts;

extern int contact_column(const ContactColumns *columns, const char *name, size_t len);
extern bool contact_hides(const ContactColumns *columns, const char *name, size_t len);

extern CadenceContacts *cadence_contacts_create(const CadenceTables *tables, bool in_query);
extern void cadence_contacts_find(CadenceContacts *contacts, CadenceStep **steps, int n,
								  ContactColumns *columns, HeapTuple *rows);

#endif
