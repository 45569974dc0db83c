-- What the cadences did with what came back.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null ''

\echo 'What became of their runs:'
SELECT r.lead_id AS lead, c.primeiro_nome AS contact, r.status, e.events,
       CASE WHEN r.status = 'ATIVA'
            THEN to_char(justify_hours(r.next_run_at - now() + interval '30 seconds'),
                         'DD"d" HH24"h" MI"min"') END AS "due in"
FROM lead_cadence_runs AS r
JOIN lead_contacts AS c ON c.lead_id = r.lead_id AND c.empresa = r.empresa
CROSS JOIN LATERAL (
    SELECT string_agg(concat_ws(' ', e.tipo_evento, e.detalhes ->> 'codigo'), ', '
                      ORDER BY e.created_at, e.tipo_evento) AS events
    FROM lead_cadence_events AS e
    WHERE e.lead_cadence_run_id = r.id AND e.tipo_evento NOT IN ('DISPARADO', 'AGENDADO')) AS e
WHERE r.lead_id IN ('lead-001', 'lead-005', 'lead-011', 'lead-013')
ORDER BY r.lead_id;

\echo 'Their messages:'
SELECT m.lead_id AS lead, m.direcao AS direction, m.estado AS state,
       left(regexp_replace(m.conteudo, '\s+', ' ', 'g'), 50) AS message
FROM lead_messages AS m
WHERE m.lead_id IN ('lead-001', 'lead-005', 'lead-011', 'lead-013')
ORDER BY m.lead_id, coalesce(m.recebido_em, m.enviado_em);

\echo 'Who wants no more (contact_opt_outs):'
SELECT lead_id AS lead, canal AS channel, motivo AS reason, origem AS source FROM contact_opt_outs;

\echo 'What cadence_health() says of it:'
SELECT ok, unnest(reasons) AS reason FROM cadence_health();
