CREATE FUNCTION @extschema@.cadence_wake() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_wake() IS
'wakes the resident worker of this database when the transaction commits; a trigger of cadence_create_tables()';

-- what other sessions are told of when somebody forbids a message: see src/schema/barrier.c
CREATE TYPE @extschema@.cadence_barrier_state AS ();

COMMENT ON TYPE @extschema@.cadence_barrier_state IS
'nothing: what a commit says of it tells executions that somebody has forbidden a message';

CREATE FUNCTION @extschema@.cadence_barrier() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_barrier() IS
'makes every execution look again at what it has claimed before it sends it, when the transaction commits; a trigger of cadence_create_tables()';

CREATE FUNCTION @extschema@.cadence_check_policy() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_check_policy() IS
'refuses windows, times, words and caps that can not be, when they are written; a trigger of cadence_create_tables()';

CREATE FUNCTION @extschema@.cadence_arm() RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_arm() IS
'lets the tables of this database send from this server: for a copy (a restored dump, a copied data directory, an upgraded cluster) that is to take over';

