--
-- What is to come
--

CREATE FUNCTION @extschema@.cadence_forecast("from" timestamptz, "to" timestamptz)
RETURNS TABLE (at timestamptz, run uuid, cadence text, step int, canal text, server text, certain boolean)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE COST 100000 ROWS 10000;

COMMENT ON FUNCTION @extschema@.cadence_forecast(timestamptz, timestamptz) IS
'what will leave between two times when nobody replies and nothing is changed, by the rules and limits that executions go by; certain: nothing but time decides. Sends nothing, changes nothing';

