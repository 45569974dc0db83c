/*
 * kept.c
 *		What an attempt leaves to the next one.
 *
 * Most often what it has sent, where nobody knows whether that arrived. It is
 * kept with the event of the attempt, and not only as the message's row: that has
 * its text alone, its table may not take it, and what a trigger makes of it would
 * be sent. Who may write events can write one that looks like it, so it is read
 * as anybody's: it must be whole, and its addresses fit to be sent.
 */
#include "postgres.h"

#include "base/json.h"
#include "base/statement.h"
#include "provider/kept.h"
#include "provider/options.h"

#define MEMBER "pedido"

/* No attempt lasts longer. */
#define ELAPSED_MS_MAX (10 * 60 * 1000)

#define DETAIL(key) "x.detalhes " JSON_TEXT " '" key "'"
#define CODE DETAIL("codigo")
#define FOR_GOOD DETAIL("permanente") " IS NOT NULL"
#define NOT_EXHAUSTED DETAIL("tentativas_esgotadas") " IS NULL"
#define IN_TIME DETAIL("tardio") " IS NULL"

#define HAS_REQUEST "x.detalhes OPERATOR(pg_catalog.?) '" MEMBER "'"
#define WAS_CLOSED "(" CODE " " EQ " 'JANELA_FECHADA' AND NOT " FOR_GOOD ")"
#define WAS_HELD CODE " " EQ " 'RETIDO'"
#define WAS_SENT "x.tipo_evento::text " EQ " 'DISPARADO'"
#define WAS_UNSENT DETAIL("decidido") " " EQ " 'NAO_ENVIADO'"
#define WAS_REFUSED "(" FOR_GOOD " AND " NOT_EXHAUSTED " AND " CODE " " NE " 'INCERTO')"

/*
 * In SQL, in parentheses: of a run's step the newest event that leaves something
 * to the next attempt, or that ends what an earlier one has left, since the
 * message was sent, was not, or was refused for good. What came late does
 * neither. Columns: detalhes, created_at, is_left: whether something is.
 */
char *
kept_newest_sql(const CadenceTables *t, const char *run, const char *ordem)
{
	return psprintf("(SELECT x.detalhes::jsonb AS detalhes, x.created_at::timestamptz, "
					"(" HAS_REQUEST " OR " WAS_HELD " OR " WAS_CLOSED
					") IS TRUE AS is_left FROM %s AS x "
					"WHERE x.lead_cadence_run_id " EQ " %s AND x.step_ordem " EQ " %s "
					"AND " IN_TIME " AND (" HAS_REQUEST " OR " WAS_HELD " OR " WAS_CLOSED
					" OR " WAS_SENT " OR " WAS_UNSENT " OR " WAS_REFUSED ") "
					"ORDER BY x.created_at DESC, x.id DESC LIMIT 1)",
					t->events, run, ordem);
}

/* So many answers are counted. */
#define ANSWERS_MAX "50"
#define WAS_ANSWERED DETAIL("resposta") " IS NOT NULL"
#define ANSWER_NUMBER SHORT_TEXT("(" DETAIL("resposta") ")", "20")

/*
 * In SQL, in parentheses: which answers a run's step has got, the latest first,
 * back to where nobody would have tried again by itself. Column: answers.
 */
char *
kept_answers_sql(const CadenceTables *t, const char *run, const char *ordem)
{
	return psprintf(
		"(SELECT pg_catalog.string_agg(CASE WHEN y.is_end THEN '-' ELSE y.answer END, ' ' "
		"ORDER BY y.created_at DESC, y.id DESC) AS answers FROM "
		"(SELECT x.created_at, x.id, " ANSWER_NUMBER " AS answer, " FOR_GOOD " AS is_end "
		"FROM %s AS x WHERE x.lead_cadence_run_id " EQ " %s AND x.step_ordem " EQ " %s "
		"AND " IN_TIME " AND (" WAS_ANSWERED " OR " FOR_GOOD ") "
		"ORDER BY x.created_at DESC, x.id DESC LIMIT " ANSWERS_MAX ") AS y)",
		t->events, run, ordem);
}

/* Adds to an event's details what its attempt has sent, unless that is too much. */
void
kept_add(JsonObject *details, const char *operation, const char *const *texts)
{
	JsonObject fields = json_begin();
	JsonObject request = json_begin();
	size_t bytes = 0;

	for (int i = 0; i < FIELD_COUNT; i++)
		bytes += texts[i] != NULL ? strlen(texts[i]) : 0;
	if (bytes > KEPT_BYTES_MAX)
		return;
	for (int i = 0; i < FIELD_COUNT; i++)
		json_add_text_if(&fields, message_field_names[i], texts[i]);
	json_add_text(&request, "operacao", operation);
	json_add_jsonb(&request, "campos", json_end(&fields));
	json_add_jsonb(details, MEMBER, json_end(&request));
}

static bool
is_fit(const char *text)
{
	return text != NULL && !cadence_has_control_characters(text);
}

/*
 * What an event keeps, in the current memory context; NULL: nothing that can be
 * sent. written_at is when the event was.
 */
KeptRequest *
kept_read(Datum details, TimestampTz written_at)
{
	Jsonb *whole = DatumGetJsonbP(details);
	JsonbContainer *event = &whole->root;
	JsonbContainer *request = json_get_object(event, MEMBER);
	JsonbContainer *fields = json_get_object(request, "campos");
	double elapsed_ms = json_get_number(event, "duracao_ms");
	KeptRequest *kept = palloc0(sizeof(*kept));

	kept->server = json_get_text(event, "provedor");
	kept->operation = json_get_text(request, "operacao");
	for (int i = 0; i < FIELD_COUNT; i++)
		if ((kept->texts[i] = json_get_text(fields, message_field_names[i])) != NULL)
			kept->bytes += strlen(kept->texts[i]);
	if (elapsed_ms > 0)
		kept->since = written_at - (int64) (Min(elapsed_ms, ELAPSED_MS_MAX) * 1000);
	else
		kept->since = written_at;
	/* the texts are copies: of large ones a batch holds no second */
	if ((Pointer) whole != DatumGetPointer(details))
		pfree(whole);
	if (kept->server == NULL || kept->operation == NULL || kept->texts[FIELD_MESSAGE] == NULL ||
		!is_fit(kept->texts[FIELD_RECIPIENT]) || !is_fit(kept->texts[FIELD_AS_STORED]) ||
		kept->texts[FIELD_CHANNEL] == NULL)
		return NULL;
	return kept;
}
