/*
 * inbound.c
 *		cadence_inbound() and cadence_delivery(): what comes back, as told by whoever
 *		has read it.
 *
 * The right to execute them is all that their caller needs: they act as the owner of
 * the tables, in the caller's transaction.
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/timestamp.h"

#include "inbound/sender.h"
#include "provider/options.h"
#include "provider/provider.h"
#include "record/opt_outs.h"

PG_FUNCTION_INFO_V1(cadence_inbound);
PG_FUNCTION_INFO_V1(cadence_delivery);

/* The arguments, in the order of the script. */
enum
{
	INBOUND_SENDER,
	INBOUND_MESSAGE,
	INBOUND_MESSAGE_ID,
	INBOUND_RECEIVED_AT,
	INBOUND_SERVER,
	INBOUND_EMPRESA,
	INBOUND_CANAL,
	INBOUND_NAME,
	INBOUND_QUOTES,
	INBOUND_AUTOMATIC
};

enum
{
	DELIVERY_SERVER,
	DELIVERY_MESSAGE_ID,
	DELIVERY_STATE,
	DELIVERY_AT,
	DELIVERY_CODE,
	DELIVERY_ERROR,
	DELIVERY_KEY
};

/* ---- arguments ----------------------------------------------------------------------- */

/* NULL: it was not given, or is empty. */
static char *
text_arg(FunctionCallInfo fcinfo, int n, const char *name, Size max)
{
	char *value = PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));

	if (value != NULL && strlen(value) > max)
		ereport(ERROR, (errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
						errmsg("%s is longer than %zu bytes", name, max)));
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static char *
word_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	return text_arg(fcinfo, n, name, RECEIVED_FIELD_MAX);
}

static void
set_time(FunctionCallInfo fcinfo, int n, ReceivedEvent *event)
{
	TimestampTz at = PG_ARGISNULL(n) ? 0 : PG_GETARG_TIMESTAMPTZ(n);

	if (PG_ARGISNULL(n) || TIMESTAMP_NOT_FINITE(at))
		return;
	event->has_time = true;
	event->time_us = at + UNIX_EPOCH_US;
}

/* What a text is by which a person is told. */
static void
set_person(ReceivedEvent *event, const char *text)
{
	size_t len = strlen(text);

	if (len > 4 && strcmp(text + len - 4, "@lid") == 0)
		event->fields[RECEIVED_LID] = text;
	else if (strchr(text, '@') != NULL)
		event->fields[RECEIVED_EMAIL] = asc_tolower(text, len);
	else if (strspn(text, "+(0123456789 ") > 0)
		event->fields[RECEIVED_PHONE] = text;
	else
		event->fields[RECEIVED_USER_ID] = text;
}

/* ---- whose ---------------------------------------------------------------------------- */

static void
set_server(InboundSender *from, const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);

	if (server == NULL || !list_member_oid(cadence_provider_servers(), server->serverid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("server \"%s\" of cadence_provider does not exist", name)));
	from->server = server->serverid;
	from->server_name = server->servername;
	from->empresa = cadence_option_get(server->options, "empresa");
	from->canal = cadence_option_get(server->options, "canal");
}

static void
set_company(InboundSender *from, const char *empresa, const char *canal)
{
	if (empresa == NULL || canal == NULL)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("either server or both empresa and canal must be given")));
	if (cadence_channel_named(canal) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is no channel", canal),
				 errhint("Channels are WHATSAPP, SMS and EMAIL.")));
	from->empresa = empresa;
	from->canal = canal;
}

static Datum
act(const InboundSender *from, const ReceivedEvent *event)
{
	CadenceCaller caller = cadence_inbound_begin(from->tables);
	InboundResult result = cadence_inbound_act(from, event);

	cadence_owner_end(caller);
	return CStringGetTextDatum(cadence_inbound_results[result]);
}

/* ---- functions ------------------------------------------------------------------------ */

/*
 * cadence_inbound(sender text, message text, ...) -> text: a person has written to
 * us.
 *
 * Errors: 22004 without a sender, or without a server or company and channel; 42704
 * when there is no such server; 22023 for what is no channel; 22001 for what is too
 * long.
 */
Datum
cadence_inbound(PG_FUNCTION_ARGS)
{
	InboundSender from = {.tables = cadence_tables_cached(),
						  .source = GetUserNameFromId(GetUserId(), false)};
	ReceivedEvent event = {.kind = RECEIVED_MESSAGE};
	const char *sender = word_arg(fcinfo, INBOUND_SENDER, "sender");
	const char *server = word_arg(fcinfo, INBOUND_SERVER, "server");

	if (sender == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("sender must not be null")));
	if (server != NULL)
		set_server(&from, server);
	else
		set_company(&from, word_arg(fcinfo, INBOUND_EMPRESA, "empresa"),
					word_arg(fcinfo, INBOUND_CANAL, "canal"));
	set_person(&event, sender);
	set_time(fcinfo, INBOUND_RECEIVED_AT, &event);
	event.fields[RECEIVED_TEXT] = text_arg(fcinfo, INBOUND_MESSAGE, "message", RECEIVED_TEXT_MAX);
	event.fields[RECEIVED_ID] = word_arg(fcinfo, INBOUND_MESSAGE_ID, "message_id");
	event.fields[RECEIVED_NAME] = word_arg(fcinfo, INBOUND_NAME, "name");
	event.fields[RECEIVED_QUOTES] = word_arg(fcinfo, INBOUND_QUOTES, "quotes");
	event.is_auto = !PG_ARGISNULL(INBOUND_AUTOMATIC) && PG_GETARG_BOOL(INBOUND_AUTOMATIC);
	return act(&from, &event);
}

/*
 * cadence_delivery(server text, message_id text, state text, ...) -> text: what
 * became of a message.
 *
 * Errors: 22004 without a server, or without id and key; 42704 when there is no such
 * server; 22023 for what is no state; 22001 for what is too long.
 */
Datum
cadence_delivery(PG_FUNCTION_ARGS)
{
	InboundSender from = {.tables = cadence_tables_cached()};
	ReceivedEvent event = {.kind = RECEIVED_RECEIPT};
	const char *server = word_arg(fcinfo, DELIVERY_SERVER, "server");
	const char *state = word_arg(fcinfo, DELIVERY_STATE, "state");

	event.fields[RECEIVED_ID] = word_arg(fcinfo, DELIVERY_MESSAGE_ID, "message_id");
	event.fields[RECEIVED_KEY] = word_arg(fcinfo, DELIVERY_KEY, "key");
	if (server == NULL || (event.fields[RECEIVED_ID] == NULL && event.fields[RECEIVED_KEY] == NULL))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("server and message_id, or server and key, must be given")));
	set_server(&from, server);
	event.state = state != NULL ? received_state_named(RECEIVED_RECEIPT, state) : STATE_NONE;
	if (event.state == STATE_NONE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is no state of a message", state != NULL ? state : "null"),
						errhint("States are sent, delivered, read and failed.")));
	set_time(fcinfo, DELIVERY_AT, &event);
	event.fields[RECEIVED_CODE] = word_arg(fcinfo, DELIVERY_CODE, "code");
	event.fields[RECEIVED_ERROR] = word_arg(fcinfo, DELIVERY_ERROR, "error");
	return act(&from, &event);
}
