/*
 * ruling.h
 *		What the policies of cadence, step, company and owner say of claimed steps.
 */
#ifndef CADENCE_RULING_H
#define CADENCE_RULING_H

#include "postgres.h"

#include "resolve/contact.h"
#include "resolve/step_lookup.h"
#include "resolve/usage.h"
#include "rules/decide.h"
#include "schema/calendar.h"
#include "schema/tables.h"
#include "step.h"

/* What is known of a step, and what that leads to. */
typedef struct StepRuling
{
	const CadencePolicy *policy;
	const char *lead_id; /* as the contact spells them; NULL: none */
	const char *empresa;
	Calendar person;
	Calendar company;
	DecideFacts facts;
	DecidePolicy decide;
	Decision decision;
	UsageRow *usage[DECIDE_CAPS]; /* NULL: it is not counted */
	const char *motivo;			  /* the owner's view's, or why that could not be asked */
	const char *unknown_zone;	  /* facts.zone_unknown: the name that is none */
	TimestampTz taken_at;		  /* when it is to leave, as counted; 0: it is not */
	TimestampTz before;			  /* and its person's last message before that */
} StepRuling;

typedef struct CadenceRulings CadenceRulings;

extern CadenceRulings *cadence_rulings_create(const CadenceTables *tables, bool in_query);
extern void cadence_rulings_begin(CadenceRulings *rulings);
extern void cadence_ruling_prepare(CadenceRulings *rulings, const ContactColumns *columns,
								   HeapTuple contact, const CadenceStepLookup *found,
								   CadenceStep *step);
extern void cadence_rulings_ask(CadenceRulings *rulings, CadenceStep **steps, int n);
extern void cadence_rulings_decide(CadenceRulings *rulings, CadenceStep **steps, int n,
								   TimestampTz not_before);
extern void cadence_rulings_want_all(CadenceRulings *rulings);
extern int cadence_rulings_list(CadenceRulings *rulings, CadenceStep *step, TimestampTz now,
								Decision *reasons, int max);
extern void cadence_rulings_write(CadenceRulings *rulings, CadenceStep **steps, int n);
extern bool cadence_rulings_owe(CadenceStep **steps, int n);
extern void cadence_rulings_return(CadenceRulings *rulings, CadenceStep **steps, int n);
extern void cadence_rulings_forget(CadenceStep **steps, int n);
extern bool cadence_rulings_ask_always(CadenceRulings *rulings);

/* counting.c, for ruling.c */
extern void ruling_find_usage(CadenceUsages *usages, CadenceStep **steps, int n, UsageRow ***rows,
							  int *nrows);
extern void ruling_read_usage(CadenceStep *step, TimestampTz now);
extern void ruling_take(StepRuling *ruling, TimestampTz at);
extern int ruling_settle_taken(CadenceStep **steps, int n);
extern void ruling_return(CadenceUsages *usages, CadenceStep **steps, int n);

#endif
