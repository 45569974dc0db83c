/*
 * act.c
 *		One event of a provider's webhook, and what it does.
 */
#include "postgres.h"

#include "common/int.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/transaction.h"
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

static void *
make_acts(const CadenceTables *t)
{
	InboundActs *made = palloc0(sizeof(*made));

	made->tables = t;
	made->mover = cadence_mover_create(t);
	made->events = cadence_events_create(t);
	made->messages = cadence_message_rows_create(t);
	made->opt_outs = cadence_opt_outs_create(t);
	made->blocks = cadence_blocks_create(t);
	made->outbox = cadence_outbox_create(t);
	made->tally = cadence_tally_create(t);
	made->senders = cadence_sender_states_create(t);
	made->people = inbound_people_create(t);
	made->sent = inbound_sent_create(t);
	made->replies = inbound_replies_create(t);
	made->wishes = inbound_wishes_create(t);
	made->receipts = inbound_receipts_create(t);
	made->failures = inbound_failures_create(t);
	made->resends = inbound_resends_create(t);
	made->stops = inbound_stops_create(t);
	return made;
}

/* Whoever keeps the tables keeps the plans: the events of one call are not planned each. */
static InboundActs *
acts_of(const CadenceTables *t)
{
	static TablesCompanion acts;

	return cadence_tables_companion(&acts, t, make_acts);
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
	(void) SPI_connect();
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

/* ---- counting ------------------------------------------------------------------------ */

static const char *const kind_words[RECEIVED_KINDS] = {
	[RECEIVED_MESSAGE] = "message", [RECEIVED_ECHO] = "echo",
	[RECEIVED_OPT_OUT] = "opt_out", [RECEIVED_OPT_IN] = "opt_in",
	[RECEIVED_BOUNCE] = "bounce",	[RECEIVED_COMPLAINT] = "complaint",
	[RECEIVED_SENDER] = "sender",	[RECEIVED_IDENTITY] = "identity"};

static const char *const state_words[] = {[STATE_SENT] = "sent",
										  [STATE_DELIVERED] = "delivered",
										  [STATE_READ] = "read",
										  [STATE_FAILED] = "failed"};

static TallyRow
row_of(const InboundEvent *e, InboundResult result)
{
	bool is_receipt = e->event->kind == RECEIVED_RECEIPT;
	ReceivedState state = e->event->state;

	if (is_receipt && result == INBOUND_DONE && !e->is_first)
		result = INBOUND_REPEATED;

	return (TallyRow){.kind = is_receipt ? "delivery" : "inbound",
					  .empresa = e->from->empresa,
					  .server = e->from->server_name,
					  .canal = e->canal,
					  .outcome = !is_receipt ? kind_words[e->event->kind]
								 : state >= STATE_SENT && state <= STATE_FAILED ? state_words[state]
																				: NULL,
					  .code = result == INBOUND_EARLY ? "early" : cadence_inbound_results[result],
					  .n = 1};
}

static void
count_message(const InboundEvent *e, TallyRow row)
{
	TallyRun list[2];
	int n = 0;

	for (int is_read = 0; is_read <= 1; is_read++)
	{
		if (is_read ? !e->is_read : !e->is_delivered)
			continue;
		row.mark = is_read ? "read" : "delivered";
		row.template_codigo = e->message.template_codigo;
		list[n++] = (TallyRun){.row = row,
							   .run = e->message.run_id,
							   .has_ordem = true,
							   .ordem = e->message.ordem,
							   .once = is_read ? TALLY_FIRST_READ : TALLY_FIRST_DELIVERED,
							   .message = &e->message.id};
		/* the event itself counts once */
		row.kind = NULL;
	}
	cadence_tally_runs(e->acts->tally, list, n);
}

/* With what it says of a message of ours, and of who has answered it. */
static void
count_event(const InboundEvent *e, InboundResult result)
{
	TallyRow row = row_of(e, result);

	if ((e->is_delivered || e->is_read) && e->message.has_step)
		count_message(e, row);
	else if (e->reply != NULL)
	{
		TallyPerson did = {.row = row,
						   .lead_id = e->reply->lead_id,
						   .empresa = e->reply->empresa,
						   .answer = &e->answer,
						   .at = e->at};

		did.row.mark = "replied";
		cadence_tally_person(e->acts->tally, &did);
	}
	else
		cadence_tally_write(e->acts->tally, &row, 1);
}

/* ---- acting -------------------------------------------------------------------------- */

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
	count_event(&e, result);
	SPI_finish();
	return result;
}

/* ---- calls ---------------------------------------------------------------------------- */

/*
 * Strangers call, too, and a row for each call would be theirs to fill a disk with: what
 * was not taken is counted in the session's memory, and written once in a second with
 * whatever call comes then. What a session has not written when it ends is lost.
 */
typedef struct CountedCall
{
	char server[NAMEDATALEN];
	const char *outcome; /* of a closed set, and a constant */
	int64 n;
} CountedCall;

#define CALLS_MAX 32
#define CALLS_EVERY USECS_PER_SEC

static CountedCall calls[CALLS_MAX];
static int ncalls;

static void
add_call(const char *server, const char *outcome)
{
	int i = 0;

	while (i < ncalls &&
		   (calls[i].outcome != outcome || strncmp(calls[i].server, server, NAMEDATALEN) != 0))
		i++;
	if (i == CALLS_MAX)
		return;
	if (i == ncalls)
	{
		calls[ncalls++] = (CountedCall){.outcome = outcome};
		strlcpy(calls[i].server, server, NAMEDATALEN);
	}
	calls[i].n++;
}

static void
write_calls(void *arg, int first, int n)
{
	const CadenceTables *tables = arg;
	TallyRow rows[CALLS_MAX];

	for (int i = 0; i < n; i++)
		rows[i] = (TallyRow){.kind = "webhook",
							 .server = calls[i].server,
							 .outcome = calls[i].outcome,
							 .n = calls[i].n};
	(void) SPI_connect();
	cadence_tally_write(acts_of(tables)->tally, rows, n);
	SPI_finish();
}

/*
 * Counts a call of a server's webhook, as the owner of the tables, outside an SPI
 * connection. What goes wrong there undoes nothing of what the call has brought.
 */
void
cadence_inbound_count_call(const CadenceTables *tables, const char *server, const char *outcome,
						   bool was_taken)
{
	static TimestampTz written_at = 0;
	TimestampTz now = GetCurrentTimestamp();
	ErrorData *error;

	add_call(server, outcome);
	if (!was_taken && now >= written_at && now < written_at + CALLS_EVERY)
		return;
	written_at = now;
	error = cadence_try(write_calls, (void *) tables, 0, ncalls, false);
	ncalls = 0;
	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ThrowErrorData(error);
}
