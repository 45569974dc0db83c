/*
 * conversation.h
 *		By whom, and when, a person was last written to on a channel: rows of
 *		cadence_conversations.
 */
#ifndef CADENCE_CONVERSATION_H
#define CADENCE_CONVERSATION_H

#include "postgres.h"

#include "schema/tables.h"
#include "step.h"

typedef struct CadenceConversations CadenceConversations;

extern CadenceConversations *cadence_conversations_create(const CadenceTables *tables,
														  bool in_query);
extern void cadence_conversations_find(CadenceConversations *conversations, CadenceStep **steps,
									   int n);
extern bool cadence_conversation_is_same(const CadenceStep *step);
extern void cadence_conversation_reserve(CadenceStep *step, TimestampTz at);
extern void cadence_conversations_write(CadenceConversations *conversations, CadenceStep **steps,
										int n);
extern void cadence_conversations_settle(CadenceConversations *conversations, CadenceStep **steps,
										 int n);

#endif
