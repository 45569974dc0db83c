--
-- pg_cron
--

CREATE FUNCTION @extschema@.cadence_schedule(schedule text DEFAULT '*/5 * * * *') RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    command constant text := 'SELECT @extschema@.cadence_run(''CRON'')';
    job bigint;
BEGIN
    IF schedule IS NULL THEN
        RAISE EXCEPTION 'the schedule must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('In the database that has pg_cron (its setting cron.database_name), run: '
                                'SELECT cron.schedule_in_database(%L, %L, %L, %L);',
                                'cadence-runner-cron', schedule, command, current_database());
    END IF;
    EXECUTE 'SELECT cron.schedule($1, $2, $3)' INTO job USING 'cadence-runner-cron', schedule, command;
    RETURN job;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_schedule(text) IS
'creates or changes the pg_cron job cadence-runner-cron, which runs cadence_run(''CRON''), and returns its number';

CREATE FUNCTION @extschema@.cadence_unschedule() RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'In the database that has pg_cron (its setting cron.database_name), run: '
                         'SELECT cron.unschedule(''cadence-runner-cron'');';
    END IF;
    EXECUTE 'SELECT jobid FROM cron.job WHERE jobname = $1 AND username = current_user' INTO job
    USING 'cadence-runner-cron';
    IF job IS NULL THEN
        RAISE NOTICE 'role % has no job cadence-runner-cron', current_user;
        RETURN false;
    END IF;
    EXECUTE 'SELECT cron.unschedule($1)' USING job;
    RETURN true;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_unschedule() IS
'removes the pg_cron job cadence-runner-cron of the calling role; false when there is none';

CREATE FUNCTION @extschema@.cadence_cron_history(max int DEFAULT 20)
RETURNS TABLE (runid bigint, job_pid int, status text, return_message text,
               start_time timestamptz, end_time timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Read cron.job_run_details in the database that has pg_cron (its setting cron.database_name).';
    END IF;
    -- by command: job_run_details has no job name, and outlives the job
    RETURN QUERY EXECUTE
        'SELECT d.runid, d.job_pid, d.status, d.return_message, d.start_time, d.end_time
         FROM cron.job_run_details AS d
         WHERE d.command = $1 AND d.database = current_database()
         ORDER BY d.start_time DESC NULLS FIRST, d.runid DESC LIMIT $2'
    USING 'SELECT @extschema@.cadence_run(''CRON'')', greatest(coalesce(cadence_cron_history.max, 20), 0);
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_cron_history(int) IS
'what pg_cron recorded of the job''s last runs, the newest first';

