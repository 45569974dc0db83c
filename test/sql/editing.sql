--
-- Steps are inserted, moved, changed and removed while runs are in their cadence; cadence_reopen(),
-- cadence_check().
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
-- several may change places in one statement, as in adopted tables
ALTER TABLE cadence_steps DROP CONSTRAINT cadence_steps_cadence_id_ordem_key;
CREATE INDEX ON cadence_steps (cadence_id, ordem);
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'X'),
    ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'OUTRA');
INSERT INTO message_templates (empresa, canal, codigo, conteudo)
SELECT 'BLUE', 'SMS', t, 'Oi' FROM unnest('{A,B,C,D,E,F,O}'::text[]) AS t;
CREATE FUNCTION step(t text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('5000000' || ascii(t) - 64 || '-0000-0000-0000-000000000000')::uuid $$;
CREATE FUNCTION steps(t text) RETURNS uuid[] LANGUAGE sql IMMUTABLE AS
$$ SELECT array_agg(cadence.step(s) ORDER BY n) FROM regexp_split_to_table(t, '') WITH ORDINALITY AS u(s, n) WHERE s <> '' $$;
CREATE FUNCTION add(t text, n int, minutes int DEFAULT 7) RETURNS void LANGUAGE sql AS
$$ INSERT INTO cadence.cadence_steps (id, cadence_id, ordem, offset_minutos, canal, template_codigo)
   VALUES (cadence.step(t), 'c0000000-0000-0000-0000-000000000001', n, minutes, 'SMS', t) $$;
SELECT count(add(t, n::int, n::int)) FROM unnest('{A,B,C,D}'::text[]) WITH ORDINALITY AS u(t, n);
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
VALUES ('c0000000-0000-0000-0000-000000000002', 2, 0, 'SMS', 'O');
-- runs at every place
CREATE FUNCTION place(lead text, had text, last int, next int, status text DEFAULT 'ATIVA', attempts int DEFAULT 0, claim uuid DEFAULT NULL)
RETURNS void LANGUAGE sql AS
$$ INSERT INTO cadence.lead_cadence_runs (lead_id, empresa, cadence_id, status, started_at, last_step_ordem, next_step_ordem, next_run_at,
       attempts, claim_id, passos_enviados, counts_from)
   VALUES (lead, 'BLUE', 'c0000000-0000-0000-0000-000000000001', status, now(), last, next, now() + interval '1 hour', attempts, claim,
       cadence.steps(had), now()) $$;
SELECT place('0 new', NULL, NULL, 1), place('1 had A', 'A', 1, 2), place('1 paused', 'A', 1, 2, 'PAUSADA'),
    place('1 tried', 'A', 1, 2, 'ATIVA', 1), place('1 claimed', 'A', 1, 2, 'ATIVA', 1, gen_random_uuid()),
    place('1 from before ids', NULL, 1, 2), place('2 had AB', 'AB', 2, 3), place('3 had ABC', 'ABC', 3, 4),
    place('by hand at D', 'A', 1, 4), place('ended', 'ABCD', 4, NULL, 'CONCLUIDA'), place('won', 'A', 1, 2, 'CONCLUIDA');
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at)
VALUES ('of another', 'BLUE', 'c0000000-0000-0000-0000-000000000002', 'ATIVA', 2, now());
-- what a run gets from here on: each message is settled as sent, as after a crash
CREATE FUNCTION gets(run uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    before int := (SELECT count(*) FROM cadence.lead_cadence_events WHERE lead_cadence_run_id = run);
BEGIN
    FOR i IN 1 .. 20 LOOP
        -- a claim forgets what was tried of a step that is gone
        UPDATE cadence.lead_cadence_runs SET claim_id = '00000000-0000-0000-0000-000000000000',
            edicao = CASE WHEN edicao ->> 'passo' <> ALL (SELECT id::text FROM cadence.cadence_steps) THEN '{}' ELSE edicao END
        WHERE id = run AND status IN ('ATIVA', 'PAUSADA');
        EXIT WHEN NOT FOUND;
        PERFORM cadence.cadence_settle(run, true);
    END LOOP;
    RETURN (SELECT string_agg(template_codigo, '' ORDER BY created_at, id) FROM cadence.lead_cadence_events
            WHERE lead_cadence_run_id = run AND tipo_evento = 'DISPARADO');
END $$;
CREATE VIEW state AS
SELECT lead_id, last_step_ordem AS last, next_step_ordem AS next, CASE WHEN next_run_at <= clock_timestamp() THEN 0 ELSE round(extract(epoch FROM next_run_at - counts_from) / 60) END AS minutes,
       edicao - 'passo' AS edicao
FROM lead_cadence_runs WHERE status IN ('ATIVA', 'PAUSADA') ORDER BY lead_id COLLATE "C";
CREATE VIEW goes_on AS
SELECT lead_id, gets(id) FROM (SELECT * FROM lead_cadence_runs WHERE status IN ('ATIVA', 'PAUSADA') ORDER BY lead_id COLLATE "C") AS r;
SELECT * FROM state;
BEGIN; SELECT * FROM goes_on; ROLLBACK;

-- texts alone touch no run
SELECT max(xmin::text::int) AS seen FROM lead_cadence_runs \gset
UPDATE cadence_steps SET template_codigo = template_codigo, parar_se_responder = false;
UPDATE cadence_steps SET ordem = ordem, offset_minutos = offset_minutos, template_codigo = template_codigo;
SELECT max(xmin::text::int) = :seen AS untouched FROM lead_cadence_runs;

-- all move on
BEGIN;
UPDATE cadence_steps SET ordem = ordem * 10;
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
-- two change places: one that was had, and one that was not
BEGIN;
UPDATE cadence_steps SET ordem = 4 - ordem WHERE template_codigo IN ('A', 'C');
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
-- two that are to come
BEGIN;
UPDATE cadence_steps SET ordem = 5 - ordem WHERE template_codigo IN ('B', 'C');
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
-- the same by three statements
BEGIN;
UPDATE cadence_steps SET ordem = 99 WHERE template_codigo = 'B';
UPDATE cadence_steps SET ordem = 2 WHERE template_codigo = 'C';
UPDATE cadence_steps SET ordem = 3 WHERE template_codigo = 'B';
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
-- the last to the front, the first to the end
BEGIN;
UPDATE cadence_steps SET ordem = 0 WHERE template_codigo = 'D';
SELECT * FROM goes_on;
ROLLBACK;
BEGIN;
UPDATE cadence_steps SET ordem = 9 WHERE template_codigo = 'A';
SELECT * FROM goes_on;
ROLLBACK;
-- turned round, twice
BEGIN;
UPDATE cadence_steps SET ordem = -ordem;
SELECT * FROM state;
UPDATE cadence_steps SET ordem = 10 + ordem;
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
-- inserted before all, between, and behind the end
BEGIN;
SELECT add('E', 0);
SELECT * FROM goes_on;
ROLLBACK;
BEGIN;
UPDATE cadence_steps SET ordem = ordem * 10;
SELECT add('E', 15);
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
BEGIN;
UPDATE cadence_steps SET ordem = ordem + 1 WHERE ordem >= 3;
SELECT add('E', 3);
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
BEGIN;
SELECT add('E', 5);
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
-- some inserted and others moved by one statement
BEGIN;
ALTER TABLE cadence_steps ADD CONSTRAINT u UNIQUE (cadence_id, ordem) DEFERRABLE INITIALLY DEFERRED;
INSERT INTO cadence_steps (id, cadence_id, ordem, offset_minutos, canal, template_codigo)
SELECT step(t), 'c0000000-0000-0000-0000-000000000001', n, 7, 'SMS', t FROM unnest('{E,A,F,B,C,D}'::text[]) WITH ORDINALITY AS u(t, n)
ON CONFLICT (id) DO UPDATE SET ordem = excluded.ordem;
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
-- a number that a trigger writes
BEGIN;
CREATE FUNCTION ten_more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.ordem := NEW.ordem + 10; RETURN NEW; END $$;
CREATE TRIGGER ten_more BEFORE UPDATE ON cadence_steps FOR EACH ROW EXECUTE FUNCTION ten_more();
UPDATE cadence_steps SET canal = 'SMS' WHERE cadence_id = 'c0000000-0000-0000-0000-000000000001';
SELECT * FROM state WHERE lead_id ~ '^[12]';
ROLLBACK;
-- triggers of the runs that wait for the end of the owner's own edit
BEGIN;
CREATE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER moved AFTER UPDATE ON lead_cadence_runs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION moved();
UPDATE cadence_steps SET ordem = ordem * 2 WHERE cadence_id = 'c0000000-0000-0000-0000-000000000001';
SET CONSTRAINTS ALL IMMEDIATE;
SELECT * FROM state WHERE lead_id ~ '^[12]';
ROLLBACK;
-- removed: one that is to come, one that was had, all
BEGIN;
DELETE FROM cadence_steps WHERE template_codigo = 'B';
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
BEGIN;
DELETE FROM cadence_steps WHERE template_codigo IN ('A', 'D');
SELECT * FROM goes_on;
ROLLBACK;
-- one that was tried, and was put behind others before
BEGIN;
UPDATE cadence_steps SET ordem = 99 WHERE template_codigo = 'B';
DELETE FROM cadence_steps WHERE template_codigo = 'B';
SELECT * FROM goes_on;
ROLLBACK;
-- one that was tried, and the gap is closed: what stands there now was not, and its key is another one
BEGIN;
UPDATE lead_cadence_runs SET claim_id = '00000000-0000-0000-0000-000000000000', id = 'd0000000-0000-0000-0000-000000000001' WHERE lead_id = '1 claimed';
UPDATE lead_cadence_runs SET id = 'd0000000-0000-0000-0000-000000000002' WHERE lead_id = '1 tried';
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes)
SELECT id, 2, 'B', 'ERRO', jsonb_build_object('codigo', 'INCERTO', 'passo', step('B')) FROM lead_cadence_runs WHERE lead_id = '1 tried';
DELETE FROM cadence_steps WHERE template_codigo = 'B';
UPDATE cadence_steps SET ordem = ordem - 1 WHERE ordem > 2 AND cadence_id = 'c0000000-0000-0000-0000-000000000001';
SELECT * FROM state;
SAVEPOINT s;
SELECT cadence_settle(id, true) FROM lead_cadence_runs WHERE lead_id = '1 tried';
ROLLBACK TO s;
SELECT cadence_settle(id, true) FROM lead_cadence_runs WHERE lead_id = '1 claimed';
ROLLBACK TO s;
SELECT * FROM goes_on;
ROLLBACK;
-- the same before it is settled as another step, which has come in its place and was moved
BEGIN;
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes)
SELECT id, 2, 'B', 'ERRO', jsonb_build_object('codigo', 'INCERTO', 'passo', step('B')) FROM lead_cadence_runs WHERE lead_id = '1 tried';
DELETE FROM cadence_steps WHERE template_codigo = 'B';
SELECT add('F', 2);
UPDATE cadence_steps SET ordem = 5 WHERE template_codigo = 'F';
SELECT lead_id, edicao FROM lead_cadence_runs WHERE lead_id = '1 tried';
SELECT cadence_settle(id, true) FROM lead_cadence_runs WHERE lead_id = '1 tried';
SELECT lead_id, last_step_ordem, next_step_ordem, passos_enviados = steps('AF') AS had FROM lead_cadence_runs WHERE lead_id = '1 tried';
SELECT * FROM goes_on WHERE lead_id = '1 tried';
ROLLBACK;
-- an editor that saves all steps anew, with other ids, and one more at the end; what was skipped by hand stays so
BEGIN;
CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM cadence_steps;
DELETE FROM cadence_steps WHERE cadence_id = 'c0000000-0000-0000-0000-000000000001';
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
SELECT cadence_id, ordem, offset_minutos + 30, canal, template_codigo FROM kept WHERE cadence_id = 'c0000000-0000-0000-0000-000000000001';
SELECT add('E', 5);
SELECT * FROM state;
SELECT * FROM goes_on;
ROLLBACK;
-- the same with the old ids, in another order
BEGIN;
CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM cadence_steps;
DELETE FROM cadence_steps WHERE cadence_id = 'c0000000-0000-0000-0000-000000000001';
INSERT INTO cadence_steps (id, cadence_id, ordem, offset_minutos, canal, template_codigo)
SELECT id, cadence_id, 5 - ordem, offset_minutos, canal, template_codigo FROM kept WHERE cadence_id = 'c0000000-0000-0000-0000-000000000001';
SELECT * FROM goes_on;
ROLLBACK;

