--
-- The dashboard's pages of errors: cadence_api_erros(), cadence_api_erro(). Every number is that of a plain count.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
\set VERBOSITY sqlstate
SELECT cadence_api_erros('{}', true);
SELECT cadence_api_erro('{"code": "FALHA_ENVIO"}', true);
\set VERBOSITY default
SELECT cadence_create_tables();
-- nothing has happened
SELECT cadence_api_erros('{}', true) - 'since', cadence_api_erro('{"code": "FALHA_ENVIO"}', true) - 'since';

-- three kinds of errors of executions, one of them by two senders and of two templates
CREATE SERVER regress_api_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
CREATE SERVER regress_api_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/');
INSERT INTO cadence_empresas (empresa, nome, fuso_horario) VALUES ('BLUE', 'Blue', 'America/Manaus');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'QUENTE'), ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'FRIA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA'), ('c0000000-0000-0000-0000-000000000001', 2, 'EMAIL', 'OLA'),
    ('c0000000-0000-0000-0000-000000000002', 1, 'WHATSAPP', '<b>OI</b> {{nome}}'), ('c0000000-0000-0000-0000-000000000002', 2, 'WHATSAPP', 'NÃO HÁ');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Olá {{nome}}'), ('BLUE', '<b>OI</b> {{nome}}', 'Oi');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email) VALUES
    ('ana', 'BLUE', 'Ana <script>', '+5511987654321', 'ana@example.com'), ('bia', 'BLUE', 'Beatriz', NULL, 'bia@example.com'), ('+5511900001111', 'BLUE', 'Caio', '+5511900001111', NULL);
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT ('a0000000-0000-0000-0000-00000000000' || n)::uuid, lead, 'BLUE', ('c0000000-0000-0000-0000-00000000000' || cadence)::uuid, step, now() - interval '1 minute'
FROM (VALUES (1, 'ana', 1, 1), (2, '+5511900001111', 1, 1), (3, 'bia', 1, 1), (4, 'bia', 2, 2), (5, 'ana', 2, 1), (6, 'ninguém', 1, 2), (7, 'x', 2, 2)) AS v(n, lead, cadence, step);
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at) VALUES
    ('a0000000-0000-0000-0000-000000000008', 'cai', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 2, now() - interval '1 minute');
INSERT INTO lead_contacts (lead_id, empresa, nome, email) VALUES ('cai', 'BLUE', 'Cai', 'cai@example.com');
SELECT cadence_run('MANUAL') -> 'summary' ->> 'errors' AS errors;
-- some of them once more
UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 second' WHERE lead_id IN ('ana', 'bia', 'cai');
SELECT cadence_run('MANUAL') -> 'summary' ->> 'errors' AS errors;

CREATE VIEW counted AS
    SELECT coalesce(detalhes ->> 'codigo', '') AS code, coalesce(detalhes ->> 'provedor', '') AS server, coalesce(template_codigo, '') AS template,
           count(*) AS n, min(created_at) AS first_at, max(created_at) AS last_at
    FROM lead_cadence_events WHERE tipo_evento = 'ERRO' GROUP BY 1, 2, 3;
CREATE VIEW shown AS
    SELECT g ->> 'code' AS code, g ->> 'server' AS server, g ->> 'template' AS template, (g ->> 'n')::bigint AS n,
           (g ->> 'first_at')::timestamptz AS first_at, (g ->> 'last_at')::timestamptz AS last_at
    FROM jsonb_array_elements(cadence_api_erros('{}', true) -> 'groups') AS g;
SELECT code, server, template, n FROM shown ORDER BY 1, 2, 3;
SELECT code, server, template, n FROM counted EXCEPT SELECT code, server, template, n FROM shown;
-- to the millisecond that was shown
SELECT s.code, s.first_at, c.first_at, s.last_at, c.last_at FROM shown AS s JOIN counted AS c USING (code, server, template)
WHERE abs(extract(epoch FROM s.first_at - c.first_at)) > 0.5 OR abs(extract(epoch FROM s.last_at - c.last_at)) > 0.5;
SELECT (a ->> 'n')::bigint = (SELECT sum(n) FROM counted) AS n, (a ->> 'group_count')::bigint = (SELECT count(*) FROM counted) AS groups, a ->> 'zone' AS zone FROM cadence_api_erros('{}', true) AS a;

-- and those of the rollup
SELECT code, server, template, sum(n)::bigint FROM cadence_rollup_counts('HOUR', '{error}') GROUP BY 1, 2, 3 EXCEPT SELECT code, server, template, n FROM shown;

-- one group
SELECT a -> 'n' = to_jsonb(c.n) AS n, (SELECT sum((d ->> 'n')::bigint) FROM jsonb_array_elements(a -> 'days') AS d) = c.n AS days,
       (SELECT sum((d ->> 'n')::bigint) FROM jsonb_array_elements(a -> 'cadences') AS d) = c.n AS cadences, jsonb_array_length(a -> 'examples') = c.n AS examples
