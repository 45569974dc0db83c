/*
 * policy.c
 *		What cadences, their steps and companies say about when and whether.
 *
 * Rows are checked when they are written (sqlapi/policy_check.c). Adopted tables may
 * have others all the same: what is no window opens never, and a number that is no cap
 * lets nothing through, since nothing is to be sent that should have waited.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "schema/policy.h"

#define SPREAD_US (10 * 60 * USECS_PER_SEC)

/* Longer intervals are for ever. */
#define INTERVAL_MAX_US (INT64CONST(3650) * USECS_PER_DAY)

enum
{
	POLICY_CADENCE_WINDOW,
	POLICY_CADENCE_SPREAD,
	POLICY_PRIORITY,
	POLICY_MAX_OF_CADENCE,
	POLICY_MAX_NEW,
	POLICY_COMPANY_WINDOW,
	POLICY_COMPANY_SPREAD,
	POLICY_ZONE,
	POLICY_UF,
	POLICY_MAX_OF_PERSON,
	POLICY_MAX_OF_COMPANY,
	POLICY_MIN_GAP
};

/* ---- what is selected ---------------------------------------------------------------- */

/* Of a step, by the name that a statement knows it by. */
char *
cadence_step_time_columns(const char *s)
{
	return psprintf(
		CLAMPED_INT("%1$s.offset_minutos") ", " SHORT_TEXT(
			"%1$s.offset_referencia", "100") ", %1$s.horario::pg_catalog.time, %1$s.dias_uteis",
		s);
}

/* What is too long for a window is none. */
static char *
window_column(const char *x)
{
	return psprintf("CASE WHEN pg_catalog.pg_column_size(%1$s.janela) " LE " 8192 "
					"THEN %1$s.janela::text WHEN %1$s.janela IS NOT NULL THEN 'too long' END",
					x);
}

static char *
cadence_columns(const char *c)
{
	return psprintf(
		"%2$s, %1$s.janela_espalha::interval, " CLAMPED_INT("%1$s.prioridade") ", " CLAMPED_INT(
			"%1$s.max_por_dia") ", " CLAMPED_INT("%1$s.max_novos_por_dia"),
		c, window_column(c));
}

static char *
company_columns(const char *e)
{
	return psprintf("%2$s, %1$s.janela_espalha::interval, " SHORT_TEXT("%1$s.fuso_horario", "100") ", " SHORT_TEXT(
						"%1$s.uf",
						"10") ", " CLAMPED_INT("%1$s.max_por_lead_dia") ", " CLAMPED_INT("%1$s.max_"
																						 "por_dia") ", %1$s.intervalo_minimo::interval",
					e, window_column(e));
}

/* Of a cadence and a company, likewise. */
char *
cadence_policy_columns(const char *cadence, const char *empresa)
{
	return psprintf("%s, %s", cadence_columns(cadence), company_columns(empresa));
}

/* ---- what is read -------------------------------------------------------------------- */

/* An interval in microseconds, from none to ten years; a month has thirty days. */
int64
cadence_interval_us(TupleDesc desc, HeapTuple row, int column, int64 otherwise)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);
	const Interval *interval;
	double us;

	if (isnull)
		return otherwise;
	interval = DatumGetIntervalP(value);
	us = interval->time + (interval->day + 30.0 * interval->month) * USECS_PER_DAY;
	return us < 0 ? 0 : us > INTERVAL_MAX_US ? INTERVAL_MAX_US : (int64) us;
}

/* What cadence_step_time_columns() has selected, from that column on. */
void
cadence_step_time_read(TupleDesc desc, HeapTuple row, int first, StepTime *time)
{
	char *reference = row_text(desc, row, first + 1, ROW_KEY_MAX);
	bool isnull;
	Datum horario = SPI_getbinval(row, desc, first + 2, &isnull);

	time->offset = row_int(desc, row, first, 0);
	time->from_start = reference != NULL && strcmp(reference, "INICIO") == 0;
	time->has_time = !isnull;
	time->time = isnull ? 0 : Min(DatumGetTimeADT(horario), USECS_PER_DAY - 1);
	time->working_days = row_true(desc, row, first + 3);
}

/* A number that is no cap is one that is used up. */
static int
read_cap(TupleDesc desc, HeapTuple row, int column)
{
	int max = row_int(desc, row, column, 0);

	return !row_is_null(desc, row, column) && max <= 0 ? -1 : max;
}

static void
read_window(TupleDesc desc, HeapTuple row, int column, CadencePolicy *policy)
{
	char *json = row_text(desc, row, column, ROW_FIELD_MAX);
	Window *window;
	char problem[WINDOW_PROBLEM_SIZE];

	/* compressed, it was short */
	policy->window_unknown = json == NULL && !row_is_null(desc, row, column);
	if (json == NULL)
		return;
	window = palloc(sizeof(*window));
	if (window_read(json, strlen(json), window, problem))
		policy->window = window;
	else
		policy->window_unknown = true;
}

/* What cadence_policy_columns() has selected, from that column on; in the current memory context.
 */
void
cadence_policy_read(TupleDesc desc, HeapTuple row, int first, CadencePolicy *p)
{
#define COLUMN(name) (first + POLICY_##name)
	bool own = !row_is_null(desc, row, COLUMN(CADENCE_WINDOW));

	memset(p, 0, sizeof(*p));
	read_window(desc, row, own ? COLUMN(CADENCE_WINDOW) : COLUMN(COMPANY_WINDOW), p);
	p->spread_us =
		cadence_interval_us(desc, row, COLUMN(CADENCE_SPREAD),
							cadence_interval_us(desc, row, COLUMN(COMPANY_SPREAD), SPREAD_US));
	p->priority = row_int(desc, row, COLUMN(PRIORITY), 0);
	p->zone = row_text(desc, row, COLUMN(ZONE), ROW_KEY_MAX);
	p->uf = row_text(desc, row, COLUMN(UF), ROW_KEY_MAX);
	p->max_of_cadence = read_cap(desc, row, COLUMN(MAX_OF_CADENCE));
	p->max_new = read_cap(desc, row, COLUMN(MAX_NEW));
	p->max_of_person = read_cap(desc, row, COLUMN(MAX_OF_PERSON));
	p->max_of_company = read_cap(desc, row, COLUMN(MAX_OF_COMPANY));
	p->min_gap_us = cadence_interval_us(desc, row, COLUMN(MIN_GAP), 0);
#undef COLUMN
}
