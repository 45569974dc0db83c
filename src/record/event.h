/*
 * event.h
 *		Events: what has happened to a run, for people to read.
 */
#ifndef CADENCE_EVENT_H
#define CADENCE_EVENT_H

#include "step.h"
#include "schema/tables.h"

typedef struct CadenceEvents CadenceEvents;

typedef struct CadenceEvent
{
	const pg_uuid_t *run_id;
	bool has_ordem;
	int ordem;
	const char *template_codigo; /* NULL: none */
	const char *type;			 /* AGENDADO, DISPARADO or ERRO */
	Datum detalhes;				 /* jsonb */
	TimestampTz said_since;		 /* not again if the last one says the same since then; 0: always */
	bool *is_written; /* an error: whether it was, for who counts it; NULL: counted here */
} CadenceEvent;

extern bool cadence_wait_grows(const CadenceStep *step);
extern CadenceEvents *cadence_events_create(const CadenceTables *tables);
extern void cadence_events_date(CadenceEvents *events, CadenceStep **steps, int n);
extern void cadence_events_write(CadenceEvents *events, const CadenceEvent *list, int n);

/* The column "detalhes", in the current memory context. */
extern Datum event_step_details(const CadenceStep *step);
extern Datum event_scheduled_details(TimestampTz due, const char *decision);
extern Datum event_unsent_details(TimestampTz due, const pg_uuid_t *step);
extern Datum event_cancelled_details(const char *motivo);
extern Datum event_settled_details(const Datum *uncertain);

#endif
