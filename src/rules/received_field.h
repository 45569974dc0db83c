/*
 * received_field.h
 *		A field of an event, from where it stands to how the program has it.
 */
#ifndef CADENCE_RECEIVED_FIELD_H
#define CADENCE_RECEIVED_FIELD_H

#include "rules/received_path.h"

/* The texts of one event, one after the other; "at" is free()d by who has it. */
typedef struct ReceivedTexts
{
	char *at;
	size_t used;
	size_t size;
	bool is_international;
	bool is_short; /* of memory */
} ReceivedTexts;

extern bool received_add(ReceivedTexts *texts, const ReceiveValue *v, ReceivedKind kind,
						 const ReceivedElement *element);

#endif
