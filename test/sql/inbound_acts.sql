--
-- What comes back, and what follows: answers, opt-outs, receipts, told by
-- cadence_inbound() and cadence_delivery().
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_webhook;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', url 'http://127.0.0.1:1/');
CREATE SERVER regress_gold FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'GOLD', url 'http://127.0.0.1:1/');
CREATE SERVER regress_any FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', empresa 'BLUE', url 'http://127.0.0.1:1/');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA'), ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'MAIL'),
    ('c0000000-0000-0000-0000-000000000003', 'GOLD', 'OUTRA');
-- the second step of UMA is sent whatever was answered
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo, parar_se_responder) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'whatsapp', 'OLA', true), ('c0000000-0000-0000-0000-000000000001', 2, 'EMAIL', 'OLA', false),
    ('c0000000-0000-0000-0000-000000000001', 3, 'WHATSAPP', 'OLA', true), ('c0000000-0000-0000-0000-000000000002', 1, 'EMAIL', 'OLA', false),
    ('c0000000-0000-0000-0000-000000000003', 1, 'WHATSAPP', 'OLA', true);
INSERT INTO lead_contacts (lead_id, empresa, telefone, email) VALUES
    ('ana', 'BLUE', '(11) 98765-4321', 'Ana@Example.com'), ('ana-gold', 'GOLD', '+55 11 98765 4321', NULL),
    ('bia', 'BLUE', '31 8765-1111', 'bia@example.com'), ('leo', 'BLUE', '55 11 3333-4444', NULL);
