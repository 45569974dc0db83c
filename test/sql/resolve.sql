--
-- Which rows count for a step, how their keys compare, and what of their
-- values is read.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
-- however often it fails, it goes on being asked
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/', breaker_after '0');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', url 'http://127.0.0.1:1/', breaker_after '0');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'ACME', 'OLA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'whatsapp', 'T1'), ('c0000000-0000-0000-0000-000000000001', 2, 'EMAIL', 'T1');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email) VALUES ('l1', 'ACME', 'Ana Souza', '+55 11 1', 'ana@example.com');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'l1', 'ACME', 'c0000000-0000-0000-0000-000000000001', 1, now() + interval '1 day');
DROP INDEX lead_cadence_runs_active_idx;
CREATE FUNCTION shown(step int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$
DECLARE p jsonb;
BEGIN
    UPDATE lead_cadence_runs SET next_step_ordem = step;
    SELECT cadence_preview(id) INTO p FROM lead_cadence_runs ORDER BY id LIMIT 1;
    RETURN concat_ws(' | ', p ->> 'destinatario', p ->> 'mensagem', p ->> 'codigo', left(p ->> 'erro', 100));
END $$;

-- templates: of the step's channel, or of none; active before inactive, then the most recently updated
ALTER TABLE message_templates DROP CONSTRAINT message_templates_empresa_codigo_key, ALTER ativo DROP NOT NULL, ALTER updated_at DROP NOT NULL;
INSERT INTO message_templates (empresa, canal, codigo, conteudo, updated_at) VALUES ('ACME', 'SMS', 'T1', 'sms', now());
SELECT shown(1), shown(2);
INSERT INTO message_templates (empresa, canal, codigo, conteudo, updated_at) VALUES
    ('ACME', 'WhatsApp', 'T1', 'zap', now() - interval '3 days'), ('ACME', 'EMAIL', 'T1', 'mail', now() - interval '2 days');
SELECT shown(1), shown(2);
INSERT INTO message_templates (empresa, codigo, conteudo, updated_at) VALUES ('ACME', 'T1', 'any', now() - interval '1 day');
SELECT shown(1), shown(2);
UPDATE message_templates SET ativo = false, updated_at = now() WHERE conteudo IN ('any', 'mail');
SELECT shown(1), shown(2);
UPDATE message_templates SET updated_at = NULL WHERE conteudo = 'zap';
INSERT INTO message_templates (empresa, canal, codigo, conteudo, ativo, updated_at) VALUES ('ACME', 'EMAIL', 'T1', 'of unknown age', NULL, NULL);
SELECT shown(1), shown(2);
DELETE FROM message_templates WHERE canal = 'EMAIL' OR canal IS NULL;

-- contacts: the most recently updated row
ALTER TABLE lead_contacts DROP CONSTRAINT lead_contacts_lead_id_empresa_key, ALTER updated_at DROP NOT NULL;
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, updated_at) VALUES
    ('l1', 'ACME', 'Older', '2', now() - interval '1 day'), ('l1', 'ACME', 'Unknown', '3', NULL);
SELECT shown(1);
DELETE FROM lead_contacts WHERE nome <> 'Ana Souza';

-- the telephone in E.164 where there is a column for it that is filled; no e-mail that only holds a place
ALTER TABLE lead_contacts ADD telefone_e164 text, ADD email_placeholder boolean;
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('ACME', 'T1', 'Oi {{primeiro_nome}}');
SELECT shown(1), shown(2);
UPDATE lead_contacts SET telefone_e164 = '+55111', email_placeholder = true;
SELECT shown(1), shown(2);
UPDATE lead_contacts SET telefone_e164 = U&'\00A0', email_placeholder = false;
SELECT shown(1), shown(2);
UPDATE lead_contacts SET telefone = NULL;
SELECT shown(1);
UPDATE lead_contacts SET telefone_e164 = '+55111';
SELECT shown(1);
-- a column of that name that is no boolean says no unless it plainly does not
ALTER TABLE lead_contacts ALTER email_placeholder TYPE text;
SELECT shown(2);
UPDATE lead_contacts SET email_placeholder = 'yes';
SELECT shown(2);
UPDATE lead_contacts SET email_placeholder = 'sim';
SELECT shown(2);
UPDATE lead_contacts SET email_placeholder = NULL;
CREATE DOMAIN sim_nao AS boolean;
ALTER TABLE lead_contacts ALTER email_placeholder TYPE sim_nao USING email_placeholder::boolean, ALTER opt_out TYPE sim_nao;
SELECT shown(2);
UPDATE lead_contacts SET email_placeholder = true;
SELECT shown(2);
UPDATE lead_contacts SET opt_out = true;
SELECT shown(1);
UPDATE lead_contacts SET opt_out = false, email_placeholder = false;

