--
-- What comes back later: soft bounces, late failures that are sent again, echoes that pause nothing,
-- states that only go forward, and what health says of what was not taken.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', protocol 'whatsapp_cloud', phone_number_id '1', on_echo 'ignore', on_late_failure 'resend');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', empresa 'BLUE', url 'http://127.0.0.1:1/');
CREATE USER MAPPING FOR PUBLIC SERVER regress_zap OPTIONS (path_secret 'a secret of at least thirty-two characters');
CREATE USER MAPPING FOR PUBLIC SERVER regress_mail OPTIONS (path_secret 'a secret of at least thirty-two characters');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA'), ('c0000000-0000-0000-0000-000000000001', 2, 'WHATSAPP', 'OLA');
INSERT INTO lead_contacts (lead_id, empresa, telefone, email) VALUES ('ana', 'BLUE', '11987654321', 'Ana@Example.com'), ('bia', 'BLUE', '31987651111', 'bia@example.com');
CREATE FUNCTION tell(server text, VARIADIC events jsonb[]) RETURNS int LANGUAGE sql AS $$
    SELECT status FROM cadence_receive(server, 'POST', '{}', '', convert_to(to_jsonb(events)::text, 'UTF8'), 'a secret of at least thirty-two characters') $$;
CREATE FUNCTION mail(n int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, email_message_id, enviado_em) VALUES ('ana', 'BLUE', 'EMAIL', 'OUTBOUND', 'ENVIADO', 'mail.' || n, now()) $$;
CREATE FUNCTION soft(n int) RETURNS int LANGUAGE sql AS $$ SELECT tell('regress_mail', jsonb_build_object('event', 'bounce', 'state', 'soft', 'id', 'mail.' || n, 'error', 'mailbox full')) $$;

-- receipts that come before their message: kept while somebody sends, and taken by later calls of the session
SELECT tell('regress_mail', '{"event": "receipt", "id": "early.0", "state": "delivered"}');
SELECT count(*) AS kept FROM cadence_rejected;
INSERT INTO cadence_claims (claim_id, lease_end) VALUES (gen_random_uuid(), now() + interval '1 hour');
SELECT tell('regress_mail', '{"event": "receipt", "id": "early.1", "state": "sent"}', '{"event": "receipt", "id": "early.1", "state": "delivered"}',
    '{"event": "receipt", "id": "early.2", "state": "read"}', '{"event": "receipt", "id": "early.3", "state": "failed", "code": "5.0.0"}');
SELECT motivo, evento ->> 'id' AS id, evento ->> 'told' AS told FROM cadence_rejected ORDER BY 2;
SELECT reason FROM cadence_health() AS h, unnest(h.reasons) AS reason WHERE reason ~ 'receipts';
DELETE FROM cadence_claims;
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, email_message_id, enviado_em) VALUES ('ana', 'BLUE', 'EMAIL', 'OUTBOUND', 'ENVIADO', 'early.1', now());
UPDATE cadence_rejected SET em = em - interval '11 minutes' WHERE evento ->> 'id' IN ('early.2', 'early.3');
DO $$ BEGIN
    FOR i IN 1 .. 100000 LOOP
        PERFORM tell('regress_mail', '{"event": "receipt", "id": "early.1", "state": "sent"}');
        EXIT WHEN (SELECT count(*) = 1 FROM cadence_rejected);
    END LOOP;
END $$;
SELECT email_message_id, estado FROM lead_messages;
-- what was expected for too long was nobody's; a failure stays
SELECT motivo, evento ->> 'id' AS id FROM cadence_rejected;
SELECT count(*) AS reasons FROM cadence_health() AS h, unnest(h.reasons) AS reason WHERE reason ~ 'receipts';
DELETE FROM cadence_rejected;
DELETE FROM lead_messages;

