--
-- Status
--

CREATE FUNCTION @extschema@.cadence_runner_status(
    OUT database text, OUT workers int, OUT worker_pid int, OUT worker_state text, OUT worker_since timestamptz,
    OUT worker_seen_at timestamptz, OUT problem text, OUT last_execution timestamptz,
    OUT in_flight bigint, OUT waiting bigint, OUT next_look timestamptz,
    OUT due_now bigint, OUT oldest_due timestamptz, OUT lag interval, OUT claimed bigint,
    OUT uncertain bigint, OUT next_due timestamptz, OUT providers jsonb) RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_runner_status() IS
'the resident workers of the server, and what is due, claimed, uncertain and sent in this database';

CREATE VIEW @extschema@.cadence_runner_status AS SELECT * FROM @extschema@.cadence_runner_status();

COMMENT ON VIEW @extschema@.cadence_runner_status IS
'the same as the function cadence_runner_status(), which its reader must be allowed to execute';

-- nothing to be seen without the right to execute the function
GRANT SELECT ON @extschema@.cadence_runner_status TO PUBLIC;

CREATE FUNCTION @extschema@.cadence_health(max_lag interval DEFAULT '5 minutes', OUT ok boolean, OUT reasons text[])
RETURNS record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_health(interval) IS
'whether messages leave as they should, or each reason why not; max_lag is how long a due step may wait';

