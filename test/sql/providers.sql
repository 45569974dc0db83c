--
-- Which server a message goes to.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_crm LOGIN;
CREATE ROLE regress_cadence_group;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
GRANT ALL ON SCHEMA cadence TO regress_cadence_crm;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cadence TO regress_cadence_crm;
SET ROLE regress_cadence_crm;
SET search_path = cadence;
SELECT cadence_create_tables();
-- a lead that is active several times in a cadence, as an adopted table may have it
DROP INDEX lead_cadence_runs_active_idx;
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'TRES');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA'), ('c0000000-0000-0000-0000-000000000001', 2, 'EMAIL', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 3, 'SMS', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) SELECT e, 'OLA', 'Oi' FROM unnest(ARRAY['BLUE', 'GOLD', 'blue']) AS e;
INSERT INTO lead_contacts (lead_id, empresa, telefone, email)
SELECT 'lead ' || n, e, n, n || '@example.com' FROM generate_series(1, 40) AS n, unnest(ARRAY['BLUE', 'GOLD', 'blue']) AS e;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem)
SELECT 'lead ' || n, e, 'c0000000-0000-0000-0000-000000000001', s FROM generate_series(1, 40) AS n, unnest(ARRAY['BLUE', 'GOLD', 'blue']) AS e, generate_series(1, 3) AS s;
CREATE VIEW chosen AS
SELECT empresa COLLATE "C" AS empresa, (p ->> 'canal') COLLATE "C" AS canal,
       coalesce(p ->> 'provedor', p ->> 'codigo') COLLATE "C" AS provider, count(*) AS leads
FROM lead_cadence_runs r, cadence_preview(r.id) AS p GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
RESET ROLE;

-- none
SELECT * FROM chosen;
-- one for any company; its owner's word is what counts, and a superuser's view does not change it
-- however often it fails, it goes on being asked
CREATE SERVER regress_any FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/', breaker_after '0');
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
GRANT USAGE ON FOREIGN SERVER regress_any TO regress_cadence_crm;
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
-- by membership, too
REVOKE USAGE ON FOREIGN SERVER regress_any FROM regress_cadence_crm;
GRANT USAGE ON FOREIGN SERVER regress_any TO regress_cadence_group;
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
GRANT regress_cadence_group TO regress_cadence_crm;
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
-- the company's own comes first; companies are compared letter by letter, channels are not
CREATE SERVER regress_blue FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'whatsapp', empresa 'BLUE', url 'http://127.0.0.1:1/', breaker_after '0');
GRANT USAGE ON FOREIGN SERVER regress_blue TO PUBLIC;
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
-- one that is not ours is not there
REVOKE USAGE ON FOREIGN SERVER regress_blue FROM PUBLIC;
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
GRANT USAGE ON FOREIGN SERVER regress_blue TO regress_cadence_crm;

-- a server that another has made takes over nobody's messages, whatever USAGE it grants and whatever mapping it has: its owner writes
-- them for anybody
CREATE ROLE regress_cadence_other;
GRANT USAGE ON FOREIGN DATA WRAPPER cadence_provider TO regress_cadence_other;
SET ROLE regress_cadence_other;
CREATE SERVER regress_alien FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'GOLD', url 'http://127.0.0.1:1/', breaker_after '0');
GRANT USAGE ON FOREIGN SERVER regress_alien TO regress_cadence_crm;
CREATE USER MAPPING FOR PUBLIC SERVER regress_alien;
CREATE USER MAPPING FOR regress_cadence_crm SERVER regress_alien;
RESET ROLE;
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
-- nor whoever the owner is a member of: that one can not act as the owner
GRANT regress_cadence_other TO regress_cadence_crm;
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
REVOKE regress_cadence_other FROM regress_cadence_crm;
-- as the owner's own it counts, and as a role's that could act as the owner; no longer when that has ended
GRANT USAGE ON FOREIGN DATA WRAPPER cadence_provider TO regress_cadence_crm;
ALTER SERVER regress_alien OWNER TO regress_cadence_crm;
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
ALTER SERVER regress_alien OWNER TO regress_cadence_other;
GRANT USAGE ON FOREIGN SERVER regress_alien TO regress_cadence_crm;
GRANT regress_cadence_crm TO regress_cadence_other;
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
REVOKE regress_cadence_crm FROM regress_cadence_other;
SELECT * FROM chosen WHERE canal = 'WHATSAPP';
DROP SERVER regress_alien CASCADE;
REVOKE USAGE ON FOREIGN DATA WRAPPER cadence_provider FROM regress_cadence_other, regress_cadence_crm;
DROP ROLE regress_cadence_other;

