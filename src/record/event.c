/*
 * event.c
 *		Events: what has happened to a run, for people to read.
 *
 * An adopted table may forbid NULL where ours allows it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/rowset.h"
#include "base/statement.h"
#include "base/uuid.h"
#include "record/event.h"

struct CadenceEvents
{
	Statement insert;
};

static const RowsetColumn event_columns[] = {{"id", UUIDOID},
											 {"run_id", UUIDOID},
											 {"ordem", INT4OID},
											 {"template", TEXTOID},
											 {"tipo", TEXTOID},
											 {"detalhes", JSONBOID},
											 {"said_since", TIMESTAMPTZOID}};

/* A value for a column; an adopted one may not be null, and then gets a neutral one. */
static char *
value_or(Oid events, const char *column, const char *value, const char *otherwise)
{
	HeapTuple tuple = SearchSysCacheAttName(events, column);
	bool is_required = false;

	if (HeapTupleIsValid(tuple))
	{
		is_required = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
		ReleaseSysCache(tuple);
	}
	return is_required ? psprintf("COALESCE(%s, %s)", value, otherwise) : pstrdup(value);
}

static char *
insert_sql(const CadenceTables *t)
{
	Oid events = get_relname_relid("lead_cadence_events", t->schema);

	return psprintf(
		"INSERT INTO %s (id, lead_cadence_run_id, step_ordem, template_codigo, "
		"tipo_evento, detalhes, created_at) "
		"SELECT d.id, d.run_id, %s, %s, d.tipo::%s, d.detalhes, " NOW " FROM " ROWSET_NAME
		" AS d WHERE d.said_since IS NULL OR NOT EXISTS ("
		"SELECT FROM (SELECT x.detalhes, x.created_at FROM %s AS x "
		"WHERE x.lead_cadence_run_id " EQ " d.run_id "
		"ORDER BY x.created_at DESC, x.id DESC LIMIT 1) AS e "
		"WHERE e.created_at " GE " d.said_since "
		"AND e.detalhes " JSON_TEXT " 'codigo' " EQ " (d.detalhes " JSON_TEXT
		" 'codigo') AND e.detalhes " JSON_TEXT " 'erro' " EQ " (d.detalhes " JSON_TEXT " 'erro'))",
		t->events, value_or(events, "step_ordem", "d.ordem", "0"),
		value_or(events, "template_codigo", "d.template", "''"), t->event_type_type, t->events);
}

/*
 * In the current memory context.
 */
CadenceEvents *
cadence_events_create(const CadenceTables *t)
{
	CadenceEvents *events = palloc0(sizeof(*events));

	events->insert = ROWS_STATEMENT("writing events", insert_sql(t), SPI_OK_INSERT);
	return events;
}

static void
put_event(Rowset *rows, const CadenceEvent *event)
{
	pg_uuid_t id;

	cadence_uuid_v7(&id);
	rowset_put_uuid(rows, &id);
	rowset_put_uuid(rows, event->run_id);
	rowset_put_if(rows, event->has_ordem, Int32GetDatum(event->ordem));
	rowset_put_text(rows, event->template_codigo);
	rowset_put_text(rows, event->type);
	rowset_put_datum(rows, event->detalhes);
	rowset_put_if(rows, event->said_since != 0, TimestampTzGetDatum(event->said_since));
}

/*
 * Writes events inside the caller's transaction and SPI connection.
 */
void
cadence_events_write(CadenceEvents *events, const CadenceEvent *list, int n)
{
	Rowset rows;

	if (n == 0)
		return;
	rowset_begin(&rows, event_columns, lengthof(event_columns));
	for (int i = 0; i < n; i++)
		put_event(&rows, &list[i]);
	statement_execute(&events->insert, NULL, NULL, 0);
	rowset_end(&rows);
}
