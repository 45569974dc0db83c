-- The calls of webhooks.py, each as the HTTP server in front would pass it on.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off

CREATE TEMP TABLE calls
    (what text, server text, headers jsonb, body text, n int GENERATED ALWAYS AS IDENTITY);
\copy calls (what, server, headers, body) FROM pstdin WITH (FORMAT csv)

\echo 'What cadence_receive answered to the providers:'
SELECT c.what, c.server, a.status
FROM calls AS c, cadence_receive(c.server, 'POST', c.headers, '', convert_to(c.body, 'UTF8')) AS a
ORDER BY c.n;
