/*
 * sender_history.h
 *		What a sender's last answers were, and whether they speak against it.
 *
 * Pure: kept by whoever knows the sender, by value.
 */
#ifndef CADENCE_SENDER_HISTORY_H
#define CADENCE_SENDER_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

/* A sender is shut after at most so many failures in a row. */
#define SENDER_HISTORY_MAX 100

/* What an answer was; anything else: a refusal that is not known, by a hash of its words. */
#define ANSWER_WAS_FINE 0
#define ANSWER_WAS_FAILURE 1
#define ANSWER_WAS_BUSY 2 /* the sender was asked for less, for this lead */

typedef struct SenderAnswer
{
	uint32_t lead; /* by hash */
	uint32_t what;
} SenderAnswer;

/* One answer for each lead, the latest last. Empty: as far as is known all is well. */
typedef struct SenderHistory
{
	int n;
	SenderAnswer last[SENDER_HISTORY_MAX];
} SenderHistory;

/* So many answers, each of two numbers. */
#define SENDER_HISTORY_TEXT_MAX (SENDER_HISTORY_MAX * 18 + 1)

extern uint32_t sender_history_refusal(uint32_t hash);
extern bool sender_history_add(SenderHistory *h, uint32_t lead, uint32_t what);
extern bool sender_history_has_failed(const SenderHistory *h, int times);
extern bool sender_history_is_suspect(const SenderHistory *h);
extern void sender_history_write(const SenderHistory *h, char *to);
extern void sender_history_read(SenderHistory *h, const char *from);

#endif
