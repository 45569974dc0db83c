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

#include "base/clip.h"
#include "base/row.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "common/hashfn.h"
#include "resolve/ruling.h"
#include "schema/exits.h"

/* How long a view that could not be asked is waited for; some wait up to twice as long. */
#define UNKNOWN_RETRY_US (60 * USECS_PER_SEC)

/* How long what had no room in a cap waits that has it after all. */
#define COME_BACK_US (60 * USECS_PER_SEC)

/* So much of a zone's name is told, where there is none. */
#define ZONE_SHOWN_MAX 100

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

/* Whether a step is to be looked at again before it starts: the views raise no barrier. */
bool
cadence_rulings_ask_always(CadenceRulings *r)
{
	return cadence_exits_exist(r->exits);
}

/* ---- facts ---------------------------------------------------------------------------- */

static bool
needs_calendar(const CadenceRulings *r, const CadenceStepLookup *found)
{
	const CadencePolicy *p = &found->policy;

	return r->has_holidays || step_needs_calendar(&found->time) || p->window != NULL ||
		   cadence_policy_counts_days(p);
}

static bool
needs_ruling(const CadenceRulings *r, const CadenceStepLookup *found)
{
	const CadencePolicy *p = &found->policy;

	return needs_calendar(r, found) || r->has_exits || found->valid_for_us != 0 ||
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

/* The person's zone, or the company's, is none: the name that is none. */
static const char *
unknown_zone(const char *of_person, const char *of_company)
{
	bool is_known = of_person == NULL || *of_person == '\0' || cadence_zone_find(of_person) != NULL;
	const char *zone = is_known ? of_company : of_person;

	return zone != NULL ? pnstrdup(zone, cadence_text_fits(zone, ZONE_SHOWN_MAX)) : NULL;
}

static CadencePlace
place_of_person(const ContactColumns *c, HeapTuple contact, const CadenceStepLookup *found,
				const CadenceStep *step)
{
	CadencePlace place = place_of_company(found, step);
	char *e164 = contact_text(c, contact, c->telefone_e164);

	if (contact_text(c, contact, c->empresa) != NULL)
		place.empresa = contact_text(c, contact, c->empresa);
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
									.min_gap = p->min_gap_us,
									.retry_unknown = UNKNOWN_RETRY_US * (1 + place_of(step)),
									.retry_unresolved = cadence_retry_unresolved * USECS_PER_SEC};
}

/* As its contact spells lead and company: runs that are one lead's to their columns share what caps
 * count. */
static void
spell(const ContactColumns *c, HeapTuple contact, const CadenceStep *step, StepRuling *ruling)
{
	const char *lead_id = contact_text(c, contact, c->lead_id);
	const char *empresa = contact_text(c, contact, c->empresa);

	ruling->lead_id = lead_id != NULL ? lead_id : step->lead_id;
	ruling->empresa = empresa != NULL ? empresa : step->empresa;
}

/*
 * Puts together what is known of a step that was resolved as far as its contact; contact
 * is NULL where it has none. In the batch's memory context.
 */
