--
-- What can not be adopted: one error that lists all of it, and nothing changed.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_crm LOGIN;
CREATE ROLE regress_cadence_other;
CREATE SCHEMA crm;
GRANT ALL ON SCHEMA crm TO regress_cadence_crm, regress_cadence_other;
CREATE EXTENSION cadence_runner SCHEMA crm;
SET search_path = crm;

-- wrong in every way that is known
CREATE TYPE status_curto AS ENUM ('ATIVA', 'PAUSADA');
CREATE TYPE evento_curto AS ENUM ('DISPARADO');
CREATE TYPE par AS (a int, b int);
CREATE DOMAIN telefone AS bigint;
CREATE DOMAIN telefone2 AS telefone;
CREATE TABLE cadences (id int PRIMARY KEY, empresa int, codigo text, ativo text, created_at timestamp);
CREATE TABLE cadence_steps (cadence_id text, ordem text, offset_minutos interval);
CREATE VIEW lead_contacts AS SELECT 1 AS id;
CREATE MATERIALIZED VIEW message_templates AS SELECT 1 AS id;
CREATE TABLE lead_cadence_runs (id uuid, lead_id uuid, empresa par, cadence_id uuid, status status_curto,
    next_step_ordem numeric, next_run_at timestamp, attempts text, claim_id text);
CREATE TABLE lead_cadence_events (id uuid, lead_cadence_run_id uuid, tipo_evento evento_curto, detalhes json,
    autor text NOT NULL, turno text NOT NULL DEFAULT 'dia', seq bigint GENERATED ALWAYS AS IDENTITY,
    dobro bigint NOT NULL GENERATED ALWAYS AS (2) STORED);
CREATE TABLE lead_messages (id uuid, lead_id telefone2, direcao status_curto, enviado_em date, "Responsável" int NOT NULL);
CREATE TABLE cadence_runner_logs (id uuid, executed_at timestamptz, details text, trigger_source status_curto);
CREATE TABLE snapshot AS SELECT attrelid, attnum, attname, atttypid, attisdropped FROM pg_attribute
WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'crm'::regnamespace AND relkind IN ('r', 'v', 'm'));

-- the error lists all that the view knows
CREATE FUNCTION refused(owner regrole DEFAULT NULL, OUT code text, OUT message text, OUT hint text, OUT listed text[]) LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    PERFORM cadence_create_tables(owner);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT,
                            hint := PG_EXCEPTION_HINT, detail := PG_EXCEPTION_DETAIL;
    listed := string_to_array(detail, E'\n');
END $$;
\x on
SELECT code, message, hint FROM refused();
\x off
SELECT problem FROM unnest((SELECT listed FROM refused())) AS problem ORDER BY problem COLLATE "C";
SELECT cardinality(listed) = (SELECT count(*) FROM cadence_misfits) AS all_listed FROM refused();
SELECT count(*) AS columns_changed FROM snapshot s LEFT JOIN pg_attribute a USING (attrelid, attnum)
WHERE a.attname IS NULL OR (a.attname, a.atttypid, a.attisdropped) <> (s.attname, s.atttypid, s.attisdropped);
SELECT to_regclass('cadence_empresas') AS created;
DROP TABLE snapshot, cadences, cadence_steps, lead_cadence_runs, lead_cadence_events, lead_messages, cadence_runner_logs;
DROP VIEW lead_contacts;
DROP MATERIALIZED VIEW message_templates;

-- tables of several owners: the owner of the runs needs the others
SELECT cadence_create_tables();
SELECT count(*) AS misfits FROM cadence_misfits;
ALTER TABLE lead_cadence_runs OWNER TO regress_cadence_crm;
SELECT * FROM cadence_misfits ORDER BY problem COLLATE "C";
SELECT cardinality(listed) = (SELECT count(*) FROM cadence_misfits) AS all_listed FROM refused('regress_cadence_crm');
GRANT SELECT ON cadences, cadence_steps, lead_contacts, message_templates, cadence_empresas, cadence_opt_out_words, cadence_keys, cadence_feriados TO regress_cadence_crm;
GRANT SELECT, INSERT, UPDATE ON lead_messages TO regress_cadence_crm;
GRANT SELECT, INSERT ON lead_cadence_events TO regress_cadence_crm;
GRANT SELECT, INSERT, DELETE ON contact_opt_outs, cadence_blocklist TO regress_cadence_crm;
GRANT SELECT, INSERT, UPDATE, DELETE ON cadence_runner_logs, cadence_claims, cadence_stopped_templates, cadence_rejected, cadence_dead_addresses, cadence_outbox, cadence_secrets, cadence_deltas, cadence_counts, cadence_cohorts, cadence_stock TO regress_cadence_crm;
GRANT SELECT, INSERT, UPDATE ON cadence_provider_state, cadence_conversations, lead_identities, cadence_usage TO regress_cadence_crm;
SELECT * FROM cadence_misfits ORDER BY problem COLLATE "C";
DO $$
DECLARE t regclass;
BEGIN
    FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'crm'::regnamespace AND relkind = 'r' AND relname <> 'cadence_protocols' LOOP
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', t);
    END LOOP;
END $$;
SELECT count(*) AS misfits FROM cadence_misfits;
SELECT cadence_create_tables(owner => 'regress_cadence_crm');
SELECT cadence_run() #> '{summary,total}' AS total;

