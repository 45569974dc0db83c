/*
 * resolve.c
 *		Resolve: from a claimed run to a message, its recipient and its provider.
 *
 * Works on a step's run, whoever has read it, on its contact, and on what all
 * runs before the same step have in common. It sends nothing, so that
 * cadence_preview() shows what an execution does.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/formatting.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "resolve/contact.h"
#include "resolve/heard.h"
#include "resolve/kept_lookup.h"
#include "resolve/link.h"
#include "resolve/marks.h"
#include "resolve/message.h"
#include "resolve/news.h"
#include "resolve/questions.h"
#include "resolve/request.h"
#include "resolve/resolve.h"
#include "resolve/step_lookup.h"
#include "schema/calendar.h"
#include "schema/edition.h"

struct CadenceResolver
{
	const CadenceProviders *providers;
	CadenceContacts *contacts;
	CadenceStepLookups *lookups;
	CadenceHeard *heard;
	CadenceMarks *marks;
	CadenceKeptLookup *kept;
	CadenceLinks *links;
	CadenceRulings *rulings;
	ContactColumns contact; /* of the steps under way */
};

/*
 * In the current memory context. in_query: for one call in somebody's query.
 */
CadenceResolver *
cadence_resolver_create(const CadenceTables *tables, const CadenceProviders *providers,
						CadenceRulings *rulings, bool in_query)
{
	CadenceResolver *r = palloc0(sizeof(*r));

	r->providers = providers;
	r->contacts = cadence_contacts_create(tables, in_query);
	r->lookups = cadence_step_lookups_create(tables, in_query);
	r->heard = cadence_heard_create(tables, in_query);
	r->marks = cadence_marks_create(tables, in_query);
	r->kept = cadence_kept_lookup_create(tables, in_query);
	r->links = cadence_links_create(tables, in_query);
	r->rulings = rulings;
	return r;
}

/* False, as every answer that ends a step's resolution: it can not be sent, and why. */
bool
resolve_fails(CadenceStep *step, const char *code, char *text)
{
	step->outcome = OUTCOME_UNRESOLVED;
	step->reason.code = code;
	step->reason.text = text;
	return false;
}

static bool
resolve_step(CadenceStep *step, const CadenceStepLookup *found, const CadenceStepLookup *next)
{
	step->has_step = found->has_step;
	step->step_id = found->step_id;
	step->ordem = found->ordem;
	step->canal = found->canal;
	step->template_codigo = found->template_codigo;
	step->cohort_day = cadence_cohort_day(found->policy.zone, step->began);
	step->has_next = next->has_next;
	step->next_id = next->next_id;
	step->next_ordem = next->next_ordem;
	step->next_time = next->next_time;
	step->valid_for_us = found->valid_for_us;
	step->goes_on = found->goes_on;
	step->next_template = next->next_template;
	step->pais = found->pais;
	step->categoria = step_lookup_category(found);
	if (!found->has_cadence)
		return resolve_fails(step, "SEM_CADENCIA", pstrdup("the run's cadence does not exist"));
	if (!found->is_active)
	{
		(void) resolve_fails(step, "CADENCIA_INATIVA",
							 pstrdup("the cadence is inactive: the run waits"));
		step->outcome = OUTCOME_WAITING;
		return false;
	}
	if (!found->has_step)
		step->outcome = OUTCOME_NO_STEP;
	return found->has_step;
}

/* Who switches a template off, or removes it, stops what it says, sent before or not. */
static bool
resolve_template_is_active(const CadenceStepLookup *found, CadenceStep *step)
{
	const char *codigo = step->template_codigo != NULL ? step->template_codigo : "";

	if (!found->has_template)
		return resolve_fails(
			step, "SEM_TEMPLATE",
			psprintf("template \"%s\" does not exist in this company, or not for this channel",
					 codigo));
	if (!found->template_is_active)
		return resolve_fails(step, "SEM_TEMPLATE", psprintf("template \"%s\" is inactive", codigo));
	return true;
}

/* Of a mail it is a header, whatever its text says. */
static bool
wants_link(const CadenceStep *step)
{
	return pg_strcasecmp(step->canal, "EMAIL") == 0 || message_names_link(step->template);
}

