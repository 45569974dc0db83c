--
-- Protocols as data: what a definition may be, who may write one, and what
-- servers that use it keep it from.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_reader;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence, public;
CREATE FUNCTION pg_temp.tried(statement text, role name DEFAULT 'none') RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text; message text; detail text; hint text;
BEGIN
    BEGIN
        EXECUTE format('SET LOCAL ROLE %s', role);
        EXECUTE statement;
        RAISE 'undo' USING ERRCODE = 'CAD00';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT, detail := PG_EXCEPTION_DETAIL, hint := PG_EXCEPTION_HINT;
    END;
    RETURN CASE WHEN code = 'CAD00' THEN 'accepted'
                ELSE code || ' ' || message || coalesce(' / ' || nullif(detail, ''), '') || coalesce(' / ' || nullif(hint, ''), '') END;
END $$;
\pset format unaligned
\pset fieldsep ' | '

-- those that come along, all of which the check of a definition lets pass
SELECT name, built_in, definition -> 'channels' AS channels, (SELECT count(*) FROM cadence_protocol_check(definition)) AS problems
FROM cadence_protocols ORDER BY name COLLATE "C";

-- all that is wrong, and where
SELECT * FROM cadence_protocol_check('{}') ORDER BY path COLLATE "C", problem COLLATE "C";
SELECT * FROM cadence_protocol_check('[]');
SELECT * FROM cadence_protocol_check(NULL);
SELECT * FROM cadence_protocol_check('{
  "channels": ["WHATSAPP", "FAX"], "color": "red",
  "options": {"sender": {"required": "yes"}, "canal": {}},
  "secrets": {"key": {}, "key_file": {}},
  "address": "{{digits}}{{secret.key}}",
  "operations": {"text": {"url": "http://api.example", "headers": {"X Y": "a"}, "json": {"a": [{"b/c": "{{mesage}}"}]}, "form": {"a": "b"}},
                 "texts": {"url": "{{option.url}}"}, "media@FAX": {"url": "{{option.url}}"}},
  "response": {"id": ["id"], "success": {"value": true}},
  "classes": [{"status": 400, "class": "dead"}, {"class": "retry"}, {"code": 5, "class": "retry", "wait": "soon"}],
  "idempotency": {"key": "cookie:x"},
  "limits": {"max_size": 1, "max_rate": {}}
}') ORDER BY path COLLATE "C", problem COLLATE "C";
-- a path has its slashes and tildes written as RFC 6901 does, and no line's end
SELECT * FROM cadence_protocol_check('{"channels": ["SMS"], "operations": {"text": {"url": "{{option.url}}"}}, "a/b~c\nd": 1}');

-- one error with all of them
SELECT pg_temp.tried($$SELECT cadence_protocol_define('mine', '{"channels": ["SMS"], "transport": "ftp", "colour": 1}')$$);
SELECT pg_temp.tried($$INSERT INTO cadence_protocols VALUES ('mine', '{"channels": []}')$$);
SELECT pg_temp.tried($$INSERT INTO cadence_protocols VALUES (NULL, '{"channels": ["EMAIL"], "transport": "smtp"}')$$);
SELECT pg_temp.tried($$INSERT INTO cadence_protocols VALUES ('mine', NULL)$$);
SELECT cadence_protocol_define(NULL, '{}') IS NULL AS nothing;
SELECT count(*) FROM cadence_protocols WHERE NOT built_in;

-- a protocol of one's own
SELECT cadence_protocol_define('mine', '{
  "channels": ["SMS", "WHATSAPP"],
  "options": {"url": {"default": "https://api.example"}, "sender": {"required": true}, "account": {"required": true, "alternative": "team"}, "team": {},
              "mode": {"values": ["fast", "slow"], "default": "slow"}},
  "secrets": {"key": {"required": true}},
  "operations": {"text": {"url": "{{option.url}}/send", "headers": {"X-Key": "{{secret.key}}"},
                          "json": {"from": "{{option.sender}}", "to": "{{recipient}}", "text": "{{message}}"}}}}');