-- times: of runs that nobody works on, and whose time is known to be ours
BEGIN;
UPDATE lead_cadence_runs SET counts_from = NULL WHERE lead_id = '1 paused';
UPDATE cadence_steps SET offset_minutos = 90 WHERE template_codigo = 'B';
UPDATE cadence_steps SET offset_minutos = -5 WHERE template_codigo = 'C';
UPDATE cadence_steps SET offset_referencia = 'INICIO', offset_minutos = 1000 WHERE template_codigo = 'D';
SELECT * FROM state;
-- the person's time: São Paulo's
UPDATE cadence_steps SET horario = '09:00', offset_minutos = 2880 WHERE template_codigo = 'B';
SELECT next_run_at AT TIME ZONE 'America/Sao_Paulo' = (now() AT TIME ZONE 'America/Sao_Paulo')::date + interval '2 days 9 hours' AS at_nine
FROM lead_cadence_runs WHERE lead_id = '1 had A';
ROLLBACK;

-- who may edit steps need have no right to runs
CREATE ROLE regress_cadence_editor;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_editor;
GRANT SELECT, INSERT, UPDATE, DELETE ON cadence_steps TO regress_cadence_editor;
CREATE POLICY all_rows ON cadence_steps TO regress_cadence_editor USING (true);
BEGIN;
SET ROLE regress_cadence_editor;
UPDATE cadence_steps SET ordem = ordem * 10;
DELETE FROM cadence_steps WHERE template_codigo = 'D';
SELECT count(*) FROM cadence_steps;
RESET ROLE;
SELECT lead_id, last, next FROM state WHERE lead_id LIKE '1%';
ROLLBACK;
REVOKE ALL ON cadence_steps FROM regress_cadence_editor;
DROP POLICY all_rows ON cadence_steps;
REVOKE ALL ON SCHEMA cadence FROM regress_cadence_editor;
DROP ROLE regress_cadence_editor;
-- nor does it do anything for who calls it otherwise
SELECT cadence_steps_edited();

