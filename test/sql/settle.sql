--
-- cadence_settle(): whoever knows what became of an uncertain attempt says so,
-- and the run goes on as if the provider had answered.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_clerk;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
-- the waits after a failure neither grow nor are spread
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cadence_runner.retry_factor = 1', current_database()); END $$;
SET search_path = cadence;
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS TABLE (code text, message text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000', 'no error', '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code := RETURNED_SQLSTATE, message := MESSAGE_TEXT, hint := PG_EXCEPTION_HINT;
    RETURN NEXT;
END $$;
\x on
SELECT * FROM pg_temp.refusal($$SELECT cadence_settle('00000000-0000-0000-0000-000000000001', true)$$);
\x off
SELECT cadence_create_tables();
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/', on_uncertain 'hold');
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
INSERT INTO cadences (id, empresa, codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'SEGURA'), ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'REPETE');
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 0, 'EMAIL', 'UM'), ('c0000000-0000-0000-0000-000000000001', 5, 60, 'EMAIL', 'CINCO'),
    ('c0000000-0000-0000-0000-000000000002', 1, 0, 'WHATSAPP', 'UM'), ('c0000000-0000-0000-0000-000000000002', 5, 60, 'WHATSAPP', 'CINCO'),
    ('c0000000-0000-0000-0000-000000000002', 6, -60, 'WHATSAPP', 'CINCO'), ('c0000000-0000-0000-0000-000000000002', 7, 0, 'WHATSAPP', 'CINCO');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'UM', 'Oi'), ('BLUE', 'CINCO', 'Oi de novo');
CREATE TABLE cases (n int, situation text, cadence int, step int, attempts int, run uuid DEFAULT gen_random_uuid());
INSERT INTO cases VALUES
    (1, 'held, sent', 1, 1, 1), (2, 'held, not sent', 1, 1, 1), (3, 'held, the last step, sent', 1, 5, 1), (4, 'held, the last step, not sent', 1, 5, 1),
    (5, 'waits for its retry, sent', 2, 1, 3), (6, 'waits for its retry, not sent', 2, 1, 3),
    (7, 'waits for its retry, the last step, sent', 2, 7, 3), (8, 'waits for its retry, the last step, not sent', 2, 7, 3),
    (9, 'the next step is long due', 1, 1, 1), (10, 'the next step would be before this one', 2, 5, 1), (11, 'not attempted', 1, 1, 0);
INSERT INTO lead_contacts (lead_id, empresa, telefone, email) SELECT 'lead ' || n, 'BLUE', '+55 11 1', 'lead@example.com' FROM cases;
-- all but one were claimed by somebody who did not come back
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, last_step_ordem, next_step_ordem, next_run_at, attempts, claim_id)
SELECT run, 'lead ' || n, 'BLUE', ('c0000000-0000-0000-0000-00000000000' || cadence)::uuid, 0, step,
       CASE WHEN n < 11 THEN now() - interval '1 min' ELSE now() + interval '1 hour' END, attempts, CASE WHEN n < 11 THEN gen_random_uuid() END FROM cases;
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, created_at)
SELECT run, step, 'UM', 'AGENDADO', now() - interval '1 day' FROM cases;
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;

CREATE VIEW state AS
SELECT n, situation, r.status, last_step_ordem AS last, next_step_ordem AS next,
       date_trunc('minute', next_run_at - now() + interval '30 s') AS due_in, r.attempts, claim_id IS NOT NULL AS claimed,
       (SELECT string_agg(tipo_evento || ' ' || coalesce(step_ordem::text, '-') || coalesce(' ' || (detalhes ->> 'codigo'), '') || coalesce(' ' || (detalhes ->> 'decidido'), ''), ', '
                          ORDER BY e.created_at, step_ordem, e.id)
        FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id AND e.created_at > now() - interval '23 hours') AS events
FROM cases JOIN lead_cadence_runs r ON r.id = run ORDER BY n;
SELECT * FROM state;
-- the attempts were made some time ago
UPDATE lead_cadence_events SET created_at = created_at - CASE n WHEN 9 THEN interval '3 hours' ELSE interval '20 min' END
FROM cases WHERE run = lead_cadence_run_id AND tipo_evento = 'ERRO';

