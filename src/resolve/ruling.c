/*
 * ruling.c
 *		What the policies of cadence, step, company and owner say of claimed steps: the
 *		facts are put together here, and rules/decide.c decides.
 *
 * A step of which no policy says anything has no ruling, and costs nothing. What an
 * interrupted attempt has left is settled before anything else: it has none, either.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/row.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "common/hashfn.h"
#include "resolve/ruling.h"
#include "schema/exits.h"

/* How long a view that could not be asked, or a zone that does not exist, is waited for. */
#define UNKNOWN_RETRY_US (60 * USECS_PER_SEC)

struct CadenceRulings
{
	CadenceCalendars *calendars;
	CadenceExits *exits;
	CadenceUsages *usages;
	bool has_exits;
	bool has_holidays;
	bool wants_all;	 /* also of steps of which no policy says anything */
	UsageRow **rows; /* of this batch, in order */
	int nrows;
};

/* In the current memory context. in_query: for one call in somebody's query. */
CadenceRulings *
cadence_rulings_create(const CadenceTables *t, bool in_query)
{
	CadenceRulings *r = palloc0(sizeof(*r));

	r->calendars = cadence_calendars_create(t, in_query);
	r->exits = cadence_exits_create(t, in_query);
	r->usages = cadence_usages_create(t, in_query);
	return r;
}

/* From here on each step gets its ruling and its calendar, for who asks what they say. */
void
cadence_rulings_want_all(CadenceRulings *r)
{
	r->wants_all = true;
}

/* For a batch, in whose memory context all is made from here on; inside an SPI connection. */
void
cadence_rulings_begin(CadenceRulings *r)
{
	cadence_calendars_refresh(r->calendars);
	r->has_holidays = cadence_calendars_have_holidays(r->calendars);
	r->has_exits = cadence_exits_exist(r->exits);
	r->rows = NULL;
	r->nrows = 0;
}

/* ---- facts ---------------------------------------------------------------------------- */

static bool
needs_calendar(const CadenceRulings *r, const CadenceStepLookup *found)
{
	const CadencePolicy *p = &found->policy;

	return r->has_holidays || p->window != NULL || cadence_policy_counts_days(p);
}

static bool
needs_ruling(const CadenceRulings *r, const CadenceStepLookup *found)
{
	const CadencePolicy *p = &found->policy;

	return r->wants_all || needs_calendar(r, found) || r->has_exits || found->valid_for_us != 0 ||
		   p->min_gap_us != 0 || p->window_unknown;
}

/* Its place among those that wait for an opening. */
static double
place_of(const CadenceStep *step)
{
	const char *lead = step->lead_id != NULL ? step->lead_id : step->run_id_text;

	return hash_bytes((const unsigned char *) lead, strlen(lead)) / (PG_UINT32_MAX + 1.0);
}

static char *
contact_text(const ContactColumns *c, HeapTuple contact, int column)
{
	return contact != NULL ? row_text(c->desc, contact, column, ROW_KEY_MAX) : NULL;
}

static CadencePlace
place_of_company(const CadenceStepLookup *found, const CadenceStep *step)
{
	return (CadencePlace){.empresa = step->empresa,
						  .empresa_zone = found->policy.zone,
						  .empresa_pais = found->pais,
						  .empresa_uf = found->policy.uf};
}

static CadencePlace
place_of_person(const ContactColumns *c, HeapTuple contact, const CadenceStepLookup *found,
				const CadenceStep *step)
{
	CadencePlace place = place_of_company(found, step);
	char *e164 = contact_text(c, contact, c->telefone_e164);

	place.zone = contact_text(c, contact, c->fuso_horario);
	place.uf = contact_text(c, contact, c->uf);
	place.phone = e164 != NULL && *e164 != '\0' ? e164 : contact_text(c, contact, c->telefone);
	return place;
}

static void
set_cap(DecideCap *cap, CadenceReasonCode reason, int max)
{
	*cap = (DecideCap){.reason = reason, .is_set = max != 0, .max = Max(max, 0)};
}

