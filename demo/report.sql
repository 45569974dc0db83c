-- What the database knows afterwards.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null ''

\echo 'Errors, and why (lead_cadence_events):'
SELECT r.lead_id AS lead, c.nome AS contact, e.step_ordem AS step, e.template_codigo AS template,
       coalesce(e.detalhes ->> 'erro', e.detalhes ->> 'motivo', e.detalhes::text) AS reason
FROM lead_cadence_events e
JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
LEFT JOIN lead_contacts c ON c.lead_id = r.lead_id AND c.empresa = r.empresa
WHERE e.tipo_evento = 'ERRO'
ORDER BY r.lead_id
LIMIT 30;

\echo 'What comes next (lead_cadence_runs):'
SELECT r.lead_id AS lead, ca.codigo AS cadence, r.status, s.ordem AS step, s.canal AS channel,
       s.template_codigo AS template,
       CASE WHEN r.status = 'ATIVA'
            THEN to_char(justify_hours(r.next_run_at - now() + interval '30 seconds'),
                         'DD"d" HH24"h" MI"min"') END AS "due in"
FROM lead_cadence_runs r
JOIN cadences ca ON ca.id = r.cadence_id
LEFT JOIN cadence_steps s ON s.cadence_id = r.cadence_id AND s.ordem = r.next_step_ordem
ORDER BY r.lead_id
LIMIT 30;

\echo 'The execution''s row in cadence_runner_logs:'
SELECT to_char(executed_at, 'YYYY-MM-DD HH24:MI:SS') AS executed, trigger_source AS trigger,
       runs_touched AS touched, steps_executed AS sent, errors, duration_ms AS "ms"
FROM cadence_runner_logs
ORDER BY executed_at DESC
LIMIT 5;

\echo 'The job that pg_cron runs from now on:'
SELECT jobname AS job, schedule, command, database, username AS role, active FROM cron.job;