SELECT name, built_in FROM cadence_protocols WHERE NOT built_in;
-- its servers: names, values, what is required, or another instead
CREATE VIEW pg_temp.servers AS
SELECT options, pg_temp.tried(format('CREATE SERVER s FOREIGN DATA WRAPPER cadence_provider OPTIONS (protocol ''mine'', %s)', options)) AS result
FROM (VALUES
    (1, $$canal 'SMS', sender 'a', account 'b'$$), (2, $$canal 'SMS', sender 'a', team 'b'$$), (3, $$canal 'SMS', sender 'a'$$), (4, $$canal 'SMS', account 'b'$$),
    (5, $$canal 'EMAIL', sender 'a', account 'b'$$), (6, $$canal 'sms', sender 'a', account 'b', mode 'FAST'$$), (7, $$canal 'SMS', sender 'a', account 'b', mode 'faster'$$),
    (8, $$canal 'SMS', sender 'a', account 'b', sendr 'x'$$), (9, $$canal 'SMS', sender '', account 'b'$$), (10, E'canal ''SMS'', sender ''a\tb'', account ''b'''),
    (11, $$canal 'SMS', sender 'a', account 'b', url 'smtp://a'$$), (12, $$canal 'SMS', sender 'a', account 'b', key 'x'$$),
    (13, $$canal 'SMS', sender 'a', account 'b', max_rate '2'$$), (14, $$canal 'SMS', sender_file '/a', account 'b'$$),
    (15, $$canal 'SMS', sender 'a', account 'b', domain_limits '{"gmail.com": 20}'$$)
) AS v(n, options) ORDER BY n;
SELECT * FROM pg_temp.servers;
SELECT pg_temp.tried($$CREATE SERVER s FOREIGN DATA WRAPPER cadence_provider OPTIONS (protocol 'yours', canal 'SMS', url 'http://a')$$);
CREATE SERVER regress_mine FOREIGN DATA WRAPPER cadence_provider OPTIONS (protocol 'Mine', canal 'SMS', sender 'a', account 'b', mode 'FAST');
CREATE SERVER regress_none FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://a');
SELECT pg_temp.tried($$CREATE USER MAPPING FOR PUBLIC SERVER regress_mine OPTIONS (key 'x')$$);
SELECT pg_temp.tried($$CREATE USER MAPPING FOR PUBLIC SERVER regress_mine OPTIONS (kye 'x')$$) ~ 'HV00D invalid option "kye" / Valid options here are: .*\mkey, key_file\M' AS refused;
SELECT pg_temp.tried($$CREATE USER MAPPING FOR PUBLIC SERVER regress_mine OPTIONS (key_file '/x', host 'api.example')$$);

