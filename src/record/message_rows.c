/*
 * message_rows.c
 *		The rows of messages: one for each that was sent, or may have been.
 *
 * A message of which nobody knows whether it arrived has a row INCERTO, whose id
 * is its step's idempotency key, so that every later attempt finds it: the one
 * that is accepted makes it ENVIADO. It is for people; what is sent again is in
 * the attempt's event. Where an adopted column has no such word there is no row
 * until then. What is accepted, but held for review, is ENVIADO, since an adopted
 * enum has that word; its erro_detalhe says RETIDO, and it has the same id. Nobody
 * else's row is touched: who has one under that id keeps it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "base/statement.h"
#include "base/uuid.h"
#include "provider/provider.h"
#include "record/message_rows.h"

struct CadenceMessageRows
{
	bool knows_uncertain;
	Statement insert;
	Statement insert_uncertain;
	Statement complete;
	Statement settle_sent;
	Statement settle_unsent;
};

static const RowsetColumn columns[] = {
	{"id", UUIDOID},	   {"lead_id", TEXTOID},  {"empresa", TEXTOID},
	{"canal", TEXTOID},	   {"conteudo", TEXTOID}, {"run_id", UUIDOID},
	{"ordem", INT4OID},	   {"template", TEXTOID}, {"enviado_em", TIMESTAMPTZOID},
	{"whatsapp", TEXTOID}, {"email", TEXTOID},	  {"sms", TEXTOID},
	{"erro", TEXTOID}};

static const Oid settle_types[] = {UUIDOID, UUIDOID, TIMESTAMPTZOID};

static char *
insert_sql(const CadenceTables *t, const char *estado, const char *where)
{
	return psprintf("INSERT INTO %s (id, lead_id, empresa, canal, direcao, conteudo, estado, "
					"run_id, enviado_em, step_ordem, template_codigo, whatsapp_message_id, "
					"email_message_id, sms_message_id, erro_detalhe, created_at, updated_at) "
					"SELECT d.id, d.lead_id, d.empresa::%s, d.canal::%s, 'OUTBOUND', d.conteudo, "
					"'%s', d.run_id, d.enviado_em, d.ordem, d.template, d.whatsapp, d.email, "
					"d.sms, d.erro, " NOW ", " NOW " FROM " ROWSET_NAME " AS d%s",
					t->messages, t->message_empresa_type, t->message_canal_type, estado, where);
}

/* What was accepted was told as failed before its answer was recorded. */
#define HAS_FAILED                                                                         \
	"(m.estado::text " EQ " 'ERRO' AND (m.whatsapp_message_id::text " EQ                   \
	" d.whatsapp OR m.email_message_id::text " EQ " d.email OR m.sms_message_id::text " EQ \
	" d.sms))"

static char *
complete_sql(const CadenceTables *t)
{
	/* a receipt may have come first: a state goes forward only */
	return psprintf("UPDATE %s AS m SET estado = CASE WHEN m.estado::text " EQ " 'ENTREGUE' "
					"OR m.estado::text " EQ " 'LIDO' OR " HAS_FAILED
					" THEN m.estado ELSE 'ENVIADO' END, "
					"conteudo = d.conteudo, enviado_em = COALESCE(m.enviado_em, d.enviado_em), "
					"whatsapp_message_id = COALESCE(d.whatsapp, m.whatsapp_message_id), "
					"email_message_id = COALESCE(d.email, m.email_message_id), "
					"sms_message_id = COALESCE(d.sms, m.sms_message_id), erro_detalhe = "
					"CASE WHEN " HAS_FAILED " THEN m.erro_detalhe ELSE d.erro END, "
					"updated_at = " NOW " FROM " ROWSET_NAME " AS d "
					"WHERE m.id " EQ " d.id AND m.run_id " EQ " d.run_id RETURNING d.id",
					t->messages);
}

#define HELD "RETIDO"
#define OPEN_ROW                                                                     \
	"m.id " EQ " $1 AND m.run_id " EQ " $2 AND (m.estado::text " EQ " 'INCERTO' OR " \
	"m.erro_detalhe::text " EQ " '" HELD "')"

/* In the current memory context. */
CadenceMessageRows *
cadence_message_rows_create(const CadenceTables *t)
{
	CadenceMessageRows *m = palloc0(sizeof(*m));

	m->knows_uncertain = t->message_knows_uncertain;
	m->insert = ROWS_STATEMENT("writing messages", insert_sql(t, "ENVIADO", ""), SPI_OK_INSERT);
	m->insert_uncertain = ROWS_STATEMENT(
		"writing uncertain messages",
		insert_sql(t, "INCERTO",
				   psprintf(" WHERE NOT EXISTS (SELECT FROM %s AS m WHERE m.id " EQ " d.id)",
							t->messages)),
		SPI_OK_INSERT);
	m->complete =
		ROWS_STATEMENT("completing uncertain messages", complete_sql(t), SPI_OK_UPDATE_RETURNING);
	m->settle_sent =
		STATEMENT("settling a message",
				  /* what was held may have been reported as delivered, or read, meanwhile */
				  psprintf("UPDATE %s AS m SET estado = CASE WHEN m.estado::text " EQ " 'INCERTO' "
						   "THEN 'ENVIADO' ELSE m.estado END, "
						   "enviado_em = COALESCE(m.enviado_em, $3), erro_detalhe = NULL, "
						   "updated_at = " NOW " WHERE " OPEN_ROW,
						   t->messages),
				  settle_types, SPI_OK_UPDATE);
	m->settle_unsent = STATEMENT("removing a message",
								 psprintf("DELETE FROM %s AS m WHERE " OPEN_ROW, t->messages),
								 settle_types, SPI_OK_DELETE);
	m->settle_unsent.nargs--;
	return m;
}

