/*
 * policy.h
 *		What cadences, their steps and companies say about when and whether.
 */
#ifndef CADENCE_POLICY_H
#define CADENCE_POLICY_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

#include "base/statement.h"
#include "rules/due.h"
#include "rules/window.h"

/*
 * What a statement selects of a step, a cadence, a company that it knows by these names, in
 * this order.
 */
#define STEP_TIME_COLUMNS(s)                                                             \
	"GREATEST(LEAST(" s ".offset_minutos, 2147483647), -2147483648)::int4, " SHORT_TEXT( \
		s ".offset_referencia", "100") ", " s ".horario::pg_catalog.time, " s ".dias_uteis"
#define STEP_TIME_NCOLUMNS 4

#define POLICY_WINDOW(x)                                                                     \
	"CASE WHEN pg_catalog.pg_column_size(" x ".janela) " LE " 8192 THEN " x ".janela::text " \
	"WHEN " x ".janela IS NOT NULL THEN 'longer than 8192 bytes' END"
#define POLICY_COUNT(number) "GREATEST(LEAST(" number ", 2147483647), -2147483648)::int4"
#define POLICY_COLUMNS(c, e)                                                                                                                                                                                       \
	POLICY_WINDOW(c)                                                                                                                                                                                               \
	", " c ".janela_espalha::interval, " POLICY_COUNT(c ".prioridade") ", " POLICY_COUNT(                                                                                                                          \
		c                                                                                                                                                                                                          \
		".max_"                                                                                                                                                                                                    \
		"por_"                                                                                                                                                                                                     \
		"dia") ", " POLICY_COUNT(c ".max_novos_por_dia") ", " POLICY_WINDOW(e) ", " e                                                                                                                              \
																			   ".janela_espalha::"                                                                                                                 \
																			   "interval,"                                                                                                                         \
																			   " " SHORT_TEXT(e ".fuso_horario", "100") ", " SHORT_TEXT(e ".uf", "10") ", " POLICY_COUNT(e ".max_por_lead_dia") ", " POLICY_COUNT( \
																				   e ".max_por_"                                                                                                                   \
																					 "dia") ","                                                                                                                    \
																							" " e                                                                                                                  \
																							".i"                                                                                                                   \
																							"nt"                                                                                                                   \
																							"er"                                                                                                                   \
																							"va"                                                                                                                   \
																							"lo"                                                                                                                   \
																							"_m"                                                                                                                   \
																							"in"                                                                                                                   \
																							"im"                                                                                                                   \
																							"o:"                                                                                                                   \
																							":i"                                                                                                                   \
																							"nt"                                                                                                                   \
																							"er"                                                                                                                   \
																							"va"                                                                                                                   \
																							"l"
#define POLICY_NCOLUMNS 12

typedef struct CadencePolicy
{
	const Window *window; /* NULL: always */
	bool window_unknown;  /* what is written there is none */
	int64 spread_us;
	int priority;
	const char *zone; /* the company's; NULL: it says none */
	const char *uf;

	/* 0: any number */
	int max_of_cadence;
	int max_new;
	int max_of_person;
	int max_of_company;
	int64 min_gap_us;
} CadencePolicy;

/* Whether something depends on the people's or the company's time. */
static inline bool
cadence_policy_counts_days(const CadencePolicy *p)
{
	return p->max_of_cadence != 0 || p->max_new != 0 || p->max_of_person != 0 ||
		   p->max_of_company != 0;
}

extern int64 cadence_interval_us(TupleDesc desc, HeapTuple row, int column, int64 otherwise);
extern void cadence_step_time_read(TupleDesc desc, HeapTuple row, int first, StepTime *time);
extern void cadence_policy_read(TupleDesc desc, HeapTuple row, int first, CadencePolicy *policy);

#endif
