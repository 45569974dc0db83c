/*
 * ticket.h
 *		A caller's ticket while it waits for its turn: what an execution that
 *		begins before its own finds it by.
 */
#ifndef CADENCE_TICKET_H
#define CADENCE_TICKET_H

#include "postgres.h"

#include "storage/dsm.h"
#include "storage/lock.h"

#include "server/launch.h"

/* To be zeroed before use. */
typedef struct Ticket
{
	bool locked;
	dsm_handle handle;
} Ticket;

extern void ticket_offer(Ticket *ticket, Launch *launch);
extern bool ticket_withdraw(Ticket *ticket, Launch *launch);
extern void ticket_close(Ticket *ticket);
extern int ticket_answerer(CadenceShared *shared);
extern bool ticket_of_lock(const LOCKTAG *tag, dsm_handle *handle);
extern bool ticket_take(CadenceShared *shared);

#endif
