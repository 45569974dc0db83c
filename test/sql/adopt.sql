--
-- An installation that is in use already: enum types, columns, triggers and
-- policies of its own, no unique constraints, duplicated rows.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_crm LOGIN;
CREATE SCHEMA crm AUTHORIZATION regress_cadence_crm;
CREATE EXTENSION cadence_runner SCHEMA crm;
-- the waits after a failure neither grow nor are spread
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cadence_runner.retry_factor = 1', current_database()); END $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA crm TO regress_cadence_crm;
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
GRANT USAGE ON FOREIGN SERVER regress_zap TO regress_cadence_crm;

SET ROLE regress_cadence_crm;
SET search_path = crm;
CREATE TYPE empresa_tipo AS ENUM ('BLUE', 'GOLD');
CREATE TYPE canal_tipo AS ENUM ('EMAIL', 'WHATSAPP', 'SMS', 'POMBO');
CREATE TYPE "Status da cadência" AS ENUM ('PAUSADA', 'ATIVA', 'CONCLUIDA', 'CANCELADA');
CREATE TYPE tipo_evento_cadencia AS ENUM ('ERRO', 'DISPARADO', 'AGENDADO', 'RESPOSTA_DETECTADA');
CREATE DOMAIN codigo_curto AS varchar(40) CHECK (VALUE <> '');
CREATE TABLE cadences (
    nome text, codigo codigo_curto NOT NULL, id uuid PRIMARY KEY DEFAULT gen_random_uuid(), empresa empresa_tipo NOT NULL,
    ativo bool, descricao text, canal_principal canal_tipo, dono text NOT NULL DEFAULT 'marketing',
    created_at timestamptz DEFAULT now(), updated_at timestamptz);
CREATE TABLE cadence_steps (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), cadence_id uuid REFERENCES cadences, ordem smallint NOT NULL,
    offset_minutos bigint, canal canal_tipo, template_codigo varchar(40), parar_se_responder bool,
    created_at timestamptz DEFAULT now(), updated_at timestamptz);
CREATE TABLE lead_contacts (
    lead_id varchar NOT NULL, empresa empresa_tipo NOT NULL, nome text, primeiro_nome text, email text, telefone text,
    "cidade natal" text, score numeric, etiquetas text[], nascimento date,
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), created_at timestamptz DEFAULT now(), updated_at timestamptz);
CREATE TABLE message_templates (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), empresa empresa_tipo, canal canal_tipo, codigo varchar(40), nome text,
    conteudo text, descricao text, ativo bool, created_at timestamptz DEFAULT now(), updated_at timestamptz);
CREATE TABLE lead_cadence_runs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id varchar NOT NULL, empresa empresa_tipo NOT NULL,
    cadence_id uuid REFERENCES cadences, status "Status da cadência" NOT NULL DEFAULT 'ATIVA',
    started_at timestamptz DEFAULT now(), last_step_ordem smallint, next_step_ordem bigint, next_run_at timestamptz,
    classification_snapshot jsonb, fonte_evento_id uuid, observacao text,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE lead_cadence_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_cadence_run_id uuid REFERENCES lead_cadence_runs, step_ordem int,
    template_codigo text, tipo_evento tipo_evento_cadencia NOT NULL, detalhes jsonb, origem text NOT NULL DEFAULT 'edge',
    numero int GENERATED ALWAYS AS IDENTITY, created_at timestamptz DEFAULT now());
CREATE TABLE auditoria (id int GENERATED ALWAYS AS IDENTITY, run_id uuid, de text, para text, quem text, sessao text);

-- triggers that name their tables without a schema, as such installations do
CREATE FUNCTION auditar() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO auditoria (run_id, de, para, quem, sessao)
    VALUES (new.id, old.next_run_at IS NOT NULL, new.attempts::text, current_user, session_user);
    RETURN NULL;
END $$;
CREATE FUNCTION tocar() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    new.updated_at := now();
    SET LOCAL synchronous_commit = off;
    SET lock_timeout = '1ms';
    SET row_security = on;
    RETURN new;
