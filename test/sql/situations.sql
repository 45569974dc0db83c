--
-- Each row of the table of situations that needs no answer of a provider: its
-- event, what the event says, the next time, and its place in the summary.
-- (A refused connection is an answer of nobody: it fails for certain.)
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
-- the waits after a failure neither grow nor are spread
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cadence_runner.retry_factor = 1', current_database()); END $$;
-- a lead that is active several times in a cadence, as an adopted table may have it
DROP INDEX lead_cadence_runs_active_idx;
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/', on_uncertain 'hold');

INSERT INTO cadences (id, empresa, codigo, ativo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'TRES', true),
    ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'INATIVA', false),
    ('c0000000-0000-0000-0000-000000000003', 'BLUE', 'VAZIA', true);
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 0, 'WHATSAPP', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 2, 60, 'EMAIL', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 3, 60, 'SMS', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 4, 60, 'FAX', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 11, 60, 'WHATSAPP', 'NAO_HA'),
    ('c0000000-0000-0000-0000-000000000001', 12, 60, 'WHATSAPP', 'INATIVO'),
    ('c0000000-0000-0000-0000-000000000001', 13, 60, 'WHATSAPP', 'DESCONHECIDO'),
    ('c0000000-0000-0000-0000-000000000001', 14, 60, 'WHATSAPP', 'ABERTO'),
    ('c0000000-0000-0000-0000-000000000001', 15, 60, 'WHATSAPP', 'SEM_NOME'),
    ('c0000000-0000-0000-0000-000000000001', 16, 60, 'WHATSAPP', 'NADA'),
    ('c0000000-0000-0000-0000-000000000001', 17, 60, 'WHATSAPP', 'ALHEIO'),
    ('c0000000-0000-0000-0000-000000000002', 1, 60, 'WHATSAPP', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo, ativo) VALUES
    ('BLUE', 'OLA', 'Olá {{nome}}', true),
    ('BLUE', 'INATIVO', 'Olá', false),
    ('BLUE', 'DESCONHECIDO', 'É {{nome}}, {{apelido}} e {{outro}}', true),
    ('BLUE', 'ABERTO', 'É {{nome}}, {{nome', true),
    ('BLUE', 'SEM_NOME', 'É {{nome}}, {{ }}', true),
    ('BLUE', 'NADA', '{{email|}}', true),
    ('GOLD', 'ALHEIO', 'Olá', true);
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email, opt_out, opt_out_motivo) VALUES
    ('completo', 'BLUE', 'Ana', '+55 11 1', 'ana@example.com', false, NULL),
    ('so telefone', 'BLUE', 'Bia', '+55 11 2', NULL, false, NULL),
    ('so email', 'BLUE', 'Caio', '  ', 'caio@example.com', false, NULL),
    ('saiu', 'BLUE', 'Davi', '+55 11 4', NULL, true, 'pediu'),
    ('outra empresa', 'GOLD', 'Eva', '+55 11 5', NULL, false, NULL),
    ('controle', 'BLUE', 'Fabio', E'+55\n11 6', E'f@example.com\r\nBcc: x@example.com', false, NULL),
    ('controle2', 'BLUE', 'Fabio', E'+55 11 6\x7f', NULL, false, NULL);

-- one run for each situation, the oldest first
CREATE TABLE cases (n int, situation text, lead_id text, cadence int, step int, attempts int,
                    run uuid DEFAULT gen_random_uuid());
