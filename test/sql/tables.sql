--
-- cadence_create_tables(): an empty schema, twice, anywhere, by anybody who may.
--
\set SHOW_CONTEXT never
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;

-- an empty schema
SELECT cadence.cadence_create_tables();
-- again: nothing to do
SELECT cadence.cadence_create_tables();

-- what is there now, the extension's own table apart
SELECT c.relname AS "table", a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS required, pg_get_expr(d.adbin, d.adrelid) AS "default"
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'cadence'::regnamespace AND c.relkind = 'r' AND c.relname <> 'cadence_protocols'
ORDER BY c.relname COLLATE "C", a.attnum;
SELECT conrelid::regclass::text COLLATE "C" AS "table", contype AS type,
       pg_get_constraintdef(oid) COLLATE "C" AS definition
FROM pg_constraint WHERE connamespace = 'cadence'::regnamespace AND contype <> 'n' AND conrelid <> 'cadence.cadence_protocols'::regclass ORDER BY 1, 2, 3;
\pset format unaligned
SELECT indexrelid::regclass AS index, pg_get_indexdef(indexrelid) AS definition
FROM pg_index JOIN pg_class c ON c.oid = indrelid
WHERE c.relnamespace = 'cadence'::regnamespace AND NOT indisunique
ORDER BY indexrelid::regclass::text COLLATE "C";
\pset format aligned

-- plain tables of the caller: no member of the extension, no default and no
-- index that calls a function of ours, row level security on with no policy
SELECT c.relname, c.relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user) AS own, c.relrowsecurity AS rls
FROM pg_class c WHERE c.relnamespace = 'cadence'::regnamespace AND c.relkind = 'r' AND c.relname <> 'cadence_protocols' ORDER BY 1;
SELECT count(*) AS policies FROM pg_policies WHERE schemaname = 'cadence';
SELECT d.classid::regclass, d.objid::regclass FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.refclassid = 'pg_extension'::regclass AND e.extname = 'cadence_runner'
  AND d.objid IN (SELECT oid FROM pg_class WHERE relnamespace = 'cadence'::regnamespace AND relkind = 'r');
-- nobody was given them
SELECT relname, relacl FROM pg_class WHERE relnamespace = 'cadence'::regnamespace AND relkind = 'r' AND relname <> 'cadence_protocols' AND relacl IS NOT NULL;

-- each says what a row is, and what is in each column; so do the views
SELECT c.relname AS without_comment FROM pg_class c
WHERE c.relnamespace = 'cadence'::regnamespace AND c.relkind IN ('r', 'v')
  AND coalesce(obj_description(c.oid, 'pg_class'), '') = '' ORDER BY 1;
SELECT c.relname, a.attname AS without_comment FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'cadence'::regnamespace AND c.relkind IN ('r', 'v')
  AND coalesce(col_description(a.attrelid, a.attnum), '') = '' ORDER BY 1, 2;
SELECT k.table_name, k.column_name FROM cadence.cadence_table_comments k
WHERE NOT EXISTS (
    SELECT FROM pg_description d
    WHERE d.objoid = ('cadence.' || k.table_name)::regclass AND d.classoid = 'pg_class'::regclass AND d.description = k.comment
      AND d.objsubid = coalesce((SELECT a.attnum FROM pg_attribute a
                                 WHERE a.attrelid = d.objoid AND a.attname = k.column_name), 0));

-- what their rows are checked for
\set VERBOSITY terse
INSERT INTO cadence.cadences (empresa, codigo) VALUES ('BLUE', 'UMA');
INSERT INTO cadence.cadences (empresa, codigo) VALUES ('GOLD', 'UMA');
INSERT INTO cadence.lead_cadence_runs (lead_id, empresa, cadence_id, status)
SELECT 'l', 'BLUE', id, 'QUALQUER' FROM cadence.cadences;
INSERT INTO cadence.lead_cadence_runs (id, lead_id, empresa, cadence_id)
SELECT '00000000-0000-0000-0000-000000000001', 'l', 'BLUE', id FROM cadence.cadences;
INSERT INTO cadence.lead_cadence_events (lead_cadence_run_id, tipo_evento)
VALUES ('00000000-0000-0000-0000-000000000001', 'OUTRO');
INSERT INTO cadence.lead_messages (lead_id, empresa, canal, direcao) VALUES ('l', 'BLUE', 'SMS', 'AO LADO');
\set VERBOSITY default

