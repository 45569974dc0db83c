--
-- What is remembered of people and their addresses: who does not want to be
-- written to, and where nobody can be.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_clerk;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
\set VERBOSITY terse
SELECT cadence_opt_out('ana', 'BLUE');
\set VERBOSITY default
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/', breaker_after '0');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/', breaker_after '0', on_uncertain 'hold');
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
CREATE VIEW opt_outs AS SELECT lead_id, empresa, canal, categoria, motivo, origem = current_user AS mine, em = now() AS now FROM contact_opt_outs ORDER BY canal, motivo;

-- an opt-out of one channel, of all, and back
SELECT cadence_opt_out('ana', 'BLUE', 'WhatsApp', 'pediu');
SELECT cadence_opt_out('ana', 'BLUE', 'WHATSAPP', 'pediu outra vez');
SELECT * FROM opt_outs;
SELECT shown(1), shown(2);
SELECT cadence_opt_out('ana', 'BLUE');
SELECT shown(2);
-- back by one channel, and out of the others still
SELECT cadence_opt_in('ana', 'BLUE', 'whatsapp');
SELECT * FROM opt_outs;
SELECT shown(1), shown(2);
SELECT cadence_opt_in('ana', 'BLUE', 'whatsapp') AS again, cadence_opt_in('ana', 'GOLD') AS another, cadence_opt_in('ana', 'BLUE') AS all_of_them;
SELECT * FROM opt_outs;
SELECT shown(1), shown(2);
-- the contact's own is not touched
UPDATE lead_contacts SET opt_out = true;
SELECT cadence_opt_in('ana', 'BLUE');
SELECT shown(2);
UPDATE lead_contacts SET opt_out = false;

-- what is refused
\set VERBOSITY terse
SELECT cadence_opt_out(NULL, 'BLUE');
SELECT cadence_opt_out('ana', NULL);
SELECT cadence_opt_in('ana', NULL);
SELECT cadence_opt_in('ana', 'BLUE', 'zap');
\set VERBOSITY default
SELECT cadence_opt_out('ana', 'BLUE', 'zap');

-- whoever is not known is noted, and the caller is told; a run is enough to be known
BEGIN;
SELECT cadence_opt_out('ana', 'blue');
SELECT cadence_opt_out('bia', 'BLUE', 'SMS');
SELECT lead_id, empresa, canal FROM opt_outs;
DELETE FROM lead_contacts;
SELECT cadence_opt_out('ana', 'BLUE', 'EMAIL');
ROLLBACK;
SELECT count(*) FROM contact_opt_outs;
-- the right to execute is not the right to write
GRANT USAGE ON SCHEMA cadence TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
SELECT cadence.cadence_opt_out('ana', 'BLUE');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_opt_out(text, text, text, text) TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
SELECT cadence.cadence_opt_out('ana', 'BLUE');
RESET ROLE;
CREATE POLICY clerk ON contact_opt_outs TO regress_cadence_clerk USING (true);
GRANT INSERT ON contact_opt_outs TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
SELECT cadence.cadence_opt_out('ana', 'BLUE', 'SMS');
RESET ROLE;
SELECT canal, origem FROM contact_opt_outs;
DELETE FROM contact_opt_outs;

-- written by hand, in any case, and without a word
INSERT INTO contact_opt_outs (lead_id, empresa, canal) VALUES ('ana', 'BLUE', 'email'), ('ana', 'GOLD', NULL), ('bia', 'BLUE', NULL);
SELECT shown(1), shown(2);
-- of a category: a text has none
UPDATE contact_opt_outs SET categoria = 'marketing';
SELECT shown(2);
DELETE FROM contact_opt_outs;
-- keys match as those of the contacts do
CREATE EXTENSION citext SCHEMA cadence;
INSERT INTO contact_opt_outs (lead_id, empresa) VALUES ('ANA', 'BLUE');
SELECT shown(1);
ALTER TABLE lead_contacts ALTER lead_id TYPE citext;
SELECT shown(1);
SELECT cadence_opt_in('aNa', 'BLUE') AS gone;
ALTER TABLE lead_contacts ALTER lead_id TYPE text;
CREATE TYPE empresa_enum AS ENUM ('BLUE', 'GOLD');
ALTER TABLE lead_contacts ALTER empresa TYPE empresa_enum USING empresa::empresa_enum;
INSERT INTO contact_opt_outs (lead_id, empresa) VALUES ('ana', 'Blue');
SELECT shown(1);
UPDATE contact_opt_outs SET empresa = 'BLUE';
SELECT shown(1);
ALTER TABLE lead_contacts ALTER empresa TYPE text;
-- nobody is asked for an address that is not to be used
UPDATE lead_contacts SET telefone = NULL;
SELECT shown(1);
DELETE FROM lead_contacts;
SELECT shown(1);
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT r - 'runId' AS result FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r;
SELECT status FROM lead_cadence_runs;
-- but an inactive cadence waits
UPDATE cadences SET ativo = false;
SELECT shown(1);
UPDATE cadences SET ativo = true;
DELETE FROM contact_opt_outs;

-- addresses that do not exist
INSERT INTO lead_contacts (lead_id, empresa, telefone, email) VALUES ('ana', 'BLUE', '(11) 98765-4321', 'Ana@Example.com');
UPDATE lead_cadence_runs SET status = 'ATIVA';
INSERT INTO cadence_dead_addresses (endereco, canal, empresa, motivo, servidor) VALUES
    ('+5511987654321', 'WHATSAPP', 'BLUE', 'no such number', 'regress_zap'), ('ana@example.com', 'EMAIL', 'BLUE', NULL, NULL),
    ('+5511987654321', 'WHATSAPP', 'GOLD', 'another', 'regress_zap'), ('+551187654321', 'WHATSAPP', 'BLUE', 'no ninth digit', NULL);
SELECT shown(1), shown(2);
-- in the country of the company
INSERT INTO cadence_empresas (empresa, pais) VALUES ('BLUE', 'PT');
SELECT shown(1);
UPDATE lead_contacts SET telefone = '+55 11 98765-4321';
SELECT shown(1);
DELETE FROM cadence_empresas;
-- no attempt; the run waits for somebody
UPDATE lead_cadence_runs SET next_run_at = now(), attempts = 3, next_step_ordem = 1;
SELECT r - 'runId' AS result FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r;
SELECT status, attempts, claim_id, next_run_at FROM lead_cadence_runs;
SELECT detalhes FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'ENDERECO_MORTO';
-- what was interrupted is settled first
UPDATE lead_cadence_runs SET status = 'ATIVA', next_run_at = now(), claim_id = gen_random_uuid(), attempts = 1, next_step_ordem = 2;
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT status, (SELECT detalhes ->> 'codigo' FROM lead_cadence_events ORDER BY created_at DESC LIMIT 1) AS codigo FROM lead_cadence_runs;
SELECT cadence_settle(id, false) FROM lead_cadence_runs;
SELECT shown(2);
-- whoever knows better
DELETE FROM cadence_dead_addresses WHERE endereco = 'ana@example.com' AND empresa = 'BLUE';
SELECT shown(2);

RESET search_path;
DROP SERVER regress_zap, regress_mail CASCADE;
DROP EXTENSION cadence_runner, citext CASCADE;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_clerk;
