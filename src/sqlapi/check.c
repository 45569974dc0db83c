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
#include "utils/uuid.h"

#include "base/row.h"
#include "base/statement.h"
#include "provider/pool.h"
#include "resolve/contact.h"
#include "resolve/message.h"
#include "resolve/step_lookup.h"
#include "rules/explanation.h"
#include "schema/calendar.h"
#include "schema/key.h"
#include "schema/policy.h"

PG_FUNCTION_INFO_V1(cadence_check);

/* A cadence has a few steps. */
#define STEPS_MAX "1000"

/* So many days from now on are looked at for an opening that meets a step's time of day. */
#define DAYS 28

typedef enum Problem
{
	PROBLEM_NO_STEPS,
	PROBLEM_INACTIVE,
	PROBLEM_REENTRY,
	PROBLEM_ZONE,
	PROBLEM_WINDOW,
	PROBLEM_NEVER_OPENS,
	PROBLEM_SAME_NUMBER,
	PROBLEM_HOLE,
	PROBLEM_NEGATIVE,
	PROBLEM_REFERENCE,
	PROBLEM_IF_IT_FAILS,
	PROBLEM_NOT_ASCENDING,
	PROBLEM_CHANNEL,
	PROBLEM_NO_SERVER,
	PROBLEM_NO_TEMPLATE,
	PROBLEM_OTHER_CHANNEL,
	PROBLEM_TEMPLATE_INACTIVE,
	PROBLEM_TEMPLATE,
	PROBLEM_NEVER_VALID,
	PROBLEM_TIME_OUTSIDE
} Problem;

typedef struct Words
{
	const char *problem; /* %s: what it is about */
	const char *hint;
} Words;

typedef struct ProblemWords
{
	bool is_error; /* else a warning */
	Words en;
	Words pt;
} ProblemWords;

