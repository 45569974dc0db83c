--
-- What docs/inbound.md puts in front of cadence_receive() for PostgREST: a function with one
-- unnamed argument, which a role may call that can do nothing else.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_anon;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER wa FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', url 'http://127.0.0.1:1/');
CREATE USER MAPPING FOR CURRENT_USER SERVER wa OPTIONS (webhook_token 'senha');
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('ana', 'BLUE', '+5511987654321');

CREATE FUNCTION hook_wa(json) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer record;
BEGIN
    SELECT * INTO answer FROM cadence_receive('wa', current_setting('request.method'),
        current_setting('request.headers')::jsonb, '', convert_to($1::text, 'UTF8'));
    PERFORM set_config('response.status', answer.status::text, true);
    RETURN answer.body;
END $$;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_anon;
GRANT EXECUTE ON FUNCTION cadence_receive(text, text, jsonb, text, bytea, text) TO regress_cadence_anon;
-- as PostgREST does it: a transaction, the role, what came, the call, and what it says to answer
CREATE VIEW answer AS SELECT current_setting('response.status', true) AS status;
GRANT SELECT ON answer TO regress_cadence_anon;

BEGIN;
SELECT set_config('request.method', 'POST', true), set_config('request.headers', '{"authorization": "Bearer senha", "content-type": "application/json"}', true);
SET LOCAL ROLE regress_cadence_anon;
SELECT hook_wa('{"event": "message", "id": "in.1", "phone": "+5511987654321", "text": "SAIR"}');
SELECT * FROM answer;
SELECT count(*) FROM lead_messages;
ROLLBACK;
BEGIN;
SELECT set_config('request.method', 'POST', true), set_config('request.headers', '{"authorization": "Bearer senha", "content-type": "application/json"}', true);
SET LOCAL ROLE regress_cadence_anon;
SELECT hook_wa('{"event": "message", "id": "in.1", "phone": "+5511987654321", "text": "SAIR"}');
COMMIT;
SELECT lead_id, direcao, conteudo FROM lead_messages;
SELECT lead_id, canal, origem FROM contact_opt_outs;
-- whoever proves nothing gets nowhere
BEGIN;
SELECT set_config('request.method', 'POST', true), set_config('request.headers', '{"authorization": "Bearer outra"}', true);
SET LOCAL ROLE regress_cadence_anon;
SELECT hook_wa('{"event": "opt_in", "phone": "+5511987654321"}');
SELECT * FROM answer;
COMMIT;
SELECT count(*) AS opt_outs FROM contact_opt_outs;

RESET search_path;
DROP SERVER wa CASCADE;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_anon;
