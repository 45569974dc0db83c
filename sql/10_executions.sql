--
-- Executions
--

CREATE FUNCTION @extschema@.cadence_run(trigger text DEFAULT 'CRON') RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_run(text) IS
'runs one execution over all steps that are due now and returns its summary; trigger (CRON, MANUAL or TEST) names the caller in the log';

CREATE FUNCTION @extschema@.cadence_preview(run uuid) RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_preview(uuid) IS
'shows what the next step of a run would send: channel, recipient, text, provider and time; sends nothing, changes nothing';

CREATE FUNCTION @extschema@.cadence_render(template text, vars jsonb) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.cadence_render(text, jsonb) IS
'renders a template with {{name}} and {{name|fallback}} placeholders; vars is an object with a key for each of them';

