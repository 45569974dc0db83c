--
-- The dashboard's page of a person: cadence_api_pessoas(), cadence_api_pessoa().
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
-- nothing is there yet
\set VERBOSITY sqlstate
SELECT cadence_api_pessoas('{"q": "ana"}', true);
SELECT cadence_api_pessoa('{"lead_id": "ana", "empresa": "BLUE"}', true);
\set VERBOSITY default
SELECT cadence_create_tables();

INSERT INTO cadence_empresas (empresa, nome, fuso_horario) VALUES ('BLUE', 'Blue', 'America/Manaus'), ('GOLD', 'Gold', 'America/Sao_Paulo');
-- one that was there before such a zone was refused
ALTER TABLE cadence_empresas DISABLE TRIGGER cadence_runner_policy;
INSERT INTO cadence_empresas (empresa, nome, fuso_horario) VALUES ('GREY', 'Grey', 'Mars/Olympus');
INSERT INTO cadences (id, empresa, codigo, nome) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'QUENTE', 'Leads quentes'), ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'FRIA', NULL);
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA'), ('c0000000-0000-0000-0000-000000000001', 2, 'EMAIL', 'TUDO_BEM'),
    ('c0000000-0000-0000-0000-000000000002', 1, 'SMS', 'OI');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email, opt_out, opt_out_em, opt_out_motivo) VALUES
    ('ana', 'BLUE', 'Ana Lúcia d''Ávila', '(11) 98765-4321', 'Ana@Example.com', true, '2026-05-20 10:00Z', 'Ana ligou do 11 98765-4321'),
    ('ana', 'GOLD', 'Ana Lúcia', '+55 11 8765-4321', 'ana.lucia@example.com', false, NULL, NULL),
    ('bia', 'BLUE', 'Beatriz Ana-Maria', '0055 92 91234 5678', NULL, false, NULL, NULL),
    ('cho', 'GREY', U&'\5F35\5049', '+54 9 11 2345-6789', NULL, false, NULL, NULL),
    ('+55 21 99999-8888', 'BLUE', 'Rui', '+55 21 99999-8888', NULL, false, NULL, NULL),
    ('rui@example.com', 'BLUE', 'Rui', NULL, 'rui@example.com', false, NULL, NULL),
    ('x1', 'BLUE', '<script>alert(1)</script>', '"><img src=x>', '{{email}}', false, NULL, NULL),
    ('x2', 'BLUE', U&'\202EairaM\202C \200BSil\200Bva {{nome}}', repeat('9', 5000), repeat('a', 5000) || '@example.com', false, NULL, NULL),
    ('x3', 'BLUE', repeat('longo ', 10000), NULL, NULL, false, NULL, NULL),
    ('x4', 'BLUE', '%_''; DROP TABLE lead_contacts; --', NULL, NULL, false, NULL, NULL);
