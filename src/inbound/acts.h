/*
 * acts.h
 *		What the acts share: their statements, and an event on its way.
 */
#ifndef CADENCE_ACTS_H
#define CADENCE_ACTS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "base/statement.h"
#include "inbound/act.h"
#include "provider/sender_state.h"
#include "record/blocks.h"
#include "record/event.h"
#include "record/message_rows.h"
#include "record/move.h"
#include "record/opt_outs.h"
#include "record/outbox.h"
#include "record/tally.h"
#include "rules/phone.h"

/* Made once for a CadenceTables, with which they go. */
typedef struct InboundActs
{
	const CadenceTables *tables;
	CadenceMover *mover;
	CadenceEvents *events;
	CadenceMessageRows *messages;
	CadenceOptOuts *opt_outs;
	CadenceBlocks *blocks;
	CadenceOutbox *outbox;
	CadenceTally *tally;
	CadenceSenderStates *senders; /* none of them: an event begins with its own */
	struct InboundPeople *people;
	struct InboundSent *sent;
	struct InboundReplies *replies;
	struct InboundWishes *wishes;
	struct InboundReceipts *receipts;
	struct InboundFailures *failures;
	struct InboundResends *resends;
	struct InboundStops *stops;
} InboundActs;

/* A person may be several leads of a company. */
typedef struct InboundPerson
{
	char *lead_id;
	char *empresa;
} InboundPerson;

#define PEOPLE_MAX 100

typedef struct InboundPersons
{
	InboundPerson list[PEOPLE_MAX];
	int n;
} InboundPersons;

/* One of our messages. */
typedef struct InboundMessage
{
	pg_uuid_t id;
	InboundPerson person; /* texts may be NULL */
	bool is_open;		  /* uncertain, or held for review */
	bool has_step;
	pg_uuid_t run_id;
	int ordem;
	char *template_codigo;
} InboundMessage;

/* An event on its way, and what was found out about it. */
typedef struct InboundEvent
{
	InboundActs *acts;
	const InboundSender *from;
	const ReceivedEvent *event;
	const char *canal;
	const char *source; /* who says it: the server, or a role */
	TimestampTz at;
	char phone[PHONE_E164_SIZE]; /* whose it is; "": not told */

	/* what it counts as, beside itself */
	bool is_delivered; /* for the first time, as the next */
	bool is_read;
	bool was_delivered;			/* before */
	bool is_first;				/* a receipt: nobody has told that before */
	InboundMessage message;		/* of either */
	const InboundPerson *reply; /* whose; NULL: it is none */
	pg_uuid_t answer;			/* its row */
} InboundEvent;

static inline const char *
inbound_field(const InboundEvent *e, ReceivedField field)
{
	return e->event->fields[field];
}

/* Why something has failed, as its provider says. */
static inline const char *
inbound_reason(const InboundEvent *e, const char *otherwise)
{
	const char *error = inbound_field(e, RECEIVED_ERROR);
	const char *code = inbound_field(e, RECEIVED_CODE);

	return error != NULL ? error : code != NULL ? code : otherwise;
}

/* ---- act.c --------------------------------------------------------------------------- */

extern void inbound_event_begin(InboundEvent *e, const InboundSender *from,
								const ReceivedEvent *event);
extern bool inbound_server_says(const InboundEvent *e, const char *option, const char *word);

/* ---- person.c ------------------------------------------------------------------------ */

extern struct InboundPeople *inbound_people_create(const CadenceTables *tables);
extern void inbound_read_phone(InboundEvent *e);
extern void inbound_find_people(const InboundEvent *e, InboundPersons *found);
extern bool inbound_find_address(const InboundEvent *e, InboundPersons *found);
extern InboundPersons inbound_in_order(const InboundPersons *people);
extern bool inbound_is_among(const InboundPersons *people, const InboundPerson *person);
extern void inbound_learn(const InboundEvent *e, const InboundPerson *person);
extern bool inbound_learn_as(const InboundEvent *e, const InboundPerson *person, const char *kind,
							 const char *value);