-- the rows of messages that may have been sent: under the step's key, of the same run, and INCERTO; others are not ours
INSERT INTO lead_messages (id, lead_id, empresa, canal, direcao, conteudo, estado, run_id)
SELECT (e.detalhes ->> 'chave')::uuid, 'lead ' || n, 'BLUE', 'EMAIL', 'OUTBOUND', n::text, CASE n WHEN 6 THEN 'ENVIADO' ELSE 'INCERTO' END,
       CASE WHEN n NOT IN (7, 8) THEN run END
FROM cases JOIN lead_cadence_events e ON run = lead_cadence_run_id WHERE tipo_evento = 'ERRO' AND n < 9;

-- what is refused
CREATE FUNCTION refused(situation text, n int, sent boolean) RETURNS TABLE (situation text, code text, message text, hint text) LANGUAGE sql AS $$
    SELECT refused.situation, code, regexp_replace(message, '[0-9a-f-]{36}', '(run)'), hint
    FROM pg_temp.refusal(format('SELECT cadence_settle(%L, %L)', (SELECT run FROM cases c WHERE c.n = refused.n), sent))
$$;
CREATE TABLE unchanged AS SELECT * FROM state;
\x on
SELECT * FROM refused('neither sent nor not', 1, NULL);
SELECT * FROM refused('no run', NULL, true);
SELECT * FROM pg_temp.refusal($$SELECT cadence_settle('00000000-0000-0000-0000-000000000001', false)$$);
SELECT * FROM refused('not attempted', 11, true);
SELECT * FROM refused('not attempted', 11, false);
UPDATE lead_cadence_runs SET status = 'PAUSADA' WHERE id = (SELECT run FROM cases WHERE n = 11);
SELECT * FROM refused('paused, not attempted', 11, true);
UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE id = (SELECT run FROM cases WHERE n = 1);
SELECT * FROM refused('cancelled', 1, true);
UPDATE lead_cadence_runs SET status = 'CONCLUIDA' WHERE id = (SELECT run FROM cases WHERE n = 1);
SELECT * FROM refused('completed', 1, false);
UPDATE lead_cadence_runs SET status = 'PAUSADA' WHERE id = (SELECT run FROM cases WHERE n = 1);
UPDATE lead_cadence_runs SET claim_id = gen_random_uuid() WHERE id IN (SELECT run FROM cases WHERE n IN (1, 5));
SELECT * FROM refused('under way', 5, true);
SELECT * FROM refused('under way, and paused', 1, true);
UPDATE lead_cadence_runs SET claim_id = NULL;
UPDATE lead_cadence_runs SET next_step_ordem = 5 WHERE id = (SELECT run FROM cases WHERE n = 1);
SELECT * FROM refused('an earlier step was uncertain', 1, true);
UPDATE lead_cadence_runs SET next_step_ordem = NULL WHERE id = (SELECT run FROM cases WHERE n = 1);
SELECT * FROM refused('no step', 1, true);
UPDATE lead_cadence_runs SET next_step_ordem = 1 WHERE id = (SELECT run FROM cases WHERE n = 1);
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes) SELECT run, 1, 'ERRO', '{"codigo": "FALHA_ENVIO"}' FROM cases WHERE n = 1;
SELECT * FROM refused('a later attempt failed for certain', 1, true);
DELETE FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'FALHA_ENVIO';
UPDATE lead_cadence_runs SET status = 'ATIVA' WHERE id = (SELECT run FROM cases WHERE n = 11);
\x off
-- and nothing came of it
SELECT * FROM unchanged EXCEPT SELECT * FROM state;
-- the right to execute it is not enough: it is the caller who writes
SET ROLE regress_cadence_clerk;
SELECT cadence.cadence_settle('00000000-0000-0000-0000-000000000001', true);
RESET ROLE;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
SELECT cadence.cadence_settle('00000000-0000-0000-0000-000000000001', true);
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_settle(uuid, boolean) TO regress_cadence_clerk;
SET ROLE regress_cadence_clerk;
SELECT cadence.cadence_settle('00000000-0000-0000-0000-000000000001', true);
RESET ROLE;
GRANT SELECT ON ALL TABLES IN SCHEMA cadence TO regress_cadence_clerk;
GRANT UPDATE ON lead_cadence_runs TO regress_cadence_clerk;
GRANT INSERT ON lead_cadence_events TO regress_cadence_clerk;
SELECT format('CREATE POLICY clerk ON %I USING (true)', relname) FROM pg_class
WHERE relnamespace = 'cadence'::regnamespace AND relkind = 'r' AND relrowsecurity ORDER BY relname COLLATE "C" \gexec
SET ROLE regress_cadence_clerk;
SELECT run AS held FROM cadence.cases WHERE n = 1 \gset
SELECT cadence.cadence_settle(:'held', true);
SELECT cadence.cadence_settle(:'held', false);
RESET ROLE;
SELECT run AS first FROM cases WHERE n = 1 \gset
BEGIN READ ONLY;
SELECT cadence_settle(:'first', true);
ROLLBACK;
BEGIN;
SELECT cadence_settle(:'first', true);
ROLLBACK;
SELECT * FROM unchanged EXCEPT SELECT * FROM state;

