/*
 * chance.h
 *		Chance that comes again: the same seed, the same numbers.
 */
#ifndef SIMULATE_CHANCE_H
#define SIMULATE_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

extern void chance_seed(uint64_t seed);
extern int64_t chance_below(int64_t n);
extern int64_t chance_between(int64_t least, int64_t most);
extern bool chance_percent(double percent);
extern double chance_part(void);

#endif