-- among equals, each lead has its own, whenever asked, and all get some
CREATE SERVER regress_sms1 FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://127.0.0.1:1/', breaker_after '0');
CREATE SERVER regress_sms2 FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://127.0.0.1:1/', breaker_after '0');
CREATE SERVER regress_sms3 FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://127.0.0.1:1/', breaker_after '0');
GRANT USAGE ON FOREIGN SERVER regress_sms1, regress_sms2, regress_sms3 TO regress_cadence_crm;
CREATE TABLE first_choice AS SELECT lead_id, empresa, cadence_preview(id) ->> 'provedor' AS provider FROM lead_cadence_runs WHERE next_step_ordem = 3;
SELECT provider, count(*) > 10 AS many FROM first_choice GROUP BY 1 ORDER BY 1;
SELECT count(DISTINCT provider) AS choices_per_lead FROM first_choice GROUP BY lead_id ORDER BY 1 DESC LIMIT 1;
\c -
SET client_min_messages = warning;
SET search_path = cadence;
SELECT count(*) AS changed FROM first_choice f JOIN lead_cadence_runs r USING (lead_id, empresa)
WHERE next_step_ordem = 3 AND cadence_preview(r.id) ->> 'provedor' <> f.provider;
-- one more takes some and moves no other
CREATE SERVER regress_sms0 FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://127.0.0.1:1/', breaker_after '0');
GRANT USAGE ON FOREIGN SERVER regress_sms0 TO regress_cadence_crm;
SELECT cadence_preview(r.id) ->> 'provedor' AS now_at, count(*) > 0 AS some FROM first_choice f JOIN lead_cadence_runs r USING (lead_id, empresa)
WHERE next_step_ordem = 3 AND cadence_preview(r.id) ->> 'provedor' <> f.provider GROUP BY 1;
-- one that goes leaves its leads to the others
DROP SERVER regress_sms0;
DROP SERVER regress_sms2;
SELECT f.provider AS was_at, count(*) FILTER (WHERE p ->> 'provedor' <> f.provider) > 0 AS moved
FROM first_choice f JOIN lead_cadence_runs r USING (lead_id, empresa), cadence_preview(r.id) AS p WHERE next_step_ordem = 3 GROUP BY 1 ORDER BY 1;

-- an execution chooses as the preview does
DELETE FROM lead_cadence_runs WHERE next_step_ordem <> 3 OR empresa <> 'BLUE';
CREATE TABLE previewed AS SELECT id, cadence_preview(id) ->> 'provedor' AS provider FROM lead_cadence_runs;
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT cadence_run('TEST') -> 'summary' -> 'total' AS total;
SELECT count(*) FILTER (WHERE e.detalhes ->> 'provedor' = p.provider) AS same, count(*) AS all FROM previewed p JOIN lead_cadence_events e ON e.lead_cadence_run_id = p.id;

-- one that can not be used takes nobody new while another can; who has heard from it, as some have from here on, keeps it
CREATE USER MAPPING FOR regress_cadence_crm SERVER regress_sms1 OPTIONS (bearer_token_file '/nowhere/cadence-secret', host '127.0.0.1');
SELECT cadence_preview(id) ->> 'provedor' AS provider, count(*) FROM lead_cadence_runs GROUP BY 1;
INSERT INTO cadence_conversations (empresa, lead_id, canal, server, last_sent_at)
SELECT empresa, lead_id, 'SMS', provider, now() - interval '1 day' FROM previewed JOIN lead_cadence_runs USING (id)
ON CONFLICT (empresa, lead_id, canal) DO UPDATE SET server = EXCLUDED.server, last_sent_at = EXCLUDED.last_sent_at;

-- a secret's file that can not be read: unresolved, and its path is told to nobody
CREATE USER MAPPING FOR PUBLIC SERVER regress_sms3 OPTIONS (password_file '/nowhere/cadence-secret', host '127.0.0.1');
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT r ->> 'status' AS status, r ->> 'erro' AS erro, count(*) > 0 AS some FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r GROUP BY 1, 2 ORDER BY 2;
SELECT detalhes ->> 'codigo' AS codigo, count(*) FROM lead_cadence_events GROUP BY 1 ORDER BY 1;
SELECT count(*) AS told FROM lead_cadence_events WHERE detalhes::text LIKE '%nowhere%';
-- the owner's own mapping counts before the one for everybody
CREATE USER MAPPING FOR regress_cadence_crm SERVER regress_sms3 OPTIONS (username 'usuario', password 'senha secreta');
ALTER USER MAPPING FOR regress_cadence_crm SERVER regress_sms1 OPTIONS (DROP bearer_token_file, DROP host, ADD bearer_token 'segredo');
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT r ->> 'status' AS status, count(*) FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r WHERE r ->> 'erro' LIKE '%127.0.0.1%' GROUP BY 1;
SELECT count(*) AS told FROM lead_cadence_events WHERE detalhes::text LIKE '%segredo%';

