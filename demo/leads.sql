-- The people of a CSV file, checked already and read from standard input, enrolled as new leads.

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

CREATE TEMP TABLE people (lead_id text, nome text, email text, telefone text);
\copy people FROM pstdin WITH (FORMAT csv)

INSERT INTO lead_contacts (lead_id, empresa, nome, email, telefone)
SELECT lead_id, 'TOKENIZA', nome, email, telefone FROM people;

SELECT count(cadence_enroll(lead_id, 'TOKENIZA_INBOUND_LEAD_NOVO')) FROM people \g /dev/null
