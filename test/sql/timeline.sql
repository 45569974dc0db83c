--
-- cadence_timeline(): one person's story.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
INSERT INTO cadences (id, empresa, codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'QUENTE'), ('c0000000-0000-0000-0000-000000000002', 'BLUE', 'FRIA'),
    ('c0000000-0000-0000-0000-000000000003', 'GOLD', 'OURO');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA'), ('c0000000-0000-0000-0000-000000000001', 2, 'EMAIL', 'TUDO_BEM'),
    ('c0000000-0000-0000-0000-000000000001', 5, 'SMS', 'TCHAU'), ('c0000000-0000-0000-0000-000000000002', 1, 'SMS', 'OI'),
    ('c0000000-0000-0000-0000-000000000003', 1, 'SMS', 'OI');
CREATE FUNCTION pg_temp.story(lead text, company text DEFAULT 'BLUE')
RETURNS TABLE (at text, what text, cadence text, run text, step int, canal text, template text, detail text) LANGUAGE sql AS $$
    SELECT to_char(t.at, 'MM-DD HH24:MI'), t.what, t.cadence, right(t.run::text, 1), t.step, t.canal, t.template, t.detail
    FROM cadence_timeline(lead, company) WITH ORDINALITY AS t ORDER BY t.ordinality
$$;

