/*
 * wake.h
 *		A commit that concerns the resident worker wakes it.
 */
#ifndef CADENCE_WAKE_H
#define CADENCE_WAKE_H

extern void cadence_wake_at_commit(void);

#endif
