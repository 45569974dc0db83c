/*
 * webhook.h
 *		The provider protocol "webhook": one JSON object per message.
 *
 * Pure C and jansson, nothing of PostgreSQL, so that it can be fuzzed alone.
 * All texts are UTF-8.
 */
#ifndef CADENCE_WEBHOOK_H
#define CADENCE_WEBHOOK_H

#include <stddef.h>

#include "rules/outcome.h"

/* What a message is made of, whatever the protocol. NULL fields become JSON null. */
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

#define WEBHOOK_REASON_MAX 512
#define WEBHOOK_ID_MAX 256

/* What an answer's body says. */
typedef struct WebhookAnswer
{
	BodyVerdict verdict;
	char reason[WEBHOOK_REASON_MAX]; /* "" when it names none */
	char message_id[WEBHOOK_ID_MAX]; /* "" when it names none */
} WebhookAnswer;

extern char *webhook_body(const MessageFields *message);
extern void webhook_read_answer(const char *body, size_t len, WebhookAnswer *answer);
extern void webhook_copy_text(char *to, size_t size, const char *from);

#endif