-- an owner who has lost the way to them gets an error, not an empty result
REVOKE ALL ON SCHEMA crm FROM regress_cadence_crm;
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'QUENTE');
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_run_at)
VALUES ('l1', 'BLUE', 'c0000000-0000-0000-0000-000000000001', now());
SET client_min_messages = error;
\set VERBOSITY sqlstate
SELECT cadence_run();
\set VERBOSITY default

-- what would be adopted without a word, and fail in every execution
GRANT ALL ON SCHEMA crm TO regress_cadence_crm;
\set VERBOSITY terse
CREATE FUNCTION change(table_name text, change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE format('ALTER TABLE %I %s', table_name, change);
        RETURN QUERY SELECT problem FROM cadence_misfits ORDER BY problem COLLATE "C";
        RAISE SQLSTATE 'UNDO0';
    EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
        NULL;
    END;
END $$;
DROP INDEX IF EXISTS lead_cadence_runs_due_idx, lead_cadence_runs_paused_idx, lead_cadence_runs_held_idx, lead_cadence_runs_over_idx, lead_cadence_runs_halted_idx,
    lead_cadence_runs_lead_idx, lead_cadence_runs_active_idx;
ALTER TABLE lead_cadence_runs DROP CONSTRAINT lead_cadence_runs_status_check, ALTER status DROP DEFAULT;
CREATE TYPE situacao_enum AS ENUM ('ATIVA', 'CONCLUIDA', 'CANCELADA', 'PAUSADA');
CREATE DOMAIN situacao AS situacao_enum;
CREATE EXTENSION citext SCHEMA crm;
SELECT * FROM change('lead_cadence_runs', 'ALTER status TYPE char(10)');
SELECT * FROM change('lead_cadence_runs', 'ALTER status TYPE name');
SELECT * FROM change('lead_cadence_runs', 'ALTER status TYPE varchar(8)');
SELECT * FROM change('lead_cadence_runs', 'ALTER status TYPE situacao USING status::situacao_enum');
SELECT * FROM change('lead_cadence_runs', 'ALTER lead_id TYPE citext');
SELECT * FROM change('lead_cadence_runs', 'ALTER lead_id TYPE text COLLATE "C"');
SELECT * FROM change('lead_cadence_runs', 'ALTER lead_id TYPE text COLLATE "C"; ALTER TABLE lead_contacts ALTER lead_id TYPE text COLLATE "POSIX"');
SELECT * FROM change('cadence_provider_state', 'DROP CONSTRAINT cadence_provider_state_pkey');
SELECT * FROM change('cadence_provider_state', 'ADD COLUMN chip text NOT NULL');
SELECT * FROM change('cadence_conversations', 'DROP CONSTRAINT cadence_conversations_pkey');
SELECT * FROM change('cadence_conversations', 'DROP CONSTRAINT cadence_conversations_pkey, ADD UNIQUE (canal, lead_id, empresa)');
SELECT * FROM change('cadence_conversations', 'DROP CONSTRAINT cadence_conversations_pkey, ADD UNIQUE (empresa, lead_id, server)');
SELECT * FROM change('cadence_conversations', 'ALTER last_key TYPE text');
SELECT * FROM change('contact_opt_outs', 'ADD COLUMN chip text NOT NULL; ALTER TABLE contact_opt_outs ALTER canal TYPE char(10)');
SELECT * FROM change('cadence_dead_addresses', 'ADD COLUMN chip text NOT NULL');
SELECT * FROM change('cadence_stopped_templates', 'ADD COLUMN chip text NOT NULL; REVOKE UPDATE ON cadence_stopped_templates FROM regress_cadence_crm');
SELECT * FROM change('cadence_stopped_templates', 'REPLICA IDENTITY NOTHING; CREATE PUBLICATION regress_cadence FOR TABLE cadence_stopped_templates');
SELECT * FROM change('lead_contacts', 'OWNER TO regress_cadence_crm; ALTER TABLE lead_contacts ENABLE ROW LEVEL SECURITY');
SELECT * FROM change('lead_contacts', 'OWNER TO regress_cadence_crm; ALTER TABLE lead_contacts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY');
SELECT * FROM change('cadence_claims', 'REPLICA IDENTITY NOTHING; CREATE PUBLICATION regress_cadence FOR ALL TABLES');
SELECT * FROM change('cadence_claims', 'REPLICA IDENTITY NOTHING; CREATE PUBLICATION regress_cadence FOR TABLE cadence_claims');
SELECT * FROM change('cadence_provider_state', 'REPLICA IDENTITY NOTHING; CREATE PUBLICATION regress_cadence FOR TABLE cadence_provider_state');
SELECT * FROM change('cadence_claims', 'REPLICA IDENTITY FULL; CREATE PUBLICATION regress_cadence FOR ALL TABLES');
SELECT * FROM change('cadence_claims', 'REPLICA IDENTITY NOTHING; CREATE PUBLICATION regress_cadence FOR ALL TABLES WITH (publish = ''insert'')');
\set VERBOSITY default

RESET search_path;
DROP EXTENSION cadence_runner, citext;
DROP SCHEMA crm CASCADE;
DROP ROLE regress_cadence_crm, regress_cadence_other;
