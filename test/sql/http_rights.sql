--
-- Whoever serves HTTP may execute one function, and can bend nothing that it does.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_crm LOGIN;
CREATE ROLE regress_cadence_door;
CREATE ROLE regress_cadence_eve;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
GRANT CREATE, USAGE ON SCHEMA cadence TO regress_cadence_crm, regress_cadence_eve;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_door;
GRANT EXECUTE ON FUNCTION cadence.cadence_create_tables(regrole) TO regress_cadence_crm;
SET ROLE regress_cadence_crm;
SELECT cadence.cadence_create_tables();
RESET ROLE;
CREATE FUNCTION ask(method text, path text, token text DEFAULT '', body text DEFAULT '', query text DEFAULT NULL, OUT status int, OUT body text)
LANGUAGE sql AS $$
    SELECT h.status, convert_from(h.body, 'UTF8')
    FROM cadence.cadence_http(method, path, query, jsonb_build_object('authorization', 'Bearer ' || token), convert_to(body, 'UTF8'), NULL) AS h $$;

-- nobody may execute it at first, nor set a secret; whoever serves HTTP gets that one function
\set VERBOSITY terse
SET ROLE regress_cadence_door;
SELECT * FROM ask('GET', '/health');
SELECT cadence.cadence_secret_set('people', 'people-1234567890');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence.cadence_http(text, text, text, jsonb, bytea, inet) TO regress_cadence_door;
SET ROLE regress_cadence_door;
SELECT cadence.cadence_run('TEST');
SELECT cadence.cadence_health();
SELECT * FROM cadence.cadence_receive('x', 'POST', '{}', '', '');
SELECT * FROM cadence.cadence_unsubscribe('x');
SELECT cadence.cadence_secret_set('people', 'people-1234567890');
SELECT * FROM cadence.cadence_secrets;
RESET ROLE;
\set VERBOSITY default

-- a secret is set as the tables' owner: a trigger of that one's runs for nobody stronger
CREATE TABLE cadence.seen (who text, session text);
GRANT INSERT ON cadence.seen TO regress_cadence_crm;
SET ROLE regress_cadence_crm;
CREATE FUNCTION cadence.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO cadence.seen VALUES (current_user, session_user); RETURN NEW; END $$;
CREATE TRIGGER see BEFORE INSERT ON cadence.cadence_secrets FOR EACH ROW EXECUTE FUNCTION cadence.see();
RESET ROLE;
SELECT cadence.cadence_secret_set('people', 'people-1234567890'), cadence.cadence_secret_set('viewer', 'viewer-1234567890'), cadence.cadence_secret_set('service_role', 'service-1234567890'),
    cadence.cadence_secret_set('health', 'health-1234567890');
SELECT who, count(*) FROM cadence.seen GROUP BY who;
DROP TRIGGER see ON cadence.cadence_secrets;
-- a table that is in other hands is no table of secrets
ALTER TABLE cadence.cadence_secrets OWNER TO regress_cadence_eve;
GRANT ALL ON cadence.cadence_secrets TO regress_cadence_crm;
\set VERBOSITY terse
SELECT cadence.cadence_secret_set('people', 'people-1234567890');
\set VERBOSITY default
SET ROLE regress_cadence_door;
SELECT * FROM ask('GET', '/api/me', 'people-1234567890');
SELECT status FROM ask('POST', '/login', '', 'token=people-1234567890');
RESET ROLE;
ALTER TABLE cadence.cadence_secrets OWNER TO regress_cadence_crm;
SET ROLE regress_cadence_door;
SELECT * FROM ask('GET', '/api/me', 'people-1234567890');
RESET ROLE;
-- rows that can be no secrets open nothing
INSERT INTO cadence.cadence_secrets (name, digest, session_key) VALUES ('root', sha256(sha256('root-1234567890')), sha256('x')), ('viewer:short', 'x', sha256('x')),
    ('people:x y', sha256(sha256('blank-1234567890')), sha256('x')), ('viewer:key', sha256(sha256('key-1234567890')), ''), (repeat('x', 2000), sha256(sha256('long-1234567890')), sha256('x'));
SET ROLE regress_cadence_door;
SELECT t, status FROM unnest(ARRAY['root-1234567890', 'blank-1234567890', 'key-1234567890', 'long-1234567890', 'x']) AS t, ask('GET', '/api/me', t);
RESET ROLE;

