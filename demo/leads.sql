-- The people of a CSV file, checked already and read from standard input, enrolled as new leads: all
-- of them or none.

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

BEGIN;
CREATE TEMP TABLE people
    (lead_id text, nome text, email text, telefone text, n int GENERATED ALWAYS AS IDENTITY)
    ON COMMIT DROP;
\copy people (lead_id, nome, email, telefone) FROM pstdin WITH (FORMAT csv)
CREATE INDEX ON people (n);
ANALYZE people;

INSERT INTO lead_contacts (lead_id, empresa, nome, email, telefone)
SELECT lead_id, 'TOKENIZA', nome, email, telefone FROM people;

-- so many at a time, to say how far it is
\pset format unaligned
\pset tuples_only on
SELECT format($$
    SELECT format('%%s of %2$s enrolled', %1$s - 1 + count(cadence_enroll(lead_id, 'TOKENIZA_INBOUND_LEAD_NOVO')))
    FROM people WHERE n BETWEEN %1$s AND %1$s + 9999 $$, first, total)
FROM (SELECT count(*) AS total FROM people) AS p, generate_series(1, total, 10000) AS first \gexec
COMMIT;
