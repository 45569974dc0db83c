/*
 * request_builder.h
 *		From a definition's operation and a message's values to an HTTP request.
 */
#ifndef CADENCE_REQUEST_BUILDER_H
#define CADENCE_REQUEST_BUILDER_H

#include "rules/definition.h"

/* All malloc'd. */
typedef struct BuiltRequest
{
	const char *method; /* of the operation */
	char *url;
	char **headers; /* whole lines, NULL at the end */
	char *body;		/* NULL: none; else terminated, and body_len without that */
	size_t body_len;
} BuiltRequest;

extern bool request_build(const DefinitionOperation *op, Values values, BuiltRequest *request);
extern bool request_value_is_json(const char *value);
extern void request_free(BuiltRequest *request);
extern char *definition_render(const DefinitionText *text, Values values);

#endif
