--
-- cadence_forecast(): what will leave, by the rules and limits that executions go by. The times are
-- around that of the test, so they are told as distances.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
-- before there are tables
SELECT count(*) FROM cadence_forecast(now(), now() + interval '1 day');
SELECT cadence_create_tables();
SELECT count(*) FROM cadence_forecast(now(), now() + interval '1 day');
CREATE SERVER regress_forecast_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
CREATE SERVER regress_forecast_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/');
INSERT INTO cadence_empresas (empresa, nome) VALUES ('BLUE', 'Blue');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'C');
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 0, 'WHATSAPP', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 2, 60, 'EMAIL', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 3, 1440, 'WHATSAPP', 'TCHAU');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Olá {{nome}}'), ('BLUE', 'TCHAU', 'Tchau {{nome}}');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email)
SELECT l, 'BLUE', l, '+5511987654321', l || '@example.com' FROM unnest(ARRAY['ana', 'bia', 'caio', 'davi', 'eva']) AS l;

-- runs of some leads, due in so many minutes, a second after each other
CREATE PROCEDURE plan(leads text[] DEFAULT ARRAY['ana'], step int DEFAULT 1, minutes int DEFAULT 10) LANGUAGE sql AS $$
    DELETE FROM lead_cadence_runs;
    INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, last_step_ordem, started_at, next_run_at)
    SELECT ('a0000000-0000-0000-0000-00000000000' || n)::uuid, l, 'BLUE', 'c0000000-0000-0000-0000-000000000001', step, NULLIF(step - 1, 0),
           now() + make_interval(mins => minutes, secs => n - 1), now() + make_interval(mins => minutes, secs => n - 1)
    FROM unnest(leads) WITH ORDINALITY AS u(l, n) $$;
-- what is said of them: how long after the first was due
CREATE VIEW said AS
    SELECT r.lead_id AS lead, f.cadence, f.step, f.canal, replace(f.server, 'regress_forecast_', '') AS server,
           date_trunc('milliseconds', f.at - (SELECT min(next_run_at) FROM lead_cadence_runs)) AS after, f.certain
    FROM cadence_forecast(now(), now() + interval '30 days') AS f JOIN lead_cadence_runs r ON r.id = f.run ORDER BY f.at, r.lead_id;
CALL plan();
TABLE said;
CALL plan(ARRAY['ana', 'bia']);
TABLE said;
CALL plan(step => 2);
TABLE said;
CALL plan(step => 4);
TABLE said;
-- what it has had already does not come again, whatever its number is now
CALL plan();
UPDATE lead_cadence_runs SET passos_enviados = ARRAY(SELECT id FROM cadence_steps WHERE ordem = 2);
TABLE said;
UPDATE lead_cadence_runs SET passos_enviados = ARRAY(SELECT id FROM cadence_steps WHERE ordem IN (1, 3));
TABLE said;
-- between two times
CALL plan();
SELECT step FROM cadence_forecast(now() + interval '60 minutes', now() + interval '2 hours');
SELECT step FROM cadence_forecast(now() - interval '1 year', now() + interval '15 minutes');
SELECT step FROM cadence_forecast(now(), now() + interval '5 minutes');
-- what is overdue leaves now
CALL plan(minutes => -60);
SELECT step, at - now() AS from_now FROM cadence_forecast(now(), now() + interval '30 days');
-- nothing is changed, and a read-only transaction will do
BEGIN READ ONLY;
SELECT count(*) FROM cadence_forecast(now(), now() + interval '30 days');
ROLLBACK;
-- paused, finished, of a cadence that is switched off, without an end
UPDATE lead_cadence_runs SET status = 'PAUSADA';
TABLE said;
UPDATE lead_cadence_runs SET status = 'ATIVA', next_run_at = NULL;
TABLE said;
UPDATE lead_cadence_runs SET next_run_at = 'infinity';
TABLE said;
CALL plan();
UPDATE cadences SET ativo = false;
TABLE said;
UPDATE cadences SET ativo = true;