-- soft bounces: each mail once, in a row, and dead after five
SELECT count(mail(n)) FROM generate_series(1, 12) AS n;
SELECT soft(1), soft(1), soft(2), soft(3), soft(4);
SELECT endereco, canal, empresa, motivo, servidor, devolucoes FROM cadence_dead_addresses;
-- one that arrives in between, and they are counted from the start
SELECT cadence_delivery('regress_mail', 'mail.5', 'read');
SELECT count(*) FROM cadence_dead_addresses;
SELECT soft(6), soft(7), soft(8), soft(9);
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at) VALUES ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now());
UPDATE cadence_steps SET canal = 'EMAIL' WHERE ordem = 1;
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Ola');
SELECT p -> 'codigo' AS codigo, p -> 'destinatario' AS destinatario FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p;
SELECT soft(10);
SELECT endereco, devolucoes FROM cadence_dead_addresses;
SELECT p -> 'codigo' AS codigo, p -> 'destinatario' AS destinatario FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p;
-- a hard one is dead at once, counted or not
SELECT cadence_delivery('regress_mail', 'mail.11', 'delivered');
SELECT soft(12), tell('regress_mail', '{"event": "bounce", "email": "ANA@example.com", "error": "no such mailbox"}');
SELECT endereco, motivo, devolucoes FROM cadence_dead_addresses;
DELETE FROM cadence_dead_addresses;
DELETE FROM lead_cadence_runs;
UPDATE cadence_steps SET canal = 'WHATSAPP' WHERE ordem = 1;

-- a message that has failed late is sent again: once
CREATE FUNCTION late(status text, last int, next int) RETURNS void LANGUAGE sql AS $$
    TRUNCATE lead_cadence_events, lead_messages; DELETE FROM lead_cadence_runs;
    INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, last_step_ordem, next_step_ordem, next_run_at)
    VALUES ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', status, last, next, CASE status WHEN 'ATIVA' THEN now() + interval '1 day' END);
    INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, whatsapp_message_id, enviado_em, run_id, step_ordem)
    VALUES ('ana', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'ENVIADO', 'out.1', now() - interval '1 minute', 'a0000000-0000-0000-0000-000000000001', 1) $$;
CREATE FUNCTION fail(id text DEFAULT 'out.1') RETURNS text LANGUAGE sql AS $$ SELECT cadence_delivery('regress_zap', id, 'failed', code => '131000', error => 'broken') $$;
CREATE VIEW run AS SELECT status, last_step_ordem AS last, next_step_ordem AS next, attempts, round(extract(epoch FROM next_run_at - now()) / 60) AS minutes,
    (SELECT string_agg(tipo_evento || ' ' || coalesce(e.detalhes ->> 'decidido', e.detalhes ->> 'codigo'), ', ' ORDER BY e.created_at, e.id) FROM lead_cadence_events e) AS events FROM lead_cadence_runs;
