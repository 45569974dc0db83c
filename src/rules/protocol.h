/*
 * protocol.h
 *		What goes into a provider's protocol and what comes out of it, whichever
 *		it is: a message's fields, an answer, and what the answer says.
 *
 * All texts are UTF-8.
 */
#ifndef CADENCE_RULES_PROTOCOL_H
#define CADENCE_RULES_PROTOCOL_H

#include <stddef.h>

#include "rules/outcome.h"

/* What a message is made of. NULL fields are null. */
typedef struct MessageFields
{
	const char *lead_id;
	const char *canal;
	const char *recipient;
	const char *mensagem;
	const char *empresa;
	const char *run_id;
	int step_ordem;
	const char *template_codigo;
} MessageFields;

/* An answer as it came; the body needs no terminator. */
typedef struct AnswerText
{
	const char *content_type; /* NULL: none was given */
	const char *body;
	size_t body_len;
} AnswerText;

#define ANSWER_REASON_MAX 512
#define ANSWER_ID_MAX 256

/* What it says about the message. */
typedef struct AnswerReading
{
	BodyVerdict verdict;
	char reason[ANSWER_REASON_MAX]; /* "" when it names none */
	char message_id[ANSWER_ID_MAX]; /* "" when it names none */
} AnswerReading;

#endif
