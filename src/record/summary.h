/*
 * summary.h
 *		What an execution did: the counts and the results, as the caller and the
 *		log row get them, and that row.
 */
#ifndef CADENCE_SUMMARY_H
#define CADENCE_SUMMARY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "schema/tables.h"

typedef struct CadenceSummary
{
	MemoryContext context;
	MemoryContext scratch;
	const char *trigger;
	TimestampTz started_at;
	TimestampTz finished_at;
	int64 success;
	int64 errors;
	int64 skipped;
	int max_results;
	List *results; /* finished jsonb objects, those of errors first */
	int nfailed;   /* so many are those */
	size_t bytes;  /* and so large are all */
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
	const int *step_ordem; /* NULL: none */
	const char *template_codigo;
	const char *status; /* DISPARADO, CONCLUIDA, ERRO or SKIPPED */
	const char *message;
} SummaryResult;

extern CadenceSummary *cadence_summary_create(const char *trigger, int max_results);
extern void cadence_summary_add(CadenceSummary *summary, const SummaryResult *result);
extern StringInfo cadence_summary_share(const CadenceSummary *summary);
extern void cadence_summary_merge(CadenceSummary *summary, StringInfo share);
extern int64 cadence_summary_total(const CadenceSummary *summary);
extern char *cadence_summary_json(const CadenceSummary *summary);
extern void cadence_log_write(const CadenceTables *tables, CadenceSummary *summary);
extern bool cadence_log_prune(const CadenceTables *tables);

#endif
