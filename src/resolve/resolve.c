/*
 * resolve.c
 *		Resolve: from a claimed run to a message, its recipient and its provider.
 *
 * Works on a step's run, whoever has read it, on its contact, and on what all
 * runs at its position have in common. It sends nothing, so that
 * cadence_preview() shows what an execution does.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "provider/options.h"
#include "resolve/contact.h"
#include "resolve/message.h"
#include "resolve/resolve.h"
#include "resolve/step_lookup.h"

struct CadenceResolver
{
	const CadenceProviders *providers;
	CadenceContacts *contacts;
	CadencePositions *positions;
	ContactColumns contact; /* of the steps under way */
};

/* A step on its way to a message. */
typedef struct StepToResolve
{
	HeapTuple row; /* its contact; NULL: there is none */
	CadenceStep *step;
	CadencePosition *position;
} StepToResolve;

/*
 * In the current memory context. in_query: for one call in somebody's query.
 */
CadenceResolver *
cadence_resolver_create(const CadenceTables *tables, const CadenceProviders *providers,
						bool in_query)
{
	CadenceResolver *r = palloc0(sizeof(*r));

	r->providers = providers;
	r->contacts = cadence_contacts_create(tables, in_query);
	r->positions = cadence_positions_create(tables, in_query);
	return r;
}

static void
unresolved(CadenceStep *step, const char *code, char *text)
{
	step->outcome = OUTCOME_UNRESOLVED;
	step->reason.code = code;
	step->reason.text = text;
}

/*
 * Each of the following settles one question and returns false when it ended
 * the step's resolution.
 */
static bool
resolve_step(const CadencePosition *position, CadenceStep *step)
{
	if (!position->has_cadence)
	{
		unresolved(step, "SEM_CADENCIA", pstrdup("the run's cadence does not exist"));
		return false;
	}
	if (!position->is_active)
	{
		step->outcome = OUTCOME_WAITING;
		step->reason.code = "CADENCIA_INATIVA";
		step->reason.text = pstrdup("the cadence is inactive: the run waits");
		return false;
	}
	if (!position->has_step)
	{
		step->outcome = OUTCOME_NO_STEP;
		return false;
	}
	return true;
}

static bool
resolve_contact(const CadenceResolver *r, HeapTuple row, CadenceStep *step)
{
	if (row == NULL)
	{
		unresolved(step, "SEM_CONTATO", pstrdup("the lead has no contact in this company"));
		return false;
	}
	if (row_true(r->contact.desc, row, r->contact.opt_out))
	{
		step->outcome = OUTCOME_OPTED_OUT;
		step->reason.code = "OPT_OUT";
		step->reason.text = pstrdup("the contact has opted out: the run is cancelled");
		step->opt_out_motivo = row_text(r->contact.desc, row, r->contact.opt_out_motivo);
		return false;
	}
	return true;
}

static bool
resolve_recipient(const CadenceResolver *r, HeapTuple row, CadenceStep *step)
{
	const char *canal = step->canal != NULL ? step->canal : "";
	bool is_email = pg_strcasecmp(canal, "EMAIL") == 0;

	if (!is_email && pg_strcasecmp(canal, "WHATSAPP") != 0 && pg_strcasecmp(canal, "SMS") != 0)
	{
		unresolved(step, "CANAL_DESCONHECIDO", psprintf("unknown channel \"%s\"", canal));
		return false;
	}
	step->recipient =
		row_text(r->contact.desc, row, is_email ? r->contact.email : r->contact.telefone);
	if (template_value_is_empty(step->recipient))
	{
		unresolved(step, "SEM_ENDERECO",
				   psprintf("the contact has no %s", is_email ? "email" : "telefone"));
		return false;
	}
	if (cadence_has_control_characters(step->recipient))
	{
		unresolved(step, "ENDERECO_INVALIDO",
				   psprintf("the contact's %s contains control characters",
							is_email ? "email" : "telefone"));
		return false;
	}
	return true;
}

static bool
resolve_template(const CadenceResolver *r, const StepToResolve *item)
{
	CadenceStep *step = item->step;
	const char *codigo = step->template_codigo != NULL ? step->template_codigo : "";
	char *problem;

	if (!item->position->has_template)
	{
		unresolved(step, "SEM_TEMPLATE",
				   psprintf("template \"%s\" does not exist in this company", codigo));
		return false;
	}
	if (!item->position->template_is_active)
	{
		unresolved(step, "SEM_TEMPLATE", psprintf("template \"%s\" is inactive", codigo));
		return false;
	}
	step->template = message_template(&r->contact, item->position);
	if (step->template->problem != NULL)
	{
		unresolved(step, "TEMPLATE_INVALIDO",
				   psprintf("template \"%s\": %s", codigo, step->template->problem));
		return false;
	}
	problem = message_read_values(&r->contact, item->row, item->position, step);
	if (problem == NULL)
		problem = message_measure(step, codigo);
	if (problem != NULL)
		unresolved(step, "TEMPLATE_INVALIDO", problem);
	return problem == NULL;
}

