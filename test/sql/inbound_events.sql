--
-- What webhooks tell beside answers and receipts, as cadence_receive() takes it: who has written
-- by hand, who wants no more, what has bounced, senders, and other names of a person.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', url 'http://127.0.0.1:1/');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', empresa 'BLUE', url 'http://127.0.0.1:1/');
CREATE SERVER regress_meta FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', protocol 'd360');
CREATE SERVER regress_evo FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', protocol 'evolution', url 'http://127.0.0.1:1/', instance 'i');
CREATE SERVER regress_evo1 FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', protocol 'evolution_v1', url 'http://127.0.0.1:1/', instance 'i');
CREATE SERVER regress_twilio FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', protocol 'twilio', account_sid 'AC1', "from" 'whatsapp:+15005550006');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_zap OPTIONS (webhook_token 'senha');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_mail OPTIONS (webhook_token 'senha');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_meta OPTIONS (api_key 'k', webhook_secret 'senha');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_evo OPTIONS (apikey 'k', webhook_secret 'senha');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_evo1 OPTIONS (apikey 'k', path_secret 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_twilio OPTIONS (auth_token 't', path_secret 'tttttttttttttttttttttttttttttttt');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA'), ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'MAIL');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo, parar_se_responder) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA', true), ('c0000000-0000-0000-0000-000000000001', 2, 'WHATSAPP', 'OLA', true),
    ('c0000000-0000-0000-0000-000000000002', 1, 'EMAIL', 'OLA', true);
