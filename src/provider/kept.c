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

#include "access/detoast.h"
#include "access/htup_details.h"

#include "base/row.h"
#include "base/statement.h"
#include "provider/kept.h"
#include "provider/options.h"

#define MEMBER "pedido"

/* No attempt lasts longer. */
#define ELAPSED_MS_MAX (10 * 60 * 1000)

/* The member is a part of an event's details, with names and the rest of them around it. */
#define DETAILS_MAX (KEPT_BYTES_MAX + 1024 * 1024)

/*
 * One step's history is no reason to keep all others waiting: so many of its
 * events are looked at, and so many of those that are large.
 */
#define EVENTS_MAX "100"
#define LARGE_EVENTS_MAX 3
#define LARGE_EVENT (64 * 1024)

/*
 * In SQL, in parentheses: the newest events of a run's step, but for what is dated
 * further ahead than a clock can be wrong. They are those that name one of its ids;
 * where names is null, since the cadence was never edited around the run, or one names
 * no step, those that have its number. Columns: detalhes, created_at, tipo, ordem, id.
 */
char *
kept_events_sql(const CadenceTables *t, const char *run, const char *ordem, const char *names)
{
	return psprintf("(SELECT x.detalhes::jsonb AS detalhes, x.created_at::timestamptz, "
					"x.tipo_evento::text AS tipo, x.step_ordem::int4 AS ordem, x.id FROM %s AS x "
					"WHERE x.lead_cadence_run_id " EQ " %s AND CASE WHEN %s IS NULL "
					"THEN x.step_ordem " EQ " %s ELSE COALESCE(x.detalhes " JSON_TEXT " 'passo' " EQ
					" ANY (%s), x.step_ordem " EQ " %s) END "
					"AND x.created_at " LE " (" NOW " OPERATOR(pg_catalog.+) interval '1 day') "
					"ORDER BY x.created_at DESC, x.id DESC LIMIT " EVENTS_MAX ")",
					t->events, run, names, ordem, names, ordem);
}

/* Adds to an event's details what its attempt has sent, unless that is too much. */
void
kept_add(JsonObject *details, Oid server, const char *operation, const char *const *texts)
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
	json_add_int(&request, "servidor", server);
	json_add_text(&request, "operacao", operation);
	json_add_jsonb(&request, "campos", json_end(&fields));
	json_add_jsonb(details, MEMBER, json_end(&request));
}

/* ---- reading ------------------------------------------------------------------------ */

static bool
is_fit(const char *text)
{
	return text != NULL && strlen(text) <= ROW_KEY_MAX && !cadence_has_control_characters(text);
}

static bool
can_be_sent(const KeptRequest *kept)
{
	const char *codigo = kept->texts[FIELD_TEMPLATE_CODE];

	return kept->server_name != NULL && kept->operation != NULL &&
		   kept->texts[FIELD_MESSAGE] != NULL && is_fit(kept->texts[FIELD_RECIPIENT]) &&
		   is_fit(kept->texts[FIELD_AS_STORED]) && is_fit(kept->texts[FIELD_CHANNEL]) &&
		   (codigo == NULL || strlen(codigo) <= ROW_KEY_MAX);
}

/* In the current memory context; NULL: nothing that can be sent. */
static KeptRequest *
read_request(JsonbContainer *event, TimestampTz written_at)
{
	JsonbContainer *request = json_get_object(event, MEMBER);
	JsonbContainer *fields = json_get_object(request, "campos");
	double elapsed_ms = json_get_number(event, "duracao_ms");
	KeptRequest *kept = palloc0(sizeof(*kept));

	kept->server = (Oid) Max(Min(json_get_number(request, "servidor"), PG_UINT32_MAX), 0);
	kept->server_name = json_get_text(event, "provedor");
	kept->operation = json_get_text(request, "operacao");
	for (int i = 0; i < FIELD_COUNT; i++)
		if ((kept->texts[i] = json_get_text(fields, message_field_names[i])) != NULL)
			kept->bytes += strlen(kept->texts[i]);
	kept->since = written_at;
	if (elapsed_ms > 0)
		kept->since -= (int64) (Min(elapsed_ms, ELAPSED_MS_MAX) * 1000);
	return can_be_sent(kept) ? kept : NULL;
}

static bool
says(JsonbContainer *event, const char *key, const char *value)
{
	char *text = json_get_text(event, key);
	bool is_so = text != NULL && strcmp(text, value) == 0;

	if (text != NULL)
		pfree(text);
	return is_so;
}

static bool
keeps_request(JsonbContainer *event, const char *tipo)
{
	return strcmp(tipo, "ERRO") == 0 && says(event, "codigo", "INCERTO") &&
		   json_get_object(event, MEMBER) != NULL;
}