-- a step behind the end reaches who has finished by cadence_reopen() alone
SELECT cadence_reopen('X');
BEGIN;
SELECT add('E', 9), add('F', 10);
SELECT place('twice', 'ABCD', 4, NULL, 'CONCLUIDA'), place('again', 'ABCD', 4, NULL, 'CONCLUIDA'), place('from before ids', NULL, 4, NULL, 'CONCLUIDA');
UPDATE lead_cadence_runs SET created_at = now() - interval '1 day' WHERE lead_id IN ('twice', 'again');
SELECT place('twice', 'ABCD', 4, NULL, 'CONCLUIDA'), place('again', NULL, NULL, 1);
SELECT cadence_reopen('X', 'BLUE');
SELECT lead_id, status, last_step_ordem AS last, next_step_ordem AS next, CASE status WHEN 'ATIVA' THEN next_run_at - now() END AS due_in,
       (SELECT string_agg(concat_ws(' ', tipo_evento, step_ordem, detalhes ->> 'decidido'), ', ') FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id) AS events
FROM lead_cadence_runs r WHERE lead_id IN ('ended', 'won', 'twice', 'again', 'from before ids') ORDER BY lead_id COLLATE "C", created_at, status;
SELECT cadence_reopen('c0000000-0000-0000-0000-000000000001'::uuid), cadence_reopen('c0000000-0000-0000-0000-000000000001');
SELECT lead_id, gets(id) FROM lead_cadence_runs WHERE lead_id = 'ended';
ROLLBACK;
-- none of it is behind what they have had
BEGIN;
SELECT add('E', 0);
UPDATE cadence_steps SET ordem = ordem + 100;
SELECT cadence_reopen('X');
ROLLBACK;
SELECT cadence_reopen('NAO_HA');
SELECT cadence_reopen(NULL::text);

