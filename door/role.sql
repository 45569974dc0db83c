-- The role that cadence_door logs in as, which may execute one function. By a superuser, in the
-- database of the extension: psql -f role.sql.

\set ON_ERROR_STOP on

SELECT n.nspname AS extension_schema FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'cadence_runner' \gset

CREATE ROLE cadence_door LOGIN NOINHERIT CONNECTION LIMIT 24;
GRANT USAGE ON SCHEMA :"extension_schema" TO cadence_door;
GRANT EXECUTE ON FUNCTION :"extension_schema".cadence_http(text, text, text, jsonb, bytea, inet) TO cadence_door;

-- Tokens, and what people write, are parameters of its calls: whatever is logged of these, not that.
ALTER ROLE cadence_door SET log_parameter_max_length = 0;
ALTER ROLE cadence_door SET log_parameter_max_length_on_error = 0;
-- which shows them in plans
ALTER ROLE cadence_door SET auto_explain.log_min_duration = -1;
