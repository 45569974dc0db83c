/*
 * challenge.c
 *		The GET by which a provider asks whether an address is its server's.
 *
 * What is echoed goes to a browser if somebody makes one ask: it is letters and
 * digits, and only after the token has fitted.
 */
#include "postgres.h"

#include "inbound/challenge.h"
#include "inbound/signature.h"
#include "rules/receive_form.h"

#define ECHO_MAX 64

/* The first parameter of that name, in the current memory context; NULL: there is none. */
static char *
parameter(const Form *query, const char *name)
{
	for (size_t i = 0; i < query->n; i++)
	{
		const FormField *field = &query->fields[i];

		if (field->name_len == strlen(name) && memcmp(field->name, name, field->name_len) == 0)
			return strlen(field->value) == field->value_len ? pstrdup(field->value) : NULL;
	}
	return NULL;
}

static bool
may_be_echoed(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= ECHO_MAX &&
		   strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

/* What is to be echoed is left in "answer" where all is well. */
ChallengeVerdict
cadence_challenge_check(const InboundCall *call, char **answer)
{
	const ReceiveVerify *verify = &call->rules->verify;
	char *mode;
	char *token;
	Form query;

	if (!form_read(call->query, strlen(call->query), &query))
		return CHALLENGE_NONE;
	mode = parameter(&query, verify->mode);
	token = parameter(&query, verify->token);
	*answer = parameter(&query, verify->challenge);
	form_free(&query);
	if (mode == NULL || token == NULL || *answer == NULL || strcmp(mode, verify->mode_value) != 0)
		return CHALLENGE_NONE;
	if (cadence_secret_unreadable(call, verify->secret) ||
		cadence_secret_unreadable(call, verify->previous))
		return CHALLENGE_UNREADABLE;
	if (!cadence_either_secret_is(call, token, verify->secret, verify->previous))
		return CHALLENGE_BAD;
	return may_be_echoed(*answer) ? CHALLENGE_GOOD : CHALLENGE_NONE;
}
