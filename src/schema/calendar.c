/*
 * calendar.c
 *		The calendars of people: their time zones and holidays.
 *
 * A person's zone is what their contact says, else that of their telephone number,
 * where that tells, else their company's, else Sao Paulo's. What a contact says and
 * the server does not know is not guessed around: who asks is told.
 *
 * Holidays are few and people are many: they are read once, and people of one
 * place share the list of theirs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "pgtime.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "rules/phone.h"
#include "rules/zone.h"
#include "schema/calendar.h"
#include "schema/key.h"

/* More than that are not read, and then nobody knows. */
#define HOLIDAYS_MAX 100000
#define ZONE_NAME_MAX 100

/* A row of cadence_feriados. */
typedef struct Holiday
{
	int32 day;
	char *pais;
	char *uf;
	char *empresa;
} Holiday;

/* The holidays of one place. */
typedef struct HolidayList
{
	const char *pais;
	const char *uf;
	const char *empresa;
	int32 *days;
	int n;
} HolidayList;

struct CadenceCalendars
{
	Statement read;
	Statement find;
	MemoryContext context; /* of what was read */
	bool is_read;
	Holiday *holidays; /* by day */
	int n;
	List *lists; /* of HolidayList */
};

/* ---- zones --------------------------------------------------------------------------- */

