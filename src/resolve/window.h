/*
 * window.h
 *		Whether a person has written to us lately: free text may then be sent.
 */
#ifndef CADENCE_WINDOW_H
#define CADENCE_WINDOW_H

#include "postgres.h"

#include "schema/tables.h"
#include "step.h"

typedef struct CadenceWindows CadenceWindows;

extern CadenceWindows *cadence_windows_create(const CadenceTables *tables, bool in_query);
extern void cadence_windows_find(CadenceWindows *windows, CadenceStep **steps, int n);

#endif
