/*
 * receipt.c
 *		What became of a message of ours, as its provider tells.
 *
 * A state goes forward only, and its first time counts: what comes in any order, or
 * twice, comes to the same. A message that was read was delivered, and one that was
 * delivered had not failed. An attempt of which nobody knew is settled by it, as by
 * cadence_settle(), under its run's lock; a run that has gone on stays where it is.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "inbound/acts.h"
#include "record/settle.h"

struct InboundReceipts
{
	Statement note[STATE_FAILED + 1];
	Statement claims; /* whether there are any */
	Statement before; /* what was told of a message before */
	Statement lock;	  /* the same, and its row is locked */
};

enum
{
	BEFORE_DELIVERED = 1,
	BEFORE_READ,
	BEFORE_STATE
};

static const Oid before_types[] = {UUIDOID};

static const Oid note_types[] = {UUIDOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};

/* ---- statements ---------------------------------------------------------------------- */

/* From these a state goes on to another; "" stands for none. */
static char *
comes_from(const char *states)
{
	return psprintf("COALESCE(m.estado::pg_catalog.text, '') " EQ " ANY ('{\"\",%s}'::"
					"pg_catalog.text[])",
					states);
}

/* An adopted column may lack the word: then the time alone says it. */
static char *
state_sql(const char *from, const char *state, bool known)
{
	if (!known)
		return pstrdup("");
	return psprintf("estado = CASE WHEN %s THEN '%s' ELSE m.estado END, ", from, state);
}

#define NO_FAILURE                                                                \
	"erro_detalhe = CASE WHEN m.estado::pg_catalog.text " EQ " 'ERRO' THEN NULL " \
	"ELSE m.erro_detalhe END, "

/* The first time counts, whenever it is told. */
#define IS_EARLIER(column) "(" column " IS NULL OR " column " " GT " $2)"

/* What was found by our key alone gets its provider's id now. */
#define IDS                                                       \
	"whatsapp_message_id = COALESCE(m.whatsapp_message_id, $4), " \
	"email_message_id = COALESCE(m.email_message_id, $5), "       \
	"sms_message_id = COALESCE(m.sms_message_id, $6), updated_at = " NOW
#define LACKS_ID                                          \
	"($4 IS NOT NULL AND m.whatsapp_message_id IS NULL) " \
	"OR ($5 IS NOT NULL AND m.email_message_id IS NULL) " \
	"OR ($6 IS NOT NULL AND m.sms_message_id IS NULL)"

static char *
note_sql(const CadenceTables *t, const char *set, const char *changes)
{
	return psprintf("UPDATE %s AS m SET %s " IDS " WHERE m.id " EQ " $1 AND (%s OR " LACKS_ID ")",
					t->messages, set, changes);
}

static char *
sent_sql(const CadenceTables *t)
{
	char *from = comes_from("INCERTO");

	return note_sql(
		t,
		psprintf("%senviado_em = COALESCE(m.enviado_em, $2), ", state_sql(from, "ENVIADO", true)),
		psprintf("%s OR m.enviado_em IS NULL", from));
}

static char *
delivered_sql(const CadenceTables *t)
{
	bool known = t->message_knows_delivered;
	char *from = comes_from("INCERTO,ENVIADO,ERRO");

	return note_sql(
		t,
		psprintf("%s" NO_FAILURE "entregue_em = LEAST(m.entregue_em, $2), ",
				 state_sql(from, "ENTREGUE", known)),
		psprintf("%s " IS_EARLIER("m.entregue_em"), known ? psprintf("%s OR", from) : ""));
}

static char *
read_sql(const CadenceTables *t)
{
	bool known = t->message_knows_read;
	char *from = comes_from("INCERTO,ENVIADO,ERRO,ENTREGUE");

	return note_sql(t,
					psprintf("%s" NO_FAILURE "entregue_em = LEAST(m.entregue_em, $2), "
							 "lido_em = LEAST(m.lido_em, $2), ",
							 state_sql(from, "LIDO", known)),
					psprintf("%s " IS_EARLIER("m.lido_em"), known ? psprintf("%s OR", from) : ""));
}

