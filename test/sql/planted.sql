--
-- A role that may create in the schema: nothing of hers runs with another's
-- rights, whatever she names like ours or makes fit better than pg_catalog's.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_crm LOGIN;
CREATE ROLE regress_cadence_eve LOGIN;
CREATE SCHEMA crm;
GRANT ALL ON SCHEMA crm TO regress_cadence_crm, regress_cadence_eve;
CREATE TABLE public.ran (what text, who text DEFAULT CURRENT_USER);
GRANT INSERT ON public.ran TO PUBLIC;

-- operators and functions that fit exactly what the script and its views compare
SET ROLE regress_cadence_eve;
SET search_path = crm;
DO $$
DECLARE
    left_type text;
    right_type text;
BEGIN
    FOR left_type, right_type IN
        SELECT * FROM (VALUES ('oid', 'regnamespace'), ('oid', 'regclass'), ('oid', 'regtype'), ('name', 'text'),
            ('char', 'text'), ('text', 'name'), ('name', 'unknown'), ('int2', 'int8'), ('char', 'unknown')) AS v
    LOOP BEGIN
        EXECUTE format('CREATE FUNCTION planted(%1$I, %2$I) RETURNS boolean LANGUAGE plpgsql AS $f$ '
                       'BEGIN INSERT INTO public.ran VALUES (''=(%1$s,%2$s)''); RETURN true; END $f$', left_type, right_type);
        EXECUTE format('CREATE OPERATOR = (LEFTARG = %I, RIGHTARG = %I, FUNCTION = planted)', left_type, right_type);
        EXECUTE format('CREATE OPERATOR <> (LEFTARG = %I, RIGHTARG = %I, FUNCTION = planted)', left_type, right_type);
    EXCEPTION WHEN OTHERS THEN
        NULL; -- a pseudo-type
    END; END LOOP;
    RAISE WARNING 'planted: %', (SELECT count(*) FROM pg_operator WHERE oprnamespace = 'crm'::regnamespace);
END $$;
CREATE FUNCTION hashtextextended(text, int) RETURNS bigint LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO public.ran VALUES ('hashtextextended'); RETURN 1; END $$;
CREATE FUNCTION pg_has_role(oid, oid, text) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO public.ran VALUES ('pg_has_role'); RETURN true; END $$;
CREATE FUNCTION format_type(oid, int) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO public.ran VALUES ('format_type'); RETURN ''; END $$;
-- one of our names
CREATE FUNCTION cadence_run() RETURNS jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
RESET ROLE;
CREATE EXTENSION cadence_runner SCHEMA crm;
DROP FUNCTION crm.cadence_run();
CREATE EXTENSION cadence_runner SCHEMA crm;
RESET search_path;
SELECT crm.cadence_create_tables();
SELECT * FROM crm.cadence_misfits;
SELECT * FROM crm.cadence_missing_indexes;
SELECT count(*) FROM crm.cadence_columns WHERE table_name::text = 'cadences' AND n > 0;
SELECT crm.cadence_health() IS NOT NULL AS healthy, crm.cadence_run('TEST') #> '{summary,total}' AS total;
SELECT crm.cadence_arm();
SELECT what, count(*) FROM public.ran GROUP BY 1;

-- nor is a function of hers called for one of ours, which has a default where hers has no argument
SET ROLE regress_cadence_eve;
CREATE FUNCTION crm.cadence_run() RETURNS jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
CREATE FUNCTION crm.cadence_of_hers() RETURNS jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
RESET ROLE;
SELECT crm.cadence_create_tables();
SELECT ok, reasons FROM crm.cadence_health();
DROP FUNCTION crm.cadence_run(), crm.cadence_of_hers();
SELECT ok, reasons FROM crm.cadence_health();

-- her tables are not adopted for others, neither all of them nor one
DO $$
DECLARE t text;
BEGIN
    FOR t IN SELECT DISTINCT table_name FROM crm.cadence_columns LOOP
        EXECUTE format('DROP TABLE crm.%I CASCADE', t);
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION crm.cadence_create_tables(regrole) TO regress_cadence_crm, regress_cadence_eve;
SET ROLE regress_cadence_eve;
CREATE TABLE crm.lead_cadence_events (id uuid, lead_cadence_run_id uuid, tipo_evento text);
RESET ROLE;
SELECT crm.cadence_create_tables();
SELECT crm.cadence_create_tables('regress_cadence_crm');
SET ROLE regress_cadence_crm;
SELECT crm.cadence_create_tables();
SELECT crm.cadence_create_tables('regress_cadence_eve');
RESET ROLE;
SELECT relname, relowner::regrole FROM pg_class WHERE relnamespace = 'crm'::regnamespace AND relkind = 'r' AND relname <> 'cadence_protocols';
SET ROLE regress_cadence_eve;
CREATE TABLE crm.lead_cadence_runs (id uuid PRIMARY KEY, lead_id text, empresa text, cadence_id uuid, status text);
RESET ROLE;
SELECT crm.cadence_create_tables();
-- who means them says so
SELECT crm.cadence_create_tables(owner => 'regress_cadence_eve');
SELECT relowner::regrole, count(*) FROM pg_class
WHERE relnamespace = 'crm'::regnamespace AND relkind = 'r' AND relname <> 'cadence_protocols' GROUP BY 1;
SELECT crm.cadence_run('TEST') #> '{summary,total}' AS total;