-- settled: the next step counts from the attempt, and not from the decision
SELECT count(cadence_settle(run, situation NOT LIKE '%not sent')) AS settled FROM cases WHERE n < 11;
SELECT * FROM state WHERE n < 11;
-- and so are their rows
SELECT n, situation, m.estado, m.enviado_em = e.created_at AS at_the_attempt
FROM cases JOIN lead_cadence_events e ON run = lead_cadence_run_id AND tipo_evento = 'ERRO'
LEFT JOIN lead_messages m ON m.id = (e.detalhes ->> 'chave')::uuid WHERE n < 9 ORDER BY n;
-- what the events keep of the attempt, and what they add
CREATE VIEW newest AS
SELECT DISTINCT ON (n, tipo_evento) n, tipo_evento, step_ordem AS step, template_codigo AS template, e.detalhes, e.created_at
FROM cases JOIN lead_cadence_events e ON e.lead_cadence_run_id = run AND e.created_at > now() - interval '23 hours' ORDER BY n, tipo_evento, e.created_at DESC, e.id DESC;
SELECT n, tipo_evento, step, template, detalhes ->> 'decidido' AS decidido, detalhes ->> 'por' = current_user AS by_me,
       (SELECT string_agg(k, ' ' ORDER BY k COLLATE "C") FROM jsonb_object_keys(detalhes) AS k WHERE k NOT IN ('decidido', 'por')) AS other_keys
FROM newest WHERE n < 11 AND tipo_evento <> 'ERRO' ORDER BY n, step, tipo_evento DESC;
SELECT a.n, (a.detalhes ->> 'next_run_at')::timestamptz = r.next_run_at AS same_time FROM newest a JOIN cases c USING (n)
JOIN lead_cadence_runs r ON r.id = c.run WHERE a.n < 11 AND a.tipo_evento = 'AGENDADO' AND r.status = 'ATIVA' ORDER BY n;
SELECT s.n, s.detalhes ->> 'chave' = e.detalhes ->> 'chave' AS same_key, s.detalhes -> 'tentativa' = e.detalhes -> 'tentativa' AS same_attempt
FROM newest s JOIN newest e USING (n) WHERE s.tipo_evento = 'DISPARADO' AND e.tipo_evento = 'ERRO' ORDER BY n;
-- once
\x on
SELECT * FROM refused('sent already', 1, true);
SELECT * FROM refused('sent already', 5, false);
SELECT * FROM refused('made due already', 2, false);
SELECT * FROM refused('made due already', 6, true);
SELECT * FROM refused('completed already', 3, true);
SELECT * FROM refused('completed already', 7, false);
\x off
SELECT n, status, due_in, events FROM state WHERE n IN (1, 5, 2, 6, 3, 7);
-- what was not sent is sent now, with the key that it had; so is the step that was long due
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT n, s.status, s.next, due_in, s.attempts, e.detalhes ->> 'codigo' AS codigo, count(DISTINCT k.detalhes ->> 'chave') AS keys
FROM state s JOIN cases c USING (n) JOIN newest e USING (n) JOIN lead_cadence_events k ON k.lead_cadence_run_id = c.run AND k.step_ordem = c.step AND k.tipo_evento = 'ERRO'
WHERE n IN (2, 4, 6, 8, 9) AND e.tipo_evento = 'ERRO' GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY n;
-- an operator who resumes a held run has not settled it
UPDATE lead_cadence_runs SET claim_id = gen_random_uuid(), next_run_at = now(), attempts = 1 WHERE id = :'first';
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT status, next, events FROM state WHERE n = 1;
SELECT cadence_resume(:'first');
SELECT cadence_settle(:'first', true);
SELECT status, last, next, attempts FROM state WHERE n = 1;

