--
-- Metrics
--

CREATE FUNCTION @extschema@.cadence_metrics(openmetrics boolean DEFAULT false) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_metrics(boolean) IS
'metrics as text for Prometheus, or in the format of OpenMetrics; the right to execute it is all that its caller needs';
