/*
 * decide_fuzz.c
 *		Decisions of any facts, policies and zones: each is one that may be made, and costs
 *		little; and a zone of no order at all makes none that sends when it is closed.
 */
#include "rules/decide.h"

#include <stdlib.h>

#include "calendar_tools.h"
#include "rules/due.h"

/* So often a zone may be asked in one decision: it is what costs most. */
#define CALLS_MAX 4000

#define NHOLIDAYS 60

#define MUST(condition)   \
	do                    \
	{                     \
		if (!(condition)) \
			abort();      \
	} while (0)

typedef struct Bytes
{
	const uint8_t *at;
	const uint8_t *end;
} Bytes;

typedef struct Case
{
	Zone zone;
	bool is_wild; /* a zone that no state would have */
	int32_t holidays[NHOLIDAYS];
	Calendar calendar;
	Window window;
	DecideFacts facts;
	DecidePolicy policy;
	int64_t now;
} Case;

static int
byte_of(Bytes *bytes)
{
	return bytes->at < bytes->end ? *bytes->at++ : 0;
}

static int
number_of(Bytes *bytes, int n)
{
	int high = byte_of(bytes);

	return (high << 8 | byte_of(bytes)) % n;
}

/* A minute near "now", or one that is far off. */
static int64_t
time_of(Bytes *bytes, int64_t now)
{
	switch (byte_of(bytes) % 16)
	{
		case 0:
			return INT64_MIN;
		case 1:
			return INT64_MAX;
		case 2:
			return INT64_MAX - 1;
		case 3:
			return 0;
		default:
			return now + (number_of(bytes, 8000) - 5000) * CALENDAR_MINUTE;
	}
}

static int64_t
span_of(Bytes *bytes)
{
	static const int64_t odd[] = {0, -1, 1, INT64_MIN, INT64_MAX, CALENDAR_DAY};
	int n = byte_of(bytes);

	return n < 6 ? odd[n] : number_of(bytes, 5000) * CALENDAR_MINUTE;
}

static void
read_zone(Bytes *bytes, Case *k)
{
	const Period *period = &periods[byte_of(bytes) % NPERIODS];

	k->zone = zones[period->zone];
	k->now =
		instant_of(period->from) + number_of(bytes, 40 * 1440) * CALENDAR_MINUTE + byte_of(bytes);
	k->is_wild = byte_of(bytes) % 8 == 0;
	if (k->is_wild)
	{
		k->zone.nchanges = byte_of(bytes) % ZONE_CHANGES_MAX;
		for (int i = 0; i < k->zone.nchanges; i++)
		{
			k->zone.changes[i].offset = (number_of(bytes, 2880) - 1440) * 60;
			k->zone.changes[i].at =
				(i == 0 ? k->now / CALENDAR_SECOND + EPOCH_2000 : k->zone.changes[i - 1].at) +
				number_of(bytes, 8000) * 60;
		}
	}
	k->calendar = (Calendar){zone_offset, &k->zone, k->holidays, byte_of(bytes) % NHOLIDAYS};
	for (size_t i = 0; i < k->calendar.nholidays; i++)
		k->holidays[i] = (i == 0 ? day_of(period->from) : k->holidays[i - 1]) + byte_of(bytes) % 6;
}

static void
read_policy(Bytes *bytes, Case *k)
{
	k->policy = (DecidePolicy){.window = byte_of(bytes) % 8 == 0 ? NULL : &k->window,
							   .spread = span_of(bytes),
							   .place = byte_of(bytes) / 128.0 - 0.5,
							   .min_gap = span_of(bytes),
							   .retry_unknown = span_of(bytes),
							   .retry_unresolved = span_of(bytes)};
	k->window.n = byte_of(bytes) % (WINDOW_SPANS_MAX + 1);
	for (int i = 0; i < k->window.n; i++)
	{
		WindowSpan *span = &k->window.spans[i];

		span->days = byte_of(bytes) & 0xfe;
		span->from = (int16_t) number_of(bytes, 1440);
		span->to = (int16_t) number_of(bytes, 1441);
		if (span->from == span->to)
			span->to++;
	}
}

