--
-- Policies that can not be are refused when they are written; holidays of Brazil.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_editor;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS TABLE (code text, message text, detail text, hint text, place text) LANGUAGE plpgsql AS $$
DECLARE
    at_table text;
    at_column text;
BEGIN
    EXECUTE statement;
    code := '00000'; message := 'no error';
    RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT, detail := PG_EXCEPTION_DETAIL, hint := PG_EXCEPTION_HINT,
        at_table := TABLE_NAME, at_column := COLUMN_NAME;
    place := at_table || '.' || at_column;
    RETURN NEXT;
END $$;
-- code, what and why, of each value that a column is given
CREATE FUNCTION pg_temp.written(name text, column_name text, VARIADIC given text[]) RETURNS TABLE (value text, code text, message text) LANGUAGE sql AS $$
    SELECT v, r.code, r.message FROM unnest(given) AS v CROSS JOIN LATERAL pg_temp.refusal(format('UPDATE %I SET %I = %L', name, column_name, v)) AS r
$$;
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'SMS', 'OLA');
INSERT INTO cadence_empresas (empresa) VALUES ('BLUE');

-- each of our triggers, and on which tables
SELECT tgrelid::regclass AS "table", pg_get_triggerdef(oid) AS definition FROM pg_trigger WHERE tgname = 'cadence_runner_policy' ORDER BY 1;
SELECT cadence_check_policy();

-- a whole refusal
\x on
SELECT * FROM pg_temp.refusal($$UPDATE cadences SET janela = '[]'$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadences SET janela_espalha = '-1 second'$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadences SET max_por_dia = 0$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadences SET max_novos_por_dia = -1$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadences SET reentrada = 'SEMPRE '$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadence_steps SET offset_referencia = ''$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadence_steps SET horario = '24:00'$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadence_steps SET validade = '0'$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadence_steps SET se_falhar = 'pular'$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadence_empresas SET fuso_horario = 'America/Nenhures'$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadence_empresas SET janela = '{}'$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadence_empresas SET janela_espalha = '-1 month'$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadence_empresas SET max_por_lead_dia = 0$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadence_empresas SET max_por_dia = -5$$);
SELECT * FROM pg_temp.refusal($$UPDATE cadence_empresas SET intervalo_minimo = '-1 hour'$$);
-- also of a new row, and of a long value the beginning
SELECT * FROM pg_temp.refusal($$INSERT INTO cadence_empresas (empresa, fuso_horario) VALUES ('GOLD', 'BRT3')$$);
SELECT * FROM pg_temp.refusal($$INSERT INTO cadences (empresa, codigo, reentrada) VALUES ('BLUE', 'DUAS', repeat('ação', 1000))$$);
SELECT code, message, left(detail, 40) AS detail FROM pg_temp.refusal($$UPDATE cadences SET janela = to_jsonb(repeat('x', 9000))$$);
\x off

-- good and bad values of each kind
SELECT * FROM pg_temp.written('cadences', 'janela', NULL,
    '[{"das": "08:00", "ate": "18:00"}]', '[{"dias": [1,2,3,4,5], "das": "08:00", "ate": "24:00"}, {"dias": [6], "das": "22:00", "ate": "02:00"}]',
    'null', '1', '"08:00"', '[1]', '[{}]', '[{"das": "8:00", "ate": "18:00"}]', '[{"das": "08:00", "ate": "25:00"}]', '[{"das": "24:00", "ate": "08:00"}]',
    '[{"das": "08:00", "ate": "08:00"}]', '[{"das": "08:00"}]', '[{"dias": [], "das": "08:00", "ate": "18:00"}]', '[{"dias": [0], "das": "08:00", "ate": "18:00"}]',
    '[{"dias": ["seg"], "das": "08:00", "ate": "18:00"}]', '[{"das": "08:00", "ate": "18:00", "até": "19:00"}]');
