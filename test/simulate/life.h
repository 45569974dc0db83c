/*
 * life.h
 *		What people, operators and misfortune do meanwhile.
 */
#ifndef SIMULATE_LIFE_H
#define SIMULATE_LIFE_H

#include "queue.h"

extern void life_begin(void);
extern void life_goes_on(const Event *event);

#endif
