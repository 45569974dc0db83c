/*
 * owner.h
 *		Acting as the owner of the tables.
 */
#ifndef CADENCE_OWNER_H
#define CADENCE_OWNER_H

#include "postgres.h"

/* Who somebody was before. */
typedef struct CadenceCaller
{
	Oid user;
	int security;
	int guc_level;
} CadenceCaller;

extern void cadence_owner_check_connect(Oid owner);
extern CadenceCaller cadence_owner_begin(Oid owner);
extern void cadence_owner_end(CadenceCaller caller);

#endif