static const ProblemWords words[] = {
	[PROBLEM_NO_STEPS] = {true,
						  {"the cadence has no steps", "Insert rows into cadence_steps."},
						  {"a cadência não tem passos", "Insira linhas em cadence_steps."}},
	[PROBLEM_INACTIVE] = {false,
						  {"the cadence is inactive: its runs wait", "Set cadences.ativo to true."},
						  {"a cadência está inativa: as execuções esperam",
						   "Defina cadences.ativo como true."}},
	[PROBLEM_REENTRY] = {true,
						 {"reentrada is \"%s\", which is not known",
						  "It is UMA_VEZ, SE_INATIVO or SEMPRE."},
						 {"reentrada é \"%s\", que não existe",
						  "Use UMA_VEZ, SE_INATIVO ou SEMPRE."}},
	[PROBLEM_ZONE] = {true,
					  {"the company's time zone \"%s\" does not exist",
					   "Set cadence_empresas.fuso_horario to a name such as America/Sao_Paulo."},
					  {"o fuso horário da empresa \"%s\" não existe",
					   "Defina cadence_empresas.fuso_horario com um nome como "
					   "America/Sao_Paulo."}},
	[PROBLEM_WINDOW] = {true,
						{"janela is no window: it never opens",
						 "It is written like [{\"dias\": [1,2,3,4,5], \"das\": \"08:00\", "
						 "\"ate\": \"18:00\"}]."},
						{"janela não é uma janela: nunca abre",
						 "Escreva como [{\"dias\": [1,2,3,4,5], \"das\": \"08:00\", "
						 "\"ate\": \"18:00\"}]."}},
	[PROBLEM_NEVER_OPENS] = {true,
							 {"the window does not open within a year",
							  "Look at janela and at the company's holidays in "
							  "cadence_feriados."},
							 {"a janela não abre dentro de um ano",
							  "Veja janela e os feriados da empresa em cadence_feriados."}},
	[PROBLEM_SAME_NUMBER] = {true,
							 {"several steps have this number", "Give each its own ordem."},
							 {"vários passos têm este número", "Dê a cada um a sua ordem."}},
	[PROBLEM_HOLE] = {false,
					  {"no step has the numbers between %s and this one",
					   "That is harmless: the next higher number comes next."},
					  {"nenhum passo tem os números entre %s e este",
					   "Não faz mal: vem o próximo número maior."}},
	[PROBLEM_NEGATIVE] = {false,
						  {"offset_minutos is %s: it counts as 0", "Set it to 0 or more."},
						  {"offset_minutos é %s: conta como 0", "Defina 0 ou mais."}},
	[PROBLEM_REFERENCE] = {true,
						   {"offset_referencia is \"%s\", which is not known: it counts as "
							"ANTERIOR",
							"It is ANTERIOR or INICIO."},
						   {"offset_referencia é \"%s\", que não existe: conta como ANTERIOR",
							"Use ANTERIOR ou INICIO."}},
	[PROBLEM_IF_IT_FAILS] = {true,
							 {"se_falhar is \"%s\", which is not known: it counts as PAUSAR",
							  "It is PAUSAR or PULAR."},
							 {"se_falhar é \"%s\", que não existe: conta como PAUSAR",
							  "Use PAUSAR ou PULAR."}},
	[PROBLEM_NOT_ASCENDING] = {false,
							   {"it is due before step %s, counted from the run's beginning",
								"It comes right after the step before: put the steps in the "
								"order of their offsets."},
							   {"vence antes do passo %s, contado do início da execução",
								"Ele vem logo depois do passo anterior: ordene os passos pelos "
								"offsets."}},
	[PROBLEM_CHANNEL] = {true,
						 {"channel \"%s\" is not known", "It is WHATSAPP, SMS or EMAIL."},
						 {"o canal \"%s\" não existe", "Use WHATSAPP, SMS ou EMAIL."}},
	[PROBLEM_NO_SERVER] = {true,
						   {"no server serves channel %s for this company",
							"Create one with CREATE SERVER, and grant USAGE on it to the "
							"tables' owner."},
						   {"nenhum servidor atende o canal %s para esta empresa",
							"Crie um com CREATE SERVER e dê USAGE ao dono das tabelas."}},
	[PROBLEM_NO_TEMPLATE] = {true,
							 {"template \"%s\" does not exist in this company",
							  "Insert it into message_templates."},
							 {"o template \"%s\" não existe nesta empresa",
							  "Insira-o em message_templates."}},
	[PROBLEM_OTHER_CHANNEL] = {true,
							   {"template \"%s\" is of another channel",
								"Insert one of the step's channel into message_templates."},
							   {"o template \"%s\" é de outro canal",
								"Insira um do canal do passo em message_templates."}},
	[PROBLEM_TEMPLATE_INACTIVE] = {true,
								   {"template \"%s\" is inactive",
									"Set message_templates.ativo to true."},
								   {"o template \"%s\" está inativo",
									"Defina message_templates.ativo como true."}},
	[PROBLEM_TEMPLATE] = {true,
						  {"the template can not be rendered: %s",
						   "A placeholder is written {{name}} or {{name|fallback}}, and names a "
						   "column of lead_contacts."},
						  {"o template não pode ser preenchido: %s",
						   "Um marcador se escreve {{nome}} ou {{nome|alternativa}}, com uma "
						   "coluna de lead_contacts."}},
	[PROBLEM_NEVER_VALID] = {true,
							 {"it is never sent: at its horario the window is closed for longer "
							  "than its validade",
							  "Change horario, validade or the window."},
							 {"nunca é enviado: no seu horario a janela fica fechada por mais "
							  "tempo que a validade",
							  "Mude horario, validade ou a janela."}},
	[PROBLEM_TIME_OUTSIDE] = {false,
							  {"its horario is outside the window: it waits for the next opening",
							   "Change horario or the window."},
							  {"o seu horario está fora da janela: ele espera a próxima abertura",
							   "Mude horario ou a janela."}}};

/* A step as its row says it, where that is not what a run's lookup reads. */
typedef struct CheckedStep
{
	CadenceStep step; /* as a run would stand before it */
	StepTime time;
	bool is_again; /* another has its number */
	char *reference;
	char *if_it_fails;
} CheckedStep;

typedef struct Check
{
	const CadenceTables *tables;
	ReturnSetInfo *set;
	bool in_portuguese;
	pg_uuid_t cadence;
	char *empresa;
	bool is_enabled;
	char *reentry;
	CheckedStep *steps;
	int n;
	const Window *window; /* NULL: always open */
	Calendar calendar;	  /* the company's */
} Check;

