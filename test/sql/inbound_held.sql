--
-- What comes back for runs that are held or paused, for several leads with one number, out of
-- order, and for nobody who is known.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', url 'http://127.0.0.1:1/');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_zap OPTIONS (webhook_token 'senha');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo, parar_se_responder) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA', true), ('c0000000-0000-0000-0000-000000000001', 2, 'WHATSAPP', 'OLA', true);
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('ana', 'BLUE', '11 98765-4321'), ('bia', 'BLUE', '31 98765-1111');
-- a run whose attempt at its first step is uncertain
CREATE FUNCTION uncertain(n int, lead text, is_held boolean) RETURNS void LANGUAGE sql AS $$
    INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at, status, attempts)
    VALUES (('a0000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, lead, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() + interval '1 day', CASE WHEN is_held THEN 'PAUSADA' ELSE 'ATIVA' END, 1);
    INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes)
    VALUES (('a0000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 1, 'ERRO', jsonb_build_object('codigo', 'INCERTO', 'provedor', 'regress_zap') || CASE WHEN is_held THEN '{"permanente": true}' ELSE '{}' END::jsonb);
    INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, whatsapp_message_id, run_id, step_ordem)
    VALUES (lead, 'BLUE', 'WHATSAPP', 'OUTBOUND', 'INCERTO', 'out.' || n, ('a0000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 1) $$;
CREATE VIEW runs AS SELECT right(id::text, 2) AS n, lead_id, status, next_step_ordem AS step FROM lead_cadence_runs ORDER BY id;
CREATE VIEW messages AS SELECT lead_id, direcao, estado, whatsapp_message_id AS message_id FROM lead_messages ORDER BY created_at, whatsapp_message_id;
CREATE FUNCTION tell(body text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s int;
BEGIN
    SELECT r.status INTO s FROM cadence_receive('regress_zap', 'POST', '{"Authorization": "Bearer senha"}', '', convert_to(body, 'UTF8')) AS r;
    RETURN concat_ws(' ', s, (SELECT nullif(string_agg(motivo, '; '), '') FROM cadence_rejected));
END $$;

-- held since nobody knows whether it arrived: a receipt says so, and it goes on
SELECT uncertain(1, 'ana', true), uncertain(2, 'bia', true);
SELECT cadence_delivery('regress_zap', 'out.1', 'delivered');
SELECT * FROM runs;
-- who answers has got it, and gets no more; what is told of the message later starts nothing
SELECT cadence_inbound('+5531987651111', 'Quem é?', 'in.1', server => 'regress_zap');
SELECT * FROM runs;
SELECT cadence_delivery('regress_zap', 'out.2', 'read');
SELECT * FROM runs;
SELECT * FROM messages;
DELETE FROM lead_messages;
DELETE FROM lead_cadence_runs;

-- paused by somebody while nobody knew: what is known now does not resume it
SELECT uncertain(1, 'ana', false), uncertain(2, 'bia', false);
SELECT cadence_pause('a0000000-0000-0000-0000-000000000001'), cadence_pause('a0000000-0000-0000-0000-000000000002');
SELECT cadence_delivery('regress_zap', 'out.1', 'delivered'), cadence_delivery('regress_zap', 'out.2', 'failed', code => '1', error => 'no');
SELECT * FROM runs;
SELECT * FROM messages;
DELETE FROM lead_messages;
DELETE FROM lead_cadence_runs;

-- leads that share a number are one person, whichever of them an answer quotes
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('ana-2', 'BLUE', '11987654321');
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, whatsapp_message_id) VALUES ('ana', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'ENVIADO', 'out.9');
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT l, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() + interval '1 day' FROM unnest(ARRAY['ana', 'ana-2']) AS l;
SELECT tell('{"event": "message", "id": "in.2", "phone": "+5511987654321", "quotes": "out.9", "text": "Sim"}');
SELECT lead_id, status FROM lead_cadence_runs ORDER BY 1;
DELETE FROM lead_messages;
DELETE FROM lead_cadence_runs;

-- what was wanted before is not what is wanted now
SELECT tell('{"event": "opt_out", "phone": "+5531987651111", "time": "2026-05-01T12:00:00Z"}');
SELECT tell('{"event": "opt_in", "phone": "+5531987651111", "time": "2026-05-01T11:00:00Z"}');
SELECT lead_id, canal, em AT TIME ZONE 'UTC' AS em FROM contact_opt_outs;
SELECT tell('{"event": "opt_in", "phone": "+5531987651111", "time": "2026-05-01T13:00:00Z"}');
SELECT count(*) FROM contact_opt_outs;

-- another's row of the same message does not stand for what it says
CREATE UNIQUE INDEX once ON lead_messages (whatsapp_message_id);
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, whatsapp_message_id, recebido_em) VALUES ('bia', 'BLUE', 'WHATSAPP', 'INBOUND', 'in.3', now());
SELECT cadence_inbound('+5531987651111', 'Sair', 'in.3', server => 'regress_zap');
SELECT lead_id, canal FROM contact_opt_outs;
DROP INDEX once;

-- of nobody who is known, what must not get lost is kept, and taken once somebody is
SELECT tell('[{"event": "bounce", "email": "new@example.com", "channel": "EMAIL"}, {"event": "receipt", "id": "soon", "state": "failed"}, {"event": "receipt", "id": "later", "state": "delivered"}]');
INSERT INTO lead_contacts (lead_id, empresa, email) VALUES ('new', 'BLUE', 'new@example.com');
SELECT cadence_rejected_retry();
SELECT endereco, canal FROM cadence_dead_addresses;
-- but not for another company
SELECT tell('{"event": "bounce", "email": "other@example.com", "channel": "EMAIL"}');
ALTER SERVER regress_zap OPTIONS (SET empresa 'GOLD');
INSERT INTO lead_contacts (lead_id, empresa, email) VALUES ('other', 'GOLD', 'other@example.com');
SELECT cadence_rejected_retry();
SELECT motivo FROM cadence_rejected ORDER BY em;
-- an opt-out or a complaint of nobody is in the blocklist, until the same server takes it back
ALTER SERVER regress_zap OPTIONS (SET empresa 'BLUE');
TRUNCATE cadence_rejected;
SELECT tell('[{"event": "opt_out", "phone": "+5521955551111"}, {"event": "opt_out", "phone": "+5521988882222"}, {"event": "complaint", "email": "Zoe@example.com", "channel": "EMAIL"}, {"event": "opt_out", "id": "unknown"}]');
SELECT kind, reason, source FROM cadence_blocklist ORDER BY kind, reason;
SELECT cadence_block('email', 'zoe@example.com', empresa => 'BLUE') AS new;
SELECT tell('[{"event": "opt_in", "phone": "+5521955551111", "time": "2026-01-01T00:00:00Z"}]');
SELECT count(*) FROM cadence_blocklist;
SELECT tell('[{"event": "opt_in", "phone": "+5521955551111", "time": "2100-01-01"}, {"event": "opt_in", "phone": "+552188882222", "time": "2100-01-01"}]');
SELECT kind, reason, source FROM cadence_blocklist ORDER BY kind, reason;

RESET search_path;
DROP SERVER regress_zap CASCADE;
DROP EXTENSION cadence_runner CASCADE;
DROP SCHEMA cadence CASCADE;
