/*
 * marks.h
 *		How rows are found that remember what answers have said of people,
 *		addresses and templates: conditions for several statements.
 */
#ifndef CADENCE_MARKS_SQL_H
#define CADENCE_MARKS_SQL_H

#include "postgres.h"

#include "base/statement.h"
#include "schema/tables.h"

/* A channel or a category: words that are written in any case. */
#define MARK_WORD(text) "pg_catalog.upper((" text ")::pg_catalog.text COLLATE pg_catalog.\"C\")"

/* That a row of cadence_stopped_templates, known by that alias, is of the template and server of d.
 */
#define MARK_OF_TEMPLATE(m)                                                            \
	m ".codigo " EQ " d.codigo AND " m ".empresa " EQ " d.empresa AND " m ".canal " EQ \
	  " " MARK_WORD("d.canal") " AND " m ".servidor " EQ " d.servidor"

/* A mailbox that has refused so many mails in a row, each for the moment, counts as dead. */
#define SOFT_BOUNCES "5"

/* That a row of cadence_dead_addresses, known by that alias, says more than that it is counted. */
#define MARK_IS_DEAD(a) "COALESCE(" a ".devolucoes, " SOFT_BOUNCES ") " GE " " SOFT_BOUNCES

extern char *cadence_opt_out_is_of(const CadenceTables *tables, const char *alias,
								   const char *lead_id, const char *empresa);
extern char *cadence_opt_out_forbids(const char *alias, const char *canal, const char *categoria);

#endif
