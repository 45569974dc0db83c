--
-- What is counted as it happens is what the tables say, whatever has been folded.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/', breaker_after '0');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/', breaker_after '0');
INSERT INTO cadence_empresas (empresa, fuso_horario) VALUES ('BLUE', 'America/Sao_Paulo'), ('ILHA', 'Asia/Tokyo'), ('ERRADA', 'Terra/Media');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA'), ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'OUTRA');
INSERT INTO cadence_steps (id, cadence_id, ordem, canal, template_codigo, parar_se_responder) VALUES
    ('50000000-0000-0000-0000-000000000001', 'c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA', false),
    ('50000000-0000-0000-0000-000000000002', 'c0000000-0000-0000-0000-000000000001', 2, 'WHATSAPP', 'DEPOIS', false),
    ('50000000-0000-0000-0000-000000000003', 'c0000000-0000-0000-0000-000000000001', 5, 'WHATSAPP', 'FIM', false),
    ('50000000-0000-0000-0000-000000000004', 'c0000000-0000-0000-0000-000000000002', 1, 'EMAIL', 'OLA', false);
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'oi {{nome}}'), ('BLUE', 'DEPOIS', 'oi de novo');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email)
SELECT 'l' || n, 'BLUE', 'Ana', '1198765' || lpad(n::text, 4, '0'), 'l' || n || '@example.com' FROM generate_series(1, 20) AS n;

-- the numbers as a plain count has them: each run once
CREATE VIEW plain AS
WITH run AS (
    SELECT r.*, (r.started_at AT TIME ZONE coalesce((SELECT CASE e.fuso_horario WHEN 'Terra/Media' THEN NULL ELSE e.fuso_horario END FROM cadence_empresas e WHERE e.empresa = r.empresa),
        'America/Sao_Paulo'))::date AS day FROM lead_cadence_runs r)
SELECT r.cadence_id AS cadence, s.id AS step, r.day, r.empresa,
       count(*) FILTER (WHERE s.id = ANY (r.passos_enviados) OR s.ordem = (SELECT min(x.ordem) FROM cadence_steps x
           WHERE x.cadence_id = r.cadence_id AND x.ordem >= r.next_step_ordem AND x.id <> ALL (coalesce(r.passos_enviados, '{}')))) AS entered,
       count(*) FILTER (WHERE s.id = ANY (r.passos_enviados) AND EXISTS (
           SELECT FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id AND e.tipo_evento = 'DISPARADO' AND e.step_ordem = s.ordem)) AS sent,
       count(*) FILTER (WHERE EXISTS (SELECT FROM lead_messages m WHERE m.run_id = r.id AND m.step_ordem = s.ordem AND m.entregue_em IS NOT NULL)) AS delivered,
       count(*) FILTER (WHERE EXISTS (SELECT FROM lead_messages m WHERE m.run_id = r.id AND m.step_ordem = s.ordem AND m.lido_em IS NOT NULL)) AS read,
       count(*) FILTER (WHERE EXISTS (SELECT FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id AND e.tipo_evento = 'ERRO' AND e.step_ordem = s.ordem
           AND (e.detalhes ->> 'permanente' = 'true' AND e.detalhes ->> 'codigo' NOT IN ('INCERTO', 'OPT_OUT', 'CANCELADA') OR e.detalhes ->> 'tardio' = 'true'))) AS failed
