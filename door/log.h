/*
 * log.h
 *		Lines on standard error, and nothing in them that is a secret or a person's.
 */
#ifndef DOOR_LOG_H
#define DOOR_LOG_H

#include <stdbool.h>
#include <stdint.h>

extern void log_requests(bool wanted);
extern void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern void log_request(const char *method, const char *path, unsigned int status, int64_t ms);

#endif