-- times that are none
SELECT * FROM cadence_forecast(NULL, now());
SELECT * FROM cadence_forecast(now(), NULL);
SELECT * FROM cadence_forecast(now(), 'infinity');
SELECT * FROM cadence_forecast('-infinity', now() + interval '1 day');
SELECT * FROM cadence_forecast(now() + interval '2 days', now() + interval '1 day');
SELECT * FROM cadence_forecast(now() - interval '2 days', now() - interval '1 day');
SELECT * FROM cadence_forecast(now(), now() + interval '367 days');
SELECT count(*) FROM cadence_forecast(now(), now() + interval '366 days');

-- whom nobody can write to: no address, no template, an opt-out, of one channel
UPDATE lead_contacts SET email = NULL WHERE lead_id = 'ana';
CALL plan(ARRAY['ana', 'bia']);
TABLE said;
UPDATE cadence_steps SET se_falhar = 'PULAR' WHERE ordem = 2;
TABLE said;
UPDATE cadence_steps SET se_falhar = NULL;
UPDATE lead_contacts SET email = 'ana@example.com';
UPDATE message_templates SET conteudo = 'Tchau {{quem}}' WHERE codigo = 'TCHAU';
CALL plan();
TABLE said;
UPDATE cadence_steps SET validade = '1 hour' WHERE ordem = 3;
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 4, 60, 'WHATSAPP', 'OLA');
TABLE said;
DELETE FROM cadence_steps WHERE ordem = 4;
UPDATE cadence_steps SET validade = NULL;
UPDATE message_templates SET conteudo = 'Tchau {{nome}}' WHERE codigo = 'TCHAU';
INSERT INTO contact_opt_outs (lead_id, empresa, canal, motivo) VALUES ('ana', 'BLUE', 'EMAIL', 'não quero');
CALL plan(ARRAY['ana', 'bia']);
TABLE said;
DELETE FROM contact_opt_outs;
UPDATE lead_contacts SET opt_out = true WHERE lead_id = 'bia';
TABLE said;
UPDATE lead_contacts SET opt_out = false;

-- windows and holidays: at the opening, each in its place
CREATE FUNCTION local_time(of timestamptz) RETURNS text LANGUAGE sql AS $$ SELECT to_char(of AT TIME ZONE 'America/Sao_Paulo', 'HH24:MI') $$;
UPDATE cadence_empresas SET janela = '[{"dias": [1, 2, 3, 4, 5], "das": "08:00", "ate": "18:00"}]', janela_espalha = '0';
CALL plan(ARRAY['ana', 'bia', 'caio', 'davi', 'eva']);
SELECT count(*), bool_and(local_time(at) BETWEEN '08:00' AND '18:00') AS inside, bool_and(extract(isodow FROM at AT TIME ZONE 'America/Sao_Paulo') < 6) AS on_weekdays
FROM cadence_forecast(now(), now() + interval '30 days');
UPDATE cadence_empresas SET janela_espalha = '2 hours', janela = '[{"das": "08:00", "ate": "08:01"}, {"das": "09:00", "ate": "12:00"}]';
SELECT step, count(*), bool_and(local_time(at) BETWEEN '08:00' AND '12:00') AS inside FROM cadence_forecast(now(), now() + interval '30 days') GROUP BY 1 ORDER BY 1;
-- closed for two weeks
UPDATE cadence_empresas SET janela = NULL, janela_espalha = '0';
INSERT INTO cadence_feriados (dia, nome) SELECT d::date, 'férias' FROM generate_series(now() - interval '2 days', now() + interval '14 days', '1 day') AS d;
SELECT count(*), bool_and((at AT TIME ZONE 'America/Sao_Paulo')::date > (SELECT max(dia) FROM cadence_feriados)) AS behind_them FROM cadence_forecast(now(), now() + interval '30 days');
-- working days and times of day
DELETE FROM cadence_feriados;
UPDATE cadence_steps SET dias_uteis = true, offset_minutos = 2880, horario = '09:30' WHERE ordem = 3;
SELECT step, min(local_time(at)) AS at, bool_and(extract(isodow FROM at AT TIME ZONE 'America/Sao_Paulo') < 6) AS on_weekdays FROM cadence_forecast(now(), now() + interval '30 days') WHERE step = 3 GROUP BY 1;
UPDATE cadence_steps SET dias_uteis = DEFAULT, offset_minutos = 1440, horario = NULL WHERE ordem = 3;
-- what a zone that does not exist depends on does not leave
UPDATE lead_contacts SET fuso_horario = 'America/Sampa' WHERE lead_id = 'ana';
UPDATE cadence_empresas SET janela = '[{"das": "00:00", "ate": "24:00"}]';
CALL plan(ARRAY['ana', 'bia']);
SELECT DISTINCT lead FROM said;
UPDATE lead_contacts SET fuso_horario = NULL;
UPDATE cadence_empresas SET janela = NULL, janela_espalha = NULL;

