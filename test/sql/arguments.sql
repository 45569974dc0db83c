--
-- cadence_run(): what it refuses before anything starts.
--
SET client_min_messages = warning;
CREATE SCHEMA "Cadência de vendas";
CREATE EXTENSION cadence_runner SCHEMA "Cadência de vendas";
SET search_path = "Cadência de vendas";
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS TABLE (code text, message text, detail text, hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000', 'no error', '', '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT,
                            detail := PG_EXCEPTION_DETAIL, hint := PG_EXCEPTION_HINT;
    RETURN NEXT;
END
$$;
\x on

-- the trigger
SELECT * FROM pg_temp.refusal($$SELECT cadence_run('NIGHTLY')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_run('cron')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_run('')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_run(' CRON')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_run(repeat('CRON', 3))$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_run(NULL)$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_run('RESIDENT')$$);

-- no tables
SELECT * FROM pg_temp.refusal($$SELECT cadence_run()$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_preview('00000000-0000-0000-0000-000000000001')$$);
-- the functions of a run say so, too
\x off
SELECT f AS call, r.code, r.hint LIKE '%cadence_create_tables()%' AS hint_names_the_way
FROM unnest(ARRAY[$$cadence_enroll('lead', 'QUENTE')$$,
                  $$cadence_pause('00000000-0000-0000-0000-000000000001')$$,
                  $$cadence_resume('00000000-0000-0000-0000-000000000001')$$,
                  $$cadence_cancel('00000000-0000-0000-0000-000000000001', 'x')$$]) AS f,
     pg_temp.refusal('SELECT ' || f) AS r;
\x on

-- a table is missing, then a column of ours
SELECT cadence_create_tables();
DROP TABLE cadence_empresas;
SELECT * FROM pg_temp.refusal($$SELECT cadence_run()$$);
SELECT cadence_create_tables();
ALTER TABLE lead_cadence_runs DROP COLUMN claim_id;
SELECT * FROM pg_temp.refusal($$SELECT cadence_run()$$);
SELECT cadence_create_tables();
SELECT * FROM pg_temp.refusal($$SELECT cadence_run()$$);

-- a read-only transaction
BEGIN READ ONLY;
SELECT * FROM pg_temp.refusal($$SELECT cadence_run()$$);
ROLLBACK;
SET default_transaction_read_only = on;
SELECT * FROM pg_temp.refusal($$SELECT cadence_run()$$);
RESET default_transaction_read_only;

-- switched off
SET cadence_runner.enabled = off;
SELECT * FROM pg_temp.refusal($$SELECT cadence_run()$$);
RESET cadence_runner.enabled;

\x off

-- refusals leave no trace in the log: one execution, the one that ran
SELECT count(*) FROM cadence_runner_logs;
-- the three words that are known
SELECT t AS trigger, cadence_run(t) -> 'summary' ->> 'trigger_source' AS trigger_source
FROM unnest(ARRAY['CRON', 'MANUAL', 'TEST']) AS t;
SELECT cadence_run() -> 'summary' ->> 'trigger_source' AS default_trigger;

-- an owner who may not log in: refused before 17, where the server can not connect as one
CREATE ROLE regress_cadence_owner NOLOGIN;
GRANT USAGE ON SCHEMA "Cadência de vendas" TO regress_cadence_owner;
SELECT format('ALTER TABLE %s OWNER TO regress_cadence_owner', oid::regclass) FROM pg_class
WHERE relnamespace = '"Cadência de vendas"'::regnamespace AND relkind = 'r' AND relname <> 'cadence_protocols' ORDER BY relname \gexec
SELECT code = CASE WHEN current_setting('server_version_num')::int >= 170000 THEN '00000' ELSE '28000' END AS as_the_server_can
FROM pg_temp.refusal($$SELECT cadence_run()$$);

RESET search_path;
DROP EXTENSION cadence_runner;
SET client_min_messages = error;
DROP SCHEMA "Cadência de vendas" CASCADE;
DROP ROLE regress_cadence_owner;
