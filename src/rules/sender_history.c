/*
 * sender_history.c
 *		What a sender's last answers were, and whether they speak against it.
 *
 * Each lead counts once, with its latest answer: one person whose number is wrong
 * is not the sender's fault, however often it is tried.
 */
#include "rules/sender_history.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The same unknown refusal for so many of the last leads is no fault of theirs. */
#define SUSPECT_AMONG 10
#define SUSPECT_SAME 3

/* What a refusal with these words is in a history. */
uint32_t
sender_history_refusal(uint32_t hash)
{
	return hash > ANSWER_WAS_BUSY ? hash : hash + ANSWER_WAS_BUSY + 1;
}

static void
forget(SenderHistory *h, int i)
{
	memmove(&h->last[i], &h->last[i + 1], sizeof(SenderAnswer) * (h->n - i - 1));
	h->n--;
}

static bool
is_fine(const SenderHistory *h)
{
	for (int i = h->n > SUSPECT_AMONG ? h->n - SUSPECT_AMONG : 0; i < h->n; i++)
		if (h->last[i].what != ANSWER_WAS_FINE)
			return false;
	return true;
}

/*
 * Takes in an answer to a lead. Returns whether that changes anything: while all
 * is well, answers that are fine need not be kept.
 */
bool
sender_history_add(SenderHistory *h, uint32_t lead, uint32_t what)
{
	if (h->n == 0 && what == ANSWER_WAS_FINE)
		return false;
	for (int i = 0; i < h->n; i++)
		if (h->last[i].lead == lead)
			forget(h, i--);
	if (h->n == SENDER_HISTORY_MAX)
		forget(h, 0);
	h->last[h->n++] = (SenderAnswer){lead, what};
	if (what == ANSWER_WAS_FINE && is_fine(h))
		h->n = 0;
	return true;
}

/* Whether the last so many leads, all different, have failed; 0 times is never. */
bool
sender_history_has_failed(const SenderHistory *h, int times)
{
	if (times <= 0 || h->n < times)
		return false;
	for (int i = h->n - times; i < h->n; i++)
		if (h->last[i].what == ANSWER_WAS_FINE || h->last[i].what == ANSWER_WAS_BUSY)
			return false;
	return true;
}

/* Whether the latest answer is one that several of the last leads have got, too. */
bool
sender_history_is_suspect(const SenderHistory *h)
{
	uint32_t what = h->n > 0 ? h->last[h->n - 1].what : ANSWER_WAS_FINE;
	int same = 0;

	if (what <= ANSWER_WAS_FAILURE)
		return false;
	for (int i = h->n > SUSPECT_AMONG ? h->n - SUSPECT_AMONG : 0; i < h->n; i++)
		same += h->last[i].what == what ? 1 : 0;
	return same >= SUSPECT_SAME;
}

/* ---- as text ----------------------------------------------------------------------- */

/* "lead.answer" each, in hexadecimal; the buffer has room for SENDER_HISTORY_TEXT_MAX. */
void
sender_history_write(const SenderHistory *h, char *to)
{
	*to = '\0';
	for (int i = 0; i < h->n; i++)
		to += sprintf(to, "%" PRIx32 ".%" PRIx32 " ", h->last[i].lead, h->last[i].what);
}

/* Reads them again; what is no such thing ends it. */
void
sender_history_read(SenderHistory *h, const char *from)
{
	SenderAnswer answer;
	int n;

	for (h->n = 0; h->n < SENDER_HISTORY_MAX; from += n)
	{
		n = 0;
		if (sscanf(from, "%8" SCNx32 ".%8" SCNx32 " %n", &answer.lead, &answer.what, &n) != 2)
			return;
		h->last[h->n++] = answer;
	}
}
