/*
 * check_problems.c
 *		What may be wrong with a cadence, in words, and what to do about it.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "sqlapi/check_parts.h"

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
	[PROBLEM_COUNTRY] = {false,
						 {"the company's country \"%s\" is not known: telephone numbers without "
						  "a country's code are taken for Brazil's",
						  "Set cadence_empresas.pais to two letters such as BR or PT, or write "
						  "all numbers with \"+\"."},
						 {"o país da empresa \"%s\" não é conhecido: telefones sem o código do "
						  "país valem como do Brasil",
						  "Defina cadence_empresas.pais com duas letras como BR ou PT, ou "
						  "escreva todos os números com \"+\"."}},
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

/* Of a step, or of the cadence itself (NULL). */
void
check_report(const Check *c, const CheckedStep *step, Problem problem, const char *about)
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
