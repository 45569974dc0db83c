--
-- Requests over HTTP: which route, who may, and what is answered.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_door;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_door;
GRANT EXECUTE ON FUNCTION cadence.cadence_http(text, text, text, jsonb, bytea, inet) TO regress_cadence_door;
-- as who serves HTTP does it
CREATE FUNCTION ask(method text, path text, headers jsonb DEFAULT '{}', body text DEFAULT '', query text DEFAULT NULL,
    OUT status int, OUT headers jsonb, OUT body text)
LANGUAGE sql AS $$
    SELECT h.status, h.headers - ARRAY['Cache-Control', 'Content-Security-Policy', 'Referrer-Policy', 'X-Content-Type-Options'], convert_from(h.body, 'UTF8')
    FROM cadence.cadence_http(method, path, query, headers, convert_to(body, 'UTF8'), '192.0.2.7') AS h $$;
CREATE FUNCTION bearer(token text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('authorization', 'Bearer ' || token) $$;
GRANT USAGE ON SCHEMA public TO regress_cadence_door;
\set service 'service-role-1234567890'
\set cron 'cron-secret-1234567890'
\set anon 'eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl'
\set runner '/functions/v1/cadence-runner'

-- before there are tables: nothing is possible, and nobody is told why
SET ROLE regress_cadence_door;
SELECT * FROM ask('GET', '/health');
SELECT * FROM ask('POST', :'runner', bearer(:'service'));
SELECT * FROM ask('GET', '/api/me', bearer(:'service'));
SELECT status FROM ask('POST', '/webhooks/wa');
SELECT status FROM ask('POST', '/u/x');
RESET ROLE;
SELECT cadence.cadence_create_tables();

-- no secret: the route is not there yet, for anybody
SET ROLE regress_cadence_door;
SELECT * FROM ask('POST', :'runner', bearer(:'service'));
SELECT status FROM ask('POST', :'runner');
SELECT status FROM ask('GET', '/metrics'), ask('GET', '/api/me') AS me(me, h, b);
RESET ROLE;

-- a secret has a name that opens something, and can not be guessed
\set VERBOSITY terse
SELECT cadence.cadence_secret_set('root', 'abcdefghijklmnopqrstuvwxyz');
SELECT cadence.cadence_secret_set('cron:job', 'abcdefghijklmnopqrstuvwxyz');
SELECT cadence.cadence_secret_set('people:', 'abcdefghijklmnopqrstuvwxyz');
SELECT cadence.cadence_secret_set('people:a b', 'abcdefghijklmnopqrstuvwxyz');
SELECT cadence.cadence_secret_set('people:' || repeat('a', 57), 'abcdefghijklmnopqrstuvwxyz');
SELECT cadence.cadence_secret_set(NULL, 'abcdefghijklmnopqrstuvwxyz');
SELECT cadence.cadence_secret_set('cron', 'abcdefghijklmno');
SELECT cadence.cadence_secret_set('cron', repeat('a', 40));
SELECT cadence.cadence_secret_set('cron', 'abcdefghijklmno pqrstuvwxyz');
SELECT cadence.cadence_secret_set('cron', 'abcdefghijklmnopqrstuvwxyé');
SELECT cadence.cadence_secret_set('cron', repeat('abcdefghij', 1000));
SELECT cadence.cadence_secret_set('cron', 'passwordpassword');
SELECT cadence.cadence_secret_set('root');
\set VERBOSITY default
-- one that is made is like no other
SELECT cadence.cadence_secret_set('metrics') AS made \gset
SELECT cadence.cadence_secret_set('metrics') <> :'made' AS another, :'made' ~ '^[0-9a-f]{64}$' AS is_long;
SELECT cadence.cadence_secret_set('health') AS made \gset
SELECT status, body ~ 'reasons' AS why FROM ask('GET', '/health', bearer(:'made'));
SELECT cadence.cadence_secret_set('service_role', :'service'), cadence.cadence_secret_set('cron', :'cron'), cadence.cadence_secret_set('health', 'health-1234567890'),
    cadence.cadence_secret_set('metrics', 'metrics-1234567890'), cadence.cadence_secret_set('viewer', 'viewer-1234567890'),
    cadence.cadence_secret_set('viewer:bia', 'viewer-bia-1234567890'), cadence.cadence_secret_set('people:ana@example.com', 'people-ana-1234567890');
SELECT name, digest = sha256(sha256(convert_to(v.value, 'UTF8'))) AS is_digest, length(session_key) AS key
FROM cadence.cadence_secrets JOIN (VALUES ('service_role', :'service'), ('cron', :'cron')) AS v(name, value) USING (name) ORDER BY name;
SELECT count(*) AS with_a_secret FROM cadence.cadence_secrets AS s WHERE s::text ~ '1234567890';

-- an execution
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
INSERT INTO cadence.cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence.cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OI');
INSERT INTO cadence.lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
VALUES ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now());
SET ROLE regress_cadence_door;
-- nobody
SELECT * FROM ask('POST', :'runner');
SELECT * FROM ask('POST', :'runner', bearer(:'anon'));
SELECT n, status FROM (VALUES (1, bearer('')), (2, bearer(:'cron' || 'x')), (3, bearer(left(:'cron', -1))), (4, bearer(upper(:'cron'))),
    (5, '{"authorization": "Basic Y3Jvbi1zZWNyZXQtMTIzNDU2Nzg5MA=="}'), (6, '{"apikey": "cron-secret-1234567890"}'), (7, bearer('health-1234567890')), (8, bearer('metrics-1234567890')),
    (9, bearer('viewer-1234567890')), (10, bearer('people-ana-1234567890')), (11, bearer(:'cron' || ', Bearer ' || :'cron')), (12, '[]'), (13, 'null'), (14, NULL),
    (15, '{"authorization": ["Bearer cron-secret-1234567890"]}'), (16, bearer(repeat('x', 5000)))) AS v(n, headers), ask('POST', :'runner', v.headers) ORDER BY n;