-- what is answered by a function is done as the tables' owner, who gives nothing away
CREATE OR REPLACE FUNCTION cadence.cadence_api_agora(params jsonb, people boolean) RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF params ? 'role' THEN
        EXECUTE format('SET ROLE %I', params ->> 'role');
    END IF;
    IF params ? 'temp' THEN
        CREATE TEMP TABLE left_behind (n int);
    END IF;
    IF params ? 'fail' THEN
        RAISE EXCEPTION 'failed';
    END IF;
    RETURN jsonb_build_object('user', current_user, 'path', current_setting('search_path'), 'row_security', current_setting('row_security'));
END $$;
DO $$ BEGIN ALTER EXTENSION cadence_runner ADD FUNCTION cadence.cadence_api_agora(jsonb, boolean); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$;
REVOKE ALL ON FUNCTION cadence.cadence_api_agora(jsonb, boolean) FROM PUBLIC;
GRANT TEMP ON DATABASE :DBNAME TO regress_cadence_door;
GRANT USAGE, CREATE ON SCHEMA public TO regress_cadence_door;
-- what she brings along finds nobody who would use it
SET ROLE regress_cadence_eve;
CREATE FUNCTION cadence.cadence_metrics(x anyelement) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'eve is %', current_user; END $$;
CREATE FUNCTION cadence.cadence_api_pessoa(params json, people boolean) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'eve is %', current_user; END $$;
RESET ROLE;
SET ROLE regress_cadence_door;
CREATE TEMP TABLE cadence_secrets (name text, digest bytea, session_key bytea);
INSERT INTO cadence_secrets VALUES ('people', sha256(sha256('mine-1234567890')), sha256('x'));
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'door is %', current_user; END $$;
SET search_path = pg_temp, public, pg_catalog;
SET row_security = on;
SET default_transaction_isolation = 'serializable';
SELECT status FROM public.ask('GET', '/api/me', 'mine-1234567890');
SELECT * FROM public.ask('GET', '/api/agora', 'people-1234567890');
SELECT * FROM public.ask('GET', '/api/agora', 'people-1234567890', query => 'role=regress_cadence_crm');
SELECT * FROM public.ask('GET', '/api/agora', 'people-1234567890', query => 'temp=1');
SELECT * FROM public.ask('GET', '/api/agora', 'people-1234567890', query => 'fail=1');
-- and after each of them all is as it was
SELECT current_user, current_setting('search_path') AS path, current_setting('row_security') AS row_security, current_setting('lock_timeout') AS lock_timeout,
    current_setting('enable_seqscan') AS scans, current_setting('DateStyle') = (SELECT reset_val FROM pg_settings WHERE name = 'DateStyle') AS same_dates;
BEGIN;
SELECT status FROM public.ask('GET', '/api/agora', 'people-1234567890', query => 'fail=1');
SELECT current_user, status FROM public.ask('GET', '/api/agora', 'people-1234567890');
COMMIT;
DROP FUNCTION public.now();
DROP TABLE pg_temp.cadence_secrets;
RESET search_path;
RESET row_security;
RESET default_transaction_isolation;
RESET ROLE;
DROP FUNCTION cadence.cadence_metrics(anyelement), cadence.cadence_api_pessoa(json, boolean);

-- an owner who may not ask for the status is told so by who may know
SELECT * FROM ask('GET', '/health', 'health-1234567890');
SELECT * FROM ask('GET', '/health');
GRANT EXECUTE ON FUNCTION cadence.cadence_runner_status() TO regress_cadence_crm;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_crm;
SELECT status, body ~ 'no trigger cadence_runner_barrier' AS why FROM ask('GET', '/health', 'health-1234567890');
-- the execution is its worker's: whoever serves HTTP needs no right for it
SET ROLE regress_cadence_door;
SELECT status, body::jsonb #> '{summary,total}' AS total FROM ask('POST', '/functions/v1/cadence-runner', 'service-1234567890', '{"trigger": "TEST"}');
RESET ROLE;
SELECT trigger_source, runs_touched FROM cadence.cadence_runner_logs;

DROP SCHEMA cadence CASCADE;
DROP FUNCTION ask;
REVOKE ALL ON SCHEMA public FROM regress_cadence_door;
REVOKE TEMP ON DATABASE :DBNAME FROM regress_cadence_door;
DROP ROLE regress_cadence_door, regress_cadence_crm, regress_cadence_eve;
