--
-- Over HTTP
--

CREATE FUNCTION @extschema@.cadence_http(method text, path text, query text, headers jsonb, body bytea, peer inet,
    OUT status int, OUT headers jsonb, OUT body bytea)
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_http(text, text, text, jsonb, bytea, inet) IS
'takes a request over HTTP as it came and says what to answer: executions, webhooks, links to unsubscribe, health, metrics, the dashboard''s data. What a request may do is said by the secret that it brings; the right to execute this is all that its caller needs';

CREATE FUNCTION @extschema@.cadence_secret_set(name text, value text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_secret_set(text, text) IS
'sets the secret by which something may be seen or done over HTTP, of which a digest is kept; null removes it. name: service_role, cron, health, metrics, viewer, people, viewer:SOMEBODY or people:SOMEBODY';

CREATE FUNCTION @extschema@.cadence_secret_set(name text) RETURNS text
AS 'MODULE_PATHNAME', 'cadence_secret_make' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_secret_set(text) IS
'makes a secret of that name and returns it, once: nobody can look it up. As cadence_secret_set(name, value) with a value that nobody can guess, and that stands in no statement';
