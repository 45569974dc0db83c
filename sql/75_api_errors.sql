--
-- What the dashboard shows of errors
--
-- How many there were is told by the rollup (kind error: rows of lead_cadence_events with ERRO, by
-- the hour); examples are rows of a group, the last first, by lead_cadence_events_group_idx.

-- Since the beginning of an hour, as the rollup counts.
CREATE FUNCTION @extschema@.cadence_api_since(days text, most int) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF days IS NOT NULL AND (days !~ '^[1-9][0-9]{0,3}$' OR days::int > most) THEN
        RAISE EXCEPTION 'days must be a number from 1 to %', most USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN date_trunc('hour', now() - make_interval(hours => coalesce(days, '7')::int * 24 - 1), 'UTC');
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_since(text, int) IS
'part of the dashboard: since when so many days are counted (7 where none are given): with the hour that it is now';

-- As cadence_rollup_counts() has them, but summed at once: of three months there may be a hundred thousand
-- rows. Of one code, sender and template, or of all where they are null.
CREATE FUNCTION @extschema@.cadence_api_error_sums(since timestamptz, by_hour boolean, code text, server text, template text)
RETURNS TABLE (code text, server text, template text, cadence text, at timestamptz, n bigint, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
    SELECT x.code, x.server, x.template, CASE WHEN $2 THEN x.cadence END, CASE WHEN $2 THEN x.at END, sum(x.n)::bigint, min(x.first_at), max(x.last_at)
    FROM (
        SELECT c.at, c.code, c.server, c.template, c.cadence, c.n, c.first_at, c.last_at FROM @extschema@.cadence_counts AS c
        WHERE c.grain = 'HOUR' AND c.kind = 'error' AND c.at >= $1
        UNION ALL
        SELECT date_trunc('hour', d.at, 'UTC'), d.code, d.server, d.template, coalesce(d.cadence::text, ''), d.n, d.first_at, d.last_at
        FROM @extschema@.cadence_deltas AS d WHERE d.kind = 'error' AND d.at >= $1
    ) AS x
    WHERE ($3 IS NULL OR x.code = $3) AND ($4 IS NULL OR x.server = $4) AND ($5 IS NULL OR x.template = $5)
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(x.n) > 0
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_error_sums(timestamptz, boolean, text, text, text) IS
'part of the dashboard: errors since the beginning of an hour by code, sender and template, and by cadence and hour where that is asked for';

CREATE FUNCTION @extschema@.cadence_api_erros(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET work_mem = '32MB'
AS $$
DECLARE
    shown constant int := 200;
    since constant timestamptz := @extschema@.cadence_api_since(params ->> 'days', 366);
    language constant text := coalesce(params ->> 'lang', 'pt-BR');
    zone constant text := @extschema@.cadence_api_zone();
    listed jsonb;
    errors bigint;
    kinds bigint;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    WITH g AS (
        SELECT e.* FROM @extschema@.cadence_api_error_sums(since, false, NULL, NULL, NULL) AS e
    ), ranked AS (
        SELECT g.*, row_number() OVER (ORDER BY g.n DESC, g.last_at DESC, g.code, g.server, g.template) AS rank FROM g
    )
    SELECT jsonb_agg(jsonb_build_object('code', r.code, 'server', r.server, 'template', r.template, 'n', r.n,
                                        'first_at', r.first_at, 'last_at', r.last_at)
                     || coalesce(@extschema@.cadence_api_words_of(r.code, language), '{"means": null, "todo": null}') ORDER BY r.rank)
               FILTER (WHERE r.rank <= shown),
           coalesce(sum(r.n), 0), count(*)
    INTO listed, errors, kinds FROM ranked AS r;
    RETURN jsonb_build_object('zone', zone, 'since', since, 'n', errors, 'group_count', kinds, 'groups', coalesce(listed, '[]'));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_erros(jsonb, boolean) IS
'the page Erros: errors of the last days (7), by code, sender and template: how many, the first and the last, what it means and what to do (in lang)';

CREATE FUNCTION @extschema@.cadence_api_error_examples(code text, server text, template text, people boolean, most int)
RETURNS SETOF jsonb
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
    SELECT jsonb_build_object(
               'at', e.created_at, 'run', e.run, 'step', e.step_ordem, 'channel', "left"(e.detalhes ->> 'canal', 40),
               -- who may not see people goes there by the run
               'lead_id', CASE WHEN $4 THEN r.lead_id::text WHEN NOT @extschema@.cadence_api_id_tells(r.lead_id::text, r.empresa::text) THEN r.lead_id::text
                               ELSE '***' END,
               'empresa', r.empresa::text, 'cadence', c.codigo::text, 'cadence_name', "left"(c.nome::text, 200),
               'name', CASE WHEN $4 THEN "left"(k.nome, 400) ELSE @extschema@.cadence_mask(k.nome, 'name') END,
               'text', CASE WHEN $4 THEN "left"(e.detalhes ->> 'erro', 2000) ELSE @extschema@.cadence_mask_event($1, e.detalhes ->> 'erro', k.names) END,
               'reason', CASE WHEN $4 THEN "left"(e.detalhes ->> 'motivo', 2000) ELSE @extschema@.cadence_mask(e.detalhes ->> 'motivo', 'text') END,
               'http_status', "left"(e.detalhes ->> 'http_status', 40), 'attempt', "left"(e.detalhes ->> 'tentativa', 40),
               'permanent', coalesce(e.detalhes ->> 'permanente' = 'true', false))
    FROM (SELECT x.created_at, x.id, x.lead_cadence_run_id AS run, x.step_ordem::int AS step_ordem, x.detalhes
          FROM @extschema@.lead_cadence_events AS x
          WHERE x.tipo_evento = 'ERRO'
            AND "left"(coalesce(x.detalhes ->> 'codigo', ''), 40) = "left"($1, 40)
            AND "left"(coalesce(x.detalhes ->> 'provedor', ''), 63) = "left"($2, 63)
            AND "left"(coalesce(x.template_codigo::text, ''), 100) = "left"($3, 100)
          ORDER BY x.created_at DESC LIMIT $5) AS e
    LEFT JOIN @extschema@.lead_cadence_runs AS r ON r.id = e.run
    LEFT JOIN @extschema@.cadences AS c ON c.id = r.cadence_id
    LEFT JOIN LATERAL (
        SELECT k.nome::text AS nome, concat_ws(' ', k.nome, k.primeiro_nome) AS names FROM @extschema@.lead_contacts AS k
        WHERE k.lead_id::text = r.lead_id::text AND k.empresa::text = r.empresa::text
        ORDER BY k.updated_at DESC NULLS LAST, k.id LIMIT 1) AS k ON true
    ORDER BY e.created_at DESC, e.id DESC
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_error_examples(text, text, text, boolean, int) IS
'part of the dashboard: the last errors of a code, a sender and a template';

CREATE FUNCTION @extschema@.cadence_api_erro(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET work_mem = '32MB'
AS $$
DECLARE
    shown constant int := 20;
    since constant timestamptz := @extschema@.cadence_api_since(params ->> 'days', 366);
    asked_code constant text := params ->> 'code';
    asked_server constant text := coalesce(params ->> 'server', '');
    asked_template constant text := coalesce(params ->> 'template', '');
    zone constant text := @extschema@.cadence_api_zone();
    sums record;
BEGIN
    IF asked_code IS NULL THEN
        RAISE EXCEPTION 'a group of errors is named by code, server and template' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('TimeZone', zone, true);
    WITH g AS MATERIALIZED (
        SELECT e.* FROM @extschema@.cadence_api_error_sums(since, true, asked_code, asked_server, asked_template) AS e
    )
    SELECT (SELECT coalesce(sum(g.n), 0) FROM g) AS n, (SELECT min(g.first_at) FROM g) AS first_at, (SELECT max(g.last_at) FROM g) AS last_at,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('day', d.day, 'n', d.n) ORDER BY d.day), '[]')
            FROM (SELECT g.at::date AS day, sum(g.n) AS n FROM g GROUP BY 1) AS d) AS days,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('cadence_id', d.cadence, 'cadence', d.codigo, 'cadence_name', d.nome, 'n', d.n) ORDER BY d.n DESC, d.cadence), '[]')
            FROM (SELECT g.cadence, max(c.codigo::text) AS codigo, "left"(max(c.nome::text), 200) AS nome, sum(g.n) AS n FROM g
                  LEFT JOIN @extschema@.cadences AS c ON c.id::text = g.cadence GROUP BY 1) AS d) AS cadences
    INTO sums;
    RETURN jsonb_build_object(
        'zone', zone, 'since', since, 'code', asked_code, 'server', asked_server, 'template', asked_template,
        'n', sums.n, 'first_at', sums.first_at, 'last_at', sums.last_at, 'days', sums.days, 'cadences', sums.cadences,
        'examples', coalesce((SELECT jsonb_agg(e) FROM @extschema@.cadence_api_error_examples(asked_code, asked_server, asked_template, coalesce(people, false), shown) AS e), '[]'))
        || coalesce(@extschema@.cadence_api_words_of(asked_code, coalesce(params ->> 'lang', 'pt-BR')), '{"means": null, "todo": null}');
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_erro(jsonb, boolean) IS
'the page of one group of errors (code, server, template; days): how many by day and cadence, and the last of them as examples';
