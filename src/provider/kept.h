/*
 * kept.h
 *		What an attempt leaves to the next one: that what it has sent is sent again,
 *		since nobody knows whether it arrived, that it is held for review, or that its
 *		form was refused. Kept in the attempt's event.
 */
#ifndef CADENCE_KEPT_H
#define CADENCE_KEPT_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "base/json.h"
#include "rules/definition.h"
#include "schema/tables.h"

/* More than the longest message, whose values may grow as they are escaped. */
#define KEPT_BYTES_MAX (2 * TEMPLATE_MAX_MESSAGE)

typedef struct KeptRequest
{
	const char *server;				/* that it went to */
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

extern char *kept_answers_sql(const CadenceTables *tables, const char *run, const char *ordem);
extern char *kept_newest_sql(const CadenceTables *tables, const char *run, const char *ordem);
extern void kept_add(JsonObject *details, const char *operation, const char *const *texts);
extern KeptRequest *kept_read(Datum details, TimestampTz written_at);

#endif
