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
#include "base/clip.h"
#include "provider/options.h"
#include "resolve/contact.h"
#include "resolve/heard.h"
#include "resolve/kept_lookup.h"
#include "resolve/link.h"
#include "resolve/marks.h"
#include "resolve/message.h"
#include "resolve/news.h"
#include "resolve/request.h"
#include "resolve/resolve.h"
#include "resolve/step_lookup.h"
#include "rules/text.h"
#include "schema/calendar.h"
#include "schema/edition.h"

/* So many steps in a row that a run has had are gone past: each costs a look-up. */
#define PAST_MAX 50

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

/* False, as every answer that ends a step's resolution. */
static bool
unresolved(CadenceStep *step, const char *code, char *text)
{
	step->outcome = OUTCOME_UNRESOLVED;
	step->reason.code = code;
	step->reason.text = text;
	return false;
}

/*
 * Each of the following settles one question and returns false when it ended
 * the step's resolution.
 */
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
		return unresolved(step, "SEM_CADENCIA", pstrdup("the run's cadence does not exist"));
	if (!found->is_active)
	{
		(void) unresolved(step, "CADENCIA_INATIVA",
						  pstrdup("the cadence is inactive: the run waits"));
		step->outcome = OUTCOME_WAITING;
		return false;
	}
	if (!found->has_step)
		step->outcome = OUTCOME_NO_STEP;
	return found->has_step;
}