SELECT * FROM pg_temp.written('cadence_empresas', 'janela', NULL, '[{"das": "08:00", "ate": "18:00"}]', '[]', '[{"das": "08:60", "ate": "18:00"}]');
SELECT * FROM pg_temp.written('cadences', 'reentrada', NULL, 'UMA_VEZ', 'SE_INATIVO', 'SEMPRE', '', ' ', 'sempre', 'SEMPRE UMA_VEZ', 'NUNCA');
SELECT * FROM pg_temp.written('cadence_steps', 'offset_referencia', NULL, 'ANTERIOR', 'INICIO', '', 'INÍCIO', 'FIM');
SELECT * FROM pg_temp.written('cadence_steps', 'se_falhar', NULL, 'PAUSAR', 'PULAR', '', 'PARAR');
SELECT * FROM pg_temp.written('cadence_steps', 'horario', NULL, '00:00', '09:00', '23:59:59.999999', '24:00', '25:00');
SELECT * FROM pg_temp.written('cadence_steps', 'validade', NULL, '1 microsecond', '12 hours', '1 month -29 days', '100 years', '0', '-1 day', '1 month -30 days', '1 hour -1 day');
SELECT * FROM pg_temp.written('cadences', 'janela_espalha', NULL, '0', '10 minutes', '-1 microsecond');
SELECT * FROM pg_temp.written('cadence_empresas', 'janela_espalha', NULL, '0', '1 day', '-1 day');
SELECT * FROM pg_temp.written('cadence_empresas', 'intervalo_minimo', NULL, '0', '4 hours', '-4 hours');
SELECT * FROM pg_temp.written('cadences', 'max_por_dia', NULL, '1', '2147483647', '0', '-2147483648');
SELECT * FROM pg_temp.written('cadences', 'max_novos_por_dia', NULL, '1', '0');
SELECT * FROM pg_temp.written('cadence_empresas', 'max_por_lead_dia', NULL, '1', '0');
SELECT * FROM pg_temp.written('cadence_empresas', 'max_por_dia', NULL, '1', '0');
-- what PostgreSQL would take for a rule is no zone, nor is a file of another kind
SELECT * FROM pg_temp.written('cadence_empresas', 'fuso_horario', 'America/Sao_Paulo', 'America/Manaus', 'America/Argentina/Buenos_Aires', 'America/Port-au-Prince',
    'Etc/GMT+3', 'Etc/GMT-14', 'Etc/UTC', 'UTC', '', ' ', 'BRT', 'BRT3', 'FOO+3', '<-03>3', '-3', 'America/Sao_Paulo3', 'America/Sao_Paulo+3', 'America/Sao Paulo', 'America/',
    '/America/Sao_Paulo', '../America/Sao_Paulo', 'America/../UTC', 'localtime', 'right/UTC', 'Etc/GMT+33', 'Etc/GMT+3x', 'Etc/GMT+', 'Etc/GMT3', 'Etc/Foo3', 'America/São_Paulo', 'tzdata.zi', E'America/Manaus\n');
-- columns beside them take anything
UPDATE cadences SET prioridade = -7, exclusiva = true, nome = '', descricao = '[]';

-- of an update what is new: an old row that is wrong does not stand in the way of anything else
ALTER TABLE cadences DISABLE TRIGGER cadence_runner_policy;
UPDATE cadences SET janela = '[]', reentrada = 'NUNCA', max_por_dia = 0;
ALTER TABLE cadences ENABLE TRIGGER cadence_runner_policy;
UPDATE cadences SET nome = 'Uma', ativo = false, updated_at = now();
UPDATE cadences SET janela = '[ ]', reentrada = 'NUNCA', max_por_dia = 0, max_novos_por_dia = 3;
SELECT code, message FROM pg_temp.refusal($$UPDATE cadences SET janela = '[]', reentrada = 'JAMAIS'$$);
UPDATE cadences SET janela = NULL;
SELECT code, message FROM pg_temp.refusal($$UPDATE cadences SET janela = '[]'$$);
UPDATE cadences SET reentrada = 'UMA_VEZ', max_por_dia = NULL;
-- also where it comes as an upsert
SELECT code, message FROM pg_temp.refusal($$INSERT INTO cadence_empresas (empresa) VALUES ('BLUE') ON CONFLICT (empresa) DO UPDATE SET max_por_dia = 0$$);
INSERT INTO cadence_empresas (empresa, max_por_dia) VALUES ('BLUE', 10) ON CONFLICT (empresa) DO UPDATE SET max_por_dia = excluded.max_por_dia;

-- whoever may write the row needs no more than that, on whatever search path
GRANT USAGE ON SCHEMA cadence TO regress_cadence_editor;
GRANT SELECT, INSERT, UPDATE ON cadences TO regress_cadence_editor;
CREATE POLICY editor ON cadences TO regress_cadence_editor USING (true);
SET ROLE regress_cadence_editor;
SET search_path = '';
UPDATE cadence.cadences SET max_por_dia = 5;
INSERT INTO cadence.cadences (empresa, codigo, janela) VALUES ('BLUE', 'TRES', '[{"das": "08:00", "ate": "18:00"}]');
UPDATE cadence.cadences SET janela = '[{"das": "18:00"}]';
SELECT cadence.cadence_check_policy();
RESET ROLE;
SET search_path = cadence;

