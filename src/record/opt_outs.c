/*
 * opt_outs.c
 *		Who does not want to be written to, as somebody has said.
 *
 * One writer for an operator's word, a person's answer, a provider's webhook, and
 * what the answers of an execution say.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "base/row.h"
#include "base/statement.h"
#include "record/opt_outs.h"
#include "record/outbox.h"
#include "record/tally.h"
#include "schema/marks.h"

static const char *const channels[] = {"WHATSAPP", "SMS", "EMAIL"};

struct CadenceOptOuts
{
	Statement add;
	Statement remove;
	CadenceOutbox *outbox;
	CadenceTally *tally;
};

static const Oid add_types[] = {TEXTOID, TEXTOID, TEXTOID,		 TEXTOID,
								TEXTOID, TEXTOID, TIMESTAMPTZOID};
static const Oid remove_types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID};

/* A channel in any case; NULL: there is none of that name. */
const char *
cadence_channel_named(const char *name)
{
	for (size_t i = 0; i < lengthof(channels); i++)
		if (pg_strcasecmp(channels[i], name) == 0)
			return channels[i];
	return NULL;
}

static char *
add_sql(const CadenceTables *t)
{
	return psprintf(
		"INSERT INTO %s (id, lead_id, empresa, canal, categoria, motivo, origem, em) "
		"VALUES (pg_catalog.gen_random_uuid(), $1, $2, $3, $4, $5, $6, COALESCE($7, " NOW ")) "
		"ON CONFLICT DO NOTHING",
		t->opt_outs);
}

/* Who was out of all channels, and is in by one again, stays out of the others. */
static char *
remove_sql(const CadenceTables *t)
{
	return psprintf(
		"WITH gone AS (DELETE FROM %s AS o WHERE %s AND ($3 IS NULL OR o.canal IS NULL "
		"OR " MARK_WORD(
			"o.canal") " " EQ
					   " $3) AND ($4 IS NULL OR " MARK_WORD("o.categoria") " " EQ " " MARK_WORD(
						   "$4") ") AND ($5 IS NULL OR o.em " LE " $5) "
								 "RETURNING o.lead_id, o.empresa, o.canal, o.categoria, o.motivo, "
								 "o.origem, o.em), "
								 "others AS (INSERT INTO %s (id, lead_id, empresa, canal, "
								 "categoria, motivo, origem, em) "
								 "SELECT pg_catalog.gen_random_uuid(), g.lead_id, g.empresa, "
								 "c.canal, g.categoria, g.motivo, g.origem, g.em "
								 "FROM gone AS g CROSS JOIN (VALUES ('%s'::pg_catalog.text), "
								 "('%s'), ('%s')) AS c(canal) "
								 "WHERE g.canal IS NULL AND c.canal " NE " $3 "
								 "ON CONFLICT DO NOTHING) "
								 "SELECT pg_catalog.count(*) FROM gone",
		t->opt_outs, cadence_opt_out_is_of(t, "o", "$1", "$2"), t->opt_outs, channels[0],
		channels[1], channels[2]);
}

/* In the current memory context. */
CadenceOptOuts *
cadence_opt_outs_create(const CadenceTables *t)
{
	CadenceOptOuts *o = palloc0(sizeof(*o));

	o->add = STATEMENT("noting an opt-out", add_sql(t), add_types, SPI_OK_INSERT);
	o->outbox = cadence_outbox_create(t);
	o->tally = cadence_tally_create(t);
	o->remove = STATEMENT("taking opt-outs back", remove_sql(t), remove_types, SPI_OK_SELECT);
	return o;
}