-- a page of the application asks first
SELECT * FROM ask('OPTIONS', :'runner');
SELECT * FROM ask('GET', :'runner', bearer(:'cron'));
SELECT method, status, headers -> 'Allow' AS allow FROM unnest(ARRAY['GET', 'HEAD', 'PUT', 'DELETE', 'post', '', NULL]) AS method, ask(method, :'runner', bearer(:'service'));
-- what it is asked for
SELECT * FROM ask('POST', :'runner', bearer(:'cron'), '{"trigger": "WORKER"}');
SELECT b AS body, status FROM unnest(ARRAY['{"trigger": 1}', '{"trigger": "manual"}', '{"trigger": ""}', '{"trigger": "TEST\u0000"}', '{"trigger": []}', '{"trigger": "' || repeat('x', 1000) || '"}']) AS b,
    ask('POST', :'runner', bearer(:'cron'), b);
SELECT status, headers, jsonb_set(a.body::jsonb, '{summary,duration_ms}', '0') AS body FROM ask('POST', :'runner', bearer(:'service'), '{"trigger": "MANUAL"}') AS a;
SELECT b AS body, status, a.body::jsonb -> 'summary' ->> 'trigger_source' AS trigger
FROM unnest(ARRAY['', '{}', '{"trigger": "CRON"}', '{"trigger": "TEST", "source": "pg_cron"}', '{"trigger": null}', 'trigger=TEST', '[1]', '{"trigger": "TEST"', '"TEST"']) AS b,
    ask('POST', :'runner', bearer(:'cron'), b) AS a;
