--
-- DROP EXTENSION: servers stop it, as with any wrapper; tables do not, and stay.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Oi');
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('ana', 'BLUE', '1');
SELECT cadence_enroll('ana', 'UMA') IS NOT NULL AS enrolled;
SELECT cadence_run('TEST') #> '{summary,total}' AS total;

SET client_min_messages = notice;
DROP EXTENSION cadence_runner;
SET client_min_messages = warning;
DROP SERVER regress_zap;
DROP EXTENSION cadence_runner;
-- nothing of it is left, but what the tables hold
SELECT count(*) AS functions FROM pg_proc WHERE pronamespace = 'cadence'::regnamespace;
SELECT relname FROM pg_class WHERE relnamespace = 'cadence'::regnamespace AND relkind NOT IN ('i', 't') ORDER BY 1;
SELECT (SELECT count(*) FROM lead_cadence_runs) AS runs, (SELECT count(*) FROM lead_cadence_events) AS events, (SELECT count(*) FROM cadence_runner_logs) AS logs;
-- every table takes rows, changes and removals by its own defaults
INSERT INTO cadences (empresa, codigo) VALUES ('GOLD', 'DUAS');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) SELECT id, 1, 'SMS', 'OLA' FROM cadences WHERE codigo = 'DUAS';
INSERT INTO lead_contacts (lead_id, empresa) VALUES ('bia', 'GOLD');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('GOLD', 'OLA', 'Oi');
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id) SELECT 'bia', 'GOLD', id FROM cadences WHERE codigo = 'DUAS';
INSERT INTO lead_cadence_events (lead_cadence_run_id, tipo_evento) SELECT id, 'RESPOSTA_DETECTADA' FROM lead_cadence_runs;
INSERT INTO lead_messages (lead_id, empresa, canal, direcao) VALUES ('bia', 'GOLD', 'SMS', 'INBOUND');
INSERT INTO cadence_empresas (empresa) VALUES ('GOLD');
-- what was refused is nobody's business any more
UPDATE cadences SET janela = '[]', max_por_dia = 0 WHERE codigo = 'DUAS';
UPDATE cadence_steps SET se_falhar = 'PARAR';
UPDATE cadence_empresas SET fuso_horario = 'Marte';
INSERT INTO cadence_runner_logs DEFAULT VALUES;
UPDATE lead_cadence_runs SET status = 'PAUSADA', next_run_at = now();
UPDATE lead_contacts SET opt_out = true;
DELETE FROM lead_cadence_runs;
SELECT count(*) AS events FROM lead_cadence_events;

-- a library of this version without its extension says so
CREATE FUNCTION pg_temp.stray(text) RETURNS jsonb AS '$libdir/cadence_runner', 'cadence_run' LANGUAGE C;
SELECT pg_temp.stray('TEST');
-- and one with SQL objects of another version, too
CREATE EXTENSION cadence_runner SCHEMA cadence;
UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'cadence_runner';
SELECT cadence_run('TEST');
SELECT cadence_preview('00000000-0000-0000-0000-000000000001');
UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'cadence_runner';

-- CASCADE takes servers and mappings along, and leaves the tables
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
CREATE USER MAPPING FOR PUBLIC SERVER regress_zap OPTIONS (bearer_token 'segredo');
-- who was enrolled before, in the same transaction, is counted nowhere, and there is nothing to complain of
SELECT cadence_create_tables();
BEGIN;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id) SELECT 'bia', 'GOLD', id FROM cadences WHERE codigo = 'DUAS';
DROP EXTENSION cadence_runner CASCADE;
COMMIT;
SELECT count(*) AS servers FROM pg_foreign_server WHERE srvname = 'regress_zap';
SELECT count(*) AS tables FROM pg_class WHERE relnamespace = 'cadence'::regnamespace AND relkind = 'r';

RESET search_path;
DROP SCHEMA cadence CASCADE;
