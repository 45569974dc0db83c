/*
 * resident.h
 *		What a resident worker runs: an execution without an end.
 */
#ifndef CADENCE_RESIDENT_H
#define CADENCE_RESIDENT_H

#include "postgres.h"

/* Serves the database that this process is connected to until it is stopped. */
extern void cadence_serve(Oid schema);

#endif
