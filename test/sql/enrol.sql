--
-- cadence_enroll_many(), cadences.reentrada and cadences.exclusiva, and when a first step is due.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS TABLE (code text, message text, detail text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000', 'no error', '', '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT, detail := PG_EXCEPTION_DETAIL, hint := PG_EXCEPTION_HINT;
    RETURN NEXT;
END $$;
INSERT INTO cadences (id, empresa, codigo, ativo, reentrada, exclusiva) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'QUENTE', true, NULL, false),
    ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'UNICA', true, 'UMA_VEZ', false),
    ('c0000000-0000-0000-0000-000000000003', 'BLUE', 'SEMPRE', true, 'SEMPRE', NULL),
    ('c0000000-0000-0000-0000-000000000004', 'BLUE', 'SO_A', true, 'SE_INATIVO', true),
    ('c0000000-0000-0000-0000-000000000005', 'BLUE', 'SO_B', true, NULL, true),
    ('c0000000-0000-0000-0000-000000000006', 'BLUE', 'PARADA', false, NULL, false),
    ('c0000000-0000-0000-0000-000000000007', 'BLUE', 'VAZIA', true, NULL, false),
    ('c0000000-0000-0000-0000-000000000008', 'GOLD', 'SO_GOLD', true, NULL, true),
    ('c0000000-0000-0000-0000-000000000009', 'BLUE', 'SO_SEMPRE', true, 'SEMPRE', true);
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
SELECT id, 10, 15, 'SMS', 'UM' FROM cadences WHERE codigo <> 'VAZIA';
INSERT INTO lead_contacts (lead_id, empresa, telefone) SELECT l, 'BLUE', '+5511987654321' FROM unnest(ARRAY['ana', 'bia', 'caio', 'dora', 'eva']) AS l;
CREATE VIEW state AS
SELECT lead_id, r.empresa, codigo, status, next_step_ordem AS next, next_run_at, started_at = counts_from AS counted, claim_id IS NOT NULL AS claimed,
       (SELECT string_agg(tipo_evento || coalesce(' ' || step_ordem::text, '') || coalesce(' ' || e.template_codigo, '') ||
                          coalesce(' ' || (detalhes ->> 'codigo'), '') || coalesce(' ' || (detalhes ->> 'motivo'), ''), ', ' ORDER BY e.created_at, e.id)
        FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id) AS events
FROM lead_cadence_runs r JOIN cadences c ON c.id = cadence_id ORDER BY lead_id COLLATE "C", codigo, r.created_at, r.id;
-- what became of each, in their order, and of which run it tells
CREATE FUNCTION pg_temp.many(leads text[], codigo text, start_at timestamptz DEFAULT '2030-01-07 12:00+00', empresa text DEFAULT NULL)
RETURNS TABLE (n int, lead_id text, resultado text, motivo text, run text) LANGUAGE plpgsql AS $$
DECLARE m record;
BEGIN
    n := 0;
    FOR m IN SELECT * FROM cadence.cadence_enroll_many(leads, $2, $3, $4) LOOP
        n := n + 1; lead_id := left(m.lead_id, 20); resultado := m.resultado; motivo := m.motivo; run := NULL;
        SELECT c.codigo || ' ' || r.status || CASE WHEN r.lead_id = m.lead_id THEN '' ELSE ' of ' || r.lead_id END INTO run
        FROM cadence.lead_cadence_runs r JOIN cadence.cadences c ON c.id = r.cadence_id WHERE r.id = m.run;
        RETURN NEXT;
    END LOOP;
END $$;