FROM run r JOIN cadence_steps s ON s.cadence_id = r.cadence_id
GROUP BY 1, 2, 3, 4;
-- where the two differ
CREATE FUNCTION differ() RETURNS TABLE (of text, says jsonb) LANGUAGE sql AS $$
    WITH counted AS (
        SELECT cadence_id AS cadence, step_id AS step, day, empresa, entered, sent, delivered, read, failed FROM cadence_rollup_cohorts()
    ), counts AS (SELECT * FROM plain WHERE entered + sent + delivered + read + failed > 0)
    SELECT 'counted', to_jsonb(x) FROM (SELECT * FROM counted WHERE entered + sent + delivered + read + failed <> 0 EXCEPT SELECT * FROM counts) AS x
    UNION ALL
    SELECT 'plain', to_jsonb(x) FROM (SELECT * FROM counts EXCEPT SELECT * FROM counted) AS x
    UNION ALL
    SELECT 'errors', to_jsonb(x) FROM (
        SELECT code, server, canal, template, cadence, sum(n) FROM cadence_rollup_counts('HOUR', '{error}') GROUP BY 1, 2, 3, 4, 5
        EXCEPT ALL
        SELECT coalesce(detalhes ->> 'codigo', ''), coalesce(detalhes ->> 'provedor', ''), coalesce(detalhes ->> 'canal', ''), coalesce(e.template_codigo, ''),
               r.cadence_id::text, count(*) FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id WHERE tipo_evento = 'ERRO' GROUP BY 1, 2, 3, 4, 5) AS x
    UNION ALL
    SELECT 'sent', to_jsonb(x) FROM (
        SELECT sum(n) FROM cadence_rollup_counts('MINUTE', '{attempt}') WHERE outcome = 'sent'
        EXCEPT SELECT nullif(count(*), 0) FROM lead_messages WHERE direcao = 'OUTBOUND' AND run_id IS NOT NULL AND estado IN ('ENVIADO', 'ENTREGUE', 'LIDO', 'ERRO')) AS x
    UNION ALL
    SELECT 'executions', to_jsonb(x) FROM (
        SELECT code, sum(n) FROM cadence_rollup_counts('TOTAL', '{execution}') GROUP BY 1
        EXCEPT SELECT trigger_source, count(*) FROM cadence_runner_logs GROUP BY 1) AS x
    UNION ALL
    -- all grains say the same
    SELECT 'grains', to_jsonb(x) FROM (
        SELECT outcome, sum(n) FROM cadence_rollup_counts('TOTAL', '{attempt}') GROUP BY 1
        EXCEPT SELECT outcome, sum(n) FROM cadence_rollup_counts('HOUR', '{attempt}') GROUP BY 1
        EXCEPT SELECT outcome, sum(n) FROM cadence_rollup_counts('MINUTE', '{attempt}') GROUP BY 1) AS x
$$;
-- folding changes nothing of what is read
CREATE FUNCTION fold() RETURNS TABLE (unfolded bigint, changed text) LANGUAGE plpgsql AS $$
DECLARE before jsonb; after jsonb;
BEGIN
    before := (SELECT jsonb_agg(to_jsonb(x) ORDER BY to_jsonb(x)::text) FROM (SELECT 'c', to_jsonb(c) FROM cadence_rollup_cohorts() c
        UNION ALL SELECT g, to_jsonb(c) FROM unnest('{TOTAL,HOUR,MINUTE}'::text[]) g, cadence_rollup_counts(g, ARRAY(SELECT DISTINCT kind FROM cadence_deltas WHERE kind <> '' UNION SELECT DISTINCT kind FROM cadence_counts)) c) AS x);
    PERFORM cadence_rollup_refresh(true);
    after := (SELECT jsonb_agg(to_jsonb(x) ORDER BY to_jsonb(x)::text) FROM (SELECT 'c', to_jsonb(c) FROM cadence_rollup_cohorts() c
        UNION ALL SELECT g, to_jsonb(c) FROM unnest('{TOTAL,HOUR,MINUTE}'::text[]) g, cadence_rollup_counts(g, ARRAY(SELECT DISTINCT kind FROM cadence_counts)) c) AS x);
    RETURN QUERY SELECT count(*), CASE WHEN before IS DISTINCT FROM after THEN 'before: ' || before::text || ' after: ' || after::text END FROM cadence_deltas;
END $$;
CREATE VIEW funnel AS SELECT right(step_id::text, 2) AS step, sum(entered) AS entered, sum(sent) AS sent, sum(delivered) AS delivered, sum(read) AS read, sum(replied) AS replied,
    sum(opted_out) AS opted_out, sum(failed) AS failed, sum(skipped) AS skipped, sum(stopped) AS stopped FROM cadence_rollup_cohorts() GROUP BY 1 ORDER BY 1;
CREATE FUNCTION id(lead text) RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT id FROM lead_cadence_runs WHERE lead_id = lead ORDER BY created_at DESC, id DESC LIMIT 1 $$;

-- enrolments, by whatever statement; a day is the company's
SELECT count(cadence_enroll('l' || n, 'UMA', now() + interval '1 hour', 'BLUE')) FROM generate_series(1, 3) AS n;
SELECT count(*) FROM cadence_enroll_many('{l4,l5,l6,l6}', 'OUTRA', now() + interval '1 hour', 'BLUE');
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem, started_at, passos_enviados) VALUES
    ('l7', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 1, '2026-03-01 02:00Z', NULL),
    ('l8', 'ILHA', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 5, '2026-03-01 23:00Z', '{50000000-0000-0000-0000-000000000001}'),
    ('l9', 'ERRADA', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 1, '2026-03-01 23:00Z', NULL),
    ('l10', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'CONCLUIDA', NULL, '2026-03-01 12:00Z', NULL);
