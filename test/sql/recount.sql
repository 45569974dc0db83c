--
-- Tables that are adopted have a history: every number of every page is a count of it, at once.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
SET search_path = cadence;
SET timezone = 'UTC';
SET jit = off;
SET datestyle = 'ISO, YMD';
CREATE TYPE empresa_tipo AS ENUM ('TOKENIZA', 'BLUE', 'ILHA');
CREATE TYPE canal_tipo AS ENUM ('WHATSAPP', 'EMAIL', 'SMS');
CREATE TYPE cadence_run_status AS ENUM ('ATIVA', 'CONCLUIDA', 'CANCELADA', 'PAUSADA');
CREATE TYPE cadence_evento_tipo AS ENUM ('AGENDADO', 'DISPARADO', 'ERRO', 'RESPOSTA_DETECTADA');
CREATE TYPE mensagem_direcao AS ENUM ('OUTBOUND', 'INBOUND');
CREATE TYPE mensagem_estado AS ENUM ('PENDENTE', 'ENVIADO', 'ENTREGUE', 'LIDO', 'ERRO');
-- as an installation of before has them: no step of a message, no time of an answer, nothing unique
CREATE TABLE cadences (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), empresa empresa_tipo NOT NULL, codigo text NOT NULL UNIQUE, nome text NOT NULL,
    ativo boolean NOT NULL DEFAULT true, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE cadence_steps (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), cadence_id uuid NOT NULL REFERENCES cadences ON DELETE CASCADE, ordem int NOT NULL,
    offset_minutos int NOT NULL DEFAULT 0, canal canal_tipo NOT NULL, template_codigo text NOT NULL, parar_se_responder boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE lead_cadence_runs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id text NOT NULL, empresa empresa_tipo NOT NULL,
    cadence_id uuid NOT NULL REFERENCES cadences, status cadence_run_status NOT NULL DEFAULT 'ATIVA', started_at timestamptz NOT NULL DEFAULT now(),
    last_step_ordem int NOT NULL DEFAULT 0, next_step_ordem int, next_run_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE lead_cadence_events (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_cadence_run_id uuid NOT NULL REFERENCES lead_cadence_runs ON DELETE CASCADE,
    step_ordem int NOT NULL, template_codigo text NOT NULL, tipo_evento cadence_evento_tipo NOT NULL, detalhes jsonb, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE lead_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id text NOT NULL, empresa empresa_tipo NOT NULL,
    run_id uuid REFERENCES lead_cadence_runs, canal canal_tipo NOT NULL, direcao mensagem_direcao NOT NULL, conteudo text NOT NULL,
    estado mensagem_estado NOT NULL DEFAULT 'PENDENTE', template_codigo text, whatsapp_message_id text, email_message_id text,
    enviado_em timestamptz, entregue_em timestamptz, lido_em timestamptz, erro_detalhe text,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE cadence_empresas (empresa text PRIMARY KEY, nome text, fuso_horario text, pais text);
CREATE TABLE cadence_runner_logs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), executed_at timestamptz NOT NULL DEFAULT now(), steps_executed int NOT NULL DEFAULT 0,
    errors int NOT NULL DEFAULT 0, runs_touched int NOT NULL DEFAULT 0, duration_ms int, details jsonb, trigger_source text);

-- the zones of two companies; one is not known, and one is none
INSERT INTO cadence_empresas (empresa, fuso_horario, pais) VALUES ('BLUE', 'Asia/Tokyo', 'JP'), ('ILHA', 'Terra/Media', 'BR');
INSERT INTO cadences (id, empresa, codigo, nome) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA', 'Uma'), ('c0000000-0000-0000-0000-000000000002', 'TOKENIZA', 'OUTRA', 'Outra'),
    ('c0000000-0000-0000-0000-000000000003', 'ILHA', 'FIM', 'Fim'), ('c0000000-0000-0000-0000-000000000004', 'BLUE', 'VAZIA', 'Sem passos');
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
SELECT id, n, 1440, CASE WHEN n = 2 THEN 'EMAIL' ELSE 'WHATSAPP' END::canal_tipo, 'T' || n FROM cadences, generate_series(1, 3) AS n WHERE codigo <> 'VAZIA';
-- forty days of runs, some at midnight there; 3 of 10 are where each step was sent
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, started_at, created_at, last_step_ordem, next_step_ordem, next_run_at)
SELECT md5('run ' || i)::uuid, 'l' || i % 150, c.empresa, c.id,
    CASE WHEN i % 10 = 9 THEN 'CONCLUIDA' WHEN i % 7 = 3 THEN 'PAUSADA' WHEN i % 11 = 5 THEN 'CANCELADA' ELSE 'ATIVA' END::cadence_run_status,
    now() - i * interval '195 minutes', now() - i * interval '195 minutes',
    least(i % 10 / 3, 3), CASE WHEN i % 10 = 9 THEN NULL ELSE i % 10 / 3 + 1 END, CASE WHEN i % 10 <> 9 THEN now() + i * interval '1 minute' END
