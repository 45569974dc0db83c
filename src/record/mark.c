/*
 * mark.c
 *		Marks: what an answer says about a person, an address or a template, for
 *		later runs.
 *
 * It is true whoever has the run by then, so a claim that was lost makes no
 * difference. What is remembered already stays as it was first said; rows go in
 * in the order of their keys, so that two records which have learned the same
 * wait for each other and for nothing else.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "base/json.h"
#include "base/row.h"
#include "base/statement.h"
#include "base/uuid.h"
#include "provider/provider.h"
#include "record/mark.h"
#include "record/outbox.h"
#include "record/tally.h"
#include "rules/address_key.h"
#include "schema/marks.h"

static const RowsetColumn mark_columns[] = {
	{"id", UUIDOID},		{"lead_id", TEXTOID},  {"empresa", TEXTOID}, {"canal", TEXTOID},
	{"categoria", TEXTOID}, {"endereco", TEXTOID}, {"codigo", TEXTOID},	 {"versao", TEXTOID},
	{"servidor", TEXTOID},	{"motivo", TEXTOID},   {"tried", BOOLOID},	 {"wait_s", INT4OID}};

/* ---- of what ------------------------------------------------------------------------- */

static bool
has_answer(const CadenceStep *step, CadenceClass class)
{
	return step->request.provider != NULL && step->answer.at != 0 && step->answer.class == class;
}

static bool
says_opted_out(const CadenceStep *step)
{
	return has_answer(step, CLASS_OPTED_OUT);
}

static bool
says_dead(const CadenceStep *step)
{
	return has_answer(step, CLASS_DEAD_ADDRESS);
}

static bool
says_stopped(const CadenceStep *step)
{
	return step->template_version != NULL && has_answer(step, CLASS_TEMPLATE_STOPPED);
}

static bool
says_well_again(const CadenceStep *step)
{
	return step->template_is_marked && step->answer.at != 0 && cadence_was_accepted(step);
}

/* ---- statements ---------------------------------------------------------------------- */

static char *
opt_outs_sql(const CadenceTables *t)
{
	return psprintf("INSERT INTO %s (id, lead_id, empresa, canal, categoria, motivo, origem, em) "
					"SELECT d.id, d.lead_id, d.empresa, " MARK_WORD("d.canal") ", " MARK_WORD(
						"d.categoria") ", d.motivo, d.servidor, " NOW " FROM " ROWSET_NAME " AS d "
									   "ORDER BY d.lead_id, d.empresa ON CONFLICT DO NOTHING "
									   "RETURNING lead_id, empresa, canal, categoria, motivo, "
									   "origem",
					t->opt_outs);
}

static char *
dead_sql(const CadenceTables *t)
{
	/* one that refused mails for a while is counted there */
	return psprintf(
		"INSERT INTO %s AS a (endereco, canal, empresa, motivo, servidor, em) "
		"SELECT DISTINCT ON (d.endereco, d.empresa, " MARK_WORD(
			"d.canal") ") d.endereco, " MARK_WORD("d.canal") ", d.empresa, d.motivo, "
															 "d.servidor, " NOW " FROM " ROWSET_NAME
															 " AS d "
															 "ORDER BY d.endereco, "
															 "d.empresa, " MARK_WORD(
																 "d.canal") " ON CONFLICT "
																			"(endereco, canal, "
																			"empresa) "
																			"DO UPDATE SET "
																			"devolucoes = NULL, "
																			"motivo = "
																			"EXCLUDED.motivo, "
																			"servidor = "
																			"EXCLUDED.servidor, "
																			"em = EXCLUDED.em "
																			"WHERE a.devolucoes IS "
																			"NOT NULL",
		t->dead_addresses);
}