-- in the order in which they were given, each once; what can be no lead stops nobody
SELECT * FROM pg_temp.many(ARRAY['eva', 'ana', NULL, 'bia', '', 'ana', repeat('x', 1001), E'x'' "y" \n 🎉', 'ana'], 'QUENTE');
SELECT * FROM state;
SELECT (e.detalhes ->> 'next_run_at')::timestamptz = r.next_run_at AS same_time, counts_from, passos_enviados
FROM lead_cadence_runs r JOIN lead_cadence_events e ON e.lead_cadence_run_id = r.id WHERE lead_id = 'bia';
-- called again it enrols nobody again, but those who were not there
SELECT * FROM pg_temp.many(ARRAY['ana', 'bia', 'caio', 'eva'], 'QUENTE');
SELECT count(*) FROM lead_cadence_runs;
SELECT * FROM pg_temp.many('{}', 'QUENTE');
-- one who can be no lead is an error of the call for one
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('', 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll(repeat('x', 1001), 'QUENTE')$$);
SELECT count(*) FROM lead_cadence_runs WHERE lead_id = '' OR length(lead_id) > 1000;
SELECT * FROM pg_temp.many(ARRAY[NULL, '']::text[], 'QUENTE');
SELECT * FROM pg_temp.many('{{ana,dora},{dora,bia}}', 'QUENTE');
SELECT * FROM pg_temp.many('[5:6]={ana,dora}', 'QUENTE');
-- in somebody's query, for each of its rows
SELECT l, (cadence_enroll_many(ARRAY['de ' || l, 'outra de ' || l], 'QUENTE')).resultado FROM unnest(ARRAY['ana', 'bia']) AS l;
SELECT codigo, m.resultado FROM cadences, cadence_enroll_many(ARRAY['zeca'], codigo) AS m WHERE codigo IN ('QUENTE', 'UNICA') ORDER BY 1;
TRUNCATE lead_cadence_runs CASCADE;

-- one error for the call as a whole
\x on
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{ana}', 'NAO_HA')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{ana}', 'QUENTE', empresa => 'ROXA')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{ana}', 'PARADA')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{}', 'PARADA')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{ana}', 'VAZIA')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many(NULL, 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{ana}', NULL)$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{ana}', 'QUENTE', NULL)$$);
\x off
SELECT count(*) FROM lead_cadence_runs;

-- SE_INATIVO: whoever is not active; one that is paused is not
SELECT run AS ana FROM cadence_enroll_many('{ana}', 'QUENTE') \gset
SELECT cadence_pause(:'ana');
SELECT * FROM pg_temp.many('{ana}', 'QUENTE');
\x on
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('ana', 'QUENTE')$$);
\x off

-- UMA_VEZ: once ever, whatever became of it
SELECT * FROM pg_temp.many('{ana,bia,caio,dora}', 'UNICA');
UPDATE lead_cadence_runs SET status = v.status FROM (VALUES ('bia', 'PAUSADA'), ('caio', 'CONCLUIDA'), ('dora', 'CANCELADA')) AS v(lead, status)
WHERE lead_id = lead AND cadence_id = 'c0000000-0000-0000-0000-000000000002';
SELECT * FROM pg_temp.many('{ana,bia,caio,dora,eva}', 'UNICA');
-- of several, the last
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, created_at)
SELECT ('a0000000-0000-0000-0000-00000000000' || n)::uuid, 'fabio', 'BLUE', 'c0000000-0000-0000-0000-000000000002', s, now() - n * interval '1 day'
FROM (VALUES (3, 'CONCLUIDA'), (2, 'PAUSADA'), (1, 'CANCELADA'), (4, 'PAUSADA')) AS v(n, s);
SELECT run FROM cadence_enroll_many('{fabio}', 'UNICA');
\x on
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('ana', 'UNICA')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('bia', 'UNICA')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('caio', 'UNICA')$$);
\x off
-- in other cadences it is another's matter
SELECT * FROM pg_temp.many('{caio}', 'QUENTE');
TRUNCATE lead_cadence_runs CASCADE;