CREATE FUNCTION run(n int, lead text, empresa text, cadence int, step int) RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
    VALUES (('a0000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, lead, empresa, ('c0000000-0000-0000-0000-' || lpad(cadence::text, 12, '0'))::uuid, step, now() + interval '1 day')
    RETURNING id $$;
CREATE VIEW runs AS SELECT right(id::text, 2) AS n, lead_id, empresa, status, next_step_ordem AS step, next_run_at IS NOT NULL AS due, claim_id IS NOT NULL AS claimed FROM lead_cadence_runs ORDER BY id;
CREATE VIEW events AS SELECT right(lead_cadence_run_id::text, 2) AS n, step_ordem AS step, tipo_evento AS tipo, detalhes - 'mensagem' AS detalhes FROM lead_cadence_events ORDER BY lead_cadence_run_id, created_at, id;
CREATE VIEW messages AS SELECT lead_id, empresa, canal, direcao, conteudo, estado, coalesce(whatsapp_message_id, email_message_id, sms_message_id) AS message_id, right(run_id::text, 2) AS run,
    recebido_em, enviado_em, entregue_em, lido_em, erro_detalhe AS erro FROM lead_messages ORDER BY created_at, conteudo;
CREATE VIEW answers AS SELECT lead_id, empresa, canal, conteudo, message_id FROM messages WHERE direcao = 'INBOUND';
SET timezone = 'UTC';

-- an answer, told twice; the run of another company goes on
SELECT count(run(n, lead, empresa, cadence, step)) FROM (VALUES (1, 'ana', 'BLUE', 1, 1), (2, 'ana', 'BLUE', 2, 1), (3, 'ana-gold', 'GOLD', 3, 1), (4, 'bia', 'BLUE', 1, 1)) AS v(n, lead, empresa, cadence, step);
SELECT cadence_inbound('+5511987654321', 'Quero saber mais', 'wamid.1', '2026-05-01 12:00Z', 'regress_zap');
SELECT cadence_inbound('+5511987654321', 'Quero saber mais', 'wamid.1', '2026-05-01 12:00Z', 'regress_zap');
SELECT * FROM messages;
SELECT * FROM runs;
SELECT * FROM events;
-- its row is the one that the event names
SELECT count(*) FROM lead_cadence_events e JOIN lead_messages m ON m.id = (e.detalhes ->> 'mensagem')::uuid;
TRUNCATE lead_cadence_events, lead_messages;

-- with and without Brazil's ninth digit, both ways, and as a company's own number
SELECT cadence_inbound('+551187654321', 'a', 'n1', server => 'regress_zap') AS without, cadence_inbound('+5531987651111', 'b', 'n2', server => 'regress_zap') AS with,
    cadence_inbound('(31) 8765-1111', 'c', 'n3', server => 'regress_zap') AS local, cadence_inbound('+551133334444', 'd', 'n4', server => 'regress_zap') AS landline,
    cadence_inbound('+5511933334444', 'e', 'n5', server => 'regress_zap') AS other, cadence_inbound('+351912345678', 'f', 'n6', server => 'regress_zap') AS stranger;
SELECT * FROM answers;
SELECT * FROM runs;
-- and Mexico's 1 and Argentina's 9; whoever has none of our leads is blocked with and without
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('lupe', 'BLUE', '+52 55 1234 5678'), ('sol', 'BLUE', '+54 9 11 2345-6789');
SELECT cadence_inbound('+5215512345678', 'SAIR', 'n11', server => 'regress_zap') AS mexico, cadence_inbound('+541123456789', 'BAJA', 'n12', server => 'regress_zap') AS argentina,
    cadence_inbound('+5218112345678', 'BAJA', 'n13', server => 'regress_zap') AS stranger;
SELECT lead_id, canal, motivo FROM contact_opt_outs ORDER BY lead_id;
SELECT added, known FROM cadence_block_many('phone', ARRAY['+528112345678'], 'the same', empresa => 'BLUE');
DELETE FROM contact_opt_outs;
DELETE FROM cadence_blocklist;
DELETE FROM lead_contacts WHERE lead_id IN ('lupe', 'sol');
DELETE FROM lead_messages WHERE whatsapp_message_id IN ('n11', 'n12');
-- to a company by a channel; of a server for all companies, a number that two have is nobody's, and what answers a message is whose that was
SELECT cadence_inbound('+551187654321', 'a', 'n7', empresa => 'GOLD', canal => 'whatsapp') AS gold, cadence_inbound('+5511987654321', 'b', 'n8', server => 'regress_any') AS both,
    cadence_inbound('+5531987651111', 'c', 'n9', server => 'regress_any') AS one;
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, whatsapp_message_id, run_id, step_ordem) VALUES ('ana-gold', 'GOLD', 'WHATSAPP', 'OUTBOUND', 'ENVIADO', 'out.1', 'a0000000-0000-0000-0000-000000000003', 1);
SELECT cadence_inbound('+5511987654321', 'd', 'n10', server => 'regress_any', quotes => 'out.1') AS quoted;
SELECT * FROM answers WHERE message_id IN ('n7', 'n8', 'n9', 'n10');
SELECT * FROM runs;
TRUNCATE lead_cadence_events, lead_messages;
DELETE FROM lead_cadence_runs;

-- by mail, in any case; a machine's stops nothing
SELECT run(1, 'ana', 'BLUE', 1, 1);
SELECT cadence_inbound('ANA@example.COM', 'Estou de férias', 'm1', server => 'regress_mail', automatic => true);
SELECT * FROM answers;
SELECT * FROM runs;
SELECT cadence_inbound('ANA@example.COM', 'Voltei', 'm2', server => 'regress_mail');
SELECT * FROM runs;
-- the same id on another channel is another message, and so is one without an id
SELECT cadence_inbound('ana@example.com', 'Sim', server => 'regress_mail', message_id => 'm2') AS same, cadence_inbound('+5511987654321', 'Sim', 'm2', server => 'regress_zap') AS another,
    cadence_inbound('+5511987654321', 'Sim', NULL, server => 'regress_zap') AS none, cadence_inbound('+5511987654321', 'Sim', NULL, server => 'regress_zap') AS none_again,
    cadence_inbound('+5511987654321', 'Sim', NULL, '2026-05-01', 'regress_zap') AS timed, cadence_inbound('+5511987654321', 'Sim', NULL, '2026-05-01', 'regress_zap') AS timed_again;
TRUNCATE lead_cadence_events, lead_messages;
DELETE FROM lead_cadence_runs;

-- a step that is sent whatever was answered; and while it is under way, the one after it
SELECT run(1, 'ana', 'BLUE', 1, 2);
SELECT cadence_inbound('+5511987654321', 'Sim', 's1', server => 'regress_zap');
SELECT * FROM runs;
SELECT * FROM events;
UPDATE lead_cadence_runs SET claim_id = gen_random_uuid(), attempts = 1;
SELECT cadence_inbound('+5511987654321', 'Sim', 's2', server => 'regress_zap');
SELECT * FROM runs;
SELECT * FROM events;
TRUNCATE lead_cadence_events, lead_messages;
DELETE FROM lead_cadence_runs;

-- two leads of a company with one number are one person
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('ana-2', 'BLUE', '11987654321');
SELECT run(1, 'ana', 'BLUE', 1, 1), run(2, 'ana-2', 'BLUE', 1, 1);
SELECT cadence_inbound('+5511987654321', 'Sim', 't1', server => 'regress_zap');
SELECT count(*) FROM lead_messages;
SELECT * FROM runs;
TRUNCATE lead_cadence_events, lead_messages;
DELETE FROM lead_cadence_runs;
DELETE FROM lead_contacts WHERE lead_id = 'ana-2';

-- LIDs and user ids, as they were learned; a contact that is gone is nobody
INSERT INTO lead_identities (lead_id, empresa, kind, value) VALUES ('ana', 'BLUE', 'wa_lid', '12345@lid'), ('bia', 'BLUE', 'wa_user_id', 'BR.77'), ('gone', 'BLUE', 'wa_lid', '99@lid'), ('bia', 'BLUE', 'phone', '+5521999990000');
SELECT cadence_inbound('12345@lid', 'a', 'i1', server => 'regress_zap') AS lid, cadence_inbound('BR.77', 'b', 'i2', server => 'regress_zap') AS user_id, cadence_inbound('99@lid', 'c', 'i3', server => 'regress_zap') AS gone,
    cadence_inbound('+5521999990000', 'd', 'i4', server => 'regress_zap') AS phone, cadence_inbound('12345@lid', 'e', 'i5', server => 'regress_gold') AS another;
SELECT * FROM answers;
-- what quotes a message of ours tells who has that LID
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, whatsapp_message_id) VALUES ('leo', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'ENVIADO', 'out.2');
SELECT cadence_inbound('555@lid', 'x', 'i6', server => 'regress_zap') AS before, cadence_inbound('555@lid', 'y', 'i7', server => 'regress_zap', quotes => 'out.2') AS quoted, cadence_inbound('555@lid', 'z', 'i8', server => 'regress_zap') AS after;
SELECT lead_id, empresa, kind, value, source FROM lead_identities ORDER BY kind, value;
TRUNCATE lead_cadence_events, lead_messages, lead_identities;