INSERT INTO lead_identities (lead_id, empresa, kind, value) VALUES ('bia', 'BLUE', 'phone', '+5592988887777'), ('bia', 'BLUE', 'email', 'bia@outro.example');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at, created_at, updated_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'CONCLUIDA', NULL, NULL, '2026-05-01 09:00Z', '2026-05-05 09:00Z'),
    ('a0000000-0000-0000-0000-000000000002', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000002', 'PAUSADA', 1, '2026-05-07 10:00Z', '2026-05-07 09:00Z', '2026-05-07 09:30Z'),
    ('a0000000-0000-0000-0000-000000000003', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'ATIVA', 2, '2100-01-01 00:00Z', '2026-05-19 09:00Z', '2026-05-19 09:00Z'),
    ('a0000000-0000-0000-0000-000000000004', 'só execução', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'CANCELADA', 2, NULL, '2026-05-19 09:00Z', '2026-05-19 09:00Z'),
    ('a0000000-0000-0000-0000-000000000005', '+55 21 99999-8888', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'CONCLUIDA', NULL, NULL, '2026-05-19 09:00Z', '2026-05-19 09:00Z');
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'AGENDADO', '{"next_run_at": "2026-05-01T09:00:00+00:00"}', '2026-05-01 09:00Z'),
    ('a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'ERRO', '{"codigo": "FALHA_ENVIO", "erro": "550 no such user Ana@Example.com, +55 11 98765-4321", "canal": "WHATSAPP", "proxima_tentativa": "2026-05-01T09:15:00+00:00"}', '2026-05-01 09:01Z'),
    ('a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'ERRO', '{"erro": "MARIA: words of another application"}', '2026-05-01 09:02Z'),
    ('a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'DISPARADO', '{"provedor": "zap", "message_id": "wamid.1"}', '2026-05-01 09:30Z'),
    ('a0000000-0000-0000-0000-000000000001', 2, 'TUDO_BEM', 'ERRO', '{"codigo": "CANCELADA", "motivo": "Ana comprou", "permanente": true}', '2026-05-05 09:00Z'),
    ('a0000000-0000-0000-0000-000000000003', 1, 'OLA', 'ERRO', '{"codigo": "FALHA_ENVIO", "erro": "server of Ana Lúcia is away", "proxima_tentativa": "soon"}', '2026-05-19 09:01Z');
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, enviado_em, entregue_em, recebido_em, run_id, step_ordem, whatsapp_message_id) VALUES
    ('ana', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'Oi Ana, tudo bem?', 'ENTREGUE', '2026-05-01 09:30Z', '2026-05-01 09:31Z', NULL, 'a0000000-0000-0000-0000-000000000001', 1, 'wamid.1'),
    ('ana', 'BLUE', 'WHATSAPP', 'INBOUND', 'Aqui é a Ana: <b>quem é?</b> again at 10', NULL, NULL, NULL, '2026-05-01 10:05Z', 'a0000000-0000-0000-0000-000000000001', 1, 'wamid.in');
INSERT INTO contact_opt_outs (lead_id, empresa, canal, motivo, origem, em) VALUES ('ana', 'BLUE', 'SMS', 'Ana disse SAIR', 'sms', '2026-05-18 10:00Z');

-- searched as what it looks like
CREATE FUNCTION pg_temp.found(q text, people boolean DEFAULT true) RETURNS TABLE (searched jsonb, people text, more boolean) LANGUAGE sql AS $$
    SELECT a -> 'searched', (SELECT string_agg(concat_ws(' ', p ->> 'lead_id', p ->> 'empresa'), ', ' ORDER BY n)
                             FROM jsonb_array_elements(a -> 'people') WITH ORDINALITY AS x(p, n)), (a -> 'more')::boolean
    FROM cadence_api_pessoas(jsonb_build_object('q', q), people) AS a
$$;
SELECT q, f.* FROM unnest(ARRAY['ana', ' ana ', 'ANA', 'lucia', 'LÚCIA', 'luc', 'lu', 'davila', 'd''avila', 'ávila ana', 'ana maria', 'Ana-Mar', 'maria ana',
    'silva', 'script', 'alert(1)', '''; DROP', '& | ! :*', 'a:* | b', 'nobody', '', '   ',
    'ana@example.com', 'ANA@EXAMPLE.COM', 'example.com', '@', 'BIA@outro.example', 'só execução', 'a0000000-0000-0000-0000-000000000004',
    'A0000000-0000-0000-0000-00000000000F']) WITH ORDINALITY AS v(q, n), pg_temp.found(q) AS f ORDER BY n;
SELECT f.people, array_agg(q) FROM unnest(ARRAY['11987654321', '(11) 98765-4321', '+55 11 98765-4321', '5511987654321', '005511987654321', '0 15 11 98765 4321', '011 98765-4321',
    '1187654321', '+55 (11) 8765.4321', U&'11 98765\20114321', '87654321', '98765-4321']) AS q, pg_temp.found(q) AS f GROUP BY 1;
SELECT q, f.people FROM unnest(ARRAY['21 98765-4321', '7654321', '4321', '+1 11 98765 4321', '92912345678', '91234-5678', '+5592988887777', '92 98888-7777', '92 8888-7777',
    '+54 11 2345 6789', '1123456789', repeat('9', 200), U&'\5F35\5049', U&'\5F35']) WITH ORDINALITY AS v(q, n), pg_temp.found(q) AS f ORDER BY n;
SELECT cadence_api_pessoas('{"q": "ana", "empresa": "GOLD"}', true);
SELECT cadence_api_pessoas('{}', true), cadence_api_pessoas(NULL, NULL);
SELECT length(cadence_api_pessoas('{"q": "x2"}', true)::text) < 2000 AS is_short, p ->> 'phone' = repeat('9', 200) AS phone FROM jsonb_array_elements(cadence_api_pessoas('{"q": "x2"}', true) -> 'people') AS p;

-- who may not see people finds them by what says nothing of them
SELECT q, f.* FROM unnest(ARRAY['ana', 'lucia', '11987654321', '(11) 98765-4321', '4321', 'ana@example.com', 'rui@example.com', '+55 21 99999-8888', '21999998888',
    'a0000000-0000-0000-0000-000000000005', 'só execução', '']) WITH ORDINALITY AS v(q, n), pg_temp.found(q, false) AS f ORDER BY n;
SELECT jsonb_pretty(cadence_api_pessoas('{"q": "ana"}', false));
SELECT cadence_api_pessoas('{"q": "ana"}', NULL) = cadence_api_pessoas('{"q": "ana"}', false);

-- a person
SELECT jsonb_pretty(cadence_api_pessoa('{"lead_id": "ana", "empresa": "BLUE"}', true) - 'next');
SELECT jsonb_pretty(cadence_api_pessoa('{"lead_id": "ana", "empresa": "BLUE"}', false) - 'next');
SELECT cadence_api_pessoa('{"run": "a0000000-0000-0000-0000-000000000002"}', true) = cadence_api_pessoa('{"lead_id": "ana", "empresa": "BLUE"}', true);
-- the numbers are those of the tables
SELECT p -> 'person' -> 'active' = to_jsonb(count(*) FILTER (WHERE r.status = 'ATIVA')) AS active, p -> 'person' -> 'paused' = to_jsonb(count(*) FILTER (WHERE r.status = 'PAUSADA')) AS paused,
       p -> 'person' -> 'over' = to_jsonb(count(*) FILTER (WHERE r.status IN ('CONCLUIDA', 'CANCELADA'))) AS over,
       p -> 'timeline_total' = (SELECT to_jsonb(count(*)) FROM cadence_timeline('ana', 'BLUE') WHERE what NOT IN ('next', 'being sent')) AS timeline,
       jsonb_array_length(p -> 'next') = count(*) FILTER (WHERE r.status IN ('ATIVA', 'PAUSADA')) AS next
FROM cadence_api_pessoa('{"lead_id": "ana", "empresa": "BLUE"}', true) AS p, lead_cadence_runs AS r
WHERE r.lead_id = 'ana' AND r.empresa = 'BLUE' GROUP BY p;
-- what comes next, and why not yet: in two languages, and without the words of others
SELECT n ->> 'status' AS status, n ->> 'cadence_name' AS cadence, n ->> 'step' AS step, n ->> 'channel' AS channel, n ->> 'at' AS at, w ->> 'code' AS code, w ->> 'text' AS text, w ->> 'todo' AS todo
FROM (VALUES ('pt-BR', true), ('en', true), ('en', false)) AS v(lang, people),
    jsonb_array_elements(cadence_api_pessoa(jsonb_build_object('lead_id', 'ana', 'empresa', 'BLUE', 'lang', lang), people) -> 'next') AS n, jsonb_array_elements(n -> 'why') AS w;
-- nothing of the person is anywhere in what is masked
SELECT secret, who FROM unnest(ARRAY['Ana ', 'Lúcia', 'vila', '98765', 'example.com, ', 'Ana@', 'Oi Ana', 'quem', 'SAIR', 'comprou', '99999']) AS secret,
    (VALUES ('{"lead_id": "ana", "empresa": "BLUE"}'), ('{"run": "a0000000-0000-0000-0000-000000000005"}')) AS v(who)
WHERE strpos(cadence_api_pessoa(who::jsonb, false)::text, secret) > 0;
-- but everything in what is not
SELECT bool_and(strpos(cadence_api_pessoa('{"lead_id": "ana", "empresa": "BLUE"}', true)::text, secret) > 0)
FROM unnest(ARRAY['Ana ', 'Lúcia', 'vila', '98765', 'Ana@', 'Oi Ana', 'quem', 'SAIR', 'comprou', 'MARIA']) AS secret;
SELECT cadence_api_pessoa('{"lead_id": "ana", "empresa": "GOLD"}', true) ->> 'zone', cadence_api_pessoa('{"lead_id": "cho", "empresa": "GREY"}', true) ->> 'zone';
SELECT cadence_api_pessoa('{"lead_id": "x1", "empresa": "BLUE"}', true) -> 'person', cadence_api_pessoa('{"lead_id": "x1", "empresa": "BLUE"}', false) -> 'person';
SELECT cadence_api_pessoa('{"lead_id": "só execução", "empresa": "BLUE"}', true) -> 'person';
SET TimeZone = 'Asia/Tokyo';
SELECT cadence_api_pessoa('{"lead_id": "ana", "empresa": "BLUE"}', true) -> 'timeline' -> 0 ->> 'at', current_setting('TimeZone');
SET TimeZone = 'UTC';

-- what can not be
CREATE FUNCTION pg_temp.refusal(params jsonb, people boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN cadence.cadence_api_pessoa(params, people);
EXCEPTION WHEN OTHERS THEN
    RETURN concat_ws(' ', SQLSTATE, SQLERRM);
END $$;
SELECT p, pg_temp.refusal(p::jsonb, true) FROM unnest(ARRAY['{}', '{"lead_id": "ana"}', '{"lead_id": "ninguém", "empresa": "BLUE"}', '{"lead_id": "ana", "empresa": "blue"}',
    '{"run": "a0000000-0000-0000-0000-00000000000f"}', '{"run": "ana"}', '{"run": ""}']) AS p;
SELECT pg_temp.refusal(NULL, true);
-- who guesses a number is told nothing, whether it is there or not
SELECT pg_temp.refusal('{"lead_id": "+55 21 99999-8888", "empresa": "BLUE"}', false) = pg_temp.refusal('{"lead_id": "+55 21 99999-8889", "empresa": "BLUE"}', false),
       pg_temp.refusal('{"lead_id": "rui@example.com", "empresa": "BLUE"}', false);
-- nor where the application has put the number or the mailbox into another text
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email) VALUES ('wa-5531912345678', 'BLUE', 'Zoe', '(31) 91234-5678', NULL), ('crm:ZULEICA.R', 'BLUE', 'Zu', NULL, 'zuleica.r@example.com'),
    ('k-42', 'BLUE', 'Kai', '4242', 'k@example.com');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status) VALUES ('a0000000-0000-0000-0000-000000000006', 'wa-5531912345678', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'CONCLUIDA');
SELECT lead, (pg_temp.found(lead, false)).people, (pg_temp.found(lead, true)).people AS seen, pg_temp.refusal(jsonb_build_object('lead_id', lead, 'empresa', 'BLUE'), false) LIKE 'P0002%' AS is_refused
FROM unnest(ARRAY['wa-5531912345678', 'crm:ZULEICA.R', 'k-42']) AS lead;
SELECT cadence_api_pessoa('{"run": "a0000000-0000-0000-0000-000000000006"}', false) -> 'person', (pg_temp.found('a0000000-0000-0000-0000-000000000006', false)).people;
SELECT cadence_api_pessoa('{"run": "a0000000-0000-0000-0000-000000000005"}', false) -> 'person';

-- of a table that the reason depends on, only that part is missing
ALTER TABLE cadence_feriados RENAME TO cadence_feriados_gone;
SELECT n - 'run' - 'at' FROM jsonb_array_elements(cadence_api_pessoa('{"lead_id": "ana", "empresa": "BLUE"}', true) -> 'next') AS n;
ALTER TABLE cadence_feriados_gone RENAME TO cadence_feriados;

-- no table is read from its beginning to its end, and a name that many have is no matter
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email)
SELECT 'n' || n, 'BLUE', 'Maria Silva', '+55 11 9' || 10000000 + n, 'n' || n || '@example.com' FROM generate_series(1, 3000) AS n;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status)
SELECT 'n' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', (ARRAY['ATIVA', 'PAUSADA', 'CONCLUIDA', 'CANCELADA'])[n % 4 + 1] FROM generate_series(1, 3000) AS n;
INSERT INTO lead_messages (lead_id, empresa, canal, direcao) SELECT 'n' || n, 'BLUE', 'SMS', 'OUTBOUND' FROM generate_series(1, 3000) AS n;
ANALYZE;
SELECT jsonb_array_length(a -> 'people') AS n, a -> 'more' AS more FROM cadence_api_pessoas('{"q": "maria silva"}', true) AS a;
BEGIN;
CREATE TEMP VIEW scans AS SELECT relname, seq_scan FROM pg_stat_xact_user_tables
    WHERE relname IN ('lead_contacts', 'lead_cadence_runs', 'lead_cadence_events', 'lead_messages', 'lead_identities') AND seq_scan > 0;
CREATE TEMP TABLE before ON COMMIT DROP AS TABLE scans;
SELECT count(cadence_api_pessoas(jsonb_build_object('q', q), people)) FROM unnest(ARRAY['n77', 'maria', 'silva mar', 'n77@example.com', '+55 11 910000077', 'a0000000-0000-0000-0000-000000000004']) AS q, (VALUES (true), (false)) AS v(people);
SELECT count(cadence_api_pessoa('{"lead_id": "ana", "empresa": "BLUE"}', people)) FROM (VALUES (true), (false)) AS v(people);
TABLE scans EXCEPT TABLE before;
-- which would be seen
SELECT count(*) > 0 FROM lead_messages;
SELECT relname FROM (TABLE scans EXCEPT TABLE before) AS s;
COMMIT;
-- without its index a name is not searched, and the answer says so
DROP INDEX lead_contacts_name_idx;
SELECT * FROM pg_temp.found('maria silva');
SELECT cadence_create_tables();
SELECT searched FROM pg_temp.found('maria silva');

-- nobody but the owner may ask; who may asks with their own rights
CREATE ROLE regress_api_reader;
GRANT USAGE ON SCHEMA cadence TO regress_api_reader;
SET ROLE regress_api_reader;
SELECT cadence_api_pessoas('{"q": "ana"}', true);
SELECT cadence_api_pessoa('{"lead_id": "ana", "empresa": "BLUE"}', true);
SELECT * FROM cadence_api_search('ana', 'id');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_api_pessoas(jsonb, boolean) TO regress_api_reader;
GRANT SELECT ON lead_contacts, lead_cadence_runs, lead_identities TO regress_api_reader;
SET ROLE regress_api_reader;
SELECT cadence_api_pessoas('{"q": "ana"}', true) -> 'people';
RESET ROLE;
DROP OWNED BY regress_api_reader;
DROP ROLE regress_api_reader;
RESET search_path;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;

-- an adopted installation: enums, other text types, other integers, several rows of a lead
CREATE SCHEMA crm;
CREATE EXTENSION citext SCHEMA crm;
CREATE EXTENSION cadence_runner SCHEMA crm;
CREATE ROLE regress_api_owner;
GRANT USAGE, CREATE ON SCHEMA crm TO regress_api_owner;
GRANT EXECUTE ON FUNCTION crm.cadence_create_tables(regrole), crm.cadence_wake(), crm.cadence_barrier(), crm.cadence_check_policy(), crm.cadence_steps_edited(),
    crm.cadence_timeline(text, text), crm.cadence_why_not(uuid, text), crm.cadence_api_pessoas(jsonb, boolean), crm.cadence_api_pessoa(jsonb, boolean) TO regress_api_owner;
SET search_path = crm;
SET ROLE regress_api_owner;
CREATE TYPE empresa_tipo AS ENUM ('BLUE', 'GOLD');
CREATE TYPE canal_tipo AS ENUM ('EMAIL', 'WHATSAPP', 'SMS');
CREATE TYPE status_tipo AS ENUM ('PAUSADA', 'ATIVA', 'CONCLUIDA', 'CANCELADA');
CREATE TYPE evento_tipo AS ENUM ('ERRO', 'DISPARADO', 'AGENDADO');
CREATE TABLE cadences (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), codigo varchar(40), empresa empresa_tipo);
CREATE TABLE cadence_steps (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), cadence_id uuid, ordem smallint, canal canal_tipo, template_codigo varchar(40));
CREATE TABLE lead_contacts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id citext NOT NULL, empresa empresa_tipo NOT NULL, nome citext, email citext, telefone varchar(40), telefone_e164 text);
CREATE INDEX ON lead_contacts (lead_id);
CREATE TABLE lead_cadence_runs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id citext, empresa empresa_tipo, cadence_id uuid, status status_tipo, next_step_ordem bigint);
CREATE TABLE lead_cadence_events (id uuid DEFAULT gen_random_uuid(), lead_cadence_run_id uuid, step_ordem bigint, template_codigo varchar, tipo_evento evento_tipo);
SELECT cadence_create_tables();
INSERT INTO cadences (id, codigo, empresa) VALUES ('c0000000-0000-0000-0000-000000000001', 'QUENTE', 'BLUE');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA');
INSERT INTO lead_contacts (lead_id, empresa, nome, email, telefone, telefone_e164, updated_at) VALUES
    ('Ana', 'BLUE', 'Ana velha', 'velha@example.com', 'sem', NULL, '2026-01-01Z'), ('Ana', 'BLUE', 'Ana nova', 'Nova@example.com', 'sem', '+5511987654321', '2026-02-01Z'),
    ('bia', 'GOLD', 'Bia', NULL, NULL, NULL, '2026-02-01Z');
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at) VALUES ('Ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'ATIVA', 1, '2026-05-02 09:00Z');
SELECT q, (SELECT string_agg(p ->> 'name', ', ') FROM jsonb_array_elements(cadence_api_pessoas(jsonb_build_object('q', q), true) -> 'people') AS p) AS found
FROM unnest(ARRAY['ana', 'ANA', 'nova', 'VELH', 'nova@EXAMPLE.com', 'velha@example.com', '11 8765-4321', 'bia']) AS q;
-- an id that tells is not told to be there to who may not see people, in whatever case they guess it
INSERT INTO lead_contacts (lead_id, empresa, nome, email) VALUES ('Souza-17', 'BLUE', 'Maria SOUZA', 'm@example.com'), ('x-Velha', 'GOLD', 'Bia', 'velha@example.com');
SELECT q, people, jsonb_array_length(cadence_api_pessoas(jsonb_build_object('q', q), people) -> 'people') AS found
FROM unnest(ARRAY['Souza-17', 'souza-17', 'x-velha', 'X-VELHA', 'BIA']) AS q, unnest(ARRAY[true, false]) AS people;
SELECT cadence_api_pessoa('{"lead_id": "Ana", "empresa": "BLUE"}', true) -> 'person', jsonb_path_query_array(cadence_api_pessoa('{"lead_id": "Ana", "empresa": "BLUE", "lang": "en"}', true), '$.next[*].why[*].code');
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT lead_id FROM lead_contacts AS x WHERE lead_id OPERATOR(crm.=) 'ana'::citext;
SELECT cadence_api_key_is('lead_contacts', 'lead_id'), cadence_api_key_is('lead_contacts', 'telefone');
RESET ROLE;
RESET search_path;
DROP EXTENSION cadence_runner;
SET client_min_messages = error;
DROP SCHEMA crm CASCADE;
DROP OWNED BY regress_api_owner;
DROP ROLE regress_api_owner;
