--
-- The numbers of the dashboard's pages Agora, Execuções and Agenda: each is what a plain count says,
-- personal data is masked, and what anybody has written is only text.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;

-- what is hidden of personal data
SELECT kind, value, cadence_mask(value, kind) FROM (VALUES
    ('name', 'Maria Souza'), ('name', '  Zé  da   Silva '), ('name', ''), ('name', '<b>x</b>'),
    ('phone', '+55 (11) 98765-4321'), ('phone', '1234567'), ('phone', '123456'), ('phone', 'no digits'),
    ('email', 'maria.souza@example.com'), ('email', 'm@x'), ('email', '@x'), ('email', 'nobody'), ('email', 'a@b@c.example'),
    ('address', 'a.b@example.com'), ('address', '11987654321'),
    ('id', 'lead-17'), ('id', '5511987654321'), ('id', 'maria@example.com'), ('id', '1234567'),
    ('error', 'number +55 11 98765-4321 is none, nor is "maria.souza@example.com" (550 5.1.1)'), ('error', 'timeout after 30s at 2026-11-30'),
    ('error', 'no 98.76.54.32, 9 8 7 6 5 4 3 2, 11/98765--4321, 2026-11-301'), ('error', 'at 2026-11-30 10:05:00+00, 2026-11-30T10:05:00'), ('error', U&'ana%40example.com, bia\FF20example.com'),
    ('text', 'Olá, Maria!'), ('text', ''), ('secret', 'x'), ('phone', NULL)) AS v(kind, value);
SELECT cadence_mask('x', NULL), length(cadence_mask(repeat('x', 1000000), 'error')), length(cadence_mask(repeat('a', 65000) || '@example.com', 'error'));

-- of what kind each line of the health is, and whose
SELECT r ->> 'kind' AS kind, r ->> 'name' AS name, r ->> 'text' = line AS as_it_was FROM (VALUES
    ('cadence_runner.enabled is off'), ('the resident worker does not run: it is failed: x'), ('the resident worker is paused, until somebody'),
    ('the resident worker is stuck: it was'), ('table cadences does not exist: call it'), ('table lead_contacts has no trigger cadence_runner_barrier that fires: x'),
    ('nothing may be sent from here: a copy'), ('overdue: 3 due, the oldest since x'), ('active without next_run_at, so never due: 2'),
    ('the last execution failed: x'), ('server "a "b" c" has been paused since x'), ('server "wa" has sent nothing since x'),
    ('server "wa" has written to nobody first since x'), ('server "wa" fails: 7 failures and nothing sent in the last hour; server "x" has been paused'),
    ('server "wa" speaks version v1 of its API, which ends on 2026-01-01'), ('template "OLA" of company "BLUE" has been stopped at server "wa" since'),
    ('nothing is sent while a view can not be asked: x'), ('company "BLUE" sends nothing that depends on the time there: x'),
    ('company "BLUE" sends nothing: x'), ('cadence "C" sends nothing: x'), ('3 answers or receipts could not be taken in the last hour'),
    ('12 news for other tools have waited'), ('what nobody has thought of')) AS v(line) CROSS JOIN LATERAL cadence_api_reason(line) AS r;

-- before there are tables a page says so, and nothing else
\set VERBOSITY terse
SELECT cadence_api_agora('{}', true);
SELECT cadence_api_execucoes('{}', true);
\set VERBOSITY default

SELECT cadence_create_tables();
SELECT cadence_api_zone();
INSERT INTO cadence_empresas (empresa, fuso_horario) VALUES ('A', 'America/Manaus'), ('B', 'America/Manaus'), ('C', 'America/Sao_Paulo');
SELECT cadence_api_zone();
ALTER TABLE cadence_empresas DISABLE TRIGGER ALL;
UPDATE cadence_empresas SET fuso_horario = 'Mars/Olympus';
SELECT cadence_api_zone();
DELETE FROM cadence_empresas;
ALTER TABLE cadence_empresas ENABLE TRIGGER ALL;

-- nothing has happened yet
SELECT cadence_api_execucoes('{}', true), cadence_api_execucao('{"id": "a0000000-0000-0000-0000-000000000001"}', true) IS NULL AS no_such,
       cadence_api_servidores('{}', true);
SELECT a ->> 'sent_today' AS sent, a ->> 'failed_today' AS failed, a ->> 'due' AS due, a ->> 'in_flight' AS in_flight, a -> 'lag_seconds' AS lag,
       jsonb_array_length(a -> 'minutes' -> 'sent') AS minutes, a ->> 'last_execution' AS last, a ->> 'zone' AS zone, a -> 'reasons' AS reasons