-- what she plants on her own tables does not run as the superuser who arms, reads or asks
SET ROLE regress_cadence_eve;
CREATE FUNCTION crm.caught() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    BEGIN RESET ROLE; EXCEPTION WHEN OTHERS THEN NULL; END;
    INSERT INTO public.ran VALUES (TG_TABLE_NAME || ' ' || TG_OP); RETURN NULL; END $$;
CREATE TRIGGER caught AFTER INSERT OR DELETE ON crm.cadence_arming FOR EACH STATEMENT EXECUTE FUNCTION crm.caught();
RESET ROLE;
TRUNCATE public.ran;
SELECT crm.cadence_arm();
SELECT * FROM public.ran ORDER BY what COLLATE "C";
TRUNCATE public.ran;

-- a table, a type or a trigger's function in the hands of another than the owner
SELECT crm.cadence_create_tables(owner => 'regress_cadence_eve');
REASSIGN OWNED BY regress_cadence_eve TO regress_cadence_crm;
DROP TRIGGER caught ON crm.cadence_arming;
SELECT crm.cadence_run('TEST') #> '{summary,total}' AS total;
GRANT TRIGGER ON crm.lead_messages TO regress_cadence_eve;
SET ROLE regress_cadence_eve;
CREATE FUNCTION crm.mine() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO public.ran VALUES (TG_TABLE_NAME || ' ' || TG_OP); RETURN NEW; END $$;
CREATE TRIGGER mine BEFORE INSERT ON crm.lead_messages FOR EACH ROW EXECUTE FUNCTION crm.mine();
RESET ROLE;
SELECT * FROM crm.cadence_misfits;
SELECT crm.cadence_run('TEST');
SELECT ok, reasons FROM crm.cadence_health();
SELECT problem FROM crm.cadence_runner_status();
SELECT crm.cadence_preview('a0000000-0000-0000-0000-000000000001');
SELECT crm.cadence_enroll('ana', 'UMA');
DROP TRIGGER mine ON crm.lead_messages;

CREATE TYPE crm.canal AS ENUM ('WHATSAPP');
ALTER TYPE crm.canal OWNER TO regress_cadence_eve;
ALTER TABLE crm.lead_contacts ADD COLUMN prefere crm.canal[];
SELECT * FROM crm.cadence_misfits;
SELECT crm.cadence_run('TEST');
ALTER TABLE crm.lead_contacts DROP COLUMN prefere;

CREATE TABLE crm.filha () INHERITS (crm.lead_messages);
ALTER TABLE crm.filha OWNER TO regress_cadence_eve;
SELECT * FROM crm.cadence_misfits;
SELECT crm.cadence_run('TEST');
DROP TABLE crm.filha;

ALTER TABLE crm.cadence_runner_logs RENAME TO old_logs;
SET ROLE regress_cadence_eve;
CREATE FUNCTION crm.shown() RETURNS timestamptz LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO public.ran VALUES ('view'); RETURN now(); END $$;
CREATE VIEW crm.cadence_runner_logs AS SELECT crm.shown() AS executed_at, NULL::jsonb AS details, 'CRON' AS trigger_source;
RESET ROLE;
SELECT crm.cadence_run('TEST');
SELECT ok, reasons FROM crm.cadence_health();
DROP VIEW crm.cadence_runner_logs;
ALTER TABLE crm.old_logs RENAME TO cadence_runner_logs;

-- a column of a type that nothing of ours is written for
ALTER TABLE crm.lead_cadence_runs ALTER cadence_id TYPE bigint USING 4242424242424242;
SELECT crm.cadence_run('TEST');
SELECT ok, reasons FROM crm.cadence_health();
SELECT crm.cadence_preview('a0000000-0000-0000-0000-000000000001');
ALTER TABLE crm.lead_cadence_runs ALTER cadence_id TYPE uuid USING NULL;
SELECT crm.cadence_run('TEST') #> '{summary,total}' AS total;
SELECT * FROM public.ran;

DROP EXTENSION cadence_runner;
DROP SCHEMA crm CASCADE;
DROP TABLE public.ran;
DROP ROLE regress_cadence_crm, regress_cadence_eve;
