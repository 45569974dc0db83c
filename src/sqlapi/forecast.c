/*
 * forecast.c
 *		cadence_forecast(): what will leave in some span of time, when nobody replies.
 *
 * The active runs are read, over the caller's own rights, and then time passes in memory:
 * by the rules, the choice of senders and the limits that executions go by, as if a
 * resident worker were there. Nothing is changed. The rows go to a tuplestore, which
 * leaves memory for the disk as work_mem says; a run takes some 600 bytes, wherever "to" is.
 *
 * What is certain depends on time alone: not what follows an attempt that has failed, or
 * is under way, or of which nobody knows what became; not what the owner's views may
 * forbid; nor what a sender decides that is shut, has a pause of a random length, or
 * takes free text only within 24 hours of an answer.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "access/xact.h"
#include "base/transaction.h"
#include "sqlapi/forecast.h"

PG_FUNCTION_INFO_V1(cadence_forecast);

#define DAYS_MAX 366

enum
{
	TOLD_AT,
	TOLD_RUN,
	TOLD_CADENCE,
	TOLD_STEP,
	TOLD_CANAL,
	TOLD_SERVER,
	TOLD_CERTAIN,
	TOLD_COLUMNS
};

/* What is told of a sender. */
typedef struct SenderEntry
{
	CadenceProvider *provider;
	Datum name;
	bool is_shaky; /* it is shut, or nearly so */
	bool has_templates;
} SenderEntry;

typedef struct Telling
{
	Forecast *forecast;
	ReturnSetInfo *result;
	TimestampTz from;
	HTAB *senders;
} Telling;

static bool
is_shaky(Forecast *f, CadenceProvider *p)
{
	const CadenceSenderState *s = cadence_sender_of(f->states, p);

	return s->paused_at != 0 || s->open_since != 0 || s->new_until > f->now ||
		   cadence_limits_of(f->states, p)->slow_until > f->now;
}

/* Whether its protocol has messages that are sent outside of the 24 hours, and so others that are
 * not. */
static bool
has_templates(const CadenceConfiguration *c)
{
	const char *const none[FIELD_COUNT] = {NULL};

	return c->definition != NULL && c->canal != NULL &&
		   definition_operation(c->definition, "template", c->canal,
								cadence_configuration_values(c, none)) != NULL;
}

/* As things are at the beginning. */
static void
note_senders(Telling *t)
{
	Forecast *f = t->forecast;
	HASHCTL control = {
		.keysize = sizeof(void *), .entrysize = sizeof(SenderEntry), .hcxt = f->context};
	ListCell *cell;

	t->senders = hash_create("cadence_forecast senders", 64, &control,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach (cell, cadence_providers_list(f->providers))
	{
		CadenceProvider *p = lfirst(cell);
		SenderEntry *entry = hash_search(t->senders, &p, HASH_ENTER, NULL);

		entry->name = CStringGetTextDatum(p->configuration->name);
		entry->is_shaky = is_shaky(f, p);
		entry->has_templates = has_templates(p->configuration);
	}
}

static void
tell(void *arg, PlannedRun *run, const PlannedStep *step, CadenceProvider *server, TimestampTz at)
{
	Telling *t = arg;
	const SenderEntry *sender = hash_search(t->senders, &server, HASH_FIND, NULL);
	Datum values[TOLD_COLUMNS];
	bool nulls[TOLD_COLUMNS] = {false};

	/* nor is what counts from it */
	run->is_certain = run->is_certain && !t->forecast->has_views && !sender->is_shaky &&
					  !(step->may_close && sender->has_templates);
	if (at < t->from)
		return;
	values[TOLD_AT] = TimestampTzGetDatum(at);
	values[TOLD_RUN] = UUIDPGetDatum(&run->id);
	values[TOLD_CADENCE] = run->plan->codigo;
	nulls[TOLD_CADENCE] = !run->plan->has_codigo;
	values[TOLD_STEP] = Int32GetDatum(step->ordem);
	values[TOLD_CANAL] = step->canal;
	values[TOLD_SERVER] = sender->name;
	values[TOLD_CERTAIN] = BoolGetDatum(run->is_certain);
	tuplestore_putvalues(t->result->setResult, t->result->setDesc, values, nulls);
}

/* ---- the call ---------------------------------------------------------------------------- */

static void
refuse(const char *problem)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", problem),
					errhint("Ask from a time to a later one, at most %d days from now: "
							"cadence_forecast(now(), now() + interval '7 days').",
							DAYS_MAX)));
}

/* The span that is asked for: what is past is now. */
static void
read_span(FunctionCallInfo fcinfo, TimestampTz now, TimestampTz *from, TimestampTz *to)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		refuse("a forecast needs a time from which and one to which it goes");
	*from = PG_GETARG_TIMESTAMPTZ(0);
	*to = PG_GETARG_TIMESTAMPTZ(1);
	if (TIMESTAMP_NOT_FINITE(*from) || TIMESTAMP_NOT_FINITE(*to))
		refuse("a forecast has a beginning and an end");
	*from = Max(*from, now);
	if (*to <= *from)
		refuse("a forecast ends later than it begins, and later than now");
	if (*to - now > DAYS_MAX * USECS_PER_DAY)
		refuse(psprintf("a forecast goes %d days ahead at most", DAYS_MAX));
}

static void
play(Telling *t)
{
	Forecast *f = t->forecast;

	f->providers = cadence_providers_create(f->tables->owner);
	cadence_providers_refresh(f->providers);
	f->states = cadence_sender_states_create(f->tables);
	forecast_load(f);
	MemoryContextSwitchTo(f->context);
	note_senders(t);
	forecast_let_pass(f);
}

/*
 * cadence_forecast("from" timestamptz, "to" timestamptz) -> setof record: what will leave
 * between the two, when nobody replies and nothing is changed.
 *
 * Errors: 22023 for a span that can not be; 54000 when too many runs are active; 42P01
 * without tables; 42501 without the right to read them.
 */
Datum
cadence_forecast(PG_FUNCTION_ARGS)
{
	MemoryContext old = CurrentMemoryContext;
	Forecast f = {.now = GetCurrentStatementStartTimestamp(), .tell = tell};
	Telling t = {.forecast = &f};
	int guc_level;

	read_span(fcinfo, f.now, &t.from, &f.until);
	InitMaterializedSRF(fcinfo, 0);
	t.result = (ReturnSetInfo *) fcinfo->resultinfo;
	f.teller = &t;
	f.context =
		AllocSetContextCreate(CurrentMemoryContext, "cadence_forecast", ALLOCSET_DEFAULT_SIZES);
	f.look = AllocSetContextCreate(f.context, "cadence_forecast look", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(f.context);
	f.tables = cadence_tables_load(cadence_extension_schema());
	guc_level = cadence_use_text_format();
	(void) SPI_connect();
	MemoryContextSwitchTo(f.context);
	play(&t);
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(f.context);
	PG_RETURN_VOID();
}