INSERT INTO cases VALUES
    (1, 'no contact', 'ninguem', 1, 1, 0),
    (2, 'contact of another company', 'outra empresa', 1, 1, 0),
    (3, 'no telefone', 'so email', 1, 1, 0),
    (4, 'no email', 'so telefone', 1, 2, 0),
    (5, 'telefone with control characters', 'controle', 1, 1, 0),
    (6, 'telefone with DEL', 'controle2', 1, 1, 0),
    (7, 'email with control characters', 'controle', 1, 2, 0),
    (8, 'no provider', 'completo', 1, 3, 0),
    (9, 'unknown channel', 'completo', 1, 4, 0),
    (10, 'no template', 'completo', 1, 11, 0),
    (11, 'inactive template', 'completo', 1, 12, 0),
    (12, 'unknown placeholder', 'completo', 1, 13, 0),
    (13, 'placeholder not closed', 'completo', 1, 14, 0),
    (14, 'placeholder without a name', 'completo', 1, 15, 0),
    (15, 'empty message', 'so telefone', 1, 16, 0),
    (16, 'template of another company', 'completo', 1, 17, 0),
    (17, 'opted out', 'saiu', 1, 1, 0),
    (18, 'inactive cadence', 'completo', 2, 1, 0),
    (19, 'inactive cadence, opted out', 'saiu', 2, 1, 0),
    (20, 'cadence without steps', 'completo', 3, 1, 0),
    (21, 'no step left', 'completo', 1, 18, 0),
    (22, 'no next step', 'completo', 1, NULL, 0),
    (23, 'a step in between was removed', 'completo', 1, 5, 0),
    (24, 'dispatch failed', 'completo', 1, 1, 0),
    (25, 'dispatch failed, before the last attempt', 'completo', 1, 1, 18),
    (26, 'dispatch failed, the last attempt', 'completo', 1, 1, 19),
    (27, 'dispatch failed, hold', 'completo', 1, 2, 0);
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at, attempts, last_step_ordem)
SELECT run, lead_id, 'BLUE', ('c0000000-0000-0000-0000-00000000000' || cadence)::uuid, step,
       now() - interval '1 hour' + n * interval '1 s', attempts, 0 FROM cases;
-- and some that are not due
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at, status) VALUES
    ('completo', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() + interval '1 min', 'ATIVA'),
    ('completo', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, NULL, 'ATIVA'),
    ('completo', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, 'infinity', 'ATIVA'),
    ('completo', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() - interval '1 min', 'PAUSADA'),
    ('completo', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() - interval '1 min', 'CANCELADA'),
    ('completo', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() - interval '1 min', 'CONCLUIDA');

SELECT cadence_run('MANUAL') AS summary \gset
SELECT k AS key, :'summary'::jsonb -> 'summary' -> k AS value
FROM unnest(ARRAY['total', 'success', 'errors', 'skipped', 'trigger_source']) AS k;
SELECT k AS key FROM jsonb_object_keys(:'summary'::jsonb) AS k ORDER BY k COLLATE "C";
SELECT k AS key FROM jsonb_object_keys(:'summary'::jsonb -> 'summary') AS k ORDER BY k COLLATE "C";
CREATE TABLE results AS
SELECT (r ->> 'runId')::uuid AS run, r, r ->> 'status' AS status, coalesce(r ->> 'erro', r ->> 'mensagem') AS text, position
FROM jsonb_array_elements(:'summary'::jsonb -> 'results') WITH ORDINALITY AS x(r, position);

-- the place in the summary
SELECT n, situation, status, r -> 'stepOrdem' AS step, r ->> 'templateCodigo' AS template,
       (SELECT string_agg(k, ' ' ORDER BY k COLLATE "C") FROM jsonb_object_keys(r) AS k WHERE k IN ('erro', 'mensagem')) AS key,
       CASE WHEN text LIKE '%127.0.0.1%' THEN '(no connection)' ELSE text END AS text
FROM cases LEFT JOIN results USING (run) ORDER BY n;
-- errors first
SELECT max(position) FILTER (WHERE status = 'ERRO') < min(position) FILTER (WHERE status <> 'ERRO') AS errors_first FROM results;

-- what became of the run
SELECT n, r.status, last_step_ordem AS last, next_step_ordem AS next,
       justify_interval(date_trunc('minute', next_run_at - now() + interval '30 s')) AS due_in, r.attempts, claim_id
FROM cases c JOIN lead_cadence_runs r ON r.id = c.run ORDER BY n;

