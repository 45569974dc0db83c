/*
 * summary.h
 *		What an execution did: the counts and the results, as the caller and the
 *		log row get them.
 */
#ifndef CADENCE_SUMMARY_H
#define CADENCE_SUMMARY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

typedef struct SummaryList
{
	StringInfoData json; /* objects, joined by commas */
	int count;
} SummaryList;

typedef struct CadenceSummary
{
	const char *trigger;
	TimestampTz started_at;
	TimestampTz finished_at;
	int64 success;
	int64 errors;
	int64 skipped;
	int max_results;
	SummaryList failed; /* listed first */
	SummaryList others;
	bool truncated;

	/* why the execution itself failed; NULL: it did not */
	const char *failure_sqlstate;
	const char *failure_message;
} CadenceSummary;

/* One entry of the results. */
typedef struct SummaryResult
{
	const char *run_id;
	const char *lead_id;
	bool has_step;
	int step_ordem;
	const char *template_codigo;
	const char *status; /* DISPARADO, CONCLUIDA, ERRO or SKIPPED */
	const char *message;
} SummaryResult;

extern CadenceSummary *cadence_summary_create(const char *trigger, int max_results);
extern void cadence_summary_add(CadenceSummary *summary, const SummaryResult *result);
extern StringInfo cadence_summary_share(const CadenceSummary *summary);
extern void cadence_summary_merge(CadenceSummary *summary, StringInfo share);
extern void cadence_summary_finish(CadenceSummary *summary);
extern int64 cadence_summary_total(const CadenceSummary *summary);
extern int64 cadence_summary_duration_ms(const CadenceSummary *summary);
extern char *cadence_summary_json(const CadenceSummary *summary);
extern char *cadence_summary_details(const CadenceSummary *summary);

#endif