-- words of opt-outs: the whole answer, in any case, with accents and punctuation
SELECT count(run(n, lead, empresa, cadence, step)) FROM (VALUES (1, 'ana', 'BLUE', 1, 2), (2, 'ana', 'BLUE', 2, 1), (3, 'ana-gold', 'GOLD', 3, 1)) AS v(n, lead, empresa, cadence, step);
SELECT cadence_inbound('+5511987654321', 'quero sair do plano', 'w0', server => 'regress_zap');
SELECT count(*) FROM contact_opt_outs;
SELECT cadence_inbound('+5511987654321', '  Não quero mais receber! 🙏', 'w1', server => 'regress_zap');
SELECT lead_id, empresa, canal, motivo, origem FROM contact_opt_outs;
SELECT * FROM runs;
SELECT * FROM events;
SELECT cadence_inbound('+5511987654321', 'volta', 'w2', server => 'regress_zap'), count(*) FROM contact_opt_outs;
SELECT cadence_inbound('+5511987654321', 'Voltar.', 'w3', server => 'regress_zap');
SELECT count(*) FROM contact_opt_outs;
-- on all channels, and a word of one's own
INSERT INTO cadence_opt_out_words (word, all_channels) VALUES ('me esqueça', true);
SELECT cadence_inbound('+5511987654321', 'ME ESQUECA', 'w4', server => 'regress_zap');
SELECT lead_id, canal FROM contact_opt_outs;
SELECT * FROM runs;
SELECT cadence_inbound('ana@example.com', 'START', 'w5', server => 'regress_mail');
SELECT lead_id, canal FROM contact_opt_outs ORDER BY canal;
DELETE FROM contact_opt_outs;
TRUNCATE lead_cadence_events, lead_messages;
DELETE FROM lead_cadence_runs;

-- receipts: forward only, in any order, and twice
CREATE FUNCTION receipts(VARIADIC states text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE results text := ''; state text; at timestamptz := '2026-05-01 12:00Z'; m record;
BEGIN
    DELETE FROM lead_messages;
    INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, whatsapp_message_id, enviado_em) VALUES ('ana', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'ENVIADO', 'out.3', '2026-05-01 11:00Z');
    FOREACH state IN ARRAY states LOOP
        at := at + interval '1 minute';
        results := results || cadence_delivery('regress_zap', 'out.3', state, at, code => CASE state WHEN 'failed' THEN '131000' END, error => CASE state WHEN 'failed' THEN 'broken' END) || ' ';
    END LOOP;
    SELECT * INTO m FROM lead_messages;
    RETURN concat_ws(' | ', results, m.estado, to_char(m.entregue_em, 'HH24:MI'), to_char(m.lido_em, 'HH24:MI'), m.erro_detalhe);
