/*
 * state_queries.h
 *		What the tables say of the state of an installation.
 */
#ifndef CADENCE_STATE_QUERIES_H
#define CADENCE_STATE_QUERIES_H

#include "postgres.h"

#include "datatype/timestamp.h"

typedef struct CadenceState
{
	int64 due;
	TimestampTz oldest_due; /* 0: nothing is due */
	int64 claimed;
	int64 uncertain;	  /* held until somebody settles them */
	TimestampTz next_due; /* 0: none */
	int64 never_due;	  /* active, without a time */
	char *last_failure;	  /* of the last execution; NULL: it did not fail */
	TimestampTz last_failed_at;
	char *not_armed; /* why nothing may be sent from here; NULL: it may */
} CadenceState;

extern char *cadence_state_read(CadenceState *state);

#endif
