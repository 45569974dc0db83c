/*
 * status_tables.c
 *		What the tables say of the status: one query.
 */
#include "postgres.h"

#include "base/statement.h"
#include "inbound/events.h"
#include "sqlapi/status.h"

/* More due runs are not counted. */
#define COUNT_MAX 1000000

/* Brief: so many due runs are enough to be overdue. */
#define BRIEF_COUNT_MAX 1000

/* Set for whoever wants no numbers, but what is wrong: those take as long as there are rows. */
bool cadence_status_is_brief;

/* As people read them: no parts of a second, and a colon only before something. */
#define SECOND(time) "pg_catalog.date_trunc('second', " time ")"
#define WHY(text) "CASE WHEN " text " " NE " '' THEN pg_catalog.concat(': ', " text ") END"

/*
 * Who does not send, since when, how many wait, and why in the provider's words;
 * and which templates are stopped there. The formatter would tear the text apart
 * at each macro.
 */
/* clang-format off */
static char *
shut_sql(const CadenceTables *t)
{
	return psprintf(
		"ARRAY(SELECT x.line FROM %s AS s CROSS JOIN LATERAL (VALUES "
		"(CASE WHEN s.paused_at IS NOT NULL THEN pg_catalog.format("
		"'server \"%%s\" has been paused since %%s, until cadence_provider_resume(); %%s wait%%s', "
		"s.server, " SECOND("s.paused_at") ", GREATEST(s.waiting, s.waited), "
		WHY("s.pause_reason") ") WHEN s.open_since IS NOT NULL THEN pg_catalog.format("
		"'server \"%%s\" has sent nothing since %%s, and is tried again at %%s; %%s wait%%s', "
		"s.server, " SECOND("s.open_since") ", " SECOND("s.open_until") ", "
		"GREATEST(s.waiting, s.waited), " WHY("s.open_reason") ") END), "
		"(CASE WHEN s.new_until " GT " $1 THEN pg_catalog.format("
		"'server \"%%s\" has written to nobody first since %%s, and does again at %%s%%s', "
		"s.server, " SECOND("s.new_since") ", " SECOND("s.new_until") ", "
		WHY("s.new_reason") ") END)) AS x (line) WHERE x.line IS NOT NULL ORDER BY x.line) "
		"OPERATOR(pg_catalog.||) ARRAY(SELECT pg_catalog.format('template \"%%s\" of company "
		"\"%%s\" has been stopped at server \"%%s\" since %%s, and is tried again at %%s%%s', "
		"m.codigo, m.empresa, m.servidor, " SECOND("m.em") ", " SECOND("m.tentar_em") ", "
		WHY("m.motivo") ") FROM %s AS m ORDER BY m.codigo, m.empresa, m.servidor)",
		t->sender_states, t->stopped_templates);
}
/* clang-format on */

/*
 * What webhooks have told that was not taken: how much, since when, and how many
 * messages in a day were of nobody who is known, wherever they are kept. Counted
 * from the newest, by an index, and no further than that.
 */
static char *
rejected_sql(const CadenceTables *t)
{
	return psprintf(
		"(SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS x LIMIT %d) AS y), "
		"(SELECT x.em FROM %s AS x ORDER BY x.em DESC, x.id DESC LIMIT 1), "
		"(SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS m WHERE m.lead_id IS NULL "
		"AND m.recebido_em " GE
		" ($1 OPERATOR(pg_catalog.-) interval '1 day') LIMIT %d) AS y) OPERATOR(pg_catalog.+) "
		"(SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS x WHERE x.em " GE
		" ($1 OPERATOR(pg_catalog.-) interval '1 day') "
		"AND x.motivo " EQ " '" CADENCE_UNMATCHED "' LIMIT %d) AS y), ",
		t->rejected, COUNT_MAX, t->rejected, t->messages, COUNT_MAX, t->rejected, COUNT_MAX);
}

/* A warning, where there was something in the last hour. What it says may be a person's. */
static char *
rejected_lately_sql(const CadenceTables *t)
{
	return psprintf(
		"(SELECT CASE WHEN pg_catalog.count(*) " GT " 0 THEN pg_catalog.format("
		"'%%s answers or receipts could not be taken in the last hour, the last at %%s from server "
		"\"%%s\": look at cadence_rejected, and call cadence_rejected_retry()', "
		"pg_catalog.count(*), " SECOND(
			"pg_catalog.max(y.em)") ", "
									"(SELECT x.server FROM %s AS x ORDER BY x.em DESC, x.id DESC "
									"LIMIT 1)) END "
									"FROM (SELECT x.em FROM %s AS x WHERE x.em " GE
									" ($1 OPERATOR(pg_catalog.-) interval '1 hour') AND "
									"x.motivo " NE " '" CADENCE_EARLY "' LIMIT %d) AS y)",
		t->rejected, t->rejected, COUNT_MAX);
}

/* A warning, where news were given up. */
static char *
stopped_news_sql(const CadenceTables *t)
{
	return psprintf("(SELECT CASE WHEN pg_catalog.count(*) " GT " 0 THEN pg_catalog.format("
					"'%%s news for other tools could not be delivered, and are not tried again "
					"(cadence_outbox, status PARADA); the last: %%s', pg_catalog.count(*), "
					"(SELECT o.erro FROM %s AS o WHERE o.status " EQ " 'PARADA' "
					"ORDER BY o.id DESC LIMIT 1)) END FROM (SELECT FROM %s AS o WHERE o.status " EQ
					" 'PARADA' LIMIT %d) AS y)",
					t->outbox, t->outbox, COUNT_MAX);
}