static int32
utc_offset(const void *zone, int64 at)
{
	pg_time_t time = (pg_time_t) (at / USECS_PER_SEC) +
					 (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY -
					 (at % USECS_PER_SEC < 0);
	struct pg_tm *tm = pg_localtime(&time, (const pg_tz *) zone);

	return tm != NULL ? (int32) tm->tm_gmtoff : 0;
}

/* "Etc/GMT+3" */
static bool
is_fixed_zone(const char *name)
{
	int hours;
	int len = 0;

	return sscanf(name, "Etc/GMT%*1[+-]%2d%n", &hours, &len) == 1 && name[len] == '\0' &&
		   hours >= 0 && hours <= 14;
}

/* A name of the zone database, and no rule that is written out ("BRT3", "<-03>3"). */
static bool
is_zone_name(const char *name)
{
	size_t len = strlen(name);

	if (strcmp(name, "UTC") == 0 || is_fixed_zone(name))
		return true;
	return len <= ZONE_NAME_MAX && strchr(name, '/') != NULL &&
		   strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-/") == len;
}

/* The zone of that name; NULL: the server does not know it. */
const void *
cadence_zone_find(const char *name)
{
	pg_tz *zone = is_zone_name(name) ? pg_tzset(name) : NULL;

	return zone != NULL && pg_tz_acceptable(zone) ? zone : NULL;
}

/* A server may have been built without Sao Paulo's. */
static const void *
zone_or_default(const char *name)
{
	const void *zone = cadence_zone_find(name);

	if (zone == NULL)
		zone = cadence_zone_find(CALENDAR_ZONE);
	return zone != NULL ? zone : pg_tzset("GMT");
}

/*
 * The day, since 2000-01-01, on which a run has begun in its company's time. The last
 * answer is kept, since many runs begin at one time: clocks are a multiple of a quarter
 * of an hour apart.
 */
int32
cadence_cohort_day(const char *empresa_zone, TimestampTz started_at)
{
	static char last_name[ZONE_NAME_MAX + 1];
	static const void *last_zone;
	static TimestampTz last_quarter = DT_NOEND;
	static int32 last_day;
	TimestampTz quarter = started_at / (15 * USECS_PER_MINUTE);
	bool is_same;

	if (TIMESTAMP_NOT_FINITE(started_at))
		return 0;
	if (empresa_zone == NULL || strlen(empresa_zone) > ZONE_NAME_MAX)
		empresa_zone = CALENDAR_ZONE;
	is_same = last_zone != NULL && strcmp(empresa_zone, last_name) == 0;
	if (is_same && quarter == last_quarter)
		return last_day;
	if (!is_same)
		last_zone = zone_or_default(empresa_zone);
	strlcpy(last_name, empresa_zone, sizeof(last_name));
	last_quarter = quarter;
	last_day = calendar_day(&(Calendar){.utc_offset = utc_offset, .zone = last_zone}, started_at);
	return last_day;
}

/* ---- holidays ------------------------------------------------------------------------ */

static char *
read_sql(const CadenceTables *t)
{
	return psprintf("SELECT (x.dia OPERATOR(pg_catalog.-) '2000-01-01'::pg_catalog.date)::int4, "
					"pg_catalog.upper(%s), pg_catalog.upper(%s), %s FROM %s AS x "
					"WHERE pg_catalog.isfinite(x.dia) "
					"AND x.dia " GT " (" NOW
					"::pg_catalog.date OPERATOR(pg_catalog.-) 60) ORDER BY x.dia "
					"LIMIT " CppAsString2(HOLIDAYS_MAX),
					SHORT_TEXT("x.pais", "10"), SHORT_TEXT("x.uf", "10"),
					SHORT_TEXT("x.empresa", "1000"), t->holidays);
}

static void
read_holidays(CadenceCalendars *c)
{
	MemoryContext old;

	statement_execute(&c->read, NULL, NULL, 0);
	old = MemoryContextSwitchTo(c->context);
	c->n = SPI_processed;
	c->holidays = palloc(sizeof(Holiday) * Max(c->n, 1));
	for (int i = 0; i < c->n; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		c->holidays[i] = (Holiday){.day = row_int(desc, row, 1, 0),
								   .pais = row_text(desc, row, 2, ROW_KEY_MAX),
								   .uf = row_text(desc, row, 3, ROW_KEY_MAX),
								   .empresa = row_text(desc, row, 4, ROW_KEY_MAX)};
	}
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	c->is_read = true;
}

/* Whether there are any, of anybody. */
bool
cadence_calendars_have_holidays(CadenceCalendars *c)
{
	if (!c->is_read)
		read_holidays(c);
	return c->n > 0;
}

static bool
is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
counts_for(const Holiday *h, const HolidayList *list)
{
	return is_same(h->pais, list->pais) && (h->uf == NULL || is_same(h->uf, list->uf)) &&
		   (h->empresa == NULL || is_same(h->empresa, list->empresa));
}

static char *
copied(const char *text)
{
	return text != NULL ? pstrdup(text) : NULL;
}

/* People are of few places. */
static const HolidayList *
find_list(CadenceCalendars *c, const HolidayList *wanted)
{
	MemoryContext old;
	HolidayList *list;
	ListCell *cell;

	foreach (cell, c->lists)
	{
		list = lfirst(cell);
		if (is_same(list->pais, wanted->pais) && is_same(list->uf, wanted->uf) &&
			is_same(list->empresa, wanted->empresa))
			return list;
	}
	old = MemoryContextSwitchTo(c->context);
	list = palloc0(sizeof(*list));
	list->pais = copied(wanted->pais);
	list->uf = copied(wanted->uf);
	list->empresa = copied(wanted->empresa);
	for (int i = 0; i < c->n; i++)
		list->n += counts_for(&c->holidays[i], list) ? 1 : 0;
	list->days = palloc(sizeof(int32) * Max(list->n, 1));
	for (int i = 0, n = 0; i < c->n; i++)
		if (counts_for(&c->holidays[i], list))
			list->days[n++] = c->holidays[i].day;
	c->lists = lappend(c->lists, list);
	MemoryContextSwitchTo(old);
	return list;
}

/* ---- calendars ----------------------------------------------------------------------- */

/* Whether an adopted table says in which state somebody is. */
static bool
contacts_have_uf(const CadenceTables *t)
{
	return get_attnum(get_relname_relid("lead_contacts", t->schema), "uf") != InvalidAttrNumber;
}

static char *
find_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT d.n, %s, %s, %s, d.empresa, %s, %s, %s FROM " ROWSET_NAME " AS d "
		"LEFT JOIN LATERAL (SELECT x.* FROM %s AS x WHERE %s AND %s "
		"ORDER BY x.updated_at DESC NULLS LAST, x.id DESC LIMIT 1) AS k ON true "
		"LEFT JOIN LATERAL (SELECT x.* FROM %s AS x WHERE %s LIMIT 1) AS e ON true",
		SHORT_TEXT("k.fuso_horario", "100"),
		cadence_contacts_have_e164(t)
			? SHORT_TEXT("COALESCE(NULLIF(k.telefone_e164::text, ''), k.telefone::text)", "1000")
			: SHORT_TEXT("k.telefone", "1000"),
		contacts_have_uf(t) ? SHORT_TEXT("k.uf", "10") : "NULL::text",
		SHORT_TEXT("e.fuso_horario", "100"), SHORT_TEXT("e.pais", "10"), SHORT_TEXT("e.uf", "10"),
		t->contacts, cadence_key_is(t, "lead_contacts", "x", "lead_id", "d.lead_id"),
		cadence_key_is(t, "lead_contacts", "x", "empresa", "d.empresa"), t->empresas,
		cadence_key_is(t, "cadence_empresas", "x", "empresa", "d.empresa"));
}

static const RowsetColumn wanted_columns[] = {
	{"n", INT4OID}, {"lead_id", TEXTOID}, {"empresa", TEXTOID}};

