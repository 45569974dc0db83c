/*
 * kept.h
 *		What an attempt leaves to the next one: that what it has sent is sent again,
 *		since nobody knows whether it arrived, that it is held for review, or that its
 *		form was refused. Kept in the attempt's event.
 */
#ifndef CADENCE_KEPT_H
#define CADENCE_KEPT_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"

#include "base/json.h"
#include "rules/definition.h"
#include "schema/tables.h"

/* More than the longest message, whose values may grow as they are escaped. */
#define KEPT_BYTES_MAX (2 * TEMPLATE_MAX_MESSAGE)

typedef struct KeptRequest
{
	Oid server; /* that it went to: another may have got its name */
	const char *server_name;
	const char *operation;			/* of its protocol */
	const char *texts[FIELD_COUNT]; /* what the message said, by field; NULL: nothing */
	size_t bytes;					/* of all of them */
	TimestampTz since;				/* when that attempt began */
} KeptRequest;

/* A message that was accepted, and held for review: it counts as sent when its time has come. */
typedef struct HeldMessage
{
	Datum details; /* of its event */
	TimestampTz at;
} HeldMessage;

/* Through a step's events, from nothing: what attempts have left to the next one. */
typedef struct KeptSearch
{
	bool is_over;
	bool found;			   /* an event that leaves something */
	KeptRequest *request;  /* NULL: none that can be sent */
	HeldMessage *held;	   /* NULL: none */
	TimestampTz closed_at; /* when the 24-hour window was said to be closed; 0: it was not */
	bool answers_are_over;
	int nanswers;
	StringInfo answers; /* as numbers, the latest first; NULL: none */
	int nlarge;
} KeptSearch;

extern char *kept_events_sql(const CadenceTables *tables, const char *run, const char *ordem,
							 const char *names);
extern void kept_add(JsonObject *details, Oid server, const char *operation,
					 const char *const *texts);
extern Size kept_event_size(TupleDesc desc, HeapTuple row, int column);
extern void kept_search(KeptSearch *search, TupleDesc desc, HeapTuple row, int column);
extern const char *kept_category(const KeptRequest *kept);

#endif