static bool
resolve_provider(const CadenceResolver *r, CadenceStep *step)
{
	CadenceProvider *provider =
		cadence_provider_choose(r->providers, step->canal, step->empresa, step->lead_id);

	if (provider == NULL)
	{
		unresolved(step, "SEM_PROVEDOR",
				   psprintf("no server of cadence_provider serves channel %s for company \"%s\" "
							"with USAGE for the tables' owner",
							step->canal, step->empresa != NULL ? step->empresa : ""));
		return false;
	}
	cadence_request_assign(&step->request, provider, CurrentMemoryContext);
	if (step->request.configuration->problem != NULL)
	{
		unresolved(step, "PROVEDOR_INVALIDO",
				   psprintf("server \"%s\": %s", step->request.configuration->name,
							step->request.configuration->problem));
		return false;
	}
	return true;
}

/*
 * An earlier claim was never recorded: its attempt may have reached the
 * provider. This claim sends nothing, and is no attempt; it says so, and what
 * follows is up to the provider's on_uncertain.
 */
static void
resolve_interruption(CadenceStep *step)
{
	step->outcome = OUTCOME_UNCERTAIN;
	step->attempts = Max(step->attempts - 1, 0);
	step->reason.code = "INCERTO";
	step->reason.text = pstrdup("an attempt was interrupted; whether it was sent is unknown");
}

/* Made here, inside a transaction: the server's hashing needs a resource owner. */
static void
set_idempotency_key(CadenceStep *step)
{
	pg_uuid_t key;

	cadence_idempotency_key(&step->run_id, step->ordem, &key);
	cadence_uuid_text(&key, step->key_text);
}

static void
read_position(const StepToResolve *item)
{
	const CadenceStep *step = item->step;

	item->position->cadence_id = step->has_cadence ? &step->cadence_id : NULL;
	item->position->has_next_step_ordem = step->has_position;
	item->position->next_step_ordem = step->position;
	item->position->empresa = step->empresa;
}

/* Nulls first. */
static int
compare_positions(const CadencePosition *a, const CadencePosition *b)
{
	int order = (a->cadence_id != NULL) - (b->cadence_id != NULL);

	if (order == 0 && a->cadence_id != NULL)
		order = memcmp(a->cadence_id, b->cadence_id, UUID_LEN);
	if (order == 0)
		order = a->has_next_step_ordem - b->has_next_step_ordem;
	if (order == 0 && a->next_step_ordem != b->next_step_ordem)
		order = a->next_step_ordem < b->next_step_ordem ? -1 : 1;
	if (order == 0)
		order = (a->empresa != NULL) - (b->empresa != NULL);
	if (order == 0 && a->empresa != NULL)
		order = strcmp(a->empresa, b->empresa);
	return order;
}

static int
by_position(const void *a, const void *b)
{
	return compare_positions(((const StepToResolve *) a)->position,
							 ((const StepToResolve *) b)->position);
}

/* Looks each position up once, and lets all rows that stand there share it. */
static void
find_positions(const CadenceResolver *r, StepToResolve *items, int n)
{
	CadencePosition **wanted = palloc(sizeof(CadencePosition *) * n);
	int nwanted = 0;

	qsort(items, n, sizeof(StepToResolve), by_position);
	for (int i = 0; i < n; i++)
	{
		if (nwanted > 0 && compare_positions(wanted[nwanted - 1], items[i].position) == 0)
			items[i].position = wanted[nwanted - 1];
		else
			wanted[nwanted++] = items[i].position;
	}
	cadence_positions_find(r->positions, wanted, nwanted);
}

/* What a step knows of its position. */
static void
take_position(CadenceStep *step, const CadencePosition *position)
{
	step->has_step = position->has_step;
	step->ordem = position->ordem;
	step->canal = position->canal;
	step->template_codigo = position->template_codigo;
	step->has_next = position->has_next;
	step->next_ordem = position->next_ordem;
	step->next_offset = position->next_offset;
	step->next_template = position->next_template;
}

static void
resolve(const CadenceResolver *r, const StepToResolve *item)
{
	CadenceStep *step = item->step;

	take_position(step, item->position);
	if (resolve_step(item->position, step) && resolve_contact(r, item->row, step) &&
		resolve_recipient(r, item->row, step) && resolve_template(r, item) &&
		resolve_provider(r, step))
	{
		set_idempotency_key(step);
		if (step->interrupted)
			resolve_interruption(step);
	}
}

/*
 * Resolves steps, inside an SPI connection. A step's outcome stays
 * OUTCOME_PENDING when there is something to send, and is final otherwise, with
 * its reason. In the current memory context. With no step at all, what keeps
 * every step from being resolved is raised.
 */
void
cadence_resolve(CadenceResolver *r, CadenceStep **steps, int n)
{
	StepToResolve *items = palloc(sizeof(StepToResolve) * Max(n, 1));
	CadencePosition *positions = palloc0(sizeof(CadencePosition) * Max(n, 1));
	HeapTuple *rows = palloc(sizeof(HeapTuple) * Max(n, 1));
	SPITupleTable *contacts;

	cadence_contacts_find(r->contacts, steps, n, &r->contact, rows);
	contacts = SPI_tuptable;
	for (int i = 0; i < n; i++)
	{
		items[i] = (StepToResolve){rows[i], steps[i], &positions[i]};
		read_position(&items[i]);
	}
	find_positions(r, items, n);
	for (int i = 0; i < n; i++)
		resolve(r, &items[i]);
	SPI_freetuptable(contacts);
	pfree(items);
	pfree(rows);
}
