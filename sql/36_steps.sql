CREATE FUNCTION @extschema@.cadence_steps_edited() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_steps_edited() IS
'keeps the runs right whose cadence is edited: they follow steps that are renumbered, get steps that are inserted before the next one, and are due when their step says; a trigger of cadence_create_tables()';

CREATE FUNCTION @extschema@.cadence_reopen(cadence text, empresa text DEFAULT NULL) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_reopen(text, text) IS
'makes finished runs of a cadence active again that have not had the steps behind their last one, and returns how many; leads that are active in it are left alone. The cadence is named by its codigo, or its id';

CREATE FUNCTION @extschema@.cadence_reopen(cadence uuid) RETURNS bigint
AS 'MODULE_PATHNAME', 'cadence_reopen_by_id' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_reopen(uuid) IS
'the same, of the cadence with that id';

CREATE FUNCTION @extschema@.cadence_check(cadence_codigo text, empresa text DEFAULT NULL)
RETURNS TABLE (severidade text, ordem int, problema text, dica text)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 10
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_check(text, text) IS
'what is wrong with a cadence, before its runs find out: ERRO, what keeps a step from being sent as it was meant; AVISO, what may be meant so. No rows: nothing';

