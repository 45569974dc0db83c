/*
 * questions.h
 *		What is asked of each step, one question after the other. Each returns false
 *		when it has ended the step's resolution.
 */
#ifndef CADENCE_QUESTIONS_H
#define CADENCE_QUESTIONS_H

#include "postgres.h"

#include "resolve/contact.h"
#include "resolve/marks.h"
#include "resolve/step_lookup.h"
#include "step.h"

/* resolve.c */
extern bool resolve_fails(CadenceStep *step, const char *code, char *text);
extern bool resolve_assign(CadenceStep *step, CadenceProvider *provider);
extern void resolve_key(CadenceStep *step);

/* whom.c */
extern bool resolve_contact(const ContactColumns *columns, HeapTuple row, CadenceStep *step);
extern bool resolve_recipient(const ContactColumns *columns, HeapTuple row, CadenceStep *step);
extern bool resolve_person(CadenceStep *step, const PersonMarks *marks);
extern bool resolve_opted_out(CadenceStep *step, const char *of, char *motivo);
extern void resolve_without_address(CadenceStep *step);

/* again.c */
extern bool resolve_uncertain(CadenceStep *step, char *why);
extern void resolve_kept(CadenceStep *step);
extern bool resolve_kept_provider(CadenceStep *step);
extern void resolve_held(CadenceStep *step);

/* past_steps.c */
extern void resolve_past_had(CadenceStepLookups *lookups, CadenceStep **steps, int n,
							 CadenceStepLookup **found);
extern void resolve_next(CadenceStepLookups *lookups, CadenceStep **steps, int n,
						 CadenceStepLookup **found, CadenceStepLookup **next);

#endif
