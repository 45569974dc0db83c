--
-- Somebody wants to be forgotten: cadence_erase().
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_clerk;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', url 'http://127.0.0.1:1/', breaker_after '0', on_uncertain 'hold');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_zap OPTIONS (webhook_token 'senha');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA'), ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'DUAS');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo, parar_se_responder)
SELECT id, n, 'WHATSAPP', 'OLA', false FROM cadences, generate_series(1, 2) AS n;
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Oi {{nome}} Silva');
INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, telefone, email) VALUES ('ana', 'BLUE', 'Ana Silva', 'Ana', '(11) 98765-4321', 'Ana.Silva@Example.com'),
    ('ana', 'GOLD', 'Ana Silva', 'Ana', '(11) 98765-4321', 'Ana.Silva@Example.com'), ('bia', 'BLUE', 'Bia', 'Bia', '31 98765-1111', 'bia@example.com');
INSERT INTO lead_identities (lead_id, empresa, kind, value) VALUES ('ana', 'BLUE', 'wa_lid', '12345@lid'), ('ana', 'BLUE', 'phone', '+5521999990000'), ('bia', 'BLUE', 'wa_lid', '777@lid');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at, classification_snapshot) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'ATIVA', 1, now(), '{"nome": "Ana Silva"}'),
    ('a0000000-0000-0000-0000-000000000002', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000002', 'PAUSADA', 1, now(), NULL),
    ('a0000000-0000-0000-0000-000000000003', 'bia', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'ATIVA', 1, now(), '{"nome": "Bia"}');
-- what has been: an attempt at both that nobody answered, answers, an opt-out, what was rejected
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT cadence_inbound('+5511987654321', 'Sou a Ana Silva', 'wamid.ana', server => 'regress_zap') AS ana, cadence_inbound('+5531987651111', 'Sou a Bia', 'wamid.bia', server => 'regress_zap') AS bia;
UPDATE lead_cadence_runs SET claim_id = gen_random_uuid() WHERE id = 'a0000000-0000-0000-0000-000000000001';
SELECT cadence_opt_out('ana', 'BLUE', 'SMS', 'Ana Silva pediu');
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes)
SELECT id, 1, 'ERRO', jsonb_build_object('codigo', 'INCERTO', 'tentativa', 1, 'pedido', jsonb_build_object('campos', jsonb_build_object('message', 'Oi ' || lead_id)), 'message_id', lead_id, 'erro', lead_id)
FROM lead_cadence_runs WHERE id <> 'a0000000-0000-0000-0000-000000000002';
INSERT INTO cadence_dead_addresses (endereco, canal, empresa) VALUES ('+5511987654321', 'WHATSAPP', 'BLUE'), ('ana.silva@example.com', 'EMAIL', 'BLUE'), ('+5511987654321', 'WHATSAPP', 'GOLD'), ('bia@example.com', 'EMAIL', 'BLUE');
INSERT INTO cadence_conversations (lead_id, empresa, canal) VALUES ('ana', 'BLUE', 'WHATSAPP'), ('bia', 'BLUE', 'WHATSAPP');
INSERT INTO cadence_rejected (id, server, empresa, evento, corpo) VALUES
    ('d0000000-0000-0000-0000-000000000001', 'regress_zap', 'BLUE', '{"event": "bounce", "email": "ana.silva@example.com"}', '{}'), ('d0000000-0000-0000-0000-000000000002', 'regress_zap', 'BLUE', '{"event": "message", "phone": "+551187654321"}', '{}'),
    ('d0000000-0000-0000-0000-000000000003', 'regress_zap', 'BLUE', '{"event": "message", "lid": "12345@lid"}', NULL), ('d0000000-0000-0000-0000-000000000004', 'regress_zap', 'BLUE', '{"event": "message", "phone": "+5531987651111"}', '[{"de": "5511987654321"}, {"de": "5531987651111"}]'),
    ('d0000000-0000-0000-0000-000000000005', 'regress_zap', 'GOLD', '{"event": "message", "phone": "+5511987654321"}', '{}');