/* ---- problems ---------------------------------------------------------------------- */

static void
report(const Check *c, const CheckedStep *step, Problem problem, const char *about)
{
	const ProblemWords *w = &words[problem];
	const Words *said = c->in_portuguese ? &w->pt : &w->en;
	const char *hole = strstr(said->problem, "%s");
	const char *text = said->problem;
	Datum values[4];
	bool nulls[4] = {false, step == NULL, false, false};

	if (hole != NULL)
		text =
			psprintf("%.*s%s%s", (int) (hole - text), text, about != NULL ? about : "", hole + 2);
	values[0] = CStringGetTextDatum(w->is_error ? "ERRO" : "AVISO");
	values[1] = Int32GetDatum(step != NULL ? step->step.position : 0);
	values[2] = CStringGetTextDatum(text);
	values[3] = CStringGetTextDatum(said->hint);
	tuplestore_putvalues(c->set->setResult, c->set->setDesc, values, nulls);
}

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
		report(c, step, problem, word);
}

/* ---- when -------------------------------------------------------------------------- */

static void
check_numbers(const Check *c, int i)
{
	const CheckedStep *step = &c->steps[i];
	int64 before = i > 0 ? c->steps[i - 1].step.position : 0;

	if (step->is_again)
		report(c, step, PROBLEM_SAME_NUMBER, NULL);
	if (i > 0 && step->step.position > before + 1)
		report(c, step, PROBLEM_HOLE, psprintf("%d", (int) before));
}

/* Of those that count from the beginning, the latest before it. */
static void
check_offset(const Check *c, int i)
{
	const CheckedStep *step = &c->steps[i];
	const CheckedStep *latest = NULL;

	if (step->time.offset < 0)
		report(c, step, PROBLEM_NEGATIVE, psprintf("%d", step->time.offset));
	if (!step->time.from_start)
		return;
	for (int k = 0; k < i; k++)
		if (c->steps[k].time.from_start &&
			(latest == NULL || c->steps[k].time.offset > latest->time.offset))
			latest = &c->steps[k];
	if (latest != NULL && latest->time.offset > step->time.offset)
		report(c, step, PROBLEM_NOT_ASCENDING, psprintf("%d", latest->step.position));
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
		report(c, step, PROBLEM_NEVER_VALID, NULL);
	else if (!meets)
		report(c, step, PROBLEM_TIME_OUTSIDE, NULL);
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
		report(c, step, PROBLEM_CHANNEL, canal);
	else if (cadence_pool_of(providers, canal, c->empresa)->members == NIL)
		report(c, step, PROBLEM_NO_SERVER, canal);
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
		report(c, step, exists_elsewhere(c, codigo) ? PROBLEM_OTHER_CHANNEL : PROBLEM_NO_TEMPLATE,
			   codigo);
	else if (!found->template_is_active)
		report(c, step, PROBLEM_TEMPLATE_INACTIVE, codigo);
	else if ((template = message_template(columns, found))->problem != NULL)
		report(c, step, PROBLEM_TEMPLATE, template->problem);
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
		report(c, NULL, PROBLEM_ZONE, policy->zone);
	if (policy->window_unknown)
		report(c, NULL, PROBLEM_WINDOW, NULL);
	else if (policy->window != NULL &&
			 window_opens(policy->window, &c->calendar, GetCurrentTimestamp()) == CALENDAR_NEVER)
		report(c, NULL, PROBLEM_NEVER_OPENS, NULL);
	else
		c->window = policy->window;
}

