/*
 * subtransaction.h
 *		Trying something that rows of the user's may refuse.
 */
#ifndef CADENCE_SUBTRANSACTION_H
#define CADENCE_SUBTRANSACTION_H

#include "postgres.h"

/* Works on n items, the first of them given by number. */
typedef void (*CadenceWork)(void *arg, int first, int n);

/* Hears that one item was refused; false: the rest is not to be tried. */
typedef bool (*CadenceRefused)(void *arg, int item, const ErrorData *error);

extern ErrorData *cadence_try(CadenceWork work, void *arg, int first, int n);
extern bool cadence_divide(CadenceWork work, CadenceRefused refused, void *arg, int first, int n);

#endif
