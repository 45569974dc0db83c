/*
 * resident.h
 *		The processes of a database with resident workers.
 */
#ifndef CADENCE_RESIDENT_H
#define CADENCE_RESIDENT_H

#include "postgres.h"

/* To be called from _PG_init() while the server loads its preloaded libraries. */
extern void cadence_supervisor_register(void);

/* Serves the database that this process is connected to until it is stopped. */
extern void cadence_serve(Oid schema);

#endif
