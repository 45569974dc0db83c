/*
 * outbox.h
 *		News for other tools: rows of cadence_outbox, and what becomes of them.
 */
#ifndef CADENCE_OUTBOX_H
#define CADENCE_OUTBOX_H

#include "postgres.h"

#include "schema/tables.h"
#include "step.h"

typedef struct CadenceOutbox CadenceOutbox;

typedef struct CadenceNews
{
	const char *event;
	const char *empresa; /* NULL: its run's */
	const char *lead_id;
	const pg_uuid_t *run_id; /* NULL: none */
	Datum details;			 /* jsonb */
} CadenceNews;

extern CadenceOutbox *cadence_outbox_create(const CadenceTables *tables);
extern bool cadence_outbox_is_heard(const CadenceOutbox *outbox);
extern void cadence_outbox_write(CadenceOutbox *outbox, const CadenceNews *list, int n);
extern void cadence_outbox_finished(CadenceOutbox *outbox, const pg_uuid_t *run_id);
extern void cadence_outbox_steps(CadenceOutbox *outbox, CadenceStep **steps, int n);
extern void cadence_outbox_settle(CadenceOutbox *outbox, CadenceStep **steps, int n);
extern bool cadence_outbox_prune(const CadenceTables *tables, TimestampTz before, int most);

#endif
