/*
 * target.h
 *		Path and query of a request.
 */
#ifndef DOOR_TARGET_H
#define DOOR_TARGET_H

#include <stdbool.h>

extern bool target_is_good(const char *path, const char *query);

#endif
