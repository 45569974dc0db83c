/*
 * summary.c
 *		What an execution did, as the caller and the log row get it.
 *
 * Results are kept as finished JSON, at most as many as will be shown and at
 * most so many bytes: an execution over a million runs costs no more memory
 * here than one over a thousand.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "record/summary.h"

#define RESULTS_MAX_BYTES (400 * 1024)

CadenceSummary *
cadence_summary_create(const char *trigger, int max_results)
{
	CadenceSummary *summary = palloc0(sizeof(*summary));

	summary->trigger = trigger;
	summary->started_at = GetCurrentTimestamp();
	summary->max_results = max_results;
	initStringInfo(&summary->failed.json);
	initStringInfo(&summary->others.json);
	return summary;
}

static void
append_result(StringInfo json, const SummaryResult *r)
{
	bool is_error = strcmp(r->status, "ERRO") == 0;

	appendStringInfoChar(json, '{');
	json_add_text(json, "runId", r->run_id);
	json_add_text(json, "leadId", r->lead_id);
	if (r->has_step)
		json_add_int(json, "stepOrdem", r->step_ordem);
	else
		json_add_text(json, "stepOrdem", NULL);
	json_add_text(json, "templateCodigo", r->template_codigo);
	json_add_text(json, "status", r->status);
	json_add_text(json, is_error ? "erro" : "mensagem", r->message);
	appendStringInfoChar(json, '}');
}

static void
add_to_list(CadenceSummary *summary, SummaryList *list, const SummaryResult *result)
{
	if (list->count >= summary->max_results || list->json.len > RESULTS_MAX_BYTES)
	{
		summary->truncated = true;
		return;
	}
	if (list->count++ > 0)
		appendStringInfoString(&list->json, ", ");
	append_result(&list->json, result);
}

/*
 * Counts one result and keeps it for the list while there is room.
 */
void
cadence_summary_add(CadenceSummary *summary, const SummaryResult *result)
{
	if (strcmp(result->status, "ERRO") == 0)
	{
		summary->errors++;
		add_to_list(summary, &summary->failed, result);
		return;
	}
	if (strcmp(result->status, "SKIPPED") == 0)
		summary->skipped++;
	else
		summary->success++;
	add_to_list(summary, &summary->others, result);
}

static void
send_list(StringInfo share, const SummaryList *list)
{
	pq_sendint32(share, list->count);
	pq_sendint32(share, list->json.len);
	pq_sendbytes(share, list->json.data, list->json.len);
}

/* What does not fit into the list any more is dropped whole. */
static void
merge_list(CadenceSummary *summary, SummaryList *list, StringInfo share)
{
	int count = pq_getmsgint(share, 4);
	int len = pq_getmsgint(share, 4);
	const char *json = pq_getmsgbytes(share, len);

	if (count == 0)
		return;
	if (list->count >= summary->max_results || list->json.len > RESULTS_MAX_BYTES)
	{
		summary->truncated = true;
		return;
	}
	if (list->count > 0)
		appendStringInfoString(&list->json, ", ");
	appendBinaryStringInfo(&list->json, json, len);
	list->count += count;
}

/*
 * A helper's part of the summary, to be merged by the leader.
 */
StringInfo
cadence_summary_share(const CadenceSummary *summary)
{
	StringInfo share = makeStringInfo();

	pq_sendint64(share, summary->success);
	pq_sendint64(share, summary->errors);
	pq_sendint64(share, summary->skipped);
	pq_sendbyte(share, summary->truncated);
	send_list(share, &summary->failed);
	send_list(share, &summary->others);
	return share;
}

void
cadence_summary_merge(CadenceSummary *summary, StringInfo share)
{
	summary->success += pq_getmsgint64(share);
	summary->errors += pq_getmsgint64(share);
	summary->skipped += pq_getmsgint64(share);
	if (pq_getmsgbyte(share))
		summary->truncated = true;
	merge_list(summary, &summary->failed, share);
	merge_list(summary, &summary->others, share);
}

void
cadence_summary_finish(CadenceSummary *summary)
{
	summary->finished_at = GetCurrentTimestamp();
}

int64
cadence_summary_total(const CadenceSummary *summary)
{
	return summary->success + summary->errors + summary->skipped;
}

int64
cadence_summary_duration_ms(const CadenceSummary *summary)
{
	return Max(summary->finished_at - summary->started_at, 0) / 1000;
}

/*
 * Where a joined list ends after so many objects at most. The lists are ours:
 * an object starts with the key runId, which an escaped value can not fake.
 */
static int
length_of_first(const SummaryList *list, int count)
{
	const char *at = list->json.data;

	if (list->count <= count)
		return list->json.len;
	if (count == 0)
		return 0;
	for (int i = 0; i < count; i++)
	{
		at = strstr(at + 1, ", {\"runId\": ");
		if (at == NULL)
			return list->json.len;
	}
	return at - list->json.data;
}

/* Errors first, then the others while the limit lasts. */
static void
append_results(StringInfo json, const CadenceSummary *summary)
{
	int failed = length_of_first(&summary->failed, summary->max_results);
	int room = summary->max_results - summary->failed.count;
	int others = room > 0 ? length_of_first(&summary->others, room) : 0;

	appendStringInfoString(json, "\"results\": [");
	appendBinaryStringInfo(json, summary->failed.json.data, failed);
	if (failed > 0 && others > 0)
		appendStringInfoString(json, ", ");
	appendBinaryStringInfo(json, summary->others.json.data, others);
	appendStringInfoChar(json, ']');
	if (summary->truncated || failed < summary->failed.json.len ||
		others < summary->others.json.len)
		json_add_bool(json, "results_truncated", true);
}

/*
 * The value of cadence_run().
 */
char *
cadence_summary_json(const CadenceSummary *summary)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"success\": true, \"summary\": {");
	json_add_int(&json, "total", cadence_summary_total(summary));
	json_add_int(&json, "success", summary->success);
	json_add_int(&json, "errors", summary->errors);
	json_add_int(&json, "skipped", summary->skipped);
	json_add_int(&json, "duration_ms", cadence_summary_duration_ms(summary));
	json_add_text(&json, "trigger_source", summary->trigger);
	appendStringInfoString(&json, "}, ");
	append_results(&json, summary);
	appendStringInfoChar(&json, '}');
	return json.data;
}

/*
 * The column "details" of the log row.
 */
char *
cadence_summary_details(const CadenceSummary *summary)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	append_results(&json, summary);
	json_add_time(&json, "started_at", summary->started_at);
	json_add_time(&json, "finished_at", summary->finished_at);
	if (summary->failure_message != NULL)
	{
		json_add_text(&json, "sqlstate", summary->failure_sqlstate);
		json_add_text(&json, "erro", summary->failure_message);
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}