-- a secret is for one host: who changes the url does not get it
ALTER USER MAPPING FOR regress_cadence_crm SERVER regress_sms1 OPTIONS (ADD host 'LOCALHOST');
ALTER USER MAPPING FOR regress_cadence_crm SERVER regress_sms3 OPTIONS (ADD host '127.0.0.1');
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT r ->> 'status' AS status, regexp_replace(r ->> 'erro', 'Failed.*', 'Failed') AS erro, count(*) > 0 AS some FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r GROUP BY 1, 2 ORDER BY 2;
ALTER SERVER regress_sms1 OPTIONS (SET url 'http://localhost:1/');
ALTER SERVER regress_sms3 OPTIONS (SET url 'http://127.0.0.1.example.com:1/');
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT r ->> 'status' AS status, regexp_replace(r ->> 'erro', 'Failed.*', 'Failed') AS erro, count(*) > 0 AS some FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r GROUP BY 1, 2 ORDER BY 2;
ALTER USER MAPPING FOR regress_cadence_crm SERVER regress_sms1 OPTIONS (DROP host);
ALTER USER MAPPING FOR regress_cadence_crm SERVER regress_sms3 OPTIONS (DROP host);
-- nor is any host good enough where the setting names some
ALTER SERVER regress_sms1 OPTIONS (SET url 'http://127.0.0.1:1/');
ALTER SERVER regress_sms3 OPTIONS (SET url 'http://a.example.invalid:1/');
ALTER ROLE regress_cadence_crm SET cadence_runner.allowed_hosts = 'other.example, .Example.INVALID';
SELECT DISTINCT cadence_preview(id) ->> 'erro' AS erro FROM lead_cadence_runs;
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT r ->> 'status' AS status, regexp_replace(r ->> 'erro', 'not resolve.*', 'not resolve') AS erro, count(*) > 0 AS some FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r GROUP BY 1, 2 ORDER BY 2;
ALTER ROLE regress_cadence_crm RESET cadence_runner.allowed_hosts;
-- also where it is its protocol that names one
SELECT cadence_protocol_define('regress_fixed', '{"channels": ["SMS"], "options": {"url": {"required": true, "help": "none"}}, "secrets": {"key": {"help": "key"}},
  "operations": {"text": {"url": "https://fixed.example/send", "headers": {"X-Key": "{{secret.key}}"}}}, "response": {"success": {"status": "2xx"}}}');
CREATE SERVER regress_fixed FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', empresa 'BLUE', protocol 'regress_fixed', url 'http://other.example/');
GRANT USAGE ON FOREIGN SERVER regress_fixed TO regress_cadence_crm;
SET cadence_runner.allowed_hosts = 'other.example';
SELECT DISTINCT cadence_preview(id) ->> 'erro' AS erro FROM lead_cadence_runs;
RESET cadence_runner.allowed_hosts;
CREATE USER MAPPING FOR regress_cadence_crm SERVER regress_fixed OPTIONS (key 'segredo', host 'other.example');
SELECT DISTINCT cadence_preview(id) ->> 'erro' AS erro FROM lead_cadence_runs;
ALTER USER MAPPING FOR regress_cadence_crm SERVER regress_fixed OPTIONS (SET host 'fixed.example');
ALTER SERVER regress_fixed OPTIONS (SET url 'http://fixed.example/');
SELECT DISTINCT cadence_preview(id) ->> 'url' AS url FROM lead_cadence_runs;
DROP SERVER regress_fixed CASCADE;
DELETE FROM cadence_protocols WHERE name = 'regress_fixed';

-- a link-local address is never connected to
DROP USER MAPPING FOR PUBLIC SERVER regress_sms3;
ALTER SERVER regress_sms1 OPTIONS (SET url 'http://169.254.169.254/latest/meta-data/');
ALTER SERVER regress_sms3 OPTIONS (SET url 'http://[::ffff:169.254.169.254]/');
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT r ->> 'status' AS status, r ->> 'erro' AS erro, count(*) FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r GROUP BY 1, 2;

DROP VIEW chosen;
RESET search_path;
DROP SERVER regress_any, regress_blue, regress_sms1, regress_sms3 CASCADE;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_crm, regress_cadence_group;