/* ---- of attempts ------------------------------------------------------------------- */

/* What is to become of a step's row. */
typedef enum RowFate
{
	ROW_NONE,
	ROW_SENT,	   /* a new one */
	ROW_UNCERTAIN, /* the same, which a later attempt may complete */
	ROW_COMPLETE   /* that one, if it could be written, else a new one under its id */
} RowFate;

static RowFate
fate_of(const CadenceMessageRows *m, const CadenceStep *step)
{
	if (step->request.provider == NULL || !step->request.configuration->record_message)
		return ROW_NONE;
	if (step->outcome == OUTCOME_SENT)
		return step->kept != NULL ? ROW_COMPLETE : ROW_SENT;
	if (step->outcome == OUTCOME_HELD)
		return ROW_COMPLETE;
	if (step->outcome == OUTCOME_UNCERTAIN && step->texts != NULL && step->kept == NULL &&
		!step->lost && m->knows_uncertain)
		return ROW_UNCERTAIN;
	return ROW_NONE;
}

static void
put_row(Rowset *rows, const CadenceStep *step, bool under_key)
{
	bool is_sent = cadence_was_accepted(step);
	bool is_whatsapp = pg_strcasecmp(step->canal, "WHATSAPP") == 0;
	bool is_email = pg_strcasecmp(step->canal, "EMAIL") == 0;
	bool is_sms = pg_strcasecmp(step->canal, "SMS") == 0;
	pg_uuid_t id;

	if (under_key)
		id = step->key;
	else
		cadence_uuid_v7(&id);
	rowset_put_uuid(rows, &id);
	rowset_put_text(rows, step->lead_id);
	rowset_put_text(rows, step->empresa);
	rowset_put_text(rows, step->canal);
	rowset_put_text(rows, step->message);
	rowset_put_uuid(rows, &step->run_id);
	rowset_put_int(rows, step->ordem);
	rowset_put_text(rows, step->template_codigo);
	rowset_put_if(rows, is_sent, TimestampTzGetDatum(step->answer.at));
	rowset_put_text(rows, is_sent && is_whatsapp ? step->answer.message_id : NULL);
	rowset_put_text(rows, is_sent && is_email ? step->answer.message_id : NULL);
	rowset_put_text(rows, is_sent && is_sms ? step->answer.message_id : NULL);
	rowset_put_text(rows, step->outcome == OUTCOME_HELD ? HELD : NULL);
}

/* How many rows the statement has found or made. */
static uint64
write_rows(CadenceMessageRows *m, Statement *statement, CadenceStep **steps, int n, RowFate fate)
{
	Rowset rows;
	uint64 done = 0;

	rowset_begin(&rows, columns, lengthof(columns));
	for (int i = 0; i < n; i++)
		if (fate_of(m, steps[i]) == fate)
			put_row(&rows, steps[i], fate != ROW_SENT);
	if (rows.n > 0)
	{
		statement_execute(statement, NULL, NULL, 0);
		done = SPI_processed;
	}
	rowset_end(&rows);
	return done;
}

/* Each for itself: they are few. One that could not be written before is written now. */
static void
complete_rows(CadenceMessageRows *m, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (fate_of(m, steps[i]) == ROW_COMPLETE &&
			write_rows(m, &m->complete, &steps[i], 1, ROW_COMPLETE) == 0)
			(void) write_rows(m, &m->insert, &steps[i], 1, ROW_COMPLETE);
}

/* Of those that were held for review, and count as sent now. */
static void
let_go(CadenceMessageRows *m, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (steps[i]->held != NULL && !steps[i]->lost)
			cadence_message_row_settle(m, &steps[i]->run_id, &steps[i]->key, true,
									   steps[i]->held->at);
}

/* Writes what steps have come to, inside the caller's transaction and SPI connection. */
void
cadence_message_rows_write(CadenceMessageRows *m, CadenceStep **steps, int n)
{
	(void) write_rows(m, &m->insert, steps, n, ROW_SENT);
	(void) write_rows(m, &m->insert_uncertain, steps, n, ROW_UNCERTAIN);
	complete_rows(m, steps, n);
	let_go(m, steps, n);
}

/* ---- by hand ----------------------------------------------------------------------- */

/*
 * It is known what became of an attempt that was uncertain, or held for review.
 * What was not sent has no row, as after any other failure.
 */
void
cadence_message_row_settle(CadenceMessageRows *m, const pg_uuid_t *run_id, const pg_uuid_t *key,
						   bool sent, TimestampTz at)
{
	Datum values[] = {UUIDPGetDatum(key), UUIDPGetDatum(run_id), TimestampTzGetDatum(at)};

	statement_execute(sent ? &m->settle_sent : &m->settle_unsent, values, NULL, 0);
}