extern bool inbound_read_number(const InboundEvent *e, const char *told, char *e164);
extern void inbound_find_identity(const InboundEvent *e, const char *kind, const char *told,
								  InboundPersons *found);

/* ---- sent.c -------------------------------------------------------------------------- */

extern struct InboundSent *inbound_sent_create(const CadenceTables *tables);
extern void inbound_put_id(const InboundEvent *e, Datum *values, char *nulls, int first);
extern bool inbound_find_sent(const InboundEvent *e, InboundMessage *found);
extern bool inbound_find_quoted(const InboundEvent *e, InboundMessage *found);

/* ---- stop.c -------------------------------------------------------------------------- */

/* Why a run is stopped. */
typedef enum StopReason
{
	STOP_REPLY,	 /* its person has answered */
	STOP_WISH,	 /* and wants no more on a channel */
	STOP_BY_HAND /* somebody has answered the person */
} StopReason;

typedef struct InboundStop
{
	StopReason reason;
	const char *canal;		 /* of a wish; NULL: all */
	const char *motivo;		 /* NULL: none */
	const pg_uuid_t *answer; /* row of lead_messages; NULL: none */
} InboundStop;

extern struct InboundStops *inbound_stops_create(const CadenceTables *tables);
extern int inbound_stop_runs(const InboundEvent *e, const InboundPerson *person,
							 const InboundStop *stop);
extern int inbound_stop_all(const InboundEvent *e, const InboundPersons *people,
							const InboundStop *stop);
extern bool inbound_is_sending(const InboundEvent *e, const InboundPerson *person);

/* ---- what events do ------------------------------------------------------------------ */

extern struct InboundReplies *inbound_replies_create(const CadenceTables *tables);
extern InboundResult inbound_message(InboundEvent *e);
extern InboundResult inbound_echo(InboundEvent *e);

extern struct InboundWishes *inbound_wishes_create(const CadenceTables *tables);
extern bool inbound_hear_wish(InboundEvent *e, const InboundPersons *people,
							  const pg_uuid_t *answer);
extern void inbound_hear_stranger(const InboundEvent *e);
extern InboundResult inbound_block(const InboundEvent *e, const char *reason);
extern bool inbound_unblock(const InboundEvent *e);
extern InboundResult inbound_wish(InboundEvent *e);
extern bool inbound_opt_out(const InboundEvent *e, const InboundPersons *people,
							const InboundStop *stop, const char *categoria);

extern struct InboundReceipts *inbound_receipts_create(const CadenceTables *tables);
extern InboundResult inbound_receipt(InboundEvent *e);
extern bool inbound_note_receipt(InboundEvent *e, InboundMessage *message, ReceivedState state);

extern struct InboundFailures *inbound_failures_create(const CadenceTables *tables);
extern void inbound_expect_failure(const InboundEvent *e);
extern char *inbound_address_of(const InboundEvent *e, const InboundPerson *person, char **pais);
extern void inbound_late_failure(InboundEvent *e, const InboundMessage *message);
extern void inbound_mail_arrived(const InboundEvent *e, const InboundMessage *message);
extern InboundResult inbound_bounce(InboundEvent *e);
extern InboundResult inbound_complaint(InboundEvent *e);

extern struct InboundResends *inbound_resends_create(const CadenceTables *tables);
extern void inbound_resend(const InboundEvent *e, const InboundMessage *message);
extern void inbound_not_again(const InboundEvent *e, const InboundMessage *message);

extern InboundResult inbound_sender_news(InboundEvent *e);
extern void inbound_lock_sender(const InboundEvent *e);
extern void inbound_shut_sender(const InboundEvent *e, const char *why);
extern InboundResult inbound_identity(InboundEvent *e);

#endif
