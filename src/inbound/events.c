/*
 * events.c
 *		What a call tells, event by event.
 *
 * Each is a subtransaction: what one row or one trigger refuses stops nothing but
 * that event. Only what has nothing to do with it ends the call: a cancel, a
 * shutdown, a disk that is full.
 *
 * No error leaves the callback of receive_read(), which holds memory that nobody
 * would free: it is kept, and raised when that has returned.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/transaction.h"
#include "inbound/events.h"
#include "inbound/sender.h"
#include "inbound/signature.h"
#include "rules/receive_reader.h"

/* A lock that somebody has is waited for as long as lock_timeout says, so often. */
#define TRIES 2

/* ---- one event -------------------------------------------------------------------------- */

typedef struct Act
{
	const InboundSender *from;
	const ReceivedEvent *event;
	InboundResult result;
} Act;

/* What triggers set does not reach the next event. */
static void
act(void *arg, int first, int n)
{
	Act *a = arg;
	int level = NewGUCNestLevel();

	a->result = cadence_inbound_act(a->from, a->event);
	AtEOXact_GUC(false, level);
}

/* Not the event's fault, and the next would meet it as well. */
static bool
ends_all(const ErrorData *error)
{
	return sqlstate_is_of_the_moment(error->sqlerrcode) && !sqlstate_is_conflict(error->sqlerrcode);
}

/* What must not get lost, since it says whom not to write to, or who can not be. */
static bool
has_to_be_kept(const ReceivedEvent *event)
{
	switch (event->kind)
	{
		case RECEIVED_OPT_OUT:
		case RECEIVED_COMPLAINT:
		case RECEIVED_BOUNCE:
		case RECEIVED_IDENTITY:
			return true;
		case RECEIVED_RECEIPT:
			return event->state == STATE_FAILED;
		default:
			return false;
	}
}

/*
 * A message of nobody's is kept among the others where their table has room for it, and
 * its address is on the blocklist if it wants no more. Of what has none nobody could tell
 * later whose it is.
 */
static bool
is_kept_as_message(const InboundSender *from, const ReceivedEvent *event)
{
	Oid messages = get_relname_relid("lead_messages", from->tables->schema);

	return from->empresa != NULL && inbound_has_address(event) &&
		   !cadence_column_is_required(messages, "lead_id");
}

/*
 * Acts upon an event, or says why not, in the current memory context. What is not
 * the event's fault is raised.
 */
InboundOutcome
cadence_event_take(const InboundSender *from, const ReceivedEvent *event)
{
	Act a = {.from = from, .event = event};
	ErrorData *error = NULL;

	if (event->kind == RECEIVED_UNKNOWN)
		return (InboundOutcome){.refused = event->reason};
	if (event->kind == RECEIVED_IGNORED)
		return (InboundOutcome){0};
	for (int i = 0; i < TRIES; i++)
	{
		error = cadence_try(act, &a, 0, 1, false);
		if (error == NULL || !sqlstate_is_conflict(error->sqlerrcode))
			break;
	}
	if (error != NULL && ends_all(error))
		ThrowErrorData(error);
	if (error != NULL)
		return (InboundOutcome){.refused = error->message, .sqlstate = error->sqlerrcode};
	if (a.result == INBOUND_EARLY)
		return (InboundOutcome){.refused = CADENCE_EARLY};
	if (a.result == INBOUND_UNMATCHED &&
		(has_to_be_kept(event) ||
		 (event->kind == RECEIVED_MESSAGE && !is_kept_as_message(from, event))))
		return (InboundOutcome){.refused = CADENCE_UNMATCHED};
	return (InboundOutcome){0};
}

/* ---- all of them ------------------------------------------------------------------------ */

typedef struct Guarded
{
	ReceiveCallback take;
	const ReceiveOwners *owners;
	void *arg;
	MemoryContext scratch; /* of one event */
	ErrorData *error;
} Guarded;