static char *
failed_sql(const CadenceTables *t)
{
	char *from = psprintf("(%s AND m.entregue_em IS NULL AND m.lido_em IS NULL%s)",
						  comes_from("INCERTO,ENVIADO"),
						  t->message_knows_failed ? "" : " AND m.erro_detalhe IS NULL");

	return note_sql(t,
					psprintf("%serro_detalhe = CASE WHEN %s THEN $3 ELSE m.erro_detalhe END, ",
							 state_sql(from, "ERRO", t->message_knows_failed), from),
					from);
}

static char *
before_sql(const CadenceTables *t, const char *lock)
{
	return psprintf("SELECT m.entregue_em IS NOT NULL, m.lido_em IS NOT NULL, "
					"COALESCE(m.estado::pg_catalog.text, '') FROM %s AS m WHERE m.id " EQ " $1 %s",
					t->messages, lock);
}

/* In the current memory context. */
struct InboundReceipts *
inbound_receipts_create(const CadenceTables *t)
{
	struct InboundReceipts *r = palloc0(sizeof(*r));

	r->note[STATE_SENT] =
		STATEMENT("noting that a message was sent", sent_sql(t), note_types, SPI_OK_UPDATE);
	r->note[STATE_DELIVERED] = STATEMENT("noting that a message was delivered", delivered_sql(t),
										 note_types, SPI_OK_UPDATE);
	r->note[STATE_READ] =
		STATEMENT("noting that a message was read", read_sql(t), note_types, SPI_OK_UPDATE);
	r->note[STATE_FAILED] =
		STATEMENT("noting that a message has failed", failed_sql(t), note_types, SPI_OK_UPDATE);
	r->claims = ROWS_STATEMENT("looking for claims",
							   psprintf("SELECT 1 FROM %s LIMIT 1", t->claims), SPI_OK_SELECT);
	r->before = STATEMENT("looking what was told of a message", before_sql(t, ""), before_types,
						  SPI_OK_SELECT);
	r->lock = STATEMENT("locking a message", before_sql(t, "FOR NO KEY UPDATE"), before_types,
						SPI_OK_SELECT);
	return r;
}

/* ---- settling ------------------------------------------------------------------------ */

/* Paused by somebody who wanted it so, not held since nobody knew what has been told now. */
static bool
is_paused(const LockedRun *run)
{
	return run->in.status == RUN_PAUSED &&
		   !(run->has_attempt && json_get_true(&DatumGetJsonbP(run->attempt)->root, "permanente"));
}

/*
 * The run stands before the step of that attempt still, and nobody works on it.
 * False: it is left as it is.
 */
static bool
settle(const InboundEvent *e, const InboundMessage *message, bool sent)
{
	LockedRun run;
	RunTransition to;

	if (!message->has_step || !cadence_run_lock(e->acts->mover, &message->run_id, &run) ||
		!cadence_run_is_before(&run, message->ordem) || is_paused(&run))
		return false;
	to = cadence_run_transition(&run, sent ? ACT_SETTLE_SENT : ACT_SETTLE_UNSENT,
								cadence_settle_time(&run, sent));
	if (to.refusal != REFUSAL_NONE)
		return false;
	cadence_run_move(e->acts->mover, &run, &to);
	cadence_settle_write(e->acts->events, e->acts->messages, &run, &to, sent);
	return true;
}

/* ---- noting -------------------------------------------------------------------------- */

static const char *
code_and_error(const InboundEvent *e)
{
	const char *code = inbound_field(e, RECEIVED_CODE);
	const char *error = inbound_field(e, RECEIVED_ERROR);

	if (code != NULL && error != NULL)
		return psprintf("%s: %s", code, error);
	return code != NULL ? code : error != NULL ? error : "";
}

/* What is told of a message for the first time: an earlier time of that, or its id, is no news. */
static bool
is_first(const InboundEvent *e, ReceivedState state, const char *before)
{
	switch (state)
	{
		case STATE_DELIVERED:
			return e->is_delivered;
		case STATE_READ:
			return e->is_read;
		case STATE_FAILED:
			return strcmp(before, "ERRO") != 0 && !e->was_delivered;
		default:
			return before[0] == '\0' || strcmp(before, "INCERTO") == 0;
	}
}

