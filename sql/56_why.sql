
--
-- Why a message has not left
--

CREATE FUNCTION @extschema@.cadence_why_not(run uuid)
RETURNS TABLE (blocked_by text, since timestamptz, clears_at timestamptz, explanation text)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_why_not(uuid) IS
'every reason why the next message of a run does not leave now, the first first; no row: nothing keeps it back. In Portuguese where lc_messages begins with pt';

CREATE FUNCTION @extschema@.cadence_why_not(run uuid, language text)
RETURNS TABLE (blocked_by text, since timestamptz, clears_at timestamptz, explanation text)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_why_not(uuid, text) IS
'the same in a language: Portuguese where that begins with pt, else English; null: as lc_messages says';
