--
-- The link by which a person wants no more messages, and what it leads to.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_door;
CREATE ROLE regress_cadence_clerk;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', url 'http://127.0.0.1:1/', breaker_after '0');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', empresa 'BLUE', protocol 'resend', "from" 'BLUE <v@blue.example>');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_mail OPTIONS (api_key 'k');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'whatsapp', 'ZAP'), ('c0000000-0000-0000-0000-000000000001', 2, 'EMAIL', 'MAIL');
INSERT INTO message_templates (empresa, codigo, assunto, conteudo, html) VALUES ('BLUE', 'ZAP', NULL, 'Oi {{nome}}', NULL), ('BLUE', 'MAIL', 'Oi', 'Oi', '<p>Oi</p>');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email) VALUES ('ana', 'BLUE', 'Ana', '11 98765-4321', 'ana@example.com'),
    ('ana-2', 'BLUE', 'Ana', NULL, 'Ana@Example.com'), ('ana-3', 'GOLD', 'Ana', NULL, 'ana@example.com'), ('bia', 'BLUE', 'Bia', '11 98765-0000', NULL);
CREATE FUNCTION run(n int, lead text, empresa text, step int) RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
    VALUES (('a0000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, lead, empresa, 'c0000000-0000-0000-0000-000000000001', step, now() + interval '1 day')
    RETURNING id $$;
SELECT count(run(n, lead, empresa, step)) FROM (VALUES (1, 'ana', 'BLUE', 1), (2, 'ana-2', 'BLUE', 2), (3, 'ana-3', 'GOLD', 2), (4, 'bia', 'BLUE', 1)) AS v(n, lead, empresa, step);
CREATE FUNCTION run_id(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT ('a0000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION token(n int, canal text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$ SELECT replace(cadence_unsubscribe_url(run_id(n), canal), 'https://blue.example/u/', '') $$;
CREATE VIEW opt_outs AS SELECT lead_id, empresa, canal, motivo, origem FROM contact_opt_outs ORDER BY lead_id, canal;

-- without the address of a page there is no link, and a template that needs one waits
SELECT cadence_unsubscribe_url(run_id(1));
UPDATE message_templates SET conteudo = 'Sair: {{unsubscribe_url}}' WHERE codigo = 'ZAP';
SELECT cadence_preview(run_id(1)) -> 'erro' AS erro;
SELECT (cadence_preview(run_id(2)) ->> 'corpo')::jsonb -> 'headers' AS headers;
\set VERBOSITY terse
SET cadence_runner.unsubscribe_url = 'blue.example';
SET cadence_runner.unsubscribe_url = 'http://blue.example/u/';
SET cadence_runner.unsubscribe_url = 'http://localhost.blue.example/u/';
SET cadence_runner.unsubscribe_url = 'http://127.0.0.1:8080/u/';
SET cadence_runner.unsubscribe_url = 'http://localhost/u/';
SET cadence_runner.unsubscribe_url = 'https://blue.example/u/"';
\set VERBOSITY default
SET cadence_runner.unsubscribe_url = 'https://blue.example/u/';

-- the same for all messages to a person by a channel, and it shows nothing of them
SELECT token(1) = token(1) AS same, token(1) = token(1, 'whatsapp') AS of_the_step, token(1) = token(1, 'email') AS other_channel, token(1) = token(4) AS other_person,
    token(1) ~ '^[A-Za-z0-9_-]{43}$' AS plain, length(token(1)) = length(token(4)) AS as_long;
SELECT cadence_preview(run_id(1)) ->> 'mensagem' = 'Sair: ' || cadence_unsubscribe_url(run_id(1)) AS in_the_text;
SELECT (cadence_preview(run_id(2)) ->> 'corpo')::jsonb -> 'headers' = jsonb_build_object('List-Unsubscribe', '<' || cadence_unsubscribe_url(run_id(2)) || '>', 'List-Unsubscribe-Post', 'List-Unsubscribe=One-Click') AS in_the_headers;
UPDATE message_templates SET html = '<a href="{{ unsubscribe_url }}">x</a>' WHERE codigo = 'MAIL';
SELECT (cadence_preview(run_id(2)) ->> 'corpo')::jsonb ->> 'html' = '<a href="' || cadence_unsubscribe_url(run_id(2)) || '">x</a>' AS in_the_html;
-- of the last step, where none is left
UPDATE lead_cadence_runs SET next_step_ordem = NULL WHERE id = run_id(2);
SELECT token(2) = token(2, 'EMAIL') AS of_the_last;
UPDATE lead_cadence_runs SET next_step_ordem = 2 WHERE id = run_id(2);
\set VERBOSITY terse
SELECT cadence_unsubscribe_url('b0000000-0000-0000-0000-000000000001');
SELECT cadence_unsubscribe_url(run_id(1), 'fax');
\set VERBOSITY default
SELECT cadence_unsubscribe_url(NULL);
-- too long for a mail
BEGIN;
UPDATE lead_cadence_runs SET lead_id = repeat('x', 700) WHERE id = run_id(1);
UPDATE lead_contacts SET lead_id = repeat('x', 700) WHERE lead_id = 'ana';
SELECT cadence_unsubscribe_url(run_id(1));
SELECT cadence_preview(run_id(1)) -> 'erro' AS erro;
ROLLBACK;

-- the page asks
INSERT INTO cadence_empresas (empresa, nome) VALUES ('BLUE', 'Azul & <Cia>');
SELECT status, jsonb_pretty(headers) AS headers FROM cadence_unsubscribe(token(1));
SELECT body FROM cadence_unsubscribe(token(1));
SELECT count(*) FROM contact_opt_outs;
-- its button acts, by that channel alone, twice as once
SELECT status, body FROM cadence_unsubscribe(token(1), true);
SELECT * FROM opt_outs;
SELECT right(id::text, 1) AS n, status FROM lead_cadence_runs ORDER BY id;
SELECT lead_cadence_run_id = run_id(1) AS of_the_run, detalhes ->> 'codigo' AS codigo FROM lead_cadence_events;
SELECT status FROM cadence_unsubscribe(token(1), true);
SELECT count(*) FROM contact_opt_outs;
-- of every lead of the company with that mailbox
SELECT status FROM cadence_unsubscribe(token(2), true);
SELECT * FROM opt_outs;
SELECT right(id::text, 1) AS n, status FROM lead_cadence_runs ORDER BY id;
-- and of whoever comes to have it there, until an opt-in
SELECT kind, empresa, reason, source FROM cadence_blocklist;
INSERT INTO lead_contacts (lead_id, empresa, email) VALUES ('new', 'BLUE', 'ANA@example.com');
SELECT run(5, 'new', 'BLUE', 2) = run_id(5) AS new;
SELECT cadence_preview(run_id(5)) ->> 'codigo' AS codigo, cadence_preview(run_id(3)) ->> 'codigo' AS another_company;
BEGIN;
SELECT cadence_inbound('ana@example.com', 'START', server => 'regress_mail');
SELECT cadence_preview(run_id(5)) ->> 'codigo' AS codigo;
ROLLBACK;
BEGIN;
SELECT cadence_opt_in('ana-2', 'BLUE', 'EMAIL');
SELECT cadence_preview(run_id(5)) ->> 'codigo' AS codigo, cadence_preview(run_id(2)) ->> 'codigo' AS of_the_lead;
ROLLBACK;
DELETE FROM lead_cadence_runs WHERE lead_id = 'new';
DELETE FROM lead_contacts WHERE lead_id = 'new';
-- also of somebody who is gone
SELECT token(4) AS token \gset
DELETE FROM lead_cadence_runs WHERE lead_id = 'bia';
DELETE FROM lead_contacts WHERE lead_id = 'bia';
SELECT status FROM cadence_unsubscribe(:'token', true);
SELECT lead_id, canal FROM opt_outs WHERE lead_id = 'bia';

-- whatever is no token of ours has one answer, and does nothing
CREATE TABLE wrong AS SELECT 1 AS n, NULL AS token UNION ALL SELECT 2, '' UNION ALL SELECT 3, 'x' UNION ALL SELECT 4, repeat('A', 43) UNION ALL SELECT 5, repeat('A', 2000)
    UNION ALL SELECT 6, left(:'token', -1) UNION ALL SELECT 7, :'token' || 'A' UNION ALL SELECT 8, overlay(:'token' PLACING CASE substr(:'token', 30, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 30)
    UNION ALL SELECT 9, overlay(:'token' PLACING CASE substr(:'token', 3, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 3) UNION ALL SELECT 10, :'token' || '=' UNION ALL SELECT 11, 'é';
SELECT count(DISTINCT (u.*)::text) AS answers, min(status) AS status FROM wrong, cadence_unsubscribe(token, n % 2 = 0) AS u;
SELECT count(*) FROM contact_opt_outs;
-- where nothing can be stored
BEGIN TRANSACTION READ ONLY;
SELECT status FROM cadence_unsubscribe(:'token', true);
SELECT status FROM cadence_unsubscribe(:'token');
COMMIT;
-- of another key
BEGIN;
UPDATE cadence_keys SET key = sha256('another') WHERE name = 'unsubscribe';
SELECT status FROM cadence_unsubscribe(:'token', true);
DELETE FROM cadence_keys;
SELECT status FROM cadence_unsubscribe(:'token', true);
ROLLBACK;

-- where the blocklist's key is lost, what was wanted is noted all the same
BEGIN;
TRUNCATE contact_opt_outs;
UPDATE cadence_keys SET key = sha256('another') WHERE name = 'blocklist';
SELECT status FROM cadence_unsubscribe(token(2), true);
SELECT lead_id, empresa, canal FROM opt_outs;
ROLLBACK;

-- the right to execute it is all that its caller needs
GRANT USAGE ON SCHEMA cadence TO regress_cadence_door, regress_cadence_clerk;
SET ROLE regress_cadence_door;
SELECT status FROM cadence_unsubscribe(:'token', true);
RESET ROLE;
TRUNCATE contact_opt_outs;
GRANT EXECUTE ON FUNCTION cadence_unsubscribe(text, boolean) TO regress_cadence_door;
SET ROLE regress_cadence_door;
SELECT status FROM cadence.cadence_unsubscribe(:'token', true);
\set VERBOSITY terse
SELECT cadence.cadence_unsubscribe_url('a0000000-0000-0000-0000-000000000001');
RESET ROLE;
SELECT * FROM opt_outs;
-- whoever makes links reads runs by rights of their own, and no key
GRANT EXECUTE ON FUNCTION cadence_unsubscribe_url(uuid, text) TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
SELECT cadence.cadence_unsubscribe_url('a0000000-0000-0000-0000-000000000001');
RESET ROLE;
GRANT SELECT ON lead_cadence_runs, cadence_steps TO regress_cadence_clerk;
CREATE POLICY clerk ON lead_cadence_runs TO regress_cadence_clerk USING (true);
CREATE POLICY clerk ON cadence_steps TO regress_cadence_clerk USING (true);
SET ROLE regress_cadence_clerk;
SELECT length(cadence.cadence_unsubscribe_url('a0000000-0000-0000-0000-000000000001')) AS made;
RESET ROLE;
\set VERBOSITY default

RESET search_path;
DROP SERVER regress_zap, regress_mail CASCADE;
DROP EXTENSION cadence_runner CASCADE;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_door, regress_cadence_clerk;