static void
set_caps(const CadencePolicy *p, const CadenceStep *step, DecideFacts *f)
{
	/* what an uncertain attempt has sent was counted then */
	if (step->kept != NULL)
		return;
	set_cap(&f->caps[DECIDE_CAP_PERSON], REASON_CAP_PERSON, p->max_of_person);
	set_cap(&f->caps[DECIDE_CAP_COMPANY], REASON_CAP_COMPANY, p->max_of_company);
	set_cap(&f->caps[DECIDE_CAP_CADENCE], REASON_CAP_CADENCE, p->max_of_cadence);
	if (!step->has_begun)
		set_cap(&f->caps[DECIDE_CAP_NEW], REASON_CAP_NEW, p->max_new);
}

static void
set_policy(const CadenceStepLookup *found, const CadenceStep *step, StepRuling *ruling)
{
	const CadencePolicy *p = &found->policy;

	ruling->policy = p;
	ruling->decide = (DecidePolicy){.window = p->window,
									.spread = p->spread_us,
									.place = place_of(step),
									.min_gap = step->kept == NULL ? p->min_gap_us : 0,
									.retry_unknown = UNKNOWN_RETRY_US,
									.retry_inactive = cadence_retry_unresolved * USECS_PER_SEC};
}

/*
 * Puts together what is known of a step that was resolved as far as its contact; contact
 * is NULL where it has none. In the batch's memory context.
 */
void
cadence_ruling_prepare(CadenceRulings *r, const ContactColumns *c, HeapTuple contact,
					   const CadenceStepLookup *found, CadenceStep *step)
{
	bool has_ruling = needs_ruling(r, found) && !step->interrupted && step->held == NULL;
	StepRuling *ruling;
	CadencePlace place;
	bool is_known;

	if (!has_ruling && !r->wants_all && !(step->has_next && step_needs_calendar(&step->next_time)))
		return;
	ruling = palloc0(sizeof(*ruling));
	place = place_of_person(c, contact, found, step);
	is_known = cadence_calendar_of(r->calendars, &place, &ruling->person);
	step->calendar = &ruling->person;
	if (!has_ruling)
		return;
	step->ruling = ruling;
	set_policy(found, step, ruling);
	set_caps(ruling->policy, step, &ruling->facts);
	place = place_of_company(found, step);
	is_known = cadence_calendar_of(r->calendars, &place, &ruling->company) && is_known;
	ruling->facts.zone_unknown = needs_calendar(r, found) && !is_known;
	ruling->facts.window_unknown = ruling->policy->window_unknown;
	ruling->facts.can_expire = step->valid_for_us != 0;
	ruling->facts.due = step->first_due;
	ruling->facts.valid_for = step->valid_for_us;
	ruling->facts.last_to_person = CALENDAR_NEVER;
}

/* ---- the owner's views ----------------------------------------------------------------- */

/* What has its end already is not asked about again. */
static bool
may_be_ruled(const CadenceStep *step)
{
	return step->ruling != NULL &&
		   (step->outcome == OUTCOME_PENDING || step->outcome == OUTCOME_UNRESOLVED ||
			step->outcome == OUTCOME_WAITING);
}

static void
ask_views(CadenceRulings *r, CadenceStep **steps, int n)
{
	ExitAsked *asked = palloc0(sizeof(*asked) * Max(n, 1));

	for (int i = 0; i < n; i++)
		asked[i] = (ExitAsked){
			.run = &steps[i]->run_id, .has_step = steps[i]->has_step, .ordem = steps[i]->ordem};
	if (r->has_exits)
		cadence_exits_ask(r->exits, asked, n);
	for (int i = 0; i < n; i++)
	{
		StepRuling *ruling = steps[i]->ruling;

		ruling->facts.has_exit = asked[i].exits;
		ruling->facts.has_skip = asked[i].skips;
		ruling->facts.exits_unknown = asked[i].problem != NULL;
		ruling->motivo = asked[i].problem != NULL ? asked[i].problem : asked[i].motivo;
	}
	pfree(asked);
}

/* ---- caps ------------------------------------------------------------------------------ */

static const char *
or_empty(const char *text)
{
	return text != NULL ? text : "";
}

