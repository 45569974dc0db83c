/*
 * event.c
 *		The column "detalhes" of an event, from a step that has ended.
 *
 * All return jsonb in the current memory context, built as such: a batch has a
 * thousand of them, and as text each would be written and parsed again. The
 * step's plan must be made.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "record/event.h"
#include "provider/provider.h"

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
	if (step->canal != NULL)
		add_text(details, "canal", step->canal);
	if (step->request.provider != NULL)
	{
		add_text(details, "provedor", step->request.configuration->name);
		add_int(details, "tentativa", step->attempts);
		add_text(details, "chave", step->key_text);
	}
	if (step->answer.http_status != 0)
		add_int(details, "http_status", step->answer.http_status);
	if (step->answer.elapsed_us > 0)
		add_int(details, "duracao_ms", step->answer.elapsed_us / 1000);
	if (step->lost || step->late)
		add_true(details, "tardio");
	if (step->record_problem != NULL)
		add_text(details, "registro", step->record_problem);
}

Datum
event_sent_details(const CadenceStep *step)
{
	JsonbParseState *details = begin_details();

	add_attempt_details(&details, step);
	if (step->answer.message_id != NULL)
		add_text(&details, "message_id", step->answer.message_id);
	return end_details(details);
}

Datum
event_scheduled_details(const CadenceStep *step)
{
	JsonbParseState *details = begin_details();

	add_time(&details, "next_run_at", step->plan.next_due);
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
	add_attempt_details(&details, step);
	if (!step->lost && step->plan.permanent)
		add_true(&details, "permanente");
	if (!step->lost && step->plan.exhausted)
		add_true(&details, "tentativas_esgotadas");
	if (!step->lost && step->as_planned && step->plan.has_due)
		add_time(&details, "proxima_tentativa", step->plan.next_due);
	return end_details(details);
}
