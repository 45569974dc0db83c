/*
 * chance.c
 *		Chance that comes again: the same seed, the same numbers (splitmix64).
 */
#include "chance.h"

static uint64_t state;

void
chance_seed(uint64_t seed)
{
	state = seed;
}

static uint64_t
next(void)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* From 0 to n - 1. */
int64_t
chance_below(int64_t n)
{
	return n <= 1 ? 0 : (int64_t) (next() % (uint64_t) n);
}

int64_t
chance_between(int64_t least, int64_t most)
{
	return least + chance_below(most - least + 1);
}

/* From 0 to below 1. */
double
chance_part(void)
{
	return (double) (next() >> 11) / (double) (UINT64_C(1) << 53);
}

bool
chance_percent(double percent)
{
	return chance_part() * 100 < percent;
}
