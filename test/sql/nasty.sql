--
-- Data that is allowed and hard to swallow. None of it stops the others, and
-- what can be sent is sent as it stands.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
-- the waits after a failure neither grow nor are spread
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cadence_runner.retry_factor = 1', current_database()); END $$;
SET search_path = cadence;
SELECT cadence_create_tables();
-- a lead that is active several times in a cadence, as an adopted table may have it
DROP INDEX lead_cadence_runs_active_idx;
-- however often it fails, it goes on being asked
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/', breaker_after '0');

-- NULL in every column that allows it, also those that our own tables forbid and adopted ones may not
DO $$
DECLARE c record;
BEGIN
    FOR c IN SELECT attrelid::regclass AS t, attname FROM pg_attribute a JOIN pg_class k ON k.oid = attrelid
             WHERE relnamespace = 'cadence'::regnamespace AND relkind = 'r' AND attnum > 0 AND attnotnull AND attname <> 'id'
               AND (relname, attname) NOT IN (('cadence_empresas', 'empresa'), ('cadence_claims', 'claim_id'), ('cadence_provider_state', 'server'),
                                      ('cadence_conversations', 'empresa'), ('cadence_conversations', 'lead_id'), ('cadence_conversations', 'canal'))
               AND relname NOT IN ('cadence_protocols', 'cadence_dead_addresses', 'cadence_stopped_templates', 'lead_identities', 'cadence_opt_out_words', 'cadence_rejected', 'cadence_blocklist', 'cadence_keys', 'cadence_usage', 'cadence_secrets', 'cadence_deltas', 'cadence_counts', 'cadence_cohorts', 'cadence_stock') LOOP
        EXECUTE format('ALTER TABLE %s ALTER %I DROP NOT NULL', c.t, c.attname);
    END LOOP;
END $$;
ALTER TABLE lead_contacts DROP CONSTRAINT lead_contacts_lead_id_empresa_key;

INSERT INTO cadences (id, empresa, codigo, nome) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'OUTRAS', E'Nome "com" ''aspas'' e \\ barra'),
    ('c0000000-0000-0000-0000-000000000002', NULL, NULL, NULL);
UPDATE cadences SET ativo = NULL, created_at = NULL, updated_at = NULL;
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, NULL, 'WHATSAPP', 'NOME'),
    ('c0000000-0000-0000-0000-000000000001', 2, -2147483648, 'whatsapp', 'GRANDE'),
    ('c0000000-0000-0000-0000-000000000001', 3, 2147483647, 'WHATSAPP', 'ENORME'),
    ('c0000000-0000-0000-0000-000000000001', 4, 0, NULL, 'NOME'),
    ('c0000000-0000-0000-0000-000000000001', 5, 0, 'WHATSAPP', NULL),
    ('c0000000-0000-0000-0000-000000000001', 6, 0, 'WHATSAPP', 'NULO'),
    ('c0000000-0000-0000-0000-000000000001', 7, 0, 'WHATSAPP', E'aspas " '' \\ \n {{nome}} 🎉'),
    ('c0000000-0000-0000-0000-000000000001', 2147483647, 0, 'WHATSAPP', 'NOME'),
    ('c0000000-0000-0000-0000-000000000001', NULL, 0, 'WHATSAPP', 'NOME'),
    ('c0000000-0000-0000-0000-000000000002', 1, NULL, NULL, NULL);
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES
    ('BLUE', 'NOME', 'Oi {{primeiro_nome}} ({{nome}}), {{empresa}} {{lead_nome|?}} {{telefone}} {{opt_out}}'),
    ('BLUE', 'GRANDE', repeat('x', 1024 * 1024 - 8) || '{{nome}}'),
    ('BLUE', 'ENORME', repeat('{{nome}}', 100000)),
    ('BLUE', 'NULO', NULL),
    ('BLUE', E'aspas " '' \\ \n {{nome}} 🎉', E'aspas " '' \\ \n\t {{nome}} 🎉 %s $1 </script>'),
    ('BLUE', 'VAZIO', ''),
    (NULL, NULL, NULL);
INSERT INTO cadence_empresas (empresa, nome) VALUES ('BLUE', E'Azul & Cia "Ltda" 🎉');
INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, telefone) VALUES
    ('chaves', 'BLUE', '{{nome}} {{primeiro_nome}} {{', '{{telefone}}', '1'),
    ('aspas', 'BLUE', E'O''Hara "Ze" \\ \n\t🎉 \u0001', NULL, '2'),
    ('sem nome', 'BLUE', NULL, NULL, '3'),
    ('brancos', 'BLUE', E' \t ', E'\n', '4'),
    ('longo', 'BLUE', repeat('ã', 500), NULL, '5'),
    (E'id "com" ''aspas'' \\ \n {{nome}} 🎉', 'BLUE', 'Ana', NULL, '6'),
    ('', 'BLUE', 'Vazia', NULL, '7'),
    ('nulos', 'BLUE', NULL, NULL, NULL),
    (NULL, NULL, NULL, NULL, NULL);
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, opt_out, created_at, updated_at)
VALUES ('opt nulo', 'BLUE', 'Ana Maria', '8', NULL, NULL, NULL);
-- two contacts, of which neither was ever updated: one of them, and the run once
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, updated_at) VALUES
    ('gemeos', 'BLUE', 'Um', '9', NULL), ('gemeos', 'BLUE', 'Dois', '9', NULL);