-- another definition must still fit what uses it
SELECT pg_temp.tried(format('SELECT cadence_protocol_define(''mine'', %L)', definition #- '{options,sender}' #- '{operations,text,json,from}')) FROM cadence_protocols WHERE name = 'mine';
SELECT pg_temp.tried(format('SELECT cadence_protocol_define(''mine'', %L)', jsonb_set(definition, '{options,region}', '{"required": true}'))) FROM cadence_protocols WHERE name = 'mine';
SELECT pg_temp.tried(format('SELECT cadence_protocol_define(''mine'', %L)', jsonb_set(definition, '{options,mode,values}', '["slow", "slower"]'))) FROM cadence_protocols WHERE name = 'mine';
SELECT pg_temp.tried(format('SELECT cadence_protocol_define(''mine'', %L)', jsonb_set(definition, '{channels}', '["WHATSAPP"]'))) FROM cadence_protocols WHERE name = 'mine';
SELECT pg_temp.tried(format('SELECT cadence_protocol_define(''mine'', %L)', jsonb_set(definition, '{options,region}', '{"required": true, "default": "br"}'))) FROM cadence_protocols WHERE name = 'mine';
SELECT pg_temp.tried(format('SELECT cadence_protocol_define(''mine'', %L)', definition || '{"classes": [{"status": 409, "class": "duplicate"}]}')) FROM cadence_protocols WHERE name = 'mine';
SELECT pg_temp.tried($$DELETE FROM cadence_protocols WHERE name = 'mine'$$);
SELECT pg_temp.tried($$UPDATE cadence_protocols SET name = 'other' WHERE name = 'mine'$$);
SELECT pg_temp.tried($$UPDATE cadence_protocols SET built_in = true WHERE name = 'mine'$$);
DROP SERVER regress_mine;
SELECT pg_temp.tried(format('SELECT cadence_protocol_define(''mine'', %L)', definition #- '{options,sender}' #- '{operations,text,json,from}')) FROM cadence_protocols WHERE name = 'mine';
UPDATE cadence_protocols SET name = 'other' WHERE name = 'mine';
DELETE FROM cadence_protocols WHERE name = 'other';
SELECT count(*) FROM cadence_protocols WHERE NOT built_in;

-- those that are built in stay as they are, whoever asks
SELECT pg_temp.tried(format('SELECT cadence_protocol_define(%L, %L)', name, definition)) FROM cadence_protocols WHERE name = 'webhook';
SELECT pg_temp.tried($$UPDATE cadence_protocols SET built_in = false WHERE name = 'zapi'$$);
SELECT pg_temp.tried($$DELETE FROM cadence_protocols WHERE name = 'zapi'$$);
SELECT pg_temp.tried($$DELETE FROM cadence_protocols$$) ~ '^55000' AS refused;
SELECT pg_temp.tried($$TRUNCATE cadence_protocols$$);
SELECT pg_temp.tried($$INSERT INTO cadence_protocols VALUES ('mine', '{"channels": ["EMAIL"], "transport": "smtp"}', true)$$);
SELECT count(*) >= 17 AS all_there FROM cadence_protocols WHERE built_in;

-- the guard of one table is not another's: what it would read there is no protocol, or not there at all
CREATE TABLE one (a int);
CREATE TABLE three (name int, definition int, built_in int);
CREATE TRIGGER guard BEFORE INSERT ON one FOR EACH ROW EXECUTE FUNCTION cadence_protocols_guard();
CREATE TRIGGER guard BEFORE INSERT ON three FOR EACH ROW EXECUTE FUNCTION cadence_protocols_guard();
SELECT pg_temp.tried('INSERT INTO one VALUES (1)'), pg_temp.tried('INSERT INTO three VALUES (1, 1, 1)');
DROP TABLE one, three;

-- everybody may read and check, nobody else may write
GRANT USAGE ON SCHEMA cadence TO regress_cadence_reader;
SELECT pg_temp.tried('SELECT * FROM cadence_protocols', 'regress_cadence_reader');
SELECT pg_temp.tried($$INSERT INTO cadence_protocols VALUES ('mine', '{"channels": ["EMAIL"], "transport": "smtp"}')$$, 'regress_cadence_reader');
SELECT pg_temp.tried($$UPDATE cadence_protocols SET name = 'x'$$, 'regress_cadence_reader');
SELECT pg_temp.tried('DELETE FROM cadence_protocols', 'regress_cadence_reader');
SELECT pg_temp.tried('TRUNCATE cadence_protocols', 'regress_cadence_reader');
SELECT pg_temp.tried($$SELECT cadence_protocol_define('mine', '{"channels": ["EMAIL"], "transport": "smtp"}')$$, 'regress_cadence_reader');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cadence TO regress_cadence_reader;
SELECT pg_temp.tried($$SELECT cadence_protocol_define('mine', '{"channels": ["EMAIL"], "transport": "smtp"}')$$, 'regress_cadence_reader');
SELECT pg_temp.tried($$SELECT * FROM cadence_protocol_check('{}')$$, 'regress_cadence_reader');

\pset format aligned
DROP SERVER regress_none;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_reader;
