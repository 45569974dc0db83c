/*
 * outcome.c
 *		From what a transfer saw to the class of its outcome.
 */
#include "rules/outcome.h"

/*
 * Statuses that speak of this message, not of the endpoint's health or of our
 * configuration: sending the same again can not succeed (RFC 9110, 15.5). 401,
 * 403, 404 and 405 are left out on purpose: an operator mends those.
 */
static bool
is_final_refusal(long status)
{
	return status == 400 || status == 410 || status == 413 || status == 422;
}

/*
 * The class of an attempt's outcome.
 *
 * A 2xx whose body is longer than we read is taken as sent: the status line is
 * the provider's word, and doubting it would write to the lead again.
 */
CadenceOutcome
outcome_of_answer(TransferEnd end, long status, BodyVerdict body)
{
	switch (end)
	{
		case TRANSFER_NOT_STARTED:
			return OUTCOME_FAILED;
		case TRANSFER_BROKEN:
			return OUTCOME_UNCERTAIN;
		case TRANSFER_ANSWERED:
		case TRANSFER_TOO_LONG:
			break;
	}
	if (body == BODY_NEVER || is_final_refusal(status))
		return OUTCOME_REFUSED;
	if (status < 200 || status > 299 || body == BODY_FAILURE)
		return OUTCOME_FAILED;
	return OUTCOME_SENT;
}
