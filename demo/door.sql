-- Whoever serves HTTP has one right, and knows no secret. What may be done is said by a request's:
-- those are made here, and said this once.

\ir ../door/role.sql
SET SESSION AUTHORIZATION crm;
SELECT cadence_secret_set('cron'), cadence_secret_set('metrics'), cadence_secret_set('people');