COPY lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem, started_at) FROM stdin;
l11	BLUE	c0000000-0000-0000-0000-000000000001	PAUSADA	1	2026-03-01 12:00Z
\.
SELECT * FROM differ();
SELECT day, empresa, right(step_id::text, 2) AS step, entered FROM cadence_rollup_cohorts() WHERE day < '2026-04-01' ORDER BY 1, 2, 3;
-- one that is taken back was never there
BEGIN;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem) VALUES ('l12', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1);
ROLLBACK;
SELECT * FROM differ();
SELECT * FROM fold();
SELECT * FROM differ();

-- runs that an edit moves have come to another step, and to the one before which they stood not yet
INSERT INTO cadence_steps (id, cadence_id, ordem, canal, template_codigo) VALUES ('50000000-0000-0000-0000-000000000005', 'c0000000-0000-0000-0000-000000000001', 0, 'WHATSAPP', 'OLA');
SELECT * FROM differ();
SELECT * FROM funnel;
UPDATE cadence_steps SET ordem = ordem + 10 WHERE cadence_id = 'c0000000-0000-0000-0000-000000000001';
SELECT * FROM differ();
DELETE FROM cadence_steps WHERE id = '50000000-0000-0000-0000-000000000005';
SELECT * FROM differ() WHERE says ->> 'step' <> '50000000-0000-0000-0000-000000000005';
UPDATE cadence_steps SET ordem = ordem - 10 WHERE cadence_id = 'c0000000-0000-0000-0000-000000000001';
SELECT * FROM differ() WHERE says ->> 'step' <> '50000000-0000-0000-0000-000000000005';
SELECT * FROM funnel;
-- what is gone was there: as if it had never been, for the rest of this
UPDATE cadence_deltas SET n = 0 WHERE step = '50000000-0000-0000-0000-000000000005';

-- failures: each attempt counts, and each event once; a run fails once, however often it is resumed
UPDATE lead_cadence_runs SET next_run_at = now() WHERE status = 'ATIVA';
SELECT (cadence_run('TEST') -> 'summary') - 'duration_ms' AS summary;
SELECT outcome, server, code, template, sum(n) FROM cadence_rollup_counts('HOUR', '{attempt}') GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
SELECT * FROM differ();
ALTER SYSTEM SET cadence_runner.max_attempts = 2;
SELECT pg_reload_conf();
UPDATE lead_cadence_runs SET next_run_at = now() WHERE status = 'ATIVA';
SELECT (cadence_run('TEST') -> 'summary') - 'duration_ms' AS summary;
SELECT * FROM differ();
SELECT count(cadence_resume(id)) FROM lead_cadence_runs WHERE status = 'PAUSADA' AND cadence_id = 'c0000000-0000-0000-0000-000000000002';
UPDATE lead_cadence_runs SET next_run_at = now(), attempts = 1 WHERE status = 'ATIVA';
SELECT (cadence_run('TEST') -> 'summary') - 'duration_ms' AS summary;
SELECT * FROM differ();
SELECT * FROM fold();
SELECT * FROM funnel;
ALTER SYSTEM RESET cadence_runner.max_attempts;
SELECT pg_reload_conf();

-- what somebody has settled was sent; the receipts of that
CREATE FUNCTION sent(lead text, step int, message text) RETURNS void LANGUAGE sql AS $$
    -- as an attempt leaves it of which nobody knows
    UPDATE lead_cadence_runs SET status = 'PAUSADA', next_step_ordem = step, next_run_at = NULL WHERE id = id(lead);
    INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes)
    VALUES (id(lead), step, 'OLA', 'ERRO', jsonb_build_object('codigo', 'INCERTO', 'erro', 'x', 'provedor', 'regress_zap', 'canal', 'WHATSAPP', 'message_id', message, 'tentativa', 1));
    SELECT cadence_settle(id(lead), true);
    INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, run_id, step_ordem, template_codigo, whatsapp_message_id, enviado_em)
    VALUES (lead, 'BLUE', 'WHATSAPP', 'OUTBOUND', 'x', 'ENVIADO', id(lead), step, 'OLA', message, now());