static void
read_facts(Bytes *bytes, Case *k)
{
	int flags = byte_of(bytes);
	DecideFacts *f = &k->facts;

	*f = (DecideFacts){.has_exit = flags == 1,
					   .opted_out = flags == 2,
					   .is_blocked = flags == 3,
					   .has_skip = flags == 4,
					   .exits_unknown = flags == 5,
					   .is_inactive = flags == 6,
					   .zone_unknown = flags == 7,
					   .can_expire = flags % 3 == 0,
					   .due = time_of(bytes, k->now),
					   .valid_for = span_of(bytes),
					   .last_to_person = time_of(bytes, k->now)};
	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		DecideCap *cap = &f->caps[i];

		cap->reason = REASON_CAP_PERSON + i;
		cap->is_set = byte_of(bytes) % 2 == 0;
		cap->max = byte_of(bytes) % 4;
		cap->used = byte_of(bytes) % 4;
		cap->day_ends = time_of(bytes, k->now);
	}
}

/* What is known of it in any zone. */
static void
check_sending(const Case *k, const Decision *d)
{
	const DecideFacts *f = &k->facts;

	MUST(d->until > k->now);
	MUST(!f->opted_out && !f->is_blocked && !f->has_exit && !f->has_skip && !f->is_inactive &&
		 !f->exits_unknown && !f->zone_unknown);
	MUST(!calendar_is_holiday(&k->calendar, calendar_day(&k->calendar, k->now)));
	MUST(k->policy.window == NULL || window_is_open(k->policy.window, &k->calendar, k->now));
	for (int i = 0; i < DECIDE_CAPS; i++)
		MUST(!f->caps[i].is_set || f->caps[i].used < f->caps[i].max ||
			 f->caps[i].day_ends <= k->now);
}

/* It is one that sends then, if it waits for no other reason. */
static void
check_waiting(const Case *k, const Decision *d)
{
	Decision then;

	MUST(d->reason != REASON_NONE && d->until > k->now && d->until <= k->now + 31 * CALENDAR_DAY);
	if (k->is_wild || d->reason <= REASON_ZONE_UNKNOWN || d->until == k->now + 31 * CALENDAR_DAY)
		return;
	then = cadence_decide(&k->facts, &k->policy, &k->calendar, d->until);
	MUST(then.verdict == DECIDE_SEND ||
		 (then.verdict == DECIDE_SKIP && then.reason == REASON_EXPIRED));
}

/* Every reason begins with the one that decides, and there is none where it sends. */
static void
check_all(const Case *k, const Decision *d)
{
	Decision all[DECIDE_REASONS_MAX + 1];
	int n = cadence_decide_all(&k->facts, &k->policy, &k->calendar, k->now, all,
							   DECIDE_REASONS_MAX + 1);

	MUST(n <= DECIDE_REASONS_MAX && (n == 0) == (d->verdict == DECIDE_SEND));
	MUST(n == 0 || (all[0].verdict == d->verdict && all[0].reason == d->reason &&
					all[0].until == d->until && all[0].cap == d->cap));
	for (int i = 1; i < n; i++)
	{
		MUST(all[i].verdict != DECIDE_WAIT || all[i].until > k->now);
		for (int j = 0; j < i; j++)
			MUST(all[i].reason != all[j].reason);
	}
}

static void
check_due(Bytes *bytes, const Case *k)
{
	StepTime step = {.offset = number_of(bytes, 1 << 15) * number_of(bytes, 1 << 16) - 1000,
					 .from_start = byte_of(bytes) % 2 == 0,
					 .time = number_of(bytes, 1442) - 1,
					 .working_days = byte_of(bytes) % 2 == 0};
	int64_t not_before = time_of(bytes, k->now);
	int64_t due;

	step.has_time = step.time >= 0;
	step.time *= CALENDAR_MINUTE;
	due = step_due(&step, time_of(bytes, k->now), time_of(bytes, k->now), not_before, &k->calendar);
	MUST(due >= not_before || not_before >= INT64_MAX - 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes bytes = {data, data + size};
	Case *k = calloc(1, sizeof(*k));
	Decision d;

	read_zone(&bytes, k);
	read_policy(&bytes, k);
	read_facts(&bytes, k);
	zone_calls = 0;
	d = cadence_decide(&k->facts, &k->policy, &k->calendar, k->now);
	MUST(zone_calls <= CALLS_MAX);
	if (d.verdict == DECIDE_SEND)
		check_sending(k, &d);
	else if (d.verdict == DECIDE_WAIT)
		check_waiting(k, &d);
	zone_calls = 0;
	check_all(k, &d);
	MUST(zone_calls <= 2 * CALLS_MAX);
	zone_calls = 0;
	check_due(&bytes, k);
	MUST(zone_calls <= CALLS_MAX);
	free(k);
	return 0;
}
