/*
 * utility.h
 *		Commands that concern a resident worker.
 */
#ifndef CADENCE_UTILITY_H
#define CADENCE_UTILITY_H

extern void cadence_utility_install(void);

#endif
