/*
 * why.c
 *		cadence_why_not(): every reason why a run's next message does not leave now.
 *
 * Asks what an execution asks, in its order: the run, the server, the step's time, what
 * resolves it, policies, its sender. Locks and writes nothing.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/clip.h"
#include "base/compat.h"
#include "resolve/marks.h"
#include "sqlapi/why.h"

PG_FUNCTION_INFO_V1(cadence_why_not);

/* So much is shown of what others have written. */
#define SHOWN_MAX 400

/* ---- a reason ------------------------------------------------------------------------ */

/* Whether the letters of Portuguese are in the database's encoding. */
static bool
has_letters(void)
{
	int encoding = GetDatabaseEncoding();

	return encoding == PG_UTF8 || encoding == PG_LATIN1 || encoding == PG_LATIN9 ||
		   encoding == PG_WIN1252 || encoding == PG_SQL_ASCII;
}

/* A value is put between words that are UTF-8. */
static char *
to_utf8(const char *value)
{
	int len = cadence_text_fits(value, SHOWN_MAX);
	char *clipped = pnstrdup(value, len);

	return GetDatabaseEncoding() == PG_SQL_ASCII ? clipped
												 : pg_server_to_any(clipped, len, PG_UTF8);
}

WhyReason
why_reason(const Why *why, CadenceReasonCode reason)
{
	WhyReason r = {.why = why, .code = cadence_reasons[reason].code};

	explanation_begin(&r.said, reason, why->is_portuguese);
	return r;
}

/* value: NULL, where there is none to be said. */
void
why_add(WhyReason *r, ReasonDetail detail, const char *value)
{
	explanation_add(&r->said, detail, value != NULL ? to_utf8(value) : NULL);
}