-- one who has had everything
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, opt_out, opt_out_em, opt_out_motivo) VALUES
    ('ana', 'BLUE', 'Ana', '+5511987654321', true, '2026-05-20 10:00Z', 'pediu por telefone');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at, created_at, updated_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'CONCLUIDA', NULL, NULL, '2026-05-01 09:00Z', '2026-05-05 09:00Z'),
    ('a0000000-0000-0000-0000-000000000002', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000002', 'CANCELADA', 1, NULL, '2026-05-06 09:00Z', '2026-05-06 12:00Z'),
    ('a0000000-0000-0000-0000-000000000003', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000002', 'PAUSADA', 1, '2026-05-07 10:00Z', '2026-05-07 09:00Z', '2026-05-07 09:30Z'),
    ('a0000000-0000-0000-0000-000000000004', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'ATIVA', 3, '2026-05-30 09:00Z', '2026-05-19 09:00Z', '2026-05-19 09:00Z'),
    ('a0000000-0000-0000-0000-000000000005', 'ana', 'GOLD', 'c0000000-0000-0000-0000-000000000003', 'ATIVA', 1, '2026-05-02 09:00Z', '2026-05-01 09:00Z', '2026-05-01 09:00Z'),
    ('a0000000-0000-0000-0000-000000000006', 'bia', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'ATIVA', 1, '2026-05-02 09:00Z', '2026-05-01 09:00Z', '2026-05-01 09:00Z');
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'AGENDADO', '{"next_run_at": "2026-05-01T09:00:00+00:00"}', '2026-05-01 09:00Z'),
    ('a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'ERRO', '{"codigo": "FALHA_ENVIO", "erro": "connection refused", "canal": "WHATSAPP", "proxima_tentativa": "2026-05-01T09:15:00+00:00"}', '2026-05-01 09:01Z'),
    ('a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'ERRO', '{"codigo": "INCERTO", "erro": "no answer", "canal": "WHATSAPP"}', '2026-05-01 09:15Z'),
    ('a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'DISPARADO', '{"provedor": "zap", "message_id": "wamid.1"}', '2026-05-01 09:30Z'),
    ('a0000000-0000-0000-0000-000000000001', 2, 'TUDO_BEM', 'AGENDADO', '{"next_run_at": "2026-05-02T09:30:00+00:00"}', '2026-05-01 09:30:01Z'),
    ('a0000000-0000-0000-0000-000000000001', 2, 'TUDO_BEM', 'ERRO', '{"codigo": "VENCIDO", "erro": "the step''s validade is over"}', '2026-05-04 09:30Z'),
    ('a0000000-0000-0000-0000-000000000001', 5, 'TCHAU', 'ERRO', '{"codigo": "RETIDO", "erro": "held", "message_id": "SM1"}', '2026-05-04 10:00Z'),
    ('a0000000-0000-0000-0000-000000000001', 5, 'TCHAU', 'DISPARADO', '{"message_id": "SM1"}', '2026-05-05 09:00Z'),
    ('a0000000-0000-0000-0000-000000000002', 1, 'OI', 'ERRO', '{"codigo": "CANCELADA", "erro": "the run was cancelled", "motivo": "já comprou", "permanente": true}', '2026-05-06 12:00Z'),
    ('a0000000-0000-0000-0000-000000000004', 1, 'OLA', 'ERRO', '{"codigo": "PULADO", "erro": "cliente VIP"}', '2026-05-19 09:01Z'),
    ('a0000000-0000-0000-0000-000000000004', 2, 'TUDO_BEM', 'DISPARADO', '{"message_id": "<1@blue>"}', '2026-05-19 09:02Z'),
    ('a0000000-0000-0000-0000-000000000004', NULL, NULL, 'RESPOSTA_DETECTADA', '{"codigo": "RESPOSTA", "canal": "EMAIL"}', '2026-05-19 12:00Z'),
    ('a0000000-0000-0000-0000-000000000006', 1, 'OLA', 'DISPARADO', '{"message_id": "wamid.1"}', '2026-05-01 09:30Z');
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, enviado_em, entregue_em, lido_em, recebido_em, erro_detalhe, run_id, step_ordem,
                           whatsapp_message_id, email_message_id, sms_message_id, updated_at) VALUES
    ('ana', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'Oi Ana', 'LIDO', '2026-05-01 09:30Z', '2026-05-01 09:31Z', '2026-05-01 10:00Z', NULL, NULL, 'a0000000-0000-0000-0000-000000000001', 1, 'wamid.1', NULL, NULL, '2026-05-01 10:00Z'),
    ('ana', 'BLUE', 'SMS', 'OUTBOUND', 'Tchau Ana', 'ENTREGUE', '2026-05-04 10:00Z', '2026-05-04 10:01Z', NULL, NULL, NULL, 'a0000000-0000-0000-0000-000000000001', 5, NULL, NULL, 'SM1', '2026-05-05 09:00Z'),
    ('ana', 'BLUE', 'EMAIL', 'OUTBOUND', 'Tudo bem?', 'ERRO', '2026-05-19 09:02Z', NULL, NULL, NULL, 'mailbox full', 'a0000000-0000-0000-0000-000000000004', 2, NULL, '<1@blue>', NULL, '2026-05-19 09:05Z'),
    ('ana', 'BLUE', 'WHATSAPP', 'INBOUND', 'quem é?', NULL, NULL, NULL, NULL, '2026-05-01 10:05Z', NULL, 'a0000000-0000-0000-0000-000000000001', 1, 'wamid.in', NULL, NULL, '2026-05-01 10:05Z'),
    ('ana', 'BLUE', 'EMAIL', 'INBOUND', 'agora não', NULL, NULL, NULL, NULL, '2026-05-19 12:00Z', NULL, NULL, NULL, NULL, NULL, NULL, '2026-05-19 12:00Z'),
    ('ana', 'GOLD', 'SMS', 'INBOUND', 'outra empresa', NULL, NULL, NULL, NULL, '2026-05-03 12:00Z', NULL, NULL, NULL, NULL, NULL, NULL, '2026-05-03 12:00Z');
INSERT INTO contact_opt_outs (lead_id, empresa, canal, motivo, origem, em) VALUES
    ('ana', 'BLUE', 'SMS', 'SAIR', 'sms', '2026-05-18 10:00Z'), ('ana', 'GOLD', NULL, 'SAIR', 'sms', '2026-05-18 10:00Z');
SELECT * FROM pg_temp.story('ana');
-- of each company and of each lead its own
SELECT * FROM pg_temp.story('ana', 'GOLD');
SELECT * FROM pg_temp.story('bia');
SELECT * FROM pg_temp.story('ninguém');
SELECT * FROM pg_temp.story(NULL);
SELECT * FROM pg_temp.story('ana', NULL);

-- what the functions leave behind
SELECT cadence_enroll('caio', 'FRIA', '2026-06-01 09:00Z') AS run \gset
SELECT what, cadence, step, canal, template, detail, at = '2026-06-01 09:00Z' AS at_its_time FROM cadence_timeline('caio', 'BLUE');
SELECT cadence_pause(:'run');
SELECT what, step, detail FROM cadence_timeline('caio', 'BLUE');
SELECT cadence_resume(:'run');
SELECT cadence_opt_out('caio', 'BLUE', 'SMS', 'não quer');
SELECT cadence_cancel(:'run', 'engano');
SELECT what, step, detail FROM cadence_timeline('caio', 'BLUE');
-- one that a worker has, and one that somebody has taken over
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at, claim_id) VALUES
    ('a0000000-0000-0000-0000-000000000007', 'dora', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'ATIVA', 1, now(), gen_random_uuid()),
    ('a0000000-0000-0000-0000-000000000008', 'dora', 'BLUE', 'c0000000-0000-0000-0000-000000000002', 'PAUSADA', 1, now(), NULL);
INSERT INTO lead_cadence_events (lead_cadence_run_id, tipo_evento, detalhes) VALUES
    ('a0000000-0000-0000-0000-000000000008', 'ERRO', '{"codigo": "HUMANO_ASSUMIU", "erro": "somebody has written to the person by hand"}');
SELECT at IS NULL AS no_time, what, cadence, step, canal, detail FROM cadence_timeline('dora', 'BLUE');
-- an answer that has ended a run; details that are no object, and events of others
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, updated_at) VALUES
    ('a0000000-0000-0000-0000-000000000009', 'eva', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'CANCELADA', '2026-05-01 09:00Z');
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes, created_at) VALUES
    ('a0000000-0000-0000-0000-000000000009', 1, 'DISPARADO', '"texto"', '2026-05-01 07:00Z'),
    ('a0000000-0000-0000-0000-000000000009', 1, 'ERRO', NULL, '2026-05-01 08:00Z'),
    ('a0000000-0000-0000-0000-000000000009', 1, 'RESPOSTA_DETECTADA', '{"codigo": "RESPOSTA", "permanente": true}', '2026-05-01 09:00Z');
