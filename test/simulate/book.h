/*
 * book.h
 *		What has happened, a line of JSON for each, for the checker to read.
 */
#ifndef SIMULATE_BOOK_H
#define SIMULATE_BOOK_H

#include "world.h"

extern void book_open(const char *path);
extern void book_close(void);
extern void book_world(void);
extern void book_company(int64_t at, int company);
extern void book_cadence(int64_t at, int cadence);
extern void book_step(int64_t at, int cadence, const Step *step);
extern void book_step_gone(int64_t at, int step);
extern void book_holiday(int64_t at, const Holiday *holiday);
extern void book_run(const Run *run);
extern void book_of_run(const char *what, int64_t at, const Run *run, const char *why);
extern void book_of_step(const char *what, int64_t at, const Run *run, int step, const char *why);
extern void book_of_lead(const char *what, int64_t at, int lead);
extern void book_down(int company, int64_t at, int64_t until);
extern void book_end(void);

#endif
