/*
 * plain_loop.c
 *		What most people write first: one run at a time over one connection.
 *
 * The yardstick of the benchmark. It does the same durable work per step as
 * the extension: claims the run, reads what the message needs, sends one POST,
 * and writes message, events and the run's move, each with a statement and a
 * commit of its own. It is not slow on purpose: statements are prepared,
 * everything that one lookup can bring comes from one, and the HTTP connection
 * is kept.
 *
 *		plain_loop URL MAX_STEPS
 *
 * prints "RESULT steps seconds". The database comes from libpq's environment.
 */
#include <curl/curl.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOKEN "bench-token-0123456789abcdef"
#define TEXT_MAX 4096
#define LOOK_ROWS "100"

static PGconn *db;
static CURL *http;

/* Columns of the statement "read". */
enum
{
	READ_LEAD,
	READ_EMPRESA,
	READ_ORDEM,
	READ_CANAL,
	READ_TEMPLATE,
	READ_TEXT,
	READ_NAME,
	READ_PHONE,
	READ_NEXT_ORDEM,
	READ_NEXT_DUE
};

static const struct
{
	const char *name;
	const char *sql;
} statements[] = {
	{"look", "SELECT id, next_run_at FROM lead_cadence_runs WHERE status = 'ATIVA' "
			 "AND next_run_at <= now() ORDER BY next_run_at LIMIT " LOOK_ROWS},
	{"claim", "UPDATE lead_cadence_runs SET next_run_at = now() + interval '5 min', "
			  "updated_at = now() WHERE id = $1 AND next_run_at = $2::timestamptz"},
	{"read", "SELECT r.lead_id, r.empresa, s.ordem, s.canal, s.template_codigo, t.conteudo, "
			 "k.primeiro_nome, k.telefone, n.ordem, "
			 "now() + n.offset_minutos * interval '1 min' "
			 "FROM lead_cadence_runs r "
			 "JOIN cadence_steps s ON s.cadence_id = r.cadence_id AND s.ordem = r.next_step_ordem "
			 "JOIN lead_contacts k ON k.lead_id = r.lead_id AND k.empresa = r.empresa "
			 "JOIN message_templates t ON t.empresa = r.empresa AND t.codigo = s.template_codigo "
			 "LEFT JOIN cadence_steps n ON n.cadence_id = r.cadence_id AND n.ordem = s.ordem + 1 "
			 "WHERE r.id = $1"},
	{"message", "INSERT INTO lead_messages (lead_id, empresa, run_id, canal, direcao, conteudo, "
				"estado, enviado_em, step_ordem, template_codigo, whatsapp_message_id) "
				"VALUES ($2, $3, $1, $4, 'OUTBOUND', $5, 'ENVIADO', now(), $6, $7, $8)"},
	{"event", "INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, "
			  "template_codigo, tipo_evento, detalhes) "
			  "VALUES ($1, $2, $3, $4, jsonb_build_object($5::text, $6::text))"},
	{"move", "UPDATE lead_cadence_runs SET last_step_ordem = $2, next_step_ordem = $3, "
			 "next_run_at = $4, updated_at = now(), "
			 "status = CASE WHEN $3::int IS NULL THEN 'CONCLUIDA' ELSE 'ATIVA' END WHERE id = $1"}};

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "plain_loop: %s: %s\n", what, why);
	exit(1);
}

static PGresult *
query(const char *name, int n, const char *const *values)
{
	PGresult *result = PQexecPrepared(db, name, n, values, NULL, NULL, 0);
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		fail(name, PQerrorMessage(db));
	return result;
}

static void
execute(const char *name, int n, const char *const *values)
{
	PQclear(query(name, n, values));
}

static void
connect_database(void)
{
	db = PQconnectdb("");
	if (PQstatus(db) != CONNECTION_OK)
		fail("connection", PQerrorMessage(db));
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
	{
		PGresult *result = PQprepare(db, statements[i].name, statements[i].sql, 0, NULL);

		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			fail(statements[i].name, PQerrorMessage(db));
		PQclear(result);
	}
}

static size_t
keep_answer(char *data, size_t size, size_t count, void *arg)
{
	char *answer = arg;
	size_t have = strlen(answer);
	size_t n = size * count;

	if (have + n >= TEXT_MAX)
		return 0;
	memcpy(answer + have, data, n);
	answer[have + n] = '\0';
	return n;
}

static void
connect_provider(const char *url, char *answer)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");

	headers = curl_slist_append(headers, "Authorization: Bearer " TOKEN);
	http = curl_easy_init();
	if (http == NULL || headers == NULL)
		fail("libcurl", "out of memory");
	curl_easy_setopt(http, CURLOPT_URL, url);
	curl_easy_setopt(http, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(http, CURLOPT_WRITEFUNCTION, keep_answer);
	curl_easy_setopt(http, CURLOPT_WRITEDATA, answer);
}