-- caps: so many a day, the higher priority and the follow-ups first
UPDATE cadences SET max_novos_por_dia = 2;
CALL plan(ARRAY['ana', 'bia', 'caio', 'davi', 'eva'], minutes => -10);
SELECT step, (at AT TIME ZONE 'America/Sao_Paulo')::date - (now() AT TIME ZONE 'America/Sao_Paulo')::date AS day, count(*)
FROM cadence_forecast(now(), now() + interval '30 days') WHERE step = 1 GROUP BY 1, 2 ORDER BY 1, 2;
-- what the day has had already
INSERT INTO cadence_usage (scope, name, empresa, day, used) VALUES ('NOVOS', 'c0000000-0000-0000-0000-000000000001', '', (now() AT TIME ZONE 'America/Sao_Paulo')::date, 2);
SELECT step, (at AT TIME ZONE 'America/Sao_Paulo')::date - (now() AT TIME ZONE 'America/Sao_Paulo')::date AS day, count(*)
FROM cadence_forecast(now(), now() + interval '30 days') WHERE step = 1 GROUP BY 1, 2 ORDER BY 1, 2;
DELETE FROM cadence_usage;
UPDATE cadences SET max_novos_por_dia = NULL;
-- between two messages of any cadence
UPDATE cadence_empresas SET intervalo_minimo = '3 hours';
CALL plan();
TABLE said;
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'D');
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000002', 1, 0, 'EMAIL', 'OLA');
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at) SELECT 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000002', 1, next_run_at + interval '1 hour' FROM lead_cadence_runs;
TABLE said;
UPDATE cadence_empresas SET intervalo_minimo = NULL;
DELETE FROM cadences WHERE codigo = 'D' AND NOT EXISTS (SELECT FROM lead_cadence_runs r WHERE r.cadence_id = cadences.id);
-- expiry: skipped when its time has come
UPDATE cadence_steps SET validade = '30 minutes' WHERE ordem = 1;
CALL plan(minutes => -60);
SELECT step, date_trunc('minute', at - now()) AS from_now FROM cadence_forecast(now(), now() + interval '30 days');
UPDATE cadence_steps SET validade = NULL;

-- limits of a sender: so many an hour, counted by minutes
ALTER SERVER regress_forecast_zap OPTIONS (ADD max_per_hour '2');
CALL plan(ARRAY['ana', 'bia', 'caio', 'davi', 'eva']);
SELECT step, count(*), count(*) FILTER (WHERE after < interval '2 minutes') AS first, count(*) FILTER (WHERE after BETWEEN interval '59 minutes' AND interval '63 minutes') AS second,
       count(*) FILTER (WHERE after BETWEEN interval '119 minutes' AND interval '125 minutes') AS third FROM said WHERE step = 1 GROUP BY 1;
