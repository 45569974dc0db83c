--
-- What policies make of a step: windows, holidays, zones, expiry, failures, exits,
-- skips, caps, gaps. Executions run at whatever time it is: windows are put around
-- that time, in the zone at hand.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
-- a lead that is active several times in a cadence, as an adopted table may have it
DROP INDEX lead_cadence_runs_active_idx;
-- nobody is there: what is sent fails, and says so
CREATE SERVER regress_rules_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
CREATE SERVER regress_rules_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/');

INSERT INTO cadence_empresas (empresa, nome) VALUES ('BLUE', 'Blue');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'C');
INSERT INTO cadence_steps (id, cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('50000000-0000-0000-0000-000000000001', 'c0000000-0000-0000-0000-000000000001', 1, 0, 'WHATSAPP', 'OLA'),
    ('50000000-0000-0000-0000-000000000002', 'c0000000-0000-0000-0000-000000000001', 2, 60, 'EMAIL', 'OLA'),
    ('50000000-0000-0000-0000-000000000003', 'c0000000-0000-0000-0000-000000000001', 3, 60, 'WHATSAPP', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Olá {{nome}}');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email, fuso_horario)
SELECT l, 'BLUE', l, '+5511987654321', l || '@example.com', NULL FROM unnest(ARRAY['ana', 'bia', 'caio', 'davi', 'eva']) AS l;

-- a window around the time that it is in a zone, or the rest of the day
CREATE FUNCTION around(zone text, minutes int DEFAULT 60) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(jsonb_build_object(
        'das', to_char(now() AT TIME ZONE zone - make_interval(mins => minutes), 'HH24:MI'),
        'ate', to_char(now() AT TIME ZONE zone + make_interval(mins => minutes), 'HH24:MI'))) $$;
CREATE FUNCTION beside(zone text, minutes int DEFAULT 60) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(jsonb_build_object(
        'das', to_char(now() AT TIME ZONE zone + make_interval(mins => minutes), 'HH24:MI'),
        'ate', to_char(now() AT TIME ZONE zone - make_interval(mins => minutes), 'HH24:MI'))) $$;

-- a run for each of some leads, due now; then an execution, and what has become of them
CREATE PROCEDURE try(leads text[] DEFAULT ARRAY['ana'], step int DEFAULT 1, due timestamptz DEFAULT now()) LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM lead_cadence_runs;
    INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, last_step_ordem, next_run_at)
    SELECT l, 'BLUE', 'c0000000-0000-0000-0000-000000000001', step, NULLIF(step - 1, 0), due - (n - 1) * interval '1 ms' FROM unnest(leads) WITH ORDINALITY AS u(l, n);
    COMMIT;
    PERFORM cadence_run('TEST');
END $$;
CREATE VIEW outcome AS
    SELECT r.lead_id AS lead,
        (SELECT x ->> 'status' FROM cadence_runner_logs g, jsonb_array_elements(g.details -> 'results') x
         WHERE x ->> 'runId' = r.id::text ORDER BY g.executed_at DESC LIMIT 1) AS outcome,
        coalesce((SELECT e.detalhes ->> 'codigo' FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id AND e.tipo_evento = 'ERRO'), '') AS codigo,
        (SELECT regexp_replace(x ->> 'mensagem', 'server "regress_rules_', 'server "') FROM cadence_runner_logs g, jsonb_array_elements(g.details -> 'results') x
         WHERE x ->> 'runId' = r.id::text ORDER BY g.executed_at DESC LIMIT 1) AS mensagem,
        r.status, r.next_step_ordem AS next,
        CASE WHEN r.next_run_at < now() + interval '2 minutes' THEN 'soon' WHEN r.next_run_at < now() + interval '20 minutes' THEN 'minutes'
             WHEN r.next_run_at < now() + interval '26 hours' THEN 'hours' ELSE 'days' END AS waits, r.attempts
    FROM lead_cadence_runs r ORDER BY r.lead_id, r.attempts DESC;
-- nobody is there
CALL try();
TABLE outcome;

-- windows: the cadence's own comes first; a null is always
UPDATE cadence_empresas SET janela = beside('America/Sao_Paulo');
CALL try();
TABLE outcome;
UPDATE cadences SET janela = around('America/Sao_Paulo');
CALL try();
TABLE outcome;
UPDATE cadences SET janela = beside('America/Sao_Paulo');
UPDATE cadence_empresas SET janela = NULL;
CALL try();
TABLE outcome;
-- at the opening, and so long after it at most
UPDATE cadences SET janela_espalha = interval '0';
CALL try();
TABLE outcome;
SELECT to_char(next_run_at AT TIME ZONE 'America/Sao_Paulo', 'HH24:MI') = janela -> 0 ->> 'das' AS at_the_opening FROM lead_cadence_runs, cadences;
UPDATE cadences SET janela_espalha = interval '30 minutes';
CALL try(ARRAY['ana', 'bia', 'caio', 'davi', 'eva']);
SELECT count(DISTINCT next_run_at) AS times, max(next_run_at) - min(next_run_at) < interval '30 minutes' AS near,
       max(next_run_at) - min(next_run_at) > interval '1 minute' AS spread FROM lead_cadence_runs;
UPDATE cadences SET janela = NULL, janela_espalha = NULL;

-- zones: the person's own, else the company's; one that does not exist is not guessed around
UPDATE cadences SET janela = around('Asia/Tokyo');
CALL try();
TABLE outcome;
UPDATE lead_contacts SET fuso_horario = 'Asia/Tokyo' WHERE lead_id = 'ana';
CALL try();
TABLE outcome;
UPDATE lead_contacts SET fuso_horario = 'America/Sampa' WHERE lead_id = 'ana';
CALL try(ARRAY['ana', 'bia']);
TABLE outcome;
UPDATE cadences SET janela = NULL;
CALL try();
TABLE outcome;
UPDATE lead_contacts SET fuso_horario = NULL;

-- holidays close the day, with a window or without
INSERT INTO cadence_feriados (dia, nome) SELECT (now() AT TIME ZONE 'America/Sao_Paulo')::date, 'hoje';
CALL try();
TABLE outcome;
UPDATE cadence_feriados SET empresa = 'GOLD';
CALL try();
TABLE outcome;
UPDATE cadence_feriados SET empresa = 'BLUE', pais = 'PT';
CALL try();
TABLE outcome;
UPDATE cadence_feriados SET pais = 'br', uf = 'sp';
UPDATE cadence_empresas SET uf = 'SP';
CALL try();
TABLE outcome;
-- every day
INSERT INTO cadence_feriados (dia) SELECT d::date FROM generate_series(now() - interval '2 days', now() + interval '500 days', '1 day') AS d;
UPDATE cadences SET janela = around('America/Sao_Paulo');
CALL try();
TABLE outcome;
DELETE FROM cadence_feriados;
UPDATE cadences SET janela = NULL;

-- expiry counts from when the step was due first
UPDATE cadence_steps SET validade = interval '1 hour';
CALL try(due => now() - interval '59 minutes');
TABLE outcome;
CALL try(due => now() - interval '61 minutes');
TABLE outcome;
SELECT tipo_evento, step_ordem, detalhes ->> 'codigo' AS codigo, detalhes ->> 'erro' AS erro FROM lead_cadence_events ORDER BY created_at, step_ordem;
-- who was passed by has had no message
UPDATE cadences SET max_novos_por_dia = 1;
INSERT INTO cadence_usage (scope, name, empresa, day, used) SELECT 'NOVOS', id::text, '', (now() AT TIME ZONE 'America/Sao_Paulo')::date, 1 FROM cadences;
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT last_step_ordem, p ->> 'espera_por' AS espera_por FROM lead_cadence_runs r, cadence_preview(r.id) p;
UPDATE cadences SET max_novos_por_dia = NULL;
DELETE FROM cadence_usage;
CALL try(step => 3, due => now() - interval '61 minutes');
TABLE outcome;
UPDATE cadences SET janela = beside('America/Sao_Paulo', 90);
CALL try(due => now() - interval '30 minutes');
TABLE outcome;
SELECT step_due_at = next_run_at - interval '1 hour' - interval '1 microsecond' AS until_it_is_over FROM lead_cadence_runs;
UPDATE cadences SET janela = NULL;
UPDATE cadence_steps SET validade = NULL;

-- after a failure: on to the next step, also for want of an address
UPDATE cadence_steps SET se_falhar = 'PULAR';
UPDATE lead_contacts SET telefone = NULL WHERE lead_id = 'bia';
CALL try(ARRAY['ana', 'bia']);
TABLE outcome;
SELECT tipo_evento, step_ordem, detalhes ->> 'codigo' AS codigo, detalhes -> 'permanente' AS permanente FROM lead_cadence_events e
JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id WHERE lead_id = 'bia' ORDER BY e.created_at, step_ordem;
UPDATE cadence_steps SET se_falhar = NULL;

-- exits and skips
CREATE TABLE pedidos (lead text, o_que text);
CREATE VIEW cadence_exits AS SELECT r.id AS run_id, p.o_que AS motivo FROM pedidos p JOIN lead_cadence_runs r ON r.lead_id = p.lead;
CALL try(ARRAY['ana', 'bia']);
TABLE outcome;
INSERT INTO pedidos VALUES ('ana', 'comprou'), ('ana', 'de novo');
CALL try(ARRAY['ana', 'caio']);
TABLE outcome;
SELECT tipo_evento, detalhes ->> 'codigo' AS codigo, detalhes ->> 'erro' AS erro, detalhes ->> 'motivo' AS motivo FROM lead_cadence_events e
JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id WHERE lead_id = 'ana';
CREATE VIEW cadence_skips AS SELECT id AS run_id, 1::bigint AS ordem, 'já leu'::text AS motivo FROM lead_cadence_runs WHERE lead_id = 'bia';
CALL try(ARRAY['ana', 'bia', 'caio']);
TABLE outcome;
CALL try(ARRAY['bia'], step => 3);
TABLE outcome;
-- views that can not be asked: nothing is sent
DROP VIEW cadence_skips;
CREATE VIEW cadence_skips AS SELECT id AS run_id, 1 AS ordem FROM lead_cadence_runs;
CALL try(ARRAY['caio']);
TABLE outcome;
SELECT detalhes ->> 'erro' AS erro FROM lead_cadence_events;
DROP VIEW cadence_skips;
DROP VIEW cadence_exits;
CREATE VIEW cadence_exits AS SELECT id AS run_id, (1 / CASE lead_id WHEN 'caio' THEN 0 ELSE 1 END)::text AS motivo FROM lead_cadence_runs WHERE lead_id <> 'davi';
CALL try(ARRAY['ana', 'caio', 'davi']);
TABLE outcome;
SELECT detalhes ->> 'erro' AS erro FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'REGRA_FALHOU';
CREATE ROLE regress_rules_other;
ALTER VIEW cadence_exits OWNER TO regress_rules_other;
CALL try(ARRAY['davi']);
TABLE outcome;
SELECT detalhes ->> 'erro' AS erro FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'REGRA_FALHOU';
DROP VIEW cadence_exits;
DROP ROLE regress_rules_other;
CALL try(ARRAY['davi']);
TABLE outcome;

-- caps: a person's, of all cadences; what has failed for certain is given back
UPDATE cadence_empresas SET max_por_lead_dia = 1;
CALL try(ARRAY['ana', 'ana', 'caio']);
TABLE outcome;
SELECT scope, name, used, last_at IS NULL AS never FROM cadence_usage ORDER BY 1, 2;
UPDATE cadence_usage SET used = 1;
CALL try(ARRAY['ana', 'davi']);
TABLE outcome;
SELECT (next_run_at AT TIME ZONE 'America/Sao_Paulo')::time AS at FROM lead_cadence_runs WHERE lead_id = 'ana';
-- of another day, nothing counts
UPDATE cadence_usage SET day = day - 1;
CALL try(ARRAY['ana']);
TABLE outcome;
-- a company's, a cadence's, and of runs that begin; the higher priority and who has begun go first
UPDATE cadence_empresas SET max_por_lead_dia = NULL, max_por_dia = 2;
DELETE FROM cadence_usage;
CALL try(ARRAY['ana', 'caio', 'davi', 'eva']);
TABLE outcome;
UPDATE cadence_empresas SET max_por_dia = NULL;
UPDATE cadences SET max_por_dia = 1;
CALL try(ARRAY['ana', 'caio']);
TABLE outcome;
UPDATE cadences SET max_por_dia = NULL, max_novos_por_dia = 1;
CALL try(ARRAY['ana', 'caio']);
TABLE outcome;
CALL try(ARRAY['ana', 'caio'], step => 2);
TABLE outcome;
SELECT scope, name, used FROM cadence_usage ORDER BY 1, 2;
UPDATE cadences SET max_novos_por_dia = NULL;
-- between two messages to a person
UPDATE cadence_empresas SET intervalo_minimo = interval '3 hours';
CALL try(ARRAY['ana', 'ana']);
TABLE outcome;
UPDATE cadence_usage SET last_at = now() - interval '2 hours 50 minutes' WHERE scope = 'LEAD';
CALL try(ARRAY['ana']);
TABLE outcome;
UPDATE cadence_usage SET last_at = now() - interval '3 hours' WHERE scope = 'LEAD';
CALL try(ARRAY['ana']);
TABLE outcome;
UPDATE cadence_empresas SET intervalo_minimo = NULL;
-- numbers that are no caps, in a table that was adopted with them
ALTER TABLE cadence_empresas DISABLE TRIGGER USER;
ALTER TABLE cadences DISABLE TRIGGER USER;
UPDATE cadence_empresas SET max_por_dia = 0;
CALL try(ARRAY['ana']);
TABLE outcome;
UPDATE cadence_empresas SET max_por_dia = -5;
CALL try(ARRAY['ana']);
TABLE outcome;
UPDATE cadence_empresas SET max_por_dia = NULL;
UPDATE cadences SET janela = '{"das": 8}';
CALL try(ARRAY['ana']);
TABLE outcome;
UPDATE cadences SET janela = to_jsonb(repeat('x', 20000));
CALL try(ARRAY['ana']);
TABLE outcome;
UPDATE cadences SET janela = NULL;

-- when the next step is due: at a time of day, on working days, from the run's beginning
UPDATE cadence_steps SET validade = interval '1 hour' WHERE ordem = 1;
UPDATE cadence_steps SET horario = '09:00', offset_minutos = 4320 WHERE ordem = 2;
CALL try(due => now() - interval '2 hours');
SELECT next_run_at = ((now() AT TIME ZONE 'America/Sao_Paulo')::date + 3 + time '09:00') AT TIME ZONE 'America/Sao_Paulo' AS day_3_at_nine, counts_from > now() - interval '5 minutes' AS counts_from FROM lead_cadence_runs;
UPDATE lead_contacts SET fuso_horario = 'Asia/Tokyo' WHERE lead_id = 'ana';
CALL try(due => now() - interval '2 hours');
SELECT next_run_at = ((now() AT TIME ZONE 'Asia/Tokyo')::date + 3 + time '09:00') AT TIME ZONE 'Asia/Tokyo' AS hers FROM lead_cadence_runs;
UPDATE cadence_steps SET horario = NULL, dias_uteis = true, offset_minutos = 1440 * 5 WHERE ordem = 2;
CALL try(due => now() - interval '2 hours');
SELECT (next_run_at AT TIME ZONE 'Asia/Tokyo')::date - (counts_from AT TIME ZONE 'Asia/Tokyo')::date >= 7 AS over_a_weekend, extract(isodow FROM next_run_at AT TIME ZONE 'Asia/Tokyo') < 6 AS on_a_working_day FROM lead_cadence_runs;
UPDATE cadence_steps SET dias_uteis = false, offset_referencia = 'INICIO', offset_minutos = 600 WHERE ordem = 2;
CALL try(due => now() - interval '2 hours');
SELECT next_run_at = started_at + interval '10 hours' AS from_the_beginning FROM lead_cadence_runs;

-- what is seen before
UPDATE cadences SET janela = beside('America/Sao_Paulo');
UPDATE lead_contacts SET fuso_horario = NULL;
UPDATE cadence_steps SET validade = NULL;
DELETE FROM lead_cadence_runs;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at) SELECT 'caio', 'BLUE', id, 1, now() FROM cadences;
SELECT p ->> 'mensagem' AS mensagem, p ->> 'espera_por' AS espera_por, (p ->> 'espera_ate')::timestamptz - now() BETWEEN interval '59 minutes' AND interval '71 minutes' AS espera_ate FROM lead_cadence_runs r, cadence_preview(r.id) p;

RESET search_path;
DROP SERVER regress_rules_zap, regress_rules_mail;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