/* The template's text with its two placeholders filled in; the data needs no JSON escapes. */
static void
render(char *text, const PGresult *row)
{
	const char *from = PQgetvalue(row, 0, READ_TEXT);
	const char *const names[] = {"{{primeiro_nome}}", "{{empresa}}"};
	const char *const values[] = {PQgetvalue(row, 0, READ_NAME), PQgetvalue(row, 0, READ_EMPRESA)};
	size_t n = 0;

	while (*from != '\0' && n < TEXT_MAX / 2)
	{
		int which = strncmp(from, names[0], strlen(names[0])) == 0	 ? 0
					: strncmp(from, names[1], strlen(names[1])) == 0 ? 1
																	 : -1;

		if (which < 0)
			text[n++] = *from++;
		else
		{
			n += snprintf(text + n, TEXT_MAX - n, "%s", values[which]);
			from += strlen(names[which]);
		}
	}
	text[n] = '\0';
}

/* Sends one message; leaves the provider's id for it. */
static void
post(const char *run, const PGresult *row, const char *text, char *answer, char *message_id)
{
	char body[TEXT_MAX * 2];
	long status = 0;
	CURLcode code;

	snprintf(body, sizeof(body),
			 "{\"leadId\":\"%s\",\"telefone\":\"%s\",\"mensagem\":\"%s\",\"empresa\":\"%s\","
			 "\"runId\":\"%s\",\"stepOrdem\":%s,\"templateCodigo\":\"%s\",\"canal\":\"%s\"}",
			 PQgetvalue(row, 0, READ_LEAD), PQgetvalue(row, 0, READ_PHONE), text,
			 PQgetvalue(row, 0, READ_EMPRESA), run, PQgetvalue(row, 0, READ_ORDEM),
			 PQgetvalue(row, 0, READ_TEMPLATE), PQgetvalue(row, 0, READ_CANAL));
	answer[0] = '\0';
	curl_easy_setopt(http, CURLOPT_POSTFIELDS, body);
	code = curl_easy_perform(http);
	curl_easy_getinfo(http, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK || status != 200)
		fail("POST", code != CURLE_OK ? curl_easy_strerror(code) : answer);
	if (sscanf(answer, "{\"success\":true,\"messageId\":\"%63[^\"]", message_id) != 1)
		fail("answer", answer);
}

static void
record(const char *run, const PGresult *row, const char *text, const char *message_id)
{
	const char *ordem = PQgetvalue(row, 0, READ_ORDEM);
	const char *template = PQgetvalue(row, 0, READ_TEMPLATE);
	bool is_last = PQgetisnull(row, 0, READ_NEXT_ORDEM);
	const char *next = is_last ? NULL : PQgetvalue(row, 0, READ_NEXT_ORDEM);
	const char *due = is_last ? NULL : PQgetvalue(row, 0, READ_NEXT_DUE);

	execute("message", 8,
			(const char *[]){run, PQgetvalue(row, 0, READ_LEAD), PQgetvalue(row, 0, READ_EMPRESA),
							 PQgetvalue(row, 0, READ_CANAL), text, ordem, template, message_id});
	execute("event", 6,
			(const char *[]){run, ordem, template, "DISPARADO", "message_id", message_id});
	execute("move", 4, (const char *[]){run, ordem, next, due});
	if (!is_last)
		execute("event", 6, (const char *[]){run, next, "", "AGENDADO", "next_run_at", due});
}

/* False when somebody else has the run. */
static bool
work_on(const char *run, const char *due, char *answer)
{
	char text[TEXT_MAX];
	char message_id[64];
	PGresult *row;
	PGresult *claimed = query("claim", 2, (const char *[]){run, due});
	bool is_ours = strcmp(PQcmdTuples(claimed), "1") == 0;

	PQclear(claimed);
	if (!is_ours)
		return false;
	row = query("read", 1, (const char *[]){run});
	if (PQntuples(row) != 1)
		fail(run, "does not resolve");
	render(text, row);
	post(run, row, text, answer, message_id);
	record(run, row, text, message_id);
	PQclear(row);
	return true;
}

static long
work_on_all(long max, char *answer)
{
	long steps = 0;

	while (steps < max)
	{
		PGresult *due = query("look", 0, NULL);
		int n = PQntuples(due);

		for (int i = 0; i < n && steps < max; i++)
			steps += work_on(PQgetvalue(due, i, 0), PQgetvalue(due, i, 1), answer);
		PQclear(due);
		if (n == 0)
			break;
	}
	return steps;
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	char answer[TEXT_MAX];
	double start;
	long steps;

	if (argc != 3)
		fail("usage", "plain_loop URL MAX_STEPS");
	curl_global_init(CURL_GLOBAL_DEFAULT);
	connect_provider(argv[1], answer);
	connect_database();
	start = seconds();
	steps = work_on_all(atol(argv[2]), answer);
	printf("RESULT %ld %.3f\n", steps, seconds() - start);
	return 0;
}
