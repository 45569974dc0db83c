--
-- Status
--

CREATE FUNCTION @extschema@.cadence_runner_status(
    OUT database text, OUT workers int, OUT worker_pid int, OUT worker_state text, OUT worker_since timestamptz,
    OUT worker_seen_at timestamptz, OUT problem text, OUT last_execution timestamptz,
    OUT in_flight bigint, OUT waiting bigint, OUT next_look timestamptz,
    OUT due_now bigint, OUT oldest_due timestamptz, OUT lag interval, OUT claimed bigint,
    OUT uncertain bigint, OUT next_due timestamptz,
    OUT rejected bigint, OUT last_rejected timestamptz, OUT unmatched bigint,
    OUT warnings text[], OUT providers jsonb) RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_runner_status() IS
'the resident workers of the server, and what is due, claimed, uncertain and sent in this database';

CREATE VIEW @extschema@.cadence_runner_status AS SELECT * FROM @extschema@.cadence_runner_status();

COMMENT ON VIEW @extschema@.cadence_runner_status IS
'the same as the function cadence_runner_status(), which its reader must be allowed to execute';
COMMENT ON COLUMN @extschema@.cadence_runner_status.database IS 'of this database, and of each other one that has a resident worker';
COMMENT ON COLUMN @extschema@.cadence_runner_status.workers IS 'how many of its resident workers run';
COMMENT ON COLUMN @extschema@.cadence_runner_status.worker_pid IS 'the process of the first of them';
COMMENT ON COLUMN @extschema@.cadence_runner_status.worker_state IS 'what that does, or why there is none';
COMMENT ON COLUMN @extschema@.cadence_runner_status.worker_since IS 'since when this process has run';
COMMENT ON COLUMN @extschema@.cadence_runner_status.worker_seen_at IS 'when all of them had last gone round their loops';
COMMENT ON COLUMN @extschema@.cadence_runner_status.problem IS 'why it does not run, or why nothing is sent';
COMMENT ON COLUMN @extschema@.cadence_runner_status.last_execution IS 'when a resident worker last recorded a step';
COMMENT ON COLUMN @extschema@.cadence_runner_status.in_flight IS 'messages of all its workers that are under way';
COMMENT ON COLUMN @extschema@.cadence_runner_status.waiting IS 'messages that wait for their providers';
COMMENT ON COLUMN @extschema@.cadence_runner_status.next_look IS 'when the first worker looks again without being woken';
COMMENT ON COLUMN @extschema@.cadence_runner_status.due_now IS 'runs that are due and not taken';
COMMENT ON COLUMN @extschema@.cadence_runner_status.oldest_due IS 'since when the first of them is due';
COMMENT ON COLUMN @extschema@.cadence_runner_status.lag IS 'for how long that is';
COMMENT ON COLUMN @extschema@.cadence_runner_status.claimed IS 'runs that somebody has taken';
COMMENT ON COLUMN @extschema@.cadence_runner_status.uncertain IS 'runs that are held, to be settled with cadence_settle()';
COMMENT ON COLUMN @extschema@.cadence_runner_status.next_due IS 'when the next run is due';
COMMENT ON COLUMN @extschema@.cadence_runner_status.rejected IS 'what webhooks have told that was not taken';
COMMENT ON COLUMN @extschema@.cadence_runner_status.last_rejected IS 'when the last of it came';
COMMENT ON COLUMN @extschema@.cadence_runner_status.unmatched IS 'messages of the last day that came in from nobody who is known';
COMMENT ON COLUMN @extschema@.cadence_runner_status.warnings IS 'what is wrong with the tables, the last execution, or what comes back';
COMMENT ON COLUMN @extschema@.cadence_runner_status.providers IS 'of each server: what is under way, was sent and has failed in the last hour';

-- nothing to be seen without the right to execute the function
GRANT SELECT ON @extschema@.cadence_runner_status TO PUBLIC;

