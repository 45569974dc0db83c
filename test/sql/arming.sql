--
-- cadence_arming: a copy of the tables sends nothing until somebody arms it;
-- and the triggers that wake the resident worker, or recall what was claimed.
--
\set SHOW_CONTEXT never
CREATE ROLE regress_cadence_crm LOGIN;
CREATE ROLE regress_cadence_clerk;
CREATE SCHEMA cadence AUTHORIZATION regress_cadence_crm;
CREATE EXTENSION cadence_runner SCHEMA cadence;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_clerk;
GRANT EXECUTE ON FUNCTION cadence.cadence_create_tables(regrole) TO regress_cadence_crm;
-- no table to arm yet
SELECT cadence.cadence_arm();

-- the triggers need a right that the tables do not: without it the tables are created all the same
SET ROLE regress_cadence_crm;
SET search_path = cadence;
SELECT cadence_create_tables();
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence.cadence_wake(), cadence.cadence_barrier(), cadence.cadence_check_policy() TO regress_cadence_crm;
SET ROLE regress_cadence_crm;
SELECT cadence_create_tables();
SELECT cadence_create_tables();
RESET ROLE;
SET client_min_messages = warning;
CREATE VIEW wakes AS
SELECT tgrelid::regclass AS "table", tgenabled AS enabled, pg_get_triggerdef(t.oid) AS definition,
       (SELECT string_agg(deptype::text || ' ' || extname, ', ') FROM pg_depend d JOIN pg_extension e ON e.oid = refobjid AND refclassid = 'pg_extension'::regclass
        WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid) AS depends
FROM pg_trigger t WHERE tgname IN ('cadence_runner_wake', 'cadence_runner_barrier') ORDER BY tgrelid::regclass::text COLLATE "C", tgname COLLATE "C";
\x on
SELECT * FROM wakes;
\x off
-- whoever may write to the runs needs no right on the trigger's function
GRANT SELECT, INSERT, UPDATE ON lead_cadence_runs TO regress_cadence_clerk;
GRANT SELECT ON cadences TO regress_cadence_clerk;
CREATE POLICY all_of_them ON lead_cadence_runs TO regress_cadence_clerk USING (true);
CREATE POLICY all_of_them ON cadences TO regress_cadence_clerk USING (true);
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'SMS', 'OLA');
SET ROLE regress_cadence_clerk;
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
VALUES ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now());
UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 min';
RESET ROLE;
-- it is a trigger's, and of no use otherwise
SELECT cadence_wake();
SELECT cadence_barrier();

