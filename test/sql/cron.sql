--
-- cadence_schedule(), cadence_unschedule() and cadence_cron_history() without
-- pg_cron in this database: the way is in the hint.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS TABLE (code text, message text, hint text) LANGUAGE plpgsql AS $$
DECLARE database text := current_database();
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000', 'no error', '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT, hint := PG_EXCEPTION_HINT;
    message := replace(message, database, '(database)');
    hint := replace(hint, database, '(database)');
    RETURN NEXT;
END $$;
\x on
SELECT * FROM pg_temp.refusal('SELECT cadence.cadence_schedule()');
SELECT * FROM pg_temp.refusal($$SELECT cadence.cadence_schedule('*/10 9-18 * * 1-5')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence.cadence_schedule('it''s "time"')$$);
SELECT * FROM pg_temp.refusal('SELECT cadence.cadence_schedule(NULL)');
SELECT * FROM pg_temp.refusal('SELECT cadence.cadence_unschedule()');
SELECT * FROM pg_temp.refusal('SELECT * FROM cadence.cadence_cron_history()');
SELECT * FROM pg_temp.refusal('SELECT * FROM cadence.cadence_cron_history(NULL)');
SELECT * FROM pg_temp.refusal('SELECT * FROM cadence.cadence_cron_history(-1)');
\x off

-- in a schema that has to be quoted, the call in the hint still works
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence;
CREATE SCHEMA "Cadência 100%";
CREATE EXTENSION cadence_runner SCHEMA "Cadência 100%";
\x on
SELECT * FROM pg_temp.refusal('SELECT "Cadência 100%".cadence_schedule()');
\x off
DROP EXTENSION cadence_runner;
DROP SCHEMA "Cadência 100%";