-- also as the edge function took it: the token alone; a scheme in any case, blanks around
SELECT status FROM unnest(ARRAY[:'cron', 'bearer ' || :'cron', '  BEARER   ' || :'cron' || '  ']) AS t, ask('POST', :'runner', jsonb_build_object('authorization', t));
RESET ROLE;
SELECT trigger_source, runs_touched, errors FROM cadence.cadence_runner_logs ORDER BY executed_at LIMIT 3;
SELECT count(*) FROM cadence.cadence_runner_logs;
-- more than such a request has
SELECT status, body FROM ask('POST', :'runner', bearer(:'cron'), repeat(' ', 65536) || '{}');

-- an execution that fails is logged, and says so to who may know
TRUNCATE cadence.cadence_runner_logs;
UPDATE cadence.lead_cadence_runs SET next_run_at = now();
ALTER TABLE cadence.lead_contacts RENAME COLUMN lead_id TO lead;
SELECT status, headers - 'Content-Type' AS headers, body FROM ask('POST', :'runner', bearer(:'cron'));
SELECT status, body FROM ask('POST', :'runner', bearer('x'));
ALTER TABLE cadence.lead_contacts RENAME COLUMN lead TO lead_id;
SELECT errors, trigger_source, details ->> 'sqlstate' AS sqlstate FROM cadence.cadence_runner_logs;
-- what keeps it from being found is no stranger's concern
ALTER TABLE cadence.lead_cadence_runs ALTER COLUMN attempts TYPE numeric;
SELECT status, body FROM ask('POST', :'runner', bearer(:'cron'));
SELECT status, body FROM ask('GET', '/health', bearer('health-1234567890'));
SELECT status, body FROM ask('GET', '/api/me', bearer('viewer-1234567890'));
ALTER TABLE cadence.lead_cadence_runs ALTER COLUMN attempts TYPE int;
-- one that can not be here
BEGIN READ ONLY;
SELECT status, headers -> 'Retry-After' AS retry, body FROM ask('POST', :'runner', bearer(:'cron'));
SELECT status FROM ask('POST', :'runner', bearer('x'));
COMMIT;
BEGIN;
UPDATE cadence.cadence_arming SET cluster = '1';
COMMIT;
SELECT status, body FROM ask('POST', :'runner', bearer(:'cron'));
SELECT cadence.cadence_arm();

-- webhooks: as cadence_receive() answers
CREATE SERVER regress_wa FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', protocol 'whatsapp_cloud', phone_number_id '1');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_wa OPTIONS (token 't', app_secret 'segredo', verify_token 'palavra');
CREATE SERVER "regress hook/é" FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', url 'http://127.0.0.1:1/');
CREATE USER MAPPING FOR CURRENT_USER SERVER "regress hook/é" OPTIONS (path_secret '0123456789abcdef0123456789abcdef');
SET ROLE regress_cadence_door;
SELECT * FROM ask('GET', '/webhooks/regress_wa', query => 'hub.mode=subscribe&hub.verify_token=palavra&hub.challenge=1158201444');
SELECT * FROM ask('GET', '/webhooks/regress_wa', query => 'hub.mode=subscribe&hub.verify_token=outra&hub.challenge=1158201444');
SELECT * FROM ask('GET', '/webhooks/nobody', query => 'hub.mode=subscribe&hub.verify_token=palavra&hub.challenge=1158201444');
-- openssl dgst -sha256 -hmac segredo, of {}
SELECT status, body FROM ask('POST', '/webhooks/regress_wa', '{"x-hub-signature-256": "sha256=fb628fffaa33657454b42caedf691bd6a3ecb2b2f1e32a33d1f916632fa09b20"}', '{}');
SELECT s.path, a.status, a.body FROM (VALUES ('/webhooks/regress%20hook%2F%C3%A9/0123456789abcdef0123456789abcdef'), ('/webhooks/regress%20hook%2F%C3%A9/0123456789abcdef0123456789abcdef/more'),
    ('/webhooks/regress%20hook%2F%C3%A9/0123456789abcdef0123456789abcdee'), ('/webhooks/regress%20hook%2F%C3%A9'), ('/webhooks/regress%20hook/%C3%A9'), ('/webhooks/regress%00'), ('/webhooks/regress%'),
    ('/webhooks/regress%C3'), ('/webhooks/'), ('/webhooks/../health'), ('/webhooks//x')) AS s(path), ask('POST', s.path, '{}', '[]') AS a;