static bool
resolve_template(const CadenceResolver *r, HeapTuple row, CadenceStepLookup *found,
				 CadenceStep *step)
{
	const ContactColumns *c = &r->contact;
	const char *codigo = step->template_codigo != NULL ? step->template_codigo : "";
	char *problem;

	if (found->template_has_no_room)
	{
		step->outcome = OUTCOME_UNSENT;
		return false;
	}
	step->template = message_template(c, found);
	if (step->template->problem != NULL)
		return resolve_fails(step, "TEMPLATE_INVALIDO",
							 psprintf("template \"%s\": %s", codigo, step->template->problem));
	if (wants_link(step))
		cadence_link_make(r->links, step);
	problem = message_read_values(c, row, found, step);
	if (problem != NULL)
		return resolve_fails(step, "TEMPLATE_INVALIDO", problem);
	return step->outcome == OUTCOME_PENDING;
}

/*
 * Whose it is: as its contact spells lead and company, so that runs that are one
 * lead's to their columns have one conversation.
 */
static void
begin_conversation(const ContactColumns *c, HeapTuple row, CadenceStep *step)
{
	CadenceConversation *conversation;
	char *empresa;
	char *lead_id;

	if (!step->pool->is_tracked)
		return;
	empresa = row_text(c->desc, row, c->empresa, ROW_KEY_MAX);
	lead_id = row_text(c->desc, row, c->lead_id, ROW_KEY_MAX);
	conversation = palloc0(sizeof(*conversation));
	conversation->empresa = empresa != NULL ? empresa : step->empresa;
	conversation->lead_id = lead_id != NULL ? lead_id : step->lead_id;
	conversation->canal = asc_toupper(step->canal, strlen(step->canal));
	step->conversation = conversation;
}

/* Gives a step its provider, if that takes it. */
bool
resolve_assign(CadenceStep *step, CadenceProvider *provider)
{
	char *problem;

	cadence_request_assign(&step->request, provider, CurrentMemoryContext);
	problem = step_request_problem(step);
	return problem == NULL || resolve_fails(step, step->reason.code, problem);
}

static CadenceProvider *
choose_provider(CadenceSenderStates *states, const CadenceStep *step)
{
	CadencePerson person = {.lead_id = step->lead_id,
							.server =
								step->conversation != NULL ? step->conversation->last.server : NULL,
							.is_new = step->is_first_touch};

	return cadence_pool_choose(step->pool, states, &person, GetCurrentTimestamp());
}

static bool
resolve_provider(CadenceSenderStates *states, CadenceStep *step)
{
	CadenceProvider *provider = choose_provider(states, step);

	if (provider == NULL)
		return resolve_fails(
			step, "SEM_PROVEDOR",
			psprintf("no server of cadence_provider serves channel %s for company \"%s\" "
					 "with USAGE for the tables' owner",
					 step->canal, step->empresa != NULL ? step->empresa : ""));
	return resolve_assign(step, provider);
}

/* Made here, inside a transaction: the server's hashing needs a resource owner. */
void
resolve_key(CadenceStep *step)
{
	NumberedStep numbered = {&step->run_id, &step->step_id, step->ordem, step->edition};

	if (step->is_news)
		step->key = step->run_id;
	else
		cadence_step_key(&numbered, &step->key);
	cadence_uuid_text(&step->key, step->key_text);
}

/* Of which category its approved template is, where it sends one: some may be forbidden alone. */
static bool
resolve_category(CadenceStep *step)
{
	if (step->categoria == NULL)
		return true;
	if (!step_request_is_template(step))
	{
		step->categoria = NULL;
		step->template_version = NULL;
		return true;
	}
	if (step->marks == NULL || !step->marks->has_opted_out)
		return true;
	return resolve_opted_out(step,
							 psprintf("%s messages of category %s", step->canal, step->categoria),
							 step->marks->motivo);
}

/* To whom: what is remembered of them is looked for before the rest is resolved. */
static void
resolve_whom(const CadenceResolver *r, HeapTuple row, const CadenceStepLookup *found,
			 const CadenceStepLookup *next, CadenceStep *step)
{
	bool goes_on;

	if (step->outcome != OUTCOME_PENDING)
		return;
	goes_on = resolve_step(step, found, next);
	if (step->held != NULL)
		resolve_held(step);
	else if (!goes_on || !resolve_contact(&r->contact, row, step))
		return;
	else if (step->kept != NULL)
		resolve_kept(step);
	else
		(void) resolve_recipient(&r->contact, row, step);
}