FROM cadence_api_agora('{}', true) AS a;
SELECT g ->> 'exact' AS exact, g -> 'hours' AS hours, g -> 'due' AS due FROM cadence_api_agenda('{}', true) AS g;

-- Agora: every number by itself
CREATE SERVER regress_api_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/', max_per_minute '10', max_per_hour '100', max_per_day '1000', warm_up '20..200/10d', gap '1s');
CREATE SERVER regress_api_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/', empresa 'BLUE', max_rate '2.5');
INSERT INTO cadence_empresas (empresa) VALUES ('BLUE');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'C');
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 0, 'WHATSAPP', 'OLA'), ('c0000000-0000-0000-0000-000000000001', 2, 1500, 'EMAIL', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Olá {{nome}}');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email)
SELECT 'lead ' || n, 'BLUE', '<script>alert(' || n || ')</script>', '+5511987654321', 'a' || n || '@example.com' FROM generate_series(1, 40) AS n;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'lead ' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() + (n - 5) * interval '3 hours 7 minutes' FROM generate_series(1, 40) AS n;
-- in one transaction, so that no minute ends meanwhile
BEGIN;
INSERT INTO cadence_counts (grain, kind, at, empresa, server, canal, outcome, code, template, cadence, n, us, first_at, last_at)
SELECT 'MINUTE', 'attempt', date_trunc('minute', now()) - m * interval '1 minute', 'BLUE', s, 'WHATSAPP', o, '', '', '', m % 5 + 1, 0, now(), now()
FROM generate_series(0, 2000, 7) AS m, unnest(ARRAY['regress_api_zap', 'regress_api_mail']) AS s, unnest(ARRAY['sent', 'refused', 'put_off', 'failed']) AS o;
-- and what is not folded yet
INSERT INTO cadence_deltas (kind, at, empresa, server, canal, outcome, n)
SELECT 'attempt', now() - m * interval '1 minute', 'BLUE', 'regress_api_zap', 'WHATSAPP', 'sent', 3 FROM generate_series(0, 3) AS m;
CREATE VIEW attempts AS
    SELECT at, server, outcome, n FROM cadence_counts WHERE grain = 'MINUTE' AND kind = 'attempt'
    UNION ALL SELECT date_trunc('minute', at), server, outcome, n FROM cadence_deltas WHERE kind = 'attempt';
SELECT (a ->> 'sent_today')::int = (SELECT sum(n) FROM attempts WHERE outcome = 'sent' AND at >= date_trunc('day', now(), 'America/Sao_Paulo')) AS sent_today,
       (a ->> 'failed_today')::int = (SELECT sum(n) FROM attempts WHERE outcome IN ('failed', 'refused') AND at >= date_trunc('day', now(), 'America/Sao_Paulo')) AS failed_today,
       (SELECT sum(x::int) FROM jsonb_array_elements_text(a -> 'minutes' -> 'sent') AS x)
           = (SELECT sum(n) FROM attempts WHERE outcome = 'sent' AND at >= date_trunc('minute', now()) - interval '24 h') AS sent,
       (SELECT sum(x::int) FROM jsonb_array_elements_text(a -> 'minutes' -> 'failed') AS x)
           = (SELECT sum(n) FROM attempts WHERE outcome IN ('failed', 'refused') AND at >= date_trunc('minute', now()) - interval '24 h') AS failed,
       (a -> 'minutes' -> 'sent' ->> 1440)::int = (SELECT sum(n) FROM attempts WHERE outcome = 'sent' AND at = date_trunc('minute', now())) AS this_minute,
       (a ->> 'due')::int = (SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at <= now()) AS due,
       (a ->> 'oldest_due')::timestamptz = (SELECT min(next_run_at) FROM lead_cadence_runs) AS oldest,
       (a ->> 'next_due')::timestamptz = (SELECT min(next_run_at) FROM lead_cadence_runs WHERE next_run_at > now()) AS next,
       a ->> 'healthy' AS healthy, (SELECT array_agg(r ->> 'kind') FROM jsonb_array_elements(a -> 'reasons') AS r) AS reasons
FROM cadence_api_agora('{}', true) AS a;
-- the sender's card: the same attempts, and its limits
INSERT INTO cadence_provider_state (server, used, last_at, first_used_at) VALUES
    ('regress_api_zap', '0.0.2 0.30.3 1.0.5 1.59.20 1.60.1 2.96.7 2.1.30 x 9.1', now(), now() - interval '5 days');
SELECT r ->> 'server' AS server, r ->> 'state' AS state, r ->> 'channel' AS channel, r ->> 'company' AS company, r ->> 'gap' AS gap, r ->> 'max_rate' AS max_rate,
       (r ->> 'sent_last_hour')::int = (SELECT sum(n) FROM attempts WHERE outcome = 'sent' AND at > date_trunc('minute', now()) - interval '1 h' AND server = r ->> 'server') AS sent,
       (r ->> 'failed_last_hour')::int = (SELECT sum(n) FROM attempts WHERE outcome IN ('failed', 'refused') AND at > date_trunc('minute', now()) - interval '1 h' AND server = r ->> 'server') AS failed,
       (r ->> 'rate_per_minute')::numeric = (SELECT round(coalesce(sum(n), 0) / 5.0, 1) FROM attempts WHERE outcome = 'sent' AND at >= date_trunc('minute', now()) - interval '5 min' AND at < date_trunc('minute', now()) AND server = r ->> 'server') AS rate,
       r -> 'limits' AS limits
FROM jsonb_array_elements(cadence_api_servidores('{}', true) -> 'rows') AS r;
COMMIT;
-- a sender's states, in order of what matters most; what its provider has said is masked
CREATE VIEW card AS
    SELECT r ->> 'state' AS state, r -> 'since' IS DISTINCT FROM 'null' AS since, r -> 'until' IS DISTINCT FROM 'null' AS until, r ->> 'reason' AS reason, r -> 'waiting' AS waiting,
           (SELECT x ->> 'reason' FROM jsonb_array_elements(cadence_api_servidores('{}', false) -> 'rows') AS x WHERE x ->> 'server' = 'regress_api_zap') AS masked
    FROM jsonb_array_elements(cadence_api_servidores('{}', true) -> 'rows') AS r WHERE r ->> 'server' = 'regress_api_zap';
UPDATE cadence_provider_state SET slow_until = now() + interval '1 h' WHERE server = 'regress_api_zap';
TABLE card;
UPDATE cadence_provider_state SET new_since = now(), new_until = now() + interval '1 h', new_reason = 'not to +5511987654321' WHERE server = 'regress_api_zap';
TABLE card;
UPDATE cadence_provider_state SET open_since = now(), open_until = now() + interval '1 h', open_reason = '503 <b>', waiting = 3, waited = 9 WHERE server = 'regress_api_zap';
TABLE card;
UPDATE cadence_provider_state SET paused_at = now(), pause_reason = 'Ana (ana@example.com) said so' WHERE server = 'regress_api_zap';
TABLE card;
-- limits that are shared, and windows that have passed since
UPDATE cadence_provider_state SET last_at = now() - interval '61 minutes' WHERE server = 'regress_api_zap';
SELECT u.* FROM cadence_provider_state AS s CROSS JOIN LATERAL cadence_api_used(s.used, s.last_at) AS u WHERE server = 'regress_api_zap';
ALTER SERVER regress_api_zap OPTIONS (ADD limit_group 'Vendas', DROP warm_up);
INSERT INTO cadence_provider_state (server, used, last_at) VALUES ('limit_group Vendas', '2.0.400', now());
SELECT cadence_api_limits('regress_api_zap'), cadence_api_limits('no such');
-- what the protocol brings
CREATE SERVER regress_api_evolution FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/', protocol 'Evolution', instance 'x');
SELECT cadence_api_limits('regress_api_evolution');

-- Execuções: the log, page after page; times that are the same, and an execution that has failed
INSERT INTO cadence_runner_logs (id, executed_at, steps_executed, errors, runs_touched, duration_ms, trigger_source, details)
SELECT ('b0000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, '2026-11-01 12:00:00.123456+00'::timestamptz + (n / 3) * interval '1 microsecond', n, n % 2, n + n % 2 + 1, n,
       'CRON', jsonb_build_object('results', '[]'::jsonb)
FROM generate_series(1, 120) AS n;
INSERT INTO cadence_runner_logs (id, executed_at, steps_executed, errors, runs_touched, duration_ms, trigger_source, details) VALUES
    ('b0000000-0000-0000-0000-000000000999', '2026-11-02 00:30+00', 1, 2, 3, 7, 'MANUAL', jsonb_build_object('sqlstate', '57014', 'erro', 'ended: +5511987654321', 'results_truncated', true,
        'results', jsonb_build_array(
            jsonb_build_object('runId', 'a0000000-0000-0000-0000-000000000001', 'leadId', '5511987654321', 'stepOrdem', 1, 'templateCodigo', 'OLA', 'status', 'ERRO', 'erro', '<img src=x onerror=alert(1)> a@example.com'),
            jsonb_build_object('runId', 'a0000000-0000-0000-0000-000000000002', 'leadId', 'lead 2', 'stepOrdem', NULL, 'templateCodigo', NULL, 'status', 'SKIPPED', 'mensagem', E'"};\u2028'))));
CREATE FUNCTION pages() RETURNS TABLE (page int, n bigint, first text, last text, next boolean) LANGUAGE plpgsql AS $$
DECLARE
    params jsonb := '{}';
    answer jsonb;
BEGIN
    FOR i IN 1..9 LOOP
        answer := cadence_api_execucoes(params, true);
        RETURN QUERY SELECT i, count(*), right(min(r ->> 'id'), 3), right(max(r ->> 'id'), 3), answer -> 'next' <> 'null' FROM jsonb_array_elements(answer -> 'rows') AS r;
        params := answer -> 'next';
        EXIT WHEN params = 'null';
    END LOOP;
END $$;
SELECT * FROM pages();
\pset format unaligned
SELECT r FROM jsonb_array_elements(cadence_api_execucoes('{}', true) -> 'rows') WITH ORDINALITY AS x(r, n) WHERE n <= 2;
SELECT cadence_api_execucao('{"id": "b0000000-0000-0000-0000-000000000999"}', true);
SELECT cadence_api_execucao('{"id": "b0000000-0000-0000-0000-000000000999"}', false);
-- nor an id that says who somebody is, a name, or a number however it is spelt
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email) VALUES
    ('crm-11987650001', 'BLUE', 'Otávio', '+55 11 98765-0001', NULL), ('maria.souza', 'BLUE', 'Maria Souza', NULL, 'x@example.com'), ('17', 'BLUE', 'Rita Alves', NULL, NULL);
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status)
SELECT ('a0000000-0000-0000-0000-00000000010' || n)::uuid, lead, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'CONCLUIDA'
FROM unnest(ARRAY['crm-11987650001', 'maria.souza', '17']) WITH ORDINALITY AS v(lead, n);
INSERT INTO lead_cadence_events (lead_cadence_run_id, tipo_evento, detalhes)
SELECT r.id, 'ERRO', '{"codigo": "FALHA_ENVIO", "erro": "to Otávio, Rita: 9 8 7 6 5 0 0 0 1, rita%40example.com"}' FROM lead_cadence_runs AS r WHERE r.status = 'CONCLUIDA';
INSERT INTO cadence_runner_logs (id, executed_at, errors, details)
SELECT 'b0000000-0000-0000-0000-000000000996', '2026-10-01Z', 3, jsonb_build_object('results', jsonb_agg(
    jsonb_build_object('runId', r.id, 'leadId', r.lead_id, 'status', 'ERRO', 'erro', 'to Otávio, Rita: 9 8 7 6 5 0 0 0 1, rita%40example.com') ORDER BY r.id))
