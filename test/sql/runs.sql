--
-- cadence_enroll(), cadence_pause(), cadence_resume(), cadence_cancel().
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS TABLE (code text, message text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000', 'no error', '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT, hint := PG_EXCEPTION_HINT;
    RETURN NEXT;
END $$;
INSERT INTO cadences (id, empresa, codigo, ativo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'QUENTE', true),
    ('c0000000-0000-0000-0000-000000000002', 'GOLD', 'FRIA', true),
    ('c0000000-0000-0000-0000-000000000003', 'BLUE', 'PARADA', false),
    ('c0000000-0000-0000-0000-000000000004', 'BLUE', 'VAZIA', true);
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 20, 60, 'EMAIL', 'DOIS'),
    ('c0000000-0000-0000-0000-000000000001', 10, 15, 'WHATSAPP', 'UM'),
    ('c0000000-0000-0000-0000-000000000002', 1, 0, 'SMS', 'UM'),
    ('c0000000-0000-0000-0000-000000000003', 1, 0, 'SMS', 'UM');
CREATE VIEW state AS
SELECT lead_id, r.empresa, codigo, status, last_step_ordem AS last, next_step_ordem AS next,
       date_trunc('minute', next_run_at - now() + interval '30 s') AS due_in, attempts, claim_id IS NOT NULL AS claimed,
       (SELECT string_agg(tipo_evento || coalesce(' ' || step_ordem::text, '') || coalesce(' ' || e.template_codigo, '') ||
                          coalesce(' ' || (detalhes ->> 'codigo'), ''), ', ' ORDER BY e.created_at, e.id)
        FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id) AS events
FROM lead_cadence_runs r JOIN cadences c ON c.id = cadence_id ORDER BY lead_id COLLATE "C", codigo, r.started_at;

-- enrol
SELECT cadence_enroll('ana', 'QUENTE') AS run \gset
SELECT cadence_enroll('bia', 'QUENTE', now() + interval '24 hours') IS NOT NULL AS ok;
SELECT cadence_enroll('caio', 'QUENTE', start_at => now() - interval '24 hours') IS NOT NULL AS ok;
SELECT cadence_enroll(lead_id => 'ana', cadence_codigo => 'FRIA') IS NOT NULL AS ok;
SELECT cadence_enroll(E'x'' "y" \n 🎉', 'FRIA') IS NOT NULL AS ok;
SELECT * FROM state;
SELECT (e.detalhes ->> 'next_run_at')::timestamptz = r.next_run_at AS same_time,
       (SELECT string_agg(k, ' ') FROM jsonb_object_keys(e.detalhes) AS k) AS keys
FROM lead_cadence_runs r JOIN lead_cadence_events e ON e.lead_cadence_run_id = r.id WHERE lead_id = 'bia';

