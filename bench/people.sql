-- What WhatsApp calls each of the leads, and a role that may tell of answers.
--
--   psql -v people=1000000 -f people.sql

\set ON_ERROR_STOP on
SET client_min_messages = warning;

SELECT format('CREATE ROLE hooks LOGIN') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hooks') \gexec
GRANT EXECUTE ON FUNCTION cadence_inbound TO hooks;

SET SESSION AUTHORIZATION crm;

ALTER SERVER whatsapp OPTIONS (ADD empresa 'ACME');
ALTER USER MAPPING FOR crm SERVER whatsapp OPTIONS (ADD webhook_token 'hook-token-0123456789abcdef');

INSERT INTO lead_identities (lead_id, empresa, kind, value, source)
SELECT 'lead-' || n, 'ACME', kind, CASE kind WHEN 'wa_lid' THEN 'lid' || n || '@lid' ELSE 'BR.' || n END, 'whatsapp'
FROM generate_series(1, :people) AS n, unnest(ARRAY['wa_lid', 'wa_user_id']) AS kind;