-- a cadence is checked before its runs find out
SELECT * FROM cadence_check('NAO_HA');
SELECT * FROM cadence_check(NULL);
CREATE SERVER regress_sms FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://127.0.0.1:1/');
SELECT * FROM cadence_check('X');
-- a country that is misspelt makes Brazil's numbers of others
BEGIN;
INSERT INTO cadence_empresas (empresa, pais) SELECT empresa, 'USA' FROM cadences WHERE codigo = 'X' ON CONFLICT (empresa) DO UPDATE SET pais = 'USA';
SELECT * FROM cadence_check('X');
UPDATE cadence_empresas SET pais = 'us';
SELECT * FROM cadence_check('X');
ROLLBACK;
BEGIN;
INSERT INTO cadences (id, empresa, codigo, ativo) VALUES ('c0000000-0000-0000-0000-000000000003', 'BLUE', 'VAZIA', false);
SELECT * FROM cadence_check('VAZIA', 'BLUE');
INSERT INTO message_templates (empresa, canal, codigo, conteudo, ativo) VALUES
    ('BLUE', 'SMS', 'DESLIGADO', 'Oi', false), ('BLUE', 'SMS', 'ABERTO', 'Oi {{nome', true), ('BLUE', 'SMS', 'SEM_COLUNA', 'Oi {{cpf}}', true);
