/*
 * heard.h
 *		When people have last written to us.
 */
#ifndef CADENCE_HEARD_H
#define CADENCE_HEARD_H

#include "postgres.h"

#include "schema/tables.h"
#include "step.h"

typedef struct CadenceHeard CadenceHeard;

extern CadenceHeard *cadence_heard_create(const CadenceTables *tables, bool in_query);
extern void cadence_heard_find(CadenceHeard *heard, CadenceStep **steps, int n);

#endif
