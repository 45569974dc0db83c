/*
 * unsubscribe.c
 *		cadence_unsubscribe_url() and cadence_unsubscribe(): the link by which a
 *		person wants no more messages, and what it leads to.
 *
 * A page asks, and its button acts: mail scanners follow every link. What acts is a
 * POST without a cookie, a login or a redirect (RFC 8058), so that a mailbox's own
 * button does the same.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/xml.h"

#include "base/row.h"
#include "base/settings.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "inbound/sender.h"
#include "inbound/unsubscribe.h"
#include "record/opt_outs.h"
#include "schema/key.h"
#include "sqlapi/look.h"

PG_FUNCTION_INFO_V1(cadence_unsubscribe_url);
PG_FUNCTION_INFO_V1(cadence_unsubscribe);

/* ---- the link ------------------------------------------------------------------------ */

enum
{
	RUN_LEAD = 1,
	RUN_EMPRESA,
	RUN_CANAL
};

/* Of the step that comes next, or was the last. */
static char *
run_sql(const CadenceTables *t)
{
	return psprintf("SELECT r.lead_id::pg_catalog.text, r.empresa::pg_catalog.text, "
					"(SELECT s.canal::pg_catalog.text FROM %s AS s "
					"WHERE s.cadence_id " EQ " r.cadence_id ORDER BY s.ordem " LT
					" r.next_step_ordem, CASE WHEN s.ordem " GE
					" r.next_step_ordem THEN s.ordem ELSE OPERATOR(pg_catalog.-) s.ordem END "
					"LIMIT 1) FROM %s AS r WHERE r.id " EQ " $1",
					t->steps, t->runs);
}

/* With the caller's own rights. */
static void
read_run(const CadenceTables *t, Datum run_id, Unsubscribe *who)
{
	HeapTuple row = run_look_find(run_sql(t), run_id);
	TupleDesc desc = SPI_tuptable->tupdesc;

	who->lead_id = row_text(desc, row, RUN_LEAD, ROW_KEY_MAX);
	who->empresa = row_text(desc, row, RUN_EMPRESA, ROW_KEY_MAX);
	who->canal = row_text(desc, row, RUN_CANAL, ROW_KEY_MAX);
}

static CadenceSecretKey *
key_of(const CadenceTables *t)
{
	CadenceSecretKey *key = cadence_secret_key_create(t, UNSUBSCRIBE_KEY, true);
	CadenceCaller caller = cadence_owner_begin(t->owner);

	cadence_secret_key_read(key);
	cadence_owner_end(caller);
	return key;
}

/*
 * cadence_unsubscribe_url(run uuid, canal text DEFAULT NULL) -> text: the link that
 * messages of a run to its person have, for the channel of its next step, or another.
 * NULL: it would be too long.
 *
 * Errors: 55000 without the setting cadence_runner.unsubscribe_url; P0002 when there
 * is no such run; 22023 for what is no channel, and where the run has no step.
 */
Datum
cadence_unsubscribe_url(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	const char *given = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Unsubscribe who;
	CadenceSecretKey *key;
	char *link;

	if (cadence_unsubscribe_base[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("there is no page to unsubscribe by"),
						errhint("Set cadence_runner.unsubscribe_url to its address.")));
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	(void) SPI_connect();
	read_run(t, PG_GETARG_DATUM(0), &who);
	if (given == NULL)
		given = who.canal != NULL ? who.canal : "";
	who.canal = cadence_channel_named(given);
	if (who.canal == NULL || who.lead_id == NULL || who.empresa == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is no channel", given),
				 errhint("Channels are WHATSAPP, SMS and EMAIL.")));
	key = key_of(t);
	MemoryContextSwitchTo(context);
	link = cadence_unsubscribe_link(key, &who);
	SPI_finish();
	if (link == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(link));
}

/* ---- the page ------------------------------------------------------------------------ */

#define HEADERS                                                                          \
	"{\"Content-Type\": \"text/html; charset=utf-8\", \"Cache-Control\": \"no-store\", " \
	"\"Referrer-Policy\": \"no-referrer\", \"X-Robots-Tag\": \"noindex\", "              \
	"\"X-Content-Type-Options\": \"nosniff\", \"Content-Security-Policy\": "             \
	"\"default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'\"}"

#define PAGE                                                                               \
	"<!DOCTYPE html>\n<html lang=\"pt-BR\">\n<head>\n<meta charset=\"utf-8\">\n"           \
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"           \
	"<title>%s</title>\n</head>\n<body>\n<main>\n<h1>%s</h1>\n%s</main>\n</body>\n</html>" \
	"\n"

/* Without an action: to its own address. */
#define BUTTON                                                                        \
	"<form method=\"post\">\n<input type=\"hidden\" name=\"List-Unsubscribe\" "       \
	"value=\"One-Click\">\n<button type=\"submit\">Sim, parar / Yes, stop</button>\n" \
	"</form>\n"

typedef struct WebPage
{
	int status;
	const char *title;
	char *text;
} WebPage;

static const struct
{
	const char *canal;
	const char *name;
} names[] = {{"WHATSAPP", "WhatsApp"}, {"SMS", "SMS"}, {"EMAIL", "e-mail"}};

