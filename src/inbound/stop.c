/*
 * stop.c
 *		Runs that end, or pause, since their person has said something.
 *
 * As an operator would by cadence_cancel() and cadence_pause(), by the one writer of
 * what rules/transition.c decides. A run that is claimed keeps its claim, so that
 * what is under way is recorded; what waits is looked at again before it starts.
 *
 * Events of runs that go on name no step: a step's last event says what became of
 * its last attempt, and an answer does not change that.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/json.h"
#include "base/row.h"
#include "inbound/acts.h"
#include "record/settle.h"
#include "schema/edition.h"
#include "schema/key.h"
#include "schema/marks.h"

/* So many active runs of one lead are stopped. */
#define RUNS_MAX 1000

struct InboundStops
{
	Statement find;
	Statement read;
};

/* What is still to come in a run. */
typedef struct Rest
{
	bool stops;		  /* its next step is not sent to who has answered */
	bool stops_after; /* nor is that one, or the one after it */
	bool uses_canal;
} Rest;

enum
{
	REST_STOPS = 1,
	REST_STOPS_AFTER,
	REST_USES_CANAL
};

static const Oid person_types[] = {TEXTOID, TEXTOID};
static const Oid read_types[] = {UUIDOID, TEXTOID};

#define IS_NEW NOT_HAD("s", "r")
#define STEPS_LEFT                                                                              \
	"FROM %s AS s WHERE s.cadence_id " EQ " r.cadence_id AND s.ordem " GE " r.next_step_ordem " \
	"AND " IS_NEW " "
#define NEXT_STOPS(n)                                                                 \
	"COALESCE((SELECT pg_catalog.bool_or(n.stops) FROM (SELECT s.parar_se_responder " \
	"AS stops " STEPS_LEFT "ORDER BY s.ordem LIMIT " n ") AS n), false)"

/* In the current memory context. */
struct InboundStops *
inbound_stops_create(const CadenceTables *t)
{
	struct InboundStops *s = palloc0(sizeof(*s));
	char *is_theirs = psprintf("%s AND %s AND r.id IS NOT NULL",
							   cadence_key_is(t, "lead_cadence_runs", "r", "lead_id", "$1"),
							   cadence_key_is(t, "lead_cadence_runs", "r", "empresa", "$2"));

	/* each state has an index of its own */
	s->find = STATEMENT(
		"looking for a person's runs",
		psprintf("SELECT p.id::pg_catalog.uuid FROM (SELECT r.id FROM %s AS r WHERE r.status " EQ
				 " 'ATIVA' AND %s UNION ALL SELECT r.id FROM %s AS r WHERE "
				 "r.status " EQ " 'PAUSADA' AND %s) AS p ORDER BY p.id",
				 t->runs, is_theirs, t->runs, is_theirs),
		person_types, SPI_OK_SELECT);
	s->read = STATEMENT(
		"looking at what is to come in a run",
		psprintf("SELECT " NEXT_STOPS("1") ", " NEXT_STOPS(
					 "2") ", EXISTS (SELECT " STEPS_LEFT
						  "AND ($2 IS NULL OR " MARK_WORD("s.canal") " " EQ " $2)) FROM %s AS r "
																	 "WHERE r.id " EQ " $1",
				 t->steps, t->steps, t->steps, t->runs),
		read_types, SPI_OK_SELECT);
	s->find.latest = s->read.latest = true;
	return s;
}

static int
find_runs(const InboundEvent *e, const InboundPerson *person, pg_uuid_t **ids)
{
	Datum values[] = {CStringGetTextDatum(person->lead_id), CStringGetTextDatum(person->empresa)};
	int n;

	statement_execute(&e->acts->stops->find, values, NULL, RUNS_MAX);
	n = (int) SPI_processed;
	*ids = palloc(sizeof(pg_uuid_t) * Max(n, 1));
	for (int i = 0; i < n; i++)
		(void) row_uuid(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], 1, &(*ids)[i]);
	SPI_freetuptable(SPI_tuptable);
	return n;
}

static Rest
read_rest(const InboundEvent *e, const pg_uuid_t *run, const char *canal)
{
	Datum values[] = {UUIDPGetDatum(run), canal != NULL ? CStringGetTextDatum(canal) : (Datum) 0};
	Rest rest = {false, false, false};

	statement_execute(&e->acts->stops->read, values, canal != NULL ? NULL : " n", 1);
	if (SPI_processed > 0)
	{
		TupleDesc desc = SPI_tuptable->tupdesc;
		HeapTuple row = SPI_tuptable->vals[0];

		rest.stops = row_true(desc, row, REST_STOPS);
		rest.stops_after = row_true(desc, row, REST_STOPS_AFTER);
		rest.uses_canal = row_true(desc, row, REST_USES_CANAL);
	}
	SPI_freetuptable(SPI_tuptable);
	return rest;
}

/*
 * What is under way may be sent by now, and what is to be sent again was: then the
 * answer is to that, and before the step after it.
 */
