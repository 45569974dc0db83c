/*
 * claiming_when.c
 *		When a pipeline claims, and what: before the steps that wait run dry, and no more
 *		than its memory takes.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/settings.h"
#include "engine/claiming.h"

/* Waiting steps, in batches: a provider that is blocked must not fill the memory. */
#define WAITING_BATCHES_MAX 10

/*
 * One step that waits keeps the memory of all that were claimed with it: so much
 * may be kept, beside the few batches without which nothing would be sent while
 * the next is claimed. Past a provider that is blocked, half as much again.
 */
#define BATCH_BYTES_MAX ((Size) 14 * 1024 * 1024)
#define BATCHES_MIN 2

/* Whether there is room for whatever is due. */
static bool
has_room(const Claiming *c)
{
	return c->sender->queue.waiting <= cadence_batch_size * (WAITING_BATCHES_MAX - 1) &&
		   recording_has_memory(c->recording, BATCH_BYTES_MAX, BATCHES_MIN);
}

/*
 * Whether news are to be looked for: where somebody hears them, which the look at runs
 * has read. Those of servers that do not take them are gone past, and looked for when
 * one of those is free.
 */
static bool
wants_news(const Claiming *c, TimestampTz now)
{
	const CadenceQueue *queue = &c->sender->queue;

	if (!c->has_looked || c->ended[CADENCE_LOOK_NEWS] ||
		(c->news_wait && c->freed[CADENCE_LOOK_NEWS] == queue->freed))
		return false;
	return recording_has_memory(c->recording, BATCH_BYTES_MAX / 2 * 3, BATCHES_MIN) &&
		   cadence_queue_waiting_for(queue, CADENCE_NEWS_CHANNEL, now) < cadence_batch_size;
}

/*
 * Which runs are to be claimed now. Before the queue runs dry, but not without end for
 * a provider that is blocked: what is due to the others is then looked for past
 * its steps.
 */
static ClaimWanted
wants_runs(const Claiming *c, TimestampTz now)
{
	const CadenceQueue *queue = &c->sender->queue;
	int most = cadence_batch_size * (WAITING_BATCHES_MAX - 1);
	int low_water = Min(Max(c->sender->max_in_flight, cadence_batch_size / 2), most);

	if (c->ended[CADENCE_LOOK_ALL])
		return CLAIM_NOTHING;
	if (has_room(c) && cadence_queue_ready(queue, now) < low_water)
		return CLAIM_ALL;
	if ((c->ended[CADENCE_LOOK_BYPASS] && c->freed[CADENCE_LOOK_BYPASS] == queue->freed) ||
		queue->waiting > most * 2 ||
		!recording_has_memory(c->recording, BATCH_BYTES_MAX / 2 * 3, BATCHES_MIN))
		return CLAIM_NOTHING;
	return cadence_queue_wants_bypass(queue, now) ? CLAIM_BYPASS : CLAIM_NOTHING;
}

/* What is to be claimed now; runs and news by turns, where there are both. */
ClaimWanted
claiming_wants(const Claiming *c)
{
	TimestampTz now = GetCurrentTimestamp();
	ClaimWanted runs;

	if (c->recording->blocked || now < c->not_before)
		return CLAIM_NOTHING;
	runs = wants_runs(c, now);
	if ((runs == CLAIM_NOTHING || c->last != CADENCE_LOOK_NEWS) && wants_news(c, now))
		return CLAIM_NEWS;
	return runs;
}

/* Whether there is no room for more, so that what is due is rather somebody else's. */
bool
claiming_is_full(const Claiming *c)
{
	return !has_room(c);
}

/* How long until there is something to claim, as far as is known, at most so long. */
int
claiming_wait_ms(const Claiming *c, int at_most_ms)
{
	TimestampTz now = GetCurrentTimestamp();

	if (claiming_wants(c) != CLAIM_NOTHING)
		return 0;
	if (!claiming_has_ended(c) && c->not_before > now)
		at_most_ms = (int) Min((c->not_before - now + 999) / 1000, at_most_ms);
	if (c->sender->queue.waiting > 0)
		at_most_ms = Min(at_most_ms, CLAIMING_RECHECK_US / 1000);
	return at_most_ms;
}
