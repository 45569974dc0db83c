-- Grown tables: runs that are not due, each with the step behind it that its message and its events
-- tell of, and a contact of its own. Indexes and constraints are what cadence_create_tables() has
-- made, taken away while the rows are loaded.
--
--   psql -v runs=10000000 -f grown.sql      after load.sql with runs=0, and with wal_level = minimal

\set ON_ERROR_STOP on

CREATE TEMP TABLE taken_away AS
SELECT 1 AS rank, format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS again,
       format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS away
FROM pg_constraint
WHERE contype = 'f' AND conrelid IN ('lead_cadence_events'::regclass, 'lead_messages'::regclass, 'lead_cadence_runs'::regclass)
UNION ALL
SELECT 0, format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)),
       format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
FROM pg_constraint
WHERE contype IN ('p', 'u') AND conrelid IN ('lead_cadence_events'::regclass, 'lead_messages'::regclass,
                                             'lead_cadence_runs'::regclass, 'lead_contacts'::regclass)
UNION ALL
SELECT 0, pg_get_indexdef(i.indexrelid), format('DROP INDEX %s', i.indexrelid::regclass)
FROM pg_index i
WHERE i.indrelid IN ('lead_cadence_events'::regclass, 'lead_messages'::regclass,
                     'lead_cadence_runs'::regclass, 'lead_contacts'::regclass)
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'));

-- whatever wakes a worker for each row is of no use here
ALTER TABLE lead_cadence_runs DISABLE TRIGGER USER;
SELECT away FROM taken_away ORDER BY rank DESC \gexec

BEGIN;
TRUNCATE lead_contacts, lead_cadence_runs, lead_cadence_events, lead_messages;
INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, email, telefone)
SELECT 'lead-' || n, 'ACME', 'Maria de Souza ' || n, 'Maria', 'maria' || n || '@example.com',
       '+55119' || lpad(n::text, 8, '0')
FROM generate_series(1, :runs) AS n;

-- due in some order within the next thirty days, and not before the benchmark is over
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, last_step_ordem, next_step_ordem, next_run_at)
SELECT 'lead-' || n, 'ACME', c.id, 1, 2, now() + interval '1 day' + random() * interval '30 days'
FROM cadences AS c, generate_series(1, :runs) AS n;

INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
SELECT r.id, e.ordem, e.template, e.tipo, e.detalhes::jsonb, r.created_at
FROM lead_cadence_runs AS r
CROSS JOIN (VALUES
    (1, 'INBOUND_D0', 'DISPARADO', '{"canal": "WHATSAPP", "provedor": "whatsapp", "tentativa": 1, "chave": "5c3b9a0e-7f0d-5a3e-8a51-0d6f5b0c9a77", "http_status": 200, "duracao_ms": 4, "message_id": "m-1"}'),
    (2, 'INBOUND_D1', 'AGENDADO', '{"next_run_at": "2026-01-01T00:00:00.000000+00:00"}'))
    AS e(ordem, template, tipo, detalhes);

INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, estado, enviado_em, run_id, step_ordem, template_codigo, whatsapp_message_id)
SELECT r.lead_id, r.empresa, 'WHATSAPP', 'OUTBOUND', t.conteudo, 'ENVIADO', r.created_at, r.id, 1, t.codigo, 'm-1'
FROM lead_cadence_runs AS r
JOIN message_templates AS t ON t.codigo = 'INBOUND_D0';
COMMIT;

SELECT again FROM taken_away ORDER BY rank \gexec
ALTER TABLE lead_cadence_runs ENABLE TRIGGER USER;
ANALYZE;