SELECT what, step, canal, detail FROM cadence_timeline('eva', 'BLUE') WHERE what <> 'enrolled';

-- the caller's rights, whatever is on the search path
CREATE ROLE regress_cadence_reader;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_reader;
SET ROLE regress_cadence_reader;
SELECT count(*) FROM cadence_timeline('ana', 'BLUE');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cadence_timeline(text, text) TO regress_cadence_reader;
SET ROLE regress_cadence_reader;
\set VERBOSITY sqlstate
SELECT count(*) FROM cadence_timeline('ana', 'BLUE');
\set VERBOSITY default
RESET ROLE;
GRANT SELECT ON lead_cadence_runs, lead_cadence_events, lead_messages, contact_opt_outs, lead_contacts, cadences, cadence_steps TO regress_cadence_reader;
CREATE TEMP TABLE lead_cadence_runs (id int);
SET ROLE regress_cadence_reader;
-- no policy lets it see a row
SELECT count(*) FROM cadence_timeline('ana', 'BLUE');
RESET ROLE;
SET search_path = pg_temp, cadence;
SELECT count(*) FROM cadence_timeline('ana', 'BLUE');
DROP TABLE pg_temp.lead_cadence_runs;
SET search_path = cadence;

-- every part of it has an index
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status)
SELECT 'l' || n, 'BLUE', 'c0000000-0000-0000-0000-000000000001', (ARRAY['ATIVA', 'PAUSADA', 'CONCLUIDA', 'CANCELADA'])[n % 4 + 1] FROM generate_series(1, 4000) AS n;
ANALYZE lead_cadence_runs;
SET enable_seqscan = off;
CREATE TABLE plan (line text);
DO $$
DECLARE
    body text := (SELECT replace(replace(prosrc, '$1', '''ana'''), '$2', '''BLUE''') FROM pg_proc WHERE proname = 'cadence_timeline');
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || body LOOP
        INSERT INTO plan VALUES (line);
    END LOOP;
