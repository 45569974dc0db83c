--
-- What comes back: webhooks
--

CREATE FUNCTION @extschema@.cadence_receive(server text, method text, headers jsonb, query text, body bytea,
    path_secret text DEFAULT NULL, OUT status int, OUT headers jsonb, OUT body text)
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_receive(text, text, jsonb, text, bytea, text) IS
'takes a provider''s call of a server''s webhook as it came, checks who calls, acts upon what it tells, and says what to answer; the right to execute it is all that its caller needs';

CREATE FUNCTION @extschema@.cadence_rejected_retry(server text DEFAULT NULL) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_rejected_retry(text) IS
'tries what is in cadence_rejected again, or what came from that server only; how many events were taken, which are gone from there';

