-- Whoever serves HTTP has one right, and knows no secret. What may be done is said by a request's.

\set ON_ERROR_STOP on

CREATE ROLE cadence_door LOGIN;
GRANT EXECUTE ON FUNCTION cadence_http(text, text, text, jsonb, bytea, inet) TO cadence_door;
SET SESSION AUTHORIZATION crm;
SELECT cadence_secret_set('cron', :'cron'), cadence_secret_set('metrics', :'metrics'), cadence_secret_set('people', :'people')
\g /dev/null
