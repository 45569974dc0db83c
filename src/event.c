/*
 * event.c
 *		The column "detalhes" of an event, from a step that has ended.
 *
 * All return JSON in the current memory context. The step's plan must be made.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "event.h"
#include "json.h"
#include "provider.h"

/* What both kinds of event say about the attempt. */
static void
add_attempt_details(StringInfo json, const CadenceStep *step)
{
	if (step->canal != NULL)
		json_add_text(json, "canal", step->canal);
	if (step->provider != NULL)
	{
		json_add_text(json, "provedor", step->provider->name);
		json_add_int(json, "tentativa", step->attempts);
		json_add_text(json, "chave", step->key_text);
	}
	if (step->answer.http_status != 0)
		json_add_int(json, "http_status", step->answer.http_status);
	if (step->answer.elapsed_us > 0)
		json_add_int(json, "duracao_ms", step->answer.elapsed_us / 1000);
	if (step->lost || step->late)
		json_add_bool(json, "tardio", true);
	if (step->record_problem != NULL)
		json_add_text(json, "registro", step->record_problem);
}

char *
event_sent_details(const CadenceStep *step)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	add_attempt_details(&json, step);
	if (step->answer.message_id != NULL)
		json_add_text(&json, "message_id", step->answer.message_id);
	appendStringInfoChar(&json, '}');
	return json.data;
}

char *
event_scheduled_details(const CadenceStep *step)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	json_add_time(&json, "next_run_at", step->plan.next_due);
	appendStringInfoChar(&json, '}');
	return json.data;
}

char *
event_error_details(const CadenceStep *step)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	json_add_text(&json, "codigo", step->reason.code);
	json_add_text(&json, "erro", step->reason.text);
	if (step->opt_out_motivo != NULL)
		json_add_text(&json, "motivo", step->opt_out_motivo);
	add_attempt_details(&json, step);
	if (!step->lost && step->plan.permanent)
		json_add_bool(&json, "permanente", true);
	if (!step->lost && step->plan.exhausted)
		json_add_bool(&json, "tentativas_esgotadas", true);
	if (!step->lost && step->as_planned && step->plan.has_due)
		json_add_time(&json, "proxima_tentativa", step->plan.next_due);
	appendStringInfoChar(&json, '}');
	return json.data;
}
