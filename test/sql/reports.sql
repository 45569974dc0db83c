--
-- What users of other tools have reported (see "What has gone wrong elsewhere" in docs/rules.md),
-- played as they tell it, from a Saturday on that is still to come.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER regress_reports_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/');
INSERT INTO cadence_empresas (empresa, fuso_horario, janela_espalha) VALUES ('BLUE', 'America/Sao_Paulo', '0');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Olá');
INSERT INTO lead_contacts (lead_id, empresa, email) SELECT l, 'BLUE', l || '@example.com' FROM unnest('{ana,bia,caio}'::text[]) AS l;
CREATE FUNCTION cadence(codigo text, janela jsonb DEFAULT NULL, reentrada text DEFAULT NULL) RETURNS void LANGUAGE sql AS
$$ INSERT INTO cadence.cadences (empresa, codigo, janela, reentrada) VALUES ('BLUE', codigo, janela, reentrada) $$;
CREATE FUNCTION step(codigo text, n int, minutes int, at time DEFAULT NULL, working boolean DEFAULT false) RETURNS void LANGUAGE sql AS
$$ INSERT INTO cadence.cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo, horario, dias_uteis)
   SELECT c.id, n, minutes, 'EMAIL', 'OLA', at, working FROM cadence.cadences AS c WHERE c.codigo = step.codigo $$;
-- so long after its midnight in São Paulo, whose law is since 2019: three hours behind UTC, all year
CREATE FUNCTION saturday(after interval) RETURNS timestamptz LANGUAGE sql STABLE AS
$$ SELECT date_trunc('week', now() - interval '3 hours') + interval '12 days 3 hours' + after $$;
CREATE VIEW leaves AS
SELECT r.lead_id AS lead, c.codigo, f.step, to_char(f.at - interval '3 hours', 'Dy HH24:MI') AS at
FROM cadence_forecast(now(), now() + interval '25 days') AS f JOIN lead_cadence_runs r ON r.id = f.run JOIN cadences c ON c.id = r.cadence_id
ORDER BY c.codigo, f.at, r.lead_id;

-- "a rule for days of the week shifts the hour": at 09:00 on weekdays, looked at on Saturday, it went on Monday at 18:13
SELECT cadence('days', '[{"dias": [1,2,3,4,5], "das": "00:00", "ate": "24:00"}]'), step('days', 1, 0, '09:00');
SELECT cadence('hours', '[{"dias": [1,2,3,4,5], "das": "08:00", "ate": "18:00"}]'), step('hours', 1, 0, '09:00');
SELECT cadence('working'), step('working', 1, 0, '09:00', true), step('working', 2, 2880, '09:00', true), step('working', 3, 1440, NULL, true);
SELECT cadence_enroll('ana', c, saturday('8:13')) IS NOT NULL AS enrolled FROM unnest('{days,hours,working}'::text[]) AS c;
TABLE leaves;
-- an hour that is outside the window, and one that is over when it opens
UPDATE cadence_steps SET horario = '19:00' WHERE cadence_id = (SELECT id FROM cadences WHERE codigo = 'hours');
TABLE leaves;
UPDATE cadence_steps SET horario = '07:00' WHERE cadence_id = (SELECT id FROM cadences WHERE codigo = 'hours');
TABLE leaves;
TRUNCATE cadences CASCADE;

-- "weekdays only" does not hold for the first mail
SELECT cadence('first', '[{"dias": [1,2,3,4,5], "das": "08:00", "ate": "18:00"}]'), step('first', 1, 0), step('first', 2, 5760);
SELECT cadence_enroll('ana', 'first', saturday('12:00')) IS NOT NULL AS enrolled;
TABLE leaves;
TRUNCATE cadences CASCADE;

-- all of a series at once, since each counted from the enrolment, or from when it was looked at
SELECT cadence('series', '[{"dias": [1,2,3,4,5], "das": "08:00", "ate": "18:00"}]');
SELECT step('series', n, CASE n WHEN 1 THEN 0 ELSE 1440 END) FROM generate_series(1, 4) AS n;
SELECT cadence_enroll('ana', 'series', saturday('-29:00')) IS NOT NULL AS enrolled;
TABLE leaves;
TRUNCATE cadences CASCADE;

-- São Paulo one hour early, in December: daylight saving time that there is no more; and times that are taken for UTC
SELECT cadence('summer'), step('summer', 1, 0, '09:00');
SELECT cadence_enroll('ana', 'summer', '2030-12-16 03:00+00') IS NOT NULL AS enrolled;
SELECT next_run_at FROM lead_cadence_runs;
UPDATE lead_contacts SET telefone = '+5592987654321' WHERE lead_id = 'bia';
SELECT cadence_enroll('bia', 'summer', '2030-12-16 04:00+00') IS NOT NULL AS enrolled;
SELECT next_run_at AS manaus FROM lead_cadence_runs WHERE lead_id = 'bia';
TRUNCATE cadences CASCADE;

-- who comes back while under way has two schedules; who may not come back does
SELECT cadence('again', NULL, 'SEMPRE'), step('again', 1, 0), step('again', 2, 1440);
SELECT cadence('once', NULL, 'UMA_VEZ'), step('once', 1, 0);
SELECT cadence_enroll('ana', c, saturday('2 days 9:00')) IS NOT NULL AS enrolled FROM unnest('{again,once}'::text[]) AS c;
SELECT cadence_enroll('ana', 'again', saturday('3 days 12:00')) IS NOT NULL AS enrolled;
SELECT cadence_enroll('ana', 'once', saturday('3 days 12:00'));
TABLE leaves;
SELECT status, count(*) FROM lead_cadence_runs JOIN cadences c ON c.id = cadence_id WHERE codigo = 'again' GROUP BY 1 ORDER BY 1;
TRUNCATE cadences CASCADE;

-- a mail that is added later reaches nobody who was there already
SELECT cadence('later'), step('later', 1, 0);
SELECT cadence_enroll('ana', 'later', saturday('2 days 9:00')) IS NOT NULL AS enrolled;
SELECT cadence_enroll('bia', 'later', saturday('2 days 10:00')) IS NOT NULL AS enrolled;
UPDATE lead_cadence_runs SET status = 'CONCLUIDA', last_step_ordem = 1, next_step_ordem = NULL, next_run_at = NULL,
    passos_enviados = ARRAY(SELECT s.id FROM cadence_steps s) WHERE lead_id = 'bia';
SELECT step('later', 2, 1440);
TABLE leaves;
SELECT cadence_reopen('later');
SELECT lead_id, next_step_ordem AS next, next_run_at - counts_from AS after FROM lead_cadence_runs WHERE lead_id = 'bia';

RESET search_path;
DROP SERVER regress_reports_mail;
DROP EXTENSION cadence_runner CASCADE;
DROP SCHEMA cadence CASCADE;
