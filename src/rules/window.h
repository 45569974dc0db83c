/*
 * window.h
 *		When messages may leave: spans of local time on days of the week.
 */
#ifndef CADENCE_WINDOW_H
#define CADENCE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/calendar.h"

#define WINDOW_SPANS_MAX 50

/* Minutes of the day; to <= from: it ends on the next day. */
typedef struct WindowSpan
{
	uint8_t days; /* bit n: weekday n, from 1, Monday, to 7 */
	int16_t from;
	int16_t to;
} WindowSpan;

typedef struct Window
{
	WindowSpan spans[WINDOW_SPANS_MAX];
	int n;
} Window;

#define WINDOW_PROBLEM_SIZE 200

extern bool window_read(const char *json, size_t len, Window *window, char *problem);
extern bool window_is_open(const Window *window, const Calendar *calendar, int64_t at);
extern int64_t window_opens(const Window *window, const Calendar *calendar, int64_t at);
extern int64_t window_closes(const Window *window, const Calendar *calendar, int64_t at);
extern int64_t window_closed(const Window *window, const Calendar *calendar, int64_t at);

#endif