static const char *
channel_name(const char *canal)
{
	size_t i = 0;

	while (i < lengthof(names) - 1 && strcmp(names[i].canal, canal) != 0)
		i++;
	return names[i].name;
}

/* As people know the company. */
static const char *
company_name(const CadenceTables *t, const char *empresa)
{
	static const Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(empresa)};
	Statement look = STATEMENT(
		"looking for a company's name",
		psprintf("SELECT NULLIF(c.nome::pg_catalog.text, '') FROM %s AS c WHERE %s LIMIT 1",
				 t->empresas, cadence_key_is(t, "cadence_empresas", "c", "empresa", "$1")),
		types, SPI_OK_SELECT);
	char *name = NULL;

	look.in_query = true;
	statement_execute(&look, values, NULL, 1);
	if (SPI_processed > 0)
		name = row_text(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1, ROW_FIELD_MAX);
	return escape_xml(name != NULL ? name : empresa);
}

/* One answer for whatever is no link of ours. */
static WebPage
no_page(void)
{
	return (WebPage){404, "Link inválido / Invalid link",
					 pstrdup("<p>Este link não é válido. / This link is not valid.</p>\n")};
}

static WebPage
ask(const Unsubscribe *who, const char *company)
{
	const char *canal = channel_name(who->canal);

	return (WebPage){
		200, "Parar de receber mensagens? / Stop messages?",
		psprintf("<p>%s não enviará mais mensagens por %s para você.</p>\n"
				 "<p lang=\"en\">%s will send you no more messages by %s.</p>\n" BUTTON,
				 company, canal, company, canal)};
}

static WebPage
done(const Unsubscribe *who, const char *company)
{
	const char *canal = channel_name(who->canal);

	return (WebPage){200, "Pronto / Done",
					 psprintf("<p>Você não receberá mais mensagens de %s por %s.</p>\n"
							  "<p lang=\"en\">You will get no more messages of %s by %s.</p>\n",
							  company, canal, company, canal)};
}

static WebPage
not_now(void)
{
	return (WebPage){
		503, "Tente de novo / Try again",
		pstrdup("<p>Não foi possível agora: tente de novo em alguns minutos. / Not now: "
				"try again in some minutes.</p>\n")};
}

typedef struct Act
{
	const CadenceTables *tables;
	const Unsubscribe *who;
} Act;

static void
act(void *arg, int first, int n)
{
	const Act *a = arg;

	(void) cadence_inbound_unsubscribe(a->tables, a->who);
}

/* Whether it could be noted; what has nothing to do with it is raised. */
static bool
takes(const CadenceTables *t, const Unsubscribe *who)
{
	Act a = {t, who};
	ErrorData *error;

	if (XactReadOnly || RecoveryInProgress())
		return false;
	error = cadence_try(act, &a, 0, 1, false);
	if (error != NULL && !sqlstate_is_conflict(error->sqlerrcode))
		ThrowErrorData(error);
	return error == NULL;
}

static WebPage
page_of(const CadenceTables *t, const char *token, bool acts)
{
	CadenceSecretKey *key = cadence_secret_key_create(t, UNSUBSCRIBE_KEY, true);
	MemoryContext context = CurrentMemoryContext;
	const char *company = NULL;
	Unsubscribe who;
	bool is_ours;

	(void) SPI_connect();
	MemoryContextSwitchTo(context);
	cadence_secret_key_read(key);
	is_ours = cadence_unsubscribe_read(key, token, &who);
	if (is_ours)
		company = company_name(t, who.empresa);
	SPI_finish();
	if (!is_ours)
		return no_page();
	if (!acts)
		return ask(&who, company);
	return takes(t, &who) ? done(&who, company) : not_now();
}

static Datum
page_row(FunctionCallInfo fcinfo, const WebPage *page)
{
	Datum values[] = {Int32GetDatum(page->status),
					  DirectFunctionCall1(jsonb_in, CStringGetDatum(HEADERS)),
					  CStringGetTextDatum(psprintf(PAGE, page->title, page->title, page->text))};
	bool nulls[lengthof(values)] = {false};
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cadence_unsubscribe() returns a row")));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * cadence_unsubscribe(token text, one_click boolean DEFAULT false) -> (status int,
 * headers jsonb, body text): the page that asks, or, for a POST (one_click), the act
 * and what to say of it. Of whatever is no token of ours nothing is told.
 *
 * Errors: 42P01 and what else keeps the tables from being found; 55000 without the key;
 * whatever the tables, or what hangs on them, refuse.
 */
Datum
cadence_unsubscribe(PG_FUNCTION_ARGS)
{
	CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	char *token = PG_ARGISNULL(0) ? pstrdup("") : text_to_cstring(PG_GETARG_TEXT_PP(0));
	CadenceCaller caller = cadence_inbound_begin(t);
	WebPage page = page_of(t, token, !PG_ARGISNULL(1) && PG_GETARG_BOOL(1));

	cadence_owner_end(caller);
	PG_RETURN_DATUM(page_row(fcinfo, &page));
}