CREATE FUNCTION everything(VARIADIC said text[]) RETURNS TABLE (name text, n bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'cadence'::regnamespace AND relkind = 'r' AND relname <> 'cadence_protocols' ORDER BY 1 LOOP
        EXECUTE format('SELECT count(*) FROM %I AS t WHERE lower(t::text) ~ ANY ($1)', name) INTO n USING said;
        IF n > 0 THEN RETURN NEXT; END IF;
    END LOOP;
END $$;
SELECT * FROM everything('ana.silva', 'ana silva', '98765.?4321', '21999990000', '12345@lid', 'wamid.ana', 'oi ana');

SELECT cadence_erase(NULL, 'BLUE');
SELECT * FROM cadence_erase('ana', 'BLUE');
-- what is left of the person is another company's
SELECT * FROM everything('ana.silva', 'ana silva', '98765.?4321', '21999990000', '12345@lid', 'wamid.ana', 'oi ana');
SELECT right(id::text, 1) AS n, lead_id, status, claim_id IS NOT NULL AS claimed, classification_snapshot FROM lead_cadence_runs ORDER BY id;
SELECT lead_id, direcao, conteudo, whatsapp_message_id FROM lead_messages ORDER BY 1, 2, 3;
SELECT lead_id, tipo_evento, detalhes ->> 'codigo' AS codigo, detalhes ? 'pedido' AS pedido, detalhes ->> 'erro' AS erro FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
WHERE detalhes ->> 'codigo' = 'INCERTO' ORDER BY 1;
SELECT lead_id, empresa, canal, motivo, origem = current_user AS mine FROM contact_opt_outs ORDER BY canal;
SELECT kind, empresa, reason, source = current_user AS mine FROM cadence_blocklist ORDER BY 1;
SELECT right(id::text, 1) AS n, evento, corpo FROM cadence_rejected ORDER BY id;
SELECT endereco, empresa FROM cadence_dead_addresses ORDER BY 1;
SELECT lead_id FROM cadence_conversations;
-- again: nothing is left to do, but for what was under way
SELECT * FROM cadence_erase('ana', 'BLUE') WHERE n > 0;
-- who comes back is not written to, under another lead and another spelling
INSERT INTO lead_contacts (lead_id, empresa, telefone, nome) VALUES ('new', 'BLUE', '11 8765-4321', 'x');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at) VALUES ('a0000000-0000-0000-0000-000000000009', 'new', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now());
SELECT cadence_preview('a0000000-0000-0000-0000-000000000009') ->> 'codigo' AS codigo;

-- a contact that something hangs on is blanked; a country that nobody knows is no obstacle
INSERT INTO cadence_empresas (empresa, pais) VALUES ('BLUE', 'XX');
ALTER TABLE lead_contacts ADD cpf text NOT NULL DEFAULT '1', ADD nota int DEFAULT 7, ADD dobro text GENERATED ALWAYS AS (upper(nome)) STORED;
CREATE TABLE deals (contact uuid REFERENCES lead_contacts);
INSERT INTO deals SELECT id FROM lead_contacts WHERE lead_id = 'bia';
SELECT * FROM cadence_erase('bia', 'BLUE') WHERE n > 0;
SELECT lead_id, empresa, nome, primeiro_nome, telefone, email, opt_out, cpf, nota, dobro FROM lead_contacts WHERE lead_id = 'bia';
SELECT count(*) AS mails FROM cadence_blocklist WHERE kind = 'email';
-- nobody: nothing to do but to remember it
SELECT * FROM cadence_erase('nobody', 'BLUE') WHERE n > 0;

