--
-- A client encoding that the database, the role or a trigger has set: what a
-- worker says reaches its caller as it was said, also what that encoding lacks.
--
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
INSERT INTO cadences (empresa, codigo) VALUES ('BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) SELECT id, 1, 'SMS', 'OLA' FROM cadences;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'ação', 'BLUE', id, 1, now() - interval '1 hour' FROM cadences;
CREATE TABLE said (kind text, encoding text);
CREATE FUNCTION speak() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    how said;
BEGIN
    SELECT * INTO how FROM cadence.said;
    IF how.encoding IS NOT NULL THEN
        PERFORM set_config('client_encoding', how.encoding, false);
    END IF;
    IF how.kind = 'warning' THEN
        RAISE WARNING 'não é ≠';
    ELSIF how.kind = 'error' THEN
        RAISE undefined_column USING MESSAGE = 'não é ≠';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER speak AFTER UPDATE ON lead_cadence_runs FOR EACH STATEMENT EXECUTE FUNCTION speak();
CREATE FUNCTION speaks_next(kind text, encoding text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    DELETE FROM said;
    UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 hour';
    INSERT INTO said VALUES (kind, encoding);
$$;
CREATE FUNCTION use_for_everybody(encoding text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET client_encoding = %L', current_database(), encoding);
END $$;
CREATE FUNCTION use_for_owner(encoding text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER ROLE %I SET client_encoding = %L', current_user, encoding);
END $$;

-- a trigger
SELECT speaks_next('warning', 'LATIN1');
SELECT cadence_run('TEST') #> '{results,0,leadId}' AS lead;
SELECT speaks_next('error', 'WIN1252');
SELECT cadence_run('TEST') #> '{results,0,leadId}' AS lead;

-- the database
SELECT use_for_everybody('LATIN1');
SELECT speaks_next('warning');
SELECT cadence_run('TEST') #> '{results,0,leadId}' AS lead;
SELECT speaks_next('error');
SELECT cadence_run('TEST') #> '{results,0,leadId}' AS lead;
SELECT use_for_everybody('UTF8');

-- the tables' owner
SELECT use_for_owner('WIN1252');
SELECT speaks_next('warning');
SELECT cadence_run('TEST') #> '{results,0,leadId}' AS lead;
SELECT speaks_next('error');
SELECT cadence_run('TEST') #> '{results,0,leadId}' AS lead;

DO $$ BEGIN
    EXECUTE format('ALTER ROLE %I RESET client_encoding', current_user);
    EXECUTE format('ALTER DATABASE %I RESET client_encoding', current_database());
END $$;
SELECT errors, details ->> 'erro' AS erro FROM cadence_runner_logs ORDER BY executed_at;
RESET search_path;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
