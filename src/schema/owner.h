/*
 * owner.h
 *		Whether a worker may connect as the owner of the tables.
 */
#ifndef CADENCE_OWNER_H
#define CADENCE_OWNER_H

#include "postgres.h"

extern void cadence_owner_check_connect(Oid owner);

#endif
