-- Somebody new, to whom WhatsApp lets this number open no chat: its error 463.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
SET client_min_messages = warning;

INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, telefone)
VALUES ('lead-013', 'TOKENIZA', 'Bruno Carvalho', 'Bruno', '+55 11 90000-0013');
SELECT cadence_enroll('lead-013', 'TOKENIZA_INBOUND_LEAD_NOVO') \g /dev/null
SELECT cadence_run('MANUAL') \g /dev/null
