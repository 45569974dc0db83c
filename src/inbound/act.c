/*
 * act.c
 *		What an event does: nothing yet.
 */
#include "postgres.h"

#include "inbound/act.h"

InboundResult
cadence_inbound_act(const InboundSender *from, const ReceivedEvent *event)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("nothing is done yet about a \"%s\"", received_kind_names[event->kind])));
}
