-- One execution, and its answer as tables.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null ''

SELECT cadence_run('MANUAL') AS answer \gset

\echo
\echo 'What cadence_run answered:'
SELECT total, success AS sent, errors, skipped, duration_ms AS "ms", trigger_source AS trigger
FROM jsonb_to_record((:'answer')::jsonb -> 'summary')
    AS s (total int, success int, errors int, skipped int, duration_ms int, trigger_source text);

SELECT r."leadId" AS lead, r."stepOrdem" AS step, r."templateCodigo" AS template, r.status,
       left(regexp_replace(coalesce(r.erro, r.mensagem), '\s+', ' ', 'g'), 60) AS "message or error"
FROM jsonb_to_recordset((:'answer')::jsonb -> 'results')
    AS r ("leadId" text, "stepOrdem" int, "templateCodigo" text, status text, mensagem text,
          erro text)
ORDER BY r.status = 'ERRO', r."leadId"
LIMIT 30;
