/*
 * resend.c
 *		A message that was accepted has failed, and may be sent again: where the
 *		server's on_late_failure says so, its step is the run's next one once more.
 *
 * Once for a step, whatever becomes of that, and only if nothing was sent since, and
 * nobody has answered. Whether it may still be sent is then looked at as for any step.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/settings.h"
#include "inbound/acts.h"
#include "record/settle.h"
#include "schema/key.h"

#define RESENT "REENVIADO"

struct InboundResends
{
	Statement is_over;
};

static const Oid types[] = {UUIDOID, INT4OID, UUIDOID};

/* In the current memory context. */
struct InboundResends *
inbound_resends_create(const CadenceTables *t)
{
	struct InboundResends *r = palloc0(sizeof(*r));

	r->is_over = STATEMENT(
		"looking whether a message is to be sent again",
		psprintf("SELECT EXISTS (SELECT FROM %s AS e WHERE e.lead_cadence_run_id " EQ " $1 "
				 "AND e.step_ordem " EQ " $2 AND e.detalhes " JSON_TEXT " 'decidido' " EQ
				 " '" RESENT "') OR EXISTS (SELECT FROM %s AS o, %s AS m WHERE o.id " EQ " $3 "
				 "AND %s AND %s AND m.recebido_em " GE " COALESCE(o.enviado_em, o.created_at))",
				 t->events, t->messages, t->messages,
				 cadence_key_is(t, "lead_messages", "m", "lead_id", "o.lead_id"),
				 cadence_key_is(t, "lead_messages", "m", "empresa", "o.empresa")),
		types, SPI_OK_SELECT);
	r->is_over.latest = true;
	return r;
}

/* It was sent again before, or its person has written since. */
static bool
is_over(const InboundEvent *e, const InboundMessage *message)
{
	Datum values[] = {UUIDPGetDatum(&message->run_id), Int32GetDatum(message->ordem),
					  UUIDPGetDatum(&message->id)};
	bool over;

	statement_execute(&e->acts->resends->is_over, values, NULL, 1);
	over = row_true(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1);
	SPI_freetuptable(SPI_tuptable);
	return over;
}

static void
write_event(const InboundEvent *e, const InboundMessage *message, TimestampTz due)
{
	CadenceEvent event = {.run_id = &message->run_id,
						  .has_ordem = true,
						  .ordem = message->ordem,
						  .type = "AGENDADO",
						  .detalhes = event_scheduled_details(due, RESENT)};

	cadence_events_write(e->acts->events, &event, 1);
}

/* A run that waits for somebody, or has ended otherwise, stays as it is. */
void
inbound_resend(const InboundEvent *e, const InboundMessage *message)
{
	LockedRun run;
	RunTransition to;

	if (!message->has_step || !inbound_server_says(e, "on_late_failure", "resend") ||
		!cadence_run_lock(e->acts->mover, &message->run_id, &run) || !run.has_last ||
		run.last_ordem != message->ordem || is_over(e, message))
		return;
	to = cadence_run_transition(&run, ACT_RESEND,
								GetCurrentTransactionStartTimestamp() +
									cadence_retry_dispatch * USECS_PER_SEC);
	if (to.refusal != REFUSAL_NONE)
		return;
	run.has_ordem = run.in.has_next = true;
	run.ordem = run.next_ordem = message->ordem;
	cadence_run_move(e->acts->mover, &run, &to);
	write_event(e, message, to.next_due);
}