static void
check_cadence(const Check *c)
{
	static const char *const reentries[] = {"UMA_VEZ", "SE_INATIVO", "SEMPRE", NULL};

	if (c->n == 0)
		report(c, NULL, PROBLEM_NO_STEPS, NULL);
	if (!c->is_enabled)
		report(c, NULL, PROBLEM_INACTIVE, NULL);
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

/* ---- reading ----------------------------------------------------------------------- */

/* The cadence that is meant; false: none. */
static void
find_cadence(Check *c, const char *codigo, const char *empresa)
{
	static const Oid types[] = {TEXTOID, TEXTOID};
	const CadenceTables *t = c->tables;
	Statement look = STATEMENT(
		"looking for a cadence",
		psprintf("SELECT DISTINCT ON (x.empresa::text) x.id::uuid, x.empresa::text, "
				 "COALESCE(x.ativo, true), %s FROM %s AS x WHERE %s AND ($2 IS NULL OR %s) "
				 "ORDER BY x.empresa::text, x.updated_at DESC NULLS LAST",
				 SHORT_TEXT("x.reentrada", "100"), t->cadences,
				 cadence_key_is(t, "cadences", "x", "codigo", "$1"),
				 cadence_key_is(t, "cadences", "x", "empresa", "$2")),
		types, SPI_OK_SELECT);
	Datum values[] = {CStringGetTextDatum(codigo),
					  empresa != NULL ? CStringGetTextDatum(empresa) : (Datum) 0};
	char nulls[] = {' ', empresa != NULL ? ' ' : 'n'};
	HeapTuple row;
	TupleDesc desc;

	look.in_query = true;
	statement_execute(&look, values, nulls, 2);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						empresa == NULL ? errmsg("cadence \"%s\" does not exist", codigo)
										: errmsg("cadence \"%s\" of company \"%s\" does not exist",
												 codigo, empresa),
						errhint("Cadences are named by the column cadences.codigo.")));
	if (SPI_processed > 1)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_ROWS),
						errmsg("several companies have a cadence \"%s\"", codigo),
						errhint("Name the one that is meant in the argument empresa.")));
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	(void) row_uuid(desc, row, 1, &c->cadence);
	c->empresa = row_text(desc, row, 2, ROW_KEY_MAX);
	c->is_enabled = row_true(desc, row, 3);
	c->reentry = row_text(desc, row, 4, ROW_KEY_MAX);
}

static void
read_step(const Check *c, CheckedStep *step, TupleDesc desc, HeapTuple row)
{
	step->step.has_cadence = true;
	step->step.cadence_id = c->cadence;
	step->step.empresa = c->empresa;
	step->step.has_position = true;
	step->step.position = row_int(desc, row, 1, 0);
	step->is_again = row_true(desc, row, 2);
	step->reference = row_text(desc, row, 3, ROW_KEY_MAX);
	step->if_it_fails = row_text(desc, row, 4, ROW_KEY_MAX);
	cadence_step_time_read(desc, row, 5, &step->time);
}

static void
read_steps(Check *c)
{
	static const Oid types[] = {UUIDOID};
	Datum values[] = {UUIDPGetDatum(&c->cadence)};
	Statement look = STATEMENT(
		"reading a cadence's steps",
		psprintf("SELECT GREATEST(x.ordem, -2147483648)::int4, EXISTS (SELECT FROM %s AS o "
				 "WHERE o.cadence_id " EQ " $1 AND o.ordem " EQ " x.ordem AND o.id " NE
				 " x.id), %s, %s, %s FROM %s AS x WHERE x.cadence_id " EQ " $1 "
				 "AND x.ordem " LE " 2147483647 ORDER BY x.ordem, x.id LIMIT " STEPS_MAX,
				 c->tables->steps, SHORT_TEXT("x.offset_referencia", "100"),
				 SHORT_TEXT("x.se_falhar", "100"), cadence_step_time_columns("x"),
				 c->tables->steps),
		types, SPI_OK_SELECT);

	look.in_query = true;
	statement_execute(&look, values, NULL, 0);
	c->n = (int) SPI_processed;
	c->steps = palloc0(sizeof(CheckedStep) * Max(c->n, 1));
	for (int i = 0; i < c->n; i++)
		read_step(c, &c->steps[i], SPI_tuptable->tupdesc, SPI_tuptable->vals[i]);
	SPI_freetuptable(SPI_tuptable);
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
	find_cadence(&c, text_to_cstring(PG_GETARG_TEXT_PP(0)),
				 PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	read_steps(&c);
	check_cadence(&c);
	if (c.n > 0)
		check_steps(&c);
	SPI_finish();
	return (Datum) 0;
}
