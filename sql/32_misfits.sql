CREATE VIEW cadence_misfits(problem) AS
    WITH present AS (
        SELECT c.oid, c.relname, c.relkind, c.relowner, c.relrowsecurity
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
        WHEN 'text' THEN b.typcategory = 'S'
        WHEN 'word' THEN b.typcategory = 'S' OR b.typtype = 'e'
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
    SELECT format('%s has row level security, which would hide its rows from role %s, the owner of lead_cadence_runs',
                  p.relname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN present p
    WHERE p.relname <> 'cadence_arming' AND p.relrowsecurity AND NOT pg_has_role(r.relowner, p.relowner, 'USAGE')
      AND NOT EXISTS (SELECT FROM pg_roles o WHERE o.oid = r.relowner AND (o.rolsuper OR o.rolbypassrls));

COMMENT ON VIEW cadence_misfits IS
'each reason why cadence_create_tables() can not adopt the tables that are there; empty when it can';