/* What a template's mark waits for the first time, and at most; each time twice as long. */
#define FIRST_WAIT "interval '1 hour'"
#define LONGEST_WAIT "interval '6 hours'"
#define OWN_WAIT "pg_catalog.make_interval(secs => d.wait_s)"
#define GROWN_WAIT                                                               \
	FIRST_WAIT " OPERATOR(pg_catalog.*) pg_catalog.power(2::pg_catalog.float8, " \
			   "LEAST(m.tentativas, 10)::pg_catalog.float8)"
#define SAME "m.versao " EQ " d.versao"

/* The try has failed, or the template was changed and is stopped again: the mark's time is up. */
static char *
stopped_again_sql(const CadenceTables *t)
{
	return psprintf(
		"UPDATE %s AS m SET versao = d.versao, motivo = d.motivo, "
		"em = CASE WHEN " SAME " THEN m.em ELSE " NOW " END, "
		"tentativas = CASE WHEN " SAME " THEN m.tentativas OPERATOR(pg_catalog.+) 1 ELSE 1 END, "
		"tentar_em = " NOW " OPERATOR(pg_catalog.+) GREATEST(" OWN_WAIT ", LEAST(CASE WHEN " SAME
		" THEN " GROWN_WAIT " ELSE " FIRST_WAIT " END, " LONGEST_WAIT ")) FROM " ROWSET_NAME
		" AS d WHERE " MARK_OF_TEMPLATE("m") " AND (d.tried OR NOT " SAME ")",
		t->stopped_templates);
}

static char *
stopped_sql(const CadenceTables *t)
{
	return psprintf(
		"INSERT INTO %s (codigo, empresa, canal, servidor, versao, motivo, em, "
		"tentar_em, tentativas) "
		"SELECT d.codigo, d.empresa, " MARK_WORD(
			"d.canal") ", d.servidor, d.versao, "
					   "d.motivo, " NOW ", " NOW " OPERATOR(pg_catalog.+) GREATEST(" OWN_WAIT
					   ", " FIRST_WAIT "), 1 FROM " ROWSET_NAME " AS d "
					   "ORDER BY d.codigo, d.empresa, d.servidor ON CONFLICT DO NOTHING",
		t->stopped_templates);
}

static char *
well_again_sql(const CadenceTables *t)
{
	return psprintf("DELETE FROM %s AS m USING " ROWSET_NAME " AS d WHERE " MARK_OF_TEMPLATE("m"),
					t->stopped_templates);
}

/* In this order: whatever waits for a lock holds only what stands before it. */
static const struct
{
	const char *what;
	bool (*is_of)(const CadenceStep *step);
	char *(*sql)(const CadenceTables *tables);
	int expected;
} kinds[] = {{"writing opt-outs", says_opted_out, opt_outs_sql, SPI_OK_INSERT_RETURNING},
			 {"writing dead addresses", says_dead, dead_sql, SPI_OK_INSERT},
			 {"putting a template off", says_stopped, stopped_again_sql, SPI_OK_UPDATE},
			 {"marking a template", says_stopped, stopped_sql, SPI_OK_INSERT},
			 {"freeing a template", says_well_again, well_again_sql, SPI_OK_DELETE}};

struct CadenceMarker
{
	Statement statements[lengthof(kinds)];
	CadenceOutbox *outbox;
	CadenceTally *tally;
};

/* In the current memory context. */
CadenceMarker *
cadence_marker_create(const CadenceTables *t)
{
	CadenceMarker *marker = palloc0(sizeof(*marker));

	marker->outbox = cadence_outbox_create(t);
	marker->tally = cadence_tally_create(t);
	for (size_t i = 0; i < lengthof(kinds); i++)
		marker->statements[i] = ROWS_STATEMENT(kinds[i].what, kinds[i].sql(t), kinds[i].expected);
	return marker;
}

/* ---- writing ------------------------------------------------------------------------- */

