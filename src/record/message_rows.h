/*
 * message_rows.h
 *		The rows of messages: one for each that was sent, or may have been.
 */
#ifndef CADENCE_MESSAGE_ROWS_H
#define CADENCE_MESSAGE_ROWS_H

#include "step.h"
#include "schema/tables.h"

typedef struct CadenceMessageRows CadenceMessageRows;

extern CadenceMessageRows *cadence_message_rows_create(const CadenceTables *tables);
extern void cadence_message_rows_write(CadenceMessageRows *m, CadenceStep **steps, int n);
extern void cadence_message_row_settle(CadenceMessageRows *m, const pg_uuid_t *run_id,
									   const pg_uuid_t *key, bool sent, TimestampTz at);

#endif
