--
-- Protocols of one's own, and servers that are paused by hand or stopped by their failures.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_clerk;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();

-- a definition is checked before it is written
SELECT * FROM cadence_protocol_check('{"channels": ["FAX"], "operations": {}}') ORDER BY path COLLATE "C";
-- what it says of limits is checked as a server's options are
SELECT * FROM cadence_protocol_check('{"channels": ["SMS"],
  "operations": {"text": {"url": "{{option.url}}"}}, "response": {"success": {"status": "2xx"}},
  "limits": {"gap": "thirty", "max_in_flight": 0, "max_new_per_day": 0, "max_rate": "fast", "warm_up": "20-200", "timeout": 60,
             "quiet_until_reply": "perhaps", "on_uncertain": "hope", "limit_group": "", "domain_limits": "{}", "breaker_after": 101,
             "max_per_day": "10 a day", "min_gap": "1h"}}') ORDER BY path COLLATE "C";
SELECT * FROM cadence_protocol_check('{"channels": ["SMS"],
  "options": {"version": {"help": "of the API", "default": "v1", "ends": {"v1": "2027-1-1", "v2": 3}}},
  "operations": {"text": {"url": "{{option.url}}"}}, "response": {"success": {"status": "2xx"}}}') ORDER BY path COLLATE "C";
\set VERBOSITY terse
SELECT cadence_protocol_define('pombo', '{"channels": ["FAX"], "operations": {}}');
\set VERBOSITY default
SELECT cadence_protocol_define('pombo', '{
  "channels": ["SMS"],
  "options": {"url": {"required": true, "help": "where"}, "pombal": {"required": true, "help": "which"}},
  "secrets": {"chave": {"help": "key"}},
  "operations": {"text": {"url": "{{option.url}}/{{option.pombal}}", "headers": {"X-Chave": "{{secret.chave}}"},
                          "json": {"para": "{{recipient}}", "texto": "{{message}}", "chave": "{{secret.chave}}"}}},
  "response": {"success": {"status": "2xx"}}}');
SELECT name, built_in FROM cadence_protocols WHERE name = 'pombo';
CREATE SERVER regress_sms FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', protocol 'pombo', url 'http://127.0.0.1:1');
CREATE SERVER regress_sms FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'SMS', protocol 'pombo', url 'http://127.0.0.1:1', pombal 'norte', breaker_after '2');
CREATE USER MAPPING FOR PUBLIC SERVER regress_sms OPTIONS (chave 'segredo');

-- what a server uses stays, and what came with the extension
SELECT cadence_protocol_define('pombo', '{"channels": ["SMS"], "options": {"url": {"required": true, "help": "where"}},
  "operations": {"text": {"url": "{{option.url}}"}}, "response": {"success": {"status": "2xx"}}}');
DELETE FROM cadence_protocols WHERE name = 'pombo';
UPDATE cadence_protocols SET name = 'pomba' WHERE name = 'pombo';
SELECT cadence_protocol_define('webhook', (SELECT definition FROM cadence_protocols WHERE name = 'pombo'));
DELETE FROM cadence_protocols WHERE name = 'webhook';
INSERT INTO cadence_protocols SELECT 'outro', definition, true FROM cadence_protocols WHERE name = 'pombo';
TRUNCATE cadence_protocols;
-- nor is it anybody's to change
GRANT USAGE ON SCHEMA cadence TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
SELECT cadence_protocol_define('outro', '{}');
INSERT INTO cadence_protocols VALUES ('outro', '{}');
SELECT cadence_provider_pause('regress_sms');
RESET ROLE;
-- the right to execute is not the right to write
GRANT EXECUTE ON FUNCTION cadence_protocol_define(text, jsonb), cadence_provider_pause(text, text) TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
SELECT cadence_protocol_define('outro', '{}');
SELECT cadence_provider_pause('regress_sms');
SELECT count(*) > 10 AS may_read FROM cadence_protocols;
RESET ROLE;

INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'SMS', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Oi "{{nome}}"');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone) SELECT 'lead ' || n, 'BLUE', 'Ana', '1' FROM generate_series(1, 3) AS n;
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT ('a0000000-0000-0000-0000-00000000000' || n)::uuid, 'lead ' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() FROM generate_series(1, 3) AS n;
CREATE VIEW state AS SELECT lead_id, status, attempts, next_run_at > now() AS later,
    (SELECT string_agg(concat_ws(': ', e.detalhes ->> 'codigo', e.detalhes ->> 'erro'), ', ' ORDER BY e.created_at, e.id)
     FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id AND e.detalhes ->> 'codigo' LIKE 'PROVEDOR%') AS events
FROM lead_cadence_runs r ORDER BY lead_id;
-- the request as it would be made, but for its secrets
SELECT p ->> 'operacao' AS operacao, p ->> 'url' AS url, p ->> 'corpo' AS corpo FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p;

-- by hand: nothing leaves, and no attempt is used
SELECT cadence_provider_pause(NULL);
SELECT cadence_provider_pause('nenhum');
SELECT cadence_provider_pause('regress_sms', 'troca de chip');
SELECT r ->> 'status' AS status, r ->> 'mensagem' AS mensagem, count(*) FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r GROUP BY 1, 2;
SELECT * FROM state;
-- said once a day
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT cadence_run('TEST') #> '{summary,skipped}' AS skipped;
SELECT count(*) AS events FROM lead_cadence_events;
SELECT cadence_provider_pause('regress_sms');
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT DISTINCT r ->> 'mensagem' AS mensagem FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r;
SELECT paused_at IS NOT NULL AS paused, pause_reason FROM cadence_provider_state WHERE server = 'regress_sms';
SELECT cadence_provider_resume('regress_sms');
SELECT paused_at, pause_reason FROM cadence_provider_state WHERE server = 'regress_sms';

-- by its failures: two in a row, and the next execution lets nothing leave
SELECT count(*) AS due FROM lead_cadence_runs WHERE next_run_at <= now();
UPDATE lead_cadence_runs SET next_run_at = CASE lead_id WHEN 'lead 3' THEN now() + interval '1 h' ELSE now() END;
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT open_since IS NOT NULL AS open, open_until > now() AS for_a_while, openings, open_reason LIKE 'Failed to connect%' AS why FROM cadence_provider_state WHERE server = 'regress_sms';
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT r ->> 'status' AS status, count(*) FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r GROUP BY 1;
SELECT lead_id, status, attempts, later, regexp_replace(events, 'Failed.*', 'Failed') AS events FROM state;
-- after a while one is let through, to see; it fails, too
UPDATE cadence_provider_state SET open_until = now() - interval '1 s' WHERE server = 'regress_sms';
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT r ->> 'status' AS status, count(*) FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r GROUP BY 1 ORDER BY 1;
SELECT openings, open_until > now() + interval '90 s' AS longer FROM cadence_provider_state WHERE server = 'regress_sms';
-- whatever the row says
UPDATE cadence_provider_state SET open_until = now() - interval '1 s', openings = -5 WHERE server = 'regress_sms';
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT openings, open_until > now() + interval '30 s' AS for_a_while FROM cadence_provider_state WHERE server = 'regress_sms';
-- never again, says somebody, or a time that is nearly never: the runs have a time that can be read
CREATE VIEW far AS SELECT DISTINCT isfinite(next_run_at) AS finite, next_run_at > now() + interval '300 days' AS far FROM lead_cadence_runs;
UPDATE cadence_provider_state SET open_until = 'infinity', round_until = NULL WHERE server = 'regress_sms';
UPDATE lead_cadence_runs SET next_run_at = now();
SELECT cadence_run('TEST') #> '{summary,skipped}' AS skipped;
SELECT * FROM far;
SELECT cadence_provider_resume('regress_sms');
SELECT count(*) AS due FROM lead_cadence_runs WHERE next_run_at <= now();
UPDATE cadence_provider_state SET open_since = now(), open_until = '294276-12-31 23:59:59.5+00' WHERE server = 'regress_sms';
SELECT cadence_run('TEST') #> '{summary,skipped}' AS skipped;
SELECT * FROM far;
SELECT cadence_provider_resume('regress_sms');
SELECT count(*) AS due FROM lead_cadence_runs WHERE next_run_at <= now();
UPDATE cadence_provider_state SET next_at = 'infinity' WHERE server = 'regress_sms';
ALTER SERVER regress_sms OPTIONS (ADD gap '1s');
SELECT cadence_run('TEST') #> '{summary,skipped}' AS skipped;
SELECT * FROM far;
ALTER SERVER regress_sms OPTIONS (DROP gap);
-- whoever has mended it says so
SELECT cadence_provider_resume('regress_sms');
SELECT open_since, open_until, openings, open_reason FROM cadence_provider_state WHERE server = 'regress_sms';
UPDATE lead_cadence_runs SET next_run_at = CASE lead_id WHEN 'lead 1' THEN now() ELSE now() + interval '1 h' END;
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;

