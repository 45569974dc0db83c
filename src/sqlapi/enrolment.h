/*
 * enrolment.h
 *		Leads are enrolled in a cadence, one or many.
 */
#ifndef CADENCE_ENROLMENT_H
#define CADENCE_ENROLMENT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "base/statement.h"
#include "rules/due.h"
#include "rules/reentry.h"
#include "schema/tables.h"

/* What is asked for. */
typedef struct EnrolWish
{
	const char *codigo;
	const char *empresa; /* NULL: any */
	TimestampTz start;
	bool wants_contact; /* whether each lead has a contact is to be said */
} EnrolWish;

/* A lead, and what became of it. */
typedef struct EnrolLead
{
	Datum lead_id; /* text */
	EnrolResult result;
	bool has_run;
	bool has_contact; /* in the company; true where that was not asked */
	pg_uuid_t run;	  /* its new one, or the one that is in the way */
	TimestampTz due;  /* of the new one's first step */
	char *other;	  /* ENROL_ELSEWHERE: the cadence that it is in */
} EnrolLead;

/* The cadence that is meant, and its first step. */
typedef struct EnrolCadence
{
	pg_uuid_t id;
	char *empresa;
	Reentry reentry;
	bool is_enabled;
	bool is_exclusive;
	bool has_step;
	bool has_ordem;
	int ordem;
	char *template_codigo;
	StepTime time;
	int64 key;		   /* of the lock that stands for it, */
	int64 company_key; /* and of its company's */
} EnrolCadence;

/* enrol_cadence.c */
typedef struct CadenceChoice CadenceChoice;

extern CadenceChoice *cadence_choice_create(const CadenceTables *tables);
extern EnrolCadence *cadence_choice_make(CadenceChoice *choice, const EnrolWish *wish,
										 EnrolLead **leads, int n);

/* enrolment.c */
#define ENROL_CHUNK 1000

typedef struct CadenceEnrolment CadenceEnrolment;

extern CadenceEnrolment *cadence_enrolment_create(const CadenceTables *tables);
extern void cadence_enrolment_open(CadenceEnrolment *enrolment, const EnrolWish *wish,
								   EnrolCadence *cadence);
extern void cadence_enrolment_add(CadenceEnrolment *enrolment, EnrolLead **leads, int n);
extern void cadence_enrol_leads_begin(Rowset *rows, EnrolLead **leads, int n);
extern void cadence_enrol_refuse_active(const EnrolLead *lead, const EnrolWish *wish);

#endif
