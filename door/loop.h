/*
 * loop.h
 *		The one place that waits.
 */
#ifndef DOOR_LOOP_H
#define DOOR_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* Something to wait for: whoever owns it keeps it where it is while it is watched. */
typedef struct Watch
{
	int fd;
	bool watched;
	void (*ready)(void *arg);
	void *arg;
} Watch;

extern bool loop_open(void);
extern void loop_close(void);
extern bool loop_watch(Watch *watch, int fd, uint32_t events);
extern void loop_forget(Watch *watch);
extern void loop_wait(int64_t ms);
extern int64_t loop_now(void);

#endif