-- an interrupted attempt, and then nobody to write to: nobody works on it, and it is uncertain still
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at, attempts, claim_id)
VALUES ('a0000000-0000-0000-0000-000000000002', 'lead 98', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now(), 1, gen_random_uuid());
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT status, attempts, claim_id, (SELECT string_agg(detalhes ->> 'codigo', ', ') FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id) AS codigo
FROM lead_cadence_runs r WHERE lead_id = 'lead 98';
SELECT cadence_settle(id, true) FROM lead_cadence_runs WHERE lead_id = 'lead 98';
SELECT status, last_step_ordem AS last, next_step_ordem AS next, attempts, claim_id FROM lead_cadence_runs r WHERE lead_id = 'lead 98';

-- a run that was paused while its message was under way, by a worker that is gone
UPDATE lead_cadence_runs SET status = 'PAUSADA', claim_id = gen_random_uuid(), next_step_ordem = 1, attempts = 1 WHERE id = (SELECT run FROM cases WHERE n = 11);
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT status, claimed, events FROM state WHERE n = 11;
SELECT cadence_settle(run, true) FROM cases WHERE n = 11;
SELECT status, last, next, due_in, events FROM state WHERE n = 11;

-- a lead that was enrolled again meanwhile is not made active twice
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at, claim_id)
VALUES ('a0000000-0000-0000-0000-000000000001', 'lead 99', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now(), gen_random_uuid());
INSERT INTO lead_contacts (lead_id, empresa, email) VALUES ('lead 99', 'BLUE', 'lead@example.com');
SELECT cadence_run('TEST') #> '{summary,total}' AS total;
SELECT cadence_enroll('lead 99', 'SEGURA', now() + interval '1 day') IS NOT NULL AS enrolled;
SELECT code FROM pg_temp.refusal($$SELECT cadence_settle('a0000000-0000-0000-0000-000000000001', false)$$);
SELECT code FROM pg_temp.refusal($$SELECT cadence_settle('a0000000-0000-0000-0000-000000000001', true)$$);
SELECT count(*) AS active FROM lead_cadence_runs WHERE lead_id = 'lead 99' AND status = 'ATIVA';
RESET search_path;
DROP SERVER regress_mail, regress_zap;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;

-- adopted tables: enum types, smaller and larger numbers, columns that must not be null, and an owner of their own
CREATE ROLE regress_cadence_crm LOGIN;
CREATE SCHEMA crm AUTHORIZATION regress_cadence_crm;
CREATE EXTENSION cadence_runner SCHEMA crm;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA crm TO regress_cadence_crm;
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/', on_uncertain 'hold');
GRANT USAGE ON FOREIGN SERVER regress_mail TO regress_cadence_crm;
SET ROLE regress_cadence_crm;
SET search_path = crm;
CREATE TYPE canal_tipo AS ENUM ('EMAIL', 'WHATSAPP');
CREATE TYPE "Status da cadência" AS ENUM ('PAUSADA', 'ATIVA', 'CONCLUIDA', 'CANCELADA');
CREATE TYPE tipo_evento_cadencia AS ENUM ('ERRO', 'DISPARADO', 'AGENDADO');
CREATE TABLE cadence_steps (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), cadence_id uuid, ordem smallint NOT NULL,
    offset_minutos bigint, canal canal_tipo, template_codigo varchar(40));
