/*
 * protocol_webhook.c
 *		The protocol "webhook": the user's own endpoint, one JSON object per
 *		message. What is sent and what an answer means is rules/webhook.c's.
 */
#include "postgres.h"

#include "catalog/pg_user_mapping.h"
#include "common/base64.h"

#include "provider/configuration.h"
#include "rules/webhook.h"

static const char *const channels[] = {"WHATSAPP", "SMS", "EMAIL", NULL};
static const char *const schemes[] = {"http", "https", NULL};
static const OptionRule options[] = {
	{"bearer_token", UserMappingRelationId, OPTION_SECRET, 0, 0, "username"},
	{"username", UserMappingRelationId, OPTION_SECRET, 0, 0, NULL},
	{"password", UserMappingRelationId, OPTION_SECRET, 0, 0, NULL},
	{NULL, InvalidOid, OPTION_NAME, 0, 0, NULL}};

static char *
base64(const char *plain)
{
	int len = strlen(plain);
	int size = pg_b64_enc_len(len);
	char *encoded = palloc0(size + 1);

	if (pg_b64_encode((const void *) plain, len, encoded, size) < 0)
		encoded[0] = '\0';
	return encoded;
}

static void
prepare(CadenceConfiguration *c)
{
	char *token = cadence_configuration_secret(c, "bearer_token");
	char *username = cadence_configuration_secret(c, "username");
	char *password = cadence_configuration_secret(c, "password");

	c->headers =
		list_make2("Content-Type: application/json; charset=utf-8", "Accept: application/json");
	if (token != NULL)
	{
		c->headers = lappend(c->headers, psprintf("Authorization: Bearer %s", token));
		c->hidden = lappend(c->hidden, token);
	}
	else if (username != NULL || password != NULL)
	{
		char *basic = base64(
			psprintf("%s:%s", username != NULL ? username : "", password != NULL ? password : ""));

		c->headers = lappend(c->headers, psprintf("Authorization: Basic %s", basic));
		c->hidden = lappend(c->hidden, basic);
	}
	if (password != NULL)
		c->hidden = lappend(c->hidden, password);
}

const CadenceProtocol cadence_protocol_webhook = {.name = "webhook",
												  .channels = channels,
												  .schemes = schemes,
												  .options = options,
												  .hold = false,
												  .key_header = "Idempotency-Key",
												  .prepare = prepare,
												  .build = webhook_body,
												  .read = webhook_read_answer};
