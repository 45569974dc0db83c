/*
 * link.h
 *		The link in a message by which its person wants no more.
 */
#ifndef CADENCE_LINK_H
#define CADENCE_LINK_H

#include "postgres.h"

#include "schema/tables.h"
#include "step.h"

typedef struct CadenceLinks CadenceLinks;

extern CadenceLinks *cadence_links_create(const CadenceTables *tables, bool in_query);
extern void cadence_link_make(CadenceLinks *links, CadenceStep *step);

#endif
