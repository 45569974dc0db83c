CREATE FUNCTION cadence_wake() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION cadence_wake() IS
'wakes the resident worker of this database when the transaction commits; a trigger of cadence_create_tables()';

CREATE FUNCTION cadence_arm() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('@extschema@.cadence_arming') IS NULL THEN
        RAISE EXCEPTION 'table %.cadence_arming does not exist', '@extschema@'
            USING ERRCODE = 'undefined_table', HINT = 'Call @extschema@.cadence_create_tables().';
    END IF;
    LOCK TABLE @extschema@.cadence_arming IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM @extschema@.cadence_arming;
    INSERT INTO @extschema@.cadence_arming (cluster, database_oid)
    SELECT s.system_identifier::text, d.oid::text
    FROM pg_control_system() s, pg_database d WHERE d.datname = current_database();
END
$$;

COMMENT ON FUNCTION cadence_arm() IS
'lets the tables of this database send from this server: for a copy (a restored dump, a copied data directory, an upgraded cluster) that is to take over';

