/*
 * why_story.c
 *		What a run's own row and its last events say against its next message: paused,
 *		cancelled, claimed, not due, tried again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/row.h"
#include "base/settings.h"
#include "base/statement.h"
#include "rules/received_value.h"
#include "sqlapi/why.h"

enum
{
	STORY_TYPE = 1,
	STORY_AT,
	STORY_CODE,
	STORY_ERROR,
	STORY_MOTIVO,
	STORY_SERVER,
	STORY_ATTEMPT,
	STORY_IS_PERMANENT,
	STORY_DUE
};

/* ---- reading ------------------------------------------------------------------------- */

/* Of the event e, where it is no longer than so many bytes. */
#define DETAIL_TEXT(key, max)                                                           \
	"CASE WHEN pg_catalog.octet_length(e.detalhes " JSON_TEXT " '" key "') " LE " " max \
	" THEN e.detalhes " JSON_TEXT " '" key "' END"
#define DETAIL_LEFT(key) "pg_catalog.left(e.detalhes " JSON_TEXT " '" key "', 1000)"

/*
 * The last event, and the time that the last one of a schedule has: what came late is neither.
 * The formatter would tear the text apart at each macro.
 */
/* clang-format off */
static char *
story_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT e.tipo_evento::text, e.created_at::timestamptz, " DETAIL_TEXT("codigo", "100") ", "
		DETAIL_LEFT("erro") ", " DETAIL_LEFT("motivo") ", " DETAIL_TEXT("provedor", "100") ", "
		DETAIL_TEXT("tentativa", "10") ", (e.detalhes " JSON_TEXT " 'permanente') " EQ " 'true', "
		"(SELECT " DETAIL_TEXT("next_run_at", "100") " FROM %s AS e "
		"WHERE e.lead_cadence_run_id " EQ " $1 AND e.tipo_evento " EQ " 'AGENDADO' "
		"ORDER BY e.created_at DESC, e.id DESC LIMIT 1) "
		"FROM %s AS e WHERE e.lead_cadence_run_id " EQ " $1 "
		"AND e.detalhes " JSON_TEXT " 'tardio' IS NULL "
		"ORDER BY e.created_at DESC, e.id DESC LIMIT 1",
		t->events, t->events);
}
/* clang-format on */

