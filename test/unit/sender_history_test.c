/*
 * sender_history_test.c
 *		When the answers of different leads speak against their sender.
 */
#include "rules/sender_history.h"

#include "check.h"

#define REFUSAL 77

static SenderHistory history;

static void
add(uint32_t lead, uint32_t what)
{
	(void) sender_history_add(&history, lead, what);
}

static void
nothing_is_kept_while_all_is_well(void)
{
	history.n = 0;
	CHECK(!sender_history_add(&history, 1, ANSWER_WAS_FINE));
	CHECK_INT(history.n, 0);
	CHECK(!sender_history_has_failed(&history, 1));
	CHECK(!sender_history_is_suspect(&history));
}

static void
failures_in_a_row(void)
{
	history.n = 0;
	for (int i = 0; i < 9; i++)
		add(i, ANSWER_WAS_FAILURE);
	CHECK(!sender_history_has_failed(&history, 10));
	add(9, ANSWER_WAS_FAILURE);
	CHECK(sender_history_has_failed(&history, 10));
	CHECK(!sender_history_has_failed(&history, 0));
	CHECK(!sender_history_is_suspect(&history));
	add(10, ANSWER_WAS_FINE);
	CHECK(!sender_history_has_failed(&history, 1));
	add(11, ANSWER_WAS_FAILURE);
	CHECK(sender_history_has_failed(&history, 1));
	CHECK(!sender_history_has_failed(&history, 2));
}

static void
one_lead_counts_once(void)
{
	history.n = 0;
	for (int i = 0; i < 50; i++)
		add(4, i % 2 == 0 ? ANSWER_WAS_FAILURE : REFUSAL);
	CHECK_INT(history.n, 1);
	CHECK(!sender_history_has_failed(&history, 2));
	CHECK(!sender_history_is_suspect(&history));
}

static void
the_same_refusal_of_three(void)
{
	history.n = 0;
	add(1, REFUSAL);
	add(2, REFUSAL);
	add(3, REFUSAL + 1);
	CHECK(!sender_history_is_suspect(&history));
	for (int i = 4; i < 10; i++)
		add(i, ANSWER_WAS_FINE);
	add(10, REFUSAL);
	CHECK(sender_history_is_suspect(&history));
	add(11, ANSWER_WAS_FINE);
	CHECK(!sender_history_is_suspect(&history));
}

/* What the sender was asked of several is about it, but no failure. */
static void
asked_for_less(void)
{
	history.n = 0;
	for (int i = 0; i < 2; i++)
		add(i, ANSWER_WAS_BUSY);
	CHECK(!sender_history_is_suspect(&history));
	add(2, ANSWER_WAS_BUSY);
	CHECK(sender_history_is_suspect(&history));
	CHECK(!sender_history_has_failed(&history, 3));
	add(3, ANSWER_WAS_FAILURE);
	CHECK(sender_history_has_failed(&history, 1));
	CHECK(!sender_history_has_failed(&history, 2));
	CHECK(sender_history_refusal(ANSWER_WAS_BUSY) != ANSWER_WAS_BUSY);
}

/* The third comes when the first is no longer among the last ten. */
static void
refusals_far_apart(void)
{
	history.n = 0;
	add(1, REFUSAL);
	add(2, REFUSAL);
	for (int i = 3; i < 12; i++)
		add(i, ANSWER_WAS_FINE);
	add(12, REFUSAL);
	CHECK(!sender_history_is_suspect(&history));
}

static void
it_is_forgotten_when_all_is_well_again(void)
{
	history.n = 0;
	add(100, ANSWER_WAS_FAILURE);
	for (int i = 0; i < 9; i++)
		add(i, ANSWER_WAS_FINE);
	CHECK_INT(history.n, 10);
	add(9, ANSWER_WAS_FINE);
	CHECK_INT(history.n, 0);
}

static void
it_has_an_end(void)
{
	history.n = 0;
	for (int i = 0; i < 1000; i++)
		add(i, ANSWER_WAS_FAILURE);
	CHECK_INT(history.n, SENDER_HISTORY_MAX);
	CHECK_INT(history.last[SENDER_HISTORY_MAX - 1].lead, 999);
	CHECK(sender_history_has_failed(&history, SENDER_HISTORY_MAX));
}

static void
a_refusal_is_no_other_answer(void)
{
	for (uint32_t hash = 0; hash < 4; hash++)
		CHECK(sender_history_refusal(hash) > ANSWER_WAS_FAILURE);
	CHECK(sender_history_refusal(UINT32_MAX) == UINT32_MAX);
}

static void
as_text(void)
{
	char text[SENDER_HISTORY_TEXT_MAX];
	SenderHistory again;

	history.n = 0;
	for (int i = 0; i < 200; i++)
		add(UINT32_MAX - i, UINT32_MAX - 2 * i);
	sender_history_write(&history, text);
	sender_history_read(&again, text);
	CHECK_INT(again.n, history.n);
	CHECK(memcmp(again.last, history.last, sizeof(SenderAnswer) * history.n) == 0);
	sender_history_read(&again, "1.2 3.4 x 5.6");
	CHECK_INT(again.n, 2);
	sender_history_read(&again, "1.");
	CHECK_INT(again.n, 0);
	sender_history_read(&again, "");
	CHECK_INT(again.n, 0);
	sender_history_read(&again, "123456789abcdef.1 2.3");
	CHECK_INT(again.n, 0);
}

int
main(void)
{
	RUN_GROUP("sender history: nothing is kept while all is well",
			  nothing_is_kept_while_all_is_well);
	RUN_GROUP("sender history: failures in a row", failures_in_a_row);
	RUN_GROUP("sender history: one lead counts once", one_lead_counts_once);
	RUN_GROUP("sender history: the same refusal of three", the_same_refusal_of_three);
	RUN_GROUP("sender history: asked for less", asked_for_less);
	RUN_GROUP("sender history: refusals far apart", refusals_far_apart);
	RUN_GROUP("sender history: forgotten when all is well", it_is_forgotten_when_all_is_well_again);
	RUN_GROUP("sender history: it has an end", it_has_an_end);
	RUN_GROUP("sender history: a refusal is no other answer", a_refusal_is_no_other_answer);
	RUN_GROUP("sender history: as text", as_text);
	return check_result();
}
