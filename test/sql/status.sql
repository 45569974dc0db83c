--
-- cadence_runner_status() and cadence_health() where there is no resident
-- worker: what the tables say, and to whom.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_crm LOGIN;
CREATE ROLE regress_cadence_watcher;
CREATE SCHEMA cadence AUTHORIZATION regress_cadence_crm;
CREATE EXTENSION cadence_runner SCHEMA cadence;
GRANT EXECUTE ON FUNCTION cadence.cadence_create_tables(regrole), cadence.cadence_wake(), cadence.cadence_barrier(), cadence.cadence_check_policy(), cadence.cadence_runs_added() TO regress_cadence_crm;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_watcher;
SET search_path = cadence;

-- no tables yet
\x on
SELECT * FROM cadence_runner_status();
SELECT * FROM cadence_health();
\x off
SET ROLE regress_cadence_crm;
SELECT cadence_create_tables();
RESET ROLE;

-- nothing to do
\x on
SELECT * FROM cadence_runner_status();
SELECT * FROM cadence_health();
\x off

-- the state of the tables
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/', empresa 'BLUE "x"');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'email', url 'http://127.0.0.1:1/');
CREATE USER MAPPING FOR PUBLIC SERVER regress_mail OPTIONS (bearer_token 'segredo');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'FAX', 'OLA'), ('c0000000-0000-0000-0000-000000000001', 2, 'FAX', 'OLA');
CREATE TABLE cases (n int, situation text, status text, due interval, claimed bool, codigo text, run uuid DEFAULT gen_random_uuid());
INSERT INTO cases VALUES
    (1, 'due', 'ATIVA', '-1 min', false, NULL), (2, 'the oldest due', 'ATIVA', '-20 min', false, 'FALHA_ENVIO'), (3, 'due, and claimed once', 'ATIVA', '-10 min', true, NULL),
    (4, 'the next', 'ATIVA', '2 h', false, 'INCERTO'), (5, 'later', 'ATIVA', '3 h', false, NULL), (6, 'claimed', 'ATIVA', '4 min', true, NULL),
    (7, 'claimed', 'ATIVA', '5 min', true, 'INCERTO'), (8, 'paused', 'PAUSADA', '-1 day', false, NULL), (9, 'paused, claimed', 'PAUSADA', '1 min', true, NULL),
    (10, 'held', 'PAUSADA', NULL, false, 'INCERTO'), (11, 'held', 'PAUSADA', NULL, false, 'INCERTO'), (12, 'gave up', 'PAUSADA', NULL, false, 'FALHA_ENVIO'),
    (13, 'cancelled', 'CANCELADA', NULL, false, 'INCERTO'), (14, 'cancelled', 'CANCELADA', '-1 day', false, NULL), (15, 'completed', 'CONCLUIDA', '-1 day', false, NULL);
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at, claim_id)
SELECT run, 'lead ' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', status, 1, now() + due, CASE WHEN claimed THEN gen_random_uuid() END FROM cases;
INSERT INTO cadence_claims (claim_id, lease_end)
SELECT claim_id, next_run_at FROM lead_cadence_runs WHERE claim_id IS NOT NULL AND next_run_at IS NOT NULL
-- and one whose run was moved since
UNION ALL SELECT gen_random_uuid(), next_run_at FROM lead_cadence_runs WHERE lead_id = 'lead 5';
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes, created_at)
SELECT run, 1, 'ERRO', jsonb_build_object('codigo', 'INCERTO'), now() - interval '2 h' FROM cases WHERE codigo = 'FALHA_ENVIO'
UNION ALL SELECT run, 1, 'ERRO', jsonb_build_object('codigo', codigo), now() - interval '1 h' FROM cases WHERE codigo IS NOT NULL;
\x on
SELECT database = current_database() AS database, worker_state, problem, due_now, oldest_due = (SELECT next_run_at FROM lead_cadence_runs WHERE lead_id = 'lead 2') AS oldest_due,
       lag BETWEEN interval '20 min' AND interval '30 min' AS lag, claimed, uncertain,
       next_due = (SELECT min(next_run_at) FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at > now()) AS next_due,
       (SELECT jsonb_agg(p ORDER BY p ->> 'server') FROM jsonb_array_elements(providers) AS p) AS providers
FROM cadence_runner_status();
-- nothing of a worker that does not exist
SELECT worker_pid, worker_since, worker_seen_at, last_execution, in_flight, waiting, next_look FROM cadence_runner_status;
\x off
-- the view is the function
SELECT count(*) AS differ FROM cadence_runner_status() AS f FULL JOIN cadence_runner_status AS v
    ON (f.database, f.worker_state, f.due_now, f.oldest_due, f.claimed, f.uncertain, f.next_due, f.providers)
       = (v.database, v.worker_state, v.due_now, v.oldest_due, v.claimed, v.uncertain, v.next_due, v.providers)
