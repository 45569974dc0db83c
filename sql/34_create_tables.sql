CREATE FUNCTION @extschema@.cadence_lock_tables() RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_lock_tables() IS
'part of cadence_create_tables(): whoever makes the tables waits for another who does';

CREATE FUNCTION @extschema@.cadence_make_keys() RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_make_keys() IS
'part of cadence_create_tables(): makes each secret key that is missing, but none beside a blocklist whose own is lost';

-- A function of another that fits a call better than ours, or as well, would run with the rights of
-- whoever calls. A superuser needs no such way.
CREATE VIEW @extschema@.cadence_planted(problem) AS
    WITH ours AS (
        SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'cadence_runner'
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')
    SELECT format('%s of role %I might be called instead of cadence_runner''s own', p.oid::regprocedure, r.rolname)
    FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner AND NOT r.rolsuper
    WHERE p.pronamespace = '@extschema@'::regnamespace AND p.oid NOT IN (SELECT objid FROM ours)
      AND p.proname IN (SELECT o.proname FROM ours JOIN pg_proc o ON o.oid = ours.objid);

COMMENT ON VIEW @extschema@.cadence_planted IS
'each function of others that has a name of ours in the extension''s schema; empty when there is none';
COMMENT ON COLUMN @extschema@.cadence_planted.problem IS 'which function, and whose it is';

CREATE FUNCTION @extschema@.cadence_create_tables(owner regrole DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    prefix constant text := '@extschema@.';
    problems text[];
    -- whose the tables are to be
    role constant name := coalesce(pg_get_userbyid(owner), current_user);
    -- from PostgreSQL 16 on a membership may come without the right to SET ROLE
    becoming constant text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END;
    others name[];
    item record;
    remark record;
    grantee record;
    armed_now boolean := false;
    -- runs that were there before anybody counted, and what there was to count them into
    adopted constant boolean := to_regclass('@extschema@.lead_cadence_runs') IS NOT NULL;
    has_counts constant boolean := to_regclass('@extschema@.cadence_counts') IS NOT NULL;
    has_cohorts constant boolean := to_regclass('@extschema@.cadence_cohorts') IS NOT NULL;
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'cadence_runner needs a database with encoding UTF8'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    -- without that right, of two callers one may be told that what it makes is there already
    IF has_function_privilege(prefix || 'cadence_lock_tables()', 'EXECUTE') THEN
        PERFORM @extschema@.cadence_lock_tables();
    END IF;

    IF NOT pg_has_role(role, becoming) THEN
        RAISE EXCEPTION 'role % is neither a superuser nor a member of role %', current_user, role
            USING ERRCODE = 'insufficient_privilege',
                  HINT = CASE WHEN pg_has_role(role, 'MEMBER') THEN format('GRANT %I TO %I WITH SET TRUE', role, current_user)
                              ELSE 'Call it as one of them.' END;
    END IF;

    problems := ARRAY(SELECT p.problem FROM @extschema@.cadence_planted p ORDER BY 1);
    IF cardinality(problems) > 0 THEN
        RAISE EXCEPTION 'schema % has functions of others with names of cadence_runner', '@extschema@'
            USING ERRCODE = 'duplicate_function', DETAIL = array_to_string(problems, E'\n'), HINT = 'Drop them.';
    END IF;

    -- so that nobody puts another in the place of one that was looked at
    FOR item IN
        SELECT c.relname FROM pg_class c
        WHERE c.relnamespace = '@extschema@'::regnamespace AND c.relkind IN ('r', 'p')
          AND c.relname IN (SELECT k.table_name FROM @extschema@.cadence_table_constraints k)
          AND pg_has_role(c.relowner, role, becoming)
    LOOP
        EXECUTE format('LOCK TABLE ONLY %s%I IN ACCESS SHARE MODE', prefix, item.relname);
    END LOOP;

    -- tables that somebody has planted would decide what runs with another's rights
    others := ARRAY(SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class c
                    WHERE c.relnamespace = '@extschema@'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                      AND c.relname IN (SELECT k.table_name FROM @extschema@.cadence_table_constraints k)
                      AND (NOT pg_has_role(c.relowner, role, becoming)
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
        IF item.table_name = 'cadence_opt_out_words' THEN
            INSERT INTO @extschema@.cadence_opt_out_words (word, language, opts_in, all_channels)
            SELECT w.word, w.language, w.opts_in, w.all_channels FROM @extschema@.cadence_first_words w;
        END IF;
        -- gen_random_uuid() is made of strong random bits, 122 of them. A lost key is not made again beside what it has made
        IF item.table_name = 'cadence_keys' THEN
            INSERT INTO @extschema@.cadence_keys (name, key)
            SELECT k.name, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
            FROM (VALUES ('blocklist'), ('unsubscribe')) AS k(name)
            WHERE k.name <> 'blocklist' OR NOT EXISTS (SELECT FROM @extschema@.cadence_blocklist);
        END IF;
        EXECUTE format('ALTER TABLE %s%I ENABLE ROW LEVEL SECURITY', prefix, item.table_name);
        FOR remark IN
            SELECT c.column_name, c.comment FROM @extschema@.cadence_table_comments c WHERE c.table_name = item.table_name
        LOOP
            EXECUTE format('COMMENT ON %s%I%s IS %L', CASE WHEN remark.column_name IS NULL THEN 'TABLE ' ELSE 'COLUMN ' END
                               || prefix, item.table_name, coalesce('.' || quote_ident(remark.column_name), ''), remark.comment);
        END LOOP;
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

    -- keys that a dump has left out
    IF has_function_privilege(prefix || 'cadence_make_keys()', 'EXECUTE') THEN
        PERFORM @extschema@.cadence_make_keys();
    END IF;

    -- commits that make a run due, or arm the tables, wake the resident worker; what they forbid, no execution starts;
    -- policies that can not be are refused
    FOR item IN
        SELECT v.* FROM (VALUES
            ('cadence_runner_wake', 'cadence_wake', 'lead_cadence_runs', 'AFTER', 'INSERT OR UPDATE', 'STATEMENT', ''),
            ('cadence_runner_wake', 'cadence_wake', 'cadence_outbox', 'AFTER', 'INSERT OR UPDATE', 'STATEMENT', ''),
            ('cadence_runner_wake', 'cadence_wake', 'cadence_arming', 'AFTER', 'INSERT OR UPDATE OR DELETE', 'STATEMENT', ''),
            -- the column as an argument: no trigger OF it, beside which its type could not be changed
            ('cadence_runner_barrier', 'cadence_barrier', 'lead_contacts', 'AFTER', 'UPDATE', 'STATEMENT', '''opt_out'''),
            ('cadence_runner_barrier', 'cadence_barrier', 'lead_cadence_runs', 'AFTER', 'UPDATE OR DELETE', 'STATEMENT', '''status'''),
            ('cadence_runner_barrier', 'cadence_barrier', 'contact_opt_outs', 'AFTER', 'INSERT OR UPDATE', 'STATEMENT', ''),
            ('cadence_runner_barrier', 'cadence_barrier', 'cadence_blocklist', 'AFTER', 'INSERT OR UPDATE', 'STATEMENT', ''),
            ('cadence_runner_policy', 'cadence_check_policy', 'cadences', 'BEFORE', 'INSERT OR UPDATE', 'ROW', '''cadences'''),
            ('cadence_runner_policy', 'cadence_check_policy', 'cadence_steps', 'BEFORE', 'INSERT OR UPDATE', 'ROW', '''cadence_steps'''),
            ('cadence_runner_policy', 'cadence_check_policy', 'cadence_empresas', 'BEFORE', 'INSERT OR UPDATE', 'ROW', '''cadence_empresas'''),
            -- runs follow the steps that they stand before; each event has transition tables of its own
            ('cadence_runner_steps_added', 'cadence_steps_edited', 'cadence_steps', 'AFTER', 'INSERT', 'STATEMENT', ''),
            ('cadence_runner_steps_edited', 'cadence_steps_edited', 'cadence_steps', 'AFTER', 'UPDATE', 'STATEMENT', ''),
            ('cadence_runner_steps_removed', 'cadence_steps_edited', 'cadence_steps', 'AFTER', 'DELETE', 'STATEMENT', ''),
            -- whoever enrols, and by whatever INSERT, is counted
            ('cadence_runner_added', 'cadence_runs_added', 'lead_cadence_runs', 'AFTER', 'INSERT', 'STATEMENT', ''))
            AS v(trigger_name, function_name, table_name, timing, event, level, argument)
        WHERE NOT EXISTS (SELECT FROM pg_trigger t
                          WHERE t.tgrelid = to_regclass(prefix || quote_ident(v.table_name))
                            AND t.tgname = v.trigger_name AND NOT t.tgisinternal)
        ORDER BY v.table_name, v.trigger_name
    LOOP
        IF NOT has_function_privilege(format('%s%s()', prefix, item.function_name), 'EXECUTE') THEN
            RAISE NOTICE 'table % gets no trigger %: role % may not execute %()',
                item.table_name, item.trigger_name, current_user, item.function_name
                USING HINT = format('Grant EXECUTE on function %s%s() to that role, and call cadence_create_tables() again. %s',
                                    prefix, item.function_name,
                                    CASE item.function_name
                                        WHEN 'cadence_wake' THEN 'Until then the resident worker looks once a minute.'
                                        WHEN 'cadence_check_policy' THEN 'Until then what can not be is found when a step is due, which waits.'
                                        WHEN 'cadence_runs_added' THEN 'Until then pages do not know how many runs have begun.'
                                        WHEN 'cadence_steps_edited' THEN 'Until then runs do not follow steps that are renumbered.'
                                        ELSE 'Until then a message may leave up to a second after it was forbidden.' END);
            CONTINUE;
        END IF;
        EXECUTE format('CREATE TRIGGER %I %s %s ON %s%I %s FOR EACH %s EXECUTE FUNCTION %s%I(%s)',
                       item.trigger_name, item.timing, item.event, prefix, item.table_name,
                       CASE item.trigger_name
                           WHEN 'cadence_runner_steps_added' THEN 'REFERENCING NEW TABLE AS cadence_steps_after'
                           WHEN 'cadence_runner_added' THEN 'REFERENCING NEW TABLE AS cadence_runs_added'
                           WHEN 'cadence_runner_steps_removed' THEN 'REFERENCING OLD TABLE AS cadence_steps_before'
                           WHEN 'cadence_runner_steps_edited'
                           THEN 'REFERENCING OLD TABLE AS cadence_steps_before NEW TABLE AS cadence_steps_after'
                           ELSE '' END,
                       item.level, prefix, item.function_name, item.argument);
        EXECUTE format('ALTER TRIGGER %I ON %s%I DEPENDS ON EXTENSION cadence_runner',
                       item.trigger_name, prefix, item.table_name);
    END LOOP;

    -- a table that is there already may be a copy: only cadence_arm() arms that
    IF armed_now THEN
        INSERT INTO @extschema@.cadence_arming (cluster, database_oid, timeline)
        SELECT s.system_identifier::text, d.oid::text, c.timeline_id
        FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d WHERE d.datname = current_database();
    END IF;

    -- with the trigger there, what is inserted from here on is counted as it comes
    IF adopted AND NOT (has_counts AND has_cohorts) THEN
        BEGIN
            PERFORM @extschema@.cadence_rollup_rebuild(NOT has_counts, NOT has_cohorts);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'what was there before could not be counted: %', SQLERRM
                USING ERRCODE = SQLSTATE, HINT = 'Call cadence_rollup_rebuild() later. Until then pages know only what happens from now on.';
        END;
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
    @extschema@.cadence_missing_indexes, @extschema@.cadence_name_words, @extschema@.cadence_planted, @extschema@.cadence_table_comments, @extschema@.cadence_first_words TO PUBLIC;

