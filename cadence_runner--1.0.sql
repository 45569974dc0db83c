/* cadence_runner--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cadence_runner" to load this file. \quit

-- Others may create objects in the extension's schema: an operator or function of theirs that fits
-- better than pg_catalog's would run with the rights of whoever installs this, or reads its views.
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
    planted text := (
        SELECT string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid::regprocedure::text)
        FROM pg_proc p
        WHERE p.pronamespace = '@extschema@'::regnamespace AND starts_with(p.proname, 'cadence_')
          AND pg_get_userbyid(p.proowner) <> current_user);
BEGIN
    IF planted IS NOT NULL THEN
        RAISE EXCEPTION 'schema % has functions of others with names of cadence_runner', '@extschema@'
            USING ERRCODE = 'duplicate_function', DETAIL = planted,
                  HINT = 'Whoever calls cadence_runner might call them instead. Drop them, or choose another schema.';
    END IF;
END
$$;
--
-- Executions
--

CREATE FUNCTION @extschema@.cadence_run(trigger text DEFAULT 'CRON') RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_run(text) IS
'runs one execution over all steps that are due now and returns its summary; trigger (CRON, MANUAL or TEST) names the caller in the log';

CREATE FUNCTION @extschema@.cadence_preview(run uuid) RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_preview(uuid) IS
'shows what the next step of a run would send: channel, recipient, text, provider and time; sends nothing, changes nothing';

CREATE FUNCTION @extschema@.cadence_render(template text, vars jsonb) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.cadence_render(text, jsonb) IS
'renders a template with {{name}} and {{name|fallback}} placeholders; vars is an object with a key for each of them';

--
-- Providers
--

CREATE FUNCTION @extschema@.cadence_provider_validator(options text[], catalog oid) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_provider_validator(text[], oid) IS
'checks the options of servers and user mappings of the wrapper cadence_provider';

CREATE FOREIGN DATA WRAPPER cadence_provider VALIDATOR @extschema@.cadence_provider_validator;

COMMENT ON FOREIGN DATA WRAPPER cadence_provider IS
'where cadence_runner sends messages: one server per provider, secrets in its user mappings';

--
-- Tables
--

-- What follows are views and not functions, so that the right to execute
-- cadence_create_tables() is all that its caller needs.

CREATE VIEW @extschema@.cadence_columns AS
    -- kind: what an adopted column's type must be. "word" may also be an enum that has the labels.
    SELECT row_number() OVER () AS n, v.table_name::name, v.column_name::name, v.kind, v.type,
           v.default_value, v.required, v.labels
    FROM (VALUES
        ('cadences', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL::text[]),
        ('cadences', 'empresa', 'word', 'text', NULL, true, NULL),
        ('cadences', 'codigo', 'text', 'text', NULL, true, NULL),
        ('cadences', 'nome', 'text', 'text', NULL, false, NULL),
        ('cadences', 'descricao', 'text', 'text', NULL, false, NULL),
        ('cadences', 'ativo', 'bool', 'boolean', 'true', true, NULL),
        ('cadences', 'canal_principal', 'word', 'text', NULL, false, NULL),
        ('cadences', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadences', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('cadence_steps', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('cadence_steps', 'cadence_id', 'uuid', 'uuid', NULL, true, NULL),
        ('cadence_steps', 'ordem', 'int', 'integer', NULL, true, NULL),
        ('cadence_steps', 'offset_minutos', 'int', 'integer', '0', true, NULL),
        ('cadence_steps', 'canal', 'word', 'text', NULL, true, NULL),
        ('cadence_steps', 'template_codigo', 'text', 'text', NULL, true, NULL),
        ('cadence_steps', 'parar_se_responder', 'bool', 'boolean', 'true', true, NULL),
        ('cadence_steps', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_steps', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('lead_contacts', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('lead_contacts', 'lead_id', 'text', 'text', NULL, true, NULL),
        ('lead_contacts', 'empresa', 'word', 'text', NULL, true, NULL),
        ('lead_contacts', 'nome', 'text', 'text', NULL, false, NULL),
        ('lead_contacts', 'primeiro_nome', 'text', 'text', NULL, false, NULL),
        ('lead_contacts', 'email', 'text', 'text', NULL, false, NULL),
        ('lead_contacts', 'telefone', 'text', 'text', NULL, false, NULL),
        ('lead_contacts', 'opt_out', 'bool', 'boolean', 'false', true, NULL),
        ('lead_contacts', 'opt_out_em', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_contacts', 'opt_out_motivo', 'text', 'text', NULL, false, NULL),
        ('lead_contacts', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('lead_contacts', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('message_templates', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('message_templates', 'empresa', 'word', 'text', NULL, true, NULL),
        ('message_templates', 'canal', 'word', 'text', NULL, false, NULL),
        ('message_templates', 'codigo', 'text', 'text', NULL, true, NULL),
        ('message_templates', 'nome', 'text', 'text', NULL, false, NULL),
        ('message_templates', 'conteudo', 'text', 'text', NULL, true, NULL),
        ('message_templates', 'descricao', 'text', 'text', NULL, false, NULL),
        ('message_templates', 'ativo', 'bool', 'boolean', 'true', true, NULL),
        ('message_templates', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('message_templates', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('lead_cadence_runs', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('lead_cadence_runs', 'lead_id', 'text', 'text', NULL, true, NULL),
        ('lead_cadence_runs', 'empresa', 'word', 'text', NULL, true, NULL),
        ('lead_cadence_runs', 'cadence_id', 'uuid', 'uuid', NULL, true, NULL),
        ('lead_cadence_runs', 'status', 'word', 'text', '''ATIVA''', true,
         ARRAY['ATIVA', 'CONCLUIDA', 'CANCELADA', 'PAUSADA']),
        ('lead_cadence_runs', 'started_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('lead_cadence_runs', 'last_step_ordem', 'int', 'integer', NULL, false, NULL),
        ('lead_cadence_runs', 'next_step_ordem', 'int', 'integer', NULL, false, NULL),
        ('lead_cadence_runs', 'next_run_at', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_cadence_runs', 'classification_snapshot', 'jsonb', 'jsonb', NULL, false, NULL),
        ('lead_cadence_runs', 'fonte_evento_id', 'uuid', 'uuid', NULL, false, NULL),
        ('lead_cadence_runs', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('lead_cadence_runs', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('lead_cadence_runs', 'attempts', 'int', 'integer', '0', true, NULL),
        ('lead_cadence_runs', 'claim_id', 'uuid', 'uuid', NULL, false, NULL),

        ('lead_cadence_events', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('lead_cadence_events', 'lead_cadence_run_id', 'uuid', 'uuid', NULL, true, NULL),
        ('lead_cadence_events', 'step_ordem', 'int', 'integer', NULL, false, NULL),
        ('lead_cadence_events', 'template_codigo', 'text', 'text', NULL, false, NULL),
        ('lead_cadence_events', 'tipo_evento', 'word', 'text', NULL, true,
         ARRAY['AGENDADO', 'DISPARADO', 'ERRO']),
        ('lead_cadence_events', 'detalhes', 'jsonb', 'jsonb', NULL, false, NULL),
        ('lead_cadence_events', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('lead_messages', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('lead_messages', 'lead_id', 'text', 'text', NULL, true, NULL),
        ('lead_messages', 'empresa', 'word', 'text', NULL, true, NULL),
        ('lead_messages', 'canal', 'word', 'text', NULL, true, NULL),
        ('lead_messages', 'direcao', 'word', 'text', NULL, true, ARRAY['OUTBOUND']),
        ('lead_messages', 'conteudo', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'estado', 'word', 'text', NULL, false, ARRAY['ENVIADO']),
        ('lead_messages', 'enviado_em', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_messages', 'entregue_em', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_messages', 'lido_em', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_messages', 'recebido_em', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_messages', 'erro_detalhe', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'run_id', 'uuid', 'uuid', NULL, false, NULL),
        ('lead_messages', 'step_ordem', 'int', 'integer', NULL, false, NULL),
        ('lead_messages', 'template_codigo', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'whatsapp_message_id', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'email_message_id', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('lead_messages', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('cadence_empresas', 'empresa', 'text', 'text', NULL, true, NULL),
        ('cadence_empresas', 'nome', 'text', 'text', NULL, false, NULL),
        ('cadence_empresas', 'fuso_horario', 'text', 'text', '''America/Sao_Paulo''', true, NULL),

        ('cadence_runner_logs', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('cadence_runner_logs', 'executed_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_runner_logs', 'steps_executed', 'int', 'integer', '0', true, NULL),
        ('cadence_runner_logs', 'errors', 'int', 'integer', '0', true, NULL),
        ('cadence_runner_logs', 'runs_touched', 'int', 'integer', '0', true, NULL),
        ('cadence_runner_logs', 'duration_ms', 'int', 'integer', NULL, false, NULL),
        ('cadence_runner_logs', 'details', 'jsonb', 'jsonb', NULL, false, NULL),
        ('cadence_runner_logs', 'trigger_source', 'word', 'text', '''CRON''', false,
         ARRAY['CRON', 'MANUAL', 'TEST']),

        -- a row for each claim under way, so that those of processes that are gone are found at once
        ('cadence_claims', 'claim_id', 'uuid', 'uuid', NULL, true, NULL),
        ('cadence_claims', 'lease_end', 'time', 'timestamptz', NULL, true, NULL),
        ('cadence_claims', 'claimed_at', 'time', 'timestamptz', 'now()', true, NULL),

        -- for which server the tables are armed, so that no copy of them sends
        ('cadence_arming', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('cadence_arming', 'cluster', 'text', 'text', NULL, true, NULL),
        ('cadence_arming', 'database_oid', 'text', 'text', NULL, true, NULL),
        ('cadence_arming', 'control_file', 'text', 'text', NULL, false, NULL),
        ('cadence_arming', 'timeline', 'int', 'integer', NULL, false, NULL),
        ('cadence_arming', 'armed_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_arming', 'armed_by', 'text', 'text', 'CURRENT_USER', true, NULL)
    ) AS v(table_name, column_name, kind, type, default_value, required, labels);

COMMENT ON VIEW @extschema@.cadence_columns IS
'the columns that cadence_runner works on, as cadence_create_tables() creates or adopts them';

CREATE VIEW @extschema@.cadence_table_constraints AS
    SELECT v.table_name::name, v.definition
    FROM (VALUES
        ('cadences', 'PRIMARY KEY (id), UNIQUE (codigo)'),
        ('cadence_steps', 'PRIMARY KEY (id), UNIQUE (cadence_id, ordem), '
            'FOREIGN KEY (cadence_id) REFERENCES @extschema@.cadences (id) ON DELETE CASCADE'),
        ('lead_contacts', 'PRIMARY KEY (id), UNIQUE (lead_id, empresa)'),
        ('message_templates', 'PRIMARY KEY (id), UNIQUE (empresa, codigo)'),
        ('lead_cadence_runs', 'PRIMARY KEY (id), '
            'FOREIGN KEY (cadence_id) REFERENCES @extschema@.cadences (id), '
            'CHECK (status IN (''ATIVA'', ''CONCLUIDA'', ''CANCELADA'', ''PAUSADA''))'),
        ('lead_cadence_events', 'PRIMARY KEY (id), '
            'FOREIGN KEY (lead_cadence_run_id) REFERENCES @extschema@.lead_cadence_runs (id) ON DELETE CASCADE, '
            'CHECK (tipo_evento IN (''AGENDADO'', ''DISPARADO'', ''ERRO'', ''RESPOSTA_DETECTADA''))'),
        ('lead_messages', 'PRIMARY KEY (id), '
            'FOREIGN KEY (run_id) REFERENCES @extschema@.lead_cadence_runs (id) ON DELETE SET NULL, '
            'CHECK (direcao IN (''OUTBOUND'', ''INBOUND''))'),
        ('cadence_empresas', 'PRIMARY KEY (empresa)'),
        ('cadence_runner_logs', 'PRIMARY KEY (id)'),
        ('cadence_claims', 'PRIMARY KEY (claim_id)'),
        ('cadence_arming', 'PRIMARY KEY (id)')
    ) AS v(table_name, definition);

COMMENT ON VIEW @extschema@.cadence_table_constraints IS
'the constraints of the tables that cadence_create_tables() creates; adopted tables keep their own';

CREATE VIEW @extschema@.cadence_misfits(problem) AS
    WITH present AS (
        SELECT c.oid, c.relname, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity,
               c.relreplident
        FROM pg_class c
        WHERE c.relnamespace = '@extschema@'::regnamespace
          AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND c.relname IN (SELECT s.table_name FROM @extschema@.cadence_columns s)
    ), found AS (
        SELECT s.*, p.oid AS relation, a.attnum, a.atttypid,
               CASE WHEN t.typtype = 'd' THEN getdomainbase.typ ELSE t.oid END AS base
        FROM @extschema@.cadence_columns s
        JOIN present p ON p.relname = s.table_name AND p.relkind IN ('r', 'p')
        LEFT JOIN pg_attribute a
               ON a.attrelid = p.oid AND a.attname = s.column_name AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN LATERAL (
            WITH RECURSIVE d AS (
                SELECT t.typbasetype AS typ WHERE t.typtype = 'd'
                UNION ALL
                SELECT b.typbasetype FROM d JOIN pg_type b ON b.oid = d.typ WHERE b.typtype = 'd')
            SELECT d.typ FROM d JOIN pg_type b ON b.oid = d.typ WHERE b.typtype <> 'd'
        ) AS getdomainbase ON true
    ), runs_owner AS (
        SELECT relowner FROM present WHERE relname = 'lead_cadence_runs'
    ), members AS (
        WITH RECURSIVE m AS (
            SELECT p.oid, p.relname, p.oid AS member FROM present p
            UNION
            SELECT m.oid, m.relname, i.inhrelid FROM m JOIN pg_inherits i ON i.inhparent = m.member)
        SELECT * FROM m
    )
    SELECT format('%s is not a table', relname) FROM present WHERE relkind NOT IN ('r', 'p')
    UNION ALL
    SELECT format('%s.%s is missing and can not be added', table_name, column_name)
    FROM found WHERE attnum IS NULL AND column_name = 'id'
    UNION ALL
    SELECT format('%s.%s is of type %s, not %s', f.table_name, f.column_name,
                  format_type(f.atttypid, NULL),
                  CASE f.kind WHEN 'word' THEN 'text or an enum' ELSE f.type END)
    FROM found f JOIN pg_type b ON b.oid = f.base
    WHERE NOT CASE f.kind
        WHEN 'uuid' THEN b.oid = 'uuid'::regtype
        -- char(n) fills with spaces, and name is cut: what is written is not what is read
        WHEN 'text' THEN b.typcategory = 'S' AND b.oid NOT IN ('bpchar'::regtype, 'name'::regtype)
        -- pg_catalog has no operators for a domain over an enum
        WHEN 'word' THEN b.typcategory = 'S' AND b.oid NOT IN ('bpchar'::regtype, 'name'::regtype)
                         OR b.typtype = 'e' AND b.oid = f.atttypid
        WHEN 'int' THEN b.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
        WHEN 'bool' THEN b.oid = 'bool'::regtype
        WHEN 'time' THEN b.oid = 'timestamptz'::regtype
        WHEN 'jsonb' THEN b.oid = 'jsonb'::regtype
    END
    UNION ALL
    SELECT format('%s.%s is an enum without %s', f.table_name, f.column_name, quote_literal(l.label))
    FROM found f JOIN pg_type b ON b.oid = f.base AND b.typtype = 'e'
    CROSS JOIN unnest(f.labels) AS l(label)
    WHERE NOT EXISTS (SELECT FROM pg_enum e WHERE e.enumtypid = b.oid AND e.enumlabel = l.label)
    UNION ALL
    SELECT format('%s.%s is too short for %s', f.table_name, f.column_name, quote_literal(l.label))
    FROM found f JOIN pg_attribute a ON a.attrelid = f.relation AND a.attnum = f.attnum
    CROSS JOIN unnest(f.labels) AS l(label)
    WHERE f.base = 'varchar'::regtype AND a.atttypmod > 0 AND a.atttypmod - 4 < length(l.label)
    UNION ALL
    -- a claim names its rows by id, and foreign keys lead there
    SELECT format('%s.id has no primary key or unique constraint', p.relname)
    FROM found f JOIN present p ON p.oid = f.relation
    WHERE f.table_name IN ('cadences', 'lead_cadence_runs') AND f.column_name = 'id' AND f.attnum IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index i
                      WHERE i.indrelid = f.relation AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                        AND i.indnkeyatts = 1 AND i.indkey[0] = f.attnum)
    UNION ALL
    -- a column of the application that our inserts do not fill
    SELECT format('%s.%s is NOT NULL without a default, and cadence_runner does not write it',
                  p.relname, a.attname)
    FROM present p
    JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE p.relname IN ('lead_cadence_events', 'lead_messages', 'cadence_runner_logs', 'cadence_claims')
      AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''
      AND NOT EXISTS (SELECT FROM @extschema@.cadence_columns s
                      WHERE s.table_name = p.relname AND s.column_name = a.attname)
    UNION ALL
    SELECT format('%s may not be used by role %s, the owner of lead_cadence_runs: it lacks %s',
                  p.relname, pg_get_userbyid(r.relowner), w.privilege)
    FROM runs_owner r CROSS JOIN present p
    CROSS JOIN unnest(CASE
        WHEN p.relname IN ('lead_cadence_events', 'lead_messages') THEN ARRAY['SELECT', 'INSERT']
        WHEN p.relname = 'cadence_runner_logs' THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
        WHEN p.relname = 'cadence_claims' THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
        WHEN p.relname = 'cadence_arming' THEN '{}'
        ELSE ARRAY['SELECT'] END) AS w(privilege)
    WHERE p.relkind IN ('r', 'p') AND NOT has_table_privilege(r.relowner, p.oid, w.privilege)
    UNION ALL
    -- a table's owner decides what its triggers do, and they run as the owner of the runs
    SELECT format('%s does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  p.relname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN present p
    WHERE p.relname <> 'cadence_arming' AND NOT pg_has_role(p.relowner, r.relowner, 'MEMBER')
    UNION ALL
    -- so do a partition's, a type's, and whoever brings a trigger
    SELECT format('%s, which inherits from %s, does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  m.member::regclass, m.relname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN members m JOIN pg_class c ON c.oid = m.member
    WHERE m.member <> m.oid AND NOT pg_has_role(c.relowner, r.relowner, 'MEMBER')
    UNION ALL
    SELECT format('%s has the trigger %I, whose function does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  m.member::regclass, g.tgname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN members m JOIN pg_trigger g ON g.tgrelid = m.member AND NOT g.tgisinternal
    JOIN pg_proc p ON p.oid = g.tgfoid
    WHERE NOT pg_has_role(p.proowner, r.relowner, 'MEMBER')
    UNION ALL
    SELECT format('%s.%s is of type %s, which does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  m.member::regclass, a.attname, format_type(a.atttypid, NULL), pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN members m
    JOIN pg_attribute a ON a.attrelid = m.member AND a.attnum > 0 AND NOT a.attisdropped
    CROSS JOIN LATERAL (
        WITH RECURSIVE d AS (
            SELECT a.atttypid AS typ
            UNION
            SELECT n.typ FROM d JOIN pg_type b ON b.oid = d.typ
            CROSS JOIN LATERAL (VALUES (b.typbasetype), (b.typelem)) AS n(typ) WHERE n.typ <> 0)
        SELECT bool_or(NOT pg_has_role(b.typowner, r.relowner, 'MEMBER')) AS alien
        FROM d JOIN pg_type b ON b.oid = d.typ WHERE b.oid >= 16384) AS t
    WHERE t.alien
    UNION ALL
    SELECT format('%s has row level security, which would hide its rows from role %s, the owner of lead_cadence_runs',
                  p.relname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN present p
    WHERE p.relname <> 'cadence_arming' AND p.relrowsecurity
      AND (p.relforcerowsecurity OR NOT pg_has_role(r.relowner, p.relowner, 'USAGE'))
      AND NOT EXISTS (SELECT FROM pg_roles o WHERE o.oid = r.relowner AND (o.rolsuper OR o.rolbypassrls))
    UNION ALL
    SELECT format('%s is published, and has no replica identity by which its rows could be updated', m.member::regclass)
    FROM members m JOIN pg_class c ON c.oid = m.member AND c.relkind = 'r'
    WHERE m.relname IN ('lead_cadence_runs', 'cadence_runner_logs', 'cadence_claims', 'cadence_arming')
      AND c.relreplident <> 'f' AND c.relpersistence = 'p'
      AND NOT EXISTS (SELECT FROM pg_index i
                      WHERE i.indrelid = c.oid AND i.indisvalid
                        AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)
      AND EXISTS (SELECT FROM pg_publication b
                  WHERE (b.pubupdate OR b.pubdelete)
                    AND (b.puballtables
                         OR EXISTS (SELECT FROM pg_publication_tables pt JOIN pg_namespace n ON n.nspname = pt.schemaname
                                    WHERE pt.pubname = b.pubname AND n.oid = c.relnamespace AND pt.tablename = c.relname)))
    UNION ALL
    -- their operators are not pg_catalog's: two keys that are one to the application would be two here
    SELECT format('%s.%s is of type %s, whose values are not compared as text', f.table_name, f.column_name,
                  format_type(f.atttypid, NULL))
    FROM found f JOIN pg_type b ON b.oid = f.base
    WHERE f.kind IN ('text', 'word') AND b.typcategory = 'S' AND b.oid >= 16384
      AND f.column_name IN ('id', 'canal', 'status');

COMMENT ON VIEW @extschema@.cadence_misfits IS
'each reason why cadence_create_tables() can not adopt the tables that are there; empty when it can';

CREATE VIEW @extschema@.cadence_missing_indexes AS
    -- served_by: no index is missing where a complete one starts with one of these columns
    SELECT v.table_name::name, v.index_name::name, v.definition
    FROM (VALUES
        -- the due runs, in the order in which they are claimed, however many others there are
        ('lead_cadence_runs', 'lead_cadence_runs_due_idx', '(next_run_at, id) WHERE status = ''ATIVA''', NULL::text[]),
        -- what waits for an operator
        ('lead_cadence_runs', 'lead_cadence_runs_paused_idx', '(id) WHERE status = ''PAUSADA''', NULL),
        -- runs that were paused or cancelled while their message was under way
        ('lead_cadence_runs', 'lead_cadence_runs_halted_idx', '(claim_id) WHERE claim_id IS NOT NULL AND status <> ''ATIVA''', NULL),
        -- cadence_enroll() and cadence_resume(): is this lead active already? Our own table has a unique index for that
        ('lead_cadence_runs', 'lead_cadence_runs_lead_idx', '(lead_id) WHERE status = ''ATIVA''', ARRAY['lead_id']),
        -- a run's history, and its removal
        ('lead_cadence_events', 'lead_cadence_events_run_idx', '(lead_cadence_run_id)', ARRAY['lead_cadence_run_id']),
        -- the lookups of a claim, where an adopted table has no constraint that serves them
        ('cadence_steps', 'cadence_steps_cadence_idx', '(cadence_id, ordem)', ARRAY['cadence_id']),
        ('lead_contacts', 'lead_contacts_lead_idx', '(lead_id)', ARRAY['lead_id']),
        ('message_templates', 'message_templates_codigo_idx', '(codigo)', ARRAY['codigo', 'empresa']),
        -- the last executions, and the removal of old ones
        ('cadence_runner_logs', 'cadence_runner_logs_executed_idx', '(executed_at)', ARRAY['executed_at'])
    ) AS v(table_name, index_name, definition, served_by)
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_class c
        WHERE c.relnamespace = '@extschema@'::pg_catalog.regnamespace AND c.relname = v.index_name)
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE c.relnamespace = '@extschema@'::pg_catalog.regnamespace AND c.relname = v.table_name
          AND a.attname = ANY (v.served_by))
      AND NOT (v.index_name = 'lead_cadence_runs_lead_idx' AND EXISTS (
        SELECT FROM pg_catalog.pg_class c
        WHERE c.relnamespace = '@extschema@'::pg_catalog.regnamespace AND c.relname = 'lead_cadence_runs_active_idx'));

COMMENT ON VIEW @extschema@.cadence_missing_indexes IS
'the indexes that cadence_create_tables() would still create';

CREATE FUNCTION @extschema@.cadence_create_tables(owner regrole DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    prefix constant text := '@extschema@.';
    problems text[];
    -- whose the tables are to be
    role constant name := coalesce(pg_get_userbyid(owner), current_user);
    others name[];
    item record;
    grantee record;
    armed_now boolean := false;
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'cadence_runner needs a database with encoding UTF8'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('cadence_create_tables', '@extschema@'::regnamespace::oid::bigint));

    IF NOT pg_has_role(role, 'MEMBER') THEN
        RAISE EXCEPTION 'role % is neither a superuser nor a member of role %', current_user, role
            USING ERRCODE = 'insufficient_privilege';
    END IF;

    -- so that nobody puts another in the place of one that was looked at
    FOR item IN
        SELECT c.relname FROM pg_class c
        WHERE c.relnamespace = '@extschema@'::regnamespace AND c.relkind IN ('r', 'p')
          AND c.relname IN (SELECT k.table_name FROM @extschema@.cadence_table_constraints k)
          AND pg_has_role(c.relowner, role, 'MEMBER')
    LOOP
        EXECUTE format('LOCK TABLE ONLY %s%I IN ACCESS SHARE MODE', prefix, item.relname);
    END LOOP;

    -- tables that somebody has planted would decide what runs with another's rights
    others := ARRAY(SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class c
                    WHERE c.relnamespace = '@extschema@'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                      AND c.relname IN (SELECT k.table_name FROM @extschema@.cadence_table_constraints k)
                      AND (NOT pg_has_role(c.relowner, role, 'MEMBER')
                           OR c.relname = 'lead_cadence_runs' AND pg_get_userbyid(c.relowner) <> role));
    IF cardinality(others) > 0 THEN
        RAISE EXCEPTION 'the tables in schema % do not all belong to role %', '@extschema@', role
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('There are tables of %s.', array_to_string(others, ', ')),
                  HINT = CASE cardinality(others)
                         WHEN 1 THEN format('Where they are the ones that are meant, call '
                                            'cadence_create_tables(owner => %L).', quote_ident(others[1]))
                         ELSE 'Give them to one role with ALTER TABLE ... OWNER TO.' END;
    END IF;

    problems := ARRAY(SELECT m.problem FROM @extschema@.cadence_misfits m);
    IF cardinality(problems) > 0 THEN
        RAISE EXCEPTION 'the tables in schema % can not be adopted', '@extschema@'
            USING ERRCODE = 'datatype_mismatch',
                  DETAIL = array_to_string(problems, E'\n'),
                  HINT = 'Nothing was changed. Change what is listed, and call cadence_create_tables() again.';
    END IF;

    -- a new table of an adopted installation goes to the owner of the runs, as whom the worker connects
    FOR item IN
        SELECT k.table_name, k.definition AS constraints, min(c.n) AS n,
               string_agg(format('%I %s%s%s', c.column_name, c.type,
                                 coalesce(' DEFAULT ' || c.default_value, ''),
                                 CASE WHEN c.required THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY c.n) AS columns
        FROM @extschema@.cadence_table_constraints k JOIN @extschema@.cadence_columns c USING (table_name)
        WHERE to_regclass(prefix || quote_ident(k.table_name)) IS NULL
        GROUP BY k.table_name, k.definition ORDER BY n
    LOOP
        -- each step changes its run twice: with room on its page, that stays there
        EXECUTE format('CREATE TABLE %s%I (%s, %s)%s', prefix, item.table_name, item.columns, item.constraints,
                       CASE item.table_name WHEN 'lead_cadence_runs' THEN ' WITH (fillfactor = 90)' ELSE '' END);
        -- what may be active once; an adopted table may have it twice already (see move.c for what guards that)
        IF item.table_name = 'lead_cadence_runs' THEN
            EXECUTE format('CREATE UNIQUE INDEX lead_cadence_runs_active_idx ON %s%I (lead_id, empresa, cadence_id) WHERE status = ''ATIVA''',
                           prefix, item.table_name);
        END IF;
        EXECUTE format('ALTER TABLE %s%I ENABLE ROW LEVEL SECURITY', prefix, item.table_name);
        IF role <> current_user THEN
            EXECUTE format('ALTER TABLE %s%I OWNER TO %I', prefix, item.table_name, role);
        END IF;
        -- default privileges (Supabase's, for one) must not hand out what row level security does not cover
        FOR grantee IN
            SELECT DISTINCT a.grantee AS id FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
            WHERE c.oid = to_regclass(prefix || quote_ident(item.table_name)) AND a.grantee <> c.relowner
        LOOP
            EXECUTE format('REVOKE ALL ON %s%I FROM %s', prefix, item.table_name,
                           CASE grantee.id WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee.id)) END);
        END LOOP;
        RAISE NOTICE 'created table %', item.table_name;
        IF item.table_name = 'cadence_arming' THEN
            armed_now := true;
        END IF;
    END LOOP;

    FOR item IN
        SELECT c.* FROM @extschema@.cadence_columns c
        WHERE NOT EXISTS (SELECT FROM pg_attribute a
                          WHERE a.attrelid = to_regclass(prefix || quote_ident(c.table_name))
                            AND a.attname = c.column_name AND a.attnum > 0 AND NOT a.attisdropped)
        ORDER BY c.n
    LOOP
        EXECUTE format('ALTER TABLE %s%I ADD COLUMN %I %s%s', prefix, item.table_name, item.column_name, item.type,
                       coalesce(' DEFAULT ' || item.default_value
                                || CASE WHEN item.required THEN ' NOT NULL' ELSE '' END, ''));
        RAISE NOTICE 'added column % to table %', item.column_name, item.table_name;
    END LOOP;

    FOR item IN SELECT * FROM @extschema@.cadence_missing_indexes ORDER BY table_name, index_name LOOP
        EXECUTE format('CREATE INDEX %I ON %s%I %s', item.index_name, prefix, item.table_name, item.definition);
        RAISE NOTICE 'created index %', item.index_name;
    END LOOP;

    -- commits that make a run due, or arm the tables, wake the resident worker
    FOR item IN
        SELECT v.table_name, v.event FROM (VALUES
            ('lead_cadence_runs', 'INSERT OR UPDATE'), ('cadence_arming', 'INSERT OR UPDATE OR DELETE')) AS v(table_name, event)
        WHERE NOT EXISTS (SELECT FROM pg_trigger t
                          WHERE t.tgrelid = to_regclass(prefix || quote_ident(v.table_name))
                            AND t.tgname = 'cadence_runner_wake' AND NOT t.tgisinternal)
        ORDER BY v.table_name
    LOOP
        IF NOT has_function_privilege(prefix || 'cadence_wake()', 'EXECUTE') THEN
            RAISE NOTICE 'table % gets no trigger to wake the resident worker: role % may not execute cadence_wake()',
                item.table_name, current_user
                USING HINT = format('Grant EXECUTE on function %scadence_wake() to that role, and call cadence_create_tables() again. '
                                    'Until then the worker looks once a minute.', prefix);
            CONTINUE;
        END IF;
        EXECUTE format('CREATE TRIGGER cadence_runner_wake AFTER %s ON %s%I FOR EACH STATEMENT EXECUTE FUNCTION %scadence_wake()',
                       item.event, prefix, item.table_name, prefix);
        EXECUTE format('ALTER TRIGGER cadence_runner_wake ON %s%I DEPENDS ON EXTENSION cadence_runner',
                       prefix, item.table_name);
    END LOOP;

    -- a table that is there already may be a copy: only cadence_arm() arms that
    IF armed_now THEN
        INSERT INTO @extschema@.cadence_arming (cluster, database_oid, timeline)
        SELECT s.system_identifier::text, d.oid::text, c.timeline_id
        FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d WHERE d.datname = current_database();
    END IF;

    -- without that right, the resident worker finds out some seconds later
    IF has_function_privilege(prefix || 'cadence_wake_worker()', 'EXECUTE') THEN
        PERFORM @extschema@.cadence_wake_worker();
    END IF;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_create_tables(regrole) IS
'creates the tables of cadence_runner in the extension''s schema and adopts those that are there: adds columns and indexes, changes no type, drops nothing';

GRANT SELECT ON @extschema@.cadence_columns, @extschema@.cadence_table_constraints, @extschema@.cadence_misfits,
    @extschema@.cadence_missing_indexes TO PUBLIC;

CREATE FUNCTION @extschema@.cadence_wake() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_wake() IS
'wakes the resident worker of this database when the transaction commits; a trigger of cadence_create_tables()';

CREATE FUNCTION @extschema@.cadence_arm() RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_arm() IS
'lets the tables of this database send from this server: for a copy (a restored dump, a copied data directory, an upgraded cluster) that is to take over';

--
-- Status
--

CREATE FUNCTION @extschema@.cadence_runner_status(
    OUT database text, OUT workers int, OUT worker_pid int, OUT worker_state text, OUT worker_since timestamptz,
    OUT worker_seen_at timestamptz, OUT problem text, OUT last_execution timestamptz,
    OUT in_flight bigint, OUT waiting bigint, OUT next_look timestamptz,
    OUT due_now bigint, OUT oldest_due timestamptz, OUT lag interval, OUT claimed bigint,
    OUT uncertain bigint, OUT next_due timestamptz, OUT warnings text[], OUT providers jsonb) RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_runner_status() IS
'the resident workers of the server, and what is due, claimed, uncertain and sent in this database';

CREATE VIEW @extschema@.cadence_runner_status AS SELECT * FROM @extschema@.cadence_runner_status();

COMMENT ON VIEW @extschema@.cadence_runner_status IS
'the same as the function cadence_runner_status(), which its reader must be allowed to execute';

-- nothing to be seen without the right to execute the function
GRANT SELECT ON @extschema@.cadence_runner_status TO PUBLIC;

-- what the status says is wrong, with the caller's rights: who executes this must be allowed to execute that
CREATE FUNCTION @extschema@.cadence_health(max_lag interval DEFAULT '5 minutes', OUT ok boolean, OUT reasons text[])
RETURNS record
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD'
AS $$
    SELECT cardinality(r.reasons) = 0, r.reasons
    FROM @extschema@.cadence_runner_status() AS s
    CROSS JOIN LATERAL (SELECT array_remove(
        ARRAY[
            CASE WHEN NOT current_setting('cadence_runner.enabled')::boolean
                THEN 'cadence_runner.enabled is off' END,
            CASE WHEN pg_is_in_recovery() OR s.workers IS NULL THEN NULL
                WHEN s.worker_state = 'paused'
                THEN 'the resident worker is paused, until somebody calls cadence_resume_worker() or the server is started again'
                WHEN s.worker_pid IS NULL OR s.worker_state = 'starting'
                THEN format('the resident worker does not run: it is %s', concat_ws(': ', s.worker_state, s.problem)) END,
            -- it goes round its loop at least once a minute
            CASE WHEN NOT pg_is_in_recovery() AND s.worker_seen_at < clock_timestamp() - interval '150 s'
                THEN format('the resident worker is stuck: it was last heard of at %s', s.worker_seen_at) END,
            -- what was due for ever has no lag
            CASE WHEN s.due_now > 0 AND (s.lag > cadence_health.max_lag) IS NOT FALSE
                THEN format('overdue: %s due, the oldest since %s', s.due_now, s.oldest_due) END]
        || s.warnings
        -- so many failures in a row, and nothing sent, are no accident
        || ARRAY(SELECT format('provider "%s" fails: %s failures and nothing sent in the last hour; %s',
                               p ->> 'server', p ->> 'failed_last_hour', p ->> 'last_error')
                 FROM jsonb_array_elements(s.providers) AS p
                 WHERE (p ->> 'sent_last_hour')::bigint = 0 AND (p ->> 'failed_last_hour')::bigint >= 5),
        NULL) AS reasons) AS r
    WHERE s.database = current_database()::text
$$;

COMMENT ON FUNCTION @extschema@.cadence_health(interval) IS
'whether messages leave as they should, or each reason why not; max_lag is how long a due step may wait';


--
-- Resident workers
--

CREATE FUNCTION @extschema@.cadence_pause_worker(database name DEFAULT current_database()) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_pause_worker(name) IS
'ends the resident workers of a database and keeps them out until cadence_resume_worker() or a restart of the server: for ALTER DATABASE ... RENAME or SET TABLESPACE, and CREATE DATABASE ... TEMPLATE';

CREATE FUNCTION @extschema@.cadence_resume_worker(database name DEFAULT current_database()) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_resume_worker(name) IS
'lets the resident workers of a database run again, after cadence_pause_worker()';

CREATE FUNCTION @extschema@.cadence_wake_worker() RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_wake_worker() IS
'when the transaction commits, the resident workers of this database make sure of the extension and its tables, or are started';

--
-- Runs
--
-- These write to tables whose triggers may name other tables without a schema:
-- hence the tables' schema on the search path, as in the worker's own session.
-- Others may create operators there: the library's own SQL names each with its
-- schema. Every statement of theirs has its index, whatever the statistics say.
--

CREATE FUNCTION @extschema@.cadence_enroll(lead_id text, cadence_codigo text, start_at timestamptz DEFAULT now(), empresa text DEFAULT NULL)
RETURNS uuid
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_enroll(text, text, timestamptz, text) IS
'starts a cadence for a lead and returns the run; its first step is due at start_at plus that step''s offset. empresa: which company''s, where several have a cadence of that codigo and more than one knows the lead';

CREATE FUNCTION @extschema@.cadence_pause(run uuid) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_pause(uuid) IS
'pauses a run that is ATIVA: nothing more is sent until cadence_resume(); a message that is under way is not called back';

CREATE FUNCTION @extschema@.cadence_resume(run uuid) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_resume(uuid) IS
'resumes a run that is PAUSADA: its next step is due at its time, or now if that has passed, with all its attempts again';

CREATE FUNCTION @extschema@.cadence_cancel(run uuid, motivo text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_cancel(uuid, text) IS
'cancels a run that is ATIVA or PAUSADA, for good; motivo is kept in its event';

CREATE FUNCTION @extschema@.cadence_settle(run uuid, sent boolean) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_settle(uuid, boolean) IS
'settles an uncertain attempt: sent = true moves the run on (its text was not kept, so lead_messages gets no row), false makes its step due again';

--
-- pg_cron
--

CREATE FUNCTION @extschema@.cadence_schedule(schedule text DEFAULT '*/5 * * * *') RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    command constant text := 'SELECT @extschema@.cadence_run(''CRON'')';
    job bigint;
