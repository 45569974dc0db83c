/*
 * event_details.c
 *		The column "detalhes" of an event.
 *
 * Built as jsonb: a batch has a thousand of them, and as text each would be
 * written and parsed again. What the message's row says anyway is left out of
 * the details of what was sent, which are much of what a step writes. The step's
 * transition must be made.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "provider/provider.h"
#include "record/event.h"

static void
push_string(JsonbParseState **details, JsonbIteratorToken token, const char *text)
{
	JsonbValue value = {.type = jbvString};

	value.val.string.val = (char *) text;
	value.val.string.len = strlen(text);
	pushJsonbValue(details, token, &value);
}

static void
add_text(JsonbParseState **details, const char *key, const char *text)
{
	push_string(details, WJB_KEY, key);
	push_string(details, WJB_VALUE, text);
}

static void
add_int(JsonbParseState **details, const char *key, int64 number)
{
	JsonbValue value = {.type = jbvNumeric};

	value.val.numeric = int64_to_numeric(number);
	push_string(details, WJB_KEY, key);
	pushJsonbValue(details, WJB_VALUE, &value);
}

static void
add_true(JsonbParseState **details, const char *key)
{
	JsonbValue value = {.type = jbvBool};

	value.val.boolean = true;
	push_string(details, WJB_KEY, key);
	pushJsonbValue(details, WJB_VALUE, &value);
}

static void
add_time(JsonbParseState **details, const char *key, TimestampTz time)
{
	char *text = palloc(MAXDATELEN + 1);

	JsonEncodeDateTime(text, TimestampTzGetDatum(time), TIMESTAMPTZOID, NULL);
	add_text(details, key, text);
}

static JsonbParseState *
begin_details(void)
{
	JsonbParseState *details = NULL;

	pushJsonbValue(&details, WJB_BEGIN_OBJECT, NULL);
	return details;
}

static Datum
end_details(JsonbParseState *details)
{
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&details, WJB_END_OBJECT, NULL)));
}

/* What both kinds of event say about the attempt. */
static void
add_attempt_details(JsonbParseState **details, const CadenceStep *step)
{
	if (step->request.provider != NULL)
	{
		add_text(details, "provedor", step->request.configuration->name);
		add_int(details, "tentativa", step->attempts);
	}
	if (step->answer.elapsed_us > 0)
		add_int(details, "duracao_ms", step->answer.elapsed_us / 1000);
	if (step->lost || step->late)
		add_true(details, "tardio");
	if (step->record_problem != NULL)
		add_text(details, "registro", step->record_problem);
}

/*
 * The channel is in the message's row, and the key is needed to ask a provider
 * about what is uncertain.
 */
Datum
event_sent_details(const CadenceStep *step)
{
	JsonbParseState *details = begin_details();

	if (!step->request.configuration->record_message || step->record_problem != NULL)
		add_text(&details, "canal", step->canal);
	add_attempt_details(&details, step);
	if (step->answer.http_status != 0 && step->answer.http_status != 200)
		add_int(&details, "http_status", step->answer.http_status);
	if (step->answer.message_id != NULL)
		add_text(&details, "message_id", step->answer.message_id);
	return end_details(details);
}

/* decision: of an operator, in one word; NULL: none. */
static void
add_decision(JsonbParseState **details, const char *decision)
{
	if (decision == NULL)
		return;
	add_text(details, "decidido", decision);
	add_text(details, "por", GetUserNameFromId(GetUserId(), false));
}

Datum
event_scheduled_details(TimestampTz due, const char *decision)
{
	JsonbParseState *details = begin_details();

	add_time(&details, "next_run_at", due);
	add_decision(&details, decision);
	return end_details(details);
}

Datum
event_error_details(const CadenceStep *step)
{
	JsonbParseState *details = begin_details();

	add_text(&details, "codigo", step->reason.code);
	add_text(&details, "erro", step->reason.text);
	if (step->opt_out_motivo != NULL)
		add_text(&details, "motivo", step->opt_out_motivo);
	if (step->canal != NULL)
		add_text(&details, "canal", step->canal);
	add_attempt_details(&details, step);
	if (step->request.provider != NULL)
		add_text(&details, "chave", step->key_text);
	if (step->answer.http_status != 0)
		add_int(&details, "http_status", step->answer.http_status);
	if (!step->lost && step->transition.permanent)
		add_true(&details, "permanente");
	if (!step->lost && step->transition.exhausted)
		add_true(&details, "tentativas_esgotadas");
	if (!step->lost && step->as_decided && step->transition.has_due)
		add_time(&details, "proxima_tentativa", step->transition.next_due);
	return end_details(details);
}

Datum
event_cancelled_details(const char *motivo)
{
	JsonbParseState *details = begin_details();

	add_text(&details, "codigo", "CANCELADA");
	add_text(&details, "erro", "the run was cancelled");
	if (motivo != NULL)
		add_text(&details, "motivo", motivo);
	add_true(&details, "permanente");
	return end_details(details);
}

/* Of an attempt that was sent after all: what its own event says of it, if it has one. */
Datum
event_settled_details(const Datum *uncertain)
{
	static const char *const no_more[] = {"codigo", "erro", "permanente", "proxima_tentativa"};
	JsonbParseState *details = begin_details();
	Datum result;

	add_decision(&details, "ENVIADO");
	result = end_details(details);
	if (uncertain == NULL)
		return result;
	result = DirectFunctionCall2(jsonb_concat, *uncertain, result);
	for (size_t i = 0; i < lengthof(no_more); i++)
		result = DirectFunctionCall2(jsonb_delete, result, CStringGetTextDatum(no_more[i]));
	return result;
}
