/*
 * tally.h
 *		What has happened, counted: rows of cadence_deltas, written in the transaction
 *		of what they count.
 */
#ifndef CADENCE_TALLY_H
#define CADENCE_TALLY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "schema/tables.h"
#include "step.h"

/* So many more of something: texts that are NULL are ''. sql/71_rollup.sql says what is what. */
typedef struct TallyRow
{
	const char *kind;
	const char *empresa;
	const char *server;
	const char *canal;
	const char *outcome;
	const char *code;
	const char *template_codigo;
	const pg_uuid_t *cadence; /* NULL: none, as of the next three */
	const pg_uuid_t *step;
	const pg_uuid_t *next_step; /* that as many have come to */
	const int32 *day;			/* on which these runs have begun, in days since 2000-01-01 */
	const char *mark;			/* a column of cadence_cohorts */
	int64 n;
	int64 us;
	Datum buckets; /* jsonb; 0: none */
	TimestampTz first_at;
	TimestampTz last_at;
} TallyRow;

/* What a run counts once only. */
typedef enum TallyOnce
{
	TALLY_EACH,
	TALLY_FIRST_FAILURE, /* of its step */
	TALLY_ONLY_FAILURE,	 /* likewise, when its event is written already */
	TALLY_FIRST_DELIVERED,
	TALLY_FIRST_READ
} TallyOnce;

/* Something that has happened to a run: the rest is looked up. */
typedef struct TallyRun
{
	TallyRow row; /* without empresa, cadence, step and day */
	pg_uuid_t run;
	const pg_uuid_t *step; /* NULL: the one that had that number, and sent that template */
	bool has_ordem;
	int ordem;
	bool has_next; /* it has come to the step of that number */
	int next_ordem;
	TallyOnce once;
	const pg_uuid_t *message; /* that is counted; NULL: none */
} TallyRun;

/* Something that a person has done. */
typedef struct TallyPerson
{
	TallyRow row; /* likewise */
	const char *lead_id;
	const char *empresa;
	const pg_uuid_t *answer; /* row of lead_messages; NULL: it is an opt-out */
	TimestampTz at;
} TallyPerson;

/* The beginning of the minute, the day or the like that something was in. */
static inline TimestampTz
tally_beginning(TimestampTz at, int64 unit)
{
	TimestampTz rest = at % unit;

	return at - rest - (rest < 0 ? unit : 0);
}

/* Of which cadence_cohorts has how many runs have begun, whatever steps they have come to. */
extern const pg_uuid_t tally_no_step;

typedef struct CadenceTally CadenceTally;

/*
 * Each works in a subtransaction, inside the caller's transaction and SPI connection:
 * what goes wrong in counting is a warning, and undoes nothing of what is counted.
 */
extern CadenceTally *cadence_tally_create(const CadenceTables *tables);
extern void cadence_tally_write(CadenceTally *tally, const TallyRow *rows, int n);
extern void cadence_tally_steps(CadenceTally *tally, CadenceStep **steps, int n);
extern void cadence_tally_runs(CadenceTally *tally, const TallyRun *list, int n);
extern void cadence_tally_person(CadenceTally *tally, const TallyPerson *did);

/* For who has a subtransaction: what goes wrong is raised. */
extern void tally_insert(CadenceTally *tally, const TallyRow *rows, int n);

/* How many took how long: bounds in ascending order, the last of them without end. */
#define TALLY_BUCKETS_MAX 20

typedef struct TallyHistogram
{
	const double *bounds; /* in seconds */
	int nbounds;
	int64 n[TALLY_BUCKETS_MAX];
	int64 count;
	int64 us;
} TallyHistogram;

extern const double tally_due_bounds[];
extern const int tally_due_nbounds;
extern const double tally_send_bounds[];
extern const int tally_send_nbounds;
extern const double tally_execution_bounds[];
extern const int tally_execution_nbounds;

extern void tally_observe(TallyHistogram *histogram, int64 us);
extern void tally_histogram_row(const TallyHistogram *histogram, TallyRow *row);

#endif