FROM lead_cadence_runs AS r WHERE r.status = 'CONCLUIDA';
SELECT r ->> 'lead' AS lead, r ->> 'message' AS message FROM jsonb_array_elements(cadence_api_execucao('{"id": "b0000000-0000-0000-0000-000000000996"}', false) -> 'results') AS r;
SELECT r ->> 'lead' AS lead, r ->> 'message' AS message FROM jsonb_array_elements(cadence_api_execucao('{"id": "b0000000-0000-0000-0000-000000000996"}', true) -> 'results') AS r;
DELETE FROM cadence_runner_logs WHERE id = 'b0000000-0000-0000-0000-000000000996';
DELETE FROM lead_cadence_events WHERE detalhes ->> 'erro' LIKE 'to Otávio%';
-- what others have written into the log is no array, or nothing at all
INSERT INTO cadence_runner_logs (id, details) VALUES ('b0000000-0000-0000-0000-000000000998', '{"results": "x"}'), ('b0000000-0000-0000-0000-000000000997', NULL);
SELECT cadence_api_execucao(jsonb_build_object('id', id), true) -> 'results' AS results FROM cadence_runner_logs WHERE id > 'b0000000-0000-0000-0000-000000000990' ORDER BY id;
\pset format aligned
-- a query of anybody's: an error that says what is wrong, of a class that is theirs
SELECT cadence_api_execucoes('{"before": "yesterday; DROP TABLE x"}', true);
SELECT cadence_api_execucao('{"id": "1"}', true);
SELECT cadence_api_execucao('{}', true) IS NULL AS none;

