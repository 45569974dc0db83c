
--
-- A sender's state goes by its name
--

-- A server that is dropped takes its state along, and one that is renamed keeps it: neither a new
-- number nor a new address begins with the warm-up, the pause or the failures of another one. What
-- is dumped and restored is dropped by nobody, so a pause is there again.
CREATE FUNCTION @extschema@.cadence_follow_servers() RETURNS event_trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_follow_servers() IS
'removes and renames what cadence_provider_state has of servers that are dropped or renamed';

CREATE EVENT TRIGGER cadence_server_dropped ON sql_drop
WHEN TAG IN ('DROP SERVER', 'DROP OWNED') EXECUTE FUNCTION @extschema@.cadence_follow_servers();

CREATE EVENT TRIGGER cadence_server_renamed ON ddl_command_end
WHEN TAG IN ('ALTER SERVER') EXECUTE FUNCTION @extschema@.cadence_follow_servers();

-- also where triggers of the origin are switched off
ALTER EVENT TRIGGER cadence_server_dropped ENABLE ALWAYS;
ALTER EVENT TRIGGER cadence_server_renamed ENABLE ALWAYS;

COMMENT ON EVENT TRIGGER cadence_server_dropped IS
'a server that is dropped takes its row of cadence_provider_state along';

COMMENT ON EVENT TRIGGER cadence_server_renamed IS
'a server that is renamed keeps its row of cadence_provider_state';