INSERT INTO lead_contacts (lead_id, empresa, telefone, email) VALUES ('ana', 'BLUE', '(11) 98765-4321', 'Ana@Example.com'), ('bia', 'BLUE', '(31) 98765-1111', NULL);
CREATE FUNCTION run(n int, lead text, cadence int) RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
    VALUES (('a0000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, lead, 'BLUE', ('c0000000-0000-0000-0000-' || lpad(cadence::text, 12, '0'))::uuid, 1, now() + interval '1 day')
    RETURNING id $$;
CREATE VIEW runs AS SELECT right(id::text, 2) AS n, lead_id, status, next_step_ordem AS step, claim_id IS NOT NULL AS claimed FROM lead_cadence_runs ORDER BY id;
CREATE VIEW events AS SELECT right(lead_cadence_run_id::text, 2) AS n, step_ordem AS step, tipo_evento AS tipo, detalhes - 'mensagem' AS detalhes FROM lead_cadence_events ORDER BY created_at, id;
CREATE VIEW messages AS SELECT lead_id, canal, direcao, conteudo, estado, coalesce(whatsapp_message_id, email_message_id) AS message_id, entregue_em IS NOT NULL AS entregue, erro_detalhe AS erro FROM lead_messages ORDER BY created_at, conteudo;
-- the answer's status, and how many events were rejected
CREATE FUNCTION tell(server text, body text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s int;
BEGIN
    SELECT r.status INTO s FROM cadence_receive(server, 'POST', '{"Authorization": "Bearer senha"}', '', convert_to(body, 'UTF8')) AS r;
    RETURN concat_ws(' ', s, (SELECT nullif(string_agg(motivo, '; '), '') FROM cadence_rejected));
END $$;
CREATE FUNCTION start_over() RETURNS void LANGUAGE sql AS $$
    DELETE FROM lead_messages; DELETE FROM lead_cadence_runs; DELETE FROM contact_opt_outs; DELETE FROM cadence_dead_addresses; DELETE FROM cadence_rejected; $$;

-- written by hand; what we have sent ourselves, and what is under way, is not
SELECT run(1, 'ana', 1), run(2, 'bia', 1);
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, whatsapp_message_id) VALUES ('ana', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'Oi', 'ENVIADO', 'out.1');
SELECT tell('regress_zap', '{"event": "echo", "id": "out.1", "phone": "+5511987654321", "text": "Oi"}');
SELECT * FROM runs;
UPDATE lead_cadence_runs SET claim_id = gen_random_uuid(), attempts = 1 WHERE lead_id = 'bia';
SELECT tell('regress_zap', '[{"event": "echo", "id": "hand.1", "phone": "+5511987654321", "text": "Aqui é o João"}, {"event": "echo", "id": "out.2", "phone": "+5531987651111", "text": "Oi"}]');
SELECT tell('regress_zap', '{"event": "echo", "id": "hand.1", "phone": "+5511987654321", "text": "Aqui é o João"}');
SELECT * FROM runs;
SELECT * FROM events;
SELECT * FROM messages;
SELECT cadence_resume('a0000000-0000-0000-0000-000000000001');
SELECT * FROM runs;
SELECT start_over();

-- who wants no more, and wants again
SELECT run(1, 'ana', 1), run(2, 'ana', 2);
SELECT tell('regress_zap', '{"event": "opt_out", "phone": "+551187654321", "text": "bloqueou"}');
SELECT lead_id, canal, categoria, motivo, origem FROM contact_opt_outs;
SELECT * FROM runs;
-- one that does not say when it was takes nothing back: it may have been told before
SELECT tell('regress_zap', '{"event": "opt_in", "phone": "+551187654321"}');
DELETE FROM cadence_rejected;
SELECT tell('regress_zap', '{"event": "opt_in", "phone": "+551187654321", "time": "2025-01-01"}');
SELECT count(*) FROM contact_opt_outs;
SELECT tell('regress_zap', '{"event": "opt_in", "phone": "+551187654321", "time": "2100-01-01"}');
SELECT count(*) FROM contact_opt_outs;
-- what Twilio has understood of an answer; told again it takes nothing back
CREATE FUNCTION twilio(id text, meant text, said text, who text DEFAULT '5511987654321') RETURNS text LANGUAGE sql AS $$
    SELECT status::text FROM cadence_receive('regress_twilio', 'POST', '{}', '', convert_to(format('MessageSid=%s&OptOutType=%s&SmsStatus=received&From=whatsapp%%3A%%2B%s&Body=%s', id, meant, who, said), 'UTF8'), repeat('t', 32)) $$;
SELECT start_over();
SELECT twilio('SM1', 'START', 'sim'), run(1, 'ana', 1);
SELECT twilio('SM2', 'STOP', 'chega'), twilio('SM1', 'START', 'sim');
SELECT lead_id, canal, motivo FROM contact_opt_outs;
SELECT * FROM runs;
SELECT twilio('SM3', 'START', 'sim');
SELECT count(*) FROM contact_opt_outs;
SELECT run(2, 'ana', 1);
SELECT twilio('SM4', 'HELP', 'info');
SELECT * FROM runs;
SELECT conteudo, message_id FROM messages;
-- of nobody
SELECT twilio('SM5', 'STOP', 'stop', '5521999990000'), twilio('SM6', 'START', 'start', '5521999990000');
SELECT kind, reason, source FROM cadence_blocklist;
DELETE FROM cadence_blocklist;
-- Meta's switch for marketing alone stops no run before its step
SELECT start_over();
SELECT run(1, 'ana', 1);
CREATE FUNCTION meta(field text, value text) RETURNS text LANGUAGE sql AS $$
    SELECT tell('regress_meta', format('{"entry": [{"changes": [{"field": "%s", "value": {"messaging_product": "whatsapp", %s}}]}]}', field, value)) $$;
SELECT meta('user_preferences', '"user_preferences": [{"wa_id": "5511987654321", "detail": "stop", "category": "marketing_messages", "value": "stop", "timestamp": 1731705721}]');
SELECT lead_id, canal, categoria, motivo FROM contact_opt_outs;
SELECT * FROM runs;
SELECT meta('user_preferences', '"user_preferences": [{"wa_id": "5511987654321", "category": "marketing_messages", "value": "resume", "timestamp": 1731705721}]');
SELECT count(*) FROM contact_opt_outs;

-- a failure that comes late goes by the protocol's rules
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, whatsapp_message_id, run_id, step_ordem) VALUES
    ('ana', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'ENVIADO', 'm.1', 'a0000000-0000-0000-0000-000000000001', 1), ('bia', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'ENVIADO', 'm.2', NULL, NULL);
CREATE FUNCTION fails(id text, phone text, code int) RETURNS text LANGUAGE sql AS $$
    SELECT meta('messages', format('"statuses": [{"id": "%s", "recipient_id": "%s", "status": "failed", "timestamp": "1731705721", "errors": [{"code": %s, "title": "no"}]}]', id, phone, code)) $$;
SELECT fails('m.1', '551187654321', 131050), fails('m.1', '551187654321', 131050), fails('m.2', '553187651111', 190);
SELECT * FROM messages;
SELECT lead_id, canal, motivo FROM contact_opt_outs;
SELECT * FROM runs;
SELECT * FROM events;
SELECT server, open_since IS NOT NULL AS open, open_until > now() + interval '30 s' AS until, open_reason, openings FROM cadence_provider_state;

-- senders
SELECT tell('regress_zap', '{"event": "sender", "state": "disconnected", "error": "logged out"}'), tell('regress_meta', '{}') IS NOT NULL;
SELECT server, open_since IS NOT NULL AS open, open_reason FROM cadence_provider_state ORDER BY server;
SELECT tell('regress_zap', '[{"event": "sender", "state": "quality", "code": "RED"}, {"event": "sender", "state": "connected"}]') IS NOT NULL;
SELECT server, open_since IS NOT NULL AS open, open_reason FROM cadence_provider_state ORDER BY server;
SELECT tell('regress_zap', '{"event": "sender", "state": "banned"}') IS NOT NULL;
SELECT server, open_until > now() + interval '20 min' AS long, open_reason FROM cadence_provider_state WHERE server = 'regress_zap';
-- by what is older it is not opened again, however late it is told
SELECT tell('regress_zap', '{"event": "sender", "state": "connected", "time": "2025-01-01"}') IS NOT NULL;
SELECT open_reason FROM cadence_provider_state WHERE server = 'regress_zap';
SELECT tell('regress_zap', '{"event": "sender", "state": "connected", "time": "2100-01-01"}') IS NOT NULL;
SELECT open_reason FROM cadence_provider_state WHERE server = 'regress_zap';
SELECT start_over();

-- mails that come back, and those who call them spam
SELECT run(1, 'ana', 2);
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, email_message_id) VALUES ('ana', 'BLUE', 'EMAIL', 'OUTBOUND', 'ENVIADO', 'mail.1'), ('ana', 'BLUE', 'EMAIL', 'OUTBOUND', 'ENVIADO', 'mail.2'), ('ana', 'BLUE', 'EMAIL', 'OUTBOUND', 'ENVIADO', 'mail.3');
SELECT tell('regress_mail', '[{"event": "bounce", "id": "mail.1", "state": "soft", "error": "full"}, {"event": "bounce", "id": "mail.2", "error": "no such user"}, {"event": "bounce", "email": "nobody@example.com"}]');
SELECT endereco, canal, empresa, motivo, servidor FROM cadence_dead_addresses;
SELECT tell('regress_mail', '{"event": "complaint", "id": "mail.3"}');
SELECT lead_id, canal, motivo FROM contact_opt_outs;
SELECT * FROM runs;
SELECT message_id, estado, entregue, erro FROM messages ORDER BY message_id;
SELECT start_over();

