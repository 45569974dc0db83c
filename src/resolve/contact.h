/*
 * contact.h
 *		The contacts of steps: whoever a message is for.
 */
#ifndef CADENCE_CONTACT_H
#define CADENCE_CONTACT_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

#include "schema/tables.h"
#include "step.h"

/* Where the contact's own columns begin, in the rows of cadence_contacts_find(). */
#define CONTACT_FIRST_COLUMN 2

/* Columns of the contact that mean something to us, by number; 0: it has none. */
typedef struct ContactColumns
{
	TupleDesc desc;
	int nome;
	int primeiro_nome;
	int email;
	int telefone;
	int opt_out;
	int opt_out_motivo;
} ContactColumns;

typedef struct CadenceContacts CadenceContacts;

/* Column 0 stands for one that is not there: null. */
extern char *row_text(TupleDesc desc, HeapTuple row, int column);
extern int row_int(TupleDesc desc, HeapTuple row, int column, int otherwise);
extern bool row_true(TupleDesc desc, HeapTuple row, int column);
extern bool row_is_null(TupleDesc desc, HeapTuple row, int column);

extern int contact_column(TupleDesc desc, const char *name, size_t len);

extern CadenceContacts *cadence_contacts_create(const CadenceTables *tables, bool in_query);
extern void cadence_contacts_find(CadenceContacts *contacts, CadenceStep **steps, int n,
								  ContactColumns *columns, HeapTuple *rows);

#endif
