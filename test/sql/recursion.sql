--
-- cadence_run() from a trigger on the tables: refused by name and at once, and not by the last
-- worker slot.
--
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION cadence_runner;
SELECT cadence_create_tables();
INSERT INTO cadences (empresa, codigo) VALUES ('BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) SELECT id, 1, 'SMS', 'OLA' FROM cadences;
CREATE FUNCTION dispara() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM public.cadence_run('MANUAL'); RETURN NULL; END $$;
SELECT cadence_enroll('ana', 'UMA', empresa => 'BLUE') IS NOT NULL AS enrolled;
CREATE TRIGGER dispara AFTER UPDATE ON lead_cadence_runs FOR EACH STATEMENT EXECUTE FUNCTION dispara();
SELECT r ->> 'status' AS status, r ->> 'erro' AS erro FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r;
SELECT count(*) AS executions FROM cadence_runner_logs;
DROP TRIGGER dispara ON lead_cadence_runs;
SELECT r ->> 'erro' AS erro FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r;
DROP EXTENSION cadence_runner;
DROP TABLE cadences, cadence_steps, lead_contacts, message_templates, lead_cadence_runs, lead_cadence_events,
    lead_messages, cadence_empresas, cadence_runner_logs, cadence_claims, cadence_arming CASCADE;
DROP FUNCTION dispara();
