/*
 * body.h
 *		The body of a request while it comes.
 */
#ifndef DOOR_BODY_H
#define DOOR_BODY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Body
{
	char *data;
	size_t len;
	size_t room;
} Body;

extern bool body_add(Body *body, const char *data, size_t size);
extern bool body_is_large(const Body *body);
extern void body_free(Body *body);

#endif