FROM generate_series(0, 299) AS i JOIN cadences c ON c.codigo = (ARRAY['UMA', 'OUTRA', 'FIM'])[1 + i % 3];
-- with no step before which it could stand, and one that has begun twice
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, next_step_ordem) VALUES
    (md5('run empty')::uuid, 'l1', 'BLUE', 'c0000000-0000-0000-0000-000000000004', 'CONCLUIDA', NULL),
    (md5('run again')::uuid, 'l1', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'CANCELADA', 1);
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
SELECT r.id, n, 'T' || n, 'DISPARADO', '{"old": true}', r.started_at + n * interval '37 minutes'
FROM lead_cadence_runs r CROSS JOIN LATERAL generate_series(1, r.last_step_ordem) AS n;
-- said twice, and of a step that is there no more
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, created_at)
SELECT lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, created_at FROM lead_cadence_events WHERE lead_cadence_run_id IN (md5('run 10')::uuid, md5('run 13')::uuid);
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, created_at)
SELECT id, 9, 'T9', 'DISPARADO', started_at FROM lead_cadence_runs WHERE id IN (md5('run 30')::uuid, md5('run 60')::uuid);
-- what could not be sent: without a code, and as others have written it
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
SELECT r.id, r.next_step_ordem, 'T' || r.next_step_ordem, 'ERRO', d, r.started_at + interval '5 hours'
FROM lead_cadence_runs r CROSS JOIN (VALUES (3, '{"error": "timeout"}'::jsonb), (4, '["odd"]'), (5, NULL), (6, '{"codigo": "RECUSADO", "erro": "no", "permanente": true, "provedor": "zap"}'),
    (7, '{"codigo": "FALHA_ENVIO", "provedor": "zap"}'), (8, '{"codigo": "SEM_CONTATO", "permanente": true}'), (9, '{"codigo": "OPT_OUT", "permanente": true}'),
    (2, '{"codigo": "CANCELADA", "permanente": true}'), (1, '{"codigo": "INCERTO", "permanente": true}')) AS e(n, d)
WHERE hashtext(r.id::text) & 15 = e.n AND r.next_step_ordem IS NOT NULL;
-- messages of what was sent, some arrived; the second template of a run is named nowhere
INSERT INTO lead_messages (lead_id, empresa, run_id, canal, direcao, conteudo, estado, template_codigo, enviado_em, entregue_em, lido_em, created_at)
SELECT r.lead_id, r.empresa, r.id, 'WHATSAPP', 'OUTBOUND', 'x',
    (ARRAY['ENVIADO', 'ENTREGUE', 'LIDO', 'ERRO'])[1 + k]::mensagem_estado, e.template_codigo, e.created_at + interval '1 second',
    CASE WHEN k IN (1, 2) THEN e.created_at + interval '1 minute' END, CASE WHEN k = 2 THEN e.created_at + interval '2 minutes' END, e.created_at
FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id CROSS JOIN LATERAL (SELECT hashtext(r.id::text || e.step_ordem) & 3 AS k) AS h
WHERE e.tipo_evento = 'DISPARADO';
-- of nobody's run: by hand, and imported
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, enviado_em, entregue_em) VALUES ('l2', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'oi', 'LIDO', now(), now());
-- who has answered, some twice, some before anything was sent
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, created_at)
SELECT r.lead_id, r.empresa, 'WHATSAPP', 'INBOUND', 'ok', 'ENTREGUE', r.started_at + n * interval '20 minutes'
FROM lead_cadence_runs r CROSS JOIN generate_series(-1, 3, 2) AS n WHERE hashtext(r.lead_id) & 7 = 3;
INSERT INTO cadence_runner_logs (executed_at, steps_executed, errors, runs_touched, duration_ms, details, trigger_source)
SELECT now() - i * interval '1 hour', 2, i % 3, 2 + i % 3, 10 * i, CASE WHEN i % 5 = 0 THEN '{"erro": "x"}'::jsonb ELSE '{}' END, (ARRAY['CRON', 'MANUAL'])[1 + i % 2] FROM generate_series(1, 30) AS i;

