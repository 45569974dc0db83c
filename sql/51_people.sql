--
-- People: who does not want to be written to
--

CREATE FUNCTION @extschema@.cadence_opt_out(lead_id text, empresa text, canal text DEFAULT NULL, motivo text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_opt_out(text, text, text, text) IS
'notes that a lead of a company does not want to be written to by a channel, or by any where canal is null; runs are cancelled when they come to a step of it';

CREATE FUNCTION @extschema@.cadence_opt_in(lead_id text, empresa text, canal text DEFAULT NULL) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_opt_in(text, text, text) IS
'takes back what contact_opt_outs has of a lead and a channel, or of all channels where canal is null; false: there was nothing. What was cancelled stays so';