static bool
resolve_contact(const ContactColumns *c, HeapTuple row, CadenceStep *step)
{
	if (row == NULL)
		return unresolved(step, "SEM_CONTATO", pstrdup("the lead has no contact in this company"));
	if (!row_true(c->desc, row, c->opt_out))
		return true;
	(void) unresolved(step, "OPT_OUT", pstrdup("the contact has opted out: the run is cancelled"));
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

static bool
resolve_recipient(const ContactColumns *c, HeapTuple row, CadenceStep *step)
{
	const char *canal = step->canal != NULL ? step->canal : "";
	bool is_email = pg_strcasecmp(canal, "EMAIL") == 0;
	const char *name = is_email ? "email" : "telefone";
	char *problem;

	if (!is_email && pg_strcasecmp(canal, "WHATSAPP") != 0 && pg_strcasecmp(canal, "SMS") != 0)
		return unresolved(step, "CANAL_DESCONHECIDO", psprintf("unknown channel \"%s\"", canal));
	if (is_email && row_true(c->desc, row, c->email_placeholder))
		return unresolved(step, "SEM_ENDERECO",
						  pstrdup("the contact's email only holds the place of one"));
	if (!(!is_email && read_address(c, row, c->telefone_e164, step, &problem)) &&
		!read_address(c, row, is_email ? c->email : c->telefone, step, &problem))
		return unresolved(step, "SEM_ENDERECO", psprintf("the contact has no %s", name));
	if (problem != NULL)
		return unresolved(step, "ENDERECO_INVALIDO",
						  psprintf("the contact's %s %s", name, problem));
	return true;
}

/* Who switches a template off, or removes it, stops what it says, sent before or not. */
static bool
resolve_template_is_active(const CadenceStepLookup *found, CadenceStep *step)
{
	const char *codigo = step->template_codigo != NULL ? step->template_codigo : "";

	if (!found->has_template)
		return unresolved(step, "SEM_TEMPLATE",
						  psprintf("template \"%s\" does not exist in this company", codigo));
	if (!found->template_is_active)
		return unresolved(step, "SEM_TEMPLATE", psprintf("template \"%s\" is inactive", codigo));
	return true;
}

static bool
opted_out(CadenceStep *step, const char *of, char *motivo)
{
	(void) unresolved(step, "OPT_OUT",
					  psprintf("the lead has opted out of %s: the run is cancelled", of));
	step->outcome = OUTCOME_STOPPED;
	step->opt_out_motivo = *motivo != '\0' ? motivo : NULL;
	return false;
}

/* Nobody writes to that address, whoever has it. */
static bool
blocked(CadenceStep *step, char *reason)
{
	(void) unresolved(step, "BLOQUEADO",
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
	(void) unresolved(step, "ENDERECO_MORTO",
					  psprintf("the address does not exist on %s, says server \"%s\": %s",
							   step->canal, marks->dead_server, marks->dead_motivo));
	step->outcome = OUTCOME_REFUSED;
	step->attempts = Max(step->attempts - 1, 0);
	return false;
}

/* Who has opted out gets nothing, whatever else keeps the step from being sent. */
static bool
resolve_person(CadenceStep *step, const PersonMarks *marks)
{
	bool waits = step->outcome != OUTCOME_PENDING && step->outcome != OUTCOME_UNRESOLVED;

	if (marks == NULL || waits)
		return step->outcome == OUTCOME_PENDING;
	if (marks->has_opted_out && !marks->of_category)
		return opted_out(step, step->canal, marks->motivo);
	if (marks->is_blocked)
		return blocked(step, marks->blocked_reason);
	if (step->outcome == OUTCOME_PENDING && marks->is_dead)
		return dead_address(step, marks);
	return step->outcome == OUTCOME_PENDING;
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
		return unresolved(step, "TEMPLATE_INVALIDO",
						  psprintf("template \"%s\": %s", codigo, step->template->problem));
	if (wants_link(step))
		cadence_link_make(r->links, step);
	problem = message_read_values(c, row, found, step);
	if (problem != NULL)
		return unresolved(step, "TEMPLATE_INVALIDO", problem);
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
static bool
assign(CadenceStep *step, CadenceProvider *provider)
{
	char *problem;

	cadence_request_assign(&step->request, provider, CurrentMemoryContext);
	problem = step_request_problem(step);
	return problem == NULL || unresolved(step, step->reason.code, problem);
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
		return unresolved(
			step, "SEM_PROVEDOR",
			psprintf("no server of cadence_provider serves channel %s for company \"%s\" "
					 "with USAGE for the tables' owner",
					 step->canal, step->empresa != NULL ? step->empresa : ""));
	return assign(step, provider);
}

/*
 * What an earlier attempt has sent may have reached the provider. This claim
 * sends nothing, and is no attempt; it says so. False, as above.
 */
static bool
leave_uncertain(CadenceStep *step, char *why)
{
	step->outcome = OUTCOME_UNCERTAIN;
	step->attempts = Max(step->attempts - 1, 0);
	step->reason.code = "INCERTO";
	step->reason.text = why;
	return false;
}

/* The same, and nothing is sent until somebody has settled it. */
static bool
hold(CadenceStep *step, char *why)
{
	step->holds = true;
	return leave_uncertain(step, why);
}

/* Made here, inside a transaction: the server's hashing needs a resource owner. */
static void
set_idempotency_key(CadenceStep *step)
{
	NumberedStep numbered = {&step->run_id, &step->step_id, step->ordem, step->edition};

	if (step->is_news)
		step->key = step->run_id;
	else
		cadence_step_key(&numbered, &step->key);
	cadence_uuid_text(&step->key, step->key_text);
}

/*
 * What an uncertain attempt has sent is sent again as it was, to whom it was sent.
 * Opt-outs of its own category count, whatever its template has become.
 */
static void
take_kept(CadenceStep *step)
{
	const KeptRequest *kept = step->kept;

	if (step->canal == NULL)
		step->canal = "";
	step->categoria = (char *) kept_category(kept);
	if (kept->texts[FIELD_TEMPLATE_CODE] != NULL)
		step->template_codigo = (char *) kept->texts[FIELD_TEMPLATE_CODE];
	step->recipient = (char *) kept->texts[FIELD_AS_STORED];
	step->message_len = kept->bytes;
	set_idempotency_key(step);
}

/* Why nobody can send it again; NULL: the provider can. */
static char *
kept_problem(const CadenceStep *step, const CadenceProvider *provider)
{
	const KeptRequest *kept = step->kept;
	const char *name = kept->server_name;

	if (pg_strcasecmp(kept->texts[FIELD_CHANNEL], step->canal) != 0)
		return psprintf("it may have been sent by %s, which is not its step's channel any more",
						kept->texts[FIELD_CHANNEL]);
	if (provider == NULL)
		return psprintf("it may have been sent by server \"%.*s\", which does not serve it any "
						"more",
						cadence_text_fits(name, NAMEDATALEN), name);
	return NULL;
}

/*
 * And by the same server, whatever its name is now: another account does not know
 * its key, and would send it a second time.
 */
static bool
resolve_kept_provider(CadenceStep *step)
{
	CadenceProvider *provider = cadence_pool_server(step->pool, step->kept->server);
	char *problem = kept_problem(step, provider);

	if (problem != NULL)
		return hold(step, problem);
	if (!assign(step, provider))
		return false;
	if (step_key_has_expired(step, GetCurrentTimestamp()))
		return hold(step, pstrdup("it may have been sent, so long ago that the provider does not "
								  "know its key any more"));
	return true;
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
	return opted_out(step, psprintf("%s messages of category %s", step->canal, step->categoria),
					 step->marks->motivo);
}

/*
 * Nobody has said what became of a message that was held for review, and its time
 * has come: it counts as sent. Nothing that keeps messages back matters to it.
 */
static void
let_go(CadenceStep *step)
{
	step->outcome = OUTCOME_SENT;
	step->reason.code = cadence_classes[CLASS_HELD].code;
	step->reason.text = pstrdup("the provider has accepted it, and holds it for review: "
								"it is not sent again");
	set_idempotency_key(step);
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
		let_go(step);
	else if (!goes_on || !resolve_contact(&r->contact, row, step))
		return;
	else if (step->kept != NULL)
		take_kept(step);
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

/*
 * Whoever has no address for a step gets the next one, where its se_falhar says so, as if
 * the provider had refused it.
 */
static void
go_on_without(CadenceStep *step)
{
	if (!step->goes_on || step->interrupted || step->outcome != OUTCOME_UNRESOLVED ||
		(strcmp(step->reason.code, "SEM_ENDERECO") != 0 &&
		 strcmp(step->reason.code, "ENDERECO_INVALIDO") != 0))
		return;
	step->outcome = OUTCOME_REFUSED;
	step->attempts = Max(step->attempts - 1, 0);
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

/* ---- steps that a run has had ---------------------------------------------------------- */

static bool
has_had(const CadenceStep *step, const pg_uuid_t *id)
{
	for (int i = 0; i < step->nhad; i++)
		if (memcmp(&step->had[i], id, UUID_LEN) == 0)
			return true;
	return false;
}

/* What is there for runs that stood elsewhere: places says where, and for which of them. */
static void
find_elsewhere(const CadenceResolver *r, CadenceStep **places, const int *numbers, int n,
			   CadenceStepLookup **found)
{
	CadenceStepLookup **there = palloc(sizeof(*there) * n);

	cadence_step_lookups_find(r->lookups, places, n, there);
	for (int i = 0; i < n; i++)
		found[numbers[i]] = there[i];
	pfree(there);
}

/* Where a run would stand that has gone past a number; behind the last one there is nothing. */
static CadenceStep *
place_from(const CadenceStep *step, int64 position)
{
	CadenceStep *place = palloc(sizeof(*place));

	*place = *step;
	place->has_position = position <= PG_INT32_MAX;
	place->position = place->has_position ? (int) position : 0;
	return place;
}

/*
 * No step comes twice, whatever its number is now: a run goes past those that it has
 * had. Few have any before them. Of each round's steps every run has had one, and not
 * the same one again, so the rounds end.
 */
static void
go_past_had(const CadenceResolver *r, CadenceStep **steps, int n, CadenceStepLookup **found)
{
	CadenceStep **places = palloc(sizeof(*places) * Max(n, 1));
	int *numbers = palloc(sizeof(*numbers) * Max(n, 1));
	int nplaces;
	int rounds = 0;

	do
	{
		nplaces = 0;
		for (int i = 0; i < n; i++)
		{
			if (!found[i]->has_step || steps[i]->outcome != OUTCOME_PENDING ||
				!has_had(steps[i], &found[i]->step_id))
				continue;
			if (rounds == PAST_MAX)
			{
				(void) unresolved(steps[i], "SEM_PASSO",
								  pstrdup("it has had too many of the steps that follow"));
				continue;
			}
			numbers[nplaces] = i;
			places[nplaces++] = place_from(steps[i], (int64) found[i]->ordem + 1);
		}
		if (nplaces > 0)
			find_elsewhere(r, places, numbers, nplaces, found);
		rounds++;
	} while (nplaces > 0);
	pfree(places);
	pfree(numbers);
}

/* What comes after it is neither itself, where an edit has moved it to the end, nor had. */
static bool
is_behind(const CadenceStep *step, const CadenceStepLookup *found, const pg_uuid_t *next)
{
	return (found->has_step && memcmp(&found->step_id, next, UUID_LEN) == 0) || has_had(step, next);
}

/* The same of the step after it: next is the place of the last one that it has had. */
static void
find_next(const CadenceResolver *r, CadenceStep **steps, int n, CadenceStepLookup **found,
		  CadenceStepLookup **next)
{
	CadenceStep **places = palloc(sizeof(*places) * Max(n, 1));
	int *numbers = palloc(sizeof(*numbers) * Max(n, 1));
	int nplaces;
	int rounds = 0;

	memcpy(next, found, sizeof(*next) * n);
	do
	{
		nplaces = 0;
		for (int i = 0; i < n; i++)
		{
			if (!next[i]->has_next || !is_behind(steps[i], found[i], &next[i]->next_id))
				continue;
			numbers[nplaces] = i;
			places[nplaces] = place_from(steps[i], next[i]->next_ordem);
			places[nplaces++]->has_pending = false;
		}
		if (nplaces > 0)
			find_elsewhere(r, places, numbers, nplaces, next);
		/* then the next claim goes past the rest */
	} while (nplaces > 0 && ++rounds < PAST_MAX);
	pfree(places);
	pfree(numbers);
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
	go_past_had(r, steps, n, found);
	find_next(r, steps, n, found, next);
	find_senders(r, steps, n, found);
	cadence_kept_lookup_find(r->kept, steps, n, found);
	for (int i = 0; i < n; i++)
		resolve_whom(r, rows[i], found[i], next[i], steps[i]);
	marks = cadence_marks_of_people(r->marks, steps, n);
	for (int i = 0; i < n; i++)
	{
		resolve_message(r, rows[i], found[i], marks != NULL ? &marks[i] : NULL, steps[i]);
		go_on_without(steps[i]);
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
		set_idempotency_key(step);
		/* an earlier claim was never recorded; what follows is up to the provider's on_uncertain */
		if (step->interrupted)
			(void) leave_uncertain(
				step, pstrdup("an attempt was interrupted; whether it was sent is unknown"));
	}
	cadence_marks_of_templates(r->marks, steps, n);
}
