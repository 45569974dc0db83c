--
-- Tables whose triggers and constraints refuse single rows, at once or only at
-- the commit: the row has its ERRO, the others go on.
--
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
-- the waits after a failure neither grow nor are spread
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cadence_runner.retry_factor = 1', current_database()); END $$;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Oi {{nome}}');
INSERT INTO lead_contacts (lead_id, empresa, telefone) SELECT 'lead ' || n, 'BLUE', n FROM generate_series(1, 9) AS n WHERE n <> 4;
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT ('a0000000-0000-0000-0000-00000000000' || n)::uuid, 'lead ' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() - interval '1 hour' + n * interval '1 s'
FROM generate_series(1, 9) AS n;

-- refuses what the table refusal names, at the stages that it names
CREATE TABLE refusal (lead_id text, what text, message text);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lead text;
    stage text := TG_TABLE_NAME;
    bad refusal;
BEGIN
    IF TG_TABLE_NAME = 'lead_cadence_runs' THEN
        lead := new.lead_id;
        stage := CASE WHEN new.claim_id IS NOT NULL THEN 'claim' ELSE 'move' END;
        IF stage = 'move' AND new.status = 'PAUSADA' THEN stage := 'pause'; END IF;
    ELSE
        SELECT r.lead_id INTO lead FROM lead_cadence_runs r WHERE r.id = new.lead_cadence_run_id;
    END IF;
    SELECT * INTO bad FROM refusal f WHERE f.lead_id = lead AND f.what LIKE '%' || stage || '%';
    IF FOUND THEN
        RAISE EXCEPTION '%', bad.message USING ERRCODE = 'check_violation';
    END IF;
    RETURN new;
END $$;
CREATE VIEW state AS
SELECT lead_id, status, coalesce(date_trunc('minute', next_run_at - now() + interval '30 s')::text, '-') AS due_in, attempts, claim_id IS NOT NULL AS claimed,
       (SELECT string_agg(coalesce(detalhes ->> 'codigo', tipo_evento) || CASE WHEN detalhes ? 'registro' THEN ': ' || (detalhes ->> 'registro') ELSE '' END, ', ' ORDER BY e.created_at, e.id)
        FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id) AS events
FROM lead_cadence_runs r ORDER BY lead_id;
CREATE FUNCTION again() RETURNS void LANGUAGE sql AS $$
    TRUNCATE lead_cadence_events;
    UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 hour', status = 'ATIVA', attempts = 0, claim_id = NULL;
$$;
CREATE FUNCTION outcome(OUT lead text, OUT status text, OUT text text) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT r ->> 'leadId', r ->> 'status', regexp_replace(coalesce(r ->> 'erro', r ->> 'mensagem'), '^Failed to connect[^,]*', '(no connection)')
    FROM jsonb_array_elements(cadence_run('TEST') -> 'results') AS r ORDER BY 1
$$;

-- at once
CREATE TRIGGER refuse BEFORE INSERT ON lead_cadence_events FOR EACH ROW EXECUTE FUNCTION refuse();
INSERT INTO refusal VALUES ('lead 3', 'lead_cadence_events', 'no event for lead 3');
SELECT * FROM outcome();
SELECT * FROM state;

-- at the commit
DROP TRIGGER refuse ON lead_cadence_events;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON lead_cadence_events DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT again();
SELECT * FROM outcome();
SELECT * FROM state;
DROP TRIGGER refuse ON lead_cadence_events;

-- a run that can not be claimed, at once
TRUNCATE refusal;
SELECT again();
CREATE TRIGGER refuse BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION refuse();
INSERT INTO refusal VALUES ('lead 2', 'claim', 'lead 2 stays'), ('lead 7', 'claim', 'lead 7 stays');
SELECT * FROM outcome();
SELECT * FROM state;

-- and at the commit
DROP TRIGGER refuse ON lead_cadence_runs;
SELECT again();
CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON lead_cadence_runs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT * FROM outcome();
SELECT * FROM state;
DROP TRIGGER refuse ON lead_cadence_runs;

-- a run that can not be moved on is paused, so that it is not sent for ever
TRUNCATE refusal;
SELECT again();
INSERT INTO refusal VALUES ('lead 5', 'move', 'lead 5 does not move');
CREATE TRIGGER refuse BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT * FROM outcome();
SELECT * FROM state;
-- one that can not even be paused stays claimed until its lease ends
DROP TRIGGER refuse ON lead_cadence_runs;
SELECT again();
UPDATE refusal SET what = 'move, pause';
CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON lead_cadence_runs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT * FROM outcome();
SELECT lead_id, status, claimed, events, due_in FROM state WHERE lead_id = 'lead 5';
SELECT count(*) AS others FROM state WHERE lead_id <> 'lead 5' AND NOT claimed AND status = 'ATIVA';
DROP TRIGGER refuse ON lead_cadence_runs;

-- a trigger that drops rows silently
TRUNCATE refusal;
SELECT again();
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.lead_id = 'lead 6' THEN RETURN NULL; END IF; RETURN new; END $$;
CREATE TRIGGER swallow BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT * FROM outcome();
SELECT * FROM state WHERE lead_id IN ('lead 5', 'lead 6');
DROP TRIGGER swallow ON lead_cadence_runs;

-- a trigger that moves the run itself: the claim is not ours any more
SELECT again();
CREATE FUNCTION divert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.lead_id = 'lead 6' AND new.claim_id IS NOT NULL THEN new.next_run_at := now() + interval '9 hours'; END IF; RETURN new; END $$;
CREATE TRIGGER divert BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION divert();
SELECT * FROM outcome() WHERE lead = 'lead 6';
SELECT * FROM state WHERE lead_id = 'lead 6';
DROP TRIGGER divert ON lead_cadence_runs;

-- a trigger that changes another run between the look and the take: that one is left for the next execution
SELECT again();
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        UPDATE lead_cadence_runs SET classification_snapshot = coalesce(classification_snapshot, '[]') || to_jsonb(claim_id IS NOT NULL)
        WHERE lead_id = 'lead 5' AND classification_snapshot -> -1 IS DISTINCT FROM to_jsonb(claim_id IS NOT NULL);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON lead_cadence_runs FOR EACH STATEMENT EXECUTE FUNCTION touch();
SELECT lead, status FROM outcome() WHERE lead IN ('lead 5', 'lead 6');
SELECT lead_id, status, attempts, claimed, (SELECT classification_snapshot FROM lead_cadence_runs r WHERE r.lead_id = state.lead_id) AS touched_while_claimed FROM state WHERE lead_id IN ('lead 5', 'lead 6');
DROP TRIGGER touch ON lead_cadence_runs;

-- a deferred foreign key that refuses every event: the runs move all the same
SELECT again();
ALTER TABLE lead_cadence_events ADD COLUMN autor text DEFAULT 'ninguem';
CREATE TABLE autores (nome text PRIMARY KEY);
ALTER TABLE lead_cadence_events ADD FOREIGN KEY (autor) REFERENCES autores DEFERRABLE INITIALLY DEFERRED NOT VALID;
SELECT status, count(*), count(*) FILTER (WHERE text LIKE '%not fully recorded%') AS not_fully_recorded FROM outcome() GROUP BY status;
SELECT count(*) AS moved FROM state WHERE NOT claimed;

-- what was recorded one by one has left rows of its claims behind: the next execution removes them
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT count(*) AS claims FROM cadence_claims;

RESET search_path;
DROP SERVER regress_zap;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET cadence_runner.retry_factor', current_database()); END $$;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
