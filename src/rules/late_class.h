/*
 * late_class.h
 *		What a failure means that a provider tells after it had accepted the message.
 */
#ifndef CADENCE_LATE_CLASS_H
#define CADENCE_LATE_CLASS_H

#include "rules/definition.h"

extern CadenceClass late_class(const Definition *d, const char *channel, const char *code,
							   const char *error);

#endif
