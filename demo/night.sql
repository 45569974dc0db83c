-- A night: a cadence whose window opens two hours from now in São Paulo, whatever the time is, and is
-- open for six. Three people are due in Brazil, where it is closed; Inês lives in Lisbon, where it is
-- day.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null ''
SET client_min_messages = warning;

INSERT INTO cadences (empresa, codigo, nome, janela)
SELECT 'TOKENIZA', 'TOKENIZA_RETOMADA', 'Retomada', jsonb_build_array(jsonb_build_object(
    'das', to_char(now() AT TIME ZONE 'America/Sao_Paulo' + interval '2 hours', 'HH24:MI'),
    'ate', to_char(now() AT TIME ZONE 'America/Sao_Paulo' + interval '8 hours', 'HH24:MI')));
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
SELECT id, 1, 0, 'WHATSAPP', 'TOKENIZA_RETOMADA' FROM cadences WHERE codigo = 'TOKENIZA_RETOMADA';
INSERT INTO message_templates (empresa, canal, codigo, conteudo)
VALUES ('TOKENIZA', 'WHATSAPP', 'TOKENIZA_RETOMADA',
        'Oi, {{primeiro_nome}}! Retomando a nossa conversa: quer ver as ofertas desta semana?');

-- A number's area code tells the zone: 92 is Manaus. Inês has kept her number, but her contact says
-- where she is.
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, fuso_horario) VALUES
    ('lead-021', 'TOKENIZA', 'Sílvia Prado', '+55 11 90000-0021', NULL),
    ('lead-022', 'TOKENIZA', 'Davi Moura', '+55 11 90000-0022', NULL),
    ('lead-023', 'TOKENIZA', 'Jaci Tukano', '+55 92 90000-0023', NULL),
    ('lead-024', 'TOKENIZA', 'Inês Carvalho', '+55 11 90000-0024', 'Europe/Lisbon');

CREATE TEMP TABLE night AS
SELECT c.lead_id, c.nome, cadence_enroll(c.lead_id, 'TOKENIZA_RETOMADA') AS run,
       CASE c.lead_id WHEN 'lead-023' THEN 'America/Manaus' WHEN 'lead-024' THEN 'Europe/Lisbon'
            ELSE 'America/Sao_Paulo' END AS zone
FROM lead_contacts c WHERE c.lead_id BETWEEN 'lead-021' AND 'lead-024';

\echo 'Four are due. The window, in each one''s own time:'
SELECT 'from ' || (janela -> 0 ->> 'das') || ' to ' || (janela -> 0 ->> 'ate') AS janela
FROM cadences WHERE codigo = 'TOKENIZA_RETOMADA';

\echo 'What cadence_preview() says of Sílvia''s and of Inês'' message:'
SELECT n.nome AS contact, p ->> 'espera_por' AS "waits for",
       to_char((p ->> 'espera_ate')::timestamptz AT TIME ZONE n.zone, 'HH24:MI:SS')
           AS "until (there)",
       p ->> 'mensagem' AS message
FROM night n, cadence_preview(n.run) AS p WHERE n.lead_id IN ('lead-021', 'lead-024')
ORDER BY n.lead_id;

SELECT cadence_run('MANUAL') \g /dev/null

\echo 'After one execution:'
SELECT n.nome AS contact, n.zone, to_char(now() AT TIME ZONE n.zone, 'HH24:MI') AS "now (there)",
       r.status, to_char(r.next_run_at AT TIME ZONE n.zone, 'HH24:MI:SS') AS "leaves at (there)",
       (SELECT m.estado FROM lead_messages m WHERE m.run_id = r.id) AS message
FROM night n JOIN lead_cadence_runs r ON r.id = n.run ORDER BY n.lead_id;

\echo 'Why Jaci''s has not left (cadence_why_not):'
SELECT w.blocked_by, to_char(w.clears_at AT TIME ZONE n.zone, 'HH24:MI:SS') AS "until (there)",
       w.explanation
FROM night n, cadence_why_not(n.run) AS w WHERE n.lead_id = 'lead-023';

-- Said above, and so it has to be.
DO $$
DECLARE
    opens time := (SELECT janela -> 0 ->> 'das' FROM cadences WHERE codigo = 'TOKENIZA_RETOMADA');
    sent text[] := (
        SELECT array_agg(n.lead_id) FROM lead_messages m JOIN night n ON n.run = m.run_id);
    waiting int := (
        SELECT count(*) FROM lead_cadence_runs r JOIN night n ON n.run = r.id
        WHERE r.status = 'ATIVA' AND r.next_run_at > now()
          -- it may open after midnight
          AND (extract(epoch FROM (r.next_run_at AT TIME ZONE n.zone)::time - opens)::int + 86400)
              % 86400 BETWEEN 0 AND 600);
BEGIN
    IF sent IS DISTINCT FROM '{lead-024}' OR waiting <> 3 THEN
        RAISE EXCEPTION 'sent: %, waiting until it opens: %', sent, waiting;
    END IF;
END $$;