/* In the current memory context. in_query: for one call in somebody's query. */
CadenceCalendars *
cadence_calendars_create(const CadenceTables *t, bool in_query)
{
	CadenceCalendars *c = palloc0(sizeof(*c));

	c->read = (Statement){.what = "looking for holidays",
						  .sql = read_sql(t),
						  .expected = SPI_OK_SELECT,
						  .in_query = in_query,
						  .context = CurrentMemoryContext};
	c->find = ROWS_STATEMENT("looking for where people are", find_sql(t), SPI_OK_SELECT);
	c->find.in_query = in_query;
	c->context = CurrentMemoryContext;
	return c;
}

/* Holidays are read anew when they are next needed; calendars live in this memory context from here
 * on. */
void
cadence_calendars_refresh(CadenceCalendars *c)
{
	c->context = CurrentMemoryContext;
	c->lists = NIL;
	c->is_read = false;
}

static const char *
first_of(const char *a, const char *b, const char *c)
{
	if (a != NULL && *a != '\0')
		return a;
	return b != NULL && *b != '\0' ? b : c;
}

/* An enum's or an adopted table's own spelling. */
static const char *
upper(const char *text)
{
	char *copy = copied(text);

	for (char *at = copy; at != NULL && *at != '\0'; at++)
		*at = pg_toupper((unsigned char) *at);
	return copy;
}

/*
 * The calendar of somebody, inside an SPI connection. False: their zone, or their company's, is
 * none that the server knows, and the calendar is the default one.
 */
bool
cadence_calendar_of(CadenceCalendars *c, const CadencePlace *place, Calendar *calendar)
{
	char e164[PHONE_E164_SIZE] = "";
	const char *pais = first_of(place->empresa_pais, "BR", NULL);
	const char *zone;
	HolidayList wanted = {0};
	const HolidayList *list;
	bool has_phone = place->phone != NULL && phone_e164(place->phone, pais, e164);

	(void) cadence_calendars_have_holidays(c);
	zone = first_of(place->zone, has_phone ? zone_of_phone(e164) : NULL,
					first_of(place->empresa_zone, CALENDAR_ZONE, NULL));
	if (c->n > 0)
	{
		wanted.pais = upper(first_of(has_phone ? zone_country_of_phone(e164) : NULL, pais, NULL));
		wanted.uf = upper(
			first_of(place->uf, has_phone ? zone_uf_of_phone(e164) : NULL, place->empresa_uf));
		wanted.empresa = place->empresa;
	}
	list = find_list(c, &wanted);
	*calendar = (Calendar){.utc_offset = utc_offset,
						   .zone = cadence_zone_find(zone),
						   .holidays = list->days,
						   .nholidays = list->n};
	if (calendar->zone != NULL)
		return c->n < HOLIDAYS_MAX;
	calendar->zone = zone_or_default(CALENDAR_ZONE);
	return false;
}

/*
 * The calendars of leads of whom nothing else is known, inside an SPI connection: one
 * whose zone is not known has the default one.
 */
void
cadence_calendars_find(CadenceCalendars *c, const CadenceLead *leads, int n, Calendar *found)
{
	SPITupleTable *table;
	uint64 nrows;
	Rowset rows;

	rowset_begin(&rows, wanted_columns, lengthof(wanted_columns));
	for (int i = 0; i < n; i++)
	{
		rowset_put_int(&rows, i);
		rowset_put_text(&rows, leads[i].lead_id);
		rowset_put_text(&rows, leads[i].empresa);
	}
	statement_execute(&c->find, NULL, NULL, 0);
	rowset_end(&rows);
	table = SPI_tuptable;
	nrows = SPI_processed;
	for (uint64 i = 0; i < nrows; i++)
	{
		HeapTuple row = table->vals[i];
		TupleDesc desc = table->tupdesc;
		CadencePlace place = {.zone = row_text(desc, row, 2, ROW_KEY_MAX),
							  .phone = row_text(desc, row, 3, ROW_KEY_MAX),
							  .uf = row_text(desc, row, 4, ROW_KEY_MAX),
							  .empresa = row_text(desc, row, 5, ROW_KEY_MAX),
							  .empresa_zone = row_text(desc, row, 6, ROW_KEY_MAX),
							  .empresa_pais = row_text(desc, row, 7, ROW_KEY_MAX),
							  .empresa_uf = row_text(desc, row, 8, ROW_KEY_MAX)};

		(void) cadence_calendar_of(c, &place, &found[row_int(desc, row, 1, 0)]);
	}
	SPI_freetuptable(table);
}