void
cadence_ruling_prepare(CadenceRulings *r, const ContactColumns *c, HeapTuple contact,
					   const CadenceStepLookup *found, CadenceStep *step)
{
	bool has_ruling =
		r->wants_all || (needs_ruling(r, found) && !step->interrupted && step->held == NULL);
	StepRuling *ruling;
	CadencePlace place;
	const char *own_zone;
	bool is_known;

	if (!has_ruling && !(step->has_next && step_needs_calendar(&step->next_time)))
		return;
	ruling = palloc0(sizeof(*ruling));
	place = place_of_person(c, contact, found, step);
	own_zone = place.zone;
	is_known = cadence_calendar_of(r->calendars, &place, &ruling->person);
	step->calendar = &ruling->person;
	if (!has_ruling)
		return;
	step->ruling = ruling;
	spell(c, contact, step, ruling);
	set_policy(found, step, ruling);
	set_caps(ruling->policy, step, &ruling->facts);
	place = place_of_company(found, step);
	is_known = cadence_calendar_of(r->calendars, &place, &ruling->company) && is_known;
	ruling->facts.zone_unknown = needs_calendar(r, found) && !is_known;
	if (ruling->facts.zone_unknown)
		ruling->unknown_zone = unknown_zone(own_zone, place.empresa_zone);
	ruling->facts.window_unknown = ruling->policy->window_unknown;
	ruling->facts.can_expire = step->valid_for_us != 0;
	ruling->facts.due = step->first_due;
	ruling->facts.valid_for = step->valid_for_us;
	ruling->facts.has_time = found->time.has_time;
	ruling->facts.time = found->time.time;
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

/* Those of some steps that are to be ruled; how many. */
static int
to_be_ruled(CadenceStep **steps, int n, CadenceStep **ruled)
{
	int nruled = 0;

	for (int i = 0; i < n; i++)
		if (may_be_ruled(steps[i]))
			ruled[nruled++] = steps[i];
	return nruled;
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

/*
 * Asks the owner's views about resolved steps, inside an SPI connection. They may take
 * their time: before anything is locked that others wait for.
 */
void
cadence_rulings_ask(CadenceRulings *r, CadenceStep **steps, int n)
{
	CadenceStep **ruled = palloc(sizeof(*ruled) * Max(n, 1));

	ask_views(r, ruled, to_be_ruled(steps, n, ruled));
	pfree(ruled);
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
	if (d->reason == REASON_ZONE_UNKNOWN && ruling->unknown_zone != NULL)
		return psprintf(": \"%s\"", ruling->unknown_zone);
	return "";
}

static void
end_step(CadenceStep *step, CadenceOutcome outcome)
{
	const StepRuling *ruling = step->ruling;
	const ReasonWords *words = &cadence_reasons[ruling->decision.reason];

	step->outcome = outcome;
	step->conversation = NULL;
	if (outcome == OUTCOME_DEFERRED)
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
			ruling_take(ruling, now);
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
	if (x->first_due != y->first_due)
		return x->first_due < y->first_due ? -1 : 1;
	return memcmp(&x->run_id, &y->run_id, UUID_LEN);
}

/*
 * Decides about those of some steps that policies say something of: each may leave until
 * its leave_by, or has an outcome. What caps count is locked until the transaction ends.
 * Inside an SPI connection.
 */
void
cadence_rulings_decide(CadenceRulings *r, CadenceStep **steps, int n, TimestampTz not_before)
{
	CadenceStep **ruled = palloc(sizeof(*ruled) * Max(n, 1));
	CadenceStep **counted = palloc(sizeof(*counted) * Max(n, 1));
	int nruled = to_be_ruled(steps, n, ruled);
	int ncounted = 0;
	TimestampTz now;

	for (int i = 0; i < nruled; i++)
		if (ruled[i]->outcome == OUTCOME_PENDING)
			counted[ncounted++] = ruled[i];
	ruling_find_usage(r->usages, counted, ncounted, &r->rows, &r->nrows);
	/* it may have been waited for */
	now = Max(GetCurrentTimestamp(), not_before);
	qsort(ruled, nruled, sizeof(*ruled), compare_turns);
	for (int i = 0; i < nruled; i++)
	{
		StepRuling *ruling = ruled[i]->ruling;

		ruling_read_usage(ruled[i], now);
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
	ruling_find_usage(r->usages, &step, 1, &r->rows, &r->nrows);
	ruling_read_usage(step, now);
	return cadence_decide_all(&ruling->facts, &ruling->decide, &ruling->person, now, reasons, max);
}

/* ---- afterwards ------------------------------------------------------------------------ */

static bool
waits_for_a_cap(const CadenceStep *step)
{
	return step->ruling != NULL && step->outcome == OUTCOME_DEFERRED &&
		   (step->ruling->decision.cap != NULL || step->ruling->decision.reason == REASON_MIN_GAP);
}

/* What has room again, since others of its claim were put off, comes back soon. */
static void
come_back(CadenceStep **steps, int n)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < n; i++)
	{
		StepRuling *ruling = steps[i]->ruling;

		if (!waits_for_a_cap(steps[i]))
			continue;
		ruling_read_usage(steps[i], now);
		if (cadence_decide(&ruling->facts, &ruling->decide, &ruling->person, now).verdict ==
			DECIDE_SEND)
			steps[i]->until = now + COME_BACK_US;
	}
}

/*
 * Writes what caps have had, when it is known which steps leave, and when; in the
 * transaction of cadence_rulings_decide().
 */
void
cadence_rulings_write(CadenceRulings *r, CadenceStep **steps, int n)
{
	if (r->nrows == 0)
		return;
	if (ruling_settle_taken(steps, n) > 0)
		come_back(steps, n);
	cadence_usages_write(r->usages, r->rows, r->nrows);
}

/*
 * Gives back what steps have taken of caps and not used, and corrects when they have left;
 * in a transaction of its own, inside an SPI connection. After that
 * cadence_rulings_forget() is to be called.
 */
void
cadence_rulings_return(CadenceRulings *r, CadenceStep **steps, int n)
{
	ruling_return(r->usages, steps, n);
}