static UsageRow *
usage_row(const char *scope, const char *name, const CadenceStep *step, const Calendar *calendar,
		  TimestampTz now)
{
	UsageRow *row = palloc0(sizeof(*row));

	row->scope = scope;
	row->name = or_empty(name);
	row->empresa = or_empty(step->empresa);
	row->day = calendar_day(calendar, now);
	return row;
}

/* What its caps count. A person's row also says when they were last written to. */
static void
name_usage(CadenceStep *step, TimestampTz now)
{
	StepRuling *ruling = step->ruling;
	const DecideCap *caps = ruling->facts.caps;
	char *cadence = palloc(UUID_TEXT_SIZE);

	cadence_uuid_text(&step->cadence_id, cadence);
	if (caps[DECIDE_CAP_PERSON].is_set || ruling->decide.min_gap != 0)
		ruling->usage[DECIDE_CAP_PERSON] =
			usage_row("LEAD", step->lead_id, step, &ruling->person, now);
	if (caps[DECIDE_CAP_COMPANY].is_set)
		ruling->usage[DECIDE_CAP_COMPANY] = usage_row("EMPRESA", "", step, &ruling->company, now);
	if (caps[DECIDE_CAP_CADENCE].is_set)
		ruling->usage[DECIDE_CAP_CADENCE] =
			usage_row("CADENCIA", cadence, step, &ruling->company, now);
	if (caps[DECIDE_CAP_NEW].is_set)
		ruling->usage[DECIDE_CAP_NEW] = usage_row("NOVOS", cadence, step, &ruling->company, now);
}

static int
compare_refs(const void *a, const void *b)
{
	return cadence_usage_compare(**(UsageRow * *const *) a, **(UsageRow * *const *) b);
}

/* Lets steps that count for one thing share its row, and finds all rows. */
static void
find_usage(CadenceRulings *r, CadenceStep **steps, int n, TimestampTz now)
{
	UsageRow ***refs = palloc(sizeof(*refs) * Max(n * DECIDE_CAPS, 1));
	int nrefs = 0;

	for (int i = 0; i < n; i++)
	{
		name_usage(steps[i], now);
		for (int k = 0; k < DECIDE_CAPS; k++)
			if (steps[i]->ruling->usage[k] != NULL)
				refs[nrefs++] = &steps[i]->ruling->usage[k];
	}
	qsort(refs, nrefs, sizeof(*refs), compare_refs);
	r->rows = palloc(sizeof(UsageRow *) * Max(nrefs, 1));
	r->nrows = 0;
	for (int i = 0; i < nrefs; i++)
	{
		if (r->nrows == 0 || cadence_usage_compare(r->rows[r->nrows - 1], *refs[i]) != 0)
			r->rows[r->nrows++] = *refs[i];
		*refs[i] = r->rows[r->nrows - 1];
	}
	cadence_usages_find(r->usages, r->rows, r->nrows);
	pfree(refs);
}

static void
read_usage(StepRuling *ruling, TimestampTz now)
{
	const UsageRow *person = ruling->usage[DECIDE_CAP_PERSON];

	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		DecideCap *cap = &ruling->facts.caps[i];
		const Calendar *calendar = i == DECIDE_CAP_PERSON ? &ruling->person : &ruling->company;

		if (ruling->usage[i] == NULL || !cap->is_set)
			continue;
		cap->used = ruling->usage[i]->used;
		cap->day_ends = calendar_instant(calendar, ruling->usage[i]->day + 1, 0);
	}
	if (person != NULL && person->last_at != 0)
		ruling->facts.last_to_person = person->last_at;
}

/* It is to be sent: the next of its claim finds that counted. */
static void
take_usage(StepRuling *ruling, TimestampTz at)
{
	UsageRow *person = ruling->usage[DECIDE_CAP_PERSON];

	ruling->taken_at = at;
	for (int i = 0; i < DECIDE_CAPS; i++)
		if (ruling->usage[i] != NULL)
		{
			ruling->usage[i]->used++;
			ruling->usage[i]->is_changed = true;
		}
	if (person == NULL)
		return;
	ruling->before = person->last_at;
	person->last_at = Max(person->last_at, at);
}

/* ---- deciding -------------------------------------------------------------------------- */

