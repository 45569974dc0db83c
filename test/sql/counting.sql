--
-- What can not be counted is done all the same; and what is counted has limits.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SET timezone = 'UTC';
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/', breaker_after '0');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (id, cadence_id, ordem, canal, template_codigo) VALUES
    ('50000000-0000-0000-0000-000000000001', 'c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA'),
    ('50000000-0000-0000-0000-000000000002', 'c0000000-0000-0000-0000-000000000001', 2, 'WHATSAPP', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'oi {{nome}}');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
SELECT 'l' || n, 'BLUE', 'Ana', '1198765' || lpad(n::text, 4, '0') FROM generate_series(1, 20) AS n;
CREATE FUNCTION id(lead text) RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT id FROM lead_cadence_runs WHERE lead_id = lead ORDER BY created_at DESC, id DESC LIMIT 1 $$;
-- entered so far, by step
CREATE FUNCTION entered() RETURNS TABLE (step text, n numeric) LANGUAGE sql AS $$
    SELECT right(step_id::text, 1), sum(entered) FROM cadence_rollup_cohorts() GROUP BY 1 ORDER BY 1
$$;

-- ---- nothing can be counted -----------------------------------------------------------------

ALTER TABLE cadence_deltas ADD CONSTRAINT full_up CHECK (false) NOT VALID;
-- who enrols is enrolled
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at) VALUES ('l1', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now());
SELECT count(cadence_enroll('l2', 'UMA', now(), 'BLUE'));
-- an execution records what it has tried, whole, and writes its row
SELECT (cadence_run('TEST') -> 'summary') - 'duration_ms' AS summary;
SELECT r.lead_id, r.status, r.attempts, e.detalhes ->> 'codigo' AS codigo, e.detalhes ? 'registro' AS in_pieces
FROM lead_cadence_runs r JOIN lead_cadence_events e ON e.lead_cadence_run_id = r.id AND e.tipo_evento = 'ERRO' ORDER BY 1;
SELECT steps_executed, errors, trigger_source FROM cadence_runner_logs;
-- who wants no more gets no more
SELECT cadence_inbound('+5511987650001', 'SAIR', 'in.0', now(), 'regress_zap', 'BLUE');
SELECT lead_id, canal FROM contact_opt_outs;
SELECT cadence_cancel(id('l2'), 'x');
SELECT lead_id, status FROM lead_cadence_runs ORDER BY 1;
ALTER TABLE cadence_deltas DROP CONSTRAINT full_up;
SELECT count(*) FROM cadence_deltas;
-- nor is anybody kept from enrolling by tables that are not there
ALTER TABLE cadence_secrets RENAME TO elsewhere;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem) VALUES ('l3', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 1);
ALTER TABLE elsewhere RENAME TO cadence_secrets;
ALTER TABLE cadence_deltas RENAME COLUMN mark TO elsewhere;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem) VALUES ('l4', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 1);
ALTER TABLE cadence_deltas RENAME COLUMN elsewhere TO mark;
SELECT count(*) FROM lead_cadence_runs;
SELECT * FROM entered();

-- ---- one row for what is alike --------------------------------------------------------------

-- of a transaction, whatever its statements, but for those that were taken back
BEGIN;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem, passos_enviados)
SELECT 'm' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 2, ARRAY['50000000-0000-0000-0000-000000000001'::uuid, '50000000-0000-0000-0000-000000000001'] FROM generate_series(1, 10) AS n;
SAVEPOINT a;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem) VALUES ('m11', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 2);
SAVEPOINT b;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem) VALUES ('m12', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 2);
RELEASE SAVEPOINT b;
ROLLBACK TO SAVEPOINT a;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem) VALUES ('m13', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 2);
SAVEPOINT c;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem) VALUES ('m14', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 2);
RELEASE SAVEPOINT c;
COMMIT;
SELECT * FROM entered();
SELECT count(*) FROM cadence_deltas WHERE mark = 'entered';
-- an import of old runs, of more than fit into memory: a row for each day
TRUNCATE cadence_deltas;
SET work_mem = '64kB';
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem, started_at)
SELECT 'o' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 1, timestamptz '1999-12-20 03:00Z' + n * interval '7 minutes' FROM generate_series(0, 2999) AS n;
SELECT count(*), count(DISTINCT day), sum(n) FROM cadence_deltas;
SELECT day, n FROM cadence_deltas WHERE day BETWEEN '1999-12-31' AND '2000-01-01' ORDER BY 1;
RESET work_mem;
-- errors of a batch
CREATE TABLE written (kind text, code text, n bigint);
CREATE FUNCTION note_written() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO cadence.written VALUES (NEW.kind, NEW.code, NEW.n); RETURN NULL; END $$;
CREATE TRIGGER note_written AFTER INSERT ON cadence_deltas FOR EACH ROW EXECUTE FUNCTION note_written();
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'l' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() FROM generate_series(10, 14) AS n;
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT kind, code, n FROM written WHERE kind IN ('attempt', 'error') ORDER BY 1;
DROP TRIGGER note_written ON cadence_deltas;

-- ---- folding --------------------------------------------------------------------------------

