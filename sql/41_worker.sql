
--
-- Resident workers
--

CREATE FUNCTION @extschema@.cadence_pause_worker(database name DEFAULT current_database()) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_pause_worker(name) IS
'ends the resident workers of a database and keeps them out until cadence_resume_worker() or a restart of the server: for ALTER DATABASE ... RENAME or SET TABLESPACE, and CREATE DATABASE ... TEMPLATE';

CREATE FUNCTION @extschema@.cadence_resume_worker(database name DEFAULT current_database()) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_resume_worker(name) IS
'lets the resident workers of a database run again, after cadence_pause_worker()';

CREATE FUNCTION @extschema@.cadence_wake_worker() RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_wake_worker() IS
'when the transaction commits, the resident workers of this database make sure of the extension and its tables, or are started';
