/*
 * unsubscribe.h
 *		A person has followed the link in a message, and wants no more.
 */
#ifndef CADENCE_INBOUND_UNSUBSCRIBE_H
#define CADENCE_INBOUND_UNSUBSCRIBE_H

#include "postgres.h"

#include "schema/unsubscribe.h"

extern bool cadence_inbound_unsubscribe(const CadenceTables *tables, const Unsubscribe *who);
extern void cadence_inbound_resubscribe(const CadenceTables *tables, const Unsubscribe *who);

#endif