CREATE TABLE cases (n int PRIMARY KEY, lead_id text, step int, cadence int DEFAULT 1, empresa text DEFAULT 'BLUE', run uuid DEFAULT gen_random_uuid());
INSERT INTO cases (n, lead_id, step) VALUES
    (1, 'chaves', 1), (2, 'aspas', 1), (3, 'sem nome', 1), (4, 'brancos', 1), (5, 'longo', 1),
    (6, E'id "com" ''aspas'' \\ \n {{nome}} 🎉', 1), (7, '', 1), (8, 'nulos', 1), (9, 'opt nulo', 1), (10, 'gemeos', 1),
    (11, 'chaves', 2), (12, 'longo', 3), (13, 'aspas', 4), (14, 'aspas', 5), (15, 'aspas', 6), (16, 'aspas', 7),
    (17, 'aspas', 2147483647), (18, 'aspas', NULL), (19, NULL, 1), (20, 'chaves', 0), (21, 'chaves', -5);
INSERT INTO cases (n, lead_id, step, cadence, empresa) VALUES
    (22, 'aspas', 1, 2, NULL), (23, NULL, NULL, NULL, NULL), (24, 'aspas', 1, NULL, 'BLUE'), (25, 'aspas', 1, 1, NULL),
    (26, 'chaves', 1, 1, E'em"presa '' \n🎉');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at, attempts, started_at, created_at, updated_at)
SELECT run, lead_id, empresa, ('c0000000-0000-0000-0000-00000000000' || cadence)::uuid, step, now() - interval '1 hour' + n * interval '1 s',
       NULL, NULL, NULL, NULL FROM cases;
INSERT INTO cases (n, lead_id, step) VALUES (27, 'sem nome', 1), (28, 'sem nome', 1);
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT run, lead_id, empresa, 'c0000000-0000-0000-0000-000000000001'::uuid, step, '-infinity'::timestamptz FROM cases WHERE n = 27
UNION ALL SELECT run, lead_id, empresa, 'c0000000-0000-0000-0000-000000000001', step, '4713-01-01 BC' FROM cases WHERE n = 28;

-- what would be sent
SELECT n, p ->> 'destinatario' AS para, p ->> 'codigo' AS codigo, CASE WHEN n <> 10 THEN octet_length(p ->> 'mensagem') END AS bytes,
       left(CASE WHEN n = 10 THEN regexp_replace(p ->> 'mensagem', 'Um|Dois', '(either)', 'g') ELSE p ->> 'mensagem' END, 100) AS mensagem
FROM cases, cadence_preview(run) AS p ORDER BY n;

SELECT cadence_run('TEST') AS summary \gset
SELECT k AS key, :'summary'::jsonb -> 'summary' -> k AS value FROM unnest(ARRAY['total', 'success', 'errors', 'skipped']) AS k;
SELECT n, status, next_step_ordem AS next, date_trunc('minute', next_run_at - now() + interval '30 s') AS due_in, attempts,
       (SELECT string_agg(coalesce(e.detalhes ->> 'codigo', e.tipo_evento), ' ' ORDER BY e.created_at, e.id) FROM lead_cadence_events e
        WHERE e.lead_cadence_run_id = run) AS events
FROM cases JOIN lead_cadence_runs r ON r.id = run ORDER BY n;
-- texts come through as they are
SELECT n, r ->> 'leadId' = c.lead_id AS lead, r ->> 'templateCodigo' AS template
FROM cases c JOIN jsonb_array_elements(:'summary'::jsonb -> 'results') AS r ON (r ->> 'runId')::uuid = run WHERE n IN (6, 7, 16, 19) ORDER BY n;

-- again, with all of them due at once and in batches of three
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cadence_runner.batch_size = 3', current_database()); END $$;
UPDATE lead_cadence_runs SET next_run_at = date_trunc('hour', now()) - interval '1 hour', status = 'ATIVA' WHERE next_run_at IS NOT NULL OR status = 'CONCLUIDA';
SELECT k AS key, s -> k AS value FROM unnest(ARRAY['total', 'success', 'errors', 'skipped']) AS k, (SELECT cadence_run('TEST') -> 'summary' AS s OFFSET 0) AS x;
SELECT count(*) FROM lead_cadence_runs WHERE next_run_at <= now() AND status = 'ATIVA';
SELECT max(n) FROM (SELECT count(*) AS n FROM lead_cadence_events GROUP BY lead_cadence_run_id) AS x;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET cadence_runner.batch_size', current_database()); END $$;

-- broken JSON of the application in the rows around ours
UPDATE lead_cadence_events SET detalhes = '[1, 2]' WHERE step_ordem = 1;
UPDATE lead_cadence_events SET detalhes = NULL WHERE step_ordem = 2;
UPDATE lead_cadence_events SET detalhes = '"texto"' WHERE step_ordem > 2;
UPDATE cadences SET ativo = false;
UPDATE lead_cadence_runs SET next_run_at = now() WHERE status = 'ATIVA';
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT count(*) AS due FROM lead_cadence_runs WHERE next_run_at <= now() AND status = 'ATIVA';

RESET search_path;
DROP SERVER regress_zap;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET cadence_runner.retry_factor', current_database()); END $$;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