-- a table that lacks one of the columns, or has another type there: what is there is checked
BEGIN;
ALTER TABLE cadence_steps DROP COLUMN horario, ALTER COLUMN validade TYPE text;
UPDATE cadence_steps SET validade = 'dois dias', se_falhar = 'PULAR';
SELECT code, message FROM pg_temp.refusal($$UPDATE cadence_steps SET se_falhar = 'PARAR'$$);
ROLLBACK;

-- it is no function for other triggers
CREATE TABLE other (janela jsonb);
CREATE TRIGGER wrong AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION cadence_check_policy('cadences');
INSERT INTO other VALUES (NULL);
CREATE OR REPLACE TRIGGER wrong BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION cadence_check_policy();
INSERT INTO other VALUES (NULL);
CREATE OR REPLACE TRIGGER wrong BEFORE DELETE OR INSERT ON other FOR EACH ROW EXECUTE FUNCTION cadence_check_policy('other');
INSERT INTO other VALUES ('[]');
DELETE FROM other;
DROP TABLE other;

-- who may not execute it gets no trigger, and is told
DROP TRIGGER cadence_runner_policy ON cadences;
GRANT CREATE ON SCHEMA cadence TO regress_cadence_editor;
GRANT EXECUTE ON FUNCTION cadence_create_tables(regrole), cadence_make_keys() TO regress_cadence_editor;
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'cadence'::regnamespace AND relkind = 'r' AND relname <> 'cadence_protocols' LOOP
        EXECUTE format('ALTER TABLE %I OWNER TO regress_cadence_editor', name);
    END LOOP;
END $$;
SET ROLE regress_cadence_editor;
SET client_min_messages = notice;
SELECT cadence_create_tables();
SET client_min_messages = warning;
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_check_policy() TO regress_cadence_editor;
SET ROLE regress_cadence_editor;
SELECT cadence_create_tables();
UPDATE cadences SET max_por_dia = 0;
RESET ROLE;

-- holidays: by law and, where the year is of one, by custom
SELECT cadence_holidays_br(2026);
SELECT dia, extract(isodow FROM dia) AS weekday, nome, pais, uf, empresa FROM cadence_feriados ORDER BY dia;
SELECT cadence_holidays_br(2026);
SELECT count(*) FROM cadence_feriados;
-- what is there stays as it is, a state's and a company's day are others
DELETE FROM cadence_feriados WHERE nome <> 'Natal';
UPDATE cadence_feriados SET nome = 'Xmas', pais = 'br';
INSERT INTO cadence_feriados (dia, nome, uf, empresa) VALUES ('2026-01-01', 'SP', 'SP', NULL), ('2026-05-01', 'BLUE', NULL, 'BLUE');
INSERT INTO cadence_feriados (dia, nome, pais) VALUES ('2026-09-07', 'Labour Day', 'US');
SELECT cadence_holidays_br(2026);
SELECT dia, nome, pais, uf, empresa FROM cadence_feriados WHERE dia IN ('2026-01-01', '2026-05-01', '2026-09-07', '2026-12-25') ORDER BY dia, nome;
-- Zumbi from 2024 on, Aparecida from 1980 on; Good Friday on Tiradentes' day
SELECT y AS year, cadence_holidays_br(y) AS added FROM unnest(ARRAY[1900, 1979, 1980, 2000, 2019, 2023, 2024, 2299]) AS y;
SELECT dia, nome FROM cadence_feriados WHERE dia BETWEEN '2000-01-01' AND '2000-12-31' ORDER BY dia;
-- a table without the constraint, and one that is somebody's
ALTER TABLE cadence_feriados DROP CONSTRAINT cadence_feriados_dia_pais_uf_empresa_key, ALTER COLUMN nome TYPE varchar(60);
SELECT cadence_holidays_br(2027), cadence_holidays_br(2027);
SELECT * FROM pg_temp.refusal('SELECT cadence_holidays_br(1899)');
SELECT * FROM pg_temp.refusal('SELECT cadence_holidays_br(2300)');
SELECT * FROM pg_temp.refusal('SELECT cadence_holidays_br(-2147483648)');
SELECT * FROM pg_temp.refusal('SELECT cadence_holidays_br(NULL)');
SELECT * FROM pg_temp.refusal('SELECT cadence_easter(NULL)');
-- Easter as others have reckoned it
SELECT string_agg(to_char(cadence_easter(y), 'MM-DD'), ' ' ORDER BY y) AS easter FROM generate_series(2015, 2035) AS y;
SELECT y AS year, cadence_easter(y) AS easter FROM unnest(ARRAY[1900, 1943, 1954, 1961, 1981, 2008, 2038, 2049, 2076, 2160, 2285, 2299]) AS y;
SELECT count(*) FILTER (WHERE extract(isodow FROM cadence_easter(y)) = 7) AS sundays, min(to_char(cadence_easter(y), 'MM-DD')), max(to_char(cadence_easter(y), 'MM-DD'))
FROM generate_series(1900, 2299) AS y;
-- with the rights of its caller
GRANT EXECUTE ON FUNCTION cadence_holidays_br(int), cadence_easter(int) TO PUBLIC;
CREATE ROLE regress_cadence_reader;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_reader;
SET ROLE regress_cadence_reader;
SELECT cadence_holidays_br(2028);
RESET ROLE;