-- other names: one that came with a known number, one that replaces another
SELECT run(1, 'ana', 1);
SELECT tell('regress_evo', '{"event": "messages.upsert", "instance": "i", "data": {"key": {"remoteJid": "103899771998284@lid", "remoteJidAlt": "551187654321@s.whatsapp.net", "fromMe": false, "id": "3A1"}, "message": {"conversation": "Pode ligar"}, "messageTimestamp": 1753619674}}');
SELECT lead_id, kind, value, source FROM lead_identities;
SELECT tell('regress_evo', '{"event": "messages.upsert", "instance": "i", "data": {"key": {"remoteJid": "103899771998284@lid", "fromMe": false, "id": "3A2"}, "message": {"conversation": "Alô?"}, "messageTimestamp": 1753619675}}');
SELECT tell('regress_zap', '[{"event": "identity", "old": "+5511987654321", "new": "+5548988887777"}, {"event": "identity", "old": "+5521999990000", "new": "+5548988887777"}]');
SELECT tell('regress_zap', '{"event": "message", "id": "new.1", "phone": "+554888887777", "text": "Número novo"}');
SELECT lead_id, kind, value, source FROM lead_identities ORDER BY kind, value;
SELECT lead_id, conteudo, message_id FROM messages;
-- a group, a reaction and the like are nobody's answer
SELECT run(2, 'bia', 1);
SELECT tell('regress_evo', '{"event": "messages.upsert", "instance": "i", "data": {"key": {"remoteJid": "120363@g.us", "participant": "5531987651111@s.whatsapp.net", "fromMe": false, "id": "3A3"}, "message": {"conversation": "Oi grupo"}, "messageTimestamp": 1753619674}}') IS NOT NULL,
    meta('messages', '"messages": [{"from": "5531987651111", "id": "r.1", "timestamp": "1731705721", "type": "reaction", "reaction": {"message_id": "x", "emoji": "👍"}}]') IS NOT NULL;
