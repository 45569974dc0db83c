/*
 * receive.c
 *		cadence_receive(): a provider's call of a webhook.
 *
 * Whoever may execute it needs no other right: all work is that of the tables'
 * owner, and what is answered says nothing but how it went. Whether the tables are
 * armed is not asked: that is about sending, and who was called must listen.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "inbound/challenge.h"
#include "inbound/events.h"
#include "inbound/sender.h"
#include "inbound/signature.h"

PG_FUNCTION_INFO_V1(cadence_receive);

enum
{
	ARG_SERVER,
	ARG_METHOD,
	ARG_HEADERS,
	ARG_QUERY,
	ARG_BODY,
	ARG_PATH_SECRET,
	ARG_COUNT
};

typedef struct Answer
{
	int status;
	const char *type;
	const char *allow; /* methods, of a 405 */
	const char *body;
} Answer;

static Answer
answer_with(int status, const char *body)
{
	return (Answer){.status = status, .type = "text/plain", .body = body};
}

/* ---- what came -------------------------------------------------------------------------- */

/* How long a value is, without fetching it. */
static Size
size_of(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? 0 : toast_raw_datum_size(PG_GETARG_DATUM(arg)) - VARHDRSZ;
}

static bool
is_too_large(FunctionCallInfo fcinfo)
{
	return size_of(fcinfo, ARG_BODY) > CALL_BODY_MAX ||
		   size_of(fcinfo, ARG_HEADERS) > CALL_REST_MAX ||
		   size_of(fcinfo, ARG_QUERY) > CALL_REST_MAX ||
		   size_of(fcinfo, ARG_PATH_SECRET) > CALL_REST_MAX;
}

/* NULL for a null, and for what is longer than any that is asked for. */
static char *
text_arg(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg) || size_of(fcinfo, arg) > CALL_REST_MAX)
		return NULL;
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

static InboundCall *
read_call(FunctionCallInfo fcinfo, const CadenceConfiguration *c)
{
	static const char *const none[FIELD_COUNT] = {NULL};
	InboundCall *call = palloc0(sizeof(*call));
	const char *query = text_arg(fcinfo, ARG_QUERY);

	call->configuration = c;
	call->rules = c->definition->receive;
	call->values = cadence_configuration_values(c, none);
	call->path_secret = text_arg(fcinfo, ARG_PATH_SECRET);
	call->query = query == NULL ? "" : query[0] == '?' ? query + 1 : query;
	call->body = "";
	if (!PG_ARGISNULL(ARG_HEADERS))
		call->headers = cadence_call_headers(PG_GETARG_JSONB_P(ARG_HEADERS));
	if (!PG_ARGISNULL(ARG_BODY))
	{
		bytea *body = PG_GETARG_BYTEA_PP(ARG_BODY);

		call->body = VARDATA_ANY(body);
		call->body_len = VARSIZE_ANY_EXHDR(body);
	}
	return call;
}

/* ---- what is answered ------------------------------------------------------------------- */

static Answer
answer_challenge(const InboundCall *call)
{
	char *echo;

	switch (cadence_challenge_check(call, &echo))
	{
		case CHALLENGE_GOOD:
			return answer_with(200, echo);
		case CHALLENGE_BAD:
			return answer_with(401, "the token is wrong");
		case CHALLENGE_UNREADABLE:
			return answer_with(503, "nothing can be checked now");
		case CHALLENGE_NONE:
			break;
	}
	return answer_with(400, "nothing is asked for");
}

static Answer
answer_post(InboundCall *call, const InboundSender *sender)
{
	const ReceiveRules *rules = call->rules;

	switch (cadence_signature_check(call))
	{
		case SIGNATURE_GOOD:
			break;
		case SIGNATURE_BAD:
			return answer_with(401, "the signature is missing or wrong");
		case SIGNATURE_UNREADABLE:
			return answer_with(503, "nothing can be checked now");
	}
	if (XactReadOnly || RecoveryInProgress() || !cadence_events_take(call, sender))
		return answer_with(503, "nothing can be stored now");
	return (Answer){
		.status = rules->answer_status, .type = rules->answer_type, .body = rules->answer_body};
}

/* Of a server that is there. */
static Answer
answer_server(FunctionCallInfo fcinfo, const CadenceTables *tables, const CadenceConfiguration *c)
{
	char *method = text_arg(fcinfo, ARG_METHOD);
	Answer refused = answer_with(405, "the method is not allowed");
	bool is_get;

	is_get = method != NULL && pg_strcasecmp(method, "GET") == 0;
	refused.allow = c->definition->receive->verify.mode != NULL ? "GET, POST" : "POST";
	if ((is_get && c->definition->receive->verify.mode == NULL) ||
		(!is_get && (method == NULL || pg_strcasecmp(method, "POST") != 0)))
		return refused;
	if (is_too_large(fcinfo))
		return answer_with(413, "the call is too large");
	if (is_get)
		return answer_challenge(read_call(fcinfo, c));
	return answer_post(read_call(fcinfo, c), cadence_inbound_sender(tables, c));
}

static const char *
outcome_of(const Answer *answer)
{
	if (answer->status < 400)
		return "ok";
	return answer->status == 401   ? "unauthorized"
		   : answer->status == 503 ? "unavailable"
								   : "refused";
}

/* A server that does not count, or has no webhook, is answered as one that is not there. */
static Answer
answer_call(FunctionCallInfo fcinfo, const CadenceTables *tables)
{
	char *name = text_arg(fcinfo, ARG_SERVER);
	const CadenceConfiguration *c = name != NULL ? cadence_inbound_find(tables, name) : NULL;
	Answer answer;

	if (c == NULL)
		return answer_with(404, "there is no such webhook");
	answer = answer_server(fcinfo, tables, c);
	if (!XactReadOnly && !RecoveryInProgress())
		cadence_inbound_count_call(tables, c->name, outcome_of(&answer), answer.status < 400);
	return answer;
}

static Datum
headers_of(const Answer *answer)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"Content-Type\": ");
	escape_json(&json, answer->type);
	if (answer->allow != NULL)
	{
		appendStringInfoString(&json, ", \"Allow\": ");
		escape_json(&json, answer->allow);
	}
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

static Datum
answer_row(FunctionCallInfo fcinfo, const Answer *answer)
{
	Datum values[] = {Int32GetDatum(answer->status), headers_of(answer),
					  CStringGetTextDatum(answer->body)};
	bool nulls[lengthof(values)] = {false};
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cadence_receive() returns a row")));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * cadence_receive(server text, method text, headers jsonb, query text, body bytea,
 * path_secret text DEFAULT NULL) -> (status int, headers jsonb, body text): takes
 * a webhook's call as it came, and says what to answer. Whatever the call holds is
 * no error.
 *
 * Errors: 42P01 and what else keeps the tables from being found; 57014 and the
 * like, of which nothing is stored.
 */
Datum
cadence_receive(PG_FUNCTION_ARGS)
{
	const CadenceTables *tables = cadence_tables_cached();
	CadenceCaller caller = cadence_inbound_begin(tables);
	Answer answer = answer_call(fcinfo, tables);

	cadence_owner_end(caller);
	PG_RETURN_DATUM(answer_row(fcinfo, &answer));
}
