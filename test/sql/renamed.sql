--
-- A column of lead_contacts that was renamed or dropped while runs are due: what it
-- said is not known any more, so nobody is written to.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
-- nobody listens there, so what would be sent is an attempt that fails
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
INSERT INTO cadences (empresa, codigo) VALUES ('ACME', 'OLA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) SELECT id, 1, 'WHATSAPP', 'T' FROM cadences;
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('ACME', 'T', 'Oi {{primeiro_nome}}');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, opt_out) VALUES ('l1', 'ACME', 'Ana Souza', '+5511987654321', true);
SELECT cadence_enroll('l1', 'OLA') IS NOT NULL AS enrolled;

-- who has opted out
ALTER TABLE lead_contacts RENAME opt_out TO nao_perturbe;
SELECT cadence_run('TEST');
SELECT cadence_preview(id) FROM lead_cadence_runs;
SELECT reasons FROM cadence_health();
SELECT status, next_run_at <= now() AS due, attempts FROM lead_cadence_runs;
SELECT tipo_evento, detalhes ->> 'codigo' AS codigo FROM lead_cadence_events ORDER BY created_at, id;
ALTER TABLE lead_contacts RENAME nao_perturbe TO opt_out;

-- what time it is there
ALTER TABLE lead_contacts RENAME fuso_horario TO fuso;
SELECT cadence_run('TEST');
SELECT status, next_run_at <= now() AS due, attempts FROM lead_cadence_runs;
ALTER TABLE lead_contacts RENAME fuso TO fuso_horario;

-- with both again
SELECT cadence_run('TEST') #>> '{results,0,erro}' AS erro;
SELECT status FROM lead_cadence_runs;
SELECT * FROM cadence_health();

-- of an address it is enough that nobody has one
UPDATE lead_cadence_runs SET status = 'ATIVA', next_run_at = now();
UPDATE lead_contacts SET opt_out = false;
ALTER TABLE lead_contacts DROP telefone;
SELECT cadence_run('TEST') #>> '{results,0,erro}' AS erro;

DROP EXTENSION cadence_runner CASCADE;
DROP SCHEMA cadence CASCADE;