END $$;
CREATE TRIGGER auditar AFTER UPDATE ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION auditar();
CREATE TRIGGER tocar BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION tocar();
ALTER TABLE lead_cadence_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_contacts ENABLE ROW LEVEL SECURITY;
CREATE POLICY ninguem ON lead_contacts USING (false);
CREATE POLICY ninguem ON lead_cadence_runs USING (false);

-- rows in use
INSERT INTO cadences (id, codigo, empresa, ativo, updated_at) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'QUENTE', 'BLUE', NULL, NULL),
    ('c0000000-0000-0000-0000-000000000002', 'FRIA', 'GOLD', true, now());
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 0, 'WHATSAPP', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 2, 60, 'POMBO', 'OLA'),
    ('c0000000-0000-0000-0000-000000000002', 1, 0, 'WHATSAPP', 'TCHAU');
INSERT INTO message_templates (empresa, codigo, conteudo, ativo, updated_at) VALUES
    ('BLUE', 'OLA', 'velho {{nada}}', false, now() - interval '2 days'),
    ('BLUE', 'OLA', 'Oi {{primeiro_nome}} de {{cidade natal|longe}}, {{empresa}}: {{score}} {{etiquetas}} {{nascimento}}', NULL, now()),
    ('BLUE', 'OLA', 'sem data {{nada}}', true, NULL),
    ('GOLD', 'TCHAU', 'Tchau {{nome}}', true, now()),
    ('GOLD', 'TCHAU', 'Tchau', false, now() + interval '1 second');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, "cidade natal", score, etiquetas, nascimento, updated_at) VALUES
    ('l1', 'BLUE', 'Velha', NULL, 'x', 1, '{}', NULL, now() - interval '1 day'),
    ('l1', 'BLUE', 'Ana Souza', '+55 11 1', 'São Paulo', 9.50, '{a,"b c"}', '2000-02-29', now()),
    ('l1', 'BLUE', 'Sem data', NULL, 'x', 1, '{}', NULL, NULL),
    ('l1', 'GOLD', 'Outra', NULL, 'x', 1, '{}', NULL, now() + interval '1 day'),
    ('l2', 'BLUE', 'Bia', '+55 11 2', 'x', 1, '{}', NULL, now() - interval '1 day'),
    ('l2', 'BLUE', 'Bia', NULL, 'x', 1, '{}', NULL, now()),
    ('l3', 'GOLD', 'Caio', '+55 11 3', 'x', 1, '{}', NULL, now()),
    ('l4', 'BLUE', 'Davi', '+55 11 4', NULL, NULL, NULL, NULL, now()),
    ('l5', 'GOLD', 'Eva', '+55 11 5', NULL, NULL, NULL, NULL, now());
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at, observacao) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'l1', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() - interval '5 min', 'x'),
    ('a0000000-0000-0000-0000-000000000002', 'l2', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() - interval '4 min', NULL),
    ('a0000000-0000-0000-0000-000000000003', 'l3', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() - interval '3 min', NULL),
    ('a0000000-0000-0000-0000-000000000004', 'l4', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 2, now() - interval '2 min', NULL),
    ('a0000000-0000-0000-0000-000000000005', 'l5', 'GOLD', 'c0000000-0000-0000-0000-000000000002', 1, now() - interval '1 min', NULL),
    ('a0000000-0000-0000-0000-000000000006', 'l5', 'GOLD', 'c0000000-0000-0000-0000-000000000002', 1, now() + interval '1 hour', NULL);
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at, status) VALUES
    ('a0000000-0000-0000-0000-000000000007', 'l1', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() - interval '5 min', 'PAUSADA'),
    ('a0000000-0000-0000-0000-000000000008', 'l1', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, NULL, 'ATIVA');
INSERT INTO lead_cadence_events (lead_cadence_run_id, tipo_evento) VALUES ('a0000000-0000-0000-0000-000000000001', 'AGENDADO');
CREATE TABLE before_adoption AS SELECT attrelid::regclass AS rel, attname, format_type(atttypid, atttypmod) AS type, attnotnull
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = 'crm'::regnamespace AND relkind = 'r' AND attnum > 0;

-- not adopted yet: said, not guessed
SELECT cadence_run('TEST');

