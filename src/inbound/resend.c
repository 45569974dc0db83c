/*
 * resend.c
 *		A message that was accepted has failed, and may be sent again: where the
 *		server's on_late_failure says so, its step is the run's next one once more.
 *
 * Once for a step, whatever becomes of that, and only if nothing was sent since, by
 * hand neither, and nobody has answered. Whether it may still be sent is then looked at
 * as for any step. What arrives after all is not sent again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/settings.h"
#include "base/transaction.h"
#include "inbound/acts.h"
#include "record/settle.h"
#include "schema/key.h"

#define RESENT "REENVIADO"
#define ARRIVED "ENTREGUE"

struct InboundResends
{
	Statement is_over;
	Statement is_due; /* the step before which a run stands, and was sent before */
};

static const Oid types[] = {UUIDOID, INT4OID, UUIDOID, BOOLOID};

/* That it is to be sent again, once. */
static char *
resent_sql(const CadenceTables *t)
{
	return psprintf("EXISTS (SELECT FROM %s AS e WHERE e.lead_cadence_run_id " EQ " $1 "
					"AND e.step_ordem " EQ " $2 AND e.detalhes " JSON_TEXT " 'decidido' " EQ
					" '" RESENT "')",
					t->events);
}

/*
 * Or that the run's cadence was edited since, and the step that has that number now is
 * not the one that was sent last.
 */
static char *
is_another_sql(const CadenceTables *t)
{
	return psprintf("EXISTS (SELECT FROM %s AS r WHERE r.id " EQ " $1 AND r.edicao IS NOT NULL "
					"AND (SELECT x.step_ordem FROM %s AS x WHERE x.lead_cadence_run_id " EQ
					" $1 AND x.tipo_evento " EQ " 'DISPARADO' ORDER BY x.created_at DESC, "
					"x.id DESC LIMIT 1) IS DISTINCT FROM $2)",
					t->runs, t->events);
}

/* In the current memory context. */
struct InboundResends *
inbound_resends_create(const CadenceTables *t)
{
	struct InboundResends *r = palloc0(sizeof(*r));

	r->is_over = STATEMENT(
		"looking whether a message is to be sent again",
		psprintf("SELECT %s OR %s OR EXISTS (SELECT FROM %s AS o, %s AS m WHERE o.id " EQ " $3 "
				 "AND %s AND %s AND (m.recebido_em " GE " COALESCE(o.enviado_em, o.created_at) "
				 "OR ($4 AND m.run_id IS NULL AND m.direcao " EQ " 'OUTBOUND' "
				 "AND COALESCE(m.enviado_em, m.created_at) " GE
				 " COALESCE(o.enviado_em, o.created_at))))",
				 resent_sql(t), is_another_sql(t), t->messages, t->messages,
				 cadence_key_is(t, "lead_messages", "m", "lead_id", "o.lead_id"),
				 cadence_key_is(t, "lead_messages", "m", "empresa", "o.empresa")),
		types, SPI_OK_SELECT);
	r->is_due = STATEMENT("looking whether a message that has arrived is to be sent again",
						  psprintf("SELECT EXISTS (SELECT FROM %s AS r WHERE r.id " EQ " $1 "
								   "AND r.next_step_ordem " EQ " $2 AND r.last_step_ordem " EQ
								   " $2 AND r.claim_id IS NULL) AND %s",
								   t->runs, resent_sql(t)),
						  types, SPI_OK_SELECT);
	r->is_due.nargs = 2;
	r->is_over.latest = r->is_due.latest = true;
	return r;
}

static bool
says(const InboundEvent *e, Statement *look, const InboundMessage *message)
{
	Datum values[] = {UUIDPGetDatum(&message->run_id), Int32GetDatum(message->ordem),
					  UUIDPGetDatum(&message->id),
					  BoolGetDatum(!inbound_server_says(e, "on_echo", "ignore"))};
	bool is_so;

	statement_execute(look, values, NULL, 1);
	is_so = row_true(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1);
	SPI_freetuptable(SPI_tuptable);
	return is_so;
}

static void
write_event(const InboundEvent *e, const LockedRun *run, TimestampTz due, const char *decision)
{
	CadenceEvent event = {.run_id = &run->id,
						  .has_ordem = true,
						  .ordem = run->next_ordem,
						  .template_codigo = run->next_template,
						  .type = "AGENDADO",
						  .detalhes = event_scheduled_details(due, decision)};

	cadence_events_write(e->acts->events, &event, 1);
}

typedef struct Resending
{
	const InboundEvent *e;
	const InboundMessage *message;
} Resending;

/* A run that waits for somebody, or has ended otherwise, stays as it is. */
static void
resend(void *arg, int first, int n)
{
	const InboundEvent *e = ((Resending *) arg)->e;
	const InboundMessage *message = ((Resending *) arg)->message;
	LockedRun run;
	RunTransition to;

	if (!cadence_run_lock(e->acts->mover, &message->run_id, &run) || !run.has_last ||
		run.last_ordem != message->ordem || says(e, &e->acts->resends->is_over, message))
		return;
	to = cadence_run_transition(&run, ACT_RESEND,
								GetCurrentTransactionStartTimestamp() +
									cadence_retry_dispatch * USECS_PER_SEC);
	if (to.refusal != REFUSAL_NONE)
		return;
	run.has_ordem = run.in.has_next = true;
	run.ordem = run.next_ordem = message->ordem;
	run.next_template = NULL;
	cadence_run_move(e->acts->mover, &run, &to);
	write_event(e, &run, to.next_due, RESENT);
}

/*
 * Somebody else may have made the lead active in that cadence since we looked, as the
 * index knows: then it is not sent again, but that it has failed is not undone.
 */
void
inbound_resend(const InboundEvent *e, const InboundMessage *message)
{
	Resending resending = {e, message};
	ErrorData *error;

	if (!message->has_step || !inbound_server_says(e, "on_late_failure", "resend"))
		return;
	error = cadence_try(resend, &resending, 0, 1, false);
	if (error != NULL && !cadence_is_active_twice(error))
		ThrowErrorData(error);
}

/*
 * A message has arrived, whatever was told of it before. Looked at without a lock
 * first, since nearly none is to be sent again; but after its row was written, which
 * waits for whoever says that it has failed. What is under way is not stopped.
 */
void
inbound_not_again(const InboundEvent *e, const InboundMessage *message)
{
	LockedRun run;
	RunTransition to;

	if (!message->has_step || !says(e, &e->acts->resends->is_due, message) ||
		!cadence_run_lock(e->acts->mover, &message->run_id, &run) || !run.has_ordem ||
		run.ordem != message->ordem || !run.has_last || run.last_ordem != message->ordem)
		return;
	to = cadence_run_transition(&run, ACT_ARRIVED, GetCurrentTransactionStartTimestamp());
	if (to.refusal != REFUSAL_NONE)
		return;
	cadence_run_move(e->acts->mover, &run, &to);
	if (to.has_due)
		write_event(e, &run, to.next_due, ARRIVED);
}
