--
-- Providers
--

CREATE FUNCTION @extschema@.cadence_provider_validator(options text[], catalog oid) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_provider_validator(text[], oid) IS
'checks the options of servers and user mappings of the wrapper cadence_provider';

CREATE FOREIGN DATA WRAPPER cadence_provider VALIDATOR @extschema@.cadence_provider_validator;

COMMENT ON FOREIGN DATA WRAPPER cadence_provider IS
'where cadence_runner sends messages: one server per provider, secrets in its user mappings';

