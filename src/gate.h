/*
 * gate.h
 *		How many executions of one database begin at once.
 */
#ifndef CADENCE_GATE_H
#define CADENCE_GATE_H

#include "postgres.h"

#include "portability/instr_time.h"

/* To be zeroed before use. */
typedef struct Gate
{
	bool is_first; /* no other execution was under way */
	int places;	   /* that are ours */
	instr_time entered_at;
} Gate;

extern void gate_enter(Gate *gate);
extern long gate_pass_on(Gate *gate, long at_most_ms);
extern void gate_make_way(Gate *gate);
extern void gate_leave(Gate *gate);

#endif