SELECT late('ATIVA', 1, 2);
SELECT fail(), fail();
SELECT * FROM run;
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, whatsapp_message_id, enviado_em, run_id, step_ordem) VALUES ('ana', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'ENVIADO', 'out.2', now(), 'a0000000-0000-0000-0000-000000000001', 1);
UPDATE lead_cadence_runs SET next_step_ordem = 2, next_run_at = now() + interval '1 day';
SELECT fail('out.2');
SELECT * FROM run;
-- not if it arrives after all: the run goes on as if it had not failed
CREATE FUNCTION arrive(state text DEFAULT 'delivered') RETURNS text LANGUAGE sql AS $$ SELECT cadence_delivery('regress_zap', 'out.1', state) $$;
SELECT late('ATIVA', 1, 2);
UPDATE cadence_steps SET offset_minutos = 90 WHERE ordem = 2;
SELECT fail(), arrive(), fail(), arrive();
SELECT * FROM run;
SELECT late('ATIVA', 1, 2);
SELECT arrive(), fail();
SELECT * FROM run;
-- whatever has become of the second attempt, if it was not sent for certain, and nobody is at it
SELECT late('ATIVA', 1, 2);
SELECT fail();
UPDATE lead_cadence_runs SET claim_id = gen_random_uuid(), attempts = 1;
SELECT arrive();
SELECT status, next, attempts FROM run;
UPDATE lead_cadence_runs SET claim_id = NULL, status = 'PAUSADA';
SELECT arrive('read');
SELECT status, last, next, attempts, minutes FROM run;
SELECT late('ATIVA', 1, 2);
SELECT fail();
UPDATE lead_cadence_runs SET attempts = 1;
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes) VALUES ('a0000000-0000-0000-0000-000000000001', 1, 'ERRO', '{"codigo": "INCERTO", "provedor": "regress_zap"}');
SELECT arrive();
SELECT status, next, attempts FROM run;
-- nor is one that somebody has sent back by hand moved on
SELECT late('ATIVA', 1, 1);
SELECT arrive();
SELECT status, next FROM run;
-- nor is the last step's sent again
SELECT late('CONCLUIDA', 2, NULL);
UPDATE lead_messages SET step_ordem = 2;
SELECT fail(), arrive();
SELECT * FROM run;
-- what was the last step's and fails is, as well
SELECT late('CONCLUIDA', 1, NULL);
SELECT fail();
SELECT * FROM run;
-- not while another of that cadence is active, nor where something was sent since, is under way, or somebody has answered or stopped it
SELECT late('CONCLUIDA', 1, NULL);
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at) VALUES ('a0000000-0000-0000-0000-000000000002', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() + interval '1 day');
SELECT fail();
SELECT status, next FROM run ORDER BY 1;
SELECT late('ATIVA', 2, NULL);
SELECT fail();
SELECT status, next FROM run;
SELECT late('ATIVA', 1, 2);
UPDATE lead_cadence_runs SET claim_id = gen_random_uuid(), attempts = 1;
SELECT fail();
SELECT status, next FROM run;
SELECT late('CONCLUIDA', 1, NULL);
SELECT cadence_inbound('+5511987654321', 'Sim', 'in.1', server => 'regress_zap');
SELECT fail();
SELECT status, next FROM run;
SELECT late('PAUSADA', 1, 2);
SELECT fail();
SELECT status, next FROM run;
-- nor if another becomes active at that moment: what is known of the failure is kept
CREATE FUNCTION enrol() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO cadence.lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at) VALUES ('a0000000-0000-0000-0000-000000000003', NEW.lead_id, NEW.empresa, NEW.cadence_id, 1, now());
    RETURN NEW; END $$;
CREATE TRIGGER enrol BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW WHEN (OLD.status = 'CONCLUIDA') EXECUTE FUNCTION enrol();
SELECT late('CONCLUIDA', 1, NULL);
SELECT fail();
SELECT status, next, events FROM run;
SELECT estado, erro_detalhe FROM lead_messages;
DROP TRIGGER enrol ON lead_cadence_runs;
-- but what else is refused is the event's error
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE unique_violation USING MESSAGE = 'not this one'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT late('CONCLUIDA', 1, NULL);
SELECT fail();
SELECT estado, erro_detalhe FROM lead_messages;
DROP TRIGGER refuse ON lead_cadence_runs;
-- nor one that somebody has ended before its last step
SELECT late('CONCLUIDA', 1, 2);
SELECT fail();
SELECT status, last, next FROM run;
-- nor where somebody has written by hand since, unless the server says that this does not count
CREATE FUNCTION by_hand(age interval) RETURNS void LANGUAGE sql AS $$
    INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, enviado_em) VALUES ('ana', 'BLUE', 'EMAIL', 'OUTBOUND', 'ENVIADO', now() - age) $$;
ALTER SERVER regress_zap OPTIONS (SET on_echo 'pause');
SELECT late('CONCLUIDA', 1, NULL), by_hand('30 s');
SELECT fail();
SELECT status, next FROM run;
SELECT late('CONCLUIDA', 1, NULL), by_hand('1 h');
SELECT fail();
SELECT status, next FROM run;
ALTER SERVER regress_zap OPTIONS (SET on_echo 'ignore');
SELECT late('CONCLUIDA', 1, NULL), by_hand('30 s');
SELECT fail();
SELECT status, next FROM run;
-- who answers before it is sent again has answered what was sent: the step after it counts
UPDATE cadence_steps SET parar_se_responder = false WHERE ordem = 1;
SELECT late('ATIVA', 1, 2);
SELECT fail(), cadence_inbound('+5511987654321', 'Sim', 'in.2', server => 'regress_zap');
SELECT * FROM run;
UPDATE cadence_steps SET parar_se_responder = true WHERE ordem = 1;
-- nor where the server does not say so
ALTER SERVER regress_zap OPTIONS (SET on_late_failure 'keep');
SELECT late('ATIVA', 1, 2);
SELECT fail();
SELECT * FROM run;
-- nor what is no failure of the moment
ALTER SERVER regress_zap OPTIONS (SET on_late_failure 'resend');
SELECT late('ATIVA', 1, 2);
SELECT cadence_delivery('regress_zap', 'out.1', 'failed', code => '131008', error => 'a parameter is missing');
SELECT * FROM run;