static bool
holds_message(JsonbContainer *event, const char *tipo)
{
	return strcmp(tipo, "ERRO") == 0 && says(event, "codigo", "RETIDO");
}

static bool
closes_window(JsonbContainer *event)
{
	return says(event, "codigo", "JANELA_FECHADA") && !json_get_true(event, "permanente");
}

/* Whether the message was sent, was not, or was refused for good. */
static bool
ends_it(JsonbContainer *event, const char *tipo)
{
	return strcmp(tipo, "DISPARADO") == 0 || says(event, "decidido", "NAO_ENVIADO") ||
		   (json_get_true(event, "permanente") && !json_get_true(event, "tentativas_esgotadas") &&
			!says(event, "codigo", "INCERTO"));
}

/* How long an event's details are, which is known before they are read. */
Size
kept_event_size(TupleDesc desc, HeapTuple row, int column)
{
	bool isnull;
	Datum details = heap_getattr(row, column, desc, &isnull);

	return isnull ? 0 : toast_raw_datum_size(details);
}

/* So many answers are counted. */
#define ANSWERS_MAX 50

/* Which answers a step has got, back to where nobody would have tried again by itself. */
static void
count_answer(KeptSearch *search, JsonbContainer *event)
{
	double answer = json_get_number(event, "resposta");

	search->answers_are_over = json_get_true(event, "permanente");
	if (search->answers_are_over || !(answer >= 1 && answer <= PG_UINT32_MAX))
		return;
	if (search->answers == NULL)
		search->answers = makeStringInfo();
	appendStringInfo(search->answers, "%u ", (uint32) answer);
	search->answers_are_over = ++search->nanswers >= ANSWERS_MAX;
}

/* What is too large is not ours. */
static HeldMessage *
held_message(const Jsonb *event, Size size, TimestampTz written_at)
{
	HeldMessage *held = palloc(sizeof(*held));
	JsonObject none = json_begin();

	held->at = written_at;
	if (size > LARGE_EVENT)
		held->details = json_end(&none);
	else
		held->details = JsonbPGetDatum(memcpy(palloc(VARSIZE(event)), event, VARSIZE(event)));
	return held;
}

/* What an event leaves to the next attempt, or whether it ends what others have left. */
static void
read_left(KeptSearch *search, Jsonb *whole, Size size, const char *tipo, TimestampTz written_at)
{
	JsonbContainer *event = whole != NULL ? &whole->root : NULL;

	if (keeps_request(event, tipo))
		search->request = read_request(event, written_at);
	else if (holds_message(event, tipo))
		search->held = held_message(whole, size, written_at);
	else if (closes_window(event))
		search->closed_at = written_at;
	else
	{
		search->is_over = ends_it(event, tipo);
		return;
	}
	search->is_over = search->found = true;
}

/* What came late says nothing. */
static void
read_details(KeptSearch *search, Jsonb *whole, Size size, const char *tipo, TimestampTz written_at)
{
	if (whole != NULL && json_get_true(&whole->root, "tardio"))
		return;
	if (!search->is_over)
		read_left(search, whole, size, tipo, written_at);
	if (!search->answers_are_over && whole != NULL)
		count_answer(search, &whole->root);
}

/*
 * Reads the next event of a step's, from the newest on, as kept_events_sql() has
 * them from that column on, until one leaves something to the next attempt, or ends
 * what an earlier one has left.
 */
void
kept_search(KeptSearch *search, TupleDesc desc, HeapTuple row, int column)
{
	Size size = kept_event_size(desc, row, column);
	char *tipo = row_text(desc, row, column + 2, ROW_KEY_MAX);
	bool isnull;
	Datum details = heap_getattr(row, column, desc, &isnull);
	Jsonb *whole;

	if ((search->is_over && search->answers_are_over) || tipo == NULL || size > DETAILS_MAX)
		return;
	whole = isnull ? NULL : DatumGetJsonbP(details);
	read_details(search, whole, size, tipo, row_time(desc, row, column + 1, DT_NOBEGIN));
	if (size > LARGE_EVENT && ++search->nlarge >= LARGE_EVENTS_MAX)
		search->is_over = search->answers_are_over = true;
	/* the texts are copies: of large ones a batch holds no second */
	if (whole != NULL && (Pointer) whole != DatumGetPointer(details))
		pfree(whole);
}

/* Its category, "" where nobody has said; NULL: it was no approved template. */
const char *
kept_category(const KeptRequest *kept)
{
	const char *category = kept->texts[FIELD_TEMPLATE_CATEGORY];

	if (strncmp(kept->operation, "template", strlen("template")) != 0)
		return NULL;
	return category != NULL ? category : "";
}
