/*
 * outcome.h
 *		From what a transfer saw to the class of its outcome.
 */
#ifndef CADENCE_OUTCOME_H
#define CADENCE_OUTCOME_H

#include <stdbool.h>

#include "rules/transition.h"

/* How far a transfer got before it ended. */
typedef enum TransferEnd
{
	TRANSFER_ANSWERED,	  /* a whole answer was read */
	TRANSFER_TOO_LONG,	  /* headers were read, the body was cut at our cap */
	TRANSFER_NOT_STARTED, /* no connection, no name, no TLS: nothing left */
	TRANSFER_BROKEN		  /* bytes may have left, no whole answer */
} TransferEnd;

/* What the provider's format made of the body. */
typedef enum BodyVerdict
{
	BODY_SILENT,  /* says nothing either way */
	BODY_FAILURE, /* it was not sent */
	BODY_NEVER	  /* nor can it ever be */
} BodyVerdict;

extern CadenceOutcome outcome_of_answer(TransferEnd end, long status, BodyVerdict body);

#endif
