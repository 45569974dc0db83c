/*
 * explanation.h
 *		Why a message has not left, in a sentence, in English or Portuguese.
 */
#ifndef CADENCE_EXPLANATION_H
#define CADENCE_EXPLANATION_H

#include <stdbool.h>
#include <stddef.h>

#include "rules/reason.h"

#define EXPLANATION_SIZE 4000

typedef struct Explanation
{
	char text[EXPLANATION_SIZE]; /* UTF-8 */
	size_t len;
	bool is_portuguese;
} Explanation;

extern bool explanation_is_portuguese(const char *locale);
extern void explanation_begin(Explanation *explanation, CadenceReasonCode reason,
							  bool is_portuguese);
extern void explanation_add(Explanation *explanation, ReasonDetail detail, const char *value);
extern void explanation_add_count(Explanation *explanation, int n, int of);
extern void explanation_add_attempt(Explanation *explanation, int n, int of);

#endif
