/*
 * preview.c
 *		cadence_preview(): what a run's next step would send.
 *
 * Runs the SELECT and the code that an execution resolves with, over the
 * caller's own rights, and changes nothing.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "resolve/request.h"
#include "rules/request_builder.h"
#include "sqlapi/look.h"

PG_FUNCTION_INFO_V1(cadence_preview);

/* Secrets are shown to nobody, not even to who might read them elsewhere. */
static void
hide_secrets(const CadenceConfiguration *c, const char **values)
{
	size_t first = FIELD_COUNT + c->definition->options.n;

	for (size_t i = 0; i < c->definition->secrets.n; i++)
		if (values[first + i] != NULL)
			values[first + i] = "***";
}

/* What would go to the provider: the operation of its protocol, its address and the body. */
static void
add_request(JsonObject *json, CadenceStep *step)
{
	const CadenceConfiguration *c = step->request.configuration;
	BuiltRequest built;

	if (!step_request_make(step))
		return;
	json_add_text(json, "mensagem", step->message);
	json_add_text(json, "destinatario_provedor", step->request.values[FIELD_RECIPIENT]);
	if (step->request.values[FIELD_SUBJECT] != NULL)
		json_add_text(json, "assunto", step->request.values[FIELD_SUBJECT]);
	json_add_text(json, "operacao",
				  step->request.operation != NULL ? step->request.operation->name : "email");
	hide_secrets(c, (const char **) step->request.values);
	if (step->request.operation == NULL)
	{
		json_add_text(json, "url", c->url);
		return;
	}
	if (!request_build(step->request.operation, step->request.values, &built))
		return;
	/* json points to what it is given until its end */
	json_add_text(json, "url", pstrdup(built.url));
	json_add_text(json, "corpo", built.body != NULL ? pstrdup(built.body) : NULL);
	request_free(&built);
}

static Datum
preview_json(CadenceStep *step, const char *status, const char *waits_for)
{
	JsonObject json = json_begin();
	bool sendable = step->outcome == OUTCOME_PENDING;

	json_add_text(&json, "runId", step->run_id_text);
	json_add_text(&json, "leadId", step->lead_id);
	json_add_text(&json, "empresa", step->empresa);
	json_add_text(&json, "status", status);
	if (step->due == DT_NOBEGIN)
		json_add_text(&json, "next_run_at", NULL);
	else
		json_add_time(&json, "next_run_at", step->due);
	if (step->has_step)
		json_add_int(&json, "stepOrdem", step->ordem);
	else
		json_add_text(&json, "stepOrdem", NULL);
	json_add_text(&json, "canal", step->canal);
	json_add_text(&json, "templateCodigo", step->template_codigo);
	json_add_text(&json, "destinatario", step->recipient);
	json_add_text(&json, "provedor",
				  step->request.provider != NULL ? step->request.configuration->name : NULL);
	if (waits_for != NULL)
	{
		json_add_time(&json, "espera_ate", step->until);
		json_add_text(&json, "espera_por", waits_for);
	}
	if (sendable)
		add_request(&json, step);
	else
	{
		json_add_text(&json, "mensagem", NULL);
		json_add_text(&json, "codigo",
					  step->outcome == OUTCOME_NO_STEP ? "SEM_PASSO" : step->reason.code);
		json_add_text(&json, "erro",
					  step->outcome == OUTCOME_NO_STEP ? "no step is left" : step->reason.text);
	}
	return json_end(&json);
}

/*
 * When it is due, what policies say of it; what waits for a time is shown as it would be
 * sent then. Why it waits; NULL: it does not.
 */
static const char *
rule(const RunLook *look)
{
	CadenceStep *step = look->step;

	cadence_rulings_ask(look->rulings, &step, 1);
	cadence_rulings_decide(look->rulings, &step, 1,
						   TIMESTAMP_NOT_FINITE(step->due) ? DT_NOBEGIN : step->due);
	if (step->outcome != OUTCOME_DEFERRED)
		return NULL;
	step->outcome = OUTCOME_PENDING;
	return step->reason.code;
}

/*
 * cadence_preview(run uuid) -> jsonb: channel, recipient, text, provider and
 * time of what the run's next step would send, or codigo and erro where it
 * would send nothing.
 *
 * Errors: P0002 when there is no such run; 42P01 without tables; 42501 without
 * the right to read them.
 */
Datum
cadence_preview(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	const char *waits_for;
	RunLook look;
	Datum json;

	run_look_begin(&look, PG_GETARG_DATUM(0));
	cadence_resolve(look.resolver, &look.step, 1);
	waits_for = rule(&look);
	run_look_at_sender(&look, false);

	/* SPI leaves its own memory context behind, which ends with the connection. */
	MemoryContextSwitchTo(context);
	json = preview_json(look.step, look.status, waits_for);
	run_look_end(&look);
	PG_RETURN_DATUM(json);
}
