--
-- cadence_why_not(): each reason once, alone and with others, with its times.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
-- nobody is there: what is sent fails, and says so
CREATE SERVER regress_why_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');

INSERT INTO cadence_empresas (empresa, nome) VALUES ('BLUE', 'Blue');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'C');
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 0, 'WHATSAPP', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 2, 60, 'EMAIL', 'OLA'),
    ('c0000000-0000-0000-0000-000000000001', 3, 60, 'WHATSAPP', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Olá {{nome}}');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email) VALUES ('ana', 'BLUE', 'Ana', '+5511987654321', 'ana@example.com');

-- the one run, before its first step, due since a minute ago
CREATE PROCEDURE begin_run(step int DEFAULT 1, due timestamptz DEFAULT now() - interval '1 minute', status text DEFAULT 'ATIVA', attempts int DEFAULT 0) LANGUAGE sql AS $$
    DELETE FROM lead_cadence_runs;
    INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, last_step_ordem, next_run_at, status, attempts, updated_at)
    VALUES ('10000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', step, NULLIF(step - 1, 0), due, status, attempts, now() - interval '2 hours');
$$;
CREATE PROCEDURE happened(details jsonb, type text DEFAULT 'ERRO', at timestamptz DEFAULT now() - interval '1 hour') LANGUAGE sql AS $$
    INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
    VALUES ('10000000-0000-0000-0000-000000000001', 1, 'OLA', type, details, at);
