--
-- What happened before anybody counted
--
-- Tables that are adopted have a history: runs, their events, messages, opt-outs, executions. It is
-- counted when the tables of 71_rollup.sql are made, into cadence_deltas, from where it is folded as
-- everything else; src/sqlapi/rebuild.c keeps everybody else from writing meanwhile, and is what
-- becomes the tables' owner. Each table is read a fixed number of times and joined by hashes, whatever
-- its size.
--

CREATE FUNCTION @extschema@.cadence_rollup_rebuild(counts boolean DEFAULT true, cohorts boolean DEFAULT true) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_rollup_rebuild(boolean, boolean) IS
'counts again what the tables of runs, events and messages say: attempts and errors (counts), and what became of runs (cohorts); what was removed from them counts no more. Nobody else writes to them meanwhile. For members of the role that owns them';

CREATE FUNCTION @extschema@.cadence_rollup_day(zone text, began timestamptz) RETURNS date
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.cadence_rollup_day(text, timestamptz) IS
'the day of cadence_rollup_cohorts() for runs that began then, where their company has that zone';

-- The step of a number, where the cadence was never edited while the run was in it. One that is there no
-- more keeps what it has sent together, under an id that is made of its cadence and number.
CREATE FUNCTION @extschema@.cadence_recount_steps()
RETURNS TABLE (cadence uuid, ordem bigint, step uuid, template text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.cadence, n.ordem,
           coalesce(s.id, encode(substr(sha256(convert_to('cadence_runner ' || n.cadence || ' ' || n.ordem, 'UTF8')), 1, 16), 'hex')::uuid), s.template
    FROM (
        SELECT DISTINCT r.cadence_id::uuid AS cadence, e.step_ordem::bigint AS ordem
        FROM @extschema@.lead_cadence_events AS e JOIN @extschema@.lead_cadence_runs AS r ON r.id = e.lead_cadence_run_id
        WHERE e.tipo_evento::text = 'DISPARADO' AND e.step_ordem IS NOT NULL
        UNION
        SELECT x.cadence_id::uuid, x.ordem::bigint FROM @extschema@.cadence_steps AS x) AS n
    LEFT JOIN (SELECT DISTINCT ON (x.cadence_id, x.ordem) x.cadence_id::uuid AS cadence, x.ordem::bigint AS ordem, x.id::uuid AS id, x.template_codigo::text AS template
               FROM @extschema@.cadence_steps AS x ORDER BY x.cadence_id, x.ordem, x.id) AS s ON s.cadence = n.cadence AND s.ordem = n.ordem
    WHERE n.cadence IS NOT NULL
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_steps() IS
'part of cadence_rollup_rebuild(): the steps that runs have had, by cadence and number';

-- The runs, of which cohort each is, and before which step it stands.
CREATE FUNCTION @extschema@.cadence_recount_runs()
RETURNS TABLE (run uuid, lead text, empresa text, cadence uuid, day date, stands_at uuid, last_ordem bigint, had uuid[], is_edited boolean)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH zones AS MATERIALIZED (
        SELECT DISTINCT ON (e.empresa::text) e.empresa::text AS empresa, "left"(e.fuso_horario::text, 100) AS zone
        FROM @extschema@.cadence_empresas AS e ORDER BY e.empresa::text
    ), places AS MATERIALIZED (
        SELECT p.cadence, p.ordem, (SELECT x.id::uuid FROM @extschema@.cadence_steps AS x
                                    WHERE x.cadence_id = p.cadence AND x.ordem >= p.ordem ORDER BY x.ordem, x.id LIMIT 1) AS step
        FROM (SELECT DISTINCT r.cadence_id::uuid AS cadence, r.next_step_ordem::bigint AS ordem FROM @extschema@.lead_cadence_runs AS r
              WHERE r.next_step_ordem IS NOT NULL) AS p
    )
    SELECT r.id::uuid, r.lead_id::text, coalesce(r.empresa::text, ''), r.cadence_id::uuid,
           @extschema@.cadence_rollup_day(z.zone, coalesce(r.started_at, r.created_at)::timestamptz),
           CASE WHEN r.edicao IS NULL THEN p.step
                ELSE (SELECT x.id::uuid FROM @extschema@.cadence_steps AS x
                      WHERE x.cadence_id = r.cadence_id AND x.ordem >= r.next_step_ordem AND x.id <> ALL (coalesce(r.passos_enviados, '{}'))
                      ORDER BY x.ordem, x.id LIMIT 1) END,
           r.last_step_ordem::bigint, coalesce(r.passos_enviados, '{}'), r.edicao IS NOT NULL
    FROM @extschema@.lead_cadence_runs AS r
    LEFT JOIN zones AS z ON z.empresa = r.empresa::text
    LEFT JOIN places AS p ON p.cadence = r.cadence_id::uuid AND p.ordem = r.next_step_ordem::bigint
    WHERE r.id IS NOT NULL AND r.cadence_id IS NOT NULL
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_runs() IS
'part of cadence_rollup_rebuild(): the runs, on which day each began, and before which step it stands';

-- The step that had a number when it was spoken of, where the cadence was edited since: as
-- src/record/tally_runs.c has it. One that is there no more is the one of those that the run has had that is none.
CREATE FUNCTION @extschema@.cadence_recount_step(asked uuid, number bigint, template text, had uuid[], is_edited boolean) RETURNS uuid
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((
        SELECT x.id::uuid FROM @extschema@.cadence_steps AS x
        WHERE x.cadence_id = $1 AND (x.id = ANY ($4) OR NOT $5 AND x.ordem = $2) AND (x.template_codigo::text = $3 OR x.ordem = $2)
        ORDER BY (x.template_codigo::text = $3) IS TRUE DESC, (x.ordem = $2) IS TRUE DESC, x.id LIMIT 1), (
        SELECT (array_agg(h.step))[1] FROM unnest($4) AS h(step)
        WHERE NOT EXISTS (SELECT FROM @extschema@.cadence_steps AS x WHERE x.id = h.step) HAVING count(*) = 1))
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_step(uuid, bigint, text, uuid[], boolean) IS
'part of cadence_rollup_rebuild(): which step of a run an event or a message speaks of, where its cadence was edited';

-- What was sent, and what has failed. A step whose message was taken back, to be sent again, is one before
-- which its run stands (is_ahead): it counts when it is sent again.
CREATE FUNCTION @extschema@.cadence_recount_events()
RETURNS TABLE (run uuid, lead text, empresa text, cadence uuid, day date, step uuid, is_ahead boolean, type text, at timestamptz, template text,
    code text, says text, server text, said_canal text, step_canal text, is_permanent boolean, is_late boolean, is_answered boolean, message text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    SELECT x.run, x.lead, x.empresa, x.cadence, x.day, x.step, x.step = x.stands_at AND x.step <> ALL (x.had),
           x.type, x.at, x.template, x.code, x.says, x.server, x.canal, c.canal, x.is_permanent, x.is_late, x.is_answered, x.message
    FROM (
        SELECT r.run, r.lead, r.empresa, r.cadence, r.day, r.stands_at, r.had, e.tipo_evento::text AS type, e.created_at::timestamptz AS at,
               e.template_codigo::text AS template, d.code, "left"(d.says, 200) AS says, d.server, d.canal, d.is_permanent, d.is_late, d.is_answered, d.message,
               CASE WHEN d.passo ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN d.passo::uuid
                    WHEN r.had = '{}' OR NOT r.is_edited AND s.template = e.template_codigo::text AND s.step = ANY (r.had || r.stands_at) THEN s.step
                    ELSE coalesce(@extschema@.cadence_recount_step(r.cadence, e.step_ordem, e.template_codigo::text, r.had, r.is_edited), s.step) END AS step
        FROM @extschema@.lead_cadence_events AS e
        CROSS JOIN LATERAL (
            SELECT e.detalhes ->> 'codigo' AS code, e.detalhes ->> 'erro' AS says, e.detalhes ->> 'provedor' AS server, e.detalhes ->> 'canal' AS canal,
                   coalesce(e.detalhes ->> 'permanente' = 'true', false) AS is_permanent, coalesce(e.detalhes ->> 'tardio' = 'true', false) AS is_late,
                   e.detalhes ->> 'duracao_ms' IS NOT NULL AS is_answered,
                   e.detalhes ->> 'message_id' AS message, e.detalhes ->> 'passo' AS passo) AS d
        JOIN @extschema@.cadence_recount_runs() AS r ON r.run = e.lead_cadence_run_id::uuid
        LEFT JOIN @extschema@.cadence_recount_steps() AS s ON s.cadence = r.cadence AND s.ordem = e.step_ordem::bigint
        WHERE e.tipo_evento::text IN ('DISPARADO', 'ERRO')) AS x
    LEFT JOIN (SELECT s.id::uuid AS id, s.canal::text AS canal FROM @extschema@.cadence_steps AS s) AS c ON c.id = x.step
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_events() IS
'part of cadence_rollup_rebuild(): what was sent and what has failed, and of which step';

-- What its provider has told of a message, of one that names no step that of the event of its sending.
CREATE FUNCTION @extschema@.cadence_recount_receipts()
RETURNS TABLE (run uuid, step uuid, is_read boolean)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH told AS MATERIALIZED (
        SELECT m.id::uuid AS id, m.run_id::uuid AS run, m.step_ordem::bigint AS ordem, m.template_codigo::text AS template,
               coalesce(m.enviado_em, m.created_at)::timestamptz AS at, m.lido_em IS NOT NULL OR m.estado::text = 'LIDO' AS is_read
        FROM @extschema@.lead_messages AS m
        WHERE m.run_id IS NOT NULL AND m.direcao::text = 'OUTBOUND'
          AND (m.entregue_em IS NOT NULL OR m.lido_em IS NOT NULL OR m.estado::text IN ('ENTREGUE', 'LIDO'))
    )
    SELECT t.run,
           CASE WHEN r.had = '{}' OR NOT r.is_edited AND s.template = t.template AND s.step = ANY (r.had || r.stands_at) THEN s.step
                ELSE coalesce(@extschema@.cadence_recount_step(r.cadence, t.ordem, t.template, r.had, r.is_edited), s.step) END, t.is_read
    FROM told AS t JOIN @extschema@.cadence_recount_runs() AS r ON r.run = t.run
    LEFT JOIN @extschema@.cadence_recount_steps() AS s ON s.cadence = r.cadence AND s.ordem = t.ordem
    WHERE t.ordem IS NOT NULL
    UNION ALL
    (SELECT DISTINCT ON (t.id) t.run, e.step, t.is_read
     FROM told AS t JOIN @extschema@.cadence_recount_events() AS e ON e.run = t.run AND (t.template IS NULL OR e.template = t.template)
     WHERE t.ordem IS NULL AND e.type = 'DISPARADO'
     ORDER BY t.id, abs(extract(epoch FROM e.at)::float8 - extract(epoch FROM t.at)::float8))
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_receipts() IS
'part of cadence_rollup_rebuild(): which messages have arrived, or were read, and of which step they are';

-- An answer, or an opt-out, is to what its person had got last.
CREATE FUNCTION @extschema@.cadence_recount_answers()
RETURNS TABLE (run uuid, step uuid, mark text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 100000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH said AS (
        SELECT e.lead, e.empresa, e.at, '' AS mark, e.run, e.step
        FROM @extschema@.cadence_recount_events() AS e WHERE e.type = 'DISPARADO'
        UNION ALL
        SELECT m.lead_id::text, coalesce(m.empresa::text, ''), coalesce(m.recebido_em, m.created_at)::timestamptz, 'replied', NULL, NULL
        FROM @extschema@.lead_messages AS m WHERE m.direcao::text = 'INBOUND'
        UNION ALL
        SELECT o.lead_id::text, coalesce(o.empresa::text, ''), o.em::timestamptz, 'opted_out', NULL, NULL FROM @extschema@.contact_opt_outs AS o
    ), counted AS (
        SELECT s.*, count(*) FILTER (WHERE s.mark = '') OVER (PARTITION BY s.lead, s.empresa ORDER BY s.at, s.mark, s.run ROWS UNBOUNDED PRECEDING) AS n
        FROM said AS s
    ), answered AS (
        SELECT c.mark, first_value(c.run) OVER w AS run, first_value(c.step) OVER w AS step
        FROM counted AS c WHERE c.n > 0 WINDOW w AS (PARTITION BY c.lead, c.empresa, c.n ORDER BY c.mark)
    )
    SELECT DISTINCT a.run, a.step, a.mark FROM answered AS a WHERE a.mark <> ''
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_answers() IS
'part of cadence_rollup_rebuild(): who has answered which step, or wanted no more after it';

-- What each run counts as, once in each column of a step. Whatever became of it at a step, it has come there.
CREATE FUNCTION @extschema@.cadence_recount_marks()
RETURNS TABLE (run uuid, step uuid, mark text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH runs AS MATERIALIZED (
        SELECT r.* FROM @extschema@.cadence_recount_runs() AS r
    ), marks AS (
        SELECT e.run, e.step, m.mark FROM @extschema@.cadence_recount_events() AS e
        CROSS JOIN LATERAL (
            SELECT CASE WHEN e.type = 'DISPARADO' THEN CASE WHEN e.is_ahead THEN NULL ELSE 'sent' END
                        WHEN e.code IN ('PULADO', 'VENCIDO') THEN CASE WHEN e.is_ahead THEN NULL ELSE 'skipped' END
                        WHEN e.is_late AND e.message IS NOT NULL THEN 'failed'
                        -- what somebody has said is no execution's doing
                        WHEN e.is_permanent AND (e.code IN ('BLOQUEADO', 'SAIDA') OR e.code = 'OPT_OUT' AND e.says IS DISTINCT FROM 'the person wants no more messages')
                        THEN 'stopped'
                        WHEN e.is_permanent AND e.code NOT IN ('INCERTO', 'OPT_OUT', 'CANCELADA', 'RESPOSTA') THEN 'failed' END AS mark) AS m
        WHERE m.mark IS NOT NULL
        UNION ALL
        SELECT t.run, t.step, m.mark FROM @extschema@.cadence_recount_receipts() AS t
        CROSS JOIN LATERAL unnest(CASE WHEN t.is_read THEN '{delivered,read}' ELSE '{delivered}' END::text[]) AS m(mark)
        UNION ALL
        SELECT a.run, a.step, a.mark FROM @extschema@.cadence_recount_answers() AS a
        UNION ALL
        SELECT r.run, h.step, 'entered' FROM runs AS r CROSS JOIN LATERAL unnest(r.had) AS h(step)
        UNION ALL
        SELECT r.run, r.stands_at, 'entered' FROM runs AS r
        UNION ALL
        SELECT r.run, s.step, 'entered' FROM runs AS r
        JOIN @extschema@.cadence_recount_steps() AS s ON s.cadence = r.cadence AND s.ordem = r.last_ordem WHERE r.had = '{}'
    )
    SELECT DISTINCT x.run, x.step, x.mark
    FROM (SELECT m.run, m.step, m.mark FROM marks AS m UNION ALL SELECT m.run, m.step, 'entered' FROM marks AS m) AS x WHERE x.step IS NOT NULL
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_marks() IS
'part of cadence_rollup_rebuild(): what each run counts as, at each of its steps';

-- What became of an attempt, as its event says it; null: it was none of an execution's.
CREATE FUNCTION @extschema@.cadence_recount_outcome(type text, code text, is_late boolean, is_answered boolean, says text, message text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN $1 = 'DISPARADO' THEN 'sent'
        -- what somebody has said or told, and what waits for a rule
        WHEN $2 IN ('CANCELADA', 'HUMANO_ASSUMIU', 'CADENCIA_INATIVA', 'REGRA_FALHOU', 'FUSO_INVALIDO', 'JANELA_INVALIDA', 'SEM_ABERTURA')
             OR $5 = 'the person wants no more messages' OR $3 AND $6 IS NOT NULL THEN NULL
        WHEN $2 = 'INCERTO' THEN 'uncertain'
        WHEN $2 = 'RETIDO' THEN 'held'
        WHEN $2 IN ('PULADO', 'VENCIDO') THEN 'skipped'
        WHEN $2 IN ('OPT_OUT', 'BLOQUEADO', 'SAIDA', 'RESPOSTA') THEN 'stopped'
        WHEN $2 IN ('RECUSADO', 'ENDERECO_INEXISTENTE') THEN 'refused'
        -- by its provider, or only since that is known to be shut
        WHEN $2 IN ('PROVEDOR_OCUPADO', 'MAIS_TARDE', 'JANELA_FECHADA', 'TEMPLATE_PARADO', 'PROVEDOR_PARADO', 'PROVEDOR_PAUSADO', 'AGUARDA_RESPOSTA')
        THEN CASE WHEN $4 THEN 'put_off' END
        WHEN $2 IS NULL OR $2 = 'FALHA_ENVIO' THEN 'failed'
        ELSE 'unresolved' END
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_outcome(text, text, boolean, boolean, text, text) IS
'part of cadence_rollup_rebuild(): what became of an attempt, as the event says that it has left';

CREATE FUNCTION @extschema@.cadence_recount_cohorts() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = on SET enable_bitmapscan = on SET enable_nestloop = off SET work_mem = '64MB'
AS $$
BEGIN
    -- what is not folded yet is counted anew with the rest
    UPDATE @extschema@.cadence_deltas SET mark = '', next_step = NULL;
    DELETE FROM @extschema@.cadence_cohorts;
    INSERT INTO @extschema@.cadence_deltas (empresa, cadence, step, day, mark, n)
    SELECT "left"(r.empresa, 100), r.cadence, m.step, r.day, m.mark, count(*)
    FROM @extschema@.cadence_recount_marks() AS m JOIN @extschema@.cadence_recount_runs() AS r ON r.run = m.run
    GROUP BY 1, 2, 3, 4, 5;
    -- the runs themselves
    INSERT INTO @extschema@.cadence_deltas (empresa, cadence, step, day, mark, n)
    SELECT "left"(r.empresa, 100), r.cadence, '00000000-0000-0000-0000-000000000000'::uuid, r.day, 'entered', count(*)
    FROM @extschema@.cadence_recount_runs() AS r GROUP BY 1, 2, 3, 4;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_cohorts() IS
'part of cadence_rollup_rebuild(): counts what became of the runs';

-- By the minute for as long as those are kept, else by the hour. What no page shows is counted only where
-- nobody has counted it: it is known less well here.
CREATE FUNCTION @extschema@.cadence_recount_counts() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = on SET enable_bitmapscan = on SET enable_nestloop = off SET work_mem = '64MB'
AS $$
DECLARE
    minutes_since constant timestamptz := now() - interval '49 hours';
    counted constant text[] := ARRAY(SELECT k.kind FROM unnest('{execution,delivery,inbound,opt_out}'::text[]) AS k(kind)
                                     WHERE EXISTS (SELECT FROM @extschema@.cadence_counts AS c WHERE c.grain = 'TOTAL' AND c.kind = k.kind)
                                        OR EXISTS (SELECT FROM @extschema@.cadence_deltas AS d WHERE d.kind = k.kind));
BEGIN
    UPDATE @extschema@.cadence_deltas SET kind = '' WHERE kind IN ('attempt', 'error');
    DELETE FROM @extschema@.cadence_counts WHERE kind IN ('attempt', 'error');
    INSERT INTO @extschema@.cadence_deltas (kind, at, empresa, server, canal, outcome, code, template, cadence, n, us, buckets, first_at, last_at)
    SELECT x.kind, date_trunc(CASE WHEN x.kind = 'attempt' AND x.at >= minutes_since THEN 'minute' ELSE 'hour' END, x.at, 'UTC'),
           "left"(coalesce(x.empresa, ''), 100), "left"(coalesce(x.server, ''), 100),
           CASE WHEN coalesce(x.canal, '') = '' THEN '' WHEN upper(x.canal) IN ('WHATSAPP', 'SMS', 'EMAIL') THEN upper(x.canal) ELSE '?' END,
           "left"(coalesce(x.outcome, ''), 100), "left"(coalesce(x.code, ''), 100), "left"(coalesce(x.template, ''), 100), x.cadence,
           count(*), 0, NULL, min(x.at), max(x.at)
    FROM (
        -- an event of an attempt that has a message leaves its channel to that
        SELECT k.kind, e.at, e.empresa, e.server, CASE k.kind WHEN 'error' THEN e.said_canal ELSE coalesce(e.said_canal, e.step_canal) END AS canal, k.outcome, CASE WHEN e.type = 'ERRO' THEN e.code END AS code, e.template, e.cadence
        FROM @extschema@.cadence_recount_events() AS e
        CROSS JOIN LATERAL (
            SELECT 'attempt' AS kind, @extschema@.cadence_recount_outcome(e.type, e.code, e.is_late, e.is_answered, e.says, e.message) AS outcome
            UNION ALL
            SELECT 'error', '' WHERE e.type = 'ERRO') AS k
        WHERE k.outcome IS NOT NULL
        UNION ALL
        SELECT 'execution', l.executed_at::timestamptz, '', '', '',
               CASE WHEN l.details ->> 'erro' IS NOT NULL THEN 'failed' WHEN l.errors > 0 THEN 'errors' ELSE 'success' END,
               l.trigger_source::text, '', NULL
        FROM @extschema@.cadence_runner_logs AS l
        UNION ALL
        SELECT 'delivery', t.at, m.empresa::text, '', m.canal::text, t.outcome, 'done', '', NULL
        FROM @extschema@.lead_messages AS m
        CROSS JOIN LATERAL (VALUES
            ('delivered', m.entregue_em::timestamptz), ('read', m.lido_em::timestamptz),
            ('failed', CASE WHEN m.estado::text = 'ERRO' THEN coalesce(m.updated_at, m.created_at)::timestamptz END)) AS t(outcome, at)
        WHERE m.direcao::text = 'OUTBOUND' AND t.at IS NOT NULL
        UNION ALL
        SELECT 'inbound', coalesce(m.recebido_em, m.created_at)::timestamptz, m.empresa::text, '', m.canal::text, 'message', 'done', '', NULL
        FROM @extschema@.lead_messages AS m WHERE m.direcao::text = 'INBOUND'
        UNION ALL
        -- nobody has written down how it was said
        SELECT 'opt_out', o.em::timestamptz, o.empresa::text, '', o.canal::text, '', '', '', NULL
        FROM @extschema@.contact_opt_outs AS o) AS x
    WHERE x.at IS NOT NULL AND x.kind <> ALL (counted)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_counts() IS
'part of cadence_rollup_rebuild(): counts attempts and errors, and what else is written down where it was not counted yet';
