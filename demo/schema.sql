-- The extension in a database of its own, as a superuser sets it up for an application's role: the
-- tables belong to "crm", which is no superuser, and so does everything that is sent later.

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

CREATE EXTENSION pg_cron;
GRANT USAGE ON SCHEMA cron TO crm;

CREATE EXTENSION cadence_runner;
GRANT USAGE ON FOREIGN DATA WRAPPER cadence_provider TO crm;

-- Nobody but the owner may execute these at first.
SELECT format('GRANT EXECUTE ON FUNCTION %s TO crm', p.oid::regprocedure)
FROM pg_proc p
JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'cadence_runner' AND p.proname LIKE 'cadence\_%'
\gexec

-- Whoever passes on the providers' calls has this one right.
CREATE ROLE hooks LOGIN;
GRANT EXECUTE ON FUNCTION cadence_receive(text, text, jsonb, text, bytea, text) TO hooks;

SET SESSION AUTHORIZATION crm;
SELECT cadence_create_tables() \g /dev/null