SET client_min_messages = notice;
SELECT cadence_create_tables();
SELECT cadence_create_tables();
SET client_min_messages = warning;
-- no type was changed and nothing dropped
SELECT b.* FROM before_adoption b LEFT JOIN pg_attribute a
    ON a.attrelid = b.rel AND a.attname = b.attname AND format_type(a.atttypid, a.atttypmod) = b.type AND a.attnotnull = b.attnotnull
WHERE a.attname IS NULL;
SELECT relowner::regrole AS owner, count(*) FROM pg_class
WHERE relnamespace = 'crm'::regnamespace AND relkind = 'r' AND relname <> 'cadence_protocols' GROUP BY 1;
SELECT count(*) AS runs, sum(attempts) AS attempts FROM lead_cadence_runs;
-- the claim finds its rows by this index, an enum's literal notwithstanding
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at <= now() ORDER BY next_run_at, id LIMIT 500;
RESET enable_seqscan;

-- the most recently updated row counts; of templates, of the active ones
SELECT id, p ->> 'destinatario' AS destinatario, p ->> 'mensagem' AS mensagem, p ->> 'codigo' AS codigo, p ->> 'erro' AS erro
FROM lead_cadence_runs r, cadence_preview(r.id) AS p ORDER BY id;

-- each run once, and only those that are due
SELECT cadence_run('MANUAL') AS summary \gset
SELECT :'summary'::jsonb -> 'summary' ->> k AS value, k AS key FROM unnest(ARRAY['total', 'success', 'errors', 'skipped', 'trigger_source']) AS k;
SELECT right(r ->> 'runId', 1) AS run, r ->> 'leadId' AS lead, r -> 'stepOrdem' AS step, r ->> 'templateCodigo' AS template, r ->> 'status' AS status
FROM jsonb_array_elements(:'summary'::jsonb -> 'results') AS r ORDER BY 1;
SELECT right(id::text, 1) AS run, status, next_step_ordem AS next, date_trunc('minute', next_run_at - now() + interval '30 s') AS due_in, attempts, claim_id
FROM lead_cadence_runs ORDER BY id;
SELECT right(lead_cadence_run_id::text, 1) AS run, step_ordem AS step, template_codigo, tipo_evento, detalhes ->> 'codigo' AS codigo, origem
FROM lead_cadence_events ORDER BY lead_cadence_run_id, created_at;
-- its triggers ran as the owner, with that owner as the session's user, and found their tables
SELECT right(run_id::text, 1) AS run, para AS attempts, quem, sessao FROM auditoria ORDER BY run_id, id;

-- and the functions of a run
SELECT cadence_enroll('l9', 'QUENTE') IS NOT NULL AS enrolled;
SELECT cadence_pause('a0000000-0000-0000-0000-000000000001');
SELECT cadence_resume('a0000000-0000-0000-0000-000000000001');
SELECT cadence_resume('a0000000-0000-0000-0000-000000000007');
SELECT cadence_cancel('a0000000-0000-0000-0000-000000000001', 'já comprou');
SELECT cadence_resume('a0000000-0000-0000-0000-000000000007');

-- a policy that would hide rows from the owner is an error, not an empty result
ALTER TABLE lead_contacts FORCE ROW LEVEL SECURITY;
UPDATE lead_cadence_runs SET next_run_at = now() WHERE id = 'a0000000-0000-0000-0000-000000000002';
SELECT DISTINCT r ->> 'erro' AS erro FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r;
SELECT errors, runs_touched, details ->> 'sqlstate' AS sqlstate, details ->> 'erro' AS erro FROM cadence_runner_logs WHERE trigger_source = 'TEST';
SELECT status, next_run_at <= now() AS due, claim_id FROM lead_cadence_runs WHERE id = 'a0000000-0000-0000-0000-000000000002';
ALTER TABLE lead_contacts NO FORCE ROW LEVEL SECURITY;

RESET ROLE;
RESET search_path;
DROP SERVER regress_zap;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET cadence_runner.retry_factor', current_database()); END $$;
DROP EXTENSION cadence_runner;
DROP SCHEMA crm CASCADE;
DROP ROLE regress_cadence_crm;
