/*
 * received_path.h
 *		Going through a webhook's body.
 */
#ifndef CADENCE_RECEIVED_PATH_H
#define CADENCE_RECEIVED_PATH_H

#include <jansson.h>

#include "rules/receive.h"
#include "rules/received_value.h"

/* What a rule is asked about, within those that its rules' rules were. */
typedef struct ReceivedElement
{
	const struct ReceivedElement *around; /* NULL: it is the whole body */
	json_t *value;
} ReceivedElement;

/* Where the text of a number is written. */
typedef struct NumberText
{
	char text[32];
} NumberText;

extern json_t *received_step(json_t *value, const ReceiveStep *step);
extern json_t *received_at(const ReceivePlace *place, const ReceivedElement *element);
extern bool received_slice(const json_t *value, NumberText *number, Slice *s);
extern bool conditions_hold(const ReceiveConditions *conditions, const ReceivedElement *element,
							const char *const *values);
extern int conditions_other(const ReceiveConditions *conditions, const ReceivedElement *element,
							char *text, size_t size);

#endif
