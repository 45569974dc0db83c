/*
 * reason.h
 *		Why a message has not left, or will not: every reason, and its words.
 */
#ifndef CADENCE_REASON_H
#define CADENCE_REASON_H

typedef enum CadenceReasonCode
{
	REASON_NONE,

	/* cadence_decide()'s */
	REASON_EXIT,
	REASON_OPT_OUT,
	REASON_BLOCKED,
	REASON_SKIP,
	REASON_EXPIRED,
	REASON_EXITS_UNKNOWN,
	REASON_INACTIVE,
	REASON_ZONE_UNKNOWN,
	REASON_WINDOW_UNKNOWN,
	REASON_WINDOW,
	REASON_NEVER_OPENS,
	REASON_HOLIDAY,
	REASON_MIN_GAP,
	REASON_CAP_PERSON,
	REASON_CAP_COMPANY,
	REASON_CAP_CADENCE,
	REASON_CAP_NEW,

	/* others' */
	REASON_NOT_DUE,
	REASON_PAUSED,
	REASON_CANCELLED,
	REASON_FINISHED,
	REASON_CLAIMED,
	REASON_UNRESOLVED,
	REASON_UNCERTAIN,
	REASON_RETRY,
	REASON_LIMIT,
	REASON_BREAKER,
	REASON_SENDER_PAUSED,
	REASON_NO_SENDER,
	REASON_NOT_ARMED,
	REASON_SWITCHED_OFF,
	REASON_NO_WORKER,
	REASON_COUNT
} CadenceReasonCode;

typedef struct ReasonWords
{
	const char *code; /* for machines, in events and answers */
	const char *en;
	const char *pt;
} ReasonWords;

extern const ReasonWords cadence_reasons[REASON_COUNT];

#endif