static void
put_mark(Rowset *rows, const CadenceStep *step)
{
	char key[ADDRESS_KEY_SIZE];
	pg_uuid_t id;

	cadence_uuid_v7(&id);
	address_key(step->recipient, pg_strcasecmp(step->canal, "EMAIL") == 0, step->pais, key);
	rowset_put_uuid(rows, &id);
	rowset_put_text(rows, step->lead_id);
	rowset_put_text(rows, step->empresa);
	rowset_put_text(rows, step->canal);
	rowset_put_text(rows, step->answer.of_category ? step->request.message.category : NULL);
	rowset_put_text(rows, key);
	rowset_put_text(rows, step->template_codigo);
	rowset_put_text(rows, step->template_version);
	rowset_put_text(rows, step->request.configuration->name);
	rowset_put_text(rows, step->answer.reason);
	rowset_put_bool(rows, step->is_template_probe);
	rowset_put_int(
		rows, step->answer.wait_is_own ? (int32) (step->answer.retry_after_us / USECS_PER_SEC) : 0);
}

static void
count_opt_outs(CadenceTally *tally, SPITupleTable *added, int n)
{
	TallyRow *rows = palloc0(sizeof(*rows) * Max(n, 1));

	for (int i = 0; i < n; i++)
		rows[i] = (TallyRow){.kind = "opt_out",
							 .empresa = row_text(added->tupdesc, added->vals[i], 2, ROW_KEY_MAX),
							 .canal = row_text(added->tupdesc, added->vals[i], 3, ROW_KEY_MAX),
							 .outcome = "answer",
							 .n = 1};
	cadence_tally_write(tally, rows, n);
	pfree(rows);
}

/* The opt-outs that the last statement has added. */
static void
tell_opt_outs(CadenceMarker *marker)
{
	static const char *const names[] = {"canal", "categoria", "motivo", "origem"};
	CadenceOutbox *outbox = marker->outbox;
	SPITupleTable *added = SPI_tuptable;
	int nadded = (int) SPI_processed;
	int n = cadence_outbox_is_heard(outbox) ? nadded : 0;
	CadenceNews *list = palloc0(sizeof(*list) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		JsonObject details = json_begin();

		list[i].event = "opt_out";
		list[i].lead_id = row_text(added->tupdesc, added->vals[i], 1, ROW_KEY_MAX);
		list[i].empresa = row_text(added->tupdesc, added->vals[i], 2, ROW_KEY_MAX);
		for (int k = 0; k < (int) lengthof(names); k++)
			json_add_text_if(&details, names[k],
							 row_text(added->tupdesc, added->vals[i], k + 3, ROW_FIELD_MAX));
		list[i].details = json_end(&details);
	}
	count_opt_outs(marker->tally, added, nadded);
	SPI_freetuptable(added);
	cadence_outbox_write(outbox, list, n);
	pfree(list);
}

static void
write_kind(CadenceMarker *marker, size_t kind, CadenceStep **steps, int n)
{
	Rowset rows;

	rowset_begin(&rows, mark_columns, lengthof(mark_columns));
	for (int i = 0; i < n; i++)
		if (kinds[kind].is_of(steps[i]))
			put_mark(&rows, steps[i]);
	if (rows.n > 0)
		statement_execute(&marker->statements[kind], NULL, NULL, 0);
	rowset_end(&rows);
	if (rows.n > 0 && kinds[kind].expected == SPI_OK_INSERT_RETURNING)
		tell_opt_outs(marker);
}

/* Whether a step's answer says something that later runs must know. */
bool
cadence_marks_any(const CadenceStep *step)
{
	for (size_t i = 0; i < lengthof(kinds); i++)
		if (kinds[i].is_of(step))
			return true;
	return false;
}

/*
 * Writes what the answers of steps say, inside the caller's transaction and SPI
 * connection. Few say anything.
 */
void
cadence_marks_write(CadenceMarker *marker, CadenceStep **steps, int n)
{
	int some = 0;

	while (some < n && !cadence_marks_any(steps[some]))
		some++;
	for (size_t i = 0; some < n && i < lengthof(kinds); i++)
		write_kind(marker, i, steps, n);
}
