
--
-- Runs
--
-- These write to tables whose triggers may name other tables without a schema:
-- hence the tables' schema on the search path, as in the worker's own session.
-- Others may create operators there: the library's own SQL names each with its
-- schema. Every statement of theirs has its index, whatever the statistics say.
--

CREATE FUNCTION @extschema@.cadence_enroll(lead_id text, cadence_codigo text, start_at timestamptz DEFAULT now(), empresa text DEFAULT NULL)
RETURNS uuid
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_enroll(text, text, timestamptz, text) IS
'starts a cadence for a lead and returns the run; its first step is due at start_at plus that step''s offset. empresa: which company''s, where several have a cadence of that codigo and more than one knows the lead';

CREATE FUNCTION @extschema@.cadence_enroll_many(lead_ids text[], cadence_codigo text, start_at timestamptz DEFAULT now(), empresa text DEFAULT NULL)
RETURNS TABLE (lead_id text, run uuid, resultado text, motivo text)
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_enroll_many(text[], text, timestamptz, text) IS
'starts a cadence for many leads and says for each, in their order, what happened: INSCRITO, JA_ATIVO, JA_PASSOU, EM_OUTRA_EXCLUSIVA, REPETIDO or INVALIDO';

CREATE FUNCTION @extschema@.cadence_pause(run uuid) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_pause(uuid) IS
'pauses a run that is ATIVA: nothing more is sent until cadence_resume(); a message that is under way is not called back';

CREATE FUNCTION @extschema@.cadence_resume(run uuid) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_resume(uuid) IS
'resumes a run that is PAUSADA: its next step is due at its time, or now if that has passed, with all its attempts again; what an uncertain attempt has sent is sent as it was';

CREATE FUNCTION @extschema@.cadence_cancel(run uuid, motivo text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_cancel(uuid, text) IS
'cancels a run that is ATIVA or PAUSADA, for good; motivo is kept in its event';

CREATE FUNCTION @extschema@.cadence_settle(run uuid, sent boolean) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_settle(uuid, boolean) IS
'settles an uncertain attempt: sent = true moves the run on, and its row in lead_messages becomes ENVIADO; false makes its step due again, and removes that row';

