/*
 * resolve.c
 *		Resolve: from a run's row to a message, its recipient and its provider.
 *
 * Works on rows of cadence_row_select(), whoever ran it, and on what their
 * positions have in common. It sends nothing, so that cadence_preview() shows
 * what an execution does.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "resolve/message.h"
#include "provider/options.h"
#include "resolve/resolve.h"
#include "resolve/row.h"

struct CadenceResolver
{
	TupleDesc desc;
	ContactColumns contact;
	const CadenceProviders *providers;
	CadencePositions *positions;
};

/* A row on its way to a step. */
typedef struct RowToResolve
{
	HeapTuple row;
	CadenceStep *step;
	CadencePosition *position;
} RowToResolve;

/*
 * A resolver for rows of one result, in the current memory context, which the
 * steps that it makes live in too.
 */
CadenceResolver *
cadence_resolver_create(TupleDesc desc, const CadenceProviders *providers,
						CadencePositions *positions)
{
	CadenceResolver *r = palloc0(sizeof(*r));

	r->desc = desc;
	r->providers = providers;
	r->positions = positions;
	contact_columns_find(&r->contact, desc);
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
	if (!row_true(r->desc, row, ROW_HAS_CONTACT))
	{
		unresolved(step, "SEM_CONTATO", pstrdup("the lead has no contact in this company"));
		return false;
	}
	if (row_true(r->desc, row, r->contact.opt_out))
	{
		step->outcome = OUTCOME_OPTED_OUT;
		step->reason.code = "OPT_OUT";
		step->reason.text = pstrdup("the contact has opted out: the run is cancelled");
		step->opt_out_motivo = row_text(r->desc, row, r->contact.opt_out_motivo);
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
	step->recipient = row_text(r->desc, row, is_email ? r->contact.email : r->contact.telefone);
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
resolve_template(const CadenceResolver *r, const RowToResolve *item)
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
	step->provider =
		cadence_provider_choose(r->providers, step->canal, step->empresa, step->lead_id);
	if (step->provider == NULL)
	{
		unresolved(step, "SEM_PROVEDOR",
				   psprintf("no server of cadence_provider serves channel %s for company \"%s\" "
							"with USAGE for the tables' owner",
							step->canal, step->empresa != NULL ? step->empresa : ""));
		return false;
	}
	if (step->provider->problem != NULL)
	{
		unresolved(step, "PROVEDOR_INVALIDO",
				   psprintf("server \"%s\": %s", step->provider->name, step->provider->problem));
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

/*
 * A step of a run's row, to be resolved, in the current memory context.
 */
CadenceStep *
cadence_step_create(TupleDesc desc, HeapTuple row)
{
	CadenceStep *step = palloc0(sizeof(*step));
	bool isnull;
	Datum id = heap_getattr(row, ROW_RUN_ID, desc, &isnull);
	Datum at = heap_getattr(row, ROW_NEXT_RUN_AT, desc, &isnull);
	bool has_no_ctid;
	Datum ctid = heap_getattr(row, ROW_CTID, desc, &has_no_ctid);

	step->row = row;
	if (has_no_ctid)
		ItemPointerSetInvalid(&step->ctid);
	else
		step->ctid = *(ItemPointer) DatumGetPointer(ctid);
	step->run_id = *DatumGetUUIDP(id);
	cadence_uuid_text(&step->run_id, step->run_id_text);
	step->lease_end = isnull ? DT_NOBEGIN : DatumGetTimestampTz(at);
	step->lead_id = row_text(desc, row, ROW_LEAD_ID);
	step->empresa = row_text(desc, row, ROW_EMPRESA);
	step->attempts = step->attempts_claimed = row_int(desc, row, ROW_ATTEMPTS, 0);
	return step;
}

static void
read_position(const CadenceResolver *r, const RowToResolve *item)
{
	CadencePosition *position = item->position;
	bool isnull;
	Datum cadence_id = heap_getattr(item->row, ROW_CADENCE_ID, r->desc, &isnull);

	position->cadence_id = isnull ? NULL : DatumGetUUIDP(cadence_id);
	position->has_next_step_ordem = !row_is_null(r->desc, item->row, ROW_NEXT_STEP_ORDEM);
	position->next_step_ordem = row_int(r->desc, item->row, ROW_NEXT_STEP_ORDEM, 0);
	position->empresa = item->step->empresa;
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
	return compare_positions(((const RowToResolve *) a)->position,
							 ((const RowToResolve *) b)->position);
}

/* Looks each position up once, and lets all rows that stand there share it. */
static void
find_positions(const CadenceResolver *r, RowToResolve *items, int n)
{
	CadencePosition **wanted = palloc(sizeof(CadencePosition *) * n);
	int nwanted = 0;

	qsort(items, n, sizeof(RowToResolve), by_position);
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
resolve(const CadenceResolver *r, const RowToResolve *item)
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
 * Resolves steps whose rows are still there, inside an SPI connection. A step's
 * outcome stays OUTCOME_PENDING when there is something to send, and is final
 * otherwise, with its reason.
 */
void
cadence_resolve(CadenceResolver *r, CadenceStep **steps, int n)
{
	RowToResolve *items = palloc(sizeof(RowToResolve) * Max(n, 1));
	CadencePosition *positions = palloc0(sizeof(CadencePosition) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		items[i] = (RowToResolve){steps[i]->row, steps[i], &positions[i]};
		read_position(r, &items[i]);
	}
	find_positions(r, items, n);
	for (int i = 0; i < n; i++)
	{
		resolve(r, &items[i]);
		items[i].step->row = NULL;
	}
	pfree(items);
}