-- the extension goes, and its triggers with it
DROP EXTENSION cadence_runner;
UPDATE cadences SET max_por_dia = 0;
SELECT count(*) AS triggers FROM pg_trigger WHERE tgname = 'cadence_runner_policy';

RESET search_path;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_editor, regress_cadence_reader;

-- adopted tables: enums, domains, other widths, partitions
CREATE SCHEMA crm;
CREATE EXTENSION cadence_runner SCHEMA crm;
SET search_path = crm;
CREATE TYPE reentrada_tipo AS ENUM ('UMA_VEZ', 'SE_INATIVO', 'SEMPRE', 'TALVEZ');
CREATE TYPE falha_tipo AS ENUM ('PAUSAR', 'PULAR', 'INSISTIR');
CREATE DOMAIN prazo AS interval;
CREATE DOMAIN hora AS time;
CREATE DOMAIN janela AS jsonb;
CREATE TABLE cadences (reentrada reentrada_tipo, max_por_dia bigint, max_novos_por_dia smallint, janela janela, id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    empresa varchar NOT NULL, codigo varchar NOT NULL, janela_espalha prazo);
CREATE TABLE cadence_steps (id uuid NOT NULL DEFAULT gen_random_uuid(), horario hora, validade prazo, se_falhar falha_tipo, offset_referencia varchar(10),
    cadence_id uuid, ordem int, canal text, template_codigo text) PARTITION BY RANGE (ordem);
CREATE TABLE cadence_steps_first (template_codigo text, canal text, ordem int, cadence_id uuid, se_falhar falha_tipo, validade prazo, horario hora,
    offset_referencia varchar(10), id uuid NOT NULL DEFAULT gen_random_uuid());
ALTER TABLE cadence_steps ATTACH PARTITION cadence_steps_first FOR VALUES FROM (0) TO (10);
CREATE TABLE cadence_steps_rest PARTITION OF cadence_steps DEFAULT;
SELECT cadence_create_tables();
\set VERBOSITY terse
INSERT INTO cadences (empresa, codigo, reentrada, max_por_dia, max_novos_por_dia, janela, janela_espalha)
VALUES ('BLUE', 'UMA', 'UMA_VEZ', 5000000000, 1, '[{"das": "08:00", "ate": "18:00"}]', '5 min');
UPDATE cadences SET reentrada = 'TALVEZ';
UPDATE cadences SET max_por_dia = 0;
UPDATE cadences SET max_novos_por_dia = -1;
UPDATE cadences SET janela = '[]';
UPDATE cadences SET janela_espalha = '-5 min';
INSERT INTO cadence_steps (ordem, canal, template_codigo, horario, validade, se_falhar, offset_referencia) VALUES (1, 'SMS', 'OLA', '09:00', '1 day', 'PULAR', 'INICIO');
INSERT INTO cadence_steps (ordem, canal, template_codigo, se_falhar) VALUES (2, 'SMS', 'OLA', 'INSISTIR');
INSERT INTO cadence_steps_rest (ordem, canal, template_codigo, offset_referencia) VALUES (20, 'SMS', 'OLA', 'FIM');
UPDATE cadence_steps SET horario = '24:00';
UPDATE cadence_steps SET validade = '-1 day';
-- to another partition
UPDATE cadence_steps SET ordem = 20;
UPDATE cadence_steps SET ordem = 1, se_falhar = 'INSISTIR';
SELECT ordem, horario, validade, se_falhar, offset_referencia FROM cadence_steps;
\set VERBOSITY default
DROP EXTENSION cadence_runner;
RESET search_path;
DROP SCHEMA crm CASCADE;