-- the numbers as plain counts of the tables have them
CREATE FUNCTION zone_of(empresa text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT CASE $1 WHEN 'BLUE' THEN 'Asia/Tokyo' ELSE 'America/Sao_Paulo' END $$;
CREATE VIEW plain_runs AS SELECT r.*, (r.started_at AT TIME ZONE zone_of(r.empresa::text))::date AS day FROM lead_cadence_runs r;
CREATE VIEW plain_sent AS SELECT DISTINCT r.id AS run, r.cadence_id, r.day, e.step_ordem, e.template_codigo FROM plain_runs r JOIN lead_cadence_events e ON e.lead_cadence_run_id = r.id WHERE e.tipo_evento = 'DISPARADO';
CREATE VIEW plain_told AS SELECT DISTINCT s.run, s.cadence_id, s.day, s.step_ordem, m.what FROM plain_sent s JOIN lead_messages g ON g.run_id = s.run AND g.template_codigo = s.template_codigo
    CROSS JOIN LATERAL (VALUES ('delivered', g.entregue_em), ('read', g.lido_em)) AS m(what, at) WHERE m.at IS NOT NULL;
-- what somebody has got last before they said something
CREATE VIEW plain_answers AS SELECT DISTINCT r.cadence_id, r.day, l.run, l.step_ordem FROM lead_messages m
    CROSS JOIN LATERAL (SELECT r.id AS run, e.step_ordem FROM lead_cadence_runs r JOIN lead_cadence_events e ON e.lead_cadence_run_id = r.id
        WHERE r.lead_id = m.lead_id AND r.empresa = m.empresa AND e.tipo_evento = 'DISPARADO' AND e.created_at <= m.created_at
        ORDER BY e.created_at DESC, r.id DESC LIMIT 1) AS l JOIN plain_runs r ON r.id = l.run WHERE m.direcao = 'INBOUND';
CREATE VIEW plain_failed AS SELECT DISTINCT r.id AS run, r.cadence_id, r.day, e.step_ordem FROM plain_runs r JOIN lead_cadence_events e ON e.lead_cadence_run_id = r.id
    WHERE e.tipo_evento = 'ERRO' AND e.detalhes ->> 'permanente' = 'true' AND e.detalhes ->> 'codigo' IN ('RECUSADO', 'SEM_CONTATO');
-- with times: an event is written a moment after it is counted
CREATE FUNCTION differ(days int, with_times boolean DEFAULT true) RETURNS TABLE (page text, of text, shown text, plain text) LANGUAGE plpgsql AS $$
DECLARE
    params jsonb := jsonb_build_object('days', days::text);
    zone text := cadence_api_zone();
    since date := (now() AT TIME ZONE zone)::date - days + 1;
    hour timestamptz := date_trunc('hour', now() - make_interval(hours => days * 24 - 1));
    agora jsonb := cadence_api_agora('{}', true);
    today timestamptz := date_trunc('day', now() AT TIME ZONE zone) AT TIME ZONE zone;
    erros jsonb := cadence_api_erros(params, true);
BEGIN
    RETURN QUERY
    WITH plain_runs AS MATERIALIZED (SELECT * FROM plain_runs), plain_sent AS MATERIALIZED (SELECT * FROM plain_sent), plain_told AS MATERIALIZED (SELECT * FROM plain_told),
    plain_answers AS MATERIALIZED (SELECT * FROM plain_answers), plain_failed AS MATERIALIZED (SELECT * FROM plain_failed), shown AS (
        SELECT 'agora' AS page, x.of, x.n FROM (VALUES ('sent_today', agora -> 'sent_today'), ('failed_today', agora -> 'failed_today'), ('uncertain', agora -> 'uncertain'), ('due', agora -> 'due'),
            ('sent_24h', (SELECT to_jsonb(sum(m.v::int)) FROM jsonb_array_elements_text(agora #> '{minutes,sent}') AS m(v)))) AS x(of, n)
        UNION ALL
        SELECT 'minutes', (since_24h + n * interval '1 minute')::text, to_jsonb(m.v::int) FROM jsonb_array_elements_text(agora #> '{minutes,sent}') WITH ORDINALITY AS m(v, n), (SELECT (agora #>> '{minutes,from}')::timestamptz - interval '1 minute' AS since_24h) AS s WHERE m.v <> '0'
        UNION ALL
        SELECT 'erros', 'n', erros -> 'n'
        UNION ALL
        SELECT 'erros', concat_ws('/', g ->> 'code', g ->> 'server', g ->> 'template', CASE WHEN with_times THEN (g ->> 'first_at')::timestamptz END, CASE WHEN with_times THEN (g ->> 'last_at')::timestamptz END), g -> 'n' FROM jsonb_array_elements(erros -> 'groups') AS g
        UNION ALL
        SELECT 'cadencias', (c ->> 'code') || ' ' || k.key, k.value FROM jsonb_array_elements(cadence_api_cadencias(params, true) -> 'cadences') AS c,
            jsonb_each(c - '{id,code,name,empresa,active,steps}'::text[]) AS k
        UNION ALL
        SELECT 'cadencia', c.codigo || ' ' || coalesce(s ->> 'step', '9') || ' ' || k.key, k.value FROM cadences c, jsonb_array_elements(cadence_api_cadencia(params || jsonb_build_object('id', c.id), true) -> 'steps') AS s,
            jsonb_each(s - '{id,step,channel,template,removed,opted_out,skipped,stopped}'::text[]) AS k
        UNION ALL
        SELECT 'cohort', c.codigo || ' ' || (d ->> 'day'), to_jsonb(sum((d ->> 'enrolled')::int)) FROM cadences c, jsonb_array_elements(cadence_api_cadencia(params || jsonb_build_object('id', c.id), true) -> 'cohorts') AS d GROUP BY 2
        UNION ALL
        SELECT 'cohort sent', c.codigo || ' ' || (d ->> 'day'), to_jsonb(sum((s.value ->> 'sent')::int)) FROM cadences c, jsonb_array_elements(cadence_api_cadencia(params || jsonb_build_object('id', c.id), true) -> 'cohorts') AS d, jsonb_each(d -> 'steps') AS s GROUP BY 2
        UNION ALL
        SELECT 'metrics', m[1], to_jsonb(m[2]::numeric::int) FROM regexp_matches(cadence_metrics(), '^(cadence_(?:runs|executions_total|errors_total|attempts_total|deliveries_total|inbound_total)\{[^\n]*\}) ([0-9.]+)$', 'gn') AS m
    ), steps AS (
        SELECT c.codigo, c.id AS cadence_id, s.ordem FROM cadences c JOIN cadence_steps s ON s.cadence_id = c.id UNION SELECT c.codigo, c.id, x.step_ordem FROM plain_sent x JOIN cadences c ON c.id = x.cadence_id WHERE x.day >= since
    ), plain AS (
        SELECT 'agora' AS page, x.of, x.n FROM (VALUES
            ('sent_today', (SELECT count(*) FROM lead_cadence_events e WHERE e.tipo_evento = 'DISPARADO' AND e.created_at >= today AND e.created_at <= now())),
            ('failed_today', (SELECT count(*) FROM lead_cadence_events e WHERE e.tipo_evento = 'ERRO' AND e.created_at >= today AND coalesce(e.detalhes ->> 'codigo', '') NOT IN ('CANCELADA', 'OPT_OUT'))),
            ('uncertain', (SELECT count(DISTINCT r.id) FROM lead_cadence_runs r JOIN lead_cadence_events e ON e.lead_cadence_run_id = r.id WHERE r.status = 'PAUSADA' AND e.detalhes ->> 'codigo' = 'INCERTO')), ('due', (SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at <= now())),
            ('sent_24h', (SELECT count(*) FROM lead_cadence_events e WHERE e.tipo_evento = 'DISPARADO' AND e.created_at >= date_trunc('minute', now()) - interval '24 hours' AND e.created_at < date_trunc('minute', now()) + interval '1 minute'))) AS x(of, n)
        UNION ALL
        SELECT 'minutes', date_trunc('minute', e.created_at)::text, count(*) FROM lead_cadence_events e WHERE e.tipo_evento = 'DISPARADO' AND e.created_at >= date_trunc('minute', now()) - interval '24 hours' AND e.created_at < date_trunc('minute', now()) + interval '1 minute' GROUP BY 2
        UNION ALL
        SELECT 'erros', 'n', count(*) FROM lead_cadence_events e WHERE e.tipo_evento = 'ERRO' AND e.created_at >= hour
        UNION ALL
        SELECT 'erros', concat_ws('/', coalesce(detalhes ->> 'codigo', ''), coalesce(detalhes ->> 'provedor', ''), template_codigo, CASE WHEN with_times THEN min(created_at) END, CASE WHEN with_times THEN max(created_at) END), count(*) FROM lead_cadence_events e WHERE e.tipo_evento = 'ERRO' AND e.created_at >= hour
            GROUP BY coalesce(detalhes ->> 'codigo', ''), coalesce(detalhes ->> 'provedor', ''), template_codigo
        UNION ALL
        SELECT 'cadencias', c.codigo || ' ' || k.of, k.n FROM cadences c CROSS JOIN LATERAL (VALUES
            ('enrolled', (SELECT count(*) FROM plain_runs r WHERE r.cadence_id = c.id AND r.day >= since)), ('sent', (SELECT count(*) FROM plain_sent s WHERE s.cadence_id = c.id AND s.day >= since)),
            ('delivered', (SELECT count(*) FROM plain_told s WHERE s.cadence_id = c.id AND s.day >= since AND what = 'delivered')), ('read', (SELECT count(*) FROM plain_told s WHERE s.cadence_id = c.id AND s.day >= since AND what = 'read')),
            ('replied', (SELECT count(*) FROM plain_answers s WHERE s.cadence_id = c.id AND s.day >= since)), ('opted_out', 0::bigint), ('failed', (SELECT count(*) FROM plain_failed s WHERE s.cadence_id = c.id AND s.day >= since)),
            ('waiting', (SELECT count(*) FROM lead_cadence_runs r WHERE r.cadence_id = c.id AND r.status = 'ATIVA')), ('paused', (SELECT count(*) FROM lead_cadence_runs r WHERE r.cadence_id = c.id AND r.status = 'PAUSADA'))) AS k(of, n)
        UNION ALL
        SELECT 'cadencia', t.codigo || ' ' || t.ordem || ' ' || k.of, k.n FROM steps t CROSS JOIN LATERAL (VALUES
            ('entered', (SELECT count(*) FROM plain_runs r WHERE r.cadence_id = t.cadence_id AND r.day >= since AND (r.next_step_ordem = t.ordem OR EXISTS (SELECT FROM plain_sent s WHERE s.run = r.id AND s.step_ordem = t.ordem)))),
            ('sent', (SELECT count(*) FROM plain_sent s WHERE s.cadence_id = t.cadence_id AND s.step_ordem = t.ordem AND s.day >= since)),
            ('delivered', (SELECT count(*) FROM plain_told s WHERE s.cadence_id = t.cadence_id AND s.step_ordem = t.ordem AND s.day >= since AND what = 'delivered')),
            ('read', (SELECT count(*) FROM plain_told s WHERE s.cadence_id = t.cadence_id AND s.step_ordem = t.ordem AND s.day >= since AND what = 'read')),
            ('replied', (SELECT count(*) FROM plain_answers s WHERE s.cadence_id = t.cadence_id AND s.step_ordem = t.ordem AND s.day >= since)), ('failed', (SELECT count(*) FROM plain_failed s WHERE s.cadence_id = t.cadence_id AND s.step_ordem = t.ordem AND s.day >= since)),
            ('waiting', (SELECT count(*) FROM lead_cadence_runs r WHERE r.cadence_id = t.cadence_id AND r.status = 'ATIVA' AND r.next_step_ordem = t.ordem)),
            ('paused', (SELECT count(*) FROM lead_cadence_runs r WHERE r.cadence_id = t.cadence_id AND r.status = 'PAUSADA' AND r.next_step_ordem = t.ordem))) AS k(of, n)
        UNION ALL
        SELECT 'cohort', c.codigo || ' ' || r.bucket, count(*) FROM (SELECT x.*, CASE WHEN days > 31 THEN greatest(date_trunc('week', x.day)::date, since) ELSE x.day END AS bucket FROM plain_runs x) r JOIN cadences c ON c.id = r.cadence_id WHERE r.day >= since GROUP BY 2
        UNION ALL
        SELECT 'cohort sent', c.codigo || ' ' || r.bucket, count(s.run) FROM (SELECT x.*, CASE WHEN days > 31 THEN greatest(date_trunc('week', x.day)::date, since) ELSE x.day END AS bucket FROM plain_runs x) r JOIN cadences c ON c.id = r.cadence_id
            LEFT JOIN plain_sent s ON s.run = r.id WHERE r.day >= since AND c.codigo <> 'VAZIA' GROUP BY 2
        UNION ALL
        SELECT 'metrics', m.name, m.n FROM (
            SELECT format('cadence_runs{status="%s"}', status) AS name, count(*) AS n FROM lead_cadence_runs GROUP BY status
            UNION ALL SELECT format('cadence_errors_total{code="%s"}', coalesce(detalhes ->> 'codigo', '')), count(*) FROM lead_cadence_events WHERE tipo_evento = 'ERRO' GROUP BY coalesce(detalhes ->> 'codigo', '')
            UNION ALL SELECT format('cadence_executions_total{trigger="%s",result="%s"}', trigger_source, CASE WHEN details ->> 'erro' IS NOT NULL THEN 'failed' WHEN errors > 0 THEN 'errors' ELSE 'success' END), count(*) FROM cadence_runner_logs GROUP BY 1
            UNION ALL SELECT format('cadence_attempts_total{server="",channel="%s",outcome="sent"}', s.canal), count(*) FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
                LEFT JOIN cadence_steps s ON s.cadence_id = r.cadence_id AND s.ordem = e.step_ordem WHERE tipo_evento = 'DISPARADO' GROUP BY s.canal
            UNION ALL SELECT format('cadence_deliveries_total{server="",channel="%s",status="%s"}', canal, w.what), count(*) FROM lead_messages m CROSS JOIN LATERAL (VALUES ('delivered', entregue_em IS NOT NULL), ('read', lido_em IS NOT NULL), ('failed', estado = 'ERRO')) AS w(what, holds) WHERE w.holds AND direcao = 'OUTBOUND' GROUP BY canal, w.what
            UNION ALL SELECT 'cadence_inbound_total{server="",kind="message",result="done"}', count(*) FROM lead_messages WHERE direcao = 'INBOUND') AS m)
    SELECT coalesce(s.page, p.page), coalesce(s.of, p.of), s.n::text, p.n::text FROM shown s FULL JOIN plain p ON p.page = s.page AND p.of = s.of
    WHERE (s.n::text IS DISTINCT FROM p.n::text) AND coalesce(s.of, p.of) !~ 'attempts_total.*outcome="(failed|refused|uncertain|unresolved|stopped)"' ORDER BY 1, 2;
END $$;

CREATE EXTENSION cadence_runner SCHEMA cadence;
SELECT cadence_create_tables();
-- none
SELECT * FROM differ(60);
SELECT * FROM differ(20);
-- and there were some
SELECT sum(entered) > 300 AS entered, sum(sent) > 200 AS sent, sum(delivered) > 50 AS delivered, sum(read) > 20 AS read, sum(replied) > 20 AS replied, sum(failed) > 20 AS failed FROM cadence_rollup_cohorts();
SELECT count(*) FROM cadence_deltas;
-- what failed, and how
SELECT outcome, code, sum(n) = (SELECT count(*) FROM lead_cadence_events e WHERE e.tipo_evento = 'ERRO' AND coalesce(e.detalhes ->> 'codigo', '') = c.code) AS is_right
FROM cadence_rollup_counts('TOTAL', '{attempt}') AS c WHERE outcome <> 'sent' GROUP BY 1, 2 ORDER BY 1, 2;
-- once: tables that are there already are left as they are
SELECT cadence_create_tables();
SELECT * FROM differ(60);
-- what comes after is counted as it comes
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at) VALUES ('l500', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 1, now() + interval '1 day');
SELECT count(cadence_cancel(id, 'x')) AS cancelled FROM lead_cadence_runs WHERE lead_id = 'l500';
SELECT cadence_rollup_refresh(true);
SELECT * FROM differ(60, with_times => false);
-- all of it again, with what is not folded yet
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem) VALUES ('l501', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 2);
SELECT cadence_rollup_rebuild();
SELECT * FROM differ(60);
SELECT count(*) FROM cadence_deltas;
-- only what is lost
DROP TABLE cadence_cohorts;
INSERT INTO cadence_counts SELECT 'TOTAL', 'http', '-infinity', '', 'health', '', 'GET', '200', '', '', 7, 0, now(), now();
SELECT cadence_create_tables();
SELECT * FROM differ(60);
SELECT kind, n FROM cadence_rollup_counts('TOTAL', '{http}');

-- it keeps nobody from adopting them
DROP TABLE cadence_cohorts;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cadence_create_tables();
COMMIT;
SELECT count(*) FROM cadence_cohorts;
SELECT cadence_rollup_rebuild(counts => false);
SELECT * FROM differ(60);
-- by whom, and when
CREATE ROLE regress_cadence_other;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_other;
SET ROLE regress_cadence_other;
SELECT cadence.cadence_rollup_rebuild();
RESET ROLE;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cadence_rollup_rebuild();
ROLLBACK;
SET client_min_messages = error;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_other;
