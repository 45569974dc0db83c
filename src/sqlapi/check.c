/*
 * check.c
 *		cadence_check(): what is wrong with a cadence, before its runs find out.
 *
 * Each step is looked up as an execution looks up the steps of runs, and its template
 * is read by the code that reads it then. Nothing is changed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/statement.h"
#include "provider/pool.h"
#include "resolve/contact.h"
#include "resolve/message.h"
#include "resolve/step_lookup.h"
#include "rules/explanation.h"
#include "rules/phone.h"
#include "schema/calendar.h"
#include "schema/key.h"
#include "schema/policy.h"
#include "sqlapi/check_parts.h"

PG_FUNCTION_INFO_V1(cadence_check);

/* So many days from now on are looked at for an opening that meets a step's time of day. */
#define DAYS 28

static bool
is_one_of(const char *word, const char *const *known)
{
	for (; *known != NULL; known++)
		if (strcmp(word, *known) == 0)
			return true;
	return false;
}

static void
check_word(const Check *c, const CheckedStep *step, const char *word, const char *const *known,
		   Problem problem)
{
	if (word != NULL && !is_one_of(word, known))
		check_report(c, step, problem, word);
}

/* ---- when -------------------------------------------------------------------------- */

static void
check_numbers(const Check *c, int i)
{
	const CheckedStep *step = &c->steps[i];
	int64 before = i > 0 ? c->steps[i - 1].step.position : 0;

	if (step->is_again)
		check_report(c, step, PROBLEM_SAME_NUMBER, NULL);
	if (i > 0 && step->step.position > before + 1)
		check_report(c, step, PROBLEM_HOLE, psprintf("%d", (int) before));
}

/* Of those that count from the beginning, the latest before it. */
static void
check_offset(const Check *c, int i)
{
	const CheckedStep *step = &c->steps[i];
	const CheckedStep *latest = NULL;

	if (step->time.offset < 0)
		check_report(c, step, PROBLEM_NEGATIVE, psprintf("%d", step->time.offset));
	if (!step->time.from_start)
		return;
	for (int k = 0; k < i; k++)
		if (c->steps[k].time.from_start &&
			(latest == NULL || c->steps[k].time.offset > latest->time.offset))
			latest = &c->steps[k];
	if (latest != NULL && latest->time.offset > step->time.offset)
		check_report(c, step, PROBLEM_NOT_ASCENDING, psprintf("%d", latest->step.position));
}

/* How a step's time of day, on days to come, meets the window. */
static void
check_time(const Check *c, const CheckedStep *step, int64 valid_for_us)
{
	int64 now = GetCurrentTimestamp();
	int32 today = calendar_day(&c->calendar, now);
	bool meets = false;
	bool is_valid = valid_for_us == 0;

	if (c->window == NULL || !step->time.has_time)
		return;
	for (int day = 0; day < DAYS; day++)
	{
		int64 due = calendar_instant(&c->calendar, today + day, step->time.time);
		int64 opens = window_opens(c->window, &c->calendar, due);

		if (step->time.working_days && !calendar_is_working_day(&c->calendar, today + day))
			continue;
		meets = meets || opens == due;
		is_valid = is_valid || (opens != CALENDAR_NEVER && opens - due < valid_for_us);
	}
	if (!is_valid)
		check_report(c, step, PROBLEM_NEVER_VALID, NULL);
	else if (!meets)
		check_report(c, step, PROBLEM_TIME_OUTSIDE, NULL);
}

/* ---- what -------------------------------------------------------------------------- */

static bool
is_channel(const char *canal)
{
	return pg_strcasecmp(canal, "WHATSAPP") == 0 || pg_strcasecmp(canal, "SMS") == 0 ||
		   pg_strcasecmp(canal, "EMAIL") == 0;
}

static void
check_channel(const Check *c, const CadenceProviders *providers, const CheckedStep *step,
			  const char *canal)
{
	if (!is_channel(canal))
		check_report(c, step, PROBLEM_CHANNEL, canal);
	else if (cadence_pool_of(providers, canal, c->empresa)->members == NIL)
		check_report(c, step, PROBLEM_NO_SERVER, canal);
}

/* Whether a template of that name has another channel. */
static bool
exists_elsewhere(const Check *c, const char *codigo)
{
	static const Oid types[] = {TEXTOID, TEXTOID};
	const CadenceTables *t = c->tables;
	Statement look =
		STATEMENT("looking for a template",
				  psprintf("SELECT 1 FROM %s AS x WHERE %s AND %s LIMIT 1", t->templates,
						   cadence_key_is(t, "message_templates", "x", "codigo", "$1"),
						   cadence_key_is(t, "message_templates", "x", "empresa", "$2")),
				  types, SPI_OK_SELECT);
	Datum values[] = {CStringGetTextDatum(codigo),
					  c->empresa != NULL ? CStringGetTextDatum(c->empresa) : (Datum) 0};
	char nulls[] = {' ', c->empresa != NULL ? ' ' : 'n'};

	look.in_query = true;
	statement_execute(&look, values, nulls, 1);
	return SPI_processed > 0;
}