static void
write_news(CadenceOutbox *outbox, const char *event, const OptOut **said, int n)
{
	CadenceNews *news = palloc(sizeof(*news) * Max(n, 1));

	for (int i = 0; i < n && cadence_outbox_is_heard(outbox); i++)
	{
		JsonObject details = json_begin();

		json_add_text_if(&details, "canal", said[i]->canal);
		json_add_text_if(&details, "categoria", said[i]->categoria);
		json_add_text_if(&details, "motivo", said[i]->motivo);
		json_add_text_if(&details, "origem", said[i]->origem);
		news[i] = (CadenceNews){.event = event,
								.empresa = said[i]->empresa,
								.lead_id = said[i]->lead_id,
								.details = json_end(&details)};
	}
	cadence_outbox_write(outbox, news, n);
	pfree(news);
}

/* By the step that the person has heard of last; but that of an answer is counted by its record. */
static void
count(CadenceTally *tally, const OptOut **said, int n)
{
	TallyRow *answers = palloc(sizeof(*answers) * Max(n, 1));
	int nanswers = 0;

	for (int i = 0; i < n; i++)
	{
		const OptOut *o = said[i];
		TallyRow row = {
			.kind = "opt_out", .empresa = o->empresa, .canal = o->canal, .outcome = o->how, .n = 1};
		TallyPerson did = {.row = row, .lead_id = o->lead_id, .empresa = o->empresa, .at = o->at};

		did.row.mark = "opted_out";
		if (strcmp(o->how, OPT_OUT_BY_ANSWER) == 0)
			answers[nanswers++] = row;
		else
			cadence_tally_person(tally, &did);
	}
	cadence_tally_write(tally, answers, nanswers);
	pfree(answers);
}

static int
by_company_and_lead(const void *a, const void *b)
{
	const OptOut *left = a;
	const OptOut *right = b;
	int order = strcmp(left->empresa, right->empresa);

	return order != 0 ? order : strcmp(left->lead_id, right->lead_id);
}

/* False: it has been said before. */
static bool
note(CadenceOptOuts *o, const OptOut *said)
{
	Datum values[lengthof(add_types)];
	char nulls[lengthof(add_types)];

	statement_put_text(values, nulls, 0, said->lead_id);
	statement_put_text(values, nulls, 1, said->empresa);
	statement_put_text(values, nulls, 2, said->canal);
	statement_put_text(values, nulls, 3, said->categoria);
	statement_put_text(values, nulls, 4, said->motivo);
	statement_put_text(values, nulls, 5, said->origem);
	statement_put_time(values, nulls, 6, said->at);
	statement_execute(&o->add, values, nulls, 0);
	return SPI_processed > 0;
}

/*
 * Inside an SPI connection. Puts them in the order in which all lock them. What has
 * been said before stays as it was said: returns how many are new. One by one: which
 * they are a single statement would tell only who may read the table, too.
 */
int
cadence_opt_outs_add(CadenceOptOuts *o, OptOut *said, int n)
{
	const OptOut **added = palloc(sizeof(*added) * Max(n, 1));
	int nadded = 0;

	qsort(said, n, sizeof(*said), by_company_and_lead);
	for (int i = 0; i < n; i++)
		if (note(o, &said[i]))
			added[nadded++] = &said[i];
	count(o->tally, added, nadded);
	write_news(o->outbox, "opt_out", added, nadded);
	pfree(added);
	return nadded;
}

/*
 * Takes back what was said of that channel, or of all, and of that category, or
 * of everything, but nothing that was said later; how many rows. Inside an SPI
 * connection.
 */
int64
cadence_opt_outs_remove(CadenceOptOuts *o, const OptOut *said)
{
	Datum values[lengthof(remove_types)];
	char nulls[lengthof(remove_types)];
	bool isnull;
	int64 n;

	statement_put_text(values, nulls, 0, said->lead_id);
	statement_put_text(values, nulls, 1, said->empresa);
	statement_put_text(values, nulls, 2, said->canal);
	statement_put_text(values, nulls, 3, said->categoria);
	statement_put_time(values, nulls, 4, said->at);
	statement_execute(&o->remove, values, nulls, 0);
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (n > 0)
		write_news(o->outbox, "opt_in", &said, 1);
	return n;
}
