-- 20,000 messages that were sent, whose ids are wamid-1 and so on, and a role that may call the
-- webhook and nothing else.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

SELECT format('CREATE ROLE hooks LOGIN') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hooks') \gexec
GRANT EXECUTE ON FUNCTION cadence_receive(text, text, jsonb, text, bytea, text) TO hooks;

SET SESSION AUTHORIZATION crm;

ALTER SERVER whatsapp OPTIONS (ADD empresa 'ACME');
ALTER USER MAPPING FOR crm SERVER whatsapp OPTIONS (ADD webhook_token 'hook-token-0123456789abcdef');

-- of runs of their own, which have sent all they had
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, last_step_ordem)
SELECT 'sent-' || n, 'ACME', c.id, 'CONCLUIDA', 1
FROM generate_series(1, 20000) AS n
JOIN cadences AS c ON c.empresa = 'ACME';

INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, enviado_em, run_id, step_ordem, whatsapp_message_id)
SELECT r.lead_id, r.empresa, 'WHATSAPP', 'OUTBOUND', repeat('x', 200), 'ENVIADO', now(), r.id, 1, 'wamid-' || substr(r.lead_id, 6)
FROM lead_cadence_runs AS r
WHERE r.lead_id LIKE 'sent-%';

INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes)
SELECT r.id, 1, 'DISPARADO', jsonb_build_object('provedor', 'whatsapp', 'tentativa', 1, 'message_id', 'wamid-' || substr(r.lead_id, 6))
FROM lead_cadence_runs AS r
WHERE r.lead_id LIKE 'sent-%';
