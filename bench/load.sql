-- Due runs of one cadence with three steps, each with a contact of its own.
--
--   psql -v runs=20000 -v spread='1 ms' -v url=http://127.0.0.1:8099/send -f load.sql

\set ON_ERROR_STOP on

SET SESSION AUTHORIZATION crm;

CREATE SERVER whatsapp FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'WHATSAPP', url :'url');
CREATE USER MAPPING FOR crm SERVER whatsapp
    OPTIONS (bearer_token 'bench-token-0123456789abcdef');

INSERT INTO cadences (empresa, codigo, nome, canal_principal)
VALUES ('ACME', 'INBOUND', 'Leads inbound', 'WHATSAPP');

INSERT INTO message_templates (empresa, canal, codigo, nome, conteudo)
SELECT 'ACME', 'WHATSAPP', 'INBOUND_D' || d, 'Inbound, dia ' || d,
       'Olá {{primeiro_nome}}, tudo bem? Aqui é da {{empresa}}. Recebemos o seu contato e queremos '
       'entender melhor o que você procura. Podemos conversar hoje? Se preferir, responda com o '
       'melhor horário.'
FROM unnest(ARRAY[0, 1, 3]) AS d;

INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
SELECT c.id, s.ordem, s.offset_minutos, 'WHATSAPP', s.template_codigo
FROM cadences AS c
CROSS JOIN (VALUES (1, 0, 'INBOUND_D0'), (2, 1440, 'INBOUND_D1'), (3, 2880, 'INBOUND_D3'))
    AS s (ordem, offset_minutos, template_codigo);

INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, email, telefone)
SELECT 'lead-' || n, 'ACME', 'Maria de Souza ' || n, 'Maria', 'maria' || n || '@example.com',
       '+55119' || lpad(n::text, 8, '0')
FROM generate_series(1, :runs) AS n;

-- due one after the other, in an order that has nothing to do with their ids; with a spread of 0 all
-- at one instant, as a bulk enrolment leaves them: then they are found in the order of their ids
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'lead-' || n, 'ACME', c.id, 1, now() - interval '1 day' + n * interval :'spread'
FROM cadences AS c, generate_series(1, :runs) AS n;