-- columns that no placeholder may show
ALTER TABLE lead_contacts ADD cpf text DEFAULT '123', ADD "Renda" text DEFAULT '9';
UPDATE message_templates SET conteudo = '{{cpf}} {{Renda}}';
SELECT shown(2);
SET cadence_runner.hidden_columns = 'outra, CPF';
SELECT shown(2);
SET cadence_runner.hidden_columns = '"Renda"';
SELECT shown(2);
SET cadence_runner.hidden_columns = 'nome';
UPDATE message_templates SET conteudo = '{{lead_nome}}';
SELECT shown(2);
UPDATE message_templates SET conteudo = '{{primeiro_nome}}';
SELECT shown(2);
UPDATE lead_contacts SET primeiro_nome = 'Ana';
SELECT shown(2);
SET cadence_runner.hidden_columns = 'primeiro_nome';
SELECT shown(2);
SET cadence_runner.hidden_columns = 'a b';
RESET cadence_runner.hidden_columns;
UPDATE lead_contacts SET primeiro_nome = NULL;

-- what nobody sees
CREATE FUNCTION visible(t text) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(CASE WHEN c BETWEEN ' ' AND '~' THEN c ELSE format('<%s>', upper(to_hex(ascii(c)))) END, '' ORDER BY n) FROM regexp_split_to_table(t, '') WITH ORDINALITY AS x(c, n) $$;
UPDATE message_templates SET conteudo = U&'({{\00A0primeiro_nome\200B}}) ({{nome}}) ({{ lead_nome}}) ({{cpf}})';
UPDATE lead_contacts SET nome = U&'\FEFF\00A0Maria\00A0Jo\200D\0301 \0085\2003', cpf = U&' \00A01 ', telefone_e164 = U&'\202A+55 111\202C\2028', email = U&'\200Bana@example.com\00A0';
SELECT visible(shown(1)), visible(shown(2));
UPDATE lead_contacts SET nome = U&'\2060', telefone_e164 = U&'+55\00A0111', email = U&'ana\200B@example.com';
SELECT visible(shown(1)), visible(shown(2));
UPDATE lead_contacts SET telefone_e164 = U&'\200E', telefone = U&'+55\0085111', email = U&'\200B';
SELECT visible(shown(1)), visible(shown(2));
UPDATE lead_contacts SET nome = 'Ana Souza', telefone = '+55 11 1', telefone_e164 = NULL, email = 'ana@example.com';

-- lengths
CREATE FUNCTION long(bytes int) RETURNS text LANGUAGE sql AS $$ SELECT repeat('x', bytes) $$;
UPDATE message_templates SET conteudo = 'Oi {{nome}}';
BEGIN;
UPDATE lead_contacts SET telefone = long(1000), email = long(1001);
SELECT left(shown(1), 10), shown(2);
UPDATE lead_contacts SET nome = long(65536);
SELECT length(shown(1));
UPDATE lead_contacts SET nome = long(65537);
SELECT shown(1) = long(1000) || ' | TEMPLATE_INVALIDO | the contact''s "nome" is longer than 65536 bytes';
UPDATE message_templates SET conteudo = 'Oi {{primeiro_nome}}';
SELECT right(shown(1), 60);
UPDATE message_templates SET conteudo = 'Oi {{lead_nome}}';
SELECT right(shown(1), 60);
UPDATE message_templates SET conteudo = 'Oi {{empresa}}';
INSERT INTO cadence_empresas (empresa, nome) VALUES ('ACME', long(65537));
SELECT right(shown(1), 60);
UPDATE message_templates SET conteudo = long(1048576);
SELECT length(shown(1));
UPDATE message_templates SET conteudo = long(1048577);
SELECT right(shown(1), 60);
ROLLBACK;
BEGIN;
-- few bytes that are many when they are written out
ALTER TABLE lead_contacts ADD valores numeric[], ADD valor numeric DEFAULT '1e100000', ADD j jsonb DEFAULT '{"a": 1}';
UPDATE lead_contacts SET valores = array_fill('1e100000'::numeric, ARRAY[3000]);
UPDATE message_templates SET conteudo = '{{j}} {{valor}}';
SELECT shown(1);
UPDATE message_templates SET conteudo = '{{j}} {{valores}}';
SELECT shown(1);
UPDATE message_templates SET conteudo = '{{j}}';
SELECT shown(1);
ROLLBACK;
BEGIN;
UPDATE lead_contacts SET opt_out = true, opt_out_motivo = long(100000);
SELECT shown(1);
ROLLBACK;
BEGIN;
UPDATE cadence_steps SET template_codigo = long(100000);
SELECT shown(1);
UPDATE cadence_steps SET canal = long(100000);
SELECT shown(1);
ROLLBACK;
BEGIN;
DROP INDEX IF EXISTS lead_cadence_runs_lead_idx, lead_contacts_lead_idx;
UPDATE lead_cadence_runs SET lead_id = long(100000);
UPDATE lead_contacts SET lead_id = long(100000);
SELECT shown(1);
ROLLBACK;
BEGIN;
UPDATE lead_cadence_runs SET empresa = long(100000);
UPDATE lead_contacts SET empresa = long(100000);
SELECT shown(1);
ROLLBACK;