static void
check_template(const Check *c, const ContactColumns *columns, const CheckedStep *step,
			   CadenceStepLookup *found)
{
	const char *codigo = found->template_codigo != NULL ? found->template_codigo : "";
	const CadenceTemplate *template;

	if (!found->has_template)
		check_report(c, step,
					 exists_elsewhere(c, codigo) ? PROBLEM_OTHER_CHANNEL : PROBLEM_NO_TEMPLATE,
					 codigo);
	else if (!found->template_is_active)
		check_report(c, step, PROBLEM_TEMPLATE_INACTIVE, codigo);
	else if ((template = message_template(columns, found))->problem != NULL)
		check_report(c, step, PROBLEM_TEMPLATE, template->problem);
}

/* ---- the cadence ------------------------------------------------------------------- */

static void
check_window(Check *c, const CadenceStepLookup *found)
{
	const CadencePolicy *policy = &found->policy;
	CadenceCalendars *calendars = cadence_calendars_create(c->tables, true);
	CadencePlace place = {.empresa = c->empresa,
						  .empresa_zone = policy->zone,
						  .empresa_pais = found->pais,
						  .empresa_uf = policy->uf};

	cadence_calendars_refresh(calendars);
	if (!cadence_calendar_of(calendars, &place, &c->calendar))
		check_report(c, NULL, PROBLEM_ZONE, policy->zone);
	if (found->pais != NULL && !phone_knows_country(found->pais))
		check_report(c, NULL, PROBLEM_COUNTRY, found->pais);
	if (policy->window_unknown)
		check_report(c, NULL, PROBLEM_WINDOW, NULL);
	else if (policy->window != NULL &&
			 window_opens(policy->window, &c->calendar, GetCurrentTimestamp()) == CALENDAR_NEVER)
		check_report(c, NULL, PROBLEM_NEVER_OPENS, NULL);
	else
		c->window = policy->window;
}

static void
check_cadence(const Check *c)
{
	static const char *const reentries[] = {"UMA_VEZ", "SE_INATIVO", "SEMPRE", NULL};

	if (c->n == 0)
		check_report(c, NULL, PROBLEM_NO_STEPS, NULL);
	if (!c->is_enabled)
		check_report(c, NULL, PROBLEM_INACTIVE, NULL);
	check_word(c, NULL, c->reentry, reentries, PROBLEM_REENTRY);
}

static void
check_steps(Check *c)
{
	static const char *const references[] = {"ANTERIOR", "INICIO", NULL};
	static const char *const ends[] = {"PAUSAR", "PULAR", NULL};
	CadenceProviders *providers = cadence_providers_create(c->tables->owner);
	CadenceStepLookup **found = palloc(sizeof(*found) * c->n);
	CadenceStep **steps = palloc(sizeof(*steps) * c->n);
	HeapTuple *rows = palloc(sizeof(*rows) * c->n);
	ContactColumns columns;

	for (int i = 0; i < c->n; i++)
		steps[i] = &c->steps[i].step;
	cadence_providers_refresh(providers);
	cadence_contacts_find(cadence_contacts_create(c->tables, true), steps, c->n, &columns, rows);
	cadence_step_lookups_find(cadence_step_lookups_create(c->tables, true), steps, c->n, found);
	check_window(c, found[0]);
	for (int i = 0; i < c->n; i++)
	{
		const CheckedStep *step = &c->steps[i];

		CHECK_FOR_INTERRUPTS();
		check_numbers(c, i);
		check_offset(c, i);
		check_word(c, step, step->reference, references, PROBLEM_REFERENCE);
		check_word(c, step, step->if_it_fails, ends, PROBLEM_IF_IT_FAILS);
		if (!found[i]->has_step)
			continue;
		check_channel(c, providers, step, found[i]->canal != NULL ? found[i]->canal : "");
		check_template(c, &columns, step, found[i]);
		check_time(c, step, found[i]->valid_for_us);
	}
}

/*
 * cadence_check(cadence_codigo text, empresa text DEFAULT NULL) -> setof (severidade
 * text, ordem int, problema text, dica text), in Portuguese where lc_messages is.
 *
 * Errors: P0002 when there is no such cadence, P0003 when several companies have it and
 * none is named; 42P01 without tables; 42501 without the right to read them.
 */
Datum
cadence_check(PG_FUNCTION_ARGS)
{
	Check c = {.tables = cadence_tables_load(cadence_extension_schema())};

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("cadence_codigo must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	c.set = (ReturnSetInfo *) fcinfo->resultinfo;
	c.in_portuguese = explanation_is_portuguese(GetConfigOption("lc_messages", true, false));
	(void) SPI_connect();
	check_read(&c, text_to_cstring(PG_GETARG_TEXT_PP(0)),
			   PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	check_cadence(&c);
	if (c.n > 0)
		check_steps(&c);
	SPI_finish();
	return (Datum) 0;
}
