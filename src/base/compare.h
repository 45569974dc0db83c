/*
 * compare.h
 *		What a comparison by several members, for qsort(), is made of.
 */
#ifndef CADENCE_COMPARE_H
#define CADENCE_COMPARE_H

/* Where they differ, that is the order. */
#define COMPARE(a, b)                  \
	do                                 \
	{                                  \
		if ((a) != (b))                \
			return (a) < (b) ? -1 : 1; \
	} while (0)

#endif