ALTER SERVER regress_forecast_zap OPTIONS (DROP max_per_hour, ADD max_rate '0.5');
SELECT lead, after FROM said WHERE step = 1;
ALTER SERVER regress_forecast_zap OPTIONS (DROP max_rate, ADD gap '10s..20s');
SELECT lead, after, certain FROM said WHERE step = 1;
ALTER SERVER regress_forecast_zap OPTIONS (DROP gap);
ALTER SERVER regress_forecast_zap OPTIONS (ADD quiet_until_reply 'true');
CALL plan();
TABLE said;
ALTER SERVER regress_forecast_zap OPTIONS (SET quiet_until_reply 'false', ADD min_gap '2880min');
TABLE said;
ALTER SERVER regress_forecast_zap OPTIONS (DROP min_gap, DROP quiet_until_reply);
-- several senders: those who have the most room, and the same one again
CREATE SERVER regress_forecast_zap2 FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
CALL plan(ARRAY['ana', 'bia', 'caio', 'davi', 'eva']);
SELECT count(DISTINCT server) FROM said WHERE canal = 'WHATSAPP';
SELECT lead, count(DISTINCT server) FROM said WHERE canal = 'WHATSAPP' GROUP BY 1 HAVING count(DISTINCT server) <> 1;
-- one that is paused sends nothing, and what it alone serves does not leave
SELECT cadence_provider_pause('regress_forecast_zap', 'teste');
SELECT DISTINCT server, certain FROM said WHERE canal = 'WHATSAPP';
SELECT cadence_provider_pause('regress_forecast_mail', 'teste');
SELECT step, count(*) FROM said GROUP BY 1 ORDER BY 1;
SELECT cadence_provider_resume('regress_forecast_zap'), cadence_provider_resume('regress_forecast_mail');
DROP SERVER regress_forecast_zap2;

-- what is not certain: after a failed attempt, under way, what views may forbid, what only an answer allows
CALL plan(ARRAY['ana', 'bia', 'caio']);
UPDATE lead_cadence_runs SET attempts = 1 WHERE lead_id = 'ana';
UPDATE lead_cadence_runs SET claim_id = gen_random_uuid() WHERE lead_id = 'bia';
SELECT lead, step, certain FROM said ORDER BY 1, 2;
CREATE VIEW cadence_skips AS SELECT id AS run_id, 2 AS ordem, 'já leu'::text AS motivo FROM lead_cadence_runs WHERE lead_id = 'caio';
CREATE VIEW cadence_exits AS SELECT id AS run_id, 'comprou'::text AS motivo FROM lead_cadence_runs WHERE lead_id = 'bia';
SELECT lead, step, after, certain FROM said ORDER BY 1, 2;
DROP VIEW cadence_skips, cadence_exits;
CREATE SERVER regress_forecast_meta FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', protocol 'whatsapp_cloud', phone_number_id '1');
CREATE USER MAPPING FOR PUBLIC SERVER regress_forecast_meta OPTIONS (token 'segredo');
CALL plan();
TABLE said;
UPDATE message_templates SET whatsapp = '{"nome": "ola", "idioma": "pt_BR", "categoria": "MARKETING"}' WHERE codigo = 'OLA';
TABLE said;
-- nobody is there
DROP SERVER regress_forecast_meta CASCADE;
DROP SERVER regress_forecast_zap;
TABLE said;

-- rights: of the function, and of the tables
CREATE ROLE regress_forecast_reader;
GRANT USAGE ON SCHEMA cadence TO regress_forecast_reader;
SET ROLE regress_forecast_reader;
SELECT count(*) FROM cadence_forecast(now(), now() + interval '1 day');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_forecast TO regress_forecast_reader;
SET ROLE regress_forecast_reader;
SELECT count(*) FROM cadence_forecast(now(), now() + interval '1 day');
RESET ROLE;

GRANT SELECT ON ALL TABLES IN SCHEMA cadence TO regress_forecast_reader;
CALL plan();
CREATE SERVER regress_forecast_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
SET ROLE regress_forecast_reader;
SELECT count(*) FROM cadence_forecast(now(), now() + interval '30 days');
RESET ROLE;

-- it can be cancelled
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email) SELECT 'l' || n, 'BLUE', 'x', '+5511987654321', 'x@example.com' FROM generate_series(1, 20000) AS n;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'l' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, now() + n * interval '1 s' FROM generate_series(1, 20000) AS n;
SELECT count(*) FROM cadence_forecast(now(), now() + interval '30 days');
SET statement_timeout = '50ms';
SELECT count(*) FROM cadence_forecast(now(), now() + interval '30 days');
RESET statement_timeout;

\set VERBOSITY terse
DROP VIEW said;
DROP SERVER regress_forecast_zap;
DROP SERVER regress_forecast_mail;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_forecast_reader;
