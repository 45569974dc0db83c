--
-- The options of servers and user mappings: a wrong one is refused when it is
-- written, with the valid ones in the hint.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_admin;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
CREATE FUNCTION pg_temp.tried(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text; message text; hint text;
BEGIN
    BEGIN
        EXECUTE statement;
        RAISE 'undo' USING ERRCODE = 'CAD00';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT, hint := PG_EXCEPTION_HINT;
    END;
    RETURN CASE WHEN code = 'CAD00' THEN 'accepted' ELSE code || ' ' || message || coalesce(' / ' || nullif(hint, ''), '') END;
END $$;

-- names: of the server, of the user mapping, of the wrapper
\x on
SELECT pg_temp.tried($$CREATE SERVER s FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://a', tiemout '1s')$$) AS server;
SELECT pg_temp.tried($$CREATE SERVER s FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://a', bearer_token 'x')$$) AS secret_in_server;
SELECT pg_temp.tried($$CREATE SERVER s FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://a', "Canal" 'SMS')$$) AS case_counts;
SELECT pg_temp.tried($$ALTER FOREIGN DATA WRAPPER cadence_provider OPTIONS (ADD url 'http://a')$$) AS wrapper;
SELECT pg_temp.tried($$CREATE SERVER s FOREIGN DATA WRAPPER cadence_provider OPTIONS (url 'http://a')$$) AS no_canal;
SELECT pg_temp.tried($$CREATE SERVER s FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS')$$) AS no_url;
SELECT pg_temp.tried($$CREATE SERVER s FOREIGN DATA WRAPPER cadence_provider$$) AS none;
\x off
CREATE SERVER regress_s FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://example.com/');
\x on
SELECT pg_temp.tried($$CREATE USER MAPPING FOR PUBLIC SERVER regress_s OPTIONS (tokem 'x')$$) AS mapping;
SELECT pg_temp.tried($$CREATE USER MAPPING FOR PUBLIC SERVER regress_s OPTIONS (url 'http://a')$$) AS server_option_in_mapping;
SELECT pg_temp.tried($$ALTER SERVER regress_s OPTIONS (DROP canal)$$) AS drop_canal;
SELECT pg_temp.tried($$ALTER SERVER regress_s OPTIONS (DROP url)$$) AS drop_url;
SELECT pg_temp.tried($$CREATE FOREIGN TABLE t (a int) SERVER regress_s OPTIONS (url 'x')$$) AS foreign_table;
\x off

-- every option with good and bad values
CREATE VIEW pg_temp.servers AS
SELECT option, value, pg_temp.tried(format('CREATE SERVER s FOREIGN DATA WRAPPER cadence_provider OPTIONS (%s%s%I %L)',
    CASE WHEN option <> 'canal' THEN 'canal ''SMS'', ' END, CASE WHEN option <> 'url' THEN 'url ''http://a'', ' END, option, value)) AS result
FROM (VALUES
    (1, 'canal', 'WHATSAPP'), (2, 'canal', 'EMAIL'), (3, 'canal', 'sms'), (4, 'canal', 'FAX'), (5, 'canal', ''), (6, 'canal', 'SMS '), (7, 'canal', E'SMS\n'),
    (10, 'empresa', 'BLUE'), (11, 'empresa', 'Ação "Ltda" 🎉'), (12, 'empresa', ''), (13, 'empresa', E'a\tb'),
    (20, 'url', 'https://crm.example/functions/v1/whatsapp-send?x=1&y=%20#f'), (21, 'url', 'HTTP://EXAMPLE.COM:8080'), (22, 'url', 'http://[::1]:80/a'),
    (23, 'url', 'ftp://example.com/'), (24, 'url', 'file:///etc/passwd'), (25, 'url', 'example.com'), (26, 'url', 'http://'), (27, 'url', 'https:///a'),
    (28, 'url', 'http://?x'), (29, 'url', 'http://:80/'), (30, 'url', 'http://user@example.com/'), (31, 'url', 'https://user:pass@example.com/'),
    (32, 'url', 'https://example.com/a@b'), (33, 'url', 'https://example.com?a@b'), (34, 'url', 'http://a b/'), (35, 'url', E'http://a/\r\nX: y'),
    (36, 'url', 'http://a/{x}'), (37, 'url', 'http://a\b'), (38, 'url', 'smtp://example.com'), (39, 'url', ''),
    (40, 'protocol', 'webhook'), (41, 'protocol', 'WebHook'), (42, 'protocol', 'smtp'), (43, 'protocol', 'gopher'),
    (50, 'timeout', '1'), (51, 'timeout', '30s'), (52, 'timeout', '10min'), (53, 'timeout', '0'), (54, 'timeout', '-1'), (55, 'timeout', '11min'),
    (56, 'timeout', '1 parsec'), (57, 'timeout', 'x'), (58, 'timeout', '1.5s'), (59, 'timeout', '0.2'), (60, 'timeout', '99999999999999'), (61, 'timeout', 'NaN'),
    (62, 'connect_timeout', '500ms'), (63, 'connect_timeout', '0'), (64, 'connect_timeout', '1d'),
    (70, 'max_in_flight', '1'), (71, 'max_in_flight', '10000'), (72, 'max_in_flight', '0'), (73, 'max_in_flight', '10001'), (74, 'max_in_flight', '5s'), (75, 'max_in_flight', ''),
    (80, 'max_rate', '0.01'), (81, 'max_rate', '1e6'), (82, 'max_rate', '0'), (83, 'max_rate', '-1'), (84, 'max_rate', '1000001'), (85, 'max_rate', '5/s'), (86, 'max_rate', 'Infinity'), (87, 'max_rate', 'NaN'),
    (90, 'on_uncertain', 'retry'), (91, 'on_uncertain', 'HOLD'), (92, 'on_uncertain', 'panic'),
    (93, 'record_message', 'off'), (94, 'record_message', 'true'), (95, 'record_message', '0'), (96, 'record_message', 'perhaps'),
    (100, 'max_per_minute', '1'), (101, 'max_per_minute', '0'), (102, 'max_per_hour', '10000001'), (103, 'max_per_day', '200'), (104, 'max_new_per_day', 'x'),
    (110, 'gap', '30s'), (111, 'gap', '30s..60s'), (112, 'gap', '60s..30s'), (113, 'gap', '30s..'), (114, 'gap', '-1'), (115, 'gap', '2d'),
    -- thirty what? of milliseconds nobody thinks who writes '30'
    (145, 'gap', '30'), (146, 'gap', '30..60'), (147, 'gap', '30..60s'), (148, 'gap', '0'), (149, 'gap', '0..1s'), (150, 'min_gap', '14400'), (151, 'warm_up', '20..200/30'),
    (116, 'min_gap', '0'), (117, 'min_gap', '24h'), (118, 'min_gap', '8d'), (119, 'min_gap', '1h..2h'),
    (125, 'quiet_until_reply', 'on'), (126, 'quiet_until_reply', 'perhaps'),
    (120, 'warm_up', '20..200/30d'), (121, 'warm_up', '200..20/30d'), (122, 'warm_up', '0..20/30d'), (123, 'warm_up', '20..200'), (124, 'warm_up', '20..200/0'),
    (127, 'domain_limits', '{"gmail.com": 20}'),
    (130, 'limit_group', 'chips'), (131, 'limit_group', ''),
    (140, 'breaker_after', '0'), (141, 'breaker_after', '101'), (142, 'breaker_for', '30min'), (143, 'breaker_for', '1ms'), (144, 'breaker_for', '1h')
) AS v(n, option, value) ORDER BY n;
\pset format unaligned
\pset fieldsep ' | '
SELECT * FROM pg_temp.servers;
\pset format aligned

-- user mappings
CREATE VIEW pg_temp.mappings AS
SELECT options, pg_temp.tried(format('CREATE USER MAPPING FOR PUBLIC SERVER regress_s OPTIONS (%s)', options)) AS result
FROM (VALUES
    (1, $$bearer_token 'x'$$), (2, $$username 'a', password 'b'$$), (3, $$bearer_token_file '/run/secret', host 'example.com'$$),
    (4, $$username_file '/run/a', password_file '/run/b', host 'a'$$), (5, $$username 'a', password_file '/run/b', host 'a'$$), (6, $$bearer_token ''$$),
    (7, E'bearer_token ''a\r\nX-Evil: 1'''), (8, E'password ''a\tb'''), (9, $$bearer_token_file 'secret'$$), (10, $$bearer_token_file './secret'$$),
    (11, $$bearer_token 'x', bearer_token_file '/x'$$), (12, $$username 'x', username_file '/x'$$), (13, $$password 'x', password_file '/x'$$),
    (14, $$bearer_token 'x', username 'y'$$), (15, $$bearer_token 'x', username_file '/y'$$), (16, $$bearer_token_file '/x', username 'y'$$),
    (17, $$bearer_token_file '/x', username_file '/y'$$), (18, $$password_file ''$$),
    -- a secret is for one host, if it says so; from a file it must
    (19, $$bearer_token_file '/run/secret'$$), (20, $$username 'a', password_file '/run/b'$$), (21, $$bearer_token 'x', host 'Example.COM'$$), (22, $$host '[::1]', bearer_token 'x'$$),
    (23, $$host 'http://a', bearer_token 'x'$$), (24, $$host 'a:80', bearer_token 'x'$$), (25, $$host 'a/b', bearer_token 'x'$$), (26, $$host '', bearer_token 'x'$$)
) AS v(n, options) ORDER BY n;
\pset format unaligned
SELECT * FROM pg_temp.mappings;
\pset format aligned
-- a refusal does not repeat the secret
SELECT pg_temp.tried($$CREATE USER MAPPING FOR PUBLIC SERVER regress_s OPTIONS (bearer_token E'segredo\n')$$) LIKE '%segredo%' AS repeated;
SELECT pg_temp.tried($$CREATE USER MAPPING FOR PUBLIC SERVER regress_s OPTIONS (bearer_token 'segredo', username 'ana')$$) LIKE '%segredo%' AS repeated;

-- files are read with the server's rights: by a superuser's word only
GRANT USAGE ON FOREIGN SERVER regress_s TO regress_cadence_admin;
SET ROLE regress_cadence_admin;
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_s OPTIONS (bearer_token_file '/etc/passwd', host 'example.com');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_s OPTIONS (username 'a', password_file '/etc/passwd', host 'example.com');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_s OPTIONS (username_file '/etc/passwd', host 'example.com');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_s OPTIONS (bearer_token 'x');
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_s OPTIONS (DROP bearer_token, ADD bearer_token_file '/etc/passwd', ADD host 'example.com');
-- to name an outbound URL needs the wrapper
CREATE SERVER regress_mine FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://10.0.0.1/');
RESET ROLE;
GRANT USAGE ON FOREIGN DATA WRAPPER cadence_provider TO regress_cadence_admin;
SET ROLE regress_cadence_admin;
CREATE SERVER regress_mine FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://10.0.0.1/');
DROP SERVER regress_mine;
-- secrets are hidden as the server hides them
SELECT usename, umoptions FROM pg_user_mappings WHERE srvname = 'regress_s';
RESET ROLE;
CREATE USER MAPPING FOR PUBLIC SERVER regress_s OPTIONS (bearer_token 'segredo');
CREATE ROLE regress_cadence_anon;
SET ROLE regress_cadence_anon;
SELECT usename, umoptions FROM pg_user_mappings WHERE srvname = 'regress_s' ORDER BY 1;
SELECT umoptions FROM pg_user_mapping;
RESET ROLE;

-- called by hand it is a check like any other
SELECT cadence.cadence_provider_validator('{canal=SMS}', 'pg_foreign_server'::regclass);
SELECT cadence.cadence_provider_validator('{canal=SMS,url=http://a}', 'pg_foreign_server'::regclass);
SELECT cadence.cadence_provider_validator('{}', 'pg_foreign_data_wrapper'::regclass);
SELECT cadence.cadence_provider_validator('{x=1}', 'pg_class'::regclass);

-- a dump of a server from before units were asked for is restored: without it nothing would be sent
SELECT cadence.cadence_provider_validator('{canal=SMS,url=http://a,gap=30..60}', 'pg_foreign_server'::regclass);
SET check_function_bodies = off;
SELECT cadence.cadence_provider_validator('{canal=SMS,url=http://a,gap=30..60}', 'pg_foreign_server'::regclass);
RESET check_function_bodies;

DROP SERVER regress_s CASCADE;
DROP ROLE regress_cadence_anon;
REVOKE USAGE ON FOREIGN DATA WRAPPER cadence_provider FROM regress_cadence_admin;
DROP VIEW pg_temp.servers, pg_temp.mappings;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence;
DROP ROLE regress_cadence_admin;