-- what the status says is wrong, with the caller's rights: who executes this must be allowed to execute that
CREATE FUNCTION @extschema@.cadence_health(max_lag interval DEFAULT '5 minutes', OUT ok boolean, OUT reasons text[])
RETURNS record
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD'
AS $$
    SELECT cardinality(r.reasons) = 0, r.reasons
    FROM @extschema@.cadence_runner_status() AS s
    CROSS JOIN LATERAL (SELECT array_remove(
        ARRAY[
            CASE WHEN NOT current_setting('cadence_runner.enabled')::boolean
                THEN 'cadence_runner.enabled is off' END,
            CASE WHEN pg_is_in_recovery() OR s.workers IS NULL THEN NULL
                WHEN s.worker_state = 'paused'
                THEN 'the resident worker is paused, until somebody calls cadence_resume_worker() or the server is started again'
                WHEN s.worker_pid IS NULL OR s.worker_state = 'starting'
                THEN format('the resident worker does not run: it is %s', concat_ws(': ', s.worker_state, s.problem)) END,
            -- it goes round its loop at least once a minute
            CASE WHEN NOT pg_is_in_recovery() AND s.worker_seen_at < clock_timestamp() - interval '150 s'
                THEN format('the resident worker is stuck: it was last heard of at %s', s.worker_seen_at) END,
            -- what was due for ever has no lag
            CASE WHEN s.due_now > 0 AND (s.lag > cadence_health.max_lag) IS NOT FALSE
                THEN format('overdue: %s due, the oldest since %s', s.due_now, s.oldest_due) END]
        || s.warnings
        || ARRAY(SELECT p.problem FROM @extschema@.cadence_planted AS p ORDER BY 1)
        || ARRAY(SELECT format('table %s has no trigger cadence_runner_barrier that fires: what was claimed may be sent for a second '
                               'after it was forbidden; see cadence_create_tables()', v.name)
                 FROM (VALUES ('lead_contacts'), ('lead_cadence_runs'), ('contact_opt_outs'), ('cadence_blocklist')) AS v(name)
                 WHERE to_regclass('@extschema@.' || v.name) IS NOT NULL
                   AND NOT EXISTS (SELECT FROM pg_trigger AS t
                                   WHERE t.tgrelid = to_regclass('@extschema@.' || v.name)
                                     AND t.tgname = 'cadence_runner_barrier' AND t.tgenabled IN ('O', 'A')))
        || ARRAY(SELECT 'table lead_cadence_runs has no trigger cadence_runner_added that fires: how many runs begin is not counted; '
                        'see cadence_create_tables()'
                 WHERE to_regclass('@extschema@.lead_cadence_runs') IS NOT NULL
                   AND NOT EXISTS (SELECT FROM pg_trigger AS t
                                   WHERE t.tgrelid = to_regclass('@extschema@.lead_cadence_runs')
                                     AND t.tgname = 'cadence_runner_added' AND t.tgenabled IN ('O', 'A')))
        -- so many failures in a row, and nothing sent, are no accident
        || ARRAY(SELECT format('server "%s" fails: %s failures and nothing sent in the last hour; %s',
                               p ->> 'server', p ->> 'failed_last_hour', p ->> 'last_error')
                 FROM jsonb_array_elements(s.providers) AS p
                 WHERE (p ->> 'sent_last_hour')::bigint = 0 AND (p ->> 'failed_last_hour')::bigint >= 5)
        || ARRAY(SELECT format('server "%s" speaks version %s of its API, which ends on %s',
                               p ->> 'server', p ->> 'version', p ->> 'version_ends')
                 FROM jsonb_array_elements(s.providers) AS p
                 WHERE (p ->> 'version_ends')::date < current_date + interval '3 months'),
        NULL) AS reasons) AS r
    WHERE s.database = current_database()::text
$$;

COMMENT ON FUNCTION @extschema@.cadence_health(interval) IS
'whether messages leave as they should, or each reason why not; max_lag is how long a due step may wait';