\x on
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('ana', 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('ana', 'NAO_HA')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('ana', 'PARADA')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('ana', 'VAZIA')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll(NULL, 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('ana', NULL)$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('dora', 'QUENTE', NULL)$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('dora', 'QUENTE', 'infinity')$$) WHERE code NOT IN ('00000');
\x off
SELECT count(*) FROM lead_cadence_runs WHERE lead_id = 'ana';

-- pause
SELECT cadence_pause(:'run');
SELECT * FROM state WHERE lead_id = 'ana';
SELECT cadence_enroll('ana', 'QUENTE') AS second_run \gset
SELECT count(*) FROM lead_cadence_runs WHERE lead_id = 'ana';
\x on
SELECT regexp_replace(message, '[0-9a-f-]{36}', '(run)') AS message, code, hint FROM pg_temp.refusal(format('SELECT cadence_pause(%L)', :'run'));
SELECT * FROM pg_temp.refusal($$SELECT cadence_pause('00000000-0000-0000-0000-000000000001')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_pause(NULL)$$);

-- resume: not beside another active run of the same lead and cadence
SELECT regexp_replace(message, '[0-9a-f-]{36}', '(run)') AS message, code, hint FROM pg_temp.refusal(format('SELECT cadence_resume(%L)', :'run'));
\x off
SELECT cadence_cancel(:'second_run', 'engano');
SELECT cadence_resume(:'run');
SELECT * FROM state WHERE lead_id = 'ana';
\x on
SELECT regexp_replace(message, '[0-9a-f-]{36}', '(run)') AS message, code, hint FROM pg_temp.refusal(format('SELECT cadence_resume(%L)', :'run'));
SELECT regexp_replace(message, '[0-9a-f-]{36}', '(run)') AS message, code, hint FROM pg_temp.refusal(format('SELECT cadence_resume(%L)', :'second_run'));
SELECT * FROM pg_temp.refusal($$SELECT cadence_resume('00000000-0000-0000-0000-000000000001')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_resume(NULL)$$);
\x off
-- its time may have come meanwhile, or be still ahead; all its attempts are there again
SELECT cadence_pause(:'run');
UPDATE lead_cadence_runs SET next_run_at = now() - interval '3 days', attempts = 20 WHERE id = :'run';
SELECT cadence_resume(:'run');
SELECT due_in, attempts FROM state WHERE lead_id = 'ana' AND status = 'ATIVA' AND codigo = 'QUENTE';
SELECT cadence_pause(:'run');
UPDATE lead_cadence_runs SET next_run_at = NULL, attempts = 20 WHERE id = :'run';
SELECT cadence_resume(:'run');
SELECT due_in, attempts FROM state WHERE lead_id = 'ana' AND status = 'ATIVA' AND codigo = 'QUENTE';
-- a paused run is not taken, however long it has been due
SELECT cadence_pause(:'run');
UPDATE lead_cadence_runs SET next_run_at = now() - interval '3 days' WHERE id = :'run';
UPDATE lead_cadence_runs SET next_run_at = now() + interval '24 hours' WHERE id <> :'run' AND status = 'ATIVA';
SELECT cadence_run() #> '{summary,total}' AS total;
SELECT cadence_resume(:'run');
SELECT cadence_run() #> '{summary,total}' AS total;

-- cancel, from both states
SELECT cadence_cancel(:'run');
SELECT cadence_enroll('ana', 'QUENTE') AS run \gset
SELECT cadence_pause(:'run');
SELECT cadence_cancel(:'run', E'pediu "não" \n 🎉');
SELECT * FROM state WHERE lead_id = 'ana';
SELECT detalhes FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'CANCELADA' ORDER BY created_at, id;
\x on
SELECT regexp_replace(message, '[0-9a-f-]{36}', '(run)') AS message, code, hint FROM pg_temp.refusal(format('SELECT cadence_cancel(%L, %L)', :'run', 'x'));
SELECT regexp_replace(message, '[0-9a-f-]{36}', '(run)') AS message, code, hint FROM pg_temp.refusal(format('SELECT cadence_pause(%L)', :'run'));
SELECT regexp_replace(message, '[0-9a-f-]{36}', '(run)') AS message, code, hint FROM pg_temp.refusal(format('SELECT cadence_resume(%L)', :'run'));
SELECT * FROM pg_temp.refusal($$SELECT cadence_cancel('00000000-0000-0000-0000-000000000001', 'x')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_cancel(NULL, 'x')$$);
UPDATE lead_cadence_runs SET status = 'CONCLUIDA' WHERE id = :'run';
SELECT regexp_replace(message, '[0-9a-f-]{36}', '(run)') AS message, code, hint FROM pg_temp.refusal(format('SELECT cadence_cancel(%L, %L)', :'run', 'x'));
SELECT regexp_replace(message, '[0-9a-f-]{36}', '(run)') AS message, code, hint FROM pg_temp.refusal(format('SELECT cadence_pause(%L)', :'run'));
SELECT regexp_replace(message, '[0-9a-f-]{36}', '(run)') AS message, code, hint FROM pg_temp.refusal(format('SELECT cadence_resume(%L)', :'run'));
\x off
-- done with: the lead may start again
SELECT cadence_enroll('ana', 'QUENTE') IS NOT NULL AS ok;

-- all of it in a transaction that fails leaves nothing
SELECT count(*) AS runs FROM lead_cadence_runs \gset
BEGIN;
SELECT cadence_enroll('zeca', 'QUENTE') IS NOT NULL AS ok;
ROLLBACK;
SELECT count(*) = :runs AS unchanged FROM lead_cadence_runs;
-- and in a read-only one is refused by the server
BEGIN READ ONLY;
SELECT cadence_enroll('zeca', 'QUENTE');
ROLLBACK;

-- a code that several companies have is no guess
BEGIN;
ALTER TABLE cadences DROP CONSTRAINT cadences_codigo_key, ADD UNIQUE (empresa, codigo);
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000005', 'GOLD', 'QUENTE');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000005', 1, 'SMS', 'UM');
INSERT INTO lead_contacts (lead_id, empresa) VALUES ('so gold', 'GOLD'), ('as duas', 'GOLD'), ('as duas', 'BLUE'), ('outra', 'ROXA');
\x on
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('as duas', 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('outra', 'QUENTE')$$);
SELECT * FROM pg_temp.refusal($$SELECT cadence_enroll('outra', 'QUENTE', empresa => 'ROXA')$$);
\x off
SELECT cadence_enroll('so gold', 'QUENTE') IS NOT NULL AS ok, cadence_enroll('as duas', 'QUENTE', empresa => 'BLUE') IS NOT NULL AS ok,
       cadence_enroll('as duas', 'QUENTE', now(), 'GOLD') IS NOT NULL AS ok, cadence_enroll('outra', 'QUENTE', empresa => 'GOLD') IS NOT NULL AS ok;
