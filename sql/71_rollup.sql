--
-- Numbers that are read often: what has happened, counted as it happens
--
-- No page and no scrape counts a table. Whoever records something that counts (a batch of an
-- execution, a webhook's event, an enrolment) inserts rows into cadence_deltas in the same
-- transaction: so many of this kind more. Nobody updates a row there, so nobody waits for another.
-- Now and then they are folded (src/record/fold.c): one statement deletes what is there and adds it
-- to cadence_counts and cadence_cohorts. Whoever reads adds what is not folded yet, in one
-- statement and so in one snapshot: the numbers are exact at any moment, up to what could not be
-- counted: that is done all the same, and said in a warning. Read them by the functions below.
--
-- cadence_rollup_counts(grain, kinds, since, until): what has happened, and when.
--   grain    TOTAL   since the tables are there, at = '-infinity'; template and cadence are ''
--            HOUR    by the hour of the last 400 days
--            MINUTE  kind attempt only, by the minute of the last 48 hours; empresa, canal, code,
--                    template and cadence are ''. "Today" in any zone is a sum of these
--   kind     of the rows; "-" is always '', a column that is not named keeps its meaning
--     attempt     handling of a step by an execution, at the time of the attempt: server ('' where
--                 none was found), canal, template, cadence, outcome: sent, held (for the provider's
--                 review), failed (tried again), refused (for good), uncertain, unresolved (no
--                 contact, template, server), put_off (by the provider), skipped, stopped (the
--                 run has ended before it was sent); code: why, '' of sent
--     error       rows of lead_cadence_events with ERRO, at the time when they were written: code
--                 (detalhes.codigo), server, canal, template, cadence; first_at and last_at
--     due_to_send, send_duration
--                 how long after it was due a step was sent, and how long its provider took (by
--                 server): one row with code '', n = how many, us = microseconds of all of them; and
--                 one for each bucket that has any, code = its upper bound in seconds ('0.5', '+Inf'),
--                 n = how many fell into it and into no smaller one
--     execution_duration
--                 the same, of executions
--     execution   outcome: success, errors (of some steps), failed; code: CRON, MANUAL, TEST, WORKER
--     delivery    a receipt: server, canal, outcome: sent, delivered, read, failed; code: done (it was
--                 new), repeated, unmatched, early (its message comes later), nothing
--     inbound     an event that a webhook, or whoever has read it, has told: server, canal, outcome: its kind
--                 (message, echo, opt_out, opt_in, bounce, complaint, sender, identity), code: done, repeated,
--                 unmatched, nothing
--     opt_out     somebody wants no more, and had not said so: canal ('' all), outcome: reply,
--                 provider, complaint, link, operator, answer (of a provider to an attempt)
--     webhook     a call of cadence_receive() for a server that is there: server, outcome: ok,
--                 unauthorized, refused, unavailable; last_at: the last one
--     http        a request to the door: server = the route, outcome = the method, code = the status
--   cadence  id, as text; '' where there is none. empresa '' where it is not known
--
-- cadence_rollup_cohorts(cadence, since, until): what became of the runs that have begun on a day
--   (day: of started_at, in the company's zone as it was then), by step. Each run counts once in each
--   column:
--     entered    it has come to the step: enrolled before it, or moved on to it
--     sent       its message has left (and was not taken back to be sent again)
--     delivered, read   as its provider has told, of a message that was sent
--     replied, opted_out  what its person did first after this message and before the next
--                one of any cadence: an answer, an opt-out
--     failed     given up there for good, or come back after it was sent
--     skipped    passed by without a message (its policy, or cadence_skips)
--     stopped    ended there by an execution: opted out, blocked, in cadence_exits
--   How many runs have begun at all is cadence_rollup_enrolled(): cadence_cohorts has it as entered of
--   a step that is none (00000000-...).
--   A step that was removed keeps its rows. DELETE and TRUNCATE of runs change nothing here, nor in
--   the counts: what has happened has happened.
--
-- cadence_rollup_runs(): how many runs stand before which step (ordem, -1: none left), by status, as
--   of counted_at. Counted from the table, at most once a minute, by a process of its own.
--   This is what "waiting" is: status ATIVA (and PAUSADA) at the step.
--
-- They read with the rights of whoever calls, so they are everybody's to execute (90_rights.sql): it
-- shows nothing that the caller's own SELECT would not.
--

CREATE FUNCTION @extschema@.cadence_rollup_counts(grain text, kinds text[], since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity')
RETURNS TABLE (kind text, at timestamptz, empresa text, server text, canal text, outcome text, code text, template text,
    cadence text, n bigint, us bigint, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE STRICT PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT x.kind, x.at, x.empresa, x.server, x.canal, x.outcome, x.code, x.template, x.cadence,
           sum(x.n)::bigint, least(sum(x.us), 9223372036854775807)::bigint, min(x.first_at), max(x.last_at)
    FROM (
        SELECT c.kind, c.at, c.empresa, c.server, c.canal, c.outcome, c.code, c.template, c.cadence, c.n, c.us, c.first_at, c.last_at
        FROM @extschema@.cadence_counts AS c
        WHERE c.grain = $1 AND c.kind = ANY ($2) AND c.at >= CASE $1 WHEN 'TOTAL' THEN '-infinity' ELSE $3 END
          AND c.at < $4
        UNION ALL
        -- as src/record/fold.c does it
        SELECT d.kind, g.at, CASE WHEN $1 = 'MINUTE' THEN '' ELSE coalesce(d.empresa, '') END, d.server,
               CASE WHEN $1 = 'MINUTE' THEN '' ELSE d.canal END, d.outcome,
               CASE WHEN b.code <> '' THEN b.code WHEN $1 = 'MINUTE' THEN '' ELSE d.code END,
               CASE WHEN $1 = 'HOUR' THEN d.template ELSE '' END,
               CASE WHEN $1 = 'HOUR' THEN coalesce(d.cadence::text, '') ELSE '' END,
               b.n, CASE WHEN b.code = '' THEN d.us ELSE 0 END, d.first_at, d.last_at
        FROM @extschema@.cadence_deltas AS d
        CROSS JOIN LATERAL (SELECT CASE $1 WHEN 'TOTAL' THEN '-infinity' WHEN 'HOUR' THEN date_trunc('hour', d.at, 'UTC')
                                   WHEN 'MINUTE' THEN date_trunc('minute', d.at, 'UTC') END) AS g(at)
        CROSS JOIN LATERAL (
            SELECT '' AS code, d.n
            UNION ALL
            SELECT k.key, k.value::bigint FROM jsonb_each_text(d.buckets) AS k) AS b
        WHERE d.kind = ANY ($2) AND (d.kind = 'attempt' OR $1 <> 'MINUTE')
          AND ($1 = 'TOTAL' OR g.at >= $3) AND g.at < $4
    ) AS x
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
$$;

COMMENT ON FUNCTION @extschema@.cadence_rollup_counts(text, text[], timestamptz, timestamptz) IS
'what has happened, counted, up to this moment: in all (grain TOTAL), by the hour (HOUR) or by the minute (MINUTE), of the given kinds';

CREATE FUNCTION @extschema@.cadence_rollup_cohorts(cadence uuid DEFAULT NULL, since date DEFAULT '-infinity', until date DEFAULT 'infinity')
RETURNS TABLE (cadence_id uuid, step_id uuid, day date, empresa text, entered bigint, sent bigint, delivered bigint, read bigint,
    replied bigint, opted_out bigint, failed bigint, skipped bigint, stopped bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT x.cadence, x.step, x.day, x.empresa, sum(x.entered)::bigint, sum(x.sent)::bigint, sum(x.delivered)::bigint,
           sum(x.read)::bigint, sum(x.replied)::bigint, sum(x.opted_out)::bigint, sum(x.failed)::bigint,
           sum(x.skipped)::bigint, sum(x.stopped)::bigint
    FROM (
        SELECT c.cadence, c.step, c.day, c.empresa, c.entered, c.sent, c.delivered, c.read, c.replied, c.opted_out, c.failed,
               c.skipped, c.stopped
        FROM @extschema@.cadence_cohorts AS c
        WHERE ($1 IS NULL OR c.cadence = $1) AND c.day >= $2 AND c.day < $3 AND c.step <> '00000000-0000-0000-0000-000000000000'
        UNION ALL
        SELECT d.cadence, m.step, d.day, coalesce(d.empresa, ''),
               CASE m.mark WHEN 'entered' THEN d.n ELSE 0 END, CASE m.mark WHEN 'sent' THEN d.n ELSE 0 END,
               CASE m.mark WHEN 'delivered' THEN d.n ELSE 0 END, CASE m.mark WHEN 'read' THEN d.n ELSE 0 END,
               CASE m.mark WHEN 'replied' THEN d.n ELSE 0 END, CASE m.mark WHEN 'opted_out' THEN d.n ELSE 0 END,
               CASE m.mark WHEN 'failed' THEN d.n ELSE 0 END, CASE m.mark WHEN 'skipped' THEN d.n ELSE 0 END,
               CASE m.mark WHEN 'stopped' THEN d.n ELSE 0 END
        FROM @extschema@.cadence_deltas AS d
        CROSS JOIN LATERAL (VALUES (d.step, d.mark), (d.next_step, 'entered')) AS m(step, mark)
        WHERE m.step <> '00000000-0000-0000-0000-000000000000' AND m.mark <> '' AND d.cadence IS NOT NULL AND d.day IS NOT NULL
          AND ($1 IS NULL OR d.cadence = $1) AND d.day >= $2 AND d.day < $3
    ) AS x
    GROUP BY 1, 2, 3, 4
$$;

COMMENT ON FUNCTION @extschema@.cadence_rollup_cohorts(uuid, date, date) IS
'what became of the runs that began on a day, step by step, up to this moment; of one cadence, or of all where it is null, and of days from since on and before until';

CREATE FUNCTION @extschema@.cadence_rollup_enrolled(cadence uuid DEFAULT NULL, since date DEFAULT '-infinity', until date DEFAULT 'infinity')
RETURNS TABLE (cadence_id uuid, day date, empresa text, runs bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT x.cadence, x.day, x.empresa, sum(x.n)::bigint
    FROM (
        SELECT c.cadence, c.day, c.empresa, c.entered AS n FROM @extschema@.cadence_cohorts AS c
        WHERE ($1 IS NULL OR c.cadence = $1) AND c.day >= $2 AND c.day < $3 AND c.step = '00000000-0000-0000-0000-000000000000'
        UNION ALL
        SELECT d.cadence, d.day, coalesce(d.empresa, ''), d.n FROM @extschema@.cadence_deltas AS d
        WHERE d.step = '00000000-0000-0000-0000-000000000000' AND d.mark = 'entered' AND d.cadence IS NOT NULL AND d.day IS NOT NULL
          AND ($1 IS NULL OR d.cadence = $1) AND d.day >= $2 AND d.day < $3) AS x
    GROUP BY 1, 2, 3
$$;

COMMENT ON FUNCTION @extschema@.cadence_rollup_enrolled(uuid, date, date) IS
'how many runs began on a day, up to this moment; of one cadence, or of all where it is null, and of days from since on and before until';

CREATE FUNCTION @extschema@.cadence_rollup_runs()
RETURNS TABLE (empresa text, cadence_id text, ordem int, status text, runs bigint, counted_at timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.empresa, s.cadence, s.ordem, s.status, s.runs, s.counted_at FROM @extschema@.cadence_stock AS s
$$;

COMMENT ON FUNCTION @extschema@.cadence_rollup_runs() IS
'how many runs stand before which step, by status, as they were last counted; a row with status '''' says when that was';

CREATE FUNCTION @extschema@.cadence_rollup_refresh(count_now boolean DEFAULT false) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_rollup_refresh(boolean) IS
'folds some of what was counted, and counts the runs where count_now is true; does nothing where nothing can be written, or somebody else does it';

CREATE FUNCTION @extschema@.cadence_http_count(route text, method text, code int) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_http_count(text, text, int) IS
'counts a request to the door, where anything can be written; route, method and code are of closed sets';

CREATE FUNCTION @extschema@.cadence_runs_added() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_runs_added() IS
'notes the runs that a statement has inserted, which count when their transaction commits; a trigger of cadence_create_tables()';