UPDATE cadences SET janela = '[{"dias": [1,2,3,4,5], "das": "08:00", "ate": "18:00"}]' WHERE codigo = 'VAZIA';
INSERT INTO cadence_steps (id, cadence_id, ordem, offset_minutos, canal, template_codigo, offset_referencia, horario, validade)
SELECT ('60000000-0000-0000-0000-00000000000' || row_number() OVER ())::uuid, 'c0000000-0000-0000-0000-000000000003', v.* FROM (VALUES
    (1, 10, 'SMS', 'NAO_HA', 'INICIO', NULL::time, NULL::interval), (1, -1, 'SMS', 'DESLIGADO', 'ANTERIOR', NULL, NULL),
    (3, 0, 'EMAIL', 'A', 'ANTERIOR', NULL, NULL), (4, 0, 'POMBO', 'A', 'ANTERIOR', NULL, NULL), (5, 5, 'SMS', 'ABERTO', 'INICIO', NULL, NULL),
    (6, 0, 'SMS', 'SEM_COLUNA', 'ANTERIOR', NULL, NULL), (7, 0, 'SMS', 'A', NULL, '20:00', '1 hour'), (8, 0, 'SMS', 'A', NULL, '20:00', NULL),
    (9, 0, 'SMS', 'A', NULL, '09:00', '1 hour')) AS v;
SELECT * FROM cadence_check('VAZIA');
ROLLBACK;
BEGIN;
UPDATE cadences SET janela = '[{"dias": [1], "das": "08:00", "ate": "18:00"}]' WHERE codigo = 'X';
INSERT INTO cadence_feriados (dia, nome, pais) SELECT now()::date + i, 'fechado', 'BR' FROM generate_series(-1, 500) AS i;
SELECT severidade, ordem, problema FROM cadence_check('X');
ROLLBACK;

-- of another table, or without the transition tables, it does nothing
CREATE TABLE cadence.others (id uuid, cadence_id uuid, ordem int);
CREATE TRIGGER others AFTER INSERT ON cadence.others FOR EACH STATEMENT EXECUTE FUNCTION cadence.cadence_steps_edited();
INSERT INTO cadence.others (ordem) VALUES (1);
DROP TRIGGER cadence_runner_steps_added ON cadence.cadence_steps;
CREATE TRIGGER cadence_runner_steps_added AFTER INSERT ON cadence.cadence_steps FOR EACH STATEMENT EXECUTE FUNCTION cadence.cadence_steps_edited();
INSERT INTO cadence.cadence_steps (cadence_id, ordem, canal, template_codigo) SELECT id, 99, 'SMS', 'X' FROM cadence.cadences LIMIT 1;
-- what stands in edicao and is not ours stops nobody's edit
UPDATE cadence.lead_cadence_runs SET edicao = '{"pendente": "x"}', status = 'ATIVA' WHERE id = (SELECT min(id::text)::uuid FROM cadence.lead_cadence_runs);
UPDATE cadence.cadence_steps SET offset_minutos = offset_minutos + 1 WHERE ordem > 0;
DROP SCHEMA cadence CASCADE;
