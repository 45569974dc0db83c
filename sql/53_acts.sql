--
-- What comes back, as told by whoever has read it
--

CREATE FUNCTION @extschema@.cadence_inbound(sender text, message text, message_id text DEFAULT NULL,
    received_at timestamptz DEFAULT NULL, server text DEFAULT NULL, empresa text DEFAULT NULL,
    canal text DEFAULT NULL, name text DEFAULT NULL, quotes text DEFAULT NULL, automatic boolean DEFAULT false)
RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_inbound(text, text, text, timestamptz, text, text, text, text, text, boolean) IS
'a person has written to us: stores it, and stops what an answer or an opt-out stops. sender: a number, a mailbox, a LID or a user id; to a server, or to a company by a channel. Returns done, repeated or unmatched';

CREATE FUNCTION @extschema@.cadence_delivery(server text, message_id text, state text,
    at timestamptz DEFAULT NULL, code text DEFAULT NULL, error text DEFAULT NULL, key text DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_delivery(text, text, text, timestamptz, text, text, text) IS
'what became of a message of ours: sent, delivered, read or failed. It is known by its provider''s id, or by our key. Returns done, repeated or unmatched';

