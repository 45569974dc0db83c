/*
 * webhook.h
 *		The provider protocol "webhook": one JSON object per message.
 *
 * Pure C and jansson, nothing of PostgreSQL, so that it can be fuzzed alone.
 */
#ifndef CADENCE_WEBHOOK_H
#define CADENCE_WEBHOOK_H

#include "rules/protocol.h"

extern char *webhook_body(const MessageFields *message);
extern void webhook_read_answer(const AnswerText *answer, AnswerReading *reading);
extern void webhook_copy_text(char *to, size_t size, const char *from);

#endif
