/*
 * mark.c
 *		Marks: what an answer says about a person, an address or a template, for
 *		later runs. What comes back later says it about addresses, too.
 *
 * It is true whoever has the run by then, so a claim that was lost makes no
 * difference. What is remembered already stays as it was first said; rows go in
 * in the order of their keys, so that two records which have learned the same
 * wait for each other and for nothing else.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/formatting.h"

#include "base/statement.h"
#include "provider/provider.h"
#include "record/mark.h"
#include "record/opt_outs.h"
#include "schema/marks.h"

static const RowsetColumn address_columns[] = {{"endereco", TEXTOID},
											   {"canal", TEXTOID},
											   {"empresa", TEXTOID},
											   {"motivo", TEXTOID},
											   {"servidor", TEXTOID}};
static const RowsetColumn template_columns[] = {
	{"empresa", TEXTOID},  {"canal", TEXTOID},	{"codigo", TEXTOID}, {"versao", TEXTOID},
	{"servidor", TEXTOID}, {"motivo", TEXTOID}, {"tried", BOOLOID},	 {"wait_s", INT4OID}};

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

/*
 * first, more: refusals in a row of a mailbox that may take the next mail; NULL: it is
 * dead, and no more counted where it was.
 */
static char *
dead_sql(const CadenceTables *t, const char *first, const char *more)
{
	return psprintf(
		"INSERT INTO %s AS a (endereco, canal, empresa, motivo, servidor, em, devolucoes) "
		"SELECT DISTINCT ON (d.endereco, d.empresa, d.canal) d.endereco, d.canal, d.empresa, "
		"d.motivo, d.servidor, " NOW ", %s FROM " ROWSET_NAME " AS d "
		"ORDER BY d.endereco, d.empresa, d.canal "
		"ON CONFLICT (endereco, canal, empresa) DO UPDATE SET devolucoes = %s, "
		"motivo = EXCLUDED.motivo, servidor = EXCLUDED.servidor, em = EXCLUDED.em "
		"WHERE a.devolucoes IS NOT NULL",
		t->dead_addresses, first, more);
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

/* Of a template, in this order: whatever waits for a lock holds only what stands before it. */
static const struct
{
	const char *what;
	bool (*is_of)(const CadenceStep *step);
	char *(*sql)(const CadenceTables *tables);
	int expected;
} kinds[] = {{"putting a template off", says_stopped, stopped_again_sql, SPI_OK_UPDATE},
			 {"marking a template", says_stopped, stopped_sql, SPI_OK_INSERT},
			 {"freeing a template", says_well_again, well_again_sql, SPI_OK_DELETE}};

struct CadenceMarker
{
	Statement statements[lengthof(kinds)];
	CadenceOptOuts *opt_outs;
	Statement dead;
	Statement refused; /* counts a mail that a mailbox did not take this time */
};

/* In the current memory context. */
CadenceMarker *
cadence_marker_create(const CadenceTables *t)
{
	CadenceMarker *marker = palloc0(sizeof(*marker));

	marker->opt_outs = cadence_opt_outs_create(t);
	marker->dead = ROWS_STATEMENT("writing dead addresses",
								  dead_sql(t, "NULL::pg_catalog.int4", "NULL"), SPI_OK_INSERT);
	marker->refused =
		ROWS_STATEMENT("counting what a mailbox has refused",
					   dead_sql(t, "1", "a.devolucoes OPERATOR(pg_catalog.+) 1"), SPI_OK_INSERT);
	for (size_t i = 0; i < lengthof(kinds); i++)
		marker->statements[i] = ROWS_STATEMENT(kinds[i].what, kinds[i].sql(t), kinds[i].expected);
	return marker;
}

/* ---- writing ------------------------------------------------------------------------- */

static char *
word_of(const char *text)
{
	return text != NULL ? asc_toupper(text, strlen(text)) : NULL;
}

static void
write_opt_outs(CadenceMarker *marker, CadenceStep **steps, int n)
{
	OptOut *said = palloc(sizeof(*said) * n);
	int nsaid = 0;

	for (int i = 0; i < n; i++)
	{
		const CadenceStep *step = steps[i];

		if (says_opted_out(step))
			said[nsaid++] = (OptOut){.lead_id = step->lead_id,
									 .empresa = step->empresa,
									 .canal = word_of(step->canal),
									 .categoria = step->answer.of_category
													  ? word_of(step->request.message.category)
													  : NULL,
									 .motivo = step->answer.reason,
									 .origem = step->request.configuration->name,
									 .how = OPT_OUT_BY_ANSWER};
	}
	(void) cadence_opt_outs_add(marker->opt_outs, said, nsaid);
	pfree(said);
}

/*
 * Addresses that are dead, or did not take this mail; returns of how many that is new.
 * Inside an SPI connection.
 */
int
cadence_marks_failed(CadenceMarker *marker, const FailedAddress *list, int n, bool are_dead)
{
	Rowset rows;

	if (n == 0)
		return 0;
	rowset_begin(&rows, address_columns, lengthof(address_columns));
	for (int i = 0; i < n; i++)
	{
		rowset_put_text(&rows, list[i].key);
		rowset_put_text(&rows, list[i].canal);
		rowset_put_text(&rows, list[i].empresa);
		rowset_put_text(&rows, list[i].reason);
		rowset_put_text(&rows, list[i].source);
	}
	statement_execute(are_dead ? &marker->dead : &marker->refused, NULL, NULL, 0);
	rowset_end(&rows);
	return (int) SPI_processed;
}

static void
write_dead(CadenceMarker *marker, CadenceStep **steps, int n)
{
	FailedAddress *list = palloc(sizeof(*list) * n);
	int ndead = 0;

	for (int i = 0; i < n; i++)
	{
		const CadenceStep *step = steps[i];

		if (!says_dead(step))
			continue;
		list[ndead] = (FailedAddress){.canal = word_of(step->canal),
									  .empresa = step->empresa,
									  .reason = step->answer.reason,
									  .source = step->request.configuration->name};
		address_key(step->recipient, pg_strcasecmp(step->canal, "EMAIL") == 0, step->pais,
					list[ndead++].key);
	}
	(void) cadence_marks_failed(marker, list, ndead, true);
	pfree(list);
}

static void
put_template(Rowset *rows, const CadenceStep *step)
{
	rowset_put_text(rows, step->empresa);
	rowset_put_text(rows, step->canal);
	rowset_put_text(rows, step->template_codigo);
	rowset_put_text(rows, step->template_version);
	rowset_put_text(rows, step->request.configuration->name);
	rowset_put_text(rows, step->answer.reason);
	rowset_put_bool(rows, step->is_template_probe);
	rowset_put_int(
		rows, step->answer.wait_is_own ? (int32) (step->answer.retry_after_us / USECS_PER_SEC) : 0);
}

static void
write_kind(CadenceMarker *marker, size_t kind, CadenceStep **steps, int n)
{
	Rowset rows;

	rowset_begin(&rows, template_columns, lengthof(template_columns));
	for (int i = 0; i < n; i++)
		if (kinds[kind].is_of(steps[i]))
			put_template(&rows, steps[i]);
	if (rows.n > 0)
		statement_execute(&marker->statements[kind], NULL, NULL, 0);
	rowset_end(&rows);
}

/* Whether a step's answer says something that later runs must know. */
bool
cadence_marks_any(const CadenceStep *step)
{
	return says_opted_out(step) || says_dead(step) || says_stopped(step) || says_well_again(step);
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
	if (some == n)
		return;
	write_opt_outs(marker, steps, n);
	write_dead(marker, steps, n);
	for (size_t i = 0; i < lengthof(kinds); i++)
		write_kind(marker, i, steps, n);
}