SELECT lead_id, empresa, codigo FROM state WHERE lead_id IN ('so gold', 'as duas', 'outra') ORDER BY 1, 2;
ROLLBACK;

-- an adopted table may not let a run's events be without a step: it can be cancelled all the same, and wait for its cadence
BEGIN;
ALTER TABLE lead_cadence_events ALTER step_ordem SET NOT NULL, ALTER template_codigo SET NOT NULL;
SELECT cadence_enroll('sem passo', 'FRIA') AS run \gset
DELETE FROM cadence_steps WHERE cadence_id = 'c0000000-0000-0000-0000-000000000002';
SELECT cadence_cancel(:'run', 'x');
SELECT status, events FROM state WHERE lead_id = 'sem passo';
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status) VALUES ('sem nada', 'GOLD', 'c0000000-0000-0000-0000-000000000002', 'PAUSADA') RETURNING id AS run \gset
SELECT cadence_cancel(:'run', 'x');
SELECT status, events FROM state WHERE lead_id = 'sem nada';
ROLLBACK;

-- many in one transaction: nothing is locked for each, and the time is that of one times so many
BEGIN;
SELECT count(cadence_enroll('m' || n, 'FRIA', now() + interval '1 day')) FROM generate_series(1, 10000) AS n;
SELECT count(cadence_pause(id)) FROM lead_cadence_runs WHERE lead_id LIKE 'm%';
SELECT count(cadence_resume(id)) FROM lead_cadence_runs WHERE lead_id LIKE 'm%';
SELECT count(*) < 100 AS few_locks FROM pg_locks;
ROLLBACK;

-- objects of the caller do not get in the way: neither its search path nor its temporary tables
CREATE TEMP TABLE lead_cadence_runs (id int);
CREATE TEMP TABLE cadences (codigo text);
SET search_path = pg_temp, cadence;
SELECT cadence.cadence_enroll('zeca', 'QUENTE') IS NOT NULL AS ok;
SELECT count(*) FROM cadence.lead_cadence_runs WHERE lead_id = 'zeca';
DROP TABLE pg_temp.lead_cadence_runs, pg_temp.cadences;

RESET search_path;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