static char *
detail(const StepRuling *ruling)
{
	const Decision *d = &ruling->decision;

	if (d->cap != NULL)
		return psprintf(" (%d of %d)", d->cap->used, d->cap->max);
	if (ruling->motivo != NULL &&
		(d->reason == REASON_EXIT || d->reason == REASON_SKIP || d->reason == REASON_EXITS_UNKNOWN))
		return psprintf(": %s", ruling->motivo);
	return "";
}

static void
end_step(CadenceStep *step, CadenceOutcome outcome)
{
	const StepRuling *ruling = step->ruling;
	const ReasonWords *words = &cadence_reasons[ruling->decision.reason];

	step->outcome = outcome;
	step->until = ruling->decision.until;
	step->reason.code = words->code;
	step->reason.text = psprintf("%s%s", words->en, detail(ruling));
	if (outcome == OUTCOME_STOPPED || outcome == OUTCOME_SKIPPED)
		step->opt_out_motivo = (char *) ruling->motivo;
}

/* What can not be sent anyway waits for other reasons than these. */
static void
apply(CadenceStep *step, TimestampTz now)
{
	StepRuling *ruling = step->ruling;
	bool is_pending = step->outcome == OUTCOME_PENDING;

	switch (ruling->decision.verdict)
	{
		case DECIDE_STOP:
			end_step(step, OUTCOME_STOPPED);
			break;
		case DECIDE_SKIP:
			if (step->outcome != OUTCOME_WAITING)
				end_step(step, OUTCOME_SKIPPED);
			break;
		case DECIDE_WAIT:
			if (is_pending)
				end_step(step, OUTCOME_DEFERRED);
			break;
		case DECIDE_SEND:
			if (!is_pending)
				break;
			step->leave_by = ruling->decision.until == CALENDAR_NEVER ? 0 : ruling->decision.until;
			take_usage(ruling, now);
			break;
	}
}

/* Where a cap binds: the higher priority, and then who has been written to already. */
static int
compare_turns(const void *a, const void *b)
{
	const CadenceStep *x = *(CadenceStep *const *) a;
	const CadenceStep *y = *(CadenceStep *const *) b;
	int px = x->ruling->policy->priority;
	int py = y->ruling->policy->priority;

	if (px != py)
		return px > py ? -1 : 1;
	if (x->has_begun != y->has_begun)
		return x->has_begun ? -1 : 1;
	if (x->due != y->due)
		return x->due < y->due ? -1 : 1;
	return memcmp(&x->run_id, &y->run_id, UUID_LEN);
}

/*
 * Decides about those of some steps that policies say something of: each may leave until
 * its leave_by, or has an outcome. What caps count is locked until the transaction ends.
 * Inside an SPI connection.
 */
void
cadence_rulings_decide(CadenceRulings *r, CadenceStep **steps, int n, TimestampTz now)
{
	CadenceStep **ruled = palloc(sizeof(*ruled) * Max(n, 1));
	CadenceStep **counted = palloc(sizeof(*counted) * Max(n, 1));
	int nruled = 0;
	int ncounted = 0;

	for (int i = 0; i < n; i++)
		if (may_be_ruled(steps[i]))
			ruled[nruled++] = steps[i];
	ask_views(r, ruled, nruled);
	for (int i = 0; i < nruled; i++)
		if (ruled[i]->outcome == OUTCOME_PENDING)
			counted[ncounted++] = ruled[i];
	find_usage(r, counted, ncounted, now);
	qsort(ruled, nruled, sizeof(*ruled), compare_turns);
	for (int i = 0; i < nruled; i++)
	{
		StepRuling *ruling = ruled[i]->ruling;

		read_usage(ruling, now);
		ruling->decision = cadence_decide(&ruling->facts, &ruling->decide, &ruling->person, now);
		apply(ruled[i], now);
	}
	pfree(ruled);
	pfree(counted);
}

/*
 * Everything that policies say against a step's leaving now, the first first; how many
 * reasons there are. Nothing is taken, and its outcome stays: for one call in somebody's
 * query, after cadence_rulings_want_all(). Inside an SPI connection.
 */