$$;
-- these events are no writer's of ours: they are not counted as errors
CREATE FUNCTION differ_but_errors() RETURNS TABLE (of text, says jsonb) LANGUAGE sql AS $$ SELECT * FROM differ() AS d WHERE d.of <> 'errors' $$;
SELECT sent('l1', 1, 'wamid.1'), sent('l2', 1, 'wamid.2'), sent('l3', 1, 'wamid.3');
SELECT sent('l1', 2, 'wamid.4');
SELECT * FROM differ_but_errors();
SELECT * FROM fold();
SELECT * FROM funnel;
-- in any order, and twice
SELECT cadence_delivery('regress_zap', 'wamid.1', 'delivered'), cadence_delivery('regress_zap', 'wamid.1', 'delivered'), cadence_delivery('regress_zap', 'wamid.1', 'read'),
       cadence_delivery('regress_zap', 'wamid.2', 'read'), cadence_delivery('regress_zap', 'wamid.2', 'delivered'), cadence_delivery('regress_zap', 'wamid.3', 'failed', now(), '131026', 'gone'),
       cadence_delivery('regress_zap', 'wamid.3', 'failed'), cadence_delivery('regress_zap', 'wamid.9', 'read');
SELECT * FROM differ_but_errors();
SELECT outcome, code, n FROM cadence_rollup_counts('TOTAL', '{delivery}') ORDER BY 1, 2;
-- a second message of the same step: its run is counted already
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, run_id, step_ordem, template_codigo, whatsapp_message_id, enviado_em)
VALUES ('l1', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'x', 'ENVIADO', id('l1'), 1, 'OLA', 'wamid.5', now());
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes)
VALUES (id('l1'), 1, 'OLA', 'DISPARADO', '{"message_id": "wamid.1", "tardio": true}'), (id('l1'), 1, 'OLA', 'DISPARADO', '{"message_id": "wamid.5", "tardio": true}');
SELECT cadence_delivery('regress_zap', 'wamid.5', 'read');
SELECT * FROM differ_but_errors() WHERE of <> 'sent';
SELECT * FROM funnel WHERE step = '01';

-- answers count for what was sent last, once; a wish is an answer, too
UPDATE lead_cadence_events SET created_at = now() - interval '1 minute' WHERE tipo_evento = 'DISPARADO';
UPDATE lead_cadence_events SET created_at = now() - interval '30 seconds' WHERE tipo_evento = 'DISPARADO' AND step_ordem = 2;
SELECT cadence_inbound('+5511987650001', 'oi', 'in.1', now(), 'regress_zap', 'BLUE'), cadence_inbound('+5511987650001', 'oi?', 'in.2', now(), 'regress_zap', 'BLUE'),
       cadence_inbound('+5511987650001', 'oi?', 'in.2', now(), 'regress_zap', 'BLUE'), cadence_inbound('+5511987650002', 'SAIR', 'in.3', now(), 'regress_zap', 'BLUE'),
       cadence_inbound('+5511987650003', 'fora do escritorio', 'in.4', now(), 'regress_zap', 'BLUE', automatic => true), cadence_inbound('+5511900000000', 'quem?', 'in.5', now(), 'regress_zap', 'BLUE');
SELECT cadence_opt_out('l1', 'BLUE', 'EMAIL'), cadence_opt_out('l1', 'BLUE', 'EMAIL'), cadence_opt_out('l1', 'BLUE', 'SMS'), cadence_opt_out('l15', 'BLUE');
SELECT kind, outcome, code, canal, sum(n) AS n FROM cadence_rollup_counts('TOTAL', '{inbound,opt_out}') GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
SELECT * FROM funnel;
SELECT * FROM fold();
SELECT * FROM funnel;

-- who counts the tables comes to the same, but that nothing there tells the answer of a machine from another
CREATE VIEW cohorts AS SELECT right(step_id::text, 2) AS step, cadence_id, day, empresa, entered, sent, delivered, read, replied, opted_out, failed, skipped, stopped FROM cadence_rollup_cohorts()
    WHERE entered + sent + delivered + read + replied + opted_out + failed + skipped + stopped <> 0
    UNION ALL SELECT 'runs', cadence_id, day, empresa, runs, 0, 0, 0, 0, 0, 0, 0, 0 FROM cadence_rollup_enrolled();
BEGIN;
CREATE TEMP TABLE as_it_came AS TABLE cohorts;
CREATE TEMP TABLE errors_as_they_came AS SELECT code, server, canal, template, cadence, sum(n) FROM cadence_rollup_counts('TOTAL', '{error}') GROUP BY 1, 2, 3, 4, 5;
SELECT cadence_rollup_rebuild();
SELECT step, entered, sent, delivered, read, replied, opted_out, failed, skipped, stopped FROM (TABLE as_it_came EXCEPT TABLE cohorts) AS d ORDER BY 1;
SELECT step, entered, sent, delivered, read, replied, opted_out, failed, skipped, stopped FROM (TABLE cohorts EXCEPT TABLE as_it_came) AS d ORDER BY 1;
-- four of these were no writer's of ours
SELECT code, server, canal, template, sum(n) AS n FROM (SELECT code, server, canal, template, cadence, sum(n) AS n FROM cadence_rollup_counts('TOTAL', '{error}') GROUP BY 1, 2, 3, 4, 5 EXCEPT TABLE errors_as_they_came) AS d GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
SELECT count(*) FROM cadence_deltas;
ROLLBACK;

