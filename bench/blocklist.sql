-- A blocklist of so many addresses, none of which is a lead's, made by the list's own key.
--
--   psql -v entries=10000000 -f blocklist.sql

\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET work_mem = '256MB';

SELECT cadence_block('phone', '+5521900000000', 'bench');

INSERT INTO cadence_blocklist (kind, value_hash, empresa, reason, source)
SELECT 'phone', substr(sha256(n::text::bytea), 1, 12) || key, '', 'bench', 'bench'
FROM generate_series(2, :entries) AS n,
     (SELECT substr(value_hash, 13) AS key FROM cadence_blocklist) AS made
ORDER BY 2;
