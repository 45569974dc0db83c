--
-- The log: one row per execution, bounded results, old rows removed.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE FUNCTION configure(name text, value text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER DATABASE %I %s', current_database(),
                   CASE WHEN value IS NULL THEN format('RESET cadence_runner.%s', name) ELSE format('SET cadence_runner.%s = %L', name, value) END);
END $$;
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA'), ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'VAZIA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'SMS', 'OLA');
-- four errors, the youngest; six that have no step left, the oldest
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'lead ' || n, 'BLUE', CASE WHEN n > 6 THEN 'c0000000-0000-0000-0000-000000000001' ELSE 'c0000000-0000-0000-0000-000000000002' END::uuid, 1, now() - interval '1 hour' + n * interval '1 s'
FROM generate_series(1, 10) AS n;
CREATE FUNCTION again() RETURNS void LANGUAGE sql AS $$
    UPDATE lead_cadence_runs SET status = 'ATIVA', next_step_ordem = 1, next_run_at = now() - interval '1 hour' + substr(lead_id, 6)::int * interval '1 s'
$$;
CREATE VIEW last_log AS
SELECT steps_executed, errors, runs_touched, jsonb_array_length(details -> 'results') AS results,
       (SELECT string_agg(substr(r ->> 'leadId', 6) || ' ' || (r ->> 'status'), ', ' ORDER BY o) FROM jsonb_array_elements(details -> 'results') WITH ORDINALITY AS x(r, o)) AS listed,
       details -> 'results_truncated' AS truncated, details ->> 'sqlstate' AS sqlstate
FROM cadence_runner_logs ORDER BY executed_at DESC, id DESC LIMIT 1;

SELECT cadence_run('TEST') -> 'results_truncated' AS truncated;
SELECT * FROM last_log;
-- room for some: errors first, the counts complete
SELECT configure('log_results', '10'), again();
SELECT cadence_run('TEST') -> 'results_truncated' AS truncated;
SELECT * FROM last_log;
SELECT configure('log_results', '7'), again();
SELECT s -> 'summary' ->> 'total' AS total, jsonb_array_length(s -> 'results') AS results, s -> 'results_truncated' AS truncated FROM cadence_run('TEST') AS s;
SELECT * FROM last_log;
SELECT configure('log_results', '4'), again();
SELECT cadence_run('TEST') -> 'results_truncated' AS truncated;
SELECT * FROM last_log;
SELECT configure('log_results', '3'), again();
SELECT cadence_run('TEST') -> 'results_truncated' AS truncated;
SELECT * FROM last_log;
SELECT configure('log_results', '0'), again();
SELECT s -> 'summary' ->> 'total' AS total, s -> 'results' AS results, s -> 'results_truncated' AS truncated FROM cadence_run('TEST') AS s;
SELECT * FROM last_log;
-- nothing to list: nothing is truncated
SELECT s -> 'results' AS results, s -> 'results_truncated' AS truncated FROM cadence_run('TEST') AS s;
SELECT * FROM last_log;
-- a lead whose name looks like an entry of ours
SELECT configure('log_results', '2');
UPDATE lead_cadence_runs SET next_run_at = NULL;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT '"}, {"runId": "' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000002', 1, now() FROM generate_series(1, 3) AS n;
SELECT jsonb_array_length(s -> 'results') AS results, s -> 'results_truncated' AS truncated FROM cadence_run('TEST') AS s;
DELETE FROM lead_cadence_runs WHERE lead_id LIKE '"%';
SELECT configure('log_results', NULL);

-- ids are in the order of time, whatever the clock's resolution
SELECT bool_and(later) AS in_order FROM (SELECT id > lag(id) OVER (ORDER BY executed_at, id) AS later FROM cadence_runner_logs) AS x;
SELECT DISTINCT trigger_source FROM cadence_runner_logs;

-- retention: old rows leave, a thousand at a time, the others stay
TRUNCATE cadence_runner_logs;
INSERT INTO cadence_runner_logs (executed_at) SELECT now() - interval '91 days' - n * interval '1 s' FROM generate_series(1, 1500) AS n;
INSERT INTO cadence_runner_logs (executed_at) SELECT now() - interval '89 days' FROM generate_series(1, 5);
SELECT cadence_run('TEST') -> 'success' AS success;
SELECT count(*), count(*) FILTER (WHERE executed_at < now() - interval '90 days') AS old FROM cadence_runner_logs;
SELECT cadence_run('TEST') -> 'success' AS success;
SELECT count(*), count(*) FILTER (WHERE executed_at < now() - interval '90 days') AS old FROM cadence_runner_logs;
SELECT configure('log_retention', '1d');
SELECT cadence_run('TEST') -> 'success' AS success;
SELECT count(*), count(*) FILTER (WHERE executed_at < now() - interval '1 day') AS old FROM cadence_runner_logs;
SELECT configure('log_retention', '0');
INSERT INTO cadence_runner_logs (executed_at) SELECT '2000-01-01' FROM generate_series(1, 5);
SELECT cadence_run('TEST') -> 'success' AS success;
SELECT count(*) AS kept FROM cadence_runner_logs WHERE executed_at < '2001-01-01';
SELECT configure('log_retention', NULL);

-- switched off for the owner's sessions: the execution refuses to work, and says so in the log
TRUNCATE cadence_runner_logs;
SELECT again();
SELECT configure('enabled', 'off');
SELECT cadence_run('TEST');
SELECT steps_executed, errors, runs_touched, details ->> 'erro' AS erro FROM cadence_runner_logs;
SELECT count(*) AS due FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at <= now();
SELECT configure('enabled', NULL);

-- a log that refuses its row costs no result
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no log today'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON cadence_runner_logs FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT count(*) AS due FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at <= now();
DROP TRIGGER refuse ON cadence_runner_logs;

-- an execution that fails says so, with its own error, to the caller and in the log
TRUNCATE cadence_runner_logs;
SELECT again();
ALTER TABLE lead_contacts RENAME COLUMN lead_id TO lead;
\set VERBOSITY sqlstate
SELECT cadence_run('TEST');
\set VERBOSITY default
SELECT steps_executed, errors, runs_touched, details ->> 'sqlstate' AS sqlstate, details ->> 'erro' AS erro, details -> 'results' AS results FROM cadence_runner_logs;
SELECT count(*) FILTER (WHERE next_run_at <= now()) AS due, count(*) FILTER (WHERE claim_id IS NOT NULL) AS claimed FROM lead_cadence_runs;
ALTER TABLE lead_contacts RENAME COLUMN lead TO lead_id;

-- the queries that installations watch it with
SELECT count(*) FROM (SELECT executed_at, steps_executed, errors, duration_ms, trigger_source FROM cadence_runner_logs ORDER BY executed_at DESC LIMIT 10) AS last_executions;
SELECT count(*) FROM cadence_runner_logs WHERE errors > 0 AND executed_at > now() - interval '24 hours';

-- what the caller rolls back was done all the same
SELECT again();
BEGIN;
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
ROLLBACK;
SELECT count(*) AS due FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at <= now();
-- and what the caller has not committed is not seen
BEGIN;
SELECT again();
SAVEPOINT s;
SELECT cadence_run('TEST') #> '{summary,skipped}' AS skipped;
ROLLBACK TO s;
ROLLBACK;
-- in a loop, in an exception block
DO $$
BEGIN
    FOR i IN 1..5 LOOP
        BEGIN
            PERFORM cadence_run('TEST');
            RAISE EXCEPTION 'undo';
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END LOOP;
END $$;
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner' AND datname = current_database();

RESET search_path;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
