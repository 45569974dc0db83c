-- One cadence of one step.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE EXTENSION cadence_runner;
SELECT cadence_create_tables();
CREATE SERVER whatsapp FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url :'url');
INSERT INTO cadences (empresa, codigo, nome) VALUES ('ACME', 'HELLO', 'Hello');
INSERT INTO message_templates (empresa, canal, codigo, conteudo)
VALUES ('ACME', 'WHATSAPP', 'HELLO', 'Olá {{primeiro_nome}}, aqui é da {{empresa}}.');
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
SELECT id, 1, 0, 'WHATSAPP', 'HELLO' FROM cadences;