/* marks are NULL where nothing is remembered of anybody. */
static void
resolve_message(const CadenceResolver *r, HeapTuple row, CadenceStepLookup *found,
				const PersonMarks *marks, CadenceStep *step)
{
	step->marks = marks;
	if (!resolve_person(step, marks) || !resolve_template_is_active(found, step) ||
		(step->kept == NULL && !resolve_template(r, row, found, step)))
		return;
	step->template_version = step->categoria != NULL ? found->template_version : NULL;
	begin_conversation(&r->contact, row, step);
}

/* Who may serve a step, and, where something depends on it, when its person has last written. */
static void
find_senders(const CadenceResolver *r, CadenceStep **steps, int n, CadenceStepLookup **found)
{
	CadenceStep **some = palloc(sizeof(*some) * Max(n, 1));
	int nsome = 0;

	for (int i = 0; i < n; i++)
	{
		CadenceStep *step = steps[i];

		step->canal = found[i]->canal;
		step->is_first_touch = !step->has_begun;
		if (found[i]->pool == NULL)
			found[i]->pool = cadence_pool_of(r->providers, step->canal != NULL ? step->canal : "",
											 step->empresa);
		step->pool = found[i]->pool;
		if (step_lookup_has_approved(found[i]) || step->pool->has_answers)
			some[nsome++] = step;
	}
	cadence_heard_find(r->heard, some, nsome);
	pfree(some);
}

/*
 * Resolves steps as far as their messages, inside an SPI connection: whom of its
 * pool a step goes to, cadence_resolve_providers() says when its conversation is
 * known. A step's outcome stays OUTCOME_PENDING when there is something to send,
 * and is final otherwise, with its reason. In the current memory context. With no
 * step at all, what keeps every step from being resolved is raised.
 */
void
cadence_resolve(CadenceResolver *r, CadenceStep **steps, int n)
{
	CadenceStepLookup **found = palloc(sizeof(*found) * Max(n, 1));
	CadenceStepLookup **next = palloc(sizeof(*next) * Max(n, 1));
	HeapTuple *rows = palloc(sizeof(HeapTuple) * Max(n, 1));
	SPITupleTable *contacts;
	const PersonMarks *marks;

	/* a look finds either */
	if (n > 0 && steps[0]->is_news)
	{
		cadence_news_resolve(r->providers, steps, n);
		return;
	}
	cadence_rulings_begin(r->rulings);
	cadence_contacts_find(r->contacts, steps, n, &r->contact, rows);
	contacts = SPI_tuptable;
	cadence_step_lookups_find(r->lookups, steps, n, found);
	resolve_past_had(r->lookups, steps, n, found);
	resolve_next(r->lookups, steps, n, found, next);
	find_senders(r, steps, n, found);
	cadence_kept_lookup_find(r->kept, steps, n, found);
	for (int i = 0; i < n; i++)
		resolve_whom(r, rows[i], found[i], next[i], steps[i]);
	marks = cadence_marks_of_people(r->marks, steps, n);
	for (int i = 0; i < n; i++)
	{
		resolve_message(r, rows[i], found[i], marks != NULL ? &marks[i] : NULL, steps[i]);
		resolve_without_address(steps[i]);
		cadence_ruling_prepare(r->rulings, &r->contact, rows[i], found[i], steps[i]);
	}
	SPI_freetuptable(contacts);
	pfree(found);
	pfree(next);
	pfree(rows);
}

/*
 * The other half: each step's provider, by the senders' states as they were last
 * read. In the current memory context.
 */
void
cadence_resolve_providers(CadenceResolver *r, CadenceSenderStates *states, CadenceStep **steps,
						  int n)
{
	for (int i = 0; i < n; i++)
	{
		CadenceStep *step = steps[i];

		if (step->outcome != OUTCOME_PENDING)
			continue;
		if (!(step->kept != NULL && !step->is_news ? resolve_kept_provider(step)
												   : resolve_provider(states, step)) ||
			!resolve_category(step))
			continue;
		resolve_key(step);
		/* an earlier claim was never recorded; what follows is up to the provider's on_uncertain */
		if (step->interrupted)
			(void) resolve_uncertain(
				step, pstrdup("an attempt was interrupted; whether it was sent is unknown"));
	}
	cadence_marks_of_templates(r->marks, steps, n);
}
