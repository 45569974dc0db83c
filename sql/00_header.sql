/* cadence_runner--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cadence_runner" to load this file. \quit

-- Others may create objects in the extension's schema: an operator or function of theirs that fits
-- better than pg_catalog's would run with the rights of whoever installs this, or reads its views.
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
    planted text := (
        SELECT string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid::regprocedure::text)
        FROM pg_proc p
        WHERE p.pronamespace = '@extschema@'::regnamespace AND starts_with(p.proname, 'cadence_')
          AND pg_get_userbyid(p.proowner) <> current_user);
BEGIN
    IF planted IS NOT NULL THEN
        RAISE EXCEPTION 'schema % has functions of others with names of cadence_runner', '@extschema@'
            USING ERRCODE = 'duplicate_function', DETAIL = planted,
                  HINT = 'Whoever calls cadence_runner might call them instead. Drop them, or choose another schema.';
    END IF;
END
$$;
