-- A dozen people of the sample, each enrolled in the cadence that fits. Some are there to show what
-- goes wrong: one has no telephone, one has opted out, and one has reached the step whose template
-- is switched off. One has written to us (the stand-in for Meta is told so, too).

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

CREATE TEMP TABLE people
    (cadence text, lead_id text, nome text, primeiro_nome text, email text, telefone text);
INSERT INTO people VALUES
    ('TOKENIZA_INBOUND_LEAD_NOVO', 'lead-001', 'Ana Beatriz de Souza', 'Ana',
     'ana.beatriz@example.com', '+55 11 90000-0001'),
    ('TOKENIZA_INBOUND_LEAD_NOVO', 'lead-002', 'João Pedro Lima', NULL,
     'joao.pedro@example.com', '+55 21 90000-0002'),
    ('TOKENIZA_INBOUND_LEAD_NOVO', 'lead-003', 'Maria das Graças Nogueira', 'Graça',
     'graca.nogueira@example.com', NULL),
    ('TOKENIZA_INBOUND_LEAD_NOVO', 'lead-004', NULL, NULL,
     'contato@example.com', '+55 31 90000-0004'),
    ('TOKENIZA_MQL_QUENTE', 'lead-005', 'Fernanda Albuquerque', 'Fernanda',
     'fernanda@example.com', '+55 81 90000-0005'),
    ('TOKENIZA_MQL_QUENTE', 'lead-006', 'Luiz Gustavo Pereira', 'Luiz',
     'luiz.gustavo@example.com', '+55 41 90000-0006'),
    ('TOKENIZA_MQL_QUENTE', 'lead-007', 'Camila d''Ávila', 'Camila',
     'camila@example.com', '+55 51 90000-0007'),
    ('BLUE_INBOUND_LEAD_NOVO', 'lead-008', 'Rafael Monteiro', 'Rafael',
     'rafael.monteiro@example.com', '+55 61 90000-0008'),
    ('BLUE_INBOUND_LEAD_NOVO', 'lead-009', 'Patrícia Gonçalves', NULL,
     'patricia@example.com', NULL),
    ('BLUE_INBOUND_LEAD_NOVO', 'lead-010', 'José Francisco da Conceição', 'Zé',
     'jose.francisco@example.com', '+55 71 90000-0010'),
    ('BLUE_IR_URGENTE', 'lead-011', 'Larissa Teixeira', 'Larissa',
     'larissa@example.com', '+55 85 90000-0011'),
    ('BLUE_IR_URGENTE', 'lead-012', 'Otávio Ramos', 'Otávio',
     'otavio@example.com', '+55 48 90000-0012');

INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, email, telefone)
SELECT p.lead_id, c.empresa, p.nome, p.primeiro_nome, p.email, p.telefone
FROM people p JOIN cadences c ON c.codigo = p.cadence;

SELECT count(cadence_enroll(lead_id, cadence)) AS enrolled FROM people \g /dev/null

UPDATE lead_contacts SET opt_out = true, opt_out_em = now(), opt_out_motivo = 'Pediu para sair'
WHERE lead_id = 'lead-006';

-- Otávio was enrolled an hour ago and got his first message then.
UPDATE lead_cadence_runs
SET last_step_ordem = 1, next_step_ordem = 2, started_at = now() - interval '1 hour'
WHERE lead_id = 'lead-012';

-- Two are further on already. Camila was enrolled a day ago and got her first two messages then: the
-- mail is due. José got his mail yesterday, and has not written: to him goes an approved template.
UPDATE lead_cadence_runs
SET last_step_ordem = 2, next_step_ordem = 3, started_at = now() - interval '1 day'
WHERE lead_id = 'lead-007';
UPDATE lead_cadence_runs
SET last_step_ordem = 1, next_step_ordem = 2, started_at = now() - interval '1 day'
WHERE lead_id = 'lead-010';

-- Larissa asked something an hour before she was enrolled: she may get free text.
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, recebido_em)
VALUES ('lead-011', 'BLUE', 'WHATSAPP', 'INBOUND', 'Oi! Vocês declaram criptoativos?',
        now() - interval '1 hour');