-- the event, and what it says
SELECT n, step_ordem AS step, template_codigo AS template, tipo_evento, detalhes ->> 'codigo' AS codigo,
       detalhes ->> 'permanente' AS permanente, detalhes ->> 'tentativas_esgotadas' AS esgotadas,
       (SELECT string_agg(k, ' ' ORDER BY k COLLATE "C") FROM jsonb_object_keys(detalhes) AS k
        WHERE k NOT IN ('codigo', 'erro', 'permanente', 'tentativas_esgotadas', 'duracao_ms')) AS other_keys
FROM cases LEFT JOIN lead_cadence_events e ON e.lead_cadence_run_id = run ORDER BY n, e.created_at, e.id;
SELECT n, detalhes ->> 'erro' = text AS same_text, detalhes ->> 'provedor' AS provedor, detalhes ->> 'tentativa' AS tentativa,
       detalhes ->> 'chave' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' AS chave,
       (detalhes ->> 'proxima_tentativa')::timestamptz IS NOT DISTINCT FROM r.next_run_at AS proxima
FROM cases JOIN results USING (run) JOIN lead_cadence_events e ON e.lead_cadence_run_id = run
JOIN lead_cadence_runs r ON r.id = run ORDER BY n;
SELECT count(*) AS messages FROM lead_messages;

