--
-- Claims of processes that are gone: released at once, each whatever becomes of the others.
--
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
-- the waits after a failure neither grow nor are spread
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cadence_runner.retry_factor = 1', current_database()); END $$;
SET search_path = cadence;
SELECT cadence_create_tables();
-- nobody listens there, and nothing is sent there either
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Oi');
INSERT INTO lead_contacts (lead_id, empresa, telefone) SELECT v, 'BLUE', '1' FROM unnest(ARRAY['refuses', 'waits', 'moved', 'paused']) AS v;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at, attempts, claim_id)
SELECT v.lead, 'BLUE', 'c0000000-0000-0000-0000-000000000001', v.status, 1, now() + v.due, 1, gen_random_uuid()
FROM (VALUES ('refuses', 'ATIVA', interval '-1 min'), ('waits', 'ATIVA', '1 day'), ('moved', 'ATIVA', '4 min'), ('paused', 'PAUSADA', '4 min')) AS v(lead, status, due);
-- the old edge function, say, has moved one of them since
INSERT INTO cadence_claims (claim_id, lease_end)
SELECT claim_id, CASE lead_id WHEN 'moved' THEN next_run_at - interval '1 min' ELSE next_run_at END FROM lead_cadence_runs;
CREATE VIEW state AS
    SELECT r.lead_id, r.status, r.claim_id IS NOT NULL AS claimed, date_trunc('minute', r.next_run_at - now() + interval '30 s') AS due_in,
           (SELECT string_agg(e.detalhes ->> 'codigo', ', ') FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id) AS events
    FROM lead_cadence_runs r;
CREATE TABLE claims AS SELECT lead_id, claim_id FROM lead_cadence_runs;
CREATE VIEW left_over AS SELECT lead_id FROM claims JOIN cadence_claims USING (claim_id);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;

-- one run refuses every change, another its event
CREATE TRIGGER refuse BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW WHEN (old.lead_id = 'refuses') EXECUTE FUNCTION refuse();
DO $$ BEGIN EXECUTE format('CREATE TRIGGER refuse BEFORE INSERT ON lead_cadence_events FOR EACH ROW WHEN (new.lead_cadence_run_id = %L) EXECUTE FUNCTION refuse()',
    (SELECT id FROM lead_cadence_runs WHERE lead_id = 'paused')); END $$;
SELECT cadence_run('TEST') #>> '{summary,total}' AS total;
SELECT * FROM state ORDER BY lead_id;
-- neither has a row any more: the lease of one has passed, and the other is found by its run
SELECT * FROM left_over ORDER BY 1;

-- and then neither
DROP TRIGGER refuse ON lead_cadence_runs;
DROP TRIGGER refuse ON lead_cadence_events;
SELECT cadence_run('TEST') #>> '{summary,total}' AS total;
SELECT * FROM state ORDER BY lead_id;
SELECT * FROM left_over;

-- of a step that is gone, beside a table of events that wants one
TRUNCATE lead_cadence_events;
ALTER TABLE lead_cadence_events ALTER step_ordem SET NOT NULL, ALTER template_codigo SET NOT NULL;
UPDATE lead_cadence_runs SET claim_id = gen_random_uuid(), next_step_ordem = NULL WHERE lead_id = 'paused';
SELECT cadence_run('TEST') #>> '{summary,total}' AS total;
SELECT * FROM state WHERE lead_id = 'paused';

-- which step was tried is said by its number of now, of one that was removed meanwhile by its id alone
ALTER TABLE lead_cadence_events ALTER step_ordem DROP NOT NULL, ALTER template_codigo DROP NOT NULL;
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'TRES');
INSERT INTO cadence_steps (id, cadence_id, ordem, canal, template_codigo)
SELECT ('50000000-0000-0000-0000-00000000000' || i)::uuid, 'c0000000-0000-0000-0000-000000000002', i, 'WHATSAPP', 'T' || i FROM generate_series(1, 3) AS i;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at, attempts, claim_id)
SELECT v.lead, 'BLUE', 'c0000000-0000-0000-0000-000000000002', v.status, v.ordem, now() + interval '1 day', 1, gen_random_uuid()
FROM (VALUES ('first', 'ATIVA', 1), ('first paused', 'PAUSADA', 1), ('first cancelled', 'CANCELADA', 1), ('second cancelled', 'CANCELADA', 2))
    AS v(lead, status, ordem);
INSERT INTO cadence_claims (claim_id, lease_end) SELECT claim_id, next_run_at FROM lead_cadence_runs WHERE lead_id = 'first';
DELETE FROM cadence_steps WHERE template_codigo = 'T1';
UPDATE cadence_steps SET ordem = 20 - ordem WHERE cadence_id = 'c0000000-0000-0000-0000-000000000002';
SELECT cadence_run('TEST') #>> '{summary,total}' AS total;
SELECT r.lead_id, e.step_ordem, e.template_codigo, e.detalhes ->> 'codigo' AS codigo, e.detalhes ->> 'passo' AS passo
FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
WHERE r.lead_id ~ '^(first|second)' ORDER BY r.lead_id, e.created_at;

RESET search_path;
DROP SERVER regress_zap;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET cadence_runner.retry_factor', current_database()); END $$;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