-- SEMPRE: an active lead starts over; one schedule is left
SELECT * FROM pg_temp.many('{ana,bia,caio,dora}', 'SEMPRE', '2030-01-07 12:00+00');
UPDATE lead_cadence_runs SET status = v.status FROM (VALUES ('bia', 'PAUSADA'), ('caio', 'CONCLUIDA')) AS v(lead, status) WHERE lead_id = lead;
-- a message is under way
UPDATE lead_cadence_runs SET claim_id = 'b0000000-0000-0000-0000-000000000001', attempts = 1 WHERE lead_id = 'dora';
SELECT * FROM pg_temp.many('{ana,bia,caio,dora,eva,zeca}', 'SEMPRE', '2030-01-08 12:00+00');
SELECT * FROM state;
-- the same call again is the same wish
SELECT * FROM pg_temp.many('{ana,bia,caio,dora,eva,zeca}', 'SEMPRE', '2030-01-08 12:00+00');
SELECT status, count(*) FROM lead_cadence_runs GROUP BY status ORDER BY status;
SELECT cadence_enroll('ana', 'SEMPRE', '2030-01-09 12:00+00') AS again \gset
SELECT lead_id, status, next_run_at, id = :'again' AS again FROM lead_cadence_runs WHERE lead_id = 'ana' ORDER BY created_at, id;
\x on
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('ana', 'SEMPRE', '2030-01-09 12:00+00')$$);
\x off
TRUNCATE lead_cadence_runs CASCADE;

-- exclusive: not beside another exclusive one of the company, active or paused
SELECT * FROM pg_temp.many('{ana,bia,caio}', 'SO_A');
UPDATE lead_cadence_runs SET status = v.status FROM (VALUES ('bia', 'PAUSADA'), ('caio', 'CONCLUIDA')) AS v(lead, status) WHERE lead_id = lead;
SELECT * FROM pg_temp.many('{ana,bia,caio,dora}', 'SO_B');
SELECT * FROM pg_temp.many('{ana,bia,caio,dora}', 'SO_A');
SELECT * FROM pg_temp.many('{ana,dora}', 'QUENTE');
SELECT * FROM pg_temp.many('{ana,dora}', 'SO_GOLD');
\x on
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('ana', 'SO_B')$$);
\x off
-- who is active where it would start over is not sent away from there first
SELECT * FROM pg_temp.many('{eva}', 'SO_SEMPRE', '2030-01-07 12:00+00');
SELECT * FROM pg_temp.many('{eva,ana}', 'SO_SEMPRE', '2030-01-08 12:00+00');
SELECT lead_id, codigo, status FROM state WHERE lead_id IN ('ana', 'eva') AND codigo LIKE 'SO%';
-- one that is exclusive no more is in nobody's way
UPDATE cadences SET exclusiva = NULL WHERE codigo = 'SO_A';
SELECT * FROM pg_temp.many('{ana}', 'SO_B');
TRUNCATE lead_cadence_runs CASCADE;

-- a code that several companies have: that of the only one that knows them, all of them
BEGIN;
ALTER TABLE cadences DROP CONSTRAINT cadences_codigo_key, ADD UNIQUE (empresa, codigo);
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000015', 'GOLD', 'QUENTE');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000015', 1, 'SMS', 'UM');
INSERT INTO lead_contacts (lead_id, empresa) VALUES ('g1', 'GOLD'), ('g2', 'GOLD'), ('as duas', 'GOLD'), ('as duas', 'BLUE'), ('outra', 'ROXA');
\x on
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{g1,as duas}', 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{g1,ana}', 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{g1,outra}', 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{outra}', 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{}', 'QUENTE')$$);
\x off
SELECT * FROM pg_temp.many('{g1,NULL,g2,g1}', 'QUENTE');
SELECT * FROM pg_temp.many('{ana,bia}', 'QUENTE');
SELECT * FROM pg_temp.many('{as duas,outra}', 'QUENTE', empresa => 'GOLD');
SELECT lead_id, empresa FROM state;
ROLLBACK;