END $$;
SELECT array_to_string(s, ' '), receipts(VARIADIC s) FROM (VALUES ('{sent,delivered,read}'::text[]), ('{read,delivered,sent}'), ('{delivered,delivered}'), ('{read}'), ('{failed,failed}'), ('{failed,delivered}'), ('{failed,read,failed}'),
    ('{delivered,failed}'), ('{failed,sent}')) AS v(s);
-- of an unknown message, of another company's server, and of one's own company's other server
SELECT cadence_delivery('regress_zap', 'nobody', 'read') AS unknown, cadence_delivery('regress_gold', 'out.3', 'read') AS gold, cadence_delivery('regress_any', 'out.3', 'read') AS any;
SELECT run(1, 'ana', 'BLUE', 1, 2);
UPDATE lead_messages SET run_id = 'a0000000-0000-0000-0000-000000000001', step_ordem = 1;
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes) VALUES ('a0000000-0000-0000-0000-000000000001', 1, 'DISPARADO', '{"provedor": "regress_zap"}');
SELECT cadence_delivery('regress_any', 'out.3', 'read') AS another, cadence_delivery('regress_zap', 'out.3', 'read') AS own;
-- the first time counts, whenever it is told
SELECT receipts('sent');
SELECT cadence_delivery('regress_zap', 'out.3', 'read', '2026-05-01 12:05Z') AS read, cadence_delivery('regress_zap', 'out.3', 'delivered', '2026-05-01 12:01Z') AS delivered, cadence_delivery('regress_zap', 'out.3', 'read', '2026-05-01 12:03Z') AS earlier,
    cadence_delivery('regress_zap', 'out.3', 'read', '2026-05-01 12:03Z') AS again, cadence_delivery('regress_zap', 'out.3', 'read', '2026-05-01 12:09Z') AS later, cadence_delivery('regress_zap', 'out.3', 'delivered') AS without;
SELECT estado, entregue_em, lido_em FROM messages;
-- a failure that comes late leaves the run where it is
SELECT receipts('failed');
UPDATE lead_messages SET run_id = 'a0000000-0000-0000-0000-000000000001', step_ordem = 1, estado = 'ENVIADO', erro_detalhe = NULL;
SELECT cadence_delivery('regress_zap', 'out.3', 'failed', code => '1', error => 'no');
SELECT * FROM runs;
SELECT * FROM events;
TRUNCATE lead_cadence_events, lead_messages;
DELETE FROM lead_cadence_runs;

-- an attempt of which nobody knew is settled by its key; once
SELECT run(1, 'ana', 'BLUE', 1, 1);
UPDATE lead_cadence_runs SET status = 'PAUSADA', attempts = 1, next_run_at = NULL;
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes, created_at) VALUES ('a0000000-0000-0000-0000-000000000001', 1, 'ERRO', '{"codigo": "INCERTO", "provedor": "regress_zap", "permanente": true}', '2026-05-01 12:00Z');
INSERT INTO lead_messages (id, lead_id, empresa, canal, direcao, estado, run_id, step_ordem) VALUES ('674bbc4c-55bb-5389-abc8-4962b0ab4dc0', 'ana', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'INCERTO', 'a0000000-0000-0000-0000-000000000001', 1);
SELECT id, cadence_delivery('regress_zap', 'out.4', 'delivered', '2026-05-01 12:01Z', key => id::text) FROM lead_messages;
SELECT lead_id, estado, message_id, enviado_em, entregue_em FROM messages;
SELECT n, status, step, due FROM runs;
SELECT n, step, tipo, detalhes - 'next_run_at' - 'por' FROM events;
SELECT cadence_delivery('regress_zap', 'out.4', 'delivered') AS by_id, cadence_delivery('regress_zap', NULL, 'read', key => 'no-key') AS no_key;

-- whoever may execute needs no more
GRANT USAGE ON SCHEMA cadence TO regress_cadence_webhook;
SET ROLE regress_cadence_webhook;
SELECT cadence.cadence_inbound('+5511987654321', 'x', 'r1', server => 'regress_zap');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_inbound(text, text, text, timestamptz, text, text, text, text, text, boolean), cadence_delivery(text, text, text, timestamptz, text, text, text) TO regress_cadence_webhook;
SET ROLE regress_cadence_webhook;
SELECT cadence.cadence_inbound('+5511987654321', 'x', 'r1', server => 'regress_zap'), cadence.cadence_delivery('regress_zap', 'out.4', 'read');
SELECT current_user, current_setting('search_path');
RESET ROLE;