SELECT method, status, headers -> 'Allow' AS allow FROM unnest(ARRAY['GET', 'PUT', 'OPTIONS']) AS method, ask(method, '/webhooks/regress%20hook%2F%C3%A9');
RESET ROLE;

-- the link to unsubscribe: GET asks, POST acts
SET cadence_runner.unsubscribe_url = 'https://blue.example/u/';
INSERT INTO cadence.lead_contacts (lead_id, empresa, nome, telefone) VALUES ('ana', 'BLUE', 'Ana', '11 98765-4321');
SELECT replace(cadence.cadence_unsubscribe_url('a0000000-0000-0000-0000-000000000001'), 'https://blue.example', '') AS link \gset
SET ROLE regress_cadence_door;
SELECT status, headers ->> 'Content-Type' AS type, headers ->> 'X-Robots-Tag' AS robots, body ~ 'method="post"' AS asks FROM ask('GET', :'link');
SELECT status, body ~ 'method="post"' AS asks FROM ask('HEAD', :'link');
SELECT count(*) FROM ask('GET', :'link', query => 'List-Unsubscribe=One-Click');
RESET ROLE;
SELECT count(*) FROM cadence.contact_opt_outs;
SET ROLE regress_cadence_door;
SELECT status, body ~ 'Pronto' AS done FROM ask('POST', :'link', '{"origin": "https://mail.example", "sec-fetch-site": "cross-site"}', 'List-Unsubscribe=One-Click');
SELECT status, headers -> 'Allow' AS allow FROM ask('PUT', :'link');
SELECT path, status, body ~ 'não é válido' AS says_so FROM unnest(ARRAY['/u/', '/u/x', '/u/%', '/u/x/y', '/u/' || repeat('A', 43)]) AS path, ask('POST', path);
RESET ROLE;
SELECT lead_id, canal, origem FROM cadence.contact_opt_outs;
BEGIN READ ONLY;
SELECT status, headers -> 'Retry-After' AS retry FROM ask('POST', :'link');
SELECT status FROM ask('GET', :'link');
COMMIT;

-- health: yes or no, and why to who has a token
SET ROLE regress_cadence_door;
SELECT * FROM ask('GET', '/health');
SELECT status, headers -> 'Allow' AS allow FROM ask('POST', '/health');
RESET ROLE;
UPDATE cadence.lead_cadence_runs SET status = 'ATIVA', next_run_at = now() - interval '2 hours';
SET ROLE regress_cadence_door;
SELECT * FROM ask('GET', '/health');
SELECT t, status, body ~ '"overdue: 1 due' AS why FROM unnest(ARRAY['health-1234567890', :'service', 'viewer-1234567890', 'people-ana-1234567890', :'cron', 'metrics-1234567890', 'x']) AS t, ask('GET', '/health', bearer(t));
RESET ROLE;

-- what a provider or somebody has said is not for who may not see people, also here
INSERT INTO cadence.cadence_provider_state (server, paused_at, pause_reason) VALUES ('regress_zap', now(), 'Ana (ana@example.com, +55 11 98765-4321) said so');
SET ROLE regress_cadence_door;
SELECT t, body ~ 'paused since' AS says, body ~ 'ana@example.com' AS mailbox, body ~ '98765' AS number, body ~ ' said so' AS words
FROM unnest(ARRAY['health-1234567890', :'service', 'viewer-1234567890', 'people-ana-1234567890']) AS t, ask('GET', '/health', bearer(t));
RESET ROLE;
DELETE FROM cadence.cadence_provider_state;

