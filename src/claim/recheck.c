/*
 * recheck.c
 *		Whether claimed steps may still be sent.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "base/statement.h"
#include "claim/recheck.h"
#include "rules/address_key.h"
#include "rules/reason.h"
#include "schema/blocklist.h"
#include "schema/exits.h"
#include "schema/key.h"
#include "schema/marks.h"

/* How long what the owner's views can not be asked about waits. */
#define EXITS_RETRY_US (60 * USECS_PER_SEC)

struct CadenceRechecks
{
	Statement of_runs;
	Statement of_news;
	CadenceBlocklist *blocklist;
	CadenceExits *exits;
};

static const RowsetColumn columns[] = {{"n", INT4OID},		  {"id", UUIDOID},
									   {"claim_id", UUIDOID}, {"lease_end", TIMESTAMPTZOID},
									   {"canal", TEXTOID},	  {"categoria", TEXTOID},
									   {"codigo", TEXTOID},	  {"empresa", TEXTOID},
									   {"servidor", TEXTOID}, {"versao", TEXTOID},
									   {"step_id", UUIDOID},  {"due", TIMESTAMPTZOID}};

/* An edit has made its step's time a later one, since it was claimed. */
#define IS_LATER \
	"(r.step_due_at " GT " d.due AND r.step_due_at " GT " pg_catalog.clock_timestamp()) IS TRUE"

static char *
recheck_sql(const CadenceTables *t)
{
	return psprintf("SELECT d.n FROM " ROWSET_NAME " AS d, %s AS r WHERE r.id " EQ " d.id "
					"AND (r.claim_id " EQ " d.claim_id) IS TRUE "
					"AND (r.next_run_at " EQ " d.lease_end) IS TRUE "
					"AND (r.status " EQ " 'ATIVA') IS TRUE "
					"AND EXISTS (SELECT FROM %s AS x WHERE x.id " EQ " d.step_id "
					"AND x.cadence_id " EQ " r.cadence_id) AND NOT " IS_LATER " "
					"AND COALESCE((SELECT c.ativo FROM %s AS c WHERE c.id " EQ " r.cadence_id "
					"LIMIT 1), true) "
					"AND NOT COALESCE((SELECT k.opt_out FROM %s AS k "
					"WHERE %s AND %s "
					"ORDER BY k.updated_at DESC NULLS LAST, k.id DESC LIMIT 1), false) "
					/* most often these two are empty, or nothing names a template */
					"AND (NOT (SELECT EXISTS (SELECT FROM %s)) OR NOT EXISTS "
					"(SELECT FROM %s AS o WHERE %s AND %s)) "
					"AND (d.versao IS NULL OR NOT EXISTS (SELECT FROM %s AS m "
					"WHERE " MARK_OF_TEMPLATE("m") " AND m.versao " EQ " d.versao))",
					t->runs, t->steps, t->cadences, t->contacts,
					cadence_key_is(t, "lead_contacts", "k", "lead_id", "r.lead_id"),
					cadence_key_is(t, "lead_contacts", "k", "empresa", "r.empresa"), t->opt_outs,
					t->opt_outs, cadence_opt_out_is_of(t, "o", "r.lead_id", "r.empresa"),
					cadence_opt_out_forbids("o", "d.canal", "d.categoria"), t->stopped_templates);
}

static char *
recheck_news_sql(const CadenceTables *t)
{
	return psprintf("SELECT d.n FROM " ROWSET_NAME " AS d, %s AS r WHERE r.id " EQ " d.id "
					"AND (r.claim_id " EQ " d.claim_id) IS TRUE "
					"AND (r.next_run_at " EQ " d.lease_end) IS TRUE AND r.status " EQ " 'PENDENTE'",
					t->outbox);
}

/* In the current memory context. */
CadenceRechecks *
cadence_rechecks_create(const CadenceTables *t)
{
	CadenceRechecks *r = palloc0(sizeof(*r));

	r->of_runs = ROWS_STATEMENT("looking at claimed runs again", recheck_sql(t), SPI_OK_SELECT);
	r->of_news = ROWS_STATEMENT("looking at news again", recheck_news_sql(t), SPI_OK_SELECT);
	r->blocklist = cadence_blocklist_create(t, false);
	r->exits = cadence_exits_create(t, false);
	return r;
}

/* Those whose address has come to the blocklist meanwhile. */
static void
recheck_blocked(CadenceRechecks *r, CadenceStep **steps, int n, bool *valid)
{
	BlocklistLookup *lookups = palloc0(sizeof(*lookups) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		lookups[i].empresa = steps[i]->empresa;
		lookups[i].is_email = pg_strcasecmp(steps[i]->canal, "EMAIL") == 0;
		if (!valid[i] || steps[i]->is_news ||
			!address_reached(steps[i]->recipient, lookups[i].is_email, steps[i]->pais,
							 lookups[i].address))
			lookups[i].address[0] = '\0';
	}
	(void) cadence_blocklist_find(r->blocklist, lookups, n);
	for (int i = 0; i < n; i++)
		if (lookups[i].is_blocked)
			valid[i] = false;
	pfree(lookups);
}