END $$;
SELECT DISTINCT coalesce(substring(line FROM '(?:using|Bitmap Index Scan on) (\w+)'), line) COLLATE "C" AS scan
FROM plan WHERE line ~ 'Seq Scan|Index.* Scan' ORDER BY 1;
RESET enable_seqscan;

RESET search_path;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_reader;

-- an adopted installation: enums, other text types
CREATE SCHEMA crm;
CREATE EXTENSION cadence_runner SCHEMA crm;
SET search_path = crm;
CREATE TYPE empresa_tipo AS ENUM ('BLUE', 'GOLD');
CREATE TYPE canal_tipo AS ENUM ('EMAIL', 'WHATSAPP', 'SMS');
CREATE TYPE status_tipo AS ENUM ('PAUSADA', 'ATIVA', 'CONCLUIDA', 'CANCELADA');
CREATE TYPE evento_tipo AS ENUM ('ERRO', 'DISPARADO', 'AGENDADO');
CREATE TYPE direcao_tipo AS ENUM ('INBOUND', 'OUTBOUND');
CREATE TYPE estado_tipo AS ENUM ('ENVIADO', 'ENTREGUE', 'LIDO', 'ERRO');
CREATE TABLE cadences (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), codigo varchar(40), empresa empresa_tipo);
CREATE TABLE cadence_steps (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), cadence_id uuid, ordem smallint, canal canal_tipo, template_codigo varchar(40));
CREATE TABLE lead_contacts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id varchar NOT NULL, empresa empresa_tipo NOT NULL);
CREATE TABLE lead_cadence_runs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id varchar, empresa empresa_tipo, cadence_id uuid, status status_tipo,
    next_step_ordem bigint, created_at timestamptz, updated_at timestamptz);
CREATE TABLE lead_cadence_events (id uuid DEFAULT gen_random_uuid(), lead_cadence_run_id uuid, step_ordem bigint, template_codigo varchar, tipo_evento evento_tipo);
CREATE TABLE lead_messages (id uuid DEFAULT gen_random_uuid(), lead_id varchar, empresa empresa_tipo, canal canal_tipo, direcao direcao_tipo, estado estado_tipo,
    run_id uuid, step_ordem bigint, whatsapp_message_id varchar, recebido_em timestamptz);
SELECT cadence_create_tables();
INSERT INTO cadences (id, codigo, empresa) VALUES ('c0000000-0000-0000-0000-000000000001', 'QUENTE', 'BLUE');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at, created_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'ATIVA', 1, '2026-05-02 09:00Z', '2026-05-01 09:00Z'),
    ('a0000000-0000-0000-0000-000000000002', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'CONCLUIDA', NULL, NULL, '2026-04-01 09:00Z');
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at) VALUES
    ('a0000000-0000-0000-0000-000000000002', 1, 'OLA', 'DISPARADO', '{"message_id": "wamid.1"}', '2026-04-01 09:01Z'),
    ('a0000000-0000-0000-0000-000000000002', 1, 'OLA', 'ERRO', '{"codigo": "RESPOSTA"}', '2026-04-01 09:03Z');
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, run_id, step_ordem, whatsapp_message_id, recebido_em, lido_em) VALUES
    ('ana', 'BLUE', 'WHATSAPP', 'OUTBOUND', 'Oi', 'LIDO', 'a0000000-0000-0000-0000-000000000002', 1, 'wamid.1', NULL, '2026-04-01 09:02Z'),
    ('ana', 'BLUE', 'WHATSAPP', 'INBOUND', 'Olá', NULL, NULL, NULL, 'wamid.2', '2026-04-01 09:03Z', NULL);
SELECT to_char(at, 'MM-DD HH24:MI') AS at, what, cadence, right(run::text, 1) AS run, step, canal, template, detail FROM cadence_timeline('ana', 'BLUE');
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM lead_cadence_runs WHERE lead_id::text = 'ana' AND empresa::text = 'BLUE' AND status <> 'ATIVA' AND status <> 'PAUSADA';
RESET enable_seqscan;
DROP EXTENSION cadence_runner;
RESET search_path;
DROP SCHEMA crm CASCADE;
