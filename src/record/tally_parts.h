/*
 * tally_parts.h
 *		What the files of the tally share.
 */
#ifndef CADENCE_TALLY_PARTS_H
#define CADENCE_TALLY_PARTS_H

#include "postgres.h"

#include "base/statement.h"
#include "base/transaction.h"
#include "record/tally.h"

struct CadenceTally
{
	const CadenceTables *tables;
	Statement insert;
	Statement find_runs;
	Statement find_last;
	Statement lock_run;
	Statement is_first_reply;
	Statement is_first_opt_out;
};

/* Who writes: the owner, or somebody for whom the owner does. */
typedef struct TallyWriter
{
	bool is_other;
	CadenceCaller caller;
} TallyWriter;

static inline TimestampTz
tally_minute(TimestampTz at)
{
	return tally_beginning(at, USECS_PER_MINUTE);
}

extern TallyWriter tally_begin(const CadenceTally *tally);
extern void tally_end(const TallyWriter *writer);
extern void tally_try(CadenceWork work, void *arg, int n);
extern void tally_runs(CadenceTally *tally, const TallyRun *list, int n);
extern void tally_runs_prepare(CadenceTally *tally);

#endif
