-- The extension as an administrator sets it up: the tables belong to the role "crm", which is no
-- superuser, and all contenders work as that role.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE EXTENSION cadence_runner;
GRANT USAGE ON FOREIGN DATA WRAPPER cadence_provider TO crm;
GRANT EXECUTE ON FUNCTION cadence_create_tables(regrole), cadence_wake(), cadence_run(text) TO crm;

SET SESSION AUTHORIZATION crm;
SELECT cadence_create_tables() \g /dev/null
