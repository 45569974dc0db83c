/*
 * request.h
 *		One request, from its first line to its answer.
 */
#ifndef DOOR_REQUEST_H
#define DOOR_REQUEST_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"

typedef struct Request Request;

extern void request_open(const Conf *conf);
extern void request_refuse_new(void);
extern int request_count(void);
extern bool request_was_resumed(void);

/* What libmicrohttpd calls, in this order; the second one several times. */
extern void *request_begin(void *arg, const char *target, struct MHD_Connection *connection);
extern enum MHD_Result request_go_on(void *arg, struct MHD_Connection *connection, const char *url,
									 const char *method, const char *version, const char *data,
									 size_t *size, void **context);
extern void request_end(void *arg, struct MHD_Connection *connection, void **context,
						enum MHD_RequestTerminationCode code);
extern size_t request_unescape(void *arg, struct MHD_Connection *connection, char *text);

/* For one that has no end: libmicrohttpd forgets it where memory is short. */
extern void request_free(Request *request);

/* What the clock calls. */
extern bool request_is_coming(const Request *request);
extern void request_late(Request *request);
extern void request_look(Request *request, int64_t now);

#endif
