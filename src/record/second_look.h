/*
 * second_look.h
 *		Claimed runs that are not as their claim has found them.
 */
#ifndef CADENCE_SECOND_LOOK_H
#define CADENCE_SECOND_LOOK_H

#include "step.h"
#include "schema/tables.h"

typedef struct CadenceSecondLook CadenceSecondLook;

extern CadenceSecondLook *cadence_second_look_create(const CadenceTables *tables);
extern void cadence_steps_find_grown(CadenceSecondLook *look, CadenceStep **steps, int n,
									 bool *grown);
extern void cadence_steps_look_again(CadenceSecondLook *look, CadenceStep **steps, int n);

#endif
