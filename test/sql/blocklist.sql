--
-- The blocklist: addresses that nobody may write to, in any company.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_clerk;
CREATE ROLE regress_cadence_registry;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
\set VERBOSITY terse
SELECT cadence_block('phone', '+5511987654321');
\set VERBOSITY default
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', url 'http://127.0.0.1:1/', breaker_after '0');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', empresa 'BLUE', url 'http://127.0.0.1:1/', breaker_after '0');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'whatsapp', 'OLA'), ('c0000000-0000-0000-0000-000000000001', 2, 'EMAIL', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Oi');
INSERT INTO lead_contacts (lead_id, empresa, telefone, email) VALUES ('ana', 'BLUE', '(11) 98765-4321', 'Ana@Example.com');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() + interval '1 day');
CREATE FUNCTION shown(step int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE p jsonb;
BEGIN
    UPDATE lead_cadence_runs SET next_step_ordem = step;
    SELECT cadence_preview(id) INTO p FROM lead_cadence_runs;
    RETURN concat_ws(' | ', p ->> 'mensagem', p ->> 'codigo', p ->> 'erro');
END $$;
CREATE VIEW listed AS SELECT kind, octet_length(value_hash) AS bytes, reason, source, created_at = now() AS now FROM cadence_blocklist ORDER BY kind, reason;

-- the key is there from the beginning, and no table shows an address
SELECT name, octet_length(key) AS bytes FROM cadence_keys ORDER BY name;
SELECT shown(1), shown(2);
BEGIN;
SELECT cadence_block('phone', '+55 11 98765-4321', 'procon', 'registry') AS new, cadence_block('phone', '11 98765 4321') AS again,
    cadence_block('phone', '1187654321', 'without the ninth digit') AS same, cadence_block('email', 'ANA@example.com') AS mail;
SELECT source = current_user AS mine, l.* FROM (SELECT kind, bytes, reason, nullif(source, 'registry') AS source, now FROM listed) AS l;
COMMIT;
SELECT encode(value_hash, 'hex') = encode(sha256('+5511987654321'), 'hex') AS plain FROM cadence_blocklist WHERE kind = 'phone';
SELECT shown(1), shown(2);
-- however the contact writes it
UPDATE lead_contacts SET telefone = '+55 (11) 8765-4321', email = 'Ana <ana@EXAMPLE.com>';
SELECT shown(1);
UPDATE lead_contacts SET telefone = '11 98765-4322', email = 'ana+a@example.com';
SELECT shown(1), shown(2);
UPDATE lead_contacts SET telefone = '(11) 98765-4321', email = 'Ana@Example.com';
-- a number is of another country
SELECT cadence_unblock('phone', '11987654321', 'PT') AS none, cadence_unblock('phone', '11987654321') AS gone, cadence_unblock('phone', '11987654321') AS again, cadence_unblock('email', 'ana@example.com') AS mail;
SELECT shown(1), shown(2);
SELECT cadence_block('phone', '912345678', country => 'pt');
UPDATE lead_contacts SET telefone = '+351 912 345 678';
SELECT shown(1);
INSERT INTO cadence_empresas (empresa, pais) VALUES ('BLUE', 'PT');
UPDATE lead_contacts SET telefone = '912345678';
SELECT shown(1);
-- one that cannot be read, where it is sent as it is: the number that its digits are
TRUNCATE cadence_empresas;
UPDATE lead_contacts SET telefone = '351912345678';
SELECT shown(1);
UPDATE lead_contacts SET telefone = '351912345679';
SELECT shown(1);
SELECT cadence_block('phone', '+5511987654321');
UPDATE lead_contacts SET telefone = '11987654321@c.us';
SELECT shown(1);
TRUNCATE cadence_blocklist;
UPDATE lead_contacts SET telefone = '(11) 98765-4321';

-- of one company: another's is another entry
SELECT cadence_block('phone', '+5511987654321', empresa => 'BLUE') AS blue, cadence_block('phone', '+5511987654321', empresa => 'BLUE') AS again, cadence_block('phone', '+5511987654321', empresa => 'GOLD') AS gold;
SELECT shown(1);
SELECT cadence_unblock('phone', '+5511987654321') AS of_all, cadence_unblock('phone', '+5511987654321', empresa => 'BLUE') AS blue;
SELECT shown(1);
SELECT count(*) FROM cadence_blocklist;
-- as lead_contacts compares its own
CREATE EXTENSION citext SCHEMA cadence;
ALTER TABLE lead_contacts ALTER empresa TYPE citext;
SELECT cadence_block('phone', '+5511987654321', empresa => 'Blue');
SELECT shown(1);
SELECT cadence_unblock('phone', '+5511987654321', empresa => 'blue');
SELECT shown(1);
ALTER TABLE lead_contacts ALTER empresa TYPE text;
DROP EXTENSION citext;
SELECT cadence_block('phone', '+5511987654321', 'all'), cadence_block('phone', '+5511987654321', 'its own', empresa => 'BLUE');
SELECT shown(1);
TRUNCATE cadence_blocklist;

-- what is refused
\set VERBOSITY terse
SELECT cadence_block('fax', '+5511987654321');
SELECT cadence_block(NULL, '+5511987654321');
SELECT cadence_block('phone', NULL);
SELECT cadence_block('phone', '1234');
SELECT cadence_block('email', 'ana');
SELECT cadence_block('phone', '+5511987654321', country => 'XX');
SELECT cadence_block('phone', '+5511987654321', repeat('x', 1001));
SELECT cadence_block_many('phone', NULL);
SELECT cadence_unblock('phone', NULL);
SELECT cadence_unblock('phone', '1234');
SELECT cadence_unblock('email', 'ana');
SELECT cadence_block('phone', '+5511987654321', empresa => '');
SELECT cadence_block_many('phone', ARRAY['+5511987654321'], empresa => '');
SELECT cadence_unblock('phone', '+5511987654321', empresa => '');
\set VERBOSITY default
SELECT count(*) FROM cadence_blocklist;

-- many: what can be no address is counted, and stops nothing
SELECT * FROM cadence_block_many('phone', ARRAY['+5511987654321', '11 8765-4321', 'nobody', NULL, '+14155550100'], 'registry', 'file');
SELECT * FROM cadence_block_many('phone', ARRAY['+5511987654321'] || array_fill('x'::text, ARRAY[12]), 'again', 'another');
SELECT * FROM cadence_block_many('email', '{}');
SELECT * FROM listed;
CREATE TEMP TABLE numbers (number text);
\copy numbers FROM STDIN
+5511911110001
+5511911110002
11 1
\.
SELECT (cadence_block_many('phone', array_agg(number), 'registry')).* FROM numbers;
-- more than are put in order together
TRUNCATE cadence_blocklist;
SELECT * FROM cadence_block_many('email', (SELECT array_agg(n % 120000 || '@example.com') FROM generate_series(1, 130000) AS n) || ARRAY['x']);
SELECT count(*) FROM cadence_blocklist;
SELECT cadence_unblock('email', '119999@example.com') AS last, cadence_unblock('email', '0@example.com') AS first, cadence_unblock('email', '120000@example.com') AS never;
TRUNCATE cadence_blocklist;

-- in an execution: cancelled, with a reason of its own, and no opt-out
SELECT cadence_block('phone', '+5511987654321', 'procon');
UPDATE lead_cadence_runs SET next_step_ordem = 1, next_run_at = now();
SELECT r - 'runId' AS result FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r;
SELECT status, attempts, next_run_at FROM lead_cadence_runs;
SELECT tipo_evento, detalhes FROM lead_cadence_events;
SELECT count(*) AS opt_outs, (SELECT count(*) FROM cadence_dead_addresses) AS dead FROM contact_opt_outs;
-- an opt-out comes first, and whoever has no address is not asked
INSERT INTO contact_opt_outs (lead_id, empresa) VALUES ('ana', 'BLUE');
SELECT shown(1);
TRUNCATE contact_opt_outs;
UPDATE lead_contacts SET telefone = NULL;
SELECT shown(1);
UPDATE lead_contacts SET telefone = '(11) 98765-4321';

-- without its key nobody can be found: nothing is sent
UPDATE lead_cadence_runs SET status = 'ATIVA', next_run_at = now();
CREATE TABLE kept AS SELECT * FROM cadence_keys;
DELETE FROM cadence_keys WHERE name = 'blocklist';
SELECT cadence_run('TEST');
SELECT cadence_block('phone', '+5511987654321');
UPDATE cadence_keys SET key = 'short';
INSERT INTO cadence_keys (name, key) VALUES ('blocklist', 'short');
\set VERBOSITY terse
SELECT cadence_preview(id) FROM lead_cadence_runs;
\set VERBOSITY default
-- where the list is empty it is not asked for
BEGIN;
TRUNCATE cadence_blocklist;
SELECT cadence_preview(id) ->> 'mensagem' AS mensagem FROM lead_cadence_runs;
ROLLBACK;
DELETE FROM cadence_keys;
INSERT INTO cadence_keys SELECT * FROM kept;
SELECT status, shown(1) FROM lead_cadence_runs;
UPDATE lead_cadence_runs SET next_run_at = now() + interval '1 day';

-- the right to execute is all that a caller needs, and it shows nothing
GRANT USAGE ON SCHEMA cadence TO regress_cadence_clerk, regress_cadence_registry;
SET ROLE regress_cadence_registry;
\set VERBOSITY terse
SELECT cadence.cadence_block('phone', '+5511987654321');
SELECT cadence.cadence_block_many('phone', '{}');
SELECT cadence.cadence_unblock('phone', '+5511987654321');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_block(text, text, text, text, text, text), cadence_unblock(text, text, text, text), cadence_block_many(text, text[], text, text, text, text) TO regress_cadence_registry;
SET ROLE regress_cadence_registry;
SELECT cadence.cadence_block('email', 'bia@example.com');
SELECT count(*) FROM cadence.cadence_blocklist;
SELECT count(*) FROM cadence.cadence_keys;
RESET ROLE;
\set VERBOSITY default
SELECT kind, source FROM cadence_blocklist ORDER BY kind;
-- whoever previews need not be allowed to read the list
GRANT EXECUTE ON FUNCTION cadence_preview(uuid) TO regress_cadence_clerk;
GRANT SELECT ON ALL TABLES IN SCHEMA cadence TO regress_cadence_clerk;
REVOKE SELECT ON cadence_blocklist, cadence_keys FROM regress_cadence_clerk;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['cadences', 'cadence_steps', 'lead_contacts', 'message_templates', 'lead_cadence_runs', 'lead_cadence_events', 'lead_messages', 'cadence_empresas',
                             'contact_opt_outs', 'cadence_dead_addresses', 'cadence_stopped_templates'] LOOP
        EXECUTE format('CREATE POLICY clerk ON %I TO regress_cadence_clerk USING (true)', t);
    END LOOP;
END $$;
SET ROLE regress_cadence_clerk;
SELECT cadence.cadence_preview('a0000000-0000-0000-0000-000000000001') ->> 'codigo' AS codigo, current_setting('row_security') AS row_security;
RESET ROLE;

-- of somebody who is nobody's: a word, and back
TRUNCATE cadence_blocklist;
SELECT cadence_inbound('+5521900000001', 'Bom dia', server => 'regress_zap') AS other, cadence_inbound('+5521900000001', 'Sair.', server => 'regress_zap') AS word,
    cadence_inbound('+5521900000002', 'PARAR', server => 'regress_zap', automatic => true) AS machine, cadence_inbound('Zoe@example.com', 'unsubscribe', server => 'regress_mail') AS mail;
SELECT kind, reason, source FROM cadence_blocklist ORDER BY kind;
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('zoe', 'BLUE', '21 90000-0001');
SELECT cadence_block('phone', '+5521900000003', source => 'registry');
SELECT cadence_inbound('+5521900000001', 'Voltar', server => 'regress_zap') AS known, cadence_inbound('zoe@example.com', 'START', server => 'regress_zap', received_at => '2100-01-01') AS other_server,
    cadence_inbound('+5521900000003', 'Voltar', server => 'regress_zap', received_at => '2100-01-01') AS other_source;
SELECT kind, reason, source FROM cadence_blocklist ORDER BY kind;
SELECT cadence_inbound('zoe@example.com', 'START', server => 'regress_mail', received_at => '2100-01-01') AS same;
SELECT kind, reason, source FROM cadence_blocklist ORDER BY kind;
-- what was put there by hand, or for somebody who is forgotten, no word takes off: not even of the role that has put it there
BEGIN;
SELECT cadence_block('phone', '+5521900000004', 'erased', empresa => 'BLUE') AS hand, cadence_inbound('+5521900000005', 'Sair', empresa => 'BLUE', canal => 'SMS') AS word;
SELECT cadence_inbound('+5521900000004', 'Voltar', empresa => 'BLUE', canal => 'SMS', received_at => '2100-01-01') AS hand, cadence_inbound('+5521900000005', 'Voltar', empresa => 'BLUE', canal => 'SMS', received_at => '2100-01-01') AS word;
SELECT reason FROM cadence_blocklist WHERE source = current_user AND empresa = 'BLUE';
ROLLBACK;
-- what a company's server tells of a stranger is that company's; a server of any company speaks to all
CREATE SERVER regress_any FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://127.0.0.1:1/');
CREATE SERVER regress_gold FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'GOLD', url 'http://127.0.0.1:1/');
SELECT cadence_inbound('+5511987654321', 'Sair', server => 'regress_gold');
SELECT shown(1);
UPDATE lead_contacts SET telefone = '21900000009' WHERE lead_id = 'ana';
SELECT cadence_inbound('+5511987654321', 'Sair', server => 'regress_any');
UPDATE lead_contacts SET telefone = '11987654321' WHERE lead_id = 'ana';
SELECT shown(1);
TRUNCATE cadence_blocklist;
-- its key: one that is lost is made again only where the list is empty, and another is none
SELECT cadence_block('phone', '+5511987654321');
DROP TABLE cadence_keys;
SELECT cadence_create_tables();
SELECT name FROM cadence_keys ORDER BY 1;
\set VERBOSITY terse
SELECT cadence_preview('a0000000-0000-0000-0000-000000000001');
SELECT cadence_block('phone', '+5511987654321');
INSERT INTO cadence_keys (name, key) VALUES ('blocklist', sha256('another'));
SELECT cadence_preview('a0000000-0000-0000-0000-000000000001');
SELECT cadence_block('phone', '+5511987654321');
SELECT cadence_unblock('phone', '+5511987654321');
\set VERBOSITY default
TRUNCATE cadence_blocklist, cadence_keys;
SELECT shown(1);
SELECT cadence_create_tables();
SELECT name, octet_length(key) AS bytes FROM cadence_keys ORDER BY 1;
CREATE TEMP TABLE made AS TABLE cadence_keys;
SELECT cadence_block('phone', '+5511987654321');
SELECT cadence_create_tables();
SELECT count(*) AS same FROM cadence_keys JOIN made USING (name, key);
SELECT shown(1);
TRUNCATE cadence_blocklist;
-- whoever is known is no stranger
SELECT cadence_inbound('+5511987654321', 'Sair', server => 'regress_zap');
SELECT lead_id, canal FROM contact_opt_outs;
SELECT count(*) FROM cadence_blocklist;

RESET search_path;
DROP SERVER regress_zap, regress_mail, regress_any, regress_gold CASCADE;
DROP EXTENSION cadence_runner CASCADE;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_clerk, regress_cadence_registry;
