/*
 * policy_check.c
 *		cadence_check_policy(): the trigger that refuses policies that can not be.
 *
 * No SQL is spoken, so that neither a search path nor the rights of whoever writes
 * the row matter. Columns are found by name: an adopted table has its own order and
 * types. What an update leaves as it was is not looked at: a row that was wrong
 * before does not stand in the way of what has nothing to do with that.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/clip.h"
#include "rules/window.h"
#include "schema/calendar.h"

PG_FUNCTION_INFO_V1(cadence_check_policy);

/* What is read of a window; see schema/policy.h. */
#define WINDOW_MAX 8192

/* So much of a value is shown. */
#define SHOWN_MAX 100

/* Why a value can not be; NULL: it can. */
typedef const char *(*PolicyCheck)(Datum value, Oid type);

typedef struct PolicyColumn
{
	const char *table;
	const char *name;
	PolicyCheck check;
	Oid base; /* what the type must be at bottom, where it is not read as text */
	const char *hint;
} PolicyColumn;

static char *
text_of(Datum value, Oid type)
{
	Oid output;
	bool is_varlena;

	getTypeOutputInfo(type, &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

/* ---- each kind of value --------------------------------------------------------------- */

static const char *
check_window(Datum value, Oid type)
{
	static char problem[WINDOW_PROBLEM_SIZE];
	Window window;
	char *text;

	if (toast_raw_datum_size(value) > WINDOW_MAX)
		return "it is longer than 8192 bytes";
	text = text_of(value, type);
	return window_read(text, strlen(text), &window, problem) ? NULL : problem;
}

static const char *
check_word(Datum value, Oid type, const char *const *words)
{
	char *text = text_of(value, type);

	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return NULL;
	return "there is no such word";
}

static const char *
check_reentry(Datum value, Oid type)
{
	static const char *const words[] = {"UMA_VEZ", "SE_INATIVO", "SEMPRE", NULL};

	return check_word(value, type, words);
}

static const char *
check_reference(Datum value, Oid type)
{
	static const char *const words[] = {"ANTERIOR", "INICIO", NULL};

	return check_word(value, type, words);
}

static const char *
check_failure(Datum value, Oid type)
{
	static const char *const words[] = {"PAUSAR", "PULAR", NULL};

	return check_word(value, type, words);
}

static const char *
check_cap(Datum value, Oid type)
{
	const char *text = text_of(value, type);

	return text[0] != '-' && strcmp(text, "0") != 0 ? NULL : "a cap is at least 1";
}

/* As policies are read: a month has thirty days. */
static double
span_of(Datum value)
{
	const Interval *span = DatumGetIntervalP(value);

	return span->time + (span->day + 30.0 * span->month) * USECS_PER_DAY;
}

static const char *
check_span(Datum value, Oid type)
{
	return span_of(value) >= 0 ? NULL : "it is negative";
}

static const char *
check_validity(Datum value, Oid type)
{
	return span_of(value) > 0 ? NULL : "nothing could be sent within it";
}

static const char *
check_clock(Datum value, Oid type)
{
	return DatumGetTimeADT(value) < USECS_PER_DAY ? NULL : "no day has that time";
}

static const char *
check_zone(Datum value, Oid type)
{
	return cadence_zone_find(text_of(value, type)) != NULL
			   ? NULL
			   : "the server's time-zone data has no zone of that name";
}

/* ---- the columns ---------------------------------------------------------------------- */

#define HINT_WINDOW                                                              \
	"Write a list such as [{\"dias\": [1,2,3,4,5], \"das\": \"08:00\", \"ate\":" \
	" \"18:00\"}]; null is "
#define HINT_SPREAD "Write an interval such as '10 minutes', or '0' for no spread at all."
#define HINT_CAP "Write a number such as 100; null is any number."

static const PolicyColumn columns[] = {
	{"cadences", "janela", check_window, JSONBOID, HINT_WINDOW "the company's."},
	{"cadences", "janela_espalha", check_span, INTERVALOID, HINT_SPREAD},
	{"cadences", "max_por_dia", check_cap, InvalidOid, HINT_CAP},
	{"cadences", "max_novos_por_dia", check_cap, InvalidOid, HINT_CAP},
	{"cadences", "reentrada", check_reentry, InvalidOid,
	 "Write one of UMA_VEZ, SE_INATIVO and SEMPRE; null is SE_INATIVO."},
	{"cadence_steps", "offset_referencia", check_reference, InvalidOid,
	 "Write one of ANTERIOR and INICIO; null is ANTERIOR."},
	{"cadence_steps", "horario", check_clock, TIMEOID,
	 "Write a time from 00:00 to 23:59, such as 09:00; null is the time that the offset leads to."},
	{"cadence_steps", "validade", check_validity, INTERVALOID,
	 "Write an interval such as '12 hours'; null is for ever."},
	{"cadence_steps", "se_falhar", check_failure, InvalidOid,
	 "Write one of PAUSAR and PULAR; null is PAUSAR."},
	{"cadence_empresas", "fuso_horario", check_zone, InvalidOid,
	 "Write a name such as America/Manaus, with its region; the view pg_timezone_names has them."},
	{"cadence_empresas", "janela", check_window, JSONBOID, HINT_WINDOW "always."},
	{"cadence_empresas", "janela_espalha", check_span, INTERVALOID, HINT_SPREAD},
	{"cadence_empresas", "max_por_lead_dia", check_cap, InvalidOid, HINT_CAP},
	{"cadence_empresas", "max_por_dia", check_cap, InvalidOid, HINT_CAP},
	{"cadence_empresas", "intervalo_minimo", check_span, INTERVALOID,
	 "Write an interval such as '4 hours'; null is none."}};

static void
refuse(const PolicyColumn *column, Relation relation, int attnum, const char *value,
	   const char *why)
{
	int shown = cadence_text_fits(value, SHOWN_MAX);

	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid %s of a row of %s: %s", column->name, column->table, why),
					errdetail("The value is \"%.*s\"%s.", shown, value,
							  value[shown] != '\0' ? ", and longer" : ""),
					errhint("%s", column->hint), errtablecol(relation, attnum)));
}