BEGIN
    IF schedule IS NULL THEN
        RAISE EXCEPTION 'the schedule must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('In the database that has pg_cron (its setting cron.database_name), run: '
                                'SELECT cron.schedule_in_database(%L, %L, %L, %L);',
                                'cadence-runner-cron', schedule, command, current_database());
    END IF;
    EXECUTE 'SELECT cron.schedule($1, $2, $3)' INTO job USING 'cadence-runner-cron', schedule, command;
    RETURN job;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_schedule(text) IS
'creates or changes the pg_cron job cadence-runner-cron, which runs cadence_run(''CRON''), and returns its number';

CREATE FUNCTION @extschema@.cadence_unschedule() RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'In the database that has pg_cron (its setting cron.database_name), run: '
                         'SELECT cron.unschedule(''cadence-runner-cron'');';
    END IF;
    EXECUTE 'SELECT jobid FROM cron.job WHERE jobname = $1 AND username = current_user' INTO job
    USING 'cadence-runner-cron';
    IF job IS NULL THEN
        RAISE NOTICE 'role % has no job cadence-runner-cron', current_user;
        RETURN false;
    END IF;
    EXECUTE 'SELECT cron.unschedule($1)' USING job;
    RETURN true;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_unschedule() IS
'removes the pg_cron job cadence-runner-cron of the calling role; false when there is none';

