-- Due runs of one cadence with three steps, each with a contact of its own; of several companies in
-- turn, each with a cadence of its own: ACME, ACME 2, ACME 3…
--
--   psql -v runs=20000 -v companies=1 -v spread='1 ms' -v url=http://127.0.0.1:8099/send -f load.sql

\set ON_ERROR_STOP on

SET SESSION AUTHORIZATION crm;

CREATE SERVER whatsapp FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'WHATSAPP', url :'url');
CREATE USER MAPPING FOR crm SERVER whatsapp
    OPTIONS (bearer_token 'bench-token-0123456789abcdef');

CREATE TEMP TABLE companies AS
SELECT k AS number, 'ACME' || COALESCE(' ' || NULLIF(k, 1), '') AS empresa,
       'INBOUND' || COALESCE('_' || NULLIF(k, 1), '') AS codigo
FROM generate_series(1, :companies) AS k;

INSERT INTO cadences (empresa, codigo, nome, canal_principal)
SELECT empresa, codigo, 'Leads inbound', 'WHATSAPP' FROM companies;

INSERT INTO message_templates (empresa, canal, codigo, nome, conteudo)
SELECT c.empresa, 'WHATSAPP', 'INBOUND_D' || d, 'Inbound, dia ' || d,
       'Olá {{primeiro_nome}}, tudo bem? Aqui é da {{empresa}}. Recebemos o seu contato e queremos '
       'entender melhor o que você procura. Podemos conversar hoje? Se preferir, responda com o '
       'melhor horário.'
FROM companies AS c, unnest(ARRAY[0, 1, 3]) AS d;

INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
SELECT c.id, s.ordem, s.offset_minutos, 'WHATSAPP', s.template_codigo
FROM cadences AS c
CROSS JOIN (VALUES (1, 0, 'INBOUND_D0'), (2, 1440, 'INBOUND_D1'), (3, 2880, 'INBOUND_D3'))
    AS s (ordem, offset_minutos, template_codigo);

INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, email, telefone)
SELECT 'lead-' || n, c.empresa, 'Maria de Souza ' || n, 'Maria', 'maria' || n || '@example.com',
       '+55119' || lpad(n::text, 8, '0')
FROM generate_series(1, :runs) AS n
JOIN companies AS c ON c.number = (n - 1) % :companies + 1
ORDER BY n;

-- due one after the other, in an order that has nothing to do with their ids; with a spread of 0 all
-- at one instant, as a bulk enrolment leaves them: then they are found in the order of their ids
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'lead-' || n, c.empresa, d.id, 1, now() - interval '1 day' + n * interval :'spread'
FROM generate_series(1, :runs) AS n
JOIN companies AS c ON c.number = (n - 1) % :companies + 1
JOIN cadences AS d ON d.empresa = c.empresa
ORDER BY n;