/* It waits, since nobody knows whether it may be sent. */
static void
put_off(CadenceStep *step, const char *problem)
{
	const ReasonWords *words = &cadence_reasons[REASON_EXITS_UNKNOWN];

	step->until = GetCurrentTimestamp() + EXITS_RETRY_US;
	step->reason.code = words->code;
	step->reason.text =
		MemoryContextStrdup(step->batch->context, psprintf("%s: %s", words->en, problem));
}

/* A part of what waits, not more than a claim asks about; false: they can not be asked. */
static bool
recheck_some_exits(CadenceRechecks *r, CadenceStep **steps, const int *places, int n, bool *valid)
{
	ExitAsked *asked = palloc0(sizeof(*asked) * n);
	bool can_ask = true;

	for (int i = 0; i < n; i++)
		asked[i] = (ExitAsked){.run = &steps[places[i]]->run_id,
							   .has_step = steps[places[i]]->has_step,
							   .ordem = steps[places[i]]->ordem};
	cadence_exits_ask(r->exits, asked, n);
	for (int i = 0; i < n; i++)
	{
		can_ask = can_ask && asked[i].problem == NULL;
		if (asked[i].problem != NULL)
			put_off(steps[places[i]], asked[i].problem);
		if (asked[i].exits || asked[i].skips || asked[i].problem != NULL)
			valid[places[i]] = false;
	}
	pfree(asked);
	return can_ask;
}

/* Those that the owner's views have come to name meanwhile, or that they can not be asked about. */
static void
recheck_exits(CadenceRechecks *r, CadenceStep **steps, int n, bool *valid)
{
	int *places = palloc(sizeof(int) * Max(n, 1));
	int nplaces = 0;
	bool can_ask = true;

	for (int i = 0; i < n; i++)
		if (valid[i] && !steps[i]->is_news)
			places[nplaces++] = i;
	for (int i = 0; i < nplaces; i += cadence_batch_size)
	{
		int some = Min(nplaces - i, cadence_batch_size);

		if (can_ask)
			can_ask = recheck_some_exits(r, steps, &places[i], some, valid);
		else
			for (int k = i; k < i + some; k++)
			{
				put_off(steps[places[k]], "it fails, or takes too long");
				valid[places[k]] = false;
			}
	}
	pfree(places);
}

static void
ask(Statement *look, CadenceStep **steps, int n, bool is_news, bool *valid)
{
	Rowset rows;
	bool isnull;

	rowset_begin(&rows, columns, lengthof(columns));
	for (int i = 0; i < n; i++)
	{
		if (steps[i]->is_news != is_news)
			continue;
		rowset_put_int(&rows, i);
		rowset_put_uuid(&rows, &steps[i]->run_id);
		rowset_put_uuid(&rows, &steps[i]->claim_id);
		rowset_put_time(&rows, steps[i]->lease_end);
		rowset_put_text(&rows, steps[i]->canal);
		rowset_put_text(&rows, steps[i]->categoria);
		rowset_put_text(&rows, steps[i]->template_codigo);
		rowset_put_text(&rows, steps[i]->empresa);
		rowset_put_text(&rows, steps[i]->request.configuration->name);
		rowset_put_text(&rows, steps[i]->is_template_probe ? NULL : steps[i]->template_version);
		rowset_put_if(&rows, steps[i]->has_step, UUIDPGetDatum(&steps[i]->step_id));
		rowset_put_time(&rows, steps[i]->first_due);
	}
	if (rows.n == 0)
	{
		rowset_end(&rows);
		return;
	}
	statement_execute(look, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
		valid[DatumGetInt32(
			SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull))] = true;
	SPI_freetuptable(SPI_tuptable);
	rowset_end(&rows);
}

/*
 * Says of claimed steps whether they may still be sent: a run may have been
 * paused or cancelled, the step removed, or be due later now, a contact may have opted out, its
 * address may have been blocked, an approved template may have been stopped, while they waited for
 * their provider. Of news, cadence_recheck_news() does.
 */
void
cadence_recheck(CadenceRechecks *r, CadenceStep **steps, int n, bool *valid)
{
	memset(valid, 0, n * sizeof(bool));
	ask(&r->of_runs, steps, n, false, valid);
	if (cadence_blocklist_begin(r->blocklist))
		recheck_blocked(r, steps, n, valid);
	if (cadence_exits_exist(r->exits))
		recheck_exits(r, steps, n, valid);
}

/* The same of claimed news, after those of runs. */
void
cadence_recheck_news(CadenceRechecks *r, CadenceStep **steps, int n, bool *valid)
{
	ask(&r->of_news, steps, n, true, valid);
}