-- nothing falls when rows go
CREATE TABLE before AS SELECT * FROM cadence_rollup_counts('TOTAL', '{attempt,error,execution,delivery,inbound,opt_out,due_to_send,send_duration,execution_duration}');
CREATE TABLE cohorts_before AS SELECT * FROM cadence_rollup_cohorts();
DELETE FROM cadence_runner_logs;
TRUNCATE lead_cadence_events, lead_messages;
DELETE FROM lead_cadence_runs WHERE lead_id IN ('l1', 'l2');
TRUNCATE lead_cadence_runs CASCADE;
SELECT * FROM fold();
(TABLE before EXCEPT ALL SELECT * FROM cadence_rollup_counts('TOTAL', '{attempt,error,execution,delivery,inbound,opt_out,due_to_send,send_duration,execution_duration}'));
(TABLE cohorts_before EXCEPT ALL SELECT * FROM cadence_rollup_cohorts());
SELECT status, runs FROM cadence_rollup_runs() WHERE status <> '';
-- minutes go after two days, hours stay
UPDATE cadence_counts SET at = at - interval '49 hours' WHERE grain IN ('MINUTE', 'HOUR');
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem) VALUES ('l12', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1);
SELECT cadence_rollup_refresh();
SELECT grain, count(*) > 0 AS some FROM cadence_counts GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM cadence_rollup_counts('MINUTE', '{attempt}');
(TABLE before EXCEPT ALL SELECT * FROM cadence_rollup_counts('TOTAL', '{attempt,error,execution,delivery,inbound,opt_out,due_to_send,send_duration,execution_duration}'));

-- a run of an adopted table that does not say when it began: all that becomes of it is of one day
ALTER TABLE lead_cadence_runs ALTER started_at DROP NOT NULL;
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000004', 'BLUE', 'SEM_INICIO');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000004', 1, 'WHATSAPP', 'OLA');
UPDATE lead_contacts SET opt_out = true WHERE lead_id = 'l18';
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at, started_at, created_at)
VALUES ('l18', 'BLUE', 'c0000000-0000-0000-0000-000000000004', 1, now(), NULL, '2026-03-01 12:00Z');
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT day, entered, stopped FROM cadence_rollup_cohorts('c0000000-0000-0000-0000-000000000004');

-- texts of any length are counted
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000003', repeat('ç', 400), 'LONGA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000003', 1, 'WHATSAPP', repeat('ã', 400));
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at, started_at)
VALUES ('longo', repeat('ç', 400), 'c0000000-0000-0000-0000-000000000003', 1, now(), '-infinity'), ('longa', repeat('ç', 400), 'c0000000-0000-0000-0000-000000000003', 1, now(), 'infinity');
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT * FROM fold();
SELECT length(empresa), length(template), n FROM cadence_rollup_counts('HOUR', '{error}') WHERE length(empresa) > 10;

SET client_min_messages = error;
CREATE ROLE regress_cadence_crm;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_crm;
GRANT INSERT ON lead_cadence_runs TO regress_cadence_crm;
ALTER TABLE lead_cadence_runs DISABLE ROW LEVEL SECURITY;
-- whoever may insert runs need not be allowed to count
SET ROLE regress_cadence_crm;
INSERT INTO cadence.lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem) VALUES ('l20', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1);
SELECT count(*) FROM cadence_rollup_cohorts();
SELECT cadence_rollup_refresh();
RESET ROLE;
SELECT sum(entered) FROM cadence_rollup_cohorts() WHERE step_id = '50000000-0000-0000-0000-000000000001' AND day > current_date - 3;
-- of another table, or without its rows, the trigger counts nothing, and refuses nothing
CREATE TRIGGER regress AFTER INSERT ON cadences REFERENCING NEW TABLE AS cadence_runs_added FOR EACH STATEMENT EXECUTE FUNCTION cadence_runs_added();
INSERT INTO cadences (empresa, codigo) VALUES ('BLUE', 'NADA');
CREATE TRIGGER regress AFTER INSERT ON lead_cadence_runs FOR EACH STATEMENT EXECUTE FUNCTION cadence_runs_added();
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem) VALUES ('l19', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1);
SELECT sum(entered) FROM cadence_rollup_cohorts() WHERE step_id = '50000000-0000-0000-0000-000000000001' AND day > current_date - 3;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_crm;