-- what cannot be read as a number, and one that nothing can be made of
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email, cpf) VALUES ('rui', 'BLUE', 'Rui', '351912345678', 'RUI Ávila <Ávila@Example.com>', 'r');
INSERT INTO lead_identities (lead_id, empresa, kind, value) VALUES ('rui', 'BLUE', 'phone', '5511 123456');
SELECT * FROM cadence_erase('rui', 'BLUE') WHERE table_name = 'cadence_blocklist' AND n > 0;
SELECT cadence_block('phone', '+351912345678', empresa => 'BLUE') AS phone, cadence_block('email', 'Ávila@example.com', empresa => 'BLUE') AS mail;
-- a contact that a trigger keeps, or that something hangs on until the end, with a text that is required and unique
ALTER TABLE lead_contacts ADD doc text NOT NULL UNIQUE DEFAULT gen_random_uuid()::text;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE DELETE ON lead_contacts FOR EACH ROW WHEN (OLD.lead_id LIKE 'kept%') EXECUTE FUNCTION keep();
CREATE TABLE visits (contact uuid REFERENCES lead_contacts DEFERRABLE INITIALLY DEFERRED);
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone) VALUES ('kept-1', 'BLUE', 'Kept', '11912340001'), ('kept-2', 'BLUE', 'Kept', '11912340002'), ('later', 'BLUE', 'Later', '11912340003');
INSERT INTO visits SELECT id FROM lead_contacts WHERE lead_id = 'later';
SELECT lead_id, done, e.n FROM (VALUES ('kept-1'), ('kept-2'), ('later')) AS v(lead_id), cadence_erase(lead_id, 'BLUE') AS e WHERE table_name = 'lead_contacts';
SELECT lead_id, nome, telefone, doc IN ('', lead_id) AS blank, opt_out FROM lead_contacts WHERE lead_id IN ('kept-1', 'kept-2', 'later') ORDER BY 1;
DROP TRIGGER keep ON lead_contacts;
-- what is rejected of others, of another area, or of a company that nobody knows and may be another's, stays; and a wish
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('leo', 'BLUE', '11 91234-5678'), ('leo', 'GOLD', '11 91234-5678'), ('mia', 'BLUE', '+55 31 91234-9999');
INSERT INTO cadence_dead_addresses (endereco, canal, empresa) VALUES ('+5521912345678', 'WHATSAPP', 'BLUE'), ('+5511912345678', 'WHATSAPP', 'BLUE'), ('+351912345678', 'SMS', 'BLUE');
TRUNCATE cadence_rejected;
INSERT INTO cadence_rejected (id, server, empresa, evento, corpo) VALUES
    ('d0000000-0000-0000-0000-000000000001', 'z', 'BLUE', '{"event": "message", "phone": "+5521912345678"}', '["5521912345678"]'), ('d0000000-0000-0000-0000-000000000002', 'z', NULL, '{"event": "message", "phone": "+5511912345678"}', '["5511912345678"]'),
    ('d0000000-0000-0000-0000-000000000003', 'z', 'BLUE', '{"event": "opt_out", "phone": "+5511912345678"}', NULL), ('d0000000-0000-0000-0000-000000000004', 'z', 'BLUE', '{"event": "complaint", "phone": "551112345678"}', NULL),
    ('d0000000-0000-0000-0000-000000000005', 'z', 'BLUE', '{"event": "message", "phone": "551112345678"}', NULL), ('d0000000-0000-0000-0000-000000000006', 'z', NULL, '{"event": "message", "phone": "31912349999"}', NULL),
    ('d0000000-0000-0000-0000-000000000007', 'z', 'BLUE', '{"event": "message", "phone": "+5541900000000"}', '["5541900000000", "11912345678", "551112345678"]');
SELECT * FROM cadence_erase('leo', 'BLUE') WHERE table_name IN ('cadence_dead_addresses', 'cadence_rejected') AND n > 0;
SELECT right(id::text, 1) AS n, evento, corpo FROM cadence_rejected ORDER BY id;
SELECT endereco, canal FROM cadence_dead_addresses WHERE endereco LIKE '%12345678' ORDER BY 1;
SELECT * FROM cadence_erase('mia', 'BLUE') WHERE table_name = 'cadence_rejected' AND n > 0;
-- nobody is known by anything again who is forgotten
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, whatsapp_message_id) VALUES ('mia', 'BLUE', 'WHATSAPP', 'OUTBOUND', '', 'ENVIADO', 'late.1');
SELECT cadence_inbound('888@lid', 'Oi', 'late.2', server => 'regress_zap', quotes => 'late.1') AS quoted;
SELECT count(*) AS learned FROM lead_identities WHERE lead_id = 'mia';
-- whoever is misspelt is somebody else, and is not said to be forgotten
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('Nina', 'BLUE', '912345670');
\set VERBOSITY terse
SELECT cadence_erase('Nina', 'Blue');
SELECT cadence_erase('nina', 'BLUE');
\set VERBOSITY default
SELECT telefone FROM lead_contacts WHERE lead_id = 'Nina';
-- a country that another spelling of the company has
UPDATE cadence_empresas SET empresa = 'blue', pais = 'PT';
SELECT * FROM cadence_erase('Nina', 'BLUE') WHERE table_name = 'cadence_blocklist' AND n > 0;
SELECT cadence_block('phone', '+351912345670', empresa => 'BLUE') AS new;

-- the right to execute is not the right to erase
GRANT USAGE ON SCHEMA cadence TO regress_cadence_clerk;
\set VERBOSITY terse
SET ROLE regress_cadence_clerk;
SELECT cadence.cadence_erase('ana', 'GOLD');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_erase(text, text) TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
SELECT cadence.cadence_erase('ana', 'GOLD');
RESET ROLE;
\set VERBOSITY default
SELECT nome FROM lead_contacts WHERE empresa = 'GOLD';

RESET search_path;
DROP SERVER regress_zap CASCADE;
DROP EXTENSION cadence_runner CASCADE;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_clerk;