/* A warning, where news wait for long, among those that come first. */
static char *
waiting_news_sql(const CadenceTables *t)
{
	return psprintf(
		"(SELECT CASE WHEN pg_catalog.count(*) " GT " 0 THEN pg_catalog.format("
		"'%%s news for other tools have waited for more than an hour (cadence_outbox, status "
		"PENDENTE), the oldest since %%s%%s', pg_catalog.count(*), " SECOND(
			"pg_catalog.min(y.created_at)") ", "
											"pg_catalog.concat(CASE WHEN pg_catalog.max(y.erro) IS "
											"NOT NULL THEN ': ' END, "
											"pg_catalog.max(y.erro))) END FROM (SELECT "
											"o.created_at, o.erro FROM %s AS o WHERE "
											"o.status " EQ
											" 'PENDENTE' ORDER BY o.next_run_at, o.id LIMIT %d) AS "
											"y WHERE y.created_at " LT
											" ($1 OPERATOR(pg_catalog.-) interval '1 hour'))",
		t->outbox, COUNT_MAX);
}

/*
 * How many runs are held: of those that were ever uncertain, which an index of the errors
 * finds, those that are paused for it still.
 */
static char *
uncertain_sql(const CadenceTables *t)
{
	if (cadence_status_is_brief)
		return "NULL::pg_catalog.int8, ";
	return psprintf(
		"(SELECT pg_catalog.count(*) FROM (SELECT DISTINCT x.lead_cadence_run_id AS id FROM %s "
		"AS x WHERE x.tipo_evento " EQ
		" 'ERRO' AND pg_catalog.\"left\"(COALESCE(x.detalhes " JSON_TEXT " 'codigo', ''), 40) " EQ
		" 'INCERTO' OFFSET 0) AS u "
		"CROSS JOIN LATERAL (SELECT FROM %s AS r WHERE r.id " EQ " u.id AND r.status " EQ
		" 'PAUSADA' LIMIT 1) AS r WHERE (SELECT e.detalhes " JSON_TEXT " 'codigo' FROM %s AS e "
		"WHERE e.lead_cadence_run_id " EQ " u.id AND e.detalhes " JSON_TEXT " 'tardio' IS NULL "
		"ORDER BY e.created_at DESC, e.id DESC LIMIT 1) " EQ " 'INCERTO'), ",
		t->events, t->runs, t->events);
}

/* $1: now; $2: a warning; $3: what failed before is over; $4: more warnings. A row of it is the
 * status from due_now to warnings. */
char *
cadence_status_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT d.n, d.oldest, d.lag, "
		/* one look-up for each claim, by the index of the due runs */
		"COALESCE((SELECT pg_catalog.sum((SELECT pg_catalog.count(*) FROM %s AS r "
		"WHERE r.status " EQ " 'ATIVA' AND r.next_run_at " GE " c.lease_end "
		"AND r.next_run_at " LE " c.lease_end AND (r.claim_id " EQ
		" c.claim_id) IS TRUE)) FROM %s AS c WHERE c.lease_end " GT " $1), 0), "
		"%s(SELECT r.next_run_at FROM %s AS r WHERE r.status " EQ " 'ATIVA' "
		"AND r.next_run_at " GT " $1 ORDER BY r.next_run_at, r.id LIMIT 1), "
		"%spg_catalog.array_cat(pg_catalog.array_remove(ARRAY[$2, "
		"(SELECT CASE WHEN pg_catalog.count(*) " GT " 0 THEN pg_catalog.format("
		"'active without next_run_at, so never due: %%s', pg_catalog.count(*)) END "
		"FROM %s AS r WHERE r.status " EQ " 'ATIVA' AND r.next_run_at IS NULL), "
		"(SELECT CASE WHEN l.executed_at " GE " $3 THEN "
		"pg_catalog.format('the last execution failed: %%s', l.details " JSON_TEXT " 'erro') END "
		"FROM (SELECT x.details, x.executed_at FROM %s AS x ORDER BY x.executed_at DESC LIMIT 1) "
		"AS l WHERE l.details " JSON_TEXT " 'erro' IS NOT NULL), %s, %s, %s], NULL), "
		"pg_catalog.array_cat($4, %s)) FROM (SELECT x.n, x.oldest, CASE WHEN "
		"pg_catalog.isfinite(x.oldest) "
		"THEN $1 OPERATOR(pg_catalog.-) x.oldest END AS lag FROM (SELECT "
		"(SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS r WHERE r.status " EQ
		" 'ATIVA' AND r.next_run_at " LE " $1 LIMIT %d) AS y) AS n, "
		"(SELECT r.next_run_at::pg_catalog.timestamptz FROM %s AS r WHERE r.status " EQ
		" 'ATIVA' AND r.next_run_at " LE " $1 ORDER BY r.next_run_at, r.id LIMIT 1) AS oldest) "
		"AS x) AS d",
		t->runs, t->claims, uncertain_sql(t), t->runs, rejected_sql(t), t->runs, t->logs,
		rejected_lately_sql(t), stopped_news_sql(t), waiting_news_sql(t), shut_sql(t), t->runs,
		cadence_status_is_brief ? BRIEF_COUNT_MAX : COUNT_MAX, t->runs);
}
