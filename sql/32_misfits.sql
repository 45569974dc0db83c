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
        -- from PostgreSQL 16 on a membership may come without the right to SET ROLE
        SELECT relowner, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END AS becoming
        FROM present WHERE relname = 'lead_cadence_runs'
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
        WHEN 'bytes' THEN b.oid = 'bytea'::regtype
        WHEN 'span' THEN b.oid = 'interval'::regtype
        WHEN 'clock' THEN b.oid = 'time'::regtype
        WHEN 'date' THEN b.oid = 'date'::regtype
        WHEN 'uuids' THEN b.oid = 'uuid[]'::regtype
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
    -- a claim names its rows by id, and foreign keys lead there; a sender has one state
    SELECT format('%s.%s has no primary key or unique constraint', p.relname, f.column_name)
    FROM found f JOIN present p ON p.oid = f.relation
    WHERE (f.table_name IN ('cadences', 'lead_cadence_runs') AND f.column_name = 'id'
           OR f.table_name = 'cadence_provider_state' AND f.column_name = 'server') AND f.attnum IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index i
                      WHERE i.indrelid = f.relation AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                        AND i.indnkeyatts = 1 AND i.indkey[0] = f.attnum)
    UNION ALL
    SELECT format('%s has no primary key or unique constraint on (%s)', p.relname, array_to_string(u.columns, ', '))
    FROM present p
    JOIN (VALUES ('cadence_conversations', ARRAY['empresa', 'lead_id', 'canal']::name[]),
                 ('lead_identities', ARRAY['empresa', 'kind', 'value']::name[]),
                 ('cadence_blocklist', ARRAY['empresa', 'kind', 'value_hash']::name[]),
                 ('cadence_keys', ARRAY['name']::name[]),
                 ('cadence_secrets', ARRAY['name']::name[]),
                 ('cadence_usage', ARRAY['empresa', 'name', 'scope']::name[]),
                 ('cadence_counts', ARRAY['at', 'cadence', 'canal', 'code', 'empresa', 'grain', 'kind', 'outcome', 'server', 'template']::name[]),
                 ('cadence_cohorts', ARRAY['cadence', 'day', 'empresa', 'step']::name[])) AS u(relname, columns)
      ON u.relname = p.relname
    WHERE NOT EXISTS (SELECT FROM pg_index i
                      WHERE i.indrelid = p.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                        AND i.indexprs IS NULL AND i.indnkeyatts = cardinality(u.columns)
                        AND (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute a
                             WHERE a.attrelid = p.oid AND a.attnum = ANY (i.indkey[0:cardinality(u.columns) - 1]))
                            = (SELECT array_agg(k ORDER BY k) FROM unnest(u.columns) AS k))
    UNION ALL
    -- a column of the application that our inserts do not fill
    SELECT format('%s.%s is NOT NULL without a default, and cadence_runner does not write it',
                  p.relname, a.attname)
    FROM present p
    JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE p.relname IN ('lead_cadence_events', 'lead_messages', 'cadence_runner_logs', 'cadence_claims',
                        'cadence_provider_state', 'cadence_conversations', 'contact_opt_outs', 'cadence_dead_addresses',
                        'cadence_stopped_templates', 'lead_identities', 'cadence_rejected', 'cadence_blocklist', 'cadence_outbox',
                        'cadence_usage', 'cadence_secrets', 'cadence_deltas', 'cadence_counts', 'cadence_cohorts', 'cadence_stock')
      AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''
      AND NOT EXISTS (SELECT FROM @extschema@.cadence_columns s
                      WHERE s.table_name = p.relname AND s.column_name = a.attname)
    UNION ALL
    SELECT format('%s may not be used by role %s, the owner of lead_cadence_runs: it lacks %s',
                  p.relname, pg_get_userbyid(r.relowner), w.privilege)
    FROM runs_owner r CROSS JOIN present p
    CROSS JOIN unnest(CASE
        WHEN p.relname = 'lead_cadence_events' THEN ARRAY['SELECT', 'INSERT']
        WHEN p.relname IN ('contact_opt_outs', 'cadence_blocklist') THEN ARRAY['SELECT', 'INSERT', 'DELETE']
        WHEN p.relname = 'lead_messages' THEN ARRAY['SELECT', 'INSERT', 'UPDATE']
        WHEN p.relname IN ('cadence_runner_logs', 'cadence_claims', 'cadence_stopped_templates', 'cadence_rejected',
                           'cadence_dead_addresses', 'cadence_outbox', 'cadence_secrets', 'cadence_deltas', 'cadence_counts', 'cadence_cohorts', 'cadence_stock')
        THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
        WHEN p.relname IN ('cadence_provider_state', 'cadence_conversations', 'lead_identities', 'cadence_usage')
        THEN ARRAY['SELECT', 'INSERT', 'UPDATE']
        WHEN p.relname = 'cadence_arming' THEN '{}'
        ELSE ARRAY['SELECT'] END) AS w(privilege)
    WHERE p.relkind IN ('r', 'p') AND NOT has_table_privilege(r.relowner, p.oid, w.privilege)
    UNION ALL
    -- a table's owner decides what its triggers do, and they run as the owner of the runs
    SELECT format('%s does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  p.relname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN present p
    WHERE p.relname <> 'cadence_arming' AND NOT pg_has_role(p.relowner, r.relowner, r.becoming)
    UNION ALL
    -- so do a partition's, a type's, and whoever brings a trigger
    SELECT format('%s, which inherits from %s, does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  m.member::regclass, m.relname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN members m JOIN pg_class c ON c.oid = m.member
    WHERE m.member <> m.oid AND NOT pg_has_role(c.relowner, r.relowner, r.becoming)
    UNION ALL
    SELECT format('%s has the trigger %I, whose function does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  m.member::regclass, g.tgname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN members m JOIN pg_trigger g ON g.tgrelid = m.member AND NOT g.tgisinternal
    JOIN pg_proc p ON p.oid = g.tgfoid
    WHERE NOT pg_has_role(p.proowner, r.relowner, r.becoming)
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
        SELECT bool_or(NOT pg_has_role(b.typowner, r.relowner, r.becoming)) AS alien
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
    WHERE m.relname IN ('lead_cadence_runs', 'lead_messages', 'cadence_runner_logs', 'cadence_claims', 'cadence_provider_state',
                        'cadence_conversations', 'contact_opt_outs', 'cadence_stopped_templates', 'lead_identities',
                        'cadence_dead_addresses', 'cadence_rejected', 'cadence_blocklist', 'cadence_outbox', 'cadence_usage',
                        'cadence_secrets', 'cadence_deltas', 'cadence_counts', 'cadence_cohorts', 'cadence_stock', 'cadence_arming')
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
COMMENT ON COLUMN @extschema@.cadence_misfits.problem IS 'what stands in the way';

