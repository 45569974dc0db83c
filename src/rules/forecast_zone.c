/*
 * forecast_zone.c
 *		A zone that is asked once for all of a forecast.
 */
#include "rules/forecast.h"

/* Asks a zone once for all of a span; where it changes more often than that, the rest is asked. */
void
forecast_zone(ForecastZone *z, const Calendar *real, int64_t from, int64_t until)
{
	from -= from % CALENDAR_SECOND;
	*z = (ForecastZone){.real = *real, .from = from, .until = from, .n = 1};
	z->since[0] = from;
	z->offset[0] = real->utc_offset(real->zone, from);
	for (int64_t at = from; at < until; at += CALENDAR_DAY)
	{
		int64_t next = at + CALENDAR_DAY;
		int32_t offset = real->utc_offset(real->zone, next);

		if (offset != z->offset[z->n - 1])
		{
			if (z->n == FORECAST_CHANGES)
				return;
			z->since[z->n] = calendar_change(real, at, next, offset);
			z->offset[z->n++] = offset;
		}
		z->until = next;
	}
}

/* As a calendar's utc_offset. */
int32_t
forecast_offset(const void *zone, int64_t at)
{
	const ForecastZone *z = zone;
	int i = z->n - 1;

	if (at < z->from || at >= z->until)
		return z->real.utc_offset(z->real.zone, at);
	while (at < z->since[i])
		i--;
	return z->offset[i];
}
