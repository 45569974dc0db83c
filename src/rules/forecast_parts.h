/*
 * forecast_parts.h
 *		What a forecast is made of.
 */
#ifndef CADENCE_FORECAST_PARTS_H
#define CADENCE_FORECAST_PARTS_H

#include "rules/forecast.h"

#define FORECAST_ID_SIZE 16

/* By their numbers. */
static inline bool
forecast_is_among(uint64_t steps, const ForecastStep *step)
{
	return step->number < FORECAST_SKIPS && (steps >> step->number & 1) != 0;
}

/* What is compared most stands in the heap itself, which has four children to each place. */
typedef struct ForecastHeap
{
	ForecastEvent *events;
	size_t n;
} ForecastHeap;

/* forecast_heap.c */
extern void forecast_heap_make(ForecastHeap *heap);
extern void forecast_heap_push(ForecastHeap *heap, ForecastRun *run);
extern ForecastRun *forecast_heap_pop(ForecastHeap *heap);

/* forecast_policy.c */
extern Decision forecast_decide(ForecastRun *run, int64_t now);
extern void forecast_take(ForecastRun *run, int64_t now);
extern void forecast_give_back(ForecastRun *run, int64_t now);
extern void forecast_note_sent(ForecastRun *run, int64_t at);

#endif
