--
-- The settings: names, units, ranges, and who may change them.
--
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
LOAD 'cadence_runner';

SELECT name, CASE name WHEN 'cadence_runner.workers' THEN regexp_replace(boot_val, '^[1-4]$', 'by cores') ELSE boot_val END AS boot_val, unit, min_val, max_val, context, vartype FROM pg_settings
WHERE name LIKE 'cadence_runner.%' ORDER BY name COLLATE "C";
SELECT name FROM pg_settings WHERE name LIKE 'cadence_runner.%' AND coalesce(short_desc, '') = '';
SELECT name, short_desc, extra_desc FROM pg_settings WHERE name LIKE 'cadence_runner.%' ORDER BY name COLLATE "C";

-- with their units
SHOW cadence_runner.lease;
SHOW cadence_runner.retry_unresolved;
SHOW cadence_runner.retry_dispatch;
SHOW cadence_runner.connect_timeout;
SHOW cadence_runner.request_timeout;
SHOW cadence_runner.log_retention;
SET cadence_runner.lease = '10min';
SHOW cadence_runner.lease;
SET cadence_runner.log_retention = '30d';
SHOW cadence_runner.log_retention;

-- ranges; newer servers say their unit as well
CREATE FUNCTION pg_temp.refusal(setting text, value text) RETURNS TABLE (message text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('cadence_runner.' || setting, value, false);
    RETURN QUERY SELECT 'no error', '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message := MESSAGE_TEXT, hint := PG_EXCEPTION_HINT;
    message := regexp_replace(message, '\((\d+) m?s \.\. (\d+) m?s\)', '(\1 .. \2)');
    RETURN NEXT;
END $$;
SELECT setting, value, r.* FROM (VALUES
    ('batch_size', '0'),
    ('batch_size', '10001'),
    ('max_in_flight', '0'),
    ('lease', '1s'),
    ('lease', '2d'),
    ('retry_dispatch', '0'),
    ('max_attempts', '-1'),
    ('max_attempts', '0'),
    ('request_timeout', '11min'),
    ('log_results', '-1'),
    ('enabled', 'perhaps'),
    ('lease', '5 bananas')) AS v(setting, value), pg_temp.refusal(setting, value) AS r;

-- the prefix is ours
SET cadence_runner.leese = '5min';

-- an execution is the owner's work: who may merely start one changes no limits
CREATE ROLE regress_cadence_user;
SET ROLE regress_cadence_user;
SET cadence_runner.lease = '10min';
RESET ROLE;
DROP ROLE regress_cadence_user;

DROP EXTENSION cadence_runner;
DROP SCHEMA cadence;