-- a part that went missing comes back, what is there stays as it is
DROP INDEX cadence.lead_cadence_runs_due_idx;
ALTER TABLE cadence.lead_messages DROP COLUMN template_codigo;
ALTER TABLE cadence.cadence_runner_logs RENAME TO old_logs;
COMMENT ON TABLE cadence.lead_contacts IS 'people';
COMMENT ON TABLE cadence.cadences IS NULL;
SELECT cadence.cadence_create_tables();
SELECT count(*) AS kept FROM cadence.lead_cadence_runs;
SELECT c.relname, obj_description(c.oid, 'pg_class') AS comment FROM pg_class c
WHERE c.relnamespace = 'cadence'::regnamespace AND c.relname IN ('cadences', 'cadence_runner_logs', 'lead_contacts') ORDER BY 1;

-- the extension goes, the tables stay and work
DROP EXTENSION cadence_runner;
UPDATE cadence.lead_cadence_runs SET next_run_at = now();
INSERT INTO cadence.cadence_steps (cadence_id, ordem, canal, template_codigo)
SELECT id, 1, 'SMS', 'OLA' FROM cadence.cadences;
DELETE FROM cadence.lead_cadence_runs;
-- and is welcome back
CREATE EXTENSION cadence_runner SCHEMA cadence;
SELECT cadence.cadence_create_tables();
SELECT cadence.cadence_run('TEST') #> '{summary,total}' AS total;
DROP EXTENSION cadence_runner;
SET client_min_messages = warning;
DROP SCHEMA cadence CASCADE;

-- in public
CREATE EXTENSION cadence_runner SCHEMA public;
SELECT public.cadence_create_tables();
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT count(*) FROM public.cadence_runner_logs;
DROP EXTENSION cadence_runner;
DROP TABLE public.cadences, public.cadence_steps, public.lead_contacts, public.message_templates,
    public.lead_cadence_runs, public.lead_cadence_events, public.lead_messages, public.cadence_empresas,
    public.cadence_runner_logs, public.cadence_claims, public.cadence_provider_state, public.cadence_conversations,
    public.contact_opt_outs, public.cadence_dead_addresses, public.cadence_stopped_templates, public.cadence_rejected,
    public.lead_identities, public.cadence_opt_out_words, public.cadence_feriados, public.cadence_usage, public.cadence_deltas, public.cadence_counts,
    public.cadence_cohorts, public.cadence_stock, public.cadence_arming;

-- in a schema whose name is legal, and no more
CREATE SCHEMA "Vendas 100% %I %s, Ação;";
CREATE EXTENSION cadence_runner SCHEMA "Vendas 100% %I %s, Ação;";
SELECT "Vendas 100% %I %s, Ação;".cadence_create_tables();
SELECT "Vendas 100% %I %s, Ação;".cadence_create_tables();
SELECT "Vendas 100% %I %s, Ação;".cadence_run('TEST') #> '{summary,total}' AS total;
SELECT count(*) FROM "Vendas 100% %I %s, Ação;".cadence_runner_logs;
DROP EXTENSION cadence_runner;
DROP SCHEMA "Vendas 100% %I %s, Ação;" CASCADE;

-- by a role that is not a superuser; its tables belong to it
CREATE ROLE regress_cadence_crm LOGIN;
CREATE ROLE regress_cadence_else LOGIN;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET ROLE regress_cadence_crm;
SELECT cadence.cadence_create_tables();
RESET ROLE;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_crm, regress_cadence_else;
SET ROLE regress_cadence_crm;
SELECT cadence.cadence_create_tables();
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence.cadence_create_tables(regrole) TO regress_cadence_crm, regress_cadence_else;
SET ROLE regress_cadence_crm;
SELECT cadence.cadence_create_tables();
RESET ROLE;
GRANT CREATE ON SCHEMA cadence TO regress_cadence_crm, regress_cadence_else;
SET ROLE regress_cadence_crm;
SELECT cadence.cadence_create_tables();
SELECT cadence.cadence_create_tables();
RESET ROLE;
SELECT relowner::regrole AS owner, count(*) FROM pg_class
WHERE relnamespace = 'cadence'::regnamespace AND relkind = 'r' AND relname <> 'cadence_protocols' GROUP BY 1;
-- not by a stranger, once they are somebody's
SET ROLE regress_cadence_else;
SELECT cadence.cadence_create_tables();
RESET ROLE;
-- a superuser who repairs them leaves them to their owner
DROP TABLE cadence.cadence_runner_logs;
SELECT cadence.cadence_create_tables();
SELECT cadence.cadence_create_tables(owner => 'regress_cadence_crm');
SELECT relowner::regrole AS owner, count(*) FROM pg_class
WHERE relnamespace = 'cadence'::regnamespace AND relkind = 'r' AND relname <> 'cadence_protocols' GROUP BY 1;
-- the execution is that owner's work
SELECT cadence.cadence_run('TEST') #> '{summary,total}' AS total;

DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_crm, regress_cadence_else;
