/*
 * why.h
 *		What the parts of cadence_why_not() share.
 */
#ifndef CADENCE_WHY_H
#define CADENCE_WHY_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "rules/explanation.h"
#include "sqlapi/look.h"

/* The last that has happened to a run; texts are NULL where it does not say them. */
typedef struct RunStory
{
	char *type; /* NULL: nothing has */
	TimestampTz at;
	char *code;
	char *error;
	char *motivo;
	char *server;
	int attempt; /* 0: it is of none */
	bool is_permanent;
	TimestampTz due; /* for when its step was scheduled; 0: not known */
} RunStory;

typedef struct Why
{
	RunLook look;
	RunStory story;
	TimestampTz now;
	TimestampTz claimed_at; /* by a claim whose lease goes on; 0: nobody has it */
	bool is_portuguese;
	ReturnSetInfo *result;
} Why;

/* A row of the answer, in the making. */
typedef struct WhyReason
{
	const Why *why;
	const char *code;
	TimestampTz since;	   /* 0: not known */
	TimestampTz clears_at; /* 0: nobody knows, or it does not by itself */
	Explanation said;
} WhyReason;

extern WhyReason why_reason(const Why *why, CadenceReasonCode reason);
extern void why_add(WhyReason *reason, ReasonDetail detail, const char *value);
extern void why_clears(WhyReason *reason, ReasonDetail detail, TimestampTz at);
extern void why_put(const WhyReason *reason);

/* why_story.c */
extern void why_read_story(Why *why);
extern bool why_put_state(const Why *why);
extern bool why_put_wait(const Why *why);
extern void why_put_off(const Why *why);

/* why_server.c */
extern void why_put_server(const Why *why);

/* why_sender.c */
extern void why_put_sender(const Why *why);

#endif