-- what is refused
SELECT cadence_inbound(NULL, 'x', 'e1', server => 'regress_zap');
SELECT cadence_inbound('+5511987654321', 'x', 'e1');
SELECT cadence_inbound('+5511987654321', 'x', 'e1', empresa => 'BLUE', canal => 'zap');
SELECT cadence_inbound('+5511987654321', 'x', 'e1', server => 'nobody');
SELECT cadence_inbound('+5511987654321', 'x', repeat('x', 1025), server => 'regress_zap');
SELECT cadence_delivery('regress_zap', NULL, 'read');
SELECT cadence_delivery('regress_zap', 'x', 'eaten');
SELECT cadence_delivery('nobody', 'x', 'read');

-- an adopted installation: enums that lack our words, a number in a column of its own, an id that
-- nothing keeps from being there twice, and a trigger that names its table without a schema
DROP VIEW events, answers, messages;
ALTER TABLE lead_cadence_events DROP CONSTRAINT lead_cadence_events_tipo_evento_check;
CREATE TYPE tipo AS ENUM ('AGENDADO', 'DISPARADO', 'ERRO');
CREATE TYPE estado AS ENUM ('ENVIADO', 'RESPONDIDO');
CREATE TYPE companies AS ENUM ('BLUE', 'GOLD');
TRUNCATE lead_cadence_events, lead_messages;
DROP INDEX lead_cadence_events_group_idx;
ALTER TABLE lead_cadence_events ALTER tipo_evento TYPE tipo USING tipo_evento::tipo;
ALTER TABLE lead_messages ALTER estado TYPE estado USING estado::estado, ALTER estado SET NOT NULL, ALTER empresa TYPE companies USING empresa::companies,
    ALTER lead_id DROP NOT NULL, DROP CONSTRAINT lead_messages_pkey;
ALTER TABLE lead_contacts ADD telefone_e164 text, ALTER empresa TYPE companies USING empresa::companies;
UPDATE lead_contacts SET telefone_e164 = '+5548999990000' WHERE lead_id = 'bia';
CREATE FUNCTION count_answers() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE lead_contacts SET nome = 'answered' WHERE lead_id = new.lead_id; RETURN new; END $$;
CREATE TRIGGER count_answers AFTER INSERT ON lead_messages FOR EACH ROW EXECUTE FUNCTION count_answers();
SELECT cadence_create_tables();
SELECT indexname FROM pg_indexes WHERE schemaname = 'cadence' AND indexname IN ('lead_contacts_e164_idx', 'lead_messages_id_idx') ORDER BY 1;
DELETE FROM lead_cadence_runs;
SELECT run(1, 'bia', 'BLUE', 1, 1);
SELECT cadence_inbound('+554899990000', 'a', 'd1', server => 'regress_zap') AS e164, cadence_inbound('+554899990000', 'a', 'd1', server => 'regress_zap') AS again, cadence_inbound('+5531987651111', 'b', 'd2', server => 'regress_zap') AS other_number,
    cadence_inbound('+351912345678', 'c', 'd3', server => 'regress_zap') AS stranger, cadence_inbound('+351912345678', 'c', 'd3', server => 'regress_zap') AS stranger_again;
SELECT lead_id, empresa, conteudo, estado FROM lead_messages ORDER BY conteudo;
SELECT tipo_evento, detalhes ->> 'codigo' AS codigo FROM lead_cadence_events;
SELECT * FROM runs;
SELECT lead_id, nome FROM lead_contacts WHERE nome IS NOT NULL;
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, estado, whatsapp_message_id) VALUES ('bia', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'RESPONDIDO', 'out.5');
SELECT cadence_delivery('regress_zap', 'out.5', 'delivered'), cadence_delivery('regress_zap', 'out.5', 'delivered'), cadence_delivery('regress_zap', 'out.5', 'read'), cadence_delivery('regress_zap', 'out.5', 'failed');
SELECT estado, entregue_em IS NOT NULL AS entregue, lido_em IS NOT NULL AS lido FROM lead_messages WHERE direcao = 'OUTBOUND';

-- of a million contacts none is read that has not the number, or the mailbox
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT FROM lead_contacts WHERE "right"(regexp_replace(telefone::text, '[^0-9]', '', 'g'), 8) = '87654321';
EXPLAIN (COSTS OFF) SELECT FROM lead_contacts WHERE "left"(lower(email::text), 320) = 'ana@example.com';
RESET enable_seqscan;

RESET search_path;
DROP SERVER regress_zap, regress_gold, regress_any, regress_mail CASCADE;
DROP EXTENSION cadence_runner CASCADE;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_webhook;
