/*
 * whom.c
 *		To whom a step goes: its run's contact, the address, and whether anybody may
 *		write to them.
 */
#include "postgres.h"

#include "base/row.h"
#include "provider/options.h"
#include "resolve/questions.h"
#include "rules/text.h"

bool
resolve_contact(const ContactColumns *c, HeapTuple row, CadenceStep *step)
{
	if (row == NULL)
		return resolve_fails(step, "SEM_CONTATO",
							 pstrdup("the lead has no contact in this company"));
	if (!row_true(c->desc, row, c->opt_out))
		return true;
	(void) resolve_fails(step, "OPT_OUT",
						 pstrdup("the contact has opted out: the run is cancelled"));
	step->outcome = OUTCOME_STOPPED;
	step->opt_out_motivo = row_text(c->desc, row, c->opt_out_motivo, ROW_FIELD_MAX);
	return false;
}

/* Reads an address; false when there is none in that column. */
static bool
read_address(const ContactColumns *c, HeapTuple row, int column, CadenceStep *step, char **problem)
{
	char *text;

	*problem = NULL;
	if (!row_read_text(c->desc, row, column, ROW_KEY_MAX, &text))
	{
		*problem = psprintf("is longer than %d bytes", ROW_KEY_MAX);
		return true;
	}
	step->recipient = text_trimmed(text);
	if (step->recipient == NULL || *step->recipient == '\0')
		return false;
	if (cadence_has_control_characters(step->recipient))
		*problem = "contains control characters";
	else if (text_find_invisible(step->recipient, step->recipient + strlen(step->recipient)))
		*problem = "contains invisible characters";
	return true;
}

/* A column that was renamed or dropped is nobody's lack. */
static char *
no_address(const ContactColumns *c, bool is_email, const char *name)
{
	bool has_column = is_email ? c->email != 0 : c->telefone != 0 || c->telefone_e164 != 0;

	return psprintf(has_column ? "the contact has no %s" : "lead_contacts has no column %s", name);
}

bool
resolve_recipient(const ContactColumns *c, HeapTuple row, CadenceStep *step)
{
	const char *canal = step->canal != NULL ? step->canal : "";
	bool is_email = pg_strcasecmp(canal, "EMAIL") == 0;
	const char *name = is_email ? "email" : "telefone";
	char *problem;

	if (!is_email && pg_strcasecmp(canal, "WHATSAPP") != 0 && pg_strcasecmp(canal, "SMS") != 0)
		return resolve_fails(step, "CANAL_DESCONHECIDO", psprintf("unknown channel \"%s\"", canal));
	if (is_email && row_true(c->desc, row, c->email_placeholder))
		return resolve_fails(step, "SEM_ENDERECO",
							 pstrdup("the contact's email only holds the place of one"));
	if (!(!is_email && read_address(c, row, c->telefone_e164, step, &problem)) &&
		!read_address(c, row, is_email ? c->email : c->telefone, step, &problem))
		return resolve_fails(step, "SEM_ENDERECO", no_address(c, is_email, name));
	if (problem != NULL)
		return resolve_fails(step, "ENDERECO_INVALIDO",
							 psprintf("the contact's %s %s", name, problem));
	return true;
}

bool
resolve_opted_out(CadenceStep *step, const char *of, char *motivo)
{
	(void) resolve_fails(step, "OPT_OUT",
						 psprintf("the lead has opted out of %s: the run is cancelled", of));
	step->outcome = OUTCOME_STOPPED;
	step->opt_out_motivo = *motivo != '\0' ? motivo : NULL;
	return false;
}

/* Nobody writes to that address, whoever has it. */
static bool
blocked(CadenceStep *step, char *reason)
{
	(void) resolve_fails(step, "BLOQUEADO",
						 pstrdup("the address is on the blocklist: the run is cancelled"));
	step->outcome = OUTCOME_STOPPED;
	step->opt_out_motivo = reason;
	return false;
}

/* As the provider's own answer would be. What was interrupted is settled first. */
static bool
dead_address(CadenceStep *step, const PersonMarks *marks)
{
	if (step->interrupted)
		return true;
	(void) resolve_fails(step, "ENDERECO_MORTO",
						 psprintf("the address does not exist on %s, says server \"%s\": %s",
								  step->canal, marks->dead_server, marks->dead_motivo));
	step->outcome = OUTCOME_REFUSED;
	step->attempts = Max(step->attempts - 1, 0);
	return false;
}

/* Who has opted out gets nothing, whatever else keeps the step from being sent. */
bool
resolve_person(CadenceStep *step, const PersonMarks *marks)
{
	bool waits = step->outcome != OUTCOME_PENDING && step->outcome != OUTCOME_UNRESOLVED;

	if (marks == NULL || waits)
		return step->outcome == OUTCOME_PENDING;
	if (marks->has_opted_out && !marks->of_category)
		return resolve_opted_out(step, step->canal, marks->motivo);
	if (marks->is_blocked)
		return blocked(step, marks->blocked_reason);
	if (step->outcome == OUTCOME_PENDING && marks->is_dead)
		return dead_address(step, marks);
	return step->outcome == OUTCOME_PENDING;
}

/*
 * Whoever has no address for a step gets the next one, where its se_falhar says so, as if
 * the provider had refused it.
 */
void
resolve_without_address(CadenceStep *step)
{
	if (!step->goes_on || step->interrupted || step->outcome != OUTCOME_UNRESOLVED ||
		(strcmp(step->reason.code, "SEM_ENDERECO") != 0 &&
		 strcmp(step->reason.code, "ENDERECO_INVALIDO") != 0))
		return;
	step->outcome = OUTCOME_REFUSED;
	step->attempts = Max(step->attempts - 1, 0);
}