CREATE TABLE lead_cadence_runs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id varchar NOT NULL, empresa text NOT NULL, cadence_id uuid NOT NULL,
    status "Status da cadência" NOT NULL DEFAULT 'ATIVA', last_step_ordem smallint, next_step_ordem bigint, next_run_at timestamptz);
CREATE TABLE lead_cadence_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_cadence_run_id uuid REFERENCES lead_cadence_runs, step_ordem bigint NOT NULL,
    template_codigo text NOT NULL, tipo_evento tipo_evento_cadencia NOT NULL, detalhes jsonb, created_at timestamptz DEFAULT now());
CREATE TABLE auditoria (quem text, tipo text);
CREATE FUNCTION auditar() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO auditoria VALUES (current_user, new.tipo_evento);
    RETURN NULL;
END $$;
CREATE TRIGGER auditar AFTER INSERT ON lead_cadence_events FOR EACH ROW EXECUTE FUNCTION auditar();
SELECT cadence_create_tables();
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'SEGURA');
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, NULL, 'EMAIL', 'OLA'), ('c0000000-0000-0000-0000-000000000001', 2, NULL, 'EMAIL', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 3, 90, 'EMAIL', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Oi');
INSERT INTO lead_contacts (lead_id, empresa, email) SELECT 'l' || n, 'BLUE', 'lead@example.com' FROM generate_series(1, 5) AS n;
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at, claim_id)
SELECT ('a0000000-0000-0000-0000-00000000000' || n)::uuid, 'l' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', least(n, 3), now() - interval '1 min', gen_random_uuid()
FROM generate_series(1, 4) AS n;
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT cadence_settle(id, right(id::text, 1) <> '4') FROM lead_cadence_runs;
SELECT right(id::text, 1) AS run, status, last_step_ordem AS last, next_step_ordem AS next,
       date_trunc('minute', next_run_at - now() + interval '30 s') AS due_in, attempts FROM lead_cadence_runs ORDER BY id;
SELECT right(lead_cadence_run_id::text, 1) AS run, step_ordem AS step, template_codigo AS template, tipo_evento, detalhes ->> 'codigo' AS codigo,
       detalhes ->> 'decidido' AS decidido, detalhes ->> 'por' AS por
FROM lead_cadence_events ORDER BY lead_cadence_run_id, created_at, step_ordem, tipo_evento;
SELECT quem, tipo, count(*) FROM auditoria GROUP BY 1, 2 ORDER BY 1, 2;
-- here too, one that was paused while its message was under way
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at, claim_id)
VALUES ('a0000000-0000-0000-0000-000000000005', 'l5', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'PAUSADA', 1, now() - interval '1 min', gen_random_uuid());
SELECT cadence_run('TEST') -> 'success' AS success;
SELECT claim_id IS NOT NULL AS claimed, (SELECT string_agg(detalhes ->> 'codigo', ', ') FROM lead_cadence_events WHERE lead_cadence_run_id = r.id) AS codigo
FROM lead_cadence_runs r WHERE lead_id = 'l5';
-- settled in a transaction that began before the attempt, it is settled all the same
UPDATE lead_cadence_runs SET claim_id = gen_random_uuid() WHERE lead_id = 'l5';
BEGIN;
SELECT count(*) FROM lead_cadence_events WHERE created_at > now();
SELECT cadence_run('TEST') -> 'success' AS success;
SELECT cadence_settle('a0000000-0000-0000-0000-000000000005', false);
COMMIT;
SELECT detalhes ->> 'decidido' AS decidido FROM lead_cadence_events
WHERE lead_cadence_run_id = 'a0000000-0000-0000-0000-000000000005' ORDER BY created_at DESC LIMIT 1;
SELECT cadence_settle('a0000000-0000-0000-0000-000000000005', true);
RESET ROLE;
RESET search_path;
DROP SERVER regress_mail;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET cadence_runner.retry_factor', current_database()); END $$;
DROP EXTENSION cadence_runner;
DROP SCHEMA crm CASCADE;
DROP ROLE regress_cadence_crm, regress_cadence_clerk;