-- who writes by hand pauses nothing where the server says so
ALTER SERVER regress_zap OPTIONS (SET protocol 'webhook', DROP phone_number_id, ADD url 'http://127.0.0.1:1/');
SELECT late('ATIVA', NULL, 1);
SELECT tell('regress_zap', '{"event": "echo", "id": "hand.1", "phone": "+5511987654321", "text": "Oi"}');
SELECT status, (SELECT count(*) FROM lead_messages WHERE conteudo = 'Oi') AS kept FROM run;
ALTER SERVER regress_zap OPTIONS (SET on_echo 'pause');
SELECT tell('regress_zap', '{"event": "echo", "id": "hand.2", "phone": "+5511987654321", "text": "Oi"}');
SELECT status FROM run;
ALTER SERVER regress_zap OPTIONS (SET on_echo 'shout');
ALTER SERVER regress_zap OPTIONS (SET on_late_failure 'shout');

-- mailboxes are the same in any case
SELECT tell('regress_mail', '{"event": "identity", "email": "ana@EXAMPLE.com", "old": "ana@example.com", "new": "Ana.New@Example.COM"}');
SELECT lead_id, kind, value FROM lead_identities;
SELECT cadence_inbound('ANA.NEW@example.com', 'Oi', 'm.1', server => 'regress_mail');
SELECT tell('regress_mail', '{"event": "identity", "old": "ANA.new@Example.com", "new": "last@Example.COM"}');
SELECT lead_id, kind, value FROM lead_identities ORDER BY value;
-- also in what somebody has mended by hand
SELECT tell('regress_mail', '{"event": "identity", "old": "caio@example.com", "new": "caio@example.org"}');
UPDATE cadence_rejected SET evento = replace(replace(evento::text, 'caio@example.com', 'ANA.New@example.com'), 'caio@example.org', 'Ana@Example.ORG')::jsonb;
SELECT cadence_rejected_retry();
SELECT lead_id, kind, value FROM lead_identities ORDER BY value;

-- what was not taken
SELECT rejected, last_rejected IS NOT NULL AS last, unmatched FROM cadence_runner_status();
SELECT r FROM cadence_health() AS h, unnest(h.reasons) AS r WHERE r LIKE '%rejected%';
SELECT tell('regress_mail', '{"event": "dance"}', '{"event": "message", "id": "s.1", "email": "nobody@example.com", "text": "Oi"}');
SELECT rejected, last_rejected = (SELECT max(em) FROM cadence_rejected) AS last, unmatched FROM cadence_runner_status();
SELECT regexp_replace(r, '\d{4}-\d\d-\d\d \S+', 'TIME') FROM cadence_health() AS h, unnest(h.reasons) AS r WHERE r LIKE '%rejected%';
ALTER TABLE lead_messages ALTER lead_id DROP NOT NULL;
SELECT tell('regress_mail', '{"event": "message", "id": "s.2", "email": "nobody@example.com", "text": "Oi"}');
SELECT rejected, unmatched FROM cadence_runner_status();
UPDATE cadence_rejected SET em = em - interval '2 hours';
SELECT r FROM cadence_health() AS h, unnest(h.reasons) AS r WHERE r LIKE '%rejected%';
UPDATE cadence_rejected SET em = em - interval '1 day';
SELECT rejected, unmatched FROM cadence_runner_status();

RESET search_path;
DROP SERVER regress_zap, regress_mail CASCADE;
DROP EXTENSION cadence_runner CASCADE;
DROP SCHEMA cadence CASCADE;
