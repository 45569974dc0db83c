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
'takes back what contact_opt_outs has of a lead and a channel, or of all channels where canal is null, and the mailbox from the blocklist where the link to unsubscribe has put it there; false: there was nothing. What was cancelled stays so';


CREATE FUNCTION @extschema@.cadence_block(kind text, value text, reason text DEFAULT NULL, source text DEFAULT NULL,
    country text DEFAULT NULL, empresa text DEFAULT NULL) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_block(text, text, text, text, text, text) IS
'puts a number (kind phone) or a mailbox (email) on the blocklist: a company does not write to it any more, or nobody where empresa is null; what waits to be sent is looked up again before it starts. country: of a number without its country''s code, BR if it is left out. false: it was there';

CREATE FUNCTION @extschema@.cadence_block_many(kind text, addresses text[], reason text DEFAULT NULL, source text DEFAULT NULL,
    country text DEFAULT NULL, empresa text DEFAULT NULL, OUT added bigint, OUT known bigint, OUT refused bigint, OUT refused_at int[])
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_block_many(text, text[], text, text, text, text) IS
'the same for many: how many were put there, were there or came twice, and can be no address, with the places of the first of those';

CREATE FUNCTION @extschema@.cadence_unblock(kind text, value text, country text DEFAULT NULL, empresa text DEFAULT NULL) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_unblock(text, text, text, text) IS
'takes an address off the blocklist of a company, or of all where empresa is null, whoever has put it there; false: it was not there. What can be no address is an error';

CREATE FUNCTION @extschema@.cadence_unsubscribe_url(run uuid, canal text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_unsubscribe_url(uuid, text) IS
'the link by which the person of a run unsubscribes from a channel, or that of its next step: what {{unsubscribe_url}} is in messages';

CREATE FUNCTION @extschema@.cadence_unsubscribe(token text, one_click boolean DEFAULT false,
    OUT status int, OUT headers jsonb, OUT body text)
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_unsubscribe(text, boolean) IS
'what the link to unsubscribe leads to: a page that asks, or with one_click, for a POST, the opt-out, and what to answer; the right to execute it is all that its caller needs';