-- armed by the creation, for this database of this cluster; the first execution makes that this data directory
CREATE VIEW armed AS
SELECT cluster = (SELECT system_identifier::text FROM pg_control_system()) AS cluster,
       database_oid = (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS database,
       control_file ~ '^\d+/\d+$' AS control_file, timeline = (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
       armed_at BETWEEN now() - interval '1 hour' AND now() AS armed_at, armed_by
FROM cadence_arming;
SELECT * FROM armed;
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT * FROM armed;
SELECT ctid, xmin FROM cadence_arming \gset pinned_
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT ctid = :'pinned_ctid' AND xmin = :'pinned_xmin' AS not_written_again FROM cadence_arming;
-- the errors name this cluster and this database
CREATE FUNCTION refused(OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    code := '00000';
    PERFORM cadence_run('TEST');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT, detail := PG_EXCEPTION_DETAIL, hint := PG_EXCEPTION_HINT;
    detail := replace(detail, (SELECT system_identifier::text FROM pg_control_system()), '(here)');
    detail := replace(detail, (SELECT oid::text FROM pg_database WHERE datname = current_database()), '(here)');
END $$;
CREATE VIEW untouched AS
SELECT status, next_run_at < now() - interval '30 s' AS due, attempts, claim_id, (SELECT count(*) FROM lead_cadence_events) AS events FROM lead_cadence_runs;
UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 min', attempts = 0;
CREATE TABLE before AS SELECT * FROM cadence_arming;
\x on
-- never armed; creating the tables again changes nothing
DELETE FROM cadence_arming;
SELECT cadence_create_tables(owner => 'regress_cadence_crm');
SELECT * FROM refused();
SELECT * FROM untouched;
-- armed twice
INSERT INTO cadence_arming SELECT * FROM before;
INSERT INTO cadence_arming (cluster, database_oid) SELECT cluster, database_oid FROM before;
SELECT * FROM refused();
SELECT * FROM untouched;
SELECT cadence_arm();
SELECT * FROM armed;
-- another cluster's
UPDATE cadence_arming SET cluster = '7123456789012345678', control_file = b.control_file, timeline = b.timeline FROM before b;
SELECT * FROM refused();
SELECT * FROM untouched;
SELECT cadence_arm();
SELECT * FROM armed;
-- another database's
UPDATE cadence_arming SET database_oid = '1', control_file = b.control_file, timeline = b.timeline FROM before b;
SELECT * FROM refused();
SELECT * FROM untouched;
SELECT cadence_arm();
SELECT * FROM armed;
-- another data directory's, of this timeline and of a later one
UPDATE cadence_arming SET control_file = '1/1', timeline = b.timeline FROM before b;
SELECT * FROM refused();
UPDATE cadence_arming SET timeline = timeline + 1;
SELECT * FROM refused();
SELECT * FROM untouched;
SELECT cadence_arm();
SELECT * FROM armed;
SELECT * FROM refused();
SELECT * FROM armed;
-- what was refused is in the log
SELECT errors, runs_touched, details ->> 'sqlstate' AS sqlstate, count(*) FROM cadence_runner_logs WHERE errors > 0 AND runs_touched = 0 GROUP BY 1, 2, 3;
-- without the table nothing is sent
ALTER TABLE cadence_arming RENAME TO elsewhere;
SELECT * FROM refused();
ALTER TABLE elsewhere RENAME TO cadence_arming;
\x off

-- who may arm: whoever may execute it, and write to the table
SET ROLE regress_cadence_clerk;
SELECT cadence_arm();
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_arm() TO regress_cadence_clerk, regress_cadence_crm;
DELETE FROM cadence_arming;
SET ROLE regress_cadence_clerk;
SELECT cadence_arm();
SELECT cadence.cadence_create_tables();
RESET ROLE;
SELECT count(*) AS armed FROM cadence_arming;
SET ROLE regress_cadence_crm;
SELECT cadence_arm();
RESET ROLE;
SELECT * FROM armed;
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT * FROM armed;

-- whoever creates the table anew arms it, for the owner of the runs
DROP TABLE cadence_arming CASCADE;
SELECT cadence_create_tables(owner => 'regress_cadence_crm');
SELECT count(*) AS triggers FROM wakes;
SELECT relowner::regrole AS owner FROM pg_class WHERE oid = 'cadence_arming'::regclass;
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;

-- a trigger that was disabled by the owner stays as it is; one that was dropped comes back
ALTER TABLE lead_cadence_runs DISABLE TRIGGER cadence_runner_wake;
DROP TRIGGER cadence_runner_wake ON cadence_arming;
SELECT cadence_create_tables(owner => 'regress_cadence_crm');
SELECT "table", enabled, depends FROM wakes;

-- the extension goes, and takes them along; the tables work
DROP EXTENSION cadence_runner;
SELECT count(*) AS triggers FROM wakes;
SET ROLE regress_cadence_crm;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
VALUES ('bia', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now());
UPDATE lead_cadence_runs SET next_run_at = now();
UPDATE cadence_arming SET armed_by = 'nobody';
DELETE FROM lead_cadence_runs WHERE lead_id = 'ana';
RESET ROLE;
-- it comes back, and so do they; who was armed still is
CREATE EXTENSION cadence_runner SCHEMA cadence;
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT cadence_create_tables(owner => 'regress_cadence_crm');
SELECT "table", enabled, depends FROM wakes;
SELECT armed_by FROM cadence_arming;

RESET search_path;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_crm, regress_cadence_clerk;
