/*
 * outcome_test.c
 *		From a transfer's end to the class of its outcome.
 */
#include "rules/outcome.h"

#include "check.h"

static void
answered_well(void)
{
	for (long status = 200; status <= 299; status++)
	{
		CHECK_INT(outcome_of_answer(TRANSFER_ANSWERED, status, BODY_SILENT), OUTCOME_SENT);
		CHECK_INT(outcome_of_answer(TRANSFER_TOO_LONG, status, BODY_SILENT), OUTCOME_SENT);
	}
}

static void
answered_badly(void)
{
	CHECK_INT(outcome_of_answer(TRANSFER_ANSWERED, 200, BODY_FAILURE), OUTCOME_FAILED);
	CHECK_INT(outcome_of_answer(TRANSFER_ANSWERED, 500, BODY_FAILURE), OUTCOME_FAILED);
	CHECK_INT(outcome_of_answer(TRANSFER_ANSWERED, 200, BODY_NEVER), OUTCOME_REFUSED);
	CHECK_INT(outcome_of_answer(TRANSFER_ANSWERED, 500, BODY_NEVER), OUTCOME_REFUSED);
}

/* The endpoint's health or our configuration: worth another try. */
static void
transient_statuses(void)
{
	static const long statuses[] = {0,	 100, 199, 300, 301, 302, 303, 307, 308, 401, 402, 403,
									404, 405, 406, 407, 408, 409, 411, 412, 415, 421, 423, 425,
									426, 429, 431, 451, 500, 501, 502, 503, 504, 505, 599, 999};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
	{
		CHECK_INT(outcome_of_answer(TRANSFER_ANSWERED, statuses[i], BODY_SILENT), OUTCOME_FAILED);
		CHECK_INT(outcome_of_answer(TRANSFER_TOO_LONG, statuses[i], BODY_SILENT), OUTCOME_FAILED);
	}
}

static void
final_statuses(void)
{
	static const long statuses[] = {400, 410, 413, 422};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
	{
		CHECK_INT(outcome_of_answer(TRANSFER_ANSWERED, statuses[i], BODY_SILENT), OUTCOME_REFUSED);
		CHECK_INT(outcome_of_answer(TRANSFER_ANSWERED, statuses[i], BODY_FAILURE), OUTCOME_REFUSED);
	}
}

/* Without an answer the status means nothing. */
static void
no_answer(void)
{
	static const long statuses[] = {0, 100, 200, 400, 500};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		for (BodyVerdict body = BODY_SILENT; body <= BODY_NEVER; body++)
		{
			CHECK_INT(outcome_of_answer(TRANSFER_NOT_STARTED, statuses[i], body), OUTCOME_FAILED);
			CHECK_INT(outcome_of_answer(TRANSFER_BROKEN, statuses[i], body), OUTCOME_UNCERTAIN);
		}
}

int
main(void)
{
	RUN_GROUP("outcome: 2xx is sent, however long the body", answered_well);
	RUN_GROUP("outcome: the body may say no", answered_badly);
	RUN_GROUP("outcome: statuses worth another try", transient_statuses);
	RUN_GROUP("outcome: statuses that refuse the message for good", final_statuses);
	RUN_GROUP("outcome: nothing left, or nobody knows", no_answer);
	return check_result();
}
