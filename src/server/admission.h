/*
 * admission.h
 *		How many executions of one database begin at once.
 */
#ifndef CADENCE_ADMISSION_H
#define CADENCE_ADMISSION_H

#include "postgres.h"

#include "portability/instr_time.h"

/* To be zeroed before use. */
typedef struct Admission
{
	bool is_first; /* no other execution was under way */
	int places;	   /* that are ours */
	bool waits;
	instr_time waits_since;
	instr_time entered_at;
	instr_time claimed_at; /* by the execution, the last time */
} Admission;

extern bool admission_enter(Admission *admission);
extern void admission_wait(void);
extern bool admission_others_wait(void);
extern long admission_pass_on(Admission *admission, long at_most_ms);
extern void admission_note_claim(Admission *admission);
extern void admission_make_way(Admission *admission);
extern void admission_leave(Admission *admission);

#endif
