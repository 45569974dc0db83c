/*
 * conversing.h
 *		Whether a person may be written to again: not too soon, and not before an
 *		answer where the sender waits for one.
 */
#ifndef CADENCE_CONVERSING_H
#define CADENCE_CONVERSING_H

#include "postgres.h"

#include "resolve/conversation.h"
#include "step.h"

typedef struct ConversingWait
{
	const char *code;
	char *why;
	int64 us;
} ConversingWait;

extern bool conversing_waits(const CadenceStep *step, TimestampTz now, ConversingWait *wait);
extern void conversing_settle(CadenceConversations *conversations, CadenceStep **steps, int n);

#endif
