/*
 * challenge.h
 *		The GET by which a provider asks whether an address is its server's.
 */
#ifndef CADENCE_CHALLENGE_H
#define CADENCE_CHALLENGE_H

#include "inbound/call.h"

typedef enum ChallengeVerdict
{
	CHALLENGE_GOOD,
	CHALLENGE_BAD,		 /* the token is not ours */
	CHALLENGE_NONE,		 /* it asks for nothing that can be answered */
	CHALLENGE_UNREADABLE /* the token's file can not be read now */
} ChallengeVerdict;

extern ChallengeVerdict cadence_challenge_check(const InboundCall *call, char **answer);

#endif