FROM counted AS c, cadence_api_erro(jsonb_build_object('code', c.code, 'server', c.server, 'template', c.template), true) AS a ORDER BY c.code, c.server, c.template;
SELECT a ->> 'means' AS means, a ->> 'todo' AS todo, a -> 'cadences' AS cadences
FROM unnest(ARRAY['pt-BR', 'en', 'xx']) AS lang, cadence_api_erro(jsonb_build_object('code', 'FALHA_ENVIO', 'server', 'regress_api_zap', 'template', 'OLA', 'lang', lang), true) AS a;
SELECT DISTINCT e ->> 'lead_id' AS lead, e ->> 'name' AS name, e ->> 'cadence' AS cadence, e ->> 'channel' AS channel, regexp_replace(e ->> 'text', '( port |:)1 after \d+ ms.*', ':1 after a while') AS text
FROM jsonb_array_elements(cadence_api_erro('{"code": "FALHA_ENVIO", "server": "regress_api_zap", "template": "OLA"}', true) -> 'examples') AS e ORDER BY 1;
SELECT DISTINCT e ->> 'lead_id' AS lead, e ->> 'name' AS name, e ->> 'cadence' AS cadence, e ->> 'channel' AS channel, regexp_replace(e ->> 'text', '( port |:)1 after \d+ ms.*', ':1 after a while') AS text
FROM jsonb_array_elements(cadence_api_erro('{"code": "FALHA_ENVIO", "server": "regress_api_zap", "template": "OLA"}', false) -> 'examples') AS e ORDER BY 1;
-- what says who somebody is is nowhere in what is masked
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes) VALUES
    ('a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'ERRO', '{"codigo": "RECUSADO", "provedor": "regress_api_zap", "erro": "no such user ana@example.com (Ana), +55 11 98765-4321", "motivo": "Ana disse não", "permanente": true, "http_status": 400}');
SELECT people, e - 'at' - 'run' AS example FROM (VALUES (true), (false)) AS v(people),
    jsonb_array_elements(cadence_api_erro('{"code": "RECUSADO", "server": "regress_api_zap", "template": "OLA"}', people) -> 'examples') AS e;
-- the last twenty, the last first
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
SELECT 'a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'ERRO', jsonb_build_object('codigo', 'RECUSADO', 'provedor', 'regress_api_zap', 'erro', n), '2026-01-01Z'::timestamptz + n * interval '1 hour' FROM generate_series(1, 3000) AS n;
SELECT jsonb_array_length(a -> 'examples') AS n, a -> 'examples' -> 1 ->> 'text' AS second, a -> 'examples' -> -1 ->> 'text' AS last FROM cadence_api_erro('{"code": "RECUSADO", "server": "regress_api_zap", "template": "OLA"}', true) AS a;

-- whatever texts another application has written, none is too long for the index
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes)
SELECT 'a0000000-0000-0000-0000-000000000001', 1, string_agg(md5(n::text), ''), 'ERRO', jsonb_build_object('codigo', string_agg(md5(n::text), ''), 'provedor', string_agg(md5(n::text), '')) FROM generate_series(1, 2000) AS n;
INSERT INTO lead_cadence_events (lead_cadence_run_id, tipo_evento, detalhes) VALUES ('a0000000-0000-0000-0000-000000000001', 'ERRO', NULL), ('a0000000-0000-0000-0000-000000000001', 'ERRO', '[1]');
SELECT jsonb_array_length(cadence_api_erro('{"code": ""}', true) -> 'examples');
SELECT jsonb_array_length(cadence_api_erro(jsonb_build_object('code', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) AS n),
    'server', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) AS n), 'template', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) AS n)), true) -> 'examples');
-- nothing is read from its beginning to its end
ANALYZE;
BEGIN;
CREATE TEMP VIEW scans AS SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname IN ('lead_contacts', 'lead_cadence_runs', 'lead_cadence_events') AND seq_scan > 0;
CREATE TEMP TABLE before ON COMMIT DROP AS TABLE scans;
SELECT count(cadence_api_erro('{"code": "RECUSADO", "server": "regress_api_zap", "template": "OLA"}', people)) FROM (VALUES (true), (false)) AS v(people);
SELECT count(cadence_api_erros('{}', people)) FROM (VALUES (true), (false)) AS v(people);
TABLE scans EXCEPT TABLE before;
COMMIT;

-- of how many days
SELECT now() - (cadence_api_erros('{"days": "1"}', true) ->> 'since')::timestamptz BETWEEN interval '23 hours' AND interval '24 hours' AS one,
       now() - (cadence_api_erros('{"days": "30"}', true) ->> 'since')::timestamptz BETWEEN interval '30 days -1 hour' AND interval '30 days' AS thirty;
CREATE FUNCTION pg_temp.refusal(sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE sql;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    RETURN concat_ws(' ', SQLSTATE, SQLERRM);
END $$;
SELECT days, pg_temp.refusal(format('SELECT cadence_api_erros(%L, true)', jsonb_build_object('days', days))) FROM unnest(ARRAY['0', '-1', '367', '7 days', '1e3', '']) AS days;
SELECT pg_temp.refusal('SELECT cadence_api_erro(''{}'', true)'), pg_temp.refusal('SELECT cadence_api_erros(NULL, NULL)');

-- what codes mean is said in both languages, of all that an event may have
SELECT code FROM cadence_code_words WHERE concat(en, en_todo) = concat(pt, pt_todo) OR '' IN (en, pt, en_todo, pt_todo);
SELECT count(*) = count(DISTINCT code) AS once, count(*) > 40 AS all FROM cadence_code_words;
SELECT DISTINCT detalhes ->> 'codigo' FROM lead_cadence_events WHERE tipo_evento = 'ERRO' AND length(detalhes ->> 'codigo') < 40
EXCEPT SELECT code FROM cadence_code_words;

-- nobody but the owner may ask
CREATE ROLE regress_api_errors;
GRANT USAGE ON SCHEMA cadence TO regress_api_errors;
SET ROLE regress_api_errors;
SELECT cadence_api_erros('{}', true);
SELECT cadence_api_erro('{"code": "FALHA_ENVIO"}', true);
SELECT cadence_api_error_examples('FALHA_ENVIO', '', '', true, 10);
RESET ROLE;
DROP OWNED BY regress_api_errors;
DROP ROLE regress_api_errors;
DROP VIEW shown, counted;
RESET search_path;
DROP SERVER regress_api_zap CASCADE;
DROP SERVER regress_api_mail CASCADE;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
