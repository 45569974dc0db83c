--
-- The dashboard's pages of cadences: cadence_api_cadencias(), cadence_api_cadencia(). Every number is that of a plain count.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
\set VERBOSITY sqlstate
SELECT cadence_api_cadencias('{}', true);
SELECT cadence_api_cadencia('{"id": "c0000000-0000-0000-0000-000000000001"}', true);
\set VERBOSITY default
SELECT cadence_create_tables();
SELECT cadence_api_cadencias('{}', true) - 'since' - 'waiting_as_of';

INSERT INTO cadence_empresas (empresa, nome, fuso_horario) VALUES ('BLUE', 'Blue', 'Pacific/Kiritimati'), ('GOLD', 'Gold', 'America/Manaus'), ('GREY', 'Grey', 'America/Manaus');
INSERT INTO cadences (id, empresa, codigo, nome, ativo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'QUENTE', '<b>Leads</b> {{nome}}', true), ('c0000000-0000-0000-0000-000000000002', 'GOLD', 'FRIA', NULL, true),
    ('c0000000-0000-0000-0000-000000000003', 'BLUE', 'VELHA', 'Velha', false);
INSERT INTO cadence_steps (id, cadence_id, ordem, canal, template_codigo) VALUES
    ('50000000-0000-0000-0000-000000000001', 'c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA'), ('50000000-0000-0000-0000-000000000002', 'c0000000-0000-0000-0000-000000000001', 3, 'EMAIL', 'TUDO_BEM'),
    ('50000000-0000-0000-0000-000000000003', 'c0000000-0000-0000-0000-000000000002', 1, 'SMS', 'OI');

-- what the rollup has, folded and not yet folded: 40 days of 10 runs each, of which so many have come to the second step
INSERT INTO cadence_cohorts (cadence, step, day, empresa, entered, sent, delivered, read, replied, opted_out, failed, skipped, stopped)
SELECT 'c0000000-0000-0000-0000-000000000001', s.step, (now() AT TIME ZONE 'America/Manaus')::date - d, 'BLUE', s.entered, s.sent, s.delivered, s.read, s.replied, s.opted_out, s.failed, s.skipped, s.stopped
FROM generate_series(0, 39) AS d, (VALUES
    ('50000000-0000-0000-0000-000000000001'::uuid, 10, 9, 8, 5, 2, 1, 1, 0, 0), ('50000000-0000-0000-0000-000000000002'::uuid, 6, 4, 4, 2, 1, 0, 0, 1, 1),
    ('00000000-0000-0000-0000-000000000000'::uuid, 10, 0, 0, 0, 0, 0, 0, 0, 0))
    AS s(step, entered, sent, delivered, read, replied, opted_out, failed, skipped, stopped);
-- a step that was removed
INSERT INTO cadence_cohorts (cadence, step, day, empresa, entered, sent) VALUES ('c0000000-0000-0000-0000-000000000001', '50000000-0000-0000-0000-00000000000f', (now() AT TIME ZONE 'America/Manaus')::date - 1, 'BLUE', 3, 3);
-- one who begins today is moved on: its first step's message has left, and it has come to the second
INSERT INTO cadence_deltas (kind, at, empresa, cadence, step, day, mark, n) VALUES
    ('', now(), 'BLUE', 'c0000000-0000-0000-0000-000000000001', '50000000-0000-0000-0000-000000000001', (now() AT TIME ZONE 'America/Manaus')::date, 'entered', 1),
    ('', now(), 'BLUE', 'c0000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000000', (now() AT TIME ZONE 'America/Manaus')::date, 'entered', 1);
INSERT INTO cadence_deltas (kind, at, empresa, cadence, step, next_step, day, mark, n) VALUES
    ('', now(), 'BLUE', 'c0000000-0000-0000-0000-000000000001', '50000000-0000-0000-0000-000000000001', '50000000-0000-0000-0000-000000000002', (now() AT TIME ZONE 'America/Manaus')::date, 'sent', 1);