/* 0: it is none. */
static TimestampTz
time_of(const char *text)
{
	int64_t us;

	if (text == NULL || !received_time((Slice){text, strlen(text)}, &us))
		return 0;
	return us - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

static void
read_events(Why *why)
{
	static const Oid types[] = {UUIDOID};
	Statement find = STATEMENT("looking for what has happened to the run",
							   story_sql(why->look.tables), types, SPI_OK_SELECT);
	Datum values[] = {UUIDPGetDatum(&why->look.step->run_id)};
	RunStory *story = &why->story;
	TupleDesc desc;
	HeapTuple row;
	char *attempt;

	find.in_query = true;
	statement_execute(&find, values, NULL, 1);
	if (SPI_processed == 0)
		return;
	desc = SPI_tuptable->tupdesc;
	row = SPI_tuptable->vals[0];
	story->type = SPI_getvalue(row, desc, STORY_TYPE);
	story->at = row_time(desc, row, STORY_AT, 0);
	story->code = SPI_getvalue(row, desc, STORY_CODE);
	story->error = SPI_getvalue(row, desc, STORY_ERROR);
	story->motivo = SPI_getvalue(row, desc, STORY_MOTIVO);
	story->server = SPI_getvalue(row, desc, STORY_SERVER);
	attempt = SPI_getvalue(row, desc, STORY_ATTEMPT);
	story->attempt = attempt != NULL ? atoi(attempt) : 0;
	story->is_permanent = row_true(desc, row, STORY_IS_PERMANENT);
	story->due = time_of(SPI_getvalue(row, desc, STORY_DUE));
}

/* A claim is over with its lease: its runs are due then. */
static void
read_claim(Why *why)
{
	static const Oid types[] = {UUIDOID, TIMESTAMPTZOID};
	const RunLook *look = &why->look;
	Statement find =
		STATEMENT("looking for the run's claim",
				  psprintf("SELECT c.claimed_at::timestamptz FROM %s AS c WHERE c.claim_id " EQ
						   " $1 AND c.lease_end " EQ " $2",
						   look->tables->claims),
				  types, SPI_OK_SELECT);
	Datum values[] = {UUIDPGetDatum(&look->claim_id), TimestampTzGetDatum(look->step->due)};

	if (!look->has_claim || !look->has_due || look->step->due <= why->now)
		return;
	find.in_query = true;
	statement_execute(&find, values, NULL, 1);
	if (SPI_processed > 0)
		why->claimed_at = row_time(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1, why->now);
}

void
why_read_story(Why *why)
{
	read_events(why);
	read_claim(why);
}

/* ---- its status ---------------------------------------------------------------------- */

static bool
is_code(const RunStory *story, const char *code)
{
	return story->code != NULL && strcmp(story->code, code) == 0;
}

/* An adopted table's may be null. */
static bool
is_active(const Why *why)
{
	return why->look.status != NULL && strcmp(why->look.status, "ATIVA") == 0;
}

static bool
is_uncertain(const RunStory *story)
{
	return is_code(story, cadence_reasons[REASON_UNCERTAIN].code);
}

/* What the last event says, in one line. */
static void
add_story(WhyReason *r, const RunStory *story)
{
	const char *said = story->motivo != NULL ? story->motivo : story->error;

	if (story->code == NULL)
		return;
	why_add(r, DETAIL_WHY,
			said != NULL ? psprintf("%s: %s", story->code, said) : (const char *) story->code);
	if (story->server != NULL)
		why_add(r, DETAIL_SERVER, story->server);
}

/* By whom: what pauses a run by itself writes an event, and an operator's pause none. */
static void
put_paused(const Why *why)
{
	const RunStory *story = &why->story;
	WhyReason r = why_reason(why, REASON_PAUSED);
	bool by_person = is_code(story, "HUMANO_ASSUMIU");
	bool by_attempt = is_uncertain(story);

	if (by_person)
		why_add(&r, DETAIL_PERSON, NULL);
	else if (by_attempt)
		why_add(&r, DETAIL_UNCERTAIN, NULL);
	else if (story->is_permanent)
	{
		why_add(&r, DETAIL_FAILURE, NULL);
		add_story(&r, story);
	}
	else
		why_add(&r, DETAIL_OPERATOR, NULL);
	r.since = by_person || by_attempt || story->is_permanent ? story->at : why->look.changed_at;
	why_put(&r);
}

/* What an operator can settle; it ends by itself, too, where it has an end. */
static void
put_unsettled(const Why *why, CadenceReasonCode reason, ReasonDetail end, bool has_end)
{
	WhyReason r = why_reason(why, reason);

	r.since = why->story.at;
	if (why->story.server != NULL)
		why_add(&r, DETAIL_SERVER, why->story.server);
	why_add(&r, DETAIL_SETTLE, NULL);
	if (has_end)
		why_clears(&r, end, why->look.step->due);
	why_put(&r);
}

static void
put_ended(const Why *why, CadenceReasonCode reason)
{
	WhyReason r = why_reason(why, reason);

	r.since = why->story.code != NULL ? why->story.at : why->look.changed_at;
	if (reason == REASON_CANCELLED)
		add_story(&r, &why->story);
	why_put(&r);
}

static void
put_claimed(const Why *why)
{
	WhyReason r = why_reason(why, REASON_CLAIMED);

	r.since = why->claimed_at;
	why_clears(&r, DETAIL_UNTIL, why->look.step->due);
	why_put(&r);
}

/* What the run's status says; false: there is no next message, and nothing more to be said. */
bool
why_put_state(const Why *why)
{
	const char *status = why->look.status != NULL ? why->look.status : "";
	WhyReason r;

	if (strcmp(status, "CONCLUIDA") == 0 || strcmp(status, "CANCELADA") == 0)
	{
		put_ended(why, strcmp(status, "CONCLUIDA") == 0 ? REASON_FINISHED : REASON_CANCELLED);
		return false;
	}
	if (strcmp(status, "PAUSADA") == 0)
	{
		put_paused(why);
		if (is_uncertain(&why->story))
			put_unsettled(why, REASON_UNCERTAIN, DETAIL_AGAIN, is_active(why));
	}
	else if (strcmp(status, "ATIVA") != 0)
	{
		r = why_reason(why, REASON_STATUS);
		why_add(&r, DETAIL_STATUS, why->look.status != NULL ? status : "null");
		why_put(&r);
	}
	if (why->claimed_at != 0)
		put_claimed(why);
	return true;
}

/* ---- its time ------------------------------------------------------------------------ */

static bool
is_waiting(const Why *why)
{
	return why->claimed_at == 0 && why->look.has_due && why->look.step->due > why->now;
}

/* The last event is of an attempt that counts, and of nothing after it. */
static bool
has_failed(const Why *why)
{
	int attempts = why->look.step->attempts - 1;

	return why->story.code != NULL && attempts > 0 && why->story.attempt == attempts;
}

/* It was due before, and something has kept it back since. */
static bool
was_put_off(const Why *why)
{
	const RunStory *story = &why->story;

	if (story->code != NULL && !story->is_permanent)
		return true;
	return story->due != 0 && story->due <= why->now;
}

static void
put_retry(const Why *why)
{
	const RunStory *story = &why->story;
	WhyReason r = why_reason(why, REASON_RETRY);

	r.since = story->at;
	if (cadence_max_attempts > 0)
		explanation_add_attempt(&r.said, story->attempt, cadence_max_attempts);
	else
		why_add(&r, DETAIL_ATTEMPT, psprintf("%d", story->attempt));
	add_story(&r, story);
	why_clears(&r, DETAIL_UNTIL, why->look.step->due);
	why_put(&r);
}

static void
put_not_due(const Why *why)
{
	const CadenceStep *step = why->look.step;
	WhyReason r = why_reason(why, REASON_NOT_DUE);

	r.since = why->story.code == NULL ? why->story.at : 0;
	if (step->has_step)
		why_add(&r, DETAIL_STEP, psprintf("%d", step->ordem));
	why_clears(&r, DETAIL_UNTIL, step->due);
	why_put(&r);
}

/*
 * Why a step is not looked at now. What was only put off is said at the end, behind what
 * has put it off. False: nothing else matters to it.
 */
bool
why_put_wait(const Why *why)
{
	if (why->look.step->held != NULL)
	{
		put_unsettled(why, REASON_HELD, DETAIL_UNTIL, true);
		return false;
	}
	if (!why->look.has_due && is_active(why))
	{
		WhyReason r = why_reason(why, REASON_NO_TIME);

		why_put(&r);
	}
	if (!is_waiting(why))
		return true;
	if (is_uncertain(&why->story))
	{
		if (is_active(why))
			put_unsettled(why, REASON_UNCERTAIN, DETAIL_AGAIN, is_active(why));
	}
	else if (has_failed(why))
		put_retry(why);
	else if (!was_put_off(why))
		put_not_due(why);
	return true;
}

void
why_put_off(const Why *why)
{
	WhyReason r;

	if (!is_waiting(why) || is_uncertain(&why->story) || has_failed(why) || !was_put_off(why))
		return;
	r = why_reason(why, REASON_PUT_OFF);
	r.since = why->story.code != NULL ? why->story.at : 0;
	add_story(&r, &why->story);
	why_clears(&r, DETAIL_AGAIN, why->look.step->due);
	why_put(&r);
}