-- numbers that ours can not have: a step beyond is none, a run beyond stands behind all steps
BEGIN;
ALTER TABLE cadence_steps ALTER ordem TYPE bigint, ALTER offset_minutos TYPE bigint;
ALTER TABLE lead_cadence_runs ALTER next_step_ordem TYPE bigint, ALTER attempts TYPE bigint;
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 3, 3000000000, 'WHATSAPP', 'T1'), ('c0000000-0000-0000-0000-000000000001', 3000000000, 0, 'WHATSAPP', 'T1');
SELECT shown(2), shown(3), shown(4);
UPDATE lead_cadence_runs SET next_step_ordem = 3000000000, attempts = 3000000000;
SELECT cadence_preview(id) ->> 'codigo' AS codigo FROM lead_cadence_runs;
UPDATE lead_cadence_runs SET next_step_ordem = -3000000000, attempts = -3000000000;
SELECT cadence_preview(id) ->> 'stepOrdem' AS step FROM lead_cadence_runs;
ROLLBACK;

-- keys match as their columns do
UPDATE message_templates SET conteudo = 'Oi {{nome}}';
CREATE FUNCTION keys(key_type text) RETURNS TABLE (as_is text, other text, padded text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE lead_contacts ALTER lead_id TYPE %1$s, ALTER empresa TYPE %1$s', key_type);
    EXECUTE format('ALTER TABLE message_templates ALTER codigo TYPE %1$s, ALTER empresa TYPE %1$s', key_type);
    UPDATE lead_cadence_runs SET lead_id = 'l1', empresa = 'ACME'; UPDATE cadence_steps SET template_codigo = 'T1';
    as_is := shown(1);
    UPDATE lead_cadence_runs SET lead_id = 'L1', empresa = 'Acme'; UPDATE cadence_steps SET template_codigo = 't1';
    other := shown(1);
    UPDATE lead_cadence_runs SET lead_id = 'l1  ', empresa = 'ACME  '; UPDATE cadence_steps SET template_codigo = 'T1 ';
    padded := shown(1);
    UPDATE lead_cadence_runs SET lead_id = 'l1', empresa = 'ACME'; UPDATE cadence_steps SET template_codigo = 'T1';
    RETURN NEXT;
END $$;
CREATE COLLATION cadence.sem_caixa (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE SCHEMA alheio;
CREATE EXTENSION citext SCHEMA alheio;
CREATE DOMAIN chave AS alheio.citext;
SELECT * FROM keys('text COLLATE "C"');
SELECT * FROM keys('varchar(20)');
SELECT * FROM keys('text COLLATE cadence.sem_caixa');
SELECT * FROM keys('alheio.citext');
SELECT * FROM keys('chave');
-- operators that somebody has put in the way
CREATE FUNCTION caught(text, alheio.citext) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
CREATE FUNCTION caught(alheio.citext, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
CREATE FUNCTION caught(chave, alheio.citext) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
CREATE OPERATOR alheio.= (LEFTARG = text, RIGHTARG = alheio.citext, FUNCTION = caught);
CREATE OPERATOR alheio.= (LEFTARG = alheio.citext, RIGHTARG = text, FUNCTION = caught);
CREATE OPERATOR alheio.= (LEFTARG = chave, RIGHTARG = alheio.citext, FUNCTION = caught);
SELECT * FROM keys('chave');
-- a key's index serves
SET enable_seqscan = off;
CREATE INDEX contact_key ON lead_contacts (lead_id);
BEGIN;
SELECT shown(1);
SELECT idx_scan > 0 AS by_index FROM pg_stat_xact_user_tables WHERE relid = 'lead_contacts'::regclass;
ROLLBACK;
RESET enable_seqscan;
-- an execution finds them, too, also when it looks at waiting steps again
SELECT * FROM keys('text COLLATE "C"');
ALTER TABLE lead_cadence_runs ALTER lead_id TYPE text COLLATE "POSIX";
UPDATE lead_cadence_runs SET next_step_ordem = 1, next_run_at = now();
SELECT cadence_run('TEST') #> '{summary,errors}' AS errors;
SELECT detalhes ->> 'codigo' AS codigo FROM lead_cadence_events;

-- values of many megabytes cost an execution neither time nor memory, whatever column they stand in
ALTER TABLE lead_cadence_runs ALTER lead_id TYPE text;
DELETE FROM lead_cadence_events;
DELETE FROM lead_cadence_runs;
DROP INDEX IF EXISTS lead_cadence_runs_lead_idx, lead_contacts_lead_idx, contact_key;
UPDATE message_templates SET conteudo = 'Oi {{primeiro_nome}} {{lead_nome}}', codigo = 'T1', empresa = 'ACME';
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone) SELECT 'ok' || n, 'ACME', 'Ana', n FROM generate_series(1, 20) AS n;
SELECT long(60000000) AS long INTO TEMP huge;
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
SELECT 'nome' || n, 'ACME', long, '1' FROM huge, generate_series(1, 6) AS n
UNION ALL SELECT 'telefone', 'ACME', 'Ana', long FROM huge
UNION ALL SELECT long, 'ACME', 'Ana', '1' FROM huge
UNION ALL SELECT 'empresa', long, 'Ana', '1' FROM huge;
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, opt_out, opt_out_motivo) SELECT 'saiu', 'ACME', 'Ana', '1', true, long FROM huge;
INSERT INTO message_templates (empresa, codigo, conteudo) SELECT 'ACME', 'T1', long FROM huge;
UPDATE message_templates SET updated_at = 'epoch' WHERE length(conteudo) > 1000;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT lead_id, empresa, 'c0000000-0000-0000-0000-000000000001', 1, now() FROM lead_contacts WHERE lead_id <> 'l1';
DO $$
DECLARE began timestamptz := clock_timestamp();
BEGIN
    PERFORM cadence_run('TEST');
    IF clock_timestamp() > began + interval '10 s' THEN
        RAISE 'the execution took %', clock_timestamp() - began;
    END IF;
END $$;
SELECT rtrim(left(lead_id, 4), '0123456789') AS lead, e.detalhes ->> 'codigo' AS codigo, count(*) FROM lead_cadence_runs r
LEFT JOIN lead_cadence_events e ON e.lead_cadence_run_id = r.id GROUP BY 1, 2 ORDER BY 1, 2;


-- a batch of large texts is taken as far as there is room; what is left is due as before, and nobody else waits
DELETE FROM lead_cadence_events;
DELETE FROM lead_cadence_runs;
DELETE FROM lead_contacts;
DELETE FROM message_templates;
DELETE FROM cadence_steps;
DELETE FROM cadences;
INSERT INTO cadences (id, empresa, codigo)
SELECT ('c0000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'ACME', 'C' || n FROM generate_series(1, 101) AS n;
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) SELECT id, 1, 'WHATSAPP', codigo FROM cadences;
INSERT INTO message_templates (empresa, codigo, conteudo) SELECT 'ACME', codigo, long(1048576) FROM cadences;
UPDATE message_templates SET conteudo = 'Oi' WHERE codigo = 'C101';
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('l1', 'ACME', '1');
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'l1', 'ACME', id, 1, date_trunc('day', now()) FROM cadences;
SELECT (summary ->> 'total')::int BETWEEN 20 AND 40 AS total, (summary -> 'total') = (summary -> 'errors') AS all_failed FROM (SELECT cadence_run('TEST') -> 'summary' AS summary) AS x;
SELECT count(*) FILTER (WHERE next_run_at = date_trunc('day', now()) AND attempts = 0) BETWEEN 60 AND 80 AS due_as_before, count(*) FILTER (WHERE claim_id IS NOT NULL) AS claimed,
       bool_or(next_run_at > now()) FILTER (WHERE cadence_id::text LIKE '%101') AS small_one_was_tried FROM lead_cadence_runs;
DO $$ BEGIN FOR i IN 1 .. 5 LOOP PERFORM cadence_run('TEST'); END LOOP; END $$;
SELECT count(*) FROM lead_cadence_runs WHERE next_run_at <= now();

RESET search_path;
DROP SERVER regress_zap, regress_mail;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP SCHEMA alheio CASCADE;