static bool
may_be_answered(const LockedRun *run)
{
	return run->in.claimed || (run->has_ordem && run->has_last && run->ordem == run->last_ordem);
}

static bool
ends(const LockedRun *run, const Rest *rest, const InboundStop *stop)
{
	switch (stop->reason)
	{
		case STOP_REPLY:
			return may_be_answered(run) ? rest->stops_after : rest->stops;
		case STOP_WISH:
			return rest->uses_canal;
		case STOP_BY_HAND:
			break;
	}
	return true;
}

/* ---- events -------------------------------------------------------------------------- */

static const struct
{
	const char *codigo;
	const char *erro;
} words[] = {[STOP_REPLY] = {"RESPOSTA", NULL},
			 [STOP_WISH] = {"OPT_OUT", "the person wants no more messages"},
			 [STOP_BY_HAND] = {"HUMANO_ASSUMIU", "somebody has written to the person by hand"}};

static Datum
details_of(const InboundEvent *e, const InboundStop *stop, bool has_ended)
{
	JsonObject details = json_begin();
	char answer[UUID_TEXT_SIZE];

	json_add_text(&details, "codigo", words[stop->reason].codigo);
	json_add_text_if(&details, "erro", words[stop->reason].erro);
	json_add_text(&details, "canal", e->canal);
	json_add_text_if(&details, "motivo", stop->motivo);
	json_add_text_if(&details, "provedor", e->from->server_name);
	if (stop->answer != NULL)
	{
		cadence_uuid_text(stop->answer, answer);
		json_add_text(&details, "mensagem", answer);
	}
	if (has_ended && stop->reason != STOP_BY_HAND)
		json_add_bool(&details, "permanente", true);
	return json_end(&details);
}

static void
write_event(const InboundEvent *e, const LockedRun *run, const InboundStop *stop, bool has_ended)
{
	bool is_reply = stop->reason == STOP_REPLY && e->acts->tables->event_knows_reply;
	CadenceEvent event = cadence_run_event(run, is_reply ? "RESPOSTA_DETECTADA" : "ERRO",
										   details_of(e, stop, has_ended));

	if (!has_ended || stop->reason == STOP_BY_HAND)
	{
		event.has_ordem = false;
		event.template_codigo = NULL;
	}
	cadence_events_write(e->acts->events, &event, 1);
}

/* ---- runs ---------------------------------------------------------------------------- */

/*
 * False: nothing can leave by it. One that is held since nobody knows whether its
 * message arrived goes on when that is known.
 */
static bool
lock_active(const InboundEvent *e, const pg_uuid_t *id, LockedRun *run)
{
	return cadence_run_lock(e->acts->mover, id, run) &&
		   (run->in.status == RUN_ACTIVE || (run->in.status == RUN_PAUSED && run->in.uncertain));
}

static bool
stop_run(const InboundEvent *e, const LockedRun *run, const InboundStop *stop)
{
	RunAct act = stop->reason == STOP_BY_HAND ? ACT_PAUSE : ACT_CANCEL;
	Rest rest = read_rest(e, &run->id, stop->canal);
	bool has_ended = ends(run, &rest, stop);
	RunTransition to;

	if (has_ended)
	{
		to = cadence_run_transition(run, act, GetCurrentTransactionStartTimestamp());
		if (to.refusal != REFUSAL_NONE)
			return false;
		cadence_run_move(e->acts->mover, run, &to);
	}
	if (has_ended || stop->reason == STOP_REPLY)
		write_event(e, run, stop, has_ended);
	return has_ended;
}

/* Stops the active runs of a person that have to; how many. */
int
inbound_stop_runs(const InboundEvent *e, const InboundPerson *person, const InboundStop *stop)
{
	pg_uuid_t *ids;
	int n = find_runs(e, person, &ids);
	int stopped = 0;

	for (int i = 0; i < n; i++)
	{
		LockedRun run;

		if (lock_active(e, &ids[i], &run) && stop_run(e, &run, stop))
			stopped++;
	}
	pfree(ids);
	return stopped;
}

/* The same of several, who each have their turn in the order of all. */
int
inbound_stop_all(const InboundEvent *e, const InboundPersons *people, const InboundStop *stop)
{
	InboundPersons in_order = inbound_in_order(people);
	int stopped = 0;

	for (int i = 0; i < in_order.n; i++)
		stopped += inbound_stop_runs(e, &in_order.list[i], stop);
	return stopped;
}

/*
 * Whether a message to a person is under way, or may have been sent: then what its
 * provider tells of an unknown message is most likely that. Locks the person's runs.
 */
bool
inbound_is_sending(const InboundEvent *e, const InboundPerson *person)
{
	pg_uuid_t *ids;
	int n = find_runs(e, person, &ids);
	bool is_sending = false;

	for (int i = 0; i < n; i++)
	{
		LockedRun run;

		if (lock_active(e, &ids[i], &run) && (run.in.claimed || run.in.uncertain))
			is_sending = true;
	}
	pfree(ids);
	return is_sending;
}