-- Agenda: what cadence_forecast() says, by hour, channel and sender
UPDATE cadence_provider_state SET paused_at = NULL, open_since = NULL;
BEGIN;
SELECT g ->> 'exact' AS exact, (SELECT sum((h ->> 'n')::int) FROM jsonb_array_elements(g -> 'hours') AS h)
           = (SELECT count(*) FROM cadence_forecast(now(), (g ->> 'until')::timestamptz) AS f WHERE f.at < (g ->> 'until')::timestamptz) AS all_of_it,
       (SELECT count(*) FROM jsonb_array_elements(g -> 'hours') AS h
        WHERE (h ->> 'n')::int IS DISTINCT FROM (SELECT count(*) FROM cadence_forecast(now(), (g ->> 'until')::timestamptz) AS f
            WHERE f.at >= (h ->> 'at')::timestamptz AND f.at < (h ->> 'at')::timestamptz + interval '1 h' AND f.canal = h ->> 'channel' AND f.server = h ->> 'server')) AS wrong,
       g -> 'due' AS due, (g ->> 'until')::timestamptz = date_trunc('day', now(), 'America/Sao_Paulo') + interval '7 days' AS until
FROM cadence_api_agenda('{}', true) AS g;
COMMIT;
-- too much for that: as far as it goes, and then what is due
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'many ' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() + interval '30 hours' + n * interval '10 seconds' FROM generate_series(1, 12000) AS n;
BEGIN;
SELECT g ->> 'exact' AS exact, (g ->> 'exact_until')::timestamptz BETWEEN now() + interval '42 hours' AND now() + interval '45 hours' AS exact_until,
       (SELECT sum((h ->> 'n')::int) FROM jsonb_array_elements(g -> 'hours') AS h)
           = (SELECT count(*) FROM cadence_forecast(now(), (g ->> 'exact_until')::timestamptz) AS f WHERE f.at < (g ->> 'exact_until')::timestamptz) AS foreseen,
       (SELECT sum((h ->> 'n')::int) FROM jsonb_array_elements(g -> 'due') AS h)
           = (SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at >= (g ->> 'exact_until')::timestamptz AND next_run_at < (g ->> 'until')::timestamptz) AS due,
       (SELECT min((h ->> 'at')::timestamptz) FROM jsonb_array_elements(g -> 'due') AS h) >= (g ->> 'exact_until')::timestamptz AS after_it