static bool
take_guarded(void *arg, const ReceivedEvent *event)
{
	Guarded *g = arg;
	MemoryContext outer = CurrentMemoryContext;
	volatile bool go_on = false;

	if (g->error != NULL)
		return false;
	PG_TRY();
	{
		MemoryContextSwitchTo(g->scratch);
		CHECK_FOR_INTERRUPTS();
		go_on = g->take(g->arg, event);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(outer);
		g->error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
	MemoryContextReset(g->scratch);
	return go_on && g->error == NULL;
}

/* After an error whatever is told ends the reading. */
static ReceiveOwner
hand_over_guarded(void *arg, int option, const char *text, const char *const **values)
{
	Guarded *g = arg;
	MemoryContext outer = CurrentMemoryContext;
	volatile ReceiveOwner owner = OWNER_UNPROVEN;

	PG_TRY();
	{
		owner = g->owners->hand_over(g->arg, option, text, values);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(outer);
		g->error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	return owner;
}

static void
take_back_guarded(void *arg)
{
	Guarded *g = arg;

	g->owners->take_back(g->arg);
}

/*
 * receive_read() with a callback that may raise errors: the first ends it, and is
 * returned. The callback works in a memory context that is reset after each event.
 */
ErrorData *
cadence_events_read(const ReceiveRules *rules, const char *const *values,
					const ReceiveOwners *owners, json_t *body, ReceiveCallback take, void *arg)
{
	static const ReceiveOwners guarded = {hand_over_guarded, take_back_guarded};
	Guarded g = {.take = take,
				 .owners = owners,
				 .arg = arg,
				 .scratch = AllocSetContextCreate(CurrentMemoryContext, "cadence_runner event",
												  ALLOCSET_DEFAULT_SIZES)};

	(void) receive_read(rules, values, owners != NULL ? &guarded : NULL, body, take_guarded, &g);
	MemoryContextDelete(g.scratch);
	return g.error;
}

/* So many events of a call wait for a lock in vain. */
#define CONFLICTS_MAX 3

/* So many of a call are kept: what its provider makes up fills no disk. */
#define REJECTED_MAX 1000

/* When those that came too early are tried again, by this session, with its next calls. */
#define EARLY_PAUSE_US (500 * INT64CONST(1000))

static TimestampTz early_at; /* when one was kept, or tried, last; 0: none is left */

static void
retry_early(void *arg, int first, int n)
{
	early_at = cadence_retry_early(arg) > 0 ? GetCurrentTimestamp() : 0;
}

/* What goes wrong there is no reason to refuse what has come now. */
static void
see_to_early(const CadenceTables *tables)
{
	TimestampTz now = GetCurrentTimestamp();
	ErrorData *error;

	if (early_at == 0 || (now - early_at < EARLY_PAUSE_US && now >= early_at))
		return;
	early_at = now;
	error = cadence_try(retry_early, (void *) tables, 0, 0, false);
	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ThrowErrorData(error);
}

/*
 * What a lock is in the way of is not rejected, since nobody would try it again: the
 * provider tells it once more, and what was taken of the call by then is not new.
 */
static bool
take_or_reject(void *arg, const ReceivedEvent *event)
{
	InboundRejections *rejections = arg;
	InboundOutcome outcome = cadence_event_take(rejections->from, event);
	ErrorData *error = NULL;

	if (outcome.refused != NULL && sqlstate_is_conflict(outcome.sqlstate))
		return ++rejections->conflicts < CONFLICTS_MAX;
	if (outcome.refused != NULL && rejections->n >= REJECTED_MAX)
		rejections->dropped++;
	else if (outcome.refused != NULL)
		error = cadence_reject(rejections, event, outcome.refused, outcome.sqlstate);
	if (error != NULL)
		ThrowErrorData(error);
	if (outcome.refused != NULL && strcmp(outcome.refused, CADENCE_EARLY) == 0)
		early_at = GetCurrentTimestamp();
	return true;
}

/*
 * An operator's wish is raised; anything else is said to whoever runs the server, but
 * for what a trigger or a constraint says of a row, which may repeat what came.
 */
static void
say_why(ErrorData *error)
{
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	ereport(WARNING, (errcode(error->sqlerrcode),
					  errmsg("a webhook's call could not be stored: %s",
							 sqlstate_is_of_the_moment(error->sqlerrcode)
								 ? error->message
								 : psprintf("error %s", unpack_sql_state(error->sqlerrcode)))));
}

/* ---- one address for several senders -------------------------------------------------- */

/* So many senders that a call names are looked for. */
#define NAMED_MAX 100

/*
 * A call speaks for another server as well if that is the same company's, or if it bears
 * what that one's own secrets make.
 */
static bool
may_speak_for(const InboundCall *call, const CadenceConfiguration *other, const char **values)
{
	const CadenceConfiguration *own = call->configuration;
	InboundCall its = *call;

	if (own->empresa != NULL && other->empresa != NULL && strcmp(own->empresa, other->empresa) == 0)
		return true;
	its.configuration = other;
	its.rules = other->definition->receive;
	its.values = values;
	return cadence_signature_check(&its) == SIGNATURE_GOOD;
}

/* A sender that a call names beside the one that it was made to, and whose it is. */
typedef struct NamedSender
{
	int option;
	const char *text;
	ReceiveOwner owner;
	const InboundSender *from; /* of another owner's, with its values */
	const char **values;
} NamedSender;

static NamedSender *
find_named(const InboundRejections *r, int option, const char *text)
{
	ListCell *cell;

	foreach (cell, r->named)
	{
		NamedSender *named = lfirst(cell);

		if (named->option == option && strcmp(named->text, text) == 0)
			return named;
	}
	return NULL;
}

static NamedSender *
add_named(InboundRejections *r, int option, const char *text)
{
	static const char *const none[FIELD_COUNT] = {NULL};
	NamedSender *named = palloc0(sizeof(*named));
	const CadenceConfiguration *other =
		cadence_inbound_find_by(r->called->tables, r->call->configuration, option, text);

	*named = (NamedSender){.option = option, .text = pstrdup(text), .owner = OWNER_THIS};
	if (other != NULL)
	{
		named->values = cadence_configuration_values(other, none);
		named->from = cadence_inbound_sender(r->called->tables, other);
		named->owner =
			may_speak_for(r->call, other, named->values) ? OWNER_ANOTHER : OWNER_UNPROVEN;
	}
	r->named = lappend(r->named, named);
	return named;
}

static ReceiveOwner
hand_over(void *arg, int option, const char *text, const char *const **values)
{
	InboundRejections *r = arg;
	NamedSender *named = find_named(r, option, text);
	MemoryContext old = MemoryContextSwitchTo(r->context);

	if (named == NULL && list_length(r->named) < NAMED_MAX)
		named = add_named(r, option, text);
	MemoryContextSwitchTo(old);
	if (named == NULL || named->owner == OWNER_UNPROVEN)
		return OWNER_UNPROVEN;
	if (named->owner == OWNER_ANOTHER)
	{
		r->from = named->from;
		*values = named->values;
	}
	return named->owner;
}

static void
take_back(void *arg)
{
	InboundRejections *r = arg;

	r->from = r->called;
}

/* Takes all that a call tells; false: nothing can be stored now. */
bool
cadence_events_take(InboundCall *call, const InboundSender *from)
{
	static const ReceiveOwners owners = {hand_over, take_back};
	InboundRejections *rejections = cadence_rejections_begin(from, call);
	json_t *body = cadence_call_json(call);
	ErrorData *error;

	if (body == NULL)
		error = cadence_reject_body(rejections, call->problem);
	else
	{
		receive_scrub(call->rules, body);
		error = cadence_events_read(call->rules, call->values, &owners, body, take_or_reject,
									rejections);
	}
	if (error == NULL && rejections->dropped > 0)
		error = cadence_reject_body(
			rejections, psprintf(INT64_FORMAT " more events are not kept", rejections->dropped));
	if (error == NULL)
	{
		cadence_rejections_end(rejections);
		see_to_early(from->tables);
	}
	else
		say_why(error);
	if (error == NULL && rejections->conflicts > 0)
		ereport(WARNING,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("a webhook's call could not be stored whole: a lock is in the way")));
	return error == NULL && rejections->conflicts == 0;
}