/* Whether the trigger's row gives the column a value that it did not have. */
static bool
is_new(const TriggerData *trigger, int attnum, Datum value)
{
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	Form_pg_attribute attribute = TupleDescAttr(desc, attnum - 1);
	bool was_null;
	Datum old;

	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return true;
	old = heap_getattr(trigger->tg_trigtuple, attnum, desc, &was_null);
	return was_null || !datum_image_eq(old, value, attribute->attbyval, attribute->attlen);
}

static void
check_column(const PolicyColumn *column, const TriggerData *trigger, HeapTuple row)
{
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	int attnum = get_attnum(RelationGetRelid(trigger->tg_relation), column->name);
	bool isnull;
	Datum value;
	Oid type;
	const char *why;

	if (attnum == InvalidAttrNumber)
		return;
	value = heap_getattr(row, attnum, desc, &isnull);
	if (isnull || !is_new(trigger, attnum, value))
		return;
	type = TupleDescAttr(desc, attnum - 1)->atttypid;
	/* a type that has been changed since the table was adopted is refused by who reads it */
	if (OidIsValid(column->base) && getBaseType(type) != column->base)
		return;
	why = column->check(value, type);
	if (why != NULL)
		refuse(column, trigger->tg_relation, attnum, text_of(value, type), why);
}

/*
 * cadence_check_policy(table text) -> trigger: before each row of the tables that
 * have policies. The argument is the table's name, which a partition does not have.
 */
Datum
cadence_check_policy(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple row;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || trigger->tg_trigger->tgnargs != 1)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_check_policy() must be called as a trigger before each "
							   "row, with the table's name")));
	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
	for (size_t i = 0; i < lengthof(columns); i++)
		if (strcmp(columns[i].table, trigger->tg_trigger->tgargs[0]) == 0)
			check_column(&columns[i], trigger, row);
	return PointerGetDatum(row);
}