FROM cadence_api_agenda('{}', true) AS g;
COMMIT;
-- all at once: there is nothing to foresee
UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 minute';
SELECT g ->> 'exact' AS exact, g -> 'hours' AS hours, jsonb_array_length(g -> 'due') AS hours_due, (SELECT sum((h ->> 'n')::int) FROM jsonb_array_elements(g -> 'due') AS h) AS due
FROM cadence_api_agenda('{}', true) AS g;

-- as the tables' owner who is no superuser, with the rights that the documents name
CREATE ROLE regress_cadence_owner;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_owner;
GRANT EXECUTE ON FUNCTION cadence_runner_status(), cadence_health(interval), cadence_forecast(timestamptz, timestamptz),
    cadence_api_agora(jsonb, boolean), cadence_api_servidores(jsonb, boolean), cadence_api_execucoes(jsonb, boolean),
    cadence_api_execucao(jsonb, boolean), cadence_api_agenda(jsonb, boolean) TO regress_cadence_owner;
DO $$
DECLARE
    t regclass;
BEGIN
    FOR t IN SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = 'cadence'::regnamespace AND c.relkind = 'r' AND c.relname <> 'cadence_protocols' LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO regress_cadence_owner', t);
    END LOOP;
END $$;
DELETE FROM lead_cadence_runs WHERE lead_id LIKE 'many%';
SET ROLE regress_cadence_owner;
SELECT cadence_api_agora('{}', false) ->> 'due' AS due, jsonb_array_length(cadence_api_servidores('{}', false) -> 'rows') AS senders,
       jsonb_array_length(cadence_api_execucoes('{}', false) -> 'rows') AS executions, cadence_api_execucao('{"id": "b0000000-0000-0000-0000-000000000999"}', false) -> 'execution' ->> 'error' AS error,
       cadence_api_agenda('{}', false) ->> 'exact' AS exact;
RESET ROLE;
-- and of anybody else: nothing
CREATE ROLE regress_cadence_nobody;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_nobody;
SET ROLE regress_cadence_nobody;
SELECT cadence_api_agora('{}', false);
SELECT cadence_api_execucoes('{}', false);
SELECT cadence_api_limits('regress_api_zap');
RESET ROLE;
DROP SERVER regress_api_zap, regress_api_mail, regress_api_evolution;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_owner, regress_cadence_nobody;
