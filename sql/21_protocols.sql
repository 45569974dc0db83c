
--
-- Protocols: how providers' APIs are spoken
--

CREATE TABLE @extschema@.cadence_protocols (
    name text PRIMARY KEY,
    definition jsonb NOT NULL,
    built_in boolean NOT NULL DEFAULT false
);

-- a server names its protocol in any case
CREATE UNIQUE INDEX cadence_protocols_name_idx ON @extschema@.cadence_protocols (pg_catalog.lower(name));

COMMENT ON TABLE @extschema@.cadence_protocols IS
'how providers'' APIs are spoken: a row for each, those that come with cadence_runner and those of cadence_protocol_define()';
COMMENT ON COLUMN @extschema@.cadence_protocols.name IS 'what a server names in its option protocol';
COMMENT ON COLUMN @extschema@.cadence_protocols.definition IS 'requests and answers as data: see docs/protocols.md';
COMMENT ON COLUMN @extschema@.cadence_protocols.built_in IS 'it comes with the extension and can not be changed';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.cadence_protocols'::pg_catalog.regclass, 'WHERE NOT built_in');

CREATE FUNCTION @extschema@.cadence_protocols_guard() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_protocols_guard() IS
'trigger of cadence_protocols: refuses definitions with problems, and changes that leave servers without a protocol';

CREATE TRIGGER cadence_protocols_guard BEFORE INSERT OR UPDATE OR DELETE ON @extschema@.cadence_protocols
FOR EACH ROW EXECUTE FUNCTION @extschema@.cadence_protocols_guard();
-- in a subscriber, too, which has the built-in protocols already
ALTER TABLE @extschema@.cadence_protocols ENABLE ALWAYS TRIGGER cadence_protocols_guard;
CREATE TRIGGER cadence_protocols_truncate BEFORE TRUNCATE ON @extschema@.cadence_protocols
FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.cadence_protocols_guard();

CREATE FUNCTION @extschema@.cadence_protocol_check(definition jsonb, OUT path text, OUT problem text) RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.cadence_protocol_check(jsonb) IS
'what is wrong with a protocol''s definition, each with a JSON pointer to where it is; no row: it can be used';

CREATE FUNCTION @extschema@.cadence_protocol_define(name text, definition jsonb) RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO @extschema@.cadence_protocols AS p (name, definition)
    VALUES (cadence_protocol_define.name, cadence_protocol_define.definition)
    ON CONFLICT (name) DO UPDATE SET definition = excluded.definition;
END;

COMMENT ON FUNCTION @extschema@.cadence_protocol_define(text, jsonb) IS
'makes a protocol, or replaces one of yours; servers that use it follow at once. All that is wrong with the definition is one error';

--
-- Senders
--

CREATE FUNCTION @extschema@.cadence_provider_pause(server text, motivo text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_provider_pause(text, text) IS
'lets nothing leave by this server until cadence_provider_resume(); what is due to it waits, and uses no attempt';

CREATE FUNCTION @extschema@.cadence_provider_resume(server text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_provider_resume(text) IS
'lets messages leave by this server again, whether it was paused by hand or stopped by its own failures, and makes due what waits for it';
