/*
 * engine.h
 *		An execution around the rules: claims, sends, records.
 */
#ifndef SIMULATE_ENGINE_H
#define SIMULATE_ENGINE_H

#include "queue.h"
#include "world.h"

typedef enum EventKind
{
	EVENT_DUE,
	EVENT_LEAVE,
	EVENT_ANSWER,
	EVENT_LIFE /* and what follows: life.c's */
} EventKind;

extern Queue events;

extern int64_t engine_next(void);
extern void engine_work(int64_t now);
extern void engine_leave(Run *run, int64_t now);
extern void engine_answer(Run *run, int64_t now);
extern void engine_crash(int64_t now);
extern void engine_wait_for(Run *run);
extern void engine_edited(Run *run, int64_t now);
extern bool engine_act(Run *run, RunAct act, int64_t now, const char *why);

#endif