$$;
-- times that do not depend on when it is: how far from now, as near as ten minutes
CREATE FUNCTION away(at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN NOT isfinite(at) THEN at::text
                ELSE to_char(round(extract(epoch FROM at - clock_timestamp()) / 600) * 10, 'SFM999990') || ' min' END $$;
CREATE VIEW why AS
    SELECT w.blocked_by, away(w.since) AS since, away(w.clears_at) AS clears,
           regexp_replace(regexp_replace(w.explanation, '\d{4}-\d\d-\d\d \d\d:\d\d', 'TIME', 'g'), 'server regress_why_', 'server ', 'g') AS explanation
    FROM cadence_why_not('10000000-0000-0000-0000-000000000001') AS w;

SELECT * FROM cadence_why_not('10000000-0000-0000-0000-000000000009');
SELECT * FROM cadence_why_not(NULL);

-- nothing looks for due steps; an execution lately is something that does
CALL begin_run();
TABLE why;
INSERT INTO cadence_runner_logs (executed_at) VALUES (now() - interval '3 hours');
TABLE why;
UPDATE cadence_runner_logs SET executed_at = now() - interval '20 minutes';
TABLE why;
-- the switch, and the tables' server
SET cadence_runner.enabled = off;
TABLE why;
RESET cadence_runner.enabled;
UPDATE cadence_arming SET database_oid = '1';
SELECT blocked_by, regexp_replace(explanation, 'one has \d+', 'one has N') AS explanation FROM why;
SELECT cadence_arm();
TABLE why;

-- the run itself
CALL begin_run(status => 'CONCLUIDA');
TABLE why;
CALL begin_run(status => 'CANCELADA');
CALL happened('{"codigo": "CANCELADA", "erro": "the run was cancelled", "motivo": "já comprou", "permanente": true}');
TABLE why;
CALL begin_run(status => 'PAUSADA');
TABLE why;
CALL happened('{"codigo": "RECUSADO", "erro": "no such template", "provedor": "zap", "tentativa": 1, "permanente": true}');
TABLE why;
CALL happened('{"next_run_at": "2026-01-01T09:00:00+00:00"}', 'AGENDADO', now() - interval '50 minutes');
TABLE why;
CALL happened('{"codigo": "HUMANO_ASSUMIU"}', 'RESPOSTA_DETECTADA', now() - interval '40 minutes');
TABLE why;
CALL happened('{"codigo": "INCERTO", "erro": "no answer", "provedor": "zap", "tentativa": 1, "permanente": true}', 'ERRO', now() - interval '30 minutes');
-- what came late is not the last thing that happened
CALL happened('{"codigo": "FALHA_ENVIO", "erro": "late", "tardio": true}', 'ERRO', now() - interval '20 minutes');
TABLE why;
CALL begin_run();
ALTER TABLE lead_cadence_runs DROP CONSTRAINT lead_cadence_runs_status_check;
CALL begin_run(status => 'ESPERA');
TABLE why;
ALTER TABLE lead_cadence_runs ALTER status DROP NOT NULL;
CALL begin_run(status => NULL, due => NULL);
TABLE why;
-- somebody works on it; whoever did, and does not live any more, has left it uncertain
CALL begin_run(due => now() + interval '10 minutes', attempts => 1);
UPDATE lead_cadence_runs SET claim_id = '20000000-0000-0000-0000-000000000001';
INSERT INTO cadence_claims (claim_id, lease_end, claimed_at) SELECT claim_id, next_run_at, now() - interval '10 minutes' FROM lead_cadence_runs;
TABLE why;
UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 minute';
TABLE why;
DELETE FROM cadence_claims;

-- its time
CALL begin_run(due => now() + interval '2 days', step => 3);
TABLE why;
CALL begin_run(due => NULL);
TABLE why;
CALL begin_run(due => 'infinity');
TABLE why;
CALL begin_run(due => '-infinity');
TABLE why;
-- tried again after a failure, put off, uncertain, held for review
CALL begin_run(due => now() + interval '20 minutes', attempts => 3);
CALL happened('{"codigo": "FALHA_ENVIO", "erro": "connection refused", "provedor": "zap", "tentativa": 3}');
TABLE why;
SET cadence_runner.max_attempts = 0;
TABLE why;
RESET cadence_runner.max_attempts;
CALL begin_run(due => now() + interval '20 minutes');
CALL happened('{"codigo": "SEM_CONTATO", "erro": "the lead has no contact in this company"}');
TABLE why;
CALL begin_run(due => now() + interval '20 minutes');
CALL happened(jsonb_build_object('next_run_at', now() + interval '19 minutes'), 'AGENDADO');
TABLE why;
UPDATE lead_cadence_events SET detalhes = jsonb_build_object('next_run_at', now() - interval '1 minute');
TABLE why;
CALL begin_run(due => now() + interval '20 minutes', attempts => 1);
CALL happened('{"codigo": "INCERTO", "erro": "no answer", "provedor": "zap", "tentativa": 1}');
TABLE why;
CALL begin_run(due => now() + interval '20 minutes', attempts => 1);
CALL happened('{"codigo": "RETIDO", "erro": "held", "provedor": "zap", "tentativa": 1}');
TABLE why;

-- what resolves it
CALL begin_run(step => 4);
TABLE why;
CALL begin_run();
ALTER TABLE lead_cadence_runs DROP CONSTRAINT lead_cadence_runs_cadence_id_fkey;
UPDATE lead_cadence_runs SET cadence_id = 'c0000000-0000-0000-0000-000000000009';
TABLE why;
CALL begin_run();
UPDATE cadences SET ativo = false;
TABLE why;
UPDATE cadences SET ativo = true;
UPDATE lead_contacts SET lead_id = 'bia';
TABLE why;
UPDATE lead_contacts SET lead_id = 'ana', telefone = NULL;
TABLE why;
UPDATE message_templates SET ativo = false;
TABLE why;
UPDATE lead_contacts SET telefone = E'+55119876\u200b54321';
TABLE why;
UPDATE lead_contacts SET telefone = '+5511987654321';
TABLE why;
UPDATE message_templates SET ativo = true, conteudo = 'Olá {{apelido}}';
TABLE why;
UPDATE message_templates SET conteudo = 'Olá {{nome}}';
UPDATE lead_contacts SET opt_out = true, opt_out_motivo = 'pediu por telefone';
TABLE why;
UPDATE lead_contacts SET opt_out = false;
SELECT cadence_opt_out('ana', 'BLUE', 'WHATSAPP', 'respondeu SAIR');
SELECT cadence_block('phone', '+5511987654321', 'processo');
TABLE why;
SELECT cadence_opt_in('ana', 'BLUE');
TABLE why;
SELECT cadence_unblock('phone', '+5511987654321');
INSERT INTO cadence_dead_addresses (endereco, canal, empresa, motivo, servidor) VALUES ('+5511987654321', 'WHATSAPP', 'BLUE', 'not on WhatsApp', 'zap');
TABLE why;
DELETE FROM cadence_dead_addresses;
UPDATE cadence_steps SET canal = 'POMBO' WHERE ordem = 1;
TABLE why;
UPDATE cadence_steps SET canal = 'SMS' WHERE ordem = 1;
TABLE why;
UPDATE lead_contacts SET telefone = NULL;
TABLE why;
UPDATE lead_contacts SET telefone = '+5511987654321';
UPDATE cadence_steps SET canal = 'WHATSAPP' WHERE ordem = 1;
-- the server's account is not said
CREATE SERVER regress_why_zapi FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', protocol 'zapi', empresa 'BLUE', instance 'x');
TABLE why;
DROP SERVER regress_why_zapi;

-- policies, in the person's time: it is 01:00 in Sao Paulo at 04:00 UTC
CREATE FUNCTION beside(zone text, minutes int DEFAULT 60) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(jsonb_build_object(
        'das', to_char(now() AT TIME ZONE zone + make_interval(mins => minutes), 'HH24:MI'),
        'ate', to_char(now() AT TIME ZONE zone - make_interval(mins => minutes), 'HH24:MI'))) $$;
UPDATE cadences SET janela = beside('Asia/Tokyo', 90), janela_espalha = '0';
UPDATE lead_contacts SET fuso_horario = 'Asia/Tokyo';
TABLE why;
SELECT to_char(clears_at AT TIME ZONE 'Asia/Tokyo', 'HH24:MI') = janela -> 0 ->> 'das' AS at_the_opening,
       to_char(since AT TIME ZONE 'Asia/Tokyo', 'HH24:MI') = janela -> 0 ->> 'ate' AS since_it_closed,
       explanation = 'outside the window; until ' || to_char(clears_at AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI') || ' Asia/Tokyo' AS explained
FROM cadence_why_not('10000000-0000-0000-0000-000000000001'), cadences;
UPDATE lead_contacts SET fuso_horario = NULL;
-- the first is what an execution says: it goes when all of them let it
UPDATE cadences SET janela = beside('America/Sao_Paulo', 90), max_por_dia = 1;
UPDATE cadence_empresas SET intervalo_minimo = '100 hours';
INSERT INTO cadence_usage (scope, name, empresa, day, used, last_at) VALUES
    ('LEAD', 'ana', 'BLUE', (now() AT TIME ZONE 'America/Sao_Paulo')::date, 2, now() - interval '1 hour'),
    ('CADENCIA', 'c0000000-0000-0000-0000-000000000001', '', (now() AT TIME ZONE 'America/Sao_Paulo')::date, 1, now()),
    ('NOVOS', 'c0000000-0000-0000-0000-000000000001', '', (now() AT TIME ZONE 'America/Sao_Paulo')::date, 7, now()),
    ('EMPRESA', '', 'BLUE', (now() AT TIME ZONE 'America/Sao_Paulo')::date, 12, now());
UPDATE cadences SET max_novos_por_dia = 7;
UPDATE cadence_empresas SET max_por_lead_dia = 2, max_por_dia = 10;
SELECT blocked_by, since, CASE WHEN blocked_by = 'JANELA' THEN 'at an opening' WHEN blocked_by LIKE 'LIMITE%' THEN (SELECT (w.clears_at AT TIME ZONE 'America/Sao_Paulo')::time::text FROM cadence_why_not('10000000-0000-0000-0000-000000000001') w WHERE w.blocked_by = why.blocked_by) ELSE clears END AS clears, explanation FROM why;
-- the same as an execution would be told
SELECT w.blocked_by = p ->> 'espera_por' AS same_reason, w.clears_at = (p ->> 'espera_ate')::timestamptz AS same_time
FROM cadence_preview('10000000-0000-0000-0000-000000000001') AS p, LATERAL (SELECT * FROM cadence_why_not('10000000-0000-0000-0000-000000000001') LIMIT 1) AS w;
DELETE FROM cadence_usage;
UPDATE cadence_empresas SET max_por_lead_dia = NULL, max_por_dia = NULL, intervalo_minimo = NULL;
UPDATE cadences SET max_por_dia = NULL, max_novos_por_dia = NULL, janela = NULL, janela_espalha = NULL;
INSERT INTO cadence_feriados (dia) SELECT (now() AT TIME ZONE 'America/Sao_Paulo')::date;
SELECT blocked_by, (w.since AT TIME ZONE 'America/Sao_Paulo')::time AS since, w.clears_at > now() AS clears FROM cadence_why_not('10000000-0000-0000-0000-000000000001') AS w;
DELETE FROM cadence_feriados;
UPDATE cadence_steps SET validade = '30 minutes';
CALL begin_run(due => now() - interval '50 minutes');
TABLE why;
UPDATE cadence_steps SET validade = NULL;
CALL begin_run();
-- what is no zone, and no window
UPDATE lead_contacts SET fuso_horario = 'America/Sampa';
TABLE why;
UPDATE cadences SET max_por_dia = 100;
TABLE why;
UPDATE cadences SET max_por_dia = NULL;
UPDATE lead_contacts SET fuso_horario = NULL;
ALTER TABLE cadences DISABLE TRIGGER cadence_runner_policy;
UPDATE cadences SET janela = '{}';
TABLE why;
UPDATE cadences SET janela = NULL;
ALTER TABLE cadences ENABLE TRIGGER cadence_runner_policy;
-- the owner's views
CREATE TABLE pedidos (lead text, o_que text);
CREATE VIEW cadence_exits AS SELECT r.id AS run_id, p.o_que AS motivo FROM pedidos p JOIN lead_cadence_runs r ON r.lead_id = p.lead;
TABLE why;
CREATE VIEW cadence_skips AS SELECT id AS run_id, 1 AS ordem, 'já leu'::text AS motivo FROM lead_cadence_runs;
TABLE why;
INSERT INTO pedidos VALUES ('ana', 'comprou');
UPDATE lead_contacts SET telefone = NULL;
TABLE why;
UPDATE lead_contacts SET telefone = '+5511987654321';
DROP VIEW cadence_skips;
DROP VIEW cadence_exits;
CREATE VIEW cadence_exits AS SELECT id AS run_id, (1 / (next_step_ordem - 1))::text AS motivo FROM lead_cadence_runs;
TABLE why;
DROP VIEW cadence_exits;
TABLE why;

-- the sender
SELECT cadence_provider_pause('regress_why_zap', 'manutenção');
TABLE why;
SELECT cadence_provider_resume('regress_why_zap');
INSERT INTO cadence_provider_state (server) VALUES ('regress_why_zap') ON CONFLICT DO NOTHING;
UPDATE cadence_provider_state SET open_since = now() - interval '10 minutes', open_until = now() + interval '10 minutes', open_reason = '401: no credit';
TABLE why;
-- it is the one that tries
UPDATE cadence_provider_state SET open_until = now() - interval '1 minute';
TABLE why;
UPDATE cadence_provider_state SET open_since = NULL, open_until = NULL, new_since = now() - interval '10 minutes', new_until = now() + interval '50 minutes';
TABLE why;
-- who has been written to before is no first touch
CALL begin_run(step => 3);
TABLE why;
UPDATE cadence_provider_state SET new_since = NULL, new_until = NULL, next_at = now() + interval '10 minutes';
TABLE why;
UPDATE cadence_provider_state SET next_at = NULL;
ALTER SERVER regress_why_zap OPTIONS (ADD min_gap '4h', ADD quiet_until_reply 'on');
INSERT INTO cadence_conversations (empresa, lead_id, canal, server, last_sent_at) VALUES ('BLUE', 'ana', 'WHATSAPP', 'regress_why_zap', now() - interval '1 hour');
TABLE why;
ALTER SERVER regress_why_zap OPTIONS (DROP quiet_until_reply);
TABLE why;
DELETE FROM cadence_conversations;
TABLE why;
ALTER SERVER regress_why_zap OPTIONS (DROP min_gap);

-- several at once: in the order in which an execution would meet them
CALL begin_run(status => 'PAUSADA', due => now() + interval '1 day');
UPDATE cadences SET janela = beside('America/Sao_Paulo', 90), janela_espalha = '0';
SELECT cadence_provider_pause('regress_why_zap');
SET cadence_runner.enabled = off;
TABLE why;
RESET cadence_runner.enabled;
SELECT cadence_provider_resume('regress_why_zap');

-- what nothing keeps back is sent, or at least tried: then it says so
UPDATE cadences SET janela = NULL;
CALL begin_run();
TABLE why;
SELECT cadence_run('TEST') -> 'summary' -> 'errors' AS errors;
-- its own words differ
SELECT blocked_by, since, split_part(explanation, '; reason: ', 1) AS explanation FROM why;

-- the right to execute it is not the right to read
CREATE ROLE regress_why_reader;
GRANT USAGE ON SCHEMA cadence TO regress_why_reader;
SET ROLE regress_why_reader;
SELECT * FROM cadence_why_not('10000000-0000-0000-0000-000000000001');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_why_not(uuid) TO regress_why_reader;
SET ROLE regress_why_reader;
SELECT * FROM cadence_why_not('10000000-0000-0000-0000-000000000001');
RESET ROLE;
-- with row level security as for any reader
GRANT SELECT ON ALL TABLES IN SCHEMA cadence TO regress_why_reader;
SET ROLE regress_why_reader;
SELECT * FROM cadence_why_not('10000000-0000-0000-0000-000000000001');
RESET ROLE;
ALTER ROLE regress_why_reader BYPASSRLS;
CREATE VIEW cadence_exits AS SELECT NULL::uuid AS run_id, 'x'::text AS motivo WHERE false;
SET ROLE regress_why_reader;
SELECT * FROM cadence_why_not('10000000-0000-0000-0000-000000000001');
RESET ROLE;
GRANT SELECT ON cadence_exits TO regress_why_reader;
SET ROLE regress_why_reader;
SELECT blocked_by FROM cadence_why_not('10000000-0000-0000-0000-000000000001');
RESET ROLE;
DROP VIEW cadence_exits;
-- STABLE: not in a transaction's way
BEGIN READ ONLY;
SELECT blocked_by FROM cadence_why_not('10000000-0000-0000-0000-000000000001');
COMMIT;
SELECT count(*) FILTER (WHERE mode <> 'AccessShareLock') AS other_locks FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation >= 16384;

-- cadence_health() has what never lets anything through
CREATE VIEW cadence_skips AS SELECT 1 AS run_id;
ALTER TABLE cadences DISABLE TRIGGER cadence_runner_policy;
ALTER TABLE cadence_empresas DISABLE TRIGGER cadence_runner_policy;
UPDATE cadences SET janela = '[]';
UPDATE cadences SET max_por_dia = 0;
UPDATE cadence_empresas SET fuso_horario = 'America/Sampa', janela = '[{"das": "25:00"}]';
SELECT r FROM cadence_health(), unnest(reasons) AS r WHERE r !~ 'resident|overdue|trigger';

RESET search_path;
DROP SCHEMA cadence CASCADE;
DROP OWNED BY regress_why_reader;
DROP ROLE regress_why_reader;