SELECT * FROM runs;

-- the address is the secret, and the event's name may follow it; the body repeats the address
CREATE FUNCTION evo(path text, body text) RETURNS int LANGUAGE sql AS $$
    SELECT status FROM cadence_receive('regress_evo1', 'POST', '{}', '', convert_to(body, 'UTF8'), path) $$;
SELECT start_over();
SELECT evo(repeat('e', 32) || '/coisa-nova', format('{"event": "coisa.nova", "instance": "i", "destination": "https://crm.example/%s/coisa-nova", "apikey": "k"}', repeat('e', 32)));
SELECT motivo, elemento FROM cadence_rejected;
SELECT evo(p, '{}') FROM unnest(ARRAY[repeat('e', 32) || 'x', repeat('e', 31) || '/e', repeat('e', 31), '/' || repeat('e', 32), repeat('x', 32) || '/' || repeat('e', 32), '']) AS p;
-- of another instance: that nobody has here, that is another company's, for which the call proves nothing, or something, and that is the same company's
CREATE FUNCTION suporte() RETURNS TABLE (status int, who text, server text, motivo text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM start_over();
    SELECT evo(repeat('e', 32) || '/', '{"event": "messages.upsert", "instance": "suporte", "data": {"key": {"remoteJid": "5531987651111@s.whatsapp.net", "fromMe": false, "id": "3A4"}, "message": {"conversation": "SAIR"}}}') INTO status;
    RETURN QUERY SELECT suporte.status, m.lead_id || ' ' || m.empresa, o.origem, NULL FROM lead_messages m LEFT JOIN contact_opt_outs o USING (lead_id)
        UNION ALL SELECT suporte.status, NULL, r.server, r.motivo FROM cadence_rejected r;
END $$;
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('rui', 'RED', '(31) 98765-1111');
SELECT * FROM suporte();
CREATE SERVER regress_evo2 FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'RED', protocol 'evolution_v1', url 'http://127.0.0.1:1/', instance 'suporte');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_evo2 OPTIONS (apikey 'k', path_secret 'ffffffffffffffffffffffffffffffff');
SELECT * FROM suporte();
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_evo2 OPTIONS (SET path_secret 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee');
SELECT * FROM suporte();
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_evo2 OPTIONS (SET path_secret 'ffffffffffffffffffffffffffffffff');
ALTER SERVER regress_evo2 OPTIONS (SET empresa 'BLUE');
SELECT * FROM suporte();
DELETE FROM lead_contacts WHERE lead_id = 'rui';

-- who is named by WhatsApp alone is not among the messages, where nobody could tell later who it was
SELECT start_over();
ALTER TABLE lead_messages ALTER lead_id DROP NOT NULL;
SELECT evo(repeat('e', 32), '{"event": "messages.upsert", "instance": "i", "data": {"key": {"remoteJid": "5521999990000@s.whatsapp.net", "fromMe": false, "id": "3A5"}, "message": {"conversation": "Oi"}}}'),
    evo(repeat('e', 32), '{"event": "messages.upsert", "instance": "i", "data": {"key": {"remoteJid": "777@lid", "fromMe": false, "id": "3A6"}, "message": {"conversation": "SAIR"}}}');
SELECT lead_id, conteudo FROM messages;
SELECT motivo, evento ->> 'lid' AS lid FROM cadence_rejected;
INSERT INTO lead_identities (lead_id, empresa, kind, value) VALUES ('bia', 'BLUE', 'wa_lid', '777@lid');
SELECT cadence_rejected_retry();
SELECT lead_id, conteudo FROM messages;
SELECT lead_id, motivo FROM contact_opt_outs;

RESET search_path;
DROP SERVER regress_zap, regress_mail, regress_meta, regress_evo, regress_evo1, regress_evo2, regress_twilio CASCADE;
DROP EXTENSION cadence_runner CASCADE;
DROP SCHEMA cadence CASCADE;
