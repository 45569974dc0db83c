/*
 * answer_json.h
 *		An answer's body as JSON, read as leniently as can be.
 */
#ifndef CADENCE_ANSWER_JSON_H
#define CADENCE_ANSWER_JSON_H

#include <jansson.h>
#include <stddef.h>

extern json_t *answer_json(const char *body, size_t len);

#endif
