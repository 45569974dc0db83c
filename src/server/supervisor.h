/*
 * supervisor.h
 *		Keeps one resident worker per database.
 */
#ifndef CADENCE_SUPERVISOR_H
#define CADENCE_SUPERVISOR_H

/* What a probe or a worker is started with, in bgw_extra. */
typedef struct ResidentTicket
{
	int slot;
	unsigned int launch;
} ResidentTicket;

extern void cadence_supervisor_register(void);

#endif