-- some at a time
TRUNCATE cadence_deltas;
INSERT INTO cadence_deltas (id, kind, at, n) SELECT gen_random_uuid(), 'http', now(), 1 FROM generate_series(1, 20001);
SELECT cadence_rollup_refresh();
SELECT count(*) FROM cadence_deltas;
SELECT sum(n) FROM cadence_rollup_counts('TOTAL', '{http}');
SELECT cadence_rollup_refresh();
SELECT count(*) FROM cadence_deltas;
-- sums that have no room stay where they are
INSERT INTO cadence_deltas (id, kind, at, n, us) SELECT gen_random_uuid(), 'due_to_send', now(), 1, 9e18::bigint FROM generate_series(1, 2);
SELECT sum(us) FROM cadence_rollup_counts('TOTAL', '{due_to_send}');
SELECT cadence_rollup_refresh();
INSERT INTO cadence_deltas (id, kind, at, n, us) VALUES (gen_random_uuid(), 'due_to_send', now(), 1, 9e18::bigint);
SELECT cadence_rollup_refresh();
SELECT count(*) FROM cadence_deltas;
SELECT n, us FROM cadence_rollup_counts('TOTAL', '{due_to_send}');
-- hours go, too
INSERT INTO cadence_counts (grain, kind, at, empresa, server, canal, outcome, code, template, cadence, n, us, first_at, last_at)
SELECT g, 'attempt', now() - interval '401 days', '', 'antigo', '', '', '', '', '', 1, 0, now(), now() FROM unnest('{TOTAL,HOUR}'::text[]) AS g;
INSERT INTO cadence_deltas (id, kind, at, n) VALUES (gen_random_uuid(), 'http', now(), 1);
SELECT cadence_rollup_refresh();
SELECT grain FROM cadence_counts WHERE server = 'antigo';
-- runs that an adopted table leaves without company or status
ALTER TABLE lead_cadence_runs ALTER empresa DROP NOT NULL, ALTER status DROP NOT NULL;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem) VALUES ('nulo', NULL, 'c0000000-0000-0000-0000-000000000001', NULL, 1);
SELECT cadence_rollup_refresh(true);
SELECT count(*) FROM cadence_deltas;
SELECT empresa, status, runs FROM cadence_rollup_runs() WHERE status = '?';
SELECT sum(entered) FROM cadence_rollup_cohorts() WHERE empresa = '';
DELETE FROM lead_cadence_runs WHERE lead_id = 'nulo';

-- ---- once -----------------------------------------------------------------------------------

-- no, yes, no
UPDATE cadence_steps SET parar_se_responder = false;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at) VALUES ('l9', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 2, now() + interval '1 day');
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
VALUES (id('l9'), 1, 'OLA', 'DISPARADO', '{"message_id": "wamid.9"}', now() - interval '1 minute');
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, run_id, step_ordem, template_codigo, whatsapp_message_id, enviado_em)
VALUES ('l9', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'x', 'ENVIADO', id('l9'), 1, 'OLA', 'wamid.9', now());
SELECT cadence_inbound('+5511987650009', 'SAIR', 'in.1', now() - interval '20 s', 'regress_zap', 'BLUE');
SELECT cadence_inbound('+5511987650009', 'VOLTAR', 'in.2', now() - interval '10 s', 'regress_zap', 'BLUE');
SELECT cadence_inbound('+5511987650009', 'SAIR', 'in.3', now(), 'regress_zap', 'BLUE');
SELECT sum(opted_out) AS opted_out, sum(replied) AS replied FROM cadence_rollup_cohorts();
SELECT sum(n) FROM cadence_rollup_counts('TOTAL', '{opt_out}') WHERE canal = 'WHATSAPP';
-- a receipt that tells an earlier time is the same receipt
SELECT cadence_delivery('regress_zap', 'wamid.9', 'delivered', now());
SELECT cadence_delivery('regress_zap', 'wamid.9', 'delivered', now() - interval '1 s');
SELECT cadence_delivery('regress_zap', 'wamid.9', 'read', now());
SELECT cadence_delivery('regress_zap', 'wamid.9', 'read', now() - interval '1 s');
SELECT cadence_delivery('regress_zap', 'wamid.9', 'delivered', now() - interval '2 s');
SELECT outcome, code, n FROM cadence_rollup_counts('TOTAL', '{delivery}') ORDER BY 1, 2;

-- ---- metrics --------------------------------------------------------------------------------

-- a counter is whole, whoever has one besides
SELECT line FROM regexp_split_to_table(cadence_metrics(), '\n') AS line WHERE line LIKE 'cadence_opt_outs%{%' ORDER BY 1;
SET cadence_runner.metrics_empresas = 'BLUE';
SELECT line FROM regexp_split_to_table(cadence_metrics(), '\n') AS line WHERE line LIKE 'cadence_opt_outs%{%' ORDER BY 1;
-- that runs are not counted is told
ALTER TABLE lead_cadence_runs DISABLE TRIGGER cadence_runner_added;
SELECT r FROM cadence_health() AS h, unnest(h.reasons) AS r WHERE r LIKE '%cadence_runner_added%';
DROP SCHEMA cadence CASCADE;