static void
look_before(InboundEvent *e, const InboundMessage *message, ReceivedState state, Statement *look)
{
	Datum values[] = {UUIDPGetDatum(&message->id)};

	statement_execute(look, values, NULL, 1);
	if (SPI_processed > 0)
	{
		TupleDesc desc = SPI_tuptable->tupdesc;
		HeapTuple row = SPI_tuptable->vals[0];
		const char *before = row_text(desc, row, BEFORE_STATE, ROW_KEY_MAX);

		e->was_delivered = row_true(desc, row, BEFORE_DELIVERED);
		e->is_delivered = (state == STATE_DELIVERED || state == STATE_READ) && !e->was_delivered;
		e->is_read = state == STATE_READ && !row_true(desc, row, BEFORE_READ);
		e->is_first = is_first(e, state, before != NULL ? before : "");
		e->message = *message;
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Of two who tell the same one is the first: what is news is looked at again with its row
 * locked. What is told again locks nothing, so that those who tell much in opposite orders
 * do not stand in each other's way for ever.
 */
static void
note_first(InboundEvent *e, const InboundMessage *message, ReceivedState state)
{
	struct InboundReceipts *r = e->acts->receipts;

	look_before(e, message, state, &r->before);
	if (e->is_delivered || e->is_read || e->is_first)
		look_before(e, message, state, &r->lock);
}

/* At once: that it has failed is what its run's events say next. */
static void
count_failure(const InboundEvent *e, const InboundMessage *message)
{
	TallyRun failed = {
		.row = {.mark = "failed", .template_codigo = message->template_codigo, .n = 1},
		.run = message->run_id,
		.has_ordem = true,
		.ordem = message->ordem,
		.once = TALLY_FIRST_FAILURE};

	if (message->has_step)
		cadence_tally_runs(e->acts->tally, &failed, 1);
}

/* Takes what an event tells of a message; false: that says nothing new. */
bool
inbound_note_receipt(InboundEvent *e, InboundMessage *message, ReceivedState state)
{
	Datum values[lengthof(note_types)] = {UUIDPGetDatum(&message->id), TimestampTzGetDatum(e->at),
										  CStringGetTextDatum(code_and_error(e))};
	char nulls[] = "      ";
	bool is_new;
	bool settled = message->is_open && settle(e, message, state != STATE_FAILED);

	inbound_put_id(e, values, nulls, 3);
	note_first(e, message, state);
	e->is_first = e->is_first || settled;
	statement_execute(&e->acts->receipts->note[state], values, nulls, 0);
	is_new = SPI_processed > 0 || settled;
	if (is_new && state == STATE_FAILED)
		count_failure(e, message);
	if (is_new && (state == STATE_DELIVERED || state == STATE_READ))
	{
		inbound_mail_arrived(e, message);
		inbound_not_again(e, message);
	}
	return is_new;
}

/*
 * Whether its message may be on its way into the tables: somebody has claimed steps. That
 * it was sent needs no telling.
 */
static bool
may_be_early(const InboundEvent *e, ReceivedState state)
{
	bool any;

	if (state == STATE_SENT)
		return false;
	statement_execute(&e->acts->receipts->claims, NULL, NULL, 1);
	any = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	return any;
}

InboundResult
inbound_receipt(InboundEvent *e)
{
	InboundMessage message;
	ReceivedState state = e->event->state;

	if (state < STATE_SENT || state > STATE_FAILED)
		return INBOUND_NOTHING;
	if (!inbound_find_sent(e, &message))
		return may_be_early(e, state) ? INBOUND_EARLY : INBOUND_UNMATCHED;
	if (state == STATE_FAILED)
		inbound_expect_failure(e);
	/* who got our message is told by names that we may not know yet */
	if (message.person.lead_id != NULL && message.person.empresa != NULL)
		inbound_learn(e, &message.person);
	if (!inbound_note_receipt(e, &message, state))
		return INBOUND_REPEATED;
	if (state == STATE_FAILED)
		inbound_late_failure(e, &message);
	return INBOUND_DONE;
}
