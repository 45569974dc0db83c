--
-- A partitioned table of runs: the same place (ctid) is there once in each partition.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
SET search_path = cadence;
CREATE TABLE lead_cadence_runs (id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY, lead_id text, empresa text, cadence_id uuid,
    status text DEFAULT 'ATIVA', started_at timestamptz, last_step_ordem int, next_step_ordem int, next_run_at timestamptz) PARTITION BY HASH (id);
CREATE TABLE part_0 PARTITION OF lead_cadence_runs FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF lead_cadence_runs FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE part_2 PARTITION OF lead_cadence_runs FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE EXTENSION cadence_runner SCHEMA cadence;
-- the waits after a failure neither grow nor are spread
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cadence_runner.retry_factor = 1', current_database()); END $$;
SELECT cadence_create_tables();
-- nobody listens there: certain, nothing left
-- however often it fails, it goes on being asked
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/', breaker_after '0');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'UMA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Oi');
INSERT INTO lead_contacts (lead_id, empresa, telefone) SELECT 'lead ' || n, 'BLUE', n FROM generate_series(1, 40) AS n;
-- in small batches, so that others that are due have the places of those that are asked for
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cadence_runner.batch_size = 3', current_database()); END $$;
-- every second one is due
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'lead ' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() + CASE n % 2 WHEN 0 THEN interval '-1 min' ELSE interval '1 hour' END
FROM generate_series(1, 40) AS n;
SELECT count(DISTINCT tableoid) AS partitions, max(n) > 1 AS places_in_common FROM (SELECT tableoid, count(*) OVER (PARTITION BY ctid) AS n FROM lead_cadence_runs) AS x;
SELECT k AS key, s -> k AS value FROM unnest(ARRAY['total', 'success', 'errors', 'skipped']) AS k, (SELECT cadence_run('TEST') -> 'summary' AS s OFFSET 0) AS x;
SELECT right(lead_id, -5)::int % 2 AS odd, count(*), min(attempts) AS attempts, count(claim_id) AS claimed,
       array_agg(DISTINCT date_trunc('minute', next_run_at - now() + interval '30 s')) AS due_in
FROM lead_cadence_runs GROUP BY 1 ORDER BY 1;
SELECT max(n) AS events_of_one, sum(n) AS events FROM (SELECT count(*) AS n FROM lead_cadence_events GROUP BY lead_cadence_run_id) AS x;
SELECT count(*) AS claims FROM cadence_claims;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET cadence_runner.batch_size', current_database()); END $$;
-- all of them in one claim, each with a number of attempts of its own: nobody gets another's record
UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 min', attempts = right(lead_id, -5)::int % 10;
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT bool_and(attempts = right(lead_id, -5)::int % 10 + 1) AS own_attempts, count(claim_id) AS claimed FROM lead_cadence_runs;
SELECT bool_and((e.detalhes ->> 'tentativa')::int = r.attempts) AS own_events, count(*) FROM lead_cadence_runs r
JOIN LATERAL (SELECT * FROM lead_cadence_events x WHERE x.lead_cadence_run_id = r.id ORDER BY x.created_at DESC, x.id DESC LIMIT 1) AS e ON true;
DROP SERVER regress_zap;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET cadence_runner.retry_factor', current_database()); END $$;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