-- the log's row
SELECT steps_executed, errors, runs_touched, trigger_source, duration_ms >= 0 AS duration,
       jsonb_array_length(details -> 'results') AS results, details -> 'results' = :'summary'::jsonb -> 'results' AS same_results,
       duration_ms = (:'summary'::jsonb #>> '{summary,duration_ms}')::int AS same_duration,
       (details ->> 'started_at')::timestamptz <= (details ->> 'finished_at')::timestamptz AS times,
       (SELECT string_agg(k, ' ' ORDER BY k COLLATE "C") FROM jsonb_object_keys(details) AS k) AS keys
FROM cadence_runner_logs;
-- nothing due: it still logs
SELECT cadence_run() -> 'results' AS results;
SELECT steps_executed, errors, runs_touched, trigger_source, details -> 'results' AS results
FROM cadence_runner_logs ORDER BY executed_at DESC, id DESC LIMIT 1;

-- an inactive cadence is said once, however often its runs come by
CREATE VIEW waiting AS SELECT n, (SELECT count(*) FROM lead_cadence_events e WHERE e.lead_cadence_run_id = run) AS events,
    r.status, r.attempts FROM cases JOIN lead_cadence_runs r ON r.id = run WHERE n IN (18, 19) ORDER BY n;
UPDATE lead_cadence_runs SET next_run_at = now() WHERE id IN (SELECT run FROM cases WHERE n IN (18, 19));
SELECT cadence_run() #> '{summary,total}' AS total;
UPDATE lead_cadence_runs SET next_run_at = now() WHERE id IN (SELECT run FROM cases WHERE n IN (18, 19));
SELECT cadence_run() #> '{summary,total}' AS total;
SELECT * FROM waiting;
-- when it is active again the run goes on; inactive once more is said once more
UPDATE cadences SET ativo = true WHERE codigo = 'INATIVA';
UPDATE lead_cadence_runs SET next_run_at = now() WHERE id IN (SELECT run FROM cases WHERE n IN (18, 19));
SELECT cadence_run() #> '{summary,total}' AS total;
SELECT * FROM waiting;
UPDATE cadences SET ativo = false WHERE codigo = 'INATIVA';
UPDATE lead_cadence_runs SET next_run_at = now() WHERE id IN (SELECT run FROM cases WHERE n IN (18, 19));
SELECT cadence_run() #> '{summary,total}' AS total;
SELECT * FROM waiting;

-- what stays unresolved is looked at again when it has been so as long again, after 6 h at the latest, and
-- is said once a day; another reason begins anew
CREATE TABLE unresolved AS SELECT c.n, c.run, e.id AS event, a.ago::interval FROM cases c JOIN lead_cadence_events e ON e.lead_cadence_run_id = c.run
JOIN (VALUES (1, '20 min'), (2, '50 min'), (3, '5 hours'), (4, '23 hours'), (8, '25 hours'), (10, '5 hours')) AS a(n, ago) USING (n);
CREATE FUNCTION look_again() RETURNS void LANGUAGE sql AS $$
    UPDATE lead_cadence_events SET created_at = now() - ago FROM unresolved WHERE id = event;
    UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 min' WHERE id IN (SELECT run FROM unresolved);
$$;
CREATE VIEW looked_at_again AS SELECT n, ago, date_trunc('minute', r.next_run_at - now() + interval '30 s') AS due_in, r.attempts,
    (SELECT string_agg(detalhes ->> 'codigo', ' ' ORDER BY e.created_at, e.id) FROM lead_cadence_events e WHERE e.lead_cadence_run_id = run) AS said
FROM unresolved JOIN lead_cadence_runs r ON r.id = run ORDER BY n;
UPDATE lead_cadence_events SET detalhes = jsonb_set(detalhes, '{codigo}', '"SEM_CADENCIA"') WHERE id IN (SELECT event FROM unresolved WHERE n = 10);
SELECT look_again();
SELECT cadence_run() #> '{summary,errors}' AS errors;
SELECT * FROM looked_at_again;
-- said again, and still as long unresolved
UPDATE lead_cadence_events e SET created_at = now() - interval '6 hours' FROM unresolved u WHERE e.lead_cadence_run_id = u.run AND e.id <> u.event AND u.n = 8;
SELECT look_again();
SELECT cadence_run() #> '{summary,errors}' AS errors;
SELECT * FROM looked_at_again WHERE n = 8;

-- a run that was claimed and never recorded: nobody knows, which is said and is no attempt; whether and when
-- it is sent again is up to on_uncertain
UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 min', attempts = 1, claim_id = gen_random_uuid()
WHERE id IN (SELECT run FROM cases WHERE n IN (24, 27));
SELECT cadence_run() #> '{summary,total}' AS total;
SELECT n, r.status, r.attempts, date_trunc('minute', r.next_run_at - now() + interval '30 s') AS due_in, r.claim_id, e.detalhes ->> 'codigo' AS codigo, e.detalhes ->> 'permanente' AS permanente
FROM cases JOIN lead_cadence_runs r ON r.id = run
CROSS JOIN LATERAL (SELECT * FROM lead_cadence_events e WHERE e.lead_cadence_run_id = run ORDER BY created_at DESC, id DESC LIMIT 1) AS e
WHERE n IN (24, 27) ORDER BY n;

-- all attempts of a step carry one key; another step has another
SELECT n, count(*) AS attempts, count(DISTINCT detalhes ->> 'chave') AS keys FROM cases JOIN lead_cadence_events e ON lead_cadence_run_id = run
WHERE n IN (24, 27) GROUP BY n ORDER BY n;

-- other waits, other limits: the worker reads them in a session of its own
CREATE FUNCTION configure(name text, value text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET cadence_runner.%s = %L', current_database(), name, value);
END $$;
SELECT configure('retry_dispatch', '2h'), configure('retry_unresolved', '3h'), configure('max_attempts', '0'), configure('batch_size', '1');
SET cadence_runner.retry_dispatch = '9h';
UPDATE lead_cadence_runs SET next_run_at = now(), attempts = 1000, status = 'ATIVA' WHERE id IN (SELECT run FROM cases WHERE n IN (1, 10, 24, 26));
SELECT cadence_run() #> '{summary,total}' AS total;
SELECT n, r.status, date_trunc('minute', next_run_at - now() + interval '30 s') AS due_in, r.attempts
FROM cases JOIN lead_cadence_runs r ON r.id = run WHERE n IN (1, 10, 24, 26) ORDER BY n;
DO $$
DECLARE setting text;
BEGIN
    FOREACH setting IN ARRAY ARRAY['retry_dispatch', 'retry_unresolved', 'retry_factor', 'max_attempts', 'batch_size'] LOOP
        EXECUTE format('ALTER DATABASE %I RESET cadence_runner.%s', current_database(), setting);
    END LOOP;
END $$;

RESET search_path;
DROP SERVER regress_zap, regress_mail;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
