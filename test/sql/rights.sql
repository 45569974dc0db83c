--
-- Who may do what: the right to execute is the authorization, and the work is
-- the owner's, with the owner's rights and no more.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_crm LOGIN;
CREATE ROLE regress_cadence_runner;
CREATE ROLE regress_cadence_reader;
CREATE ROLE regress_cadence_anon;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
GRANT CREATE, USAGE ON SCHEMA cadence TO regress_cadence_crm;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_runner, regress_cadence_reader, regress_cadence_anon;
GRANT EXECUTE ON FUNCTION cadence.cadence_create_tables(regrole) TO regress_cadence_crm;
SET ROLE regress_cadence_crm;
SELECT cadence.cadence_create_tables();
INSERT INTO cadence.cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence.cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'SMS', 'OLA');
INSERT INTO cadence.lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
VALUES ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now());
-- the views are the extension's: a warning for each, in no order
SET client_min_messages = error;
GRANT SELECT ON ALL TABLES IN SCHEMA cadence TO regress_cadence_reader;
SET client_min_messages = warning;
RESET ROLE;

-- without EXECUTE: 42501, and nothing happens; not even for the tables' owner or a reader
CREATE FUNCTION tried(role name, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text := '00000'; message text := 'done';
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT;
    END;
    SET LOCAL ROLE NONE;
    RETURN code || ' ' || message;
END $$;
CREATE TABLE calls (n int, call text);
INSERT INTO calls VALUES (1, 'cadence_run()'), (2, $$cadence_run('MANUAL')$$), (3, $$cadence_enroll('bia', 'UMA')$$),
    (4, $$cadence_pause('a0000000-0000-0000-0000-000000000001')$$), (5, $$cadence_resume('a0000000-0000-0000-0000-000000000001')$$),
    (6, $$cadence_cancel('a0000000-0000-0000-0000-000000000001', 'x')$$), (7, $$cadence_preview('a0000000-0000-0000-0000-000000000001')$$),
    (8, $$cadence_render('', '{}')$$), (9, 'cadence_schedule()'), (10, 'cadence_unschedule()'), (11, 'cadence_cron_history()'), (12, 'cadence_create_tables()'),
    (13, $$cadence_provider_validator('{}', 0)$$), (14, $$cadence_settle('a0000000-0000-0000-0000-000000000001', true)$$), (15, 'cadence_arm()'),
    (16, 'cadence_runner_status()'), (17, 'cadence_health()'), (18, 'cadence_wake()'),
    (19, 'cadence_pause_worker()'), (20, 'cadence_resume_worker()'), (21, 'cadence_wake_worker()'),
    (22, $$cadence_opt_out('ana', 'BLUE')$$), (23, $$cadence_opt_in('ana', 'BLUE')$$), (24, 'cadence_lock_tables()'), (25, 'cadence_barrier()'),
    (26, 'cadence_check_policy()'), (27, 'cadence_holidays_br(2026)'), (28, 'cadence_easter(2026)'), (29, $$cadence_timeline('ana', 'BLUE')$$), (30, $$cadence_forecast(now(), now() + interval '1 day')$$);
SELECT n, tried('regress_cadence_anon', 'SELECT cadence.' || call) FROM calls ORDER BY n;
SELECT role, tried(role, 'SELECT cadence.cadence_run()') FROM unnest(ARRAY['regress_cadence_reader', 'regress_cadence_crm']) AS role;
SELECT status, attempts, claim_id, (SELECT count(*) FROM cadence.cadence_runner_logs) AS logs, (SELECT count(*) FROM cadence.lead_cadence_events) AS events
FROM cadence.lead_cadence_runs;

-- with EXECUTE and nothing else: the execution does all its work
GRANT EXECUTE ON FUNCTION cadence.cadence_run(text) TO regress_cadence_runner;
SET ROLE regress_cadence_runner;
SELECT cadence.cadence_run('MANUAL') -> 'summary' -> 'errors' AS errors;
SELECT count(*) FROM cadence.lead_cadence_runs;
SELECT count(*) FROM cadence.cadence_runner_logs;
RESET ROLE;
SELECT detalhes ->> 'codigo' AS codigo FROM cadence.lead_cadence_events;
-- what it may run it may not bend
SET ROLE regress_cadence_runner;
SET cadence_runner.batch_size = 1;
SET cadence_runner.enabled = off;
SELECT cadence.cadence_preview('a0000000-0000-0000-0000-000000000001');
RESET ROLE;
-- from inside a function that is somebody else's, that one's right counts
CREATE FUNCTION cadence.for_anon() RETURNS jsonb LANGUAGE sql SECURITY DEFINER AS $$ SELECT cadence.cadence_run('TEST') -> 'success' $$;
ALTER FUNCTION cadence.for_anon() OWNER TO regress_cadence_runner;
SET ROLE regress_cadence_anon;
SELECT cadence.for_anon();
RESET ROLE;

-- the worker is the owner, whoever calls: triggers never find a stronger user behind it
CREATE TABLE cadence.seen (who text, session text, super text, path text, isolation text, readonly text, timeouts text, sync text, rls text);
GRANT ALL ON cadence.seen TO regress_cadence_crm;
SET ROLE regress_cadence_crm;
CREATE FUNCTION cadence.look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen SELECT current_user, session_user, current_setting('is_superuser'), current_setting('search_path'),
        current_setting('transaction_isolation'), current_setting('transaction_read_only'),
        current_setting('lock_timeout') || ' ' || current_setting('statement_timeout'), current_setting('synchronous_commit'), current_setting('row_security');
    SET synchronous_commit = off;
    SET lock_timeout = 0;
    SET search_path = public;
    SET row_security = on;
    SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;
    RETURN NULL;
END $$;
UPDATE cadence.lead_cadence_runs SET next_run_at = now();
CREATE TRIGGER look AFTER UPDATE ON cadence.lead_cadence_runs FOR EACH STATEMENT EXECUTE FUNCTION cadence.look();
RESET ROLE;
ALTER ROLE regress_cadence_crm SET search_path = public;
ALTER ROLE regress_cadence_crm SET default_transaction_read_only = on;
ALTER ROLE regress_cadence_crm SET default_transaction_isolation = 'serializable';
ALTER ROLE regress_cadence_crm SET synchronous_commit = off;
ALTER ROLE regress_cadence_crm SET lock_timeout = '9min';
ALTER ROLE regress_cadence_crm SET statement_timeout = '1ms';
ALTER ROLE regress_cadence_crm SET row_security = on;
SELECT cadence.cadence_run('MANUAL') -> 'summary' -> 'errors' AS errors;
SELECT * FROM cadence.seen;
DROP TRIGGER look ON cadence.lead_cadence_runs;
ALTER ROLE regress_cadence_crm RESET ALL;

-- the owner changes: the next execution is the new owner's
ALTER ROLE regress_cadence_reader LOGIN;
ALTER TABLE cadence.lead_cadence_runs OWNER TO regress_cadence_reader;
SELECT cadence.cadence_run('MANUAL');
ALTER TABLE cadence.lead_cadence_runs OWNER TO regress_cadence_crm;
-- a database that allows its owner no connection
REVOKE CONNECT ON DATABASE :"DBNAME" FROM PUBLIC;
\set VERBOSITY sqlstate
SELECT cadence.cadence_run('MANUAL') -> 'success' AS success;
\set VERBOSITY default
GRANT CONNECT ON DATABASE :"DBNAME" TO PUBLIC;

DROP FUNCTION tried(name, text);
DROP TABLE calls;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_crm, regress_cadence_runner, regress_cadence_reader, regress_cadence_anon;