/* As the person's clock says it. */
static char *
local_time(const Why *why, TimestampTz at)
{
	const Calendar *c = why->look.step->calendar;
	int64 minutes;
	int year;
	int month;
	int day;

	if (TIMESTAMP_NOT_FINITE(at) || c == NULL)
		return pstrdup(timestamptz_to_str(at));
	minutes = calendar_time_of_day(c, at) / USECS_PER_MINUTE;
	j2date(calendar_day(c, at) + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	return psprintf("%04d-%02d-%02d %02d:%02d %s", year, month, day, (int) (minutes / 60),
					(int) (minutes % 60),
					pg_get_timezone_name(unconstify(pg_tz *, (const pg_tz *) c->zone)));
}

static void
add_time(WhyReason *r, ReasonDetail detail, TimestampTz at)
{
	why_add(r, detail, local_time(r->why, at));
}

/* It is over then, or is asked about again. */
void
why_clears(WhyReason *r, ReasonDetail detail, TimestampTz at)
{
	r->clears_at = at;
	add_time(r, detail, at);
}

void
why_put(const WhyReason *r)
{
	ReturnSetInfo *result = r->why->result;
	const char *text = r->said.text;
	char *said = pg_any_to_server(text, r->said.len, PG_UTF8);
	Datum values[] = {CStringGetTextDatum(r->code), TimestampTzGetDatum(r->since),
					  TimestampTzGetDatum(r->clears_at), CStringGetTextDatum(said)};
	bool nulls[] = {false, r->since == 0, r->clears_at == 0, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put(const Why *why, CadenceReasonCode reason, ReasonDetail detail, const char *value)
{
	WhyReason r = why_reason(why, reason);

	if (value != NULL && *value != '\0')
		why_add(&r, detail, value);
	why_put(&r);
}

/* ---- what resolves it ---------------------------------------------------------------- */

static CadenceReasonCode
resolved_as(const CadenceStep *step)
{
	CadenceReasonCode reason;

	switch (step->outcome)
	{
		case OUTCOME_PENDING:
		case OUTCOME_SENT: /* held for review, and let go: said elsewhere */
		case OUTCOME_UNSENT:
			return REASON_NONE;
		case OUTCOME_NO_STEP:
			return REASON_NO_STEP;
		default:
			break;
	}
	reason = step->reason.code != NULL ? cadence_reason_of(step->reason.code) : REASON_NONE;
	return reason != REASON_NONE ? reason : REASON_UNRESOLVED;
}

/* What the words of a reason do not say of this step. */
static void
add_resolution(WhyReason *r, CadenceReasonCode reason, const CadenceStep *step)
{
	switch (reason)
	{
		case REASON_NO_TEMPLATE:
			why_add(r, DETAIL_TEMPLATE, step->template_codigo);
			break;
		case REASON_NO_ADDRESS:
		case REASON_NO_SENDER:
		case REASON_BAD_CHANNEL:
			why_add(r, DETAIL_CHANNEL, step->canal);
			break;
		case REASON_TEMPLATE_STOPPED:
			why_add(r, DETAIL_TEMPLATE, step->template_codigo);
			why_add(r, DETAIL_SERVER, step->request.configuration->name);
			why_clears(r, DETAIL_PROBE, r->why->now + step->answer.retry_after_us);
			break;
		case REASON_OPT_OUT:
		case REASON_BLOCKED:
			if (step->opt_out_motivo != NULL)
				why_add(r, DETAIL_WHY, step->opt_out_motivo);
			break;
		case REASON_UNCERTAIN:
			if (step->interrupted)
				why_add(r, DETAIL_INTERRUPTED, NULL);
			else
				why_add(r, DETAIL_WHY, step->reason.text);
			why_add(r, DETAIL_SETTLE, NULL);
			break;
		case REASON_INACTIVE:
		case REASON_NO_CADENCE:
		case REASON_NO_CONTACT:
		case REASON_NO_STEP:
			break;
		default:
			if (step->reason.text != NULL)
				why_add(r, DETAIL_WHY, step->reason.text);
			break;
	}
}

static void
put_resolution(const Why *why, const CadenceStep *step)
{
	CadenceReasonCode reason = resolved_as(step);
	WhyReason r;

	if (reason == REASON_NONE)
		return;
	r = why_reason(why, reason);
	if (reason == REASON_UNRESOLVED && step->reason.code != NULL)
		r.code = step->reason.code;
	add_resolution(&r, reason, step);
	why_put(&r);
}

/* Whether a step that was not resolved would have no template, either. */
static bool
lacks_template(const Why *why)
{
	CadenceStepLookups *lookups = cadence_step_lookups_create(why->look.tables, true);
	CadenceStep *step = why->look.step;
	CadenceStepLookup *found;

	cadence_step_lookups_find(lookups, &step, 1, &found);
	return !found->has_template || !found->template_is_active;
}

/* Where one thing keeps it from being resolved, others may as well, which were not got to. */
static void
put_others(const Why *why, const CadenceStep *step)
{
	CadenceReasonCode first = resolved_as(step);
	const PersonMarks *marks = step->marks;

	if (first == REASON_NONE || first == REASON_INACTIVE || !step->has_step)
		return;
	if (marks != NULL && marks->is_blocked && first != REASON_BLOCKED)
		put(why, REASON_BLOCKED, DETAIL_WHY, marks->blocked_reason);
	if (marks != NULL && marks->is_dead && first != REASON_DEAD_ADDRESS)
		put(why, REASON_DEAD_ADDRESS, DETAIL_WHY, marks->dead_motivo);
	if (first != REASON_NO_TEMPLATE && first != REASON_BAD_TEMPLATE && lacks_template(why))
		put(why, REASON_NO_TEMPLATE, DETAIL_TEMPLATE, step->template_codigo);
	if (first != REASON_BAD_CHANNEL && step->pool != NULL && step->pool->members == NIL)
		put(why, REASON_NO_SENDER, DETAIL_CHANNEL, step->canal);
}

/* ---- policies ------------------------------------------------------------------------ */

static TimestampTz
holds_since(const Decision *d, const StepRuling *ruling, TimestampTz now)
{
	const DecideFacts *f = &ruling->facts;
	const Calendar *c = &ruling->person;
	TimestampTz since = CALENDAR_NEVER;

	if (d->reason == REASON_EXPIRED)
		return f->due + f->valid_for;
	if (d->reason == REASON_HOLIDAY)
		return calendar_instant(c, calendar_day(c, now), 0);
	if (d->reason == REASON_MIN_GAP)
		return f->last_to_person;
	if (d->reason == REASON_WINDOW)
		since = window_closed(ruling->decide.window, c, now);
	return since != CALENDAR_NEVER ? since : 0;
}

/* Whether it is over by itself, and not when somebody has mended something. */
static bool
ends_by_time(const Decision *d)
{
	switch (d->reason)
	{
		case REASON_WINDOW:
		case REASON_HOLIDAY:
		case REASON_MIN_GAP:
			return true;
		default:
			return d->cap != NULL;
	}
}

/* Whose the one motivo is that the owner's views have given. */
static CadenceReasonCode
is_said_of(const DecideFacts *f)
{
	if (f->exits_unknown)
		return REASON_EXITS_UNKNOWN;
	return f->has_exit ? REASON_EXIT : REASON_SKIP;
}

static void
put_decision(const Why *why, const Decision *d)
{
	const StepRuling *ruling = why->look.step->ruling;
	WhyReason r = why_reason(why, d->reason);

	r.since = holds_since(d, ruling, why->now);
	if (d->cap != NULL)
		explanation_add_count(&r.said, d->cap->used, d->cap->max);
	if (ruling->motivo != NULL && d->reason == is_said_of(&ruling->facts))
		why_add(&r, DETAIL_WHY, ruling->motivo);
	if (d->reason == REASON_ZONE_UNKNOWN && ruling->unknown_zone != NULL)
		why_add(&r, DETAIL_ZONE, ruling->unknown_zone);
	if (ends_by_time(d))
		why_clears(&r, DETAIL_UNTIL, d->until);
	why_put(&r);
}

/* ---- all of them --------------------------------------------------------------------- */

/* What an execution does not get past, whatever policies say. */
static bool
is_over(const CadenceStep *step)
{
	switch (step->outcome)
	{
		case OUTCOME_PENDING:
		case OUTCOME_WAITING:
		case OUTCOME_UNRESOLVED:
			return false;
		default:
			return true;
	}
}

/* Whether a policy counts before what keeps a step from being resolved: it ends it. */
static bool
counts_before(const Decision *d, const CadenceStep *step)
{
	return d->verdict == DECIDE_STOP ||
		   (d->verdict == DECIDE_SKIP && step->outcome != OUTCOME_WAITING);
}

/* Of the step: what resolves it and policies, and its sender where it gets that far. */
static void
put_step(const Why *why)
{
	const RunLook *look = &why->look;
	CadenceStep *step = look->step;
	Decision reasons[DECIDE_REASONS_MAX];
	int n = cadence_rulings_list(look->rulings, step, why->now, reasons, DECIDE_REASONS_MAX);
	int i = 0;

	if (is_over(step))
		put_resolution(why, step);
	for (; i < n && counts_before(&reasons[i], step); i++)
		put_decision(why, &reasons[i]);
	if (!is_over(step))
		put_resolution(why, step);
	put_others(why, step);
	for (; i < n; i++)
		put_decision(why, &reasons[i]);
	if (step->outcome != OUTCOME_PENDING)
		return;
	run_look_at_sender(look, true);
	put_resolution(why, step);
	why_put_sender(why);
}

static void
put_all(Why *why)
{
	RunLook *look = &why->look;

	why_read_story(why);
	/* what an interrupted attempt has left is settled first */
	look->step->interrupted = look->has_claim && why->claimed_at == 0;
	cadence_rulings_want_all(look->rulings);
	cadence_resolve(look->resolver, &look->step, 1);
	if (!why_put_state(why))
		return;
	why_put_server(why);
	if (!why_put_wait(why))
		return;
	put_step(why);
	why_put_off(why);
}

/* In the caller's language, or that which is asked for. */
static bool
says_portuguese(PG_FUNCTION_ARGS)
{
	if (PG_NARGS() > 1 && !PG_ARGISNULL(1))
		return explanation_is_portuguese(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	return explanation_is_portuguese(GetConfigOption("lc_messages", true, false));
}

/*
 * cadence_why_not(run uuid [, language text]) -> setof (blocked_by, since, clears_at,
 * explanation): every reason why the run's next message does not leave now, the first
 * first; none where nothing keeps it back.
 *
 * Errors: 22004 for a null; P0002 when there is no such run; 42P01 without tables; 42501
 * without the right to read them.
 */
Datum
cadence_why_not(PG_FUNCTION_ARGS)
{
	Why why = {.result = (ReturnSetInfo *) fcinfo->resultinfo, .now = GetCurrentTimestamp()};

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the run must not be null")));
	why.is_portuguese = has_letters() && says_portuguese(fcinfo);
	InitMaterializedSRF(fcinfo, 0);
	run_look_begin(&why.look, PG_GETARG_DATUM(0));
	put_all(&why);
	run_look_end(&why.look);
	PG_RETURN_VOID();
}
