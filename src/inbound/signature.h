/*
 * signature.h
 *		Whether a call comes from whom its server's secrets say.
 */
#ifndef CADENCE_SIGNATURE_H
#define CADENCE_SIGNATURE_H

#include "inbound/call.h"

typedef enum SignatureVerdict
{
	SIGNATURE_GOOD,
	SIGNATURE_BAD,		 /* or missing */
	SIGNATURE_UNREADABLE /* a secret's file can not be read now */
} SignatureVerdict;

extern SignatureVerdict cadence_signature_check(InboundCall *call);
extern bool cadence_secret_unreadable(const InboundCall *call, int secret);
extern bool cadence_either_secret_is(const InboundCall *call, const char *given, int secret,
									 int previous);

#endif