-- when the first step is due, in the person's own time
INSERT INTO cadence_feriados (dia, nome) VALUES ('2030-01-08', 'um dia');
INSERT INTO lead_contacts (lead_id, empresa, fuso_horario) VALUES ('manaus', 'BLUE', 'America/Manaus'), ('lisboa', 'BLUE', 'Europe/Lisbon'), ('nenhum', 'BLUE', NULL), ('errado', 'BLUE', 'Nenhures/Aqui');
CREATE FUNCTION pg_temp.due(minutes int, referencia text, horario time, uteis bool, start_at timestamptz) RETURNS TABLE (lead_id text, due timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cadence.cadence_steps SET offset_minutos = $1, offset_referencia = $2, horario = $3, dias_uteis = $4 WHERE cadence_id = 'c0000000-0000-0000-0000-000000000001';
    DELETE FROM cadence.lead_cadence_runs;
    PERFORM cadence.cadence_enroll_many('{manaus,lisboa,nenhum,errado}', 'QUENTE', $5);
    PERFORM cadence.cadence_enroll('ninguem', 'QUENTE', $5);
    RETURN QUERY SELECT r.lead_id, r.next_run_at FROM cadence.lead_cadence_runs r ORDER BY 1;
END $$;
SELECT * FROM pg_temp.due(15, NULL, NULL, false, '2030-01-07 12:00+00');
SELECT * FROM pg_temp.due(15, 'INICIO', NULL, NULL, '2030-01-07 12:00+00');
SELECT * FROM pg_temp.due(-15, NULL, NULL, false, '2030-01-07 12:00+00');
SELECT * FROM pg_temp.due(0, NULL, '09:00', false, '2030-01-07 12:30+00');
SELECT * FROM pg_temp.due(1440, NULL, '09:00', true, '2030-01-07 12:30+00');
SELECT * FROM pg_temp.due(0, NULL, NULL, true, '2030-01-05 12:30+00');
SELECT * FROM pg_temp.due(0, NULL, NULL, false, '-infinity') WHERE lead_id = 'nenhum';
SELECT * FROM pg_temp.due(2147483647, NULL, NULL, false, '294276-12-31 23:59:00+00') WHERE lead_id = 'nenhum';
UPDATE cadence_steps SET offset_minutos = 15, offset_referencia = NULL, horario = NULL, dias_uteis = false;
TRUNCATE lead_cadence_runs CASCADE;

-- with the caller's own rights, and no more
CREATE ROLE regress_cadence_clerk;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_clerk;
SELECT cadence_enroll('ana', 'QUENTE') IS NOT NULL AS enrolled;
SET ROLE regress_cadence_clerk;
SELECT * FROM cadence_enroll_many('{bia}', 'QUENTE');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_enroll_many(text[], text, timestamptz, text), cadence_enroll(text, text, timestamptz, text) TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
SELECT * FROM cadence_enroll_many('{bia}', 'QUENTE');
RESET ROLE;
GRANT SELECT ON cadences, cadence_steps, lead_contacts, lead_cadence_runs, lead_cadence_events TO regress_cadence_clerk;
GRANT INSERT ON lead_cadence_runs, lead_cadence_events TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
-- a policy hides all of it
SELECT * FROM cadence_enroll_many('{bia}', 'QUENTE');
RESET ROLE;
CREATE POLICY clerk ON cadences TO regress_cadence_clerk USING (empresa = 'BLUE');
CREATE POLICY clerk ON cadence_steps TO regress_cadence_clerk USING (true);
CREATE POLICY clerk ON lead_cadence_events TO regress_cadence_clerk USING (true);
CREATE POLICY clerk ON lead_cadence_runs FOR INSERT TO regress_cadence_clerk WITH CHECK (lead_id <> 'caio');
SET ROLE regress_cadence_clerk;
SELECT lead_id, resultado, motivo FROM cadence_enroll_many('{bia,dora}', 'QUENTE');
SELECT lead_id, resultado, motivo FROM cadence_enroll_many('{eva,caio}', 'QUENTE');
-- and a run that can not be seen is in the way all the same
SELECT lead_id, resultado, motivo FROM cadence_enroll_many('{eva,ana}', 'QUENTE');
SELECT cadence_enroll('ana', 'QUENTE');
SELECT lead_id, resultado FROM cadence_enroll_many('{eva}', 'SEMPRE');
RESET ROLE;
-- whoever starts over has to change the run that was
CREATE POLICY clerk_sees ON lead_cadence_runs FOR SELECT TO regress_cadence_clerk USING (true);
SET ROLE regress_cadence_clerk;
SELECT lead_id, resultado FROM cadence_enroll_many('{eva}', 'SEMPRE');
SELECT lead_id, resultado, motivo FROM cadence_enroll_many('{eva,ana}', 'QUENTE');
RESET ROLE;
SELECT lead_id, codigo, status FROM state;
TRUNCATE lead_cadence_runs CASCADE;

-- a trigger has a say
CREATE FUNCTION says() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.lead_id = 'mau' THEN RAISE EXCEPTION 'not this one' USING ERRCODE = '23514'; END IF;
    RETURN CASE WHEN NEW.lead_id = 'mudo' THEN NULL ELSE NEW END;
END $$;
CREATE TRIGGER says BEFORE INSERT ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION says();
\x on
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{ana,mau,bia}', 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT * FROM cadence_enroll_many('{ana,mudo,bia}', 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('mudo', 'QUENTE')$$);
\x off
SELECT count(*) FROM lead_cadence_runs;
DROP TRIGGER says ON lead_cadence_runs;

-- adopted: no unique index, an enum, ids that are the same in any case
BEGIN;
DROP POLICY clerk ON lead_cadence_runs;
CREATE EXTENSION citext SCHEMA cadence;
CREATE TYPE estado AS ENUM ('ATIVA', 'CONCLUIDA', 'CANCELADA', 'PAUSADA', 'OUTRA');
DROP INDEX lead_cadence_runs_active_idx, lead_cadence_runs_due_idx, lead_cadence_runs_paused_idx, lead_cadence_runs_held_idx, lead_cadence_runs_over_idx, lead_cadence_runs_halted_idx;
DROP VIEW state;
ALTER TABLE lead_cadence_runs DROP CONSTRAINT lead_cadence_runs_status_check, ALTER status DROP DEFAULT,
    ALTER status TYPE estado USING status::estado, ALTER lead_id TYPE citext;
SELECT cadence_create_tables();
SELECT to_regclass('lead_cadence_runs_active_idx');
SELECT lead_id, resultado, motivo FROM cadence_enroll_many('{ana,Bia,ANA,bia,caio}', 'QUENTE');
SELECT lead_id, resultado, motivo FROM cadence_enroll_many('{Ana,dora}', 'QUENTE');
SELECT lead_id, resultado FROM cadence_enroll_many('{Ana}', 'UNICA');
UPDATE lead_cadence_runs SET status = 'OUTRA' WHERE cadence_id = 'c0000000-0000-0000-0000-000000000002';
SELECT lead_id, resultado FROM cadence_enroll_many('{ANA}', 'UNICA');
SELECT lead_id, resultado, motivo FROM cadence_enroll_many('{ana}', 'SO_B');
SELECT lead_id, resultado, motivo FROM cadence_enroll_many('{Ana}', 'SO_SEMPRE');
SELECT lead_id, resultado, motivo FROM cadence_enroll_many('{Ana}', 'SEMPRE', '2030-01-07 12:00+00');
SELECT lead_id, resultado, motivo FROM cadence_enroll_many('{aNA}', 'SEMPRE', '2030-01-08 12:00+00');
SELECT lead_id, cadence_id, status FROM lead_cadence_runs ORDER BY lead_id, cadence_id, created_at, id;
ROLLBACK;

-- many: few locks, and each part of the look has its index however small the table was
BEGIN;
SELECT resultado, motivo, count(*), count(DISTINCT run) FROM cadence_enroll_many((SELECT array_agg('m' || n % 9000) FROM generate_series(1, 10000) AS n), 'SO_B') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT resultado, motivo, count(*) FROM cadence_enroll_many((SELECT array_agg('m' || n) FROM generate_series(0, 8999) AS n), 'SO_SEMPRE') GROUP BY 1, 2;
SELECT count(*) < 100 AS few_locks FROM pg_locks;
SELECT count(*) FROM lead_cadence_events;
ROLLBACK;

RESET search_path;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_clerk;
