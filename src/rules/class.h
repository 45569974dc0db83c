/*
 * class.h
 *		What an answer means, in one vocabulary for all protocols. Limits, breaker,
 *		health and documents speak of these alone.
 */
#ifndef CADENCE_CLASS_H
#define CADENCE_CLASS_H

#include "rules/transition.h"

typedef enum CadenceClass
{
	CLASS_SENT,				/* accepted */
	CLASS_DUPLICATE,		/* the key is known there: an earlier attempt was accepted */
	CLASS_HELD,				/* accepted, but held for review */
	CLASS_RETRY,			/* nothing was sent, try again */
	CLASS_SLOW_DOWN,		/* the provider asks for less */
	CLASS_LATER,			/* not this lead now */
	CLASS_REFUSED,			/* this message can never be sent */
	CLASS_DEAD_ADDRESS,		/* this address does not exist on this channel */
	CLASS_OPTED_OUT,		/* the person has opted out there */
	CLASS_WINDOW_CLOSED,	/* free text is not allowed now */
	CLASS_TEMPLATE_STOPPED, /* the template is paused, rejected or gone */
	CLASS_STOPPED,			/* account, key, billing or session: nothing can be sent */
	CLASS_UNCERTAIN,		/* may have been sent */
	CLASS_COUNT
} CadenceClass;

typedef struct ClassFacts
{
	const char *name; /* in a definition */
	CadenceOutcome outcome;
	const char *code; /* of the event; NULL: it was sent */
	int wait_s;		  /* where neither rule nor answer says how long; 0: the step's own back-off */
} ClassFacts;

/* By class, and one without a name at the end. */
extern const ClassFacts cadence_classes[];

/* CLASS_COUNT: there is none of that name. */
extern CadenceClass cadence_class_named(const char *name);

#endif
