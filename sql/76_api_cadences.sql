--
-- What the dashboard shows of cadences
--
-- Of the runs that began on a day (a cohort) each counts once in each column of a step, so no column
-- is more than those that have come to it. What waits is how many runs stand before a step, as they
-- were last counted.

-- Since a day, in a zone: today is the last of so many.
CREATE FUNCTION @extschema@.cadence_api_first_day(days text, most int, zone text) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF days IS NOT NULL AND (days !~ '^[1-9][0-9]{0,3}$' OR days::int > most) THEN
        RAISE EXCEPTION 'days must be a number from 1 to %', most USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN (now() AT TIME ZONE zone)::date - coalesce(days, '30')::int + 1;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_first_day(text, int, text) IS
'part of the dashboard: the first of so many days (30 where none are given), of which today is the last';

-- A run may stand before a number that is no step any more: the next one is meant.
CREATE FUNCTION @extschema@.cadence_api_waiting()
RETURNS TABLE (cadence_id uuid, step_id uuid, waiting bigint, paused bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
    SELECT r.cadence_id::uuid, s.id, coalesce(sum(r.runs) FILTER (WHERE r.status = 'ATIVA'), 0)::bigint,
           coalesce(sum(r.runs) FILTER (WHERE r.status = 'PAUSADA'), 0)::bigint
    FROM @extschema@.cadence_rollup_runs() AS r
    LEFT JOIN LATERAL (
        SELECT x.id FROM @extschema@.cadence_steps AS x
        WHERE x.cadence_id = r.cadence_id::uuid AND x.ordem >= r.ordem AND r.ordem >= 0 ORDER BY x.ordem LIMIT 1) AS s ON true
    WHERE r.status IN ('ATIVA', 'PAUSADA') AND r.cadence_id <> ''
    GROUP BY 1, 2
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_waiting() IS
'part of the dashboard: how many runs stand before which step, as they were last counted; step_id null: none is left';

CREATE FUNCTION @extschema@.cadence_api_waiting_as_of() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT max(r.counted_at) FROM @extschema@.cadence_rollup_runs() AS r
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_waiting_as_of() IS
'part of the dashboard: when the runs were last counted; null: not yet';

CREATE FUNCTION @extschema@.cadence_api_cadencias(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET work_mem = '32MB' SET jit = off
AS $$
DECLARE
    shown constant int := 500;
    zone constant text := @extschema@.cadence_api_zone();
    since constant date := @extschema@.cadence_api_first_day(params ->> 'days', 366, zone);
    listed jsonb;
    known bigint;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    WITH sums AS (
        SELECT c.cadence_id, sum(c.sent)::bigint AS sent, sum(c.delivered)::bigint AS delivered, sum(c.read)::bigint AS read,
               sum(c.replied)::bigint AS replied, sum(c.opted_out)::bigint AS opted_out, sum(c.failed)::bigint AS failed
        FROM @extschema@.cadence_rollup_cohorts(NULL::uuid, since, 'infinity'::date) AS c GROUP BY 1
    ), enrolled AS (
        SELECT e.cadence_id, sum(e.runs)::bigint AS runs FROM @extschema@.cadence_rollup_enrolled(NULL::uuid, since, 'infinity'::date) AS e GROUP BY 1
    ), waiting AS (
        SELECT w.cadence_id, sum(w.waiting)::bigint AS waiting, sum(w.paused)::bigint AS paused FROM @extschema@.cadence_api_waiting() AS w GROUP BY 1
    ), steps AS (
        SELECT s.cadence_id, count(*) AS n FROM @extschema@.cadence_steps AS s GROUP BY 1
    )
    SELECT jsonb_agg(jsonb_build_object(
               'id', c.id, 'code', c.codigo::text, 'name', c.nome::text, 'empresa', c.empresa::text, 'active', c.ativo, 'steps', coalesce(t.n, 0),
               'enrolled', coalesce(e.runs, 0), 'sent', coalesce(s.sent, 0), 'delivered', coalesce(s.delivered, 0), 'read', coalesce(s.read, 0),
               'replied', coalesce(s.replied, 0), 'opted_out', coalesce(s.opted_out, 0), 'failed', coalesce(s.failed, 0),
               'waiting', coalesce(w.waiting, 0), 'paused', coalesce(w.paused, 0)) ORDER BY c.rank) FILTER (WHERE c.rank <= shown), count(*)
    INTO listed, known
    FROM (SELECT x.*, row_number() OVER (ORDER BY x.ativo DESC NULLS LAST, x.empresa::text, x.codigo::text, x.id) AS rank
          FROM @extschema@.cadences AS x) AS c
    LEFT JOIN sums AS s ON s.cadence_id = c.id LEFT JOIN enrolled AS e ON e.cadence_id = c.id
    LEFT JOIN waiting AS w ON w.cadence_id = c.id LEFT JOIN steps AS t ON t.cadence_id = c.id;
    RETURN jsonb_build_object('zone', zone, 'since', since, 'waiting_as_of', @extschema@.cadence_api_waiting_as_of(),
                              'cadence_count', known, 'cadences', coalesce(listed, '[]'));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_cadencias(jsonb, boolean) IS
'the page Cadências: each with how many runs began in the last days (30), what became of their messages, and how many wait now';

CREATE FUNCTION @extschema@.cadence_api_cadencia(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET work_mem = '32MB' SET jit = off
AS $$
DECLARE
    asked uuid;
    about jsonb;
    zone text;
    since date;
    -- a long time is shown by the week
    bucket text;
    listed jsonb;
    cohorts jsonb;
BEGIN
    IF params ->> 'id' IS NULL OR params ->> 'id' !~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN
        RAISE EXCEPTION 'a cadence is named by its id' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    asked := (params ->> 'id')::uuid;
    SELECT jsonb_build_object('id', c.id, 'code', c.codigo::text, 'name', c.nome::text, 'empresa', c.empresa::text, 'active', c.ativo)
    INTO about FROM @extschema@.cadences AS c WHERE c.id = asked;
    IF about IS NULL THEN
        RAISE EXCEPTION 'there is no such cadence' USING ERRCODE = 'no_data_found';
    END IF;
    zone := @extschema@.cadence_api_zone(about ->> 'empresa');
    -- the same days as in the list of all cadences
    since := @extschema@.cadence_api_first_day(params ->> 'days', 366, @extschema@.cadence_api_zone());
    bucket := CASE WHEN coalesce(params ->> 'days', '30')::int > 31 THEN 'week' ELSE 'day' END;
    PERFORM set_config('TimeZone', zone, true);
    WITH days AS MATERIALIZED (
        SELECT CASE bucket WHEN 'week' THEN greatest(date_trunc('week', c.day)::date, since) ELSE c.day END AS bucket_day, c.*
        FROM @extschema@.cadence_rollup_cohorts(asked, since, 'infinity'::date) AS c
    ), began AS MATERIALIZED (
        SELECT CASE bucket WHEN 'week' THEN greatest(date_trunc('week', e.day)::date, since) ELSE e.day END AS day, sum(e.runs)::bigint AS runs
        FROM @extschema@.cadence_rollup_enrolled(asked, since, 'infinity'::date) AS e GROUP BY 1
    ), counted AS MATERIALIZED (
        SELECT c.bucket_day AS day, c.step_id,
               sum(c.entered)::bigint AS entered, sum(c.sent)::bigint AS sent, sum(c.delivered)::bigint AS delivered, sum(c.read)::bigint AS read,
               sum(c.replied)::bigint AS replied, sum(c.opted_out)::bigint AS opted_out, sum(c.failed)::bigint AS failed,
               sum(c.skipped)::bigint AS skipped, sum(c.stopped)::bigint AS stopped
        FROM days AS c GROUP BY 1, 2
    ), waiting AS MATERIALIZED (
        SELECT w.step_id, w.waiting, w.paused FROM @extschema@.cadence_api_waiting() AS w WHERE w.cadence_id = asked
    ), steps AS MATERIALIZED (
        SELECT s.id, s.ordem::int AS ordem, s.canal::text AS canal, s.template_codigo::text AS template, s.offset_minutos AS minutes
        FROM @extschema@.cadence_steps AS s WHERE s.cadence_id = asked
        UNION ALL
        -- what was removed has had its messages, too
        SELECT DISTINCT c.step_id, NULL::int, NULL, NULL, NULL::int FROM counted AS c
        WHERE NOT EXISTS (SELECT FROM @extschema@.cadence_steps AS s WHERE s.cadence_id = asked AND s.id = c.step_id)
    )
    SELECT (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'id', s.id, 'step', s.ordem, 'channel', s.canal, 'template', s.template, 'removed', s.ordem IS NULL,
                   'entered', t.entered, 'sent', t.sent, 'delivered', t.delivered, 'read', t.read, 'replied', t.replied,
                   'opted_out', t.opted_out, 'failed', t.failed, 'skipped', t.skipped, 'stopped', t.stopped,
                   'waiting', coalesce(w.waiting, 0), 'paused', coalesce(w.paused, 0)) ORDER BY s.ordem NULLS LAST, s.id), '[]')
        FROM steps AS s
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(c.entered), 0) AS entered, coalesce(sum(c.sent), 0) AS sent, coalesce(sum(c.delivered), 0) AS delivered,
                   coalesce(sum(c.read), 0) AS read, coalesce(sum(c.replied), 0) AS replied, coalesce(sum(c.opted_out), 0) AS opted_out,
                   coalesce(sum(c.failed), 0) AS failed, coalesce(sum(c.skipped), 0) AS skipped, coalesce(sum(c.stopped), 0) AS stopped
            FROM counted AS c WHERE c.step_id = s.id) AS t
        LEFT JOIN waiting AS w ON w.step_id = s.id),
        (SELECT coalesce(jsonb_agg(jsonb_build_object('day', d.day, 'enrolled', d.enrolled, 'steps', (
                    SELECT coalesce(jsonb_object_agg(c.step_id, jsonb_build_object(
                               'entered', c.entered, 'sent', c.sent, 'delivered', c.delivered, 'read', c.read, 'replied', c.replied,
                               'opted_out', c.opted_out, 'failed', c.failed)), '{}')
                    FROM counted AS c WHERE c.day = d.day)) ORDER BY d.day DESC), '[]')
         FROM (SELECT b.day, sum(b.runs) AS enrolled
               FROM (SELECT x.day, x.runs FROM began AS x UNION ALL SELECT DISTINCT c.day, 0 FROM counted AS c) AS b GROUP BY 1) AS d)
    INTO listed, cohorts;
    RETURN jsonb_build_object('zone', zone, 'since', since, 'bucket', bucket, 'cadence', about, 'steps', listed, 'cohorts', cohorts,
        'enrolled', (SELECT coalesce(sum((c.value ->> 'enrolled')::bigint), 0) FROM jsonb_array_elements(cohorts) AS c(value)),
        'none_left', (SELECT coalesce(sum(w.waiting + w.paused), 0) FROM @extschema@.cadence_api_waiting() AS w WHERE w.cadence_id = asked AND w.step_id IS NULL),
        'waiting_as_of', @extschema@.cadence_api_waiting_as_of());
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_cadencia(jsonb, boolean) IS
'the page of a cadence (id; days, 30 where none are given): of the runs that began in these days, by step, how many have come to it and what became of its message; the same by the day, or the week, on which they began; and how many wait now';