DELETE FROM cadence_stock;
INSERT INTO cadence_stock (empresa, cadence, ordem, status, runs, counted_at) VALUES
    ('BLUE', 'c0000000-0000-0000-0000-000000000001', 1, 'ATIVA', 5, '2026-05-01 12:00Z'), ('BLUE', 'c0000000-0000-0000-0000-000000000001', 2, 'ATIVA', 4, '2026-05-01 12:00Z'),
    ('BLUE', 'c0000000-0000-0000-0000-000000000001', 3, 'ATIVA', 3, '2026-05-01 12:00Z'), ('BLUE', 'c0000000-0000-0000-0000-000000000001', 3, 'PAUSADA', 2, '2026-05-01 12:00Z'),
    ('BLUE', 'c0000000-0000-0000-0000-000000000001', 4, 'ATIVA', 1, '2026-05-01 12:00Z'), ('BLUE', 'c0000000-0000-0000-0000-000000000001', -1, 'PAUSADA', 1, '2026-05-01 12:00Z'),
    ('BLUE', 'c0000000-0000-0000-0000-000000000001', -1, 'CONCLUIDA', 100, '2026-05-01 12:00Z'), ('', '', 0, '', 0, '2026-05-01 12:00Z');

CREATE FUNCTION pg_temp.cadencia(params jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT cadence_api_cadencia('{"id": "c0000000-0000-0000-0000-000000000001"}' || params, true)
$$;
-- without the first day, which is today's to say
SELECT jsonb_pretty(pg_temp.cadencia() - 'since' - 'cohorts');
SELECT d, (now() AT TIME ZONE 'America/Manaus')::date - (c ->> 'since')::date AS days_before, c ->> 'bucket' AS bucket, c -> 'enrolled' AS enrolled, jsonb_array_length(c -> 'cohorts') <= CASE c ->> 'bucket' WHEN 'day' THEN d ELSE d / 7 + 2 END AS cohorts,
       (SELECT sum((x ->> 'enrolled')::bigint) FROM jsonb_array_elements(c -> 'cohorts') AS x) = (c ->> 'enrolled')::bigint AS all_are_in_cohorts
FROM unnest(ARRAY[1, 7, 30, 31, 32, 366]) AS d, pg_temp.cadencia(jsonb_build_object('days', d::text)) AS c;
-- the sums of steps are those of the cohorts, and those of the rollup
SELECT d, s ->> 'step' AS step, (s ->> k.key)::bigint = (SELECT coalesce(sum((x -> 'steps' -> (s ->> 'id') ->> k.key)::bigint), 0) FROM jsonb_array_elements(c -> 'cohorts') AS x) AS cohorts,
       (s ->> k.key)::bigint = (SELECT coalesce(sum((to_jsonb(r) ->> k.key)::bigint), 0) FROM cadence_rollup_cohorts('c0000000-0000-0000-0000-000000000001', (c ->> 'since')::date) AS r WHERE r.step_id = (s ->> 'id')::uuid) AS rollup, count(*) AS keys
FROM unnest(ARRAY['7', '90']) AS d, pg_temp.cadencia(jsonb_build_object('days', d)) AS c, jsonb_array_elements(c -> 'steps') AS s,
    unnest(ARRAY['entered', 'sent', 'delivered', 'read', 'replied', 'opted_out', 'failed']) AS k(key) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2;
-- no share is over the whole
SELECT d, s ->> 'step' AS step, k FROM unnest(ARRAY['1', '7', '90']) AS d, jsonb_array_elements(pg_temp.cadencia(jsonb_build_object('days', d)) -> 'steps') AS s,
    unnest(ARRAY['sent', 'delivered', 'read', 'replied', 'opted_out', 'failed', 'skipped', 'stopped']) AS k WHERE (s ->> k)::bigint > (s ->> 'entered')::bigint;
-- the list has the same numbers
SELECT c ->> 'code' AS code, c ->> 'name' AS name, c ->> 'active' AS active, c -> 'steps' AS steps, c -> 'enrolled' AS enrolled, c -> 'sent' AS sent, c -> 'delivered' AS delivered, c -> 'read' AS read,
       c -> 'replied' AS replied, c -> 'opted_out' AS opted_out, c -> 'failed' AS failed, c -> 'waiting' AS waiting, c -> 'paused' AS paused FROM jsonb_array_elements(cadence_api_cadencias('{"days": "90"}', true) -> 'cadences') AS c;
SELECT (l ->> 'enrolled')::bigint = (c ->> 'enrolled')::bigint AS enrolled,
       bool_and((l ->> k)::bigint = (SELECT coalesce(sum((s ->> k)::bigint), 0) FROM jsonb_array_elements(c -> 'steps') AS s)) AS sums,
       (l ->> 'waiting')::bigint + (l ->> 'paused')::bigint = (SELECT coalesce(sum((s ->> 'waiting')::bigint + (s ->> 'paused')::bigint), 0) FROM jsonb_array_elements(c -> 'steps') AS s) + (c ->> 'none_left')::bigint AS waiting
FROM jsonb_array_elements(cadence_api_cadencias('{"days": "90"}', true) -> 'cadences') AS l, cadence_api_cadencia(jsonb_build_object('id', l ->> 'id', 'days', '90'), true) AS c,
    unnest(ARRAY['sent', 'delivered', 'read', 'replied', 'opted_out', 'failed']) AS k GROUP BY l, c;
-- nothing personal is in it
SELECT cadence_api_cadencias('{}', true) = cadence_api_cadencias('{}', false), pg_temp.cadencia() = cadence_api_cadencia('{"id": "c0000000-0000-0000-0000-000000000001"}', false);

-- what has happened for true: enrolled, sent or not, as the tables have it
DELETE FROM cadence_cohorts;
DELETE FROM cadence_deltas;
CREATE SERVER regress_api_sms FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://127.0.0.1:1/');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('GOLD', 'OI', 'Oi');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone) SELECT 'l' || n, 'GOLD', 'Lead', '+551198765432' || n FROM generate_series(1, 5) AS n;
SELECT count(cadence_enroll('l' || n, 'FRIA', now() - interval '1 minute')) FROM generate_series(1, 5) AS n;
SELECT cadence_run('MANUAL') -> 'summary' ->> 'total' AS total;
SELECT c -> 'enrolled' AS enrolled, c -> 'steps' -> 0 -> 'entered' AS entered, c -> 'steps' -> 0 -> 'sent' AS sent
FROM cadence_api_cadencia('{"id": "c0000000-0000-0000-0000-000000000002"}', true) AS c;

CREATE FUNCTION pg_temp.refusal(sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE sql;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    RETURN concat_ws(' ', SQLSTATE, SQLERRM);
END $$;
SELECT p, pg_temp.refusal(format('SELECT cadence_api_cadencia(%L, true)', p)) FROM unnest(ARRAY['{}', '{"id": "QUENTE"}', '{"id": "c0000000-0000-0000-0000-00000000000f"}', '{"id": ""}',
    '{"id": "c0000000-0000-0000-0000-000000000001", "days": "0"}', '{"id": "c0000000-0000-0000-0000-000000000001", "days": "99999"}', '{"id": "c0000000-0000-0000-0000-000000000001", "days": "7; DROP"}']) AS p;
SELECT pg_temp.refusal('SELECT cadence_api_cadencia(NULL, true)'), pg_temp.refusal('SELECT cadence_api_cadencias(NULL, NULL)');
-- runs and messages are not read at all
BEGIN;
CREATE TEMP VIEW scans AS SELECT relname, seq_scan, idx_scan FROM pg_stat_xact_user_tables WHERE relname IN ('lead_contacts', 'lead_cadence_runs', 'lead_cadence_events', 'lead_messages');
CREATE TEMP TABLE before ON COMMIT DROP AS TABLE scans;
SELECT count(cadence_api_cadencias('{}', true)), count(pg_temp.cadencia());
TABLE scans EXCEPT TABLE before;
COMMIT;
CREATE ROLE regress_api_cadences;
GRANT USAGE ON SCHEMA cadence TO regress_api_cadences;
SET ROLE regress_api_cadences;
SELECT cadence_api_cadencias('{}', true);
SELECT cadence_api_cadencia('{}', true);
SELECT * FROM cadence_api_waiting();
RESET ROLE;
DROP OWNED BY regress_api_cadences;
DROP ROLE regress_api_cadences;
RESET search_path;
DROP SERVER regress_api_sms CASCADE;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