-- the API's version ends
CREATE SERVER regress_old FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'WHATSAPP', empresa 'OLD', protocol 'whatsapp_cloud', phone_number_id '1', version 'v21.0');
SELECT reason FROM cadence_health(), unnest(reasons) AS reason WHERE reason LIKE '%version%';
ALTER SERVER regress_old OPTIONS (SET version 'v99.0');
SELECT reason FROM cadence_health(), unnest(reasons) AS reason WHERE reason LIKE '%version%';
DROP SERVER regress_old;

-- the states of groups and domains are no server's, whatever anybody calls one
CREATE FOREIGN DATA WRAPPER regress_other;
GRANT USAGE ON FOREIGN DATA WRAPPER regress_other, cadence_provider TO regress_cadence_clerk;
DELETE FROM cadence_provider_state;
INSERT INTO cadence_provider_state (server) VALUES ('limit_group acme'), ('domain a.example of b'), ('regress_eve');
SET ROLE regress_cadence_clerk;
CREATE SERVER "limit_group acme" FOREIGN DATA WRAPPER regress_other;
ALTER SERVER "limit_group acme" RENAME TO regress_x;
ALTER SERVER regress_x RENAME TO "limit_group acme";
DROP SERVER "limit_group acme";
CREATE SERVER regress_eve FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://127.0.0.1:1');
ALTER SERVER regress_eve RENAME TO "limit_group acme";
ALTER SERVER "limit_group acme" RENAME TO "domain a.example of b";
DROP SERVER "domain a.example of b";
RESET ROLE;
SELECT server FROM cadence_provider_state ORDER BY server COLLATE "C";
-- and a server of such a name is no sender
ALTER SERVER regress_sms RENAME TO "limit_group acme";
UPDATE lead_cadence_runs SET next_run_at = now() WHERE lead_id = 'lead 1';
SELECT r ->> 'erro' AS erro FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r;
SELECT cadence_provider_pause('limit_group acme');
ALTER SERVER "limit_group acme" RENAME TO regress_sms;

-- a server may be restored before its protocol, which then has to take what it says
CREATE FUNCTION pg_temp.defined(options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text;
BEGIN
    SET LOCAL check_function_bodies = off;
    EXECUTE format('CREATE SERVER regress_later FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal ''SMS'', protocol ''depois'', %s)', options);
    PERFORM cadence.cadence_protocol_define('depois', (SELECT definition FROM cadence.cadence_protocols WHERE name = 'pombo'));
    RAISE 'taken';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message := MESSAGE_TEXT;
    RETURN message;
END $$;
SELECT o, pg_temp.defined($$pombal 'sul', $$ || o) FROM unnest(ARRAY[$$url 'https://sms.example/'$$, $$url 'https://a:b@sms.example/'$$,
    $$url 'ftp://sms.example/'$$, $$url E'https://sms.example/\nx'$$, $$url 'https://sms.example/', empresa E'a\nb'$$,
    $$url 'https://sms.example/', max_per_day '-1'$$, $$url 'https://sms.example/', gap 'já'$$]) AS o;

RESET search_path;
DROP FOREIGN DATA WRAPPER regress_other;
REVOKE USAGE ON FOREIGN DATA WRAPPER cadence_provider FROM regress_cadence_clerk;
DROP SERVER regress_sms CASCADE;
DELETE FROM cadence.cadence_protocols WHERE name = 'pombo';
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_clerk;
