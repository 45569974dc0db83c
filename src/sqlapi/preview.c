/*
 * preview.c
 *		cadence_preview(): what a run's next step would send.
 *
 * Runs the SELECT and the code that an execution resolves with, over the
 * caller's own rights, and changes nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/json.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "claim/claim.h"
#include "provider/provider.h"
#include "provider/sender_state.h"
#include "resolve/conversation.h"
#include "resolve/request.h"
#include "resolve/resolve.h"
#include "rules/request_builder.h"
#include "schema/tables.h"

PG_FUNCTION_INFO_V1(cadence_preview);

/* The run as a step begins with it, and its status. */
static CadenceStep *
read_run(const CadenceTables *tables, Datum run_id, char **status)
{
	static const Oid types[] = {UUIDOID};
	CadenceStep *step;
	Statement look = STATEMENT("looking for the run",
							   psprintf("SELECT " CLAIMED_RUN_COLUMNS("r") ", r.status::text "
																		   "FROM %s AS r "
																		   "WHERE r.id " EQ " $1",
										tables->runs),
							   types, SPI_OK_SELECT);

	look.in_query = true;
	statement_execute(&look, &run_id, NULL, 1);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("run %s does not exist",
							   DatumGetCString(DirectFunctionCall1(uuid_out, run_id)))));
	*status = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, CLAIMED_RUN_NCOLUMNS + 1);
	step = cadence_claimed_run(SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
	/* as a claim would */
	step->attempts++;
	return step;
}

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
rule(CadenceRulings *rulings, CadenceStep *step)
{
	cadence_rulings_ask(rulings, &step, 1);
	cadence_rulings_decide(rulings, &step, 1,
						   TIMESTAMP_NOT_FINITE(step->due) ? DT_NOBEGIN : step->due);
	if (step->outcome != OUTCOME_DEFERRED)
		return NULL;
	step->outcome = OUTCOME_PENDING;
	return step->reason.code;
}

/* The message and its provider, as far as an execution that began now would find them; why it
 * waits. */
static const char *
resolve(const CadenceTables *tables, const CadenceProviders *providers, CadenceStep *step)
{
	const char *waits_for;
	CadenceSenderStates *states = cadence_sender_states_create(tables, true);
	CadenceRulings *rulings = cadence_rulings_create(tables, true);
	CadenceResolver *resolver = cadence_resolver_create(tables, providers, rulings, true);

	cadence_resolve(resolver, &step, 1);
	waits_for = rule(rulings, step);
	if (step->conversation != NULL && list_length(step->pool->members) > 1)
	{
		cadence_sender_states_read(states);
		cadence_conversations_find(cadence_conversations_create(tables, true), &step, 1);
	}
	cadence_resolve_providers(resolver, states, &step, 1);
	return waits_for;
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
	Datum run_id = PG_GETARG_DATUM(0);
	MemoryContext context = CurrentMemoryContext;
	CadenceTables *tables = cadence_tables_load(cadence_extension_schema());
	CadenceProviders *providers = cadence_providers_create(tables->owner);
	CadenceStep *step;
	int guc_level;
	char *status;
	const char *waits_for;
	Datum json;

	cadence_providers_refresh(providers);
	guc_level = cadence_use_text_format();
	(void) SPI_connect();
	step = read_run(tables, run_id, &status);
	waits_for = resolve(tables, providers, step);

	/* SPI leaves its own memory context behind, which ends with the connection. */
	MemoryContextSwitchTo(context);
	json = preview_json(step, status, waits_for);
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
	PG_RETURN_DATUM(json);
}