WHERE f.database IS NULL OR v.database IS NULL;
SELECT (SELECT array_agg(attname || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'cadence_runner_status'::regclass AND attnum > 0)
    = (SELECT array_agg(name || ' ' || format_type(type, NULL) ORDER BY n) FROM pg_proc, unnest(proargnames, proallargtypes) WITH ORDINALITY AS x(name, type, n)
       WHERE oid = 'cadence_runner_status()'::regprocedure) AS same_columns;
-- neither writes anything
BEGIN READ ONLY;
SELECT due_now, ok FROM cadence_runner_status(), cadence_health();
ROLLBACK;

-- what was settled is no longer uncertain, also when the run is paused again
SELECT cadence_settle(run, n = 10) FROM cases WHERE n IN (10, 11);
SELECT uncertain FROM cadence_runner_status();
SELECT cadence_pause(run) FROM cases WHERE n IN (10, 11);
SELECT uncertain FROM cadence_runner_status();
SELECT cadence_cancel(run, 'x') FROM cases WHERE n IN (10, 11);

-- the right to execute is what it takes, and all that it takes
SET ROLE regress_cadence_watcher;
SELECT due_now, problem FROM cadence_runner_status();
SELECT due_now FROM cadence_runner_status;
SELECT ok, reasons FROM cadence_health();
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_runner_status(), cadence_health(interval) TO regress_cadence_watcher;
SET ROLE regress_cadence_watcher;
SELECT due_now, claimed, current_user FROM cadence_runner_status();
SELECT due_now, claimed FROM cadence_runner_status;
SELECT ok, cardinality(reasons) AS reasons FROM cadence_health('1 hour');
SELECT count(*) FROM lead_cadence_runs;
RESET ROLE;
-- what hangs on the tables runs as their owner, not as the stronger caller who looks
CREATE FUNCTION peek(text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'as %', current_user; END $$;
ALTER TABLE lead_cadence_runs FORCE ROW LEVEL SECURITY;
CREATE POLICY peek ON lead_cadence_runs TO regress_cadence_crm USING (cadence.peek(lead_id));
DELETE FROM lead_cadence_runs WHERE lead_id <> 'lead 1';
SELECT ok, reasons FROM cadence_health();
DROP POLICY peek ON lead_cadence_runs;
ALTER TABLE lead_cadence_runs NO FORCE ROW LEVEL SECURITY;

-- reasons; those that name times with the times left out
CREATE VIEW health AS
SELECT ok, regexp_replace(r, '\d{4}-\d\d-\d\d .*', '(then)') AS reason FROM cadence_health() LEFT JOIN unnest(reasons) AS r ON true;
SELECT * FROM health;
-- overdue: longer than five minutes, or than the caller allows
UPDATE lead_cadence_runs SET next_run_at = now() - interval '6 min';
SELECT * FROM health;
SELECT ok FROM cadence_health('7 min');
SELECT ok FROM cadence_health(max_lag => '5 min 30 s');
SELECT ok FROM cadence_health('1 day');
SELECT ok FROM cadence_health('1 month -1 day');
SELECT ok IS NULL AS of_null FROM cadence_health(NULL);
-- never due
UPDATE lead_cadence_runs SET next_run_at = NULL;
SELECT * FROM health;
UPDATE lead_cadence_runs SET status = 'PAUSADA';
SELECT * FROM health;
-- not armed, and so the last execution has failed
UPDATE lead_cadence_runs SET status = 'ATIVA', next_run_at = now() + interval '1 hour';
DELETE FROM cadence_arming;
SELECT * FROM health;
SELECT problem FROM cadence_runner_status();
\set VERBOSITY sqlstate
SELECT cadence_run('TEST');
\set VERBOSITY default
SELECT * FROM health;
SELECT cadence_arm();
SELECT * FROM health;
-- the first execution writes which server was armed, whatever its owner's transactions are by default
ALTER ROLE regress_cadence_crm SET default_transaction_read_only = on;
SELECT cadence_run('TEST') -> 'success' AS success;
SELECT * FROM health;
SELECT problem FROM cadence_runner_status();
-- single runs that fail are no failure of the execution
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT * FROM health;
-- switched off; all reasons at once
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cadence_runner.enabled = off', current_database()); END $$;
\c -
SET search_path = cadence;
SELECT * FROM health;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'lead ' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, CASE WHEN n > 22 THEN now() - interval '1 hour' END FROM generate_series(20, 24) AS n;
DELETE FROM cadence_arming;
INSERT INTO cadence_runner_logs (errors, details) VALUES (1, '{"erro": "no luck", "sqlstate": "XX000"}');
SELECT * FROM health;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET cadence_runner.enabled', current_database()); END $$;
\c -
SET client_min_messages = warning;
SET search_path = cadence;
SELECT * FROM health;

-- without its trigger a table's opt-outs are heard late
ALTER TABLE contact_opt_outs DISABLE TRIGGER cadence_runner_barrier;
SELECT reason FROM cadence_health() AS h, unnest(h.reasons) AS reason WHERE reason ~ 'barrier';
ALTER TABLE contact_opt_outs ENABLE TRIGGER cadence_runner_barrier;

-- a column whose type has changed is an error, and not read as what it was
ALTER TABLE cadence_runner_logs ALTER executed_at TYPE timestamp;
SELECT ok, reasons FROM cadence_health();
ALTER TABLE cadence_runner_logs ALTER executed_at TYPE timestamptz;
ALTER TABLE lead_cadence_runs ALTER next_run_at TYPE timestamp;
SELECT due_now, problem FROM cadence_runner_status();
ALTER TABLE lead_cadence_runs ALTER next_run_at TYPE timestamptz;

-- tables that are broken are an error that says how, and no state
DROP TABLE cadence_runner_logs;
SELECT ok, reasons FROM cadence_health();
DROP TABLE cadence_arming;
SELECT problem, due_now FROM cadence_runner_status();
SELECT * FROM health;

RESET search_path;
DROP SERVER regress_zap;
DROP SERVER regress_mail CASCADE;
DROP EXTENSION cadence_runner CASCADE;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_crm, regress_cadence_watcher;
