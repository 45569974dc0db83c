/*
 * act.c
 *		One event of a provider's webhook, and what it does.
 */
#include "postgres.h"

#include "common/int.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "inbound/acts.h"
#include "provider/options.h"

const char *const cadence_inbound_results[] = {[INBOUND_DONE] = "done",
											   [INBOUND_REPEATED] = "repeated",
											   [INBOUND_UNMATCHED] = "unmatched",
											   [INBOUND_EARLY] = "unmatched",
											   [INBOUND_NOTHING] = "nothing"};

static InboundResult (*const kinds[RECEIVED_KINDS])(InboundEvent *e) = {
	[RECEIVED_MESSAGE] = inbound_message,	  [RECEIVED_ECHO] = inbound_echo,
	[RECEIVED_RECEIPT] = inbound_receipt,	  [RECEIVED_OPT_OUT] = inbound_wish,
	[RECEIVED_OPT_IN] = inbound_wish,		  [RECEIVED_BOUNCE] = inbound_bounce,
	[RECEIVED_COMPLAINT] = inbound_complaint, [RECEIVED_SENDER] = inbound_sender_news,
	[RECEIVED_IDENTITY] = inbound_identity};

/* ---- the statements ------------------------------------------------------------------ */

/* Those of the tables that were used last. */
static InboundActs *acts;

static void
forget_acts(void *arg)
{
	if (acts == arg)
		acts = NULL;
}

/* Whoever keeps the tables keeps the plans: the events of one call are not planned each. */
static InboundActs *
acts_of(const CadenceTables *t)
{
	MemoryContext context;
	MemoryContext old;
	MemoryContextCallback *callback;
	InboundActs *made;

	if (acts != NULL && acts->tables == t)
		return acts;
	context =
		AllocSetContextCreate(CurrentMemoryContext, "cadence_runner acts", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	made = palloc0(sizeof(*made));
	made->tables = t;
	made->mover = cadence_mover_create(t);
	made->events = cadence_events_create(t);
	made->messages = cadence_message_rows_create(t);
	made->opt_outs = cadence_opt_outs_create(t);
	made->blocks = cadence_blocks_create(t);
	made->outbox = cadence_outbox_create(t);
	made->senders = cadence_sender_states_create(t, false);
	made->people = inbound_people_create(t);
	made->sent = inbound_sent_create(t);
	made->replies = inbound_replies_create(t);
	made->wishes = inbound_wishes_create(t);
	made->receipts = inbound_receipts_create(t);
	made->failures = inbound_failures_create(t);
	made->resends = inbound_resends_create(t);
	made->stops = inbound_stops_create(t);
	callback = palloc(sizeof(*callback));
	*callback = (MemoryContextCallback){.func = forget_acts, .arg = made};
	MemoryContextRegisterResetCallback(context, callback);
	MemoryContextSwitchTo(old);
	/* an error on the way has left nothing behind */
	MemoryContextSetParent(context, GetMemoryChunkContext((void *) t));
	return acts = made;
}

/* ---- one event ----------------------------------------------------------------------- */

/* Nobody has written in the future, whatever a provider's clock says. */
static TimestampTz
time_of(const ReceivedEvent *event)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 at;

	if (!event->has_time || pg_sub_s64_overflow(event->time_us, UNIX_EPOCH_US, &at) ||
		!IS_VALID_TIMESTAMP(at))
		return now;
	return Min(at, now);
}

static const char *
channel_of(const InboundSender *from, const ReceivedEvent *event)
{
	const char *told = event->fields[RECEIVED_CHANNEL];
	const char *canal = told != NULL ? cadence_channel_named(told) : NULL;

	if (canal == NULL && from->canal != NULL)
		canal = cadence_channel_named(from->canal);
	if (canal == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("it is not known of which channel the event is")));
	return canal;
}

static const char *
source_of(const InboundSender *from)
{
	if (from->server_name != NULL)
		return from->server_name;
	return from->source != NULL ? from->source : GetUserNameFromId(GetUserId(), false);
}

/* Opens an SPI connection, which the caller closes. */
void
inbound_event_begin(InboundEvent *e, const InboundSender *from, const ReceivedEvent *event)
{
	*e = (InboundEvent){.from = from, .event = event};
	e->acts = acts_of(from->tables);
	e->canal = channel_of(from, event);
	e->source = source_of(from);
	e->at = time_of(event);
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("SPI_connect failed")));
}

/* What the server's option is; false where no server is meant. */
bool
inbound_server_says(const InboundEvent *e, const char *option, const char *word)
{
	ForeignServer *server = OidIsValid(e->from->server)
								? GetForeignServerExtended(e->from->server, FSV_MISSING_OK)
								: NULL;
	const char *value = server != NULL ? cadence_option_get(server->options, option) : NULL;

	return value != NULL && pg_strcasecmp(value, word) == 0;
}

/*
 * Does what an event says, in the caller's transaction, as the owner of the
 * tables, which the caller has become by cadence_inbound_begin(). Outside an SPI
 * connection.
 *
 * Errors: whatever the tables, or what hangs on them, refuse; 55P03 and 40P01 where
 * somebody holds a row: the same may succeed a moment later.
 */
InboundResult
cadence_inbound_act(const InboundSender *from, const ReceivedEvent *event)
{
	InboundEvent e;
	InboundResult result;

	Assert(event->kind < RECEIVED_KINDS);
	if (kinds[event->kind] == NULL)
		return INBOUND_NOTHING;
	inbound_event_begin(&e, from, event);
	inbound_read_phone(&e);
	result = kinds[event->kind](&e);
	SPI_finish();
	return result;
}
