/*
 * sender.h
 *		The server whose webhook was called, and working as the tables' owner.
 */
#ifndef CADENCE_INBOUND_SENDER_H
#define CADENCE_INBOUND_SENDER_H

#include "inbound/act.h"
#include "provider/configuration.h"

extern CadenceCaller cadence_inbound_begin(const CadenceTables *tables);
extern const CadenceConfiguration *cadence_inbound_find(const CadenceTables *tables,
														const char *name);
extern const CadenceConfiguration *cadence_inbound_find_by(const CadenceTables *tables,
														   const CadenceConfiguration *like,
														   int option, const char *value);
extern InboundSender *cadence_inbound_sender(const CadenceTables *tables,
											 const CadenceConfiguration *configuration);

#endif
