/*
 * supervisor.h
 *		Keeps resident workers in the databases that shall have them.
 */
#ifndef CADENCE_SUPERVISOR_H
#define CADENCE_SUPERVISOR_H

extern void cadence_supervisor_register(void);

#endif