int
cadence_rulings_list(CadenceRulings *r, CadenceStep *step, TimestampTz now, Decision *reasons,
					 int max)
{
	StepRuling *ruling = step->ruling;

	if (ruling == NULL)
		return 0;
	ask_views(r, &step, 1);
	find_usage(r, &step, 1, now);
	read_usage(ruling, now);
	return cadence_decide_all(&ruling->facts, &ruling->decide, &ruling->person, now, reasons, max);
}

/* ---- counting -------------------------------------------------------------------------- */

/* What was put off for other reasons has taken nothing; what has a time counts as of then. */
static void
settle_taken(CadenceStep *step)
{
	StepRuling *ruling = step->ruling;
	UsageRow *person = ruling->usage[DECIDE_CAP_PERSON];

	if (step->outcome == OUTCOME_PENDING)
	{
		ruling->taken_at = Max(ruling->taken_at, step->request.start_at);
		if (person != NULL)
			person->last_at = Max(person->last_at, ruling->taken_at);
		return;
	}
	for (int i = 0; i < DECIDE_CAPS; i++)
		if (ruling->usage[i] != NULL)
			ruling->usage[i]->used--;
	if (person != NULL && person->last_at == ruling->taken_at)
		person->last_at = ruling->before;
	ruling->taken_at = 0;
}

/*
 * Writes what caps have had, when it is known which steps leave, and when; in the
 * transaction of cadence_rulings_decide().
 */
void
cadence_rulings_write(CadenceRulings *r, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (steps[i]->ruling != NULL && steps[i]->ruling->taken_at != 0)
			settle_taken(steps[i]);
	cadence_usages_write(r->usages, r->rows, r->nrows);
}

/* It has ended, and was certainly not sent. */
static bool
owes(const CadenceStep *step)
{
	return step->ruling != NULL && step->ruling->taken_at != 0 &&
		   step->outcome != OUTCOME_PENDING && step->outcome != OUTCOME_UNCERTAIN &&
		   !cadence_was_accepted(step);
}

/* Whether any of some steps has taken of a cap what it has not used. */
bool
cadence_rulings_owe(CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (owes(steps[i]))
			return true;
	return false;
}

static int
compare_returns(const void *a, const void *b)
{
	return cadence_usage_compare(((const UsageReturn *) a)->row, ((const UsageReturn *) b)->row);
}

/* Those of one row become one. */
static int
merge_returns(UsageReturn *returns, int n)
{
	int nmerged = 0;

	qsort(returns, n, sizeof(UsageReturn), compare_returns);
	for (int i = 0; i < n; i++)
	{
		UsageReturn *last = nmerged > 0 ? &returns[nmerged - 1] : NULL;

		if (last == NULL || compare_returns(last, &returns[i]) != 0 ||
			last->row->day != returns[i].row->day)
		{
			returns[nmerged++] = returns[i];
			continue;
		}
		last->n++;
		last->taken_at = Max(last->taken_at, returns[i].taken_at);
		last->before = Min(last->before, returns[i].before);
	}
	return nmerged;
}

/*
 * Gives back what steps have taken of caps and not used; in a transaction of its own,
 * inside an SPI connection. After that cadence_rulings_forget() is to be called.
 */
void
cadence_rulings_return(CadenceRulings *r, CadenceStep **steps, int n)
{
	UsageReturn *returns = palloc(sizeof(UsageReturn) * Max(n * DECIDE_CAPS, 1));
	int nreturns = 0;

	for (int i = 0; i < n; i++)
	{
		StepRuling *ruling = steps[i]->ruling;

		if (!owes(steps[i]))
			continue;
		for (int k = 0; k < DECIDE_CAPS; k++)
			if (ruling->usage[k] != NULL)
				returns[nreturns++] =
					(UsageReturn){.row = ruling->usage[k],
								  .n = 1,
								  .taken_at = k == DECIDE_CAP_PERSON ? ruling->taken_at : 0,
								  .before = k == DECIDE_CAP_PERSON ? ruling->before : 0};
	}
	cadence_usages_return(r->usages, returns, merge_returns(returns, nreturns));
	pfree(returns);
}

/* Nothing is given back twice. */
void
cadence_rulings_forget(CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (owes(steps[i]))
			steps[i]->ruling->taken_at = 0;
}