-- metrics: looked up when asked for
SET ROLE regress_cadence_door;
SELECT t, status, headers -> 'WWW-Authenticate' AS auth FROM unnest(ARRAY[NULL, 'x', 'viewer-1234567890', :'cron']) AS t, ask('GET', '/metrics', bearer(t));
RESET ROLE;

-- functions that a page or a monitor is answered by, as far as they are the extension's own
CREATE OR REPLACE FUNCTION cadence.cadence_metrics(openmetrics boolean DEFAULT false) RETURNS text LANGUAGE sql AS $$ SELECT 'open ' || openmetrics || E'\n' $$;
CREATE OR REPLACE FUNCTION cadence.cadence_api_agora(params jsonb, people boolean) RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF params ? 'fail' THEN
        RAISE EXCEPTION 'Ana has failed' USING ERRCODE = params ->> 'fail', DETAIL = 'secret';
    END IF;
    RETURN CASE WHEN NOT params ? 'null' THEN
        jsonb_build_object('params', params, 'people', people, 'who', current_user, 'path', current_setting('search_path'), 'date', current_setting('DateStyle'),
            'timeout', current_setting('lock_timeout'), 'scans', current_setting('enable_seqscan')) END;
END $$;
CREATE FUNCTION adopt(signature text, adopts boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER EXTENSION cadence_runner %s FUNCTION %s', CASE WHEN adopts THEN 'ADD' ELSE 'DROP' END, signature);
EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL;
END $$;
SELECT adopt('cadence.cadence_metrics(boolean)', false), adopt('cadence.cadence_api_agora(jsonb, boolean)', false);
SELECT status, body FROM ask('GET', '/metrics', bearer('metrics-1234567890'));
SELECT status, body FROM ask('GET', '/api/agora', bearer('people-ana-1234567890'));
SELECT status, body FROM ask('GET', '/api/agora', bearer('viewer-1234567890'));
SELECT adopt('cadence.cadence_metrics(boolean)', true), adopt('cadence.cadence_api_agora(jsonb, boolean)', true);
REVOKE ALL ON FUNCTION cadence.cadence_metrics(boolean), cadence.cadence_api_agora(jsonb, boolean) FROM PUBLIC;
SET DateStyle = 'German';
SET ROLE regress_cadence_door;
SELECT accept, status, headers ->> 'Content-Type' AS type, body FROM unnest(ARRAY[NULL, '*/*', 'text/plain', 'application/openmetrics-text', 'application/openmetrics-text;q=0,text/plain',
    'application/openmetrics-text; version=1.0.0; charset=utf-8;q=0.5, text/plain;version=0.0.4;q=0.4, */*;q=0.1', 'application/openmetrics-text;q=0.3,text/plain;q=0.4']) AS accept,
    ask('GET', '/metrics', bearer('metrics-1234567890') || jsonb_build_object('accept', accept));
SELECT t, status FROM unnest(ARRAY[:'service', 'metrics-1234567890', :'cron', 'viewer-1234567890']) AS t, ask('GET', '/metrics', bearer(t));
-- as the tables' owner, with what the query says as texts
SELECT status, headers - 'ETag' AS headers, jsonb_pretty(body::jsonb) AS body FROM ask('GET', '/api/agora', bearer('viewer-1234567890'), query => 'a=1&b=x%20y+z&a=2&c&=&%C3%A9=%26');
SELECT body::jsonb -> 'people' AS people FROM ask('GET', '/api/agora', bearer('people-ana-1234567890'));
SELECT body::jsonb -> 'people' AS people FROM ask('GET', '/api/agora', bearer(:'service'));
SELECT left(q, 10) AS q, status, body FROM unnest(ARRAY['null=1', 'a=%00', 'a=%C3', '%FF=1', repeat('a', 9000), repeat('a&', 4000)]) AS q, ask('GET', '/api/agora', bearer('viewer-1234567890'), query => q);
-- what a page has already it need not be sent
SELECT headers ->> 'ETag' AS tag FROM ask('GET', '/api/agora', bearer('viewer-1234567890')) \gset
SELECT n, status, body = '' AS is_empty, headers ->> 'ETag' = :'tag' AS same FROM unnest(ARRAY[:'tag', 'W/' || :'tag', '"x", ' || :'tag', '*', '"x"', trim('"' FROM :'tag'), '']) WITH ORDINALITY AS v(t, n),
    ask('GET', '/api/agora', bearer('viewer-1234567890') || jsonb_build_object('if-none-match', t));
SELECT headers ->> 'ETag' = :'tag' AS same FROM ask('GET', '/api/agora', bearer('people-ana-1234567890'));
-- what fails says why to who may see people, and what is said of a parameter to all
SELECT code, t, status, body FROM unnest(ARRAY['22023', 'P0002', '22P02', '42501', 'XX000', '57014', '55P03', '53200', '25006', '40001']) AS code, unnest(ARRAY['viewer-1234567890', 'people-ana-1234567890']) AS t,
    ask('GET', '/api/agora', bearer(t), query => 'fail=' || code);
RESET ROLE;
RESET DateStyle;
-- what takes too long ends
CREATE OR REPLACE FUNCTION cadence.cadence_api_agora(params jsonb, people boolean) RETURNS jsonb LANGUAGE sql AS $$ SELECT to_jsonb(pg_sleep(60)::text) $$;
SET statement_timeout = '100ms';
SELECT status, headers -> 'Retry-After' AS retry, body FROM ask('GET', '/api/agora', bearer('viewer-1234567890'));
RESET statement_timeout;

-- coming in
CREATE FUNCTION came_in(token text, headers jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (a.headers ->> 'Set-Cookie') FROM ask('POST', '/login', headers, 'token=' || token) AS a $$;
CREATE FUNCTION cookie(set_cookie text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('cookie', 'other=1; ' || substring(set_cookie FROM '^[^;]*')) $$;
CREATE FUNCTION me(headers jsonb) RETURNS text LANGUAGE sql AS $$ SELECT status || ' ' || body FROM ask('GET', '/api/me', headers) $$;
SET ROLE regress_cadence_door;
SELECT status, headers - 'Set-Cookie' AS headers, body, regexp_replace(headers ->> 'Set-Cookie', '[0-9a-f]{9,}', '#', 'g') AS cookie FROM ask('POST', '/login', '{}', 'token=people-ana-1234567890');
SELECT status, headers - 'Set-Cookie' AS headers FROM ask('POST', '/login', '{"content-type": "application/json"}', '{"token": "viewer-1234567890"}');
SELECT me(cookie(came_in('people-ana-1234567890')));
SELECT me(cookie(came_in('viewer-bia-1234567890')));
SELECT me(cookie(came_in(:'service')));
SELECT me(bearer('viewer-1234567890'));
SELECT status, headers, body FROM ask('POST', '/login', '{}', 'token=wrong');
SELECT b, status FROM unnest(ARRAY['token=cron-secret-1234567890', 'token=metrics-1234567890', 'token=x', 'token=', '', 'x', 'token=viewer-1234567890%00']) AS b, ask('POST', '/login', '{}', b) AS a;
SELECT * FROM ask('POST', '/login', '{"content-type": "application/json"}', '{"token": 1}');
SELECT path, status, headers -> 'Allow' AS allow FROM unnest(ARRAY['/login', '/logout']) AS path, ask('GET', path);
-- not for other sites' pages
SELECT h, status FROM (VALUES ('{"sec-fetch-site": "cross-site"}'::jsonb), ('{"sec-fetch-site": "same-site"}'), ('{"origin": "https://evil.example", "host": "crm.example"}'), ('{"origin": "null", "host": "crm.example"}'),
    ('{"origin": "https://crm.example"}'), ('{"origin": "https://crm.example:8443", "host": "crm.example"}'), ('{"origin": "https://crm.example.evil.example", "host": "crm.example"}'),
    ('{"origin": "https://crm.example", "host": "crm.example", "sec-fetch-site": "same-origin"}'), ('{"origin": "http://127.0.0.1:8080", "host": "127.0.0.1:8080"}'), ('{"sec-fetch-site": "none"}')) AS v(h), ask('POST', '/login', h, 'token=viewer-1234567890');
SELECT status, headers FROM ask('POST', '/logout');
SELECT status FROM ask('POST', '/logout', '{"sec-fetch-site": "cross-site"}');
-- a session starts no execution, and reads no metrics
SELECT status FROM ask('POST', :'runner', cookie(came_in(:'service')));
SELECT status FROM ask('GET', '/metrics', cookie(came_in(:'service')));
-- a token counts before a session
SELECT me(cookie(came_in(:'service')) || bearer('x'));
-- but not what is for a proxy
SELECT me(cookie(came_in(:'service')) || '{"authorization": "Basic dTpw"}');
SELECT status, body ~ 'reasons' AS why FROM ask('GET', '/health', cookie(came_in('viewer-1234567890')));
-- one that was changed is none
SELECT came_in('viewer-1234567890') AS session \gset
SELECT change, me(cookie(session)) FROM (VALUES (1, :'session'), (2, regexp_replace(:'session', '=(\d+)', '=9\1')), (3, regexp_replace(:'session', '=\d', '=')), (4, regexp_replace(:'session', '\.', '.0')),
    (5, regexp_replace(:'session', '[0-9a-f](;.*)$', 'x\1')), (6, regexp_replace(:'session', '[0-9a-f]{64};', ';')), (7, '__Host-cadence='), (8, '__Host-cadence=...'), (9, '__Host-cadence=viewer-1234567890'),
    (10, replace(:'session', '__Host-', ''))) AS v(change, session) ORDER BY 1;
RESET ROLE;
-- it ends with its secret
SELECT cadence.cadence_secret_set('viewer', 'viewer-2234567890');
SELECT me(cookie(:'session')), me(bearer('viewer-1234567890')), me(bearer('viewer-2234567890'));
SELECT came_in('viewer-2234567890') AS session \gset
SELECT cadence.cadence_secret_set('viewer', NULL);
SELECT me(cookie(:'session')), me(bearer('viewer-2234567890'));
-- two names of one secret open what both open
SELECT cadence.cadence_secret_set('viewer', 'double-1234567890'), cadence.cadence_secret_set('people', 'double-1234567890');
SELECT me(bearer('double-1234567890')), me(cookie(came_in('double-1234567890')));

-- what else there is not
SELECT path, method, status, headers -> 'Allow' AS allow, body FROM (VALUES ('/', 'GET'), ('/x', 'GET'), ('/health/', 'GET'), ('/healthx', 'GET'), ('/%68ealth', 'GET'), ('', 'GET'), (NULL, 'GET'), ('/functions/v1/cadence-runner/', 'POST'),
    ('/HEALTH', 'GET'), ('/api/me', 'POST'), ('/api', 'GET')) AS v(path, method), ask(method, path, bearer('double-1234567890'));
SELECT * FROM ask('GET', '/api/nothing', bearer('double-1234567890'));
SELECT * FROM ask('GET', '/api/nothing');
-- all answers are careful
SELECT jsonb_pretty(headers) AS headers FROM cadence.cadence_http('GET', '/nothing', NULL, NULL, NULL, NULL);

DROP SCHEMA cadence CASCADE;
DROP SERVER IF EXISTS regress_zap, regress_wa, "regress hook/é" CASCADE;
DROP FUNCTION ask, bearer, came_in, cookie, me, adopt;
REVOKE ALL ON SCHEMA public FROM regress_cadence_door;
DROP ROLE regress_cadence_door;