CREATE FUNCTION @extschema@.cadence_cron_history(max int DEFAULT 20)
RETURNS TABLE (runid bigint, job_pid int, status text, return_message text,
               start_time timestamptz, end_time timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Read cron.job_run_details in the database that has pg_cron (its setting cron.database_name).';
    END IF;
    -- by command: job_run_details has no job name, and outlives the job
    RETURN QUERY EXECUTE
        'SELECT d.runid, d.job_pid, d.status, d.return_message, d.start_time, d.end_time
         FROM cron.job_run_details AS d
         WHERE d.command = $1 AND d.database = current_database()
         ORDER BY d.start_time DESC NULLS FIRST, d.runid DESC LIMIT $2'
    USING 'SELECT @extschema@.cadence_run(''CRON'')', greatest(coalesce(cadence_cron_history.max, 20), 0);
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_cron_history(int) IS
'what pg_cron recorded of the job''s last runs, the newest first';

--
-- Nobody but the owner may execute anything at first. The right to execute
-- cadence_run() is the authorization to send, and default privileges (such as
-- Supabase's, which grant EXECUTE to its anonymous role) must not hand it out.
--

DO $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.oid::regprocedure AS signature, a.grantee
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'cadence_runner'
        JOIN pg_catalog.pg_proc p ON p.oid = d.objid
        CROSS JOIN LATERAL (
            SELECT DISTINCT x.grantee
            FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS x
            WHERE x.grantee <> p.proowner) AS a
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
          AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %s', f.signature,
            CASE WHEN f.grantee = 0 THEN 'PUBLIC'
                 ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(f.grantee)) END);
    END LOOP;
END
$$;

--
-- Whatever has kept a resident worker from starting may be over now
--

SELECT @extschema@.cadence_wake_worker();
