--
-- cadence_preview(): what the next step would send; it changes nothing.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_cadence_reader;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
-- a lead that is active several times in a cadence, as an adopted table may have it
DROP INDEX lead_cadence_runs_active_idx;
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:1/');
CREATE USER MAPPING FOR PUBLIC SERVER regress_zap OPTIONS (bearer_token 'segredo');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'QUENTE');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES
    ('c0000000-0000-0000-0000-000000000001', 1, 'WHATSAPP', 'OLA'), ('c0000000-0000-0000-0000-000000000001', 2, 'EMAIL', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('BLUE', 'OLA', 'Olá {{primeiro_nome}}, aqui é {{empresa}}. {{opt_out_em|}}');
INSERT INTO cadence_empresas (empresa, nome) VALUES ('BLUE', 'Azul');
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone) VALUES ('ana', 'BLUE', 'Ana Souza', '+55 11 1');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, '2024-02-29 12:00:00+00'),
    ('a0000000-0000-0000-0000-000000000002', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 2, NULL),
    ('a0000000-0000-0000-0000-000000000003', 'ana', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 9, '2024-02-29 12:00:00+00'),
    ('a0000000-0000-0000-0000-000000000004', 'bia', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 1, 'infinity');
UPDATE lead_cadence_runs SET status = 'PAUSADA' WHERE lead_id = 'bia';
SET timezone = 'UTC';
CREATE TABLE before AS SELECT r.*, r.xmin::text AS version FROM lead_cadence_runs r;
SELECT jsonb_pretty(cadence_preview(id)) FROM lead_cadence_runs ORDER BY id;
-- the same from inside a read-only transaction
BEGIN READ ONLY;
SELECT cadence_preview('a0000000-0000-0000-0000-000000000001') ->> 'mensagem' AS mensagem;
ROLLBACK;
-- nothing has changed
SELECT count(*) FROM before b JOIN lead_cadence_runs r USING (id) WHERE r.xmin::text = b.version AND r.next_run_at IS NOT DISTINCT FROM b.next_run_at;
SELECT (SELECT count(*) FROM lead_cadence_events) AS events, (SELECT count(*) FROM lead_messages) AS messages, (SELECT count(*) FROM cadence_runner_logs) AS logs;

-- errors
SELECT cadence_preview('00000000-0000-0000-0000-000000000001');
SELECT cadence_preview(NULL) IS NULL AS of_null;
SET ROLE regress_cadence_reader;
SELECT cadence.cadence_preview('a0000000-0000-0000-0000-000000000001');
RESET ROLE;
GRANT USAGE ON SCHEMA cadence TO regress_cadence_reader;
GRANT EXECUTE ON FUNCTION cadence_preview(uuid) TO regress_cadence_reader;
SET ROLE regress_cadence_reader;
SELECT cadence.cadence_preview('a0000000-0000-0000-0000-000000000001');
RESET ROLE;
-- what an execution says is what the preview said
UPDATE lead_cadence_runs SET status = 'ATIVA', next_run_at = now() WHERE id <> 'a0000000-0000-0000-0000-000000000001';
CREATE TABLE previews AS SELECT id, cadence_preview(id) AS p FROM lead_cadence_runs WHERE id <> 'a0000000-0000-0000-0000-000000000001';
SELECT cadence_run('TEST') -> 'summary' -> 'total' AS total;
SELECT p.id, p ->> 'codigo' AS codigo, e.detalhes ->> 'codigo' IS NOT DISTINCT FROM p ->> 'codigo' AND e.detalhes ->> 'erro' = p ->> 'erro' AS same
FROM previews p JOIN lead_cadence_events e ON e.lead_cadence_run_id = p.id ORDER BY p.id;

-- to somebody who has not written within a day goes the approved template, to others free text
CREATE SERVER regress_meta FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'WHATSAPP', empresa 'BLUE', protocol 'whatsapp_cloud', phone_number_id '1');
CREATE USER MAPPING FOR PUBLIC SERVER regress_meta OPTIONS (token 'segredo');
UPDATE lead_contacts SET telefone = '+55 11 90000-0001';
UPDATE message_templates SET whatsapp = '{"nome": "ola", "idioma": "pt_BR", "categoria": "UTILITY"}';
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, recebido_em) VALUES
    ('ana', 'BLUE', 'WHATSAPP', 'INBOUND', now() - interval '25 hours');
SELECT p ->> 'operacao' AS operacao, p ->> 'erro' AS erro FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p;
UPDATE lead_messages SET recebido_em = now() - interval '23 hours';
SELECT p ->> 'operacao' AS operacao, p ->> 'erro' AS erro FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p;
-- at a time that no clock shows nobody has written
UPDATE lead_messages SET recebido_em = 'infinity';
SELECT p ->> 'operacao' AS operacao, p ->> 'erro' AS erro FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p;
-- what a template says stays inside its place in the request
UPDATE lead_messages SET recebido_em = now() - interval '25 hours';
CREATE FUNCTION with_components(components jsonb) RETURNS TABLE (erro text, recipient text, components_sent text) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE message_templates SET whatsapp = whatsapp || jsonb_build_object('componentes', components);
    RETURN QUERY SELECT concat_ws(': ', p ->> 'codigo', p ->> 'erro'), (p ->> 'corpo')::jsonb ->> 'to', (p ->> 'corpo')::jsonb #>> '{template,components}' FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p;
END $$;
SELECT * FROM with_components('[{"type": "body", "parameters": [{"type": "text", "text": "\"{{nome}}\"]"}]}]');
SELECT * FROM with_components('"[{\"type\": \"body\"}]"');
SELECT * FROM with_components('"[]},\"to\":\"5511999990000\",\"x\":{\"y\":1"');
SELECT * FROM with_components('"[{\"type\": \"body\", \"type\": \"header\"}]"');
SELECT * FROM with_components('"body"');
SELECT * FROM with_components('""');
-- what is said of a number ends between two characters
UPDATE lead_contacts SET telefone = repeat('a', 39) || 'é';
SELECT convert_from(convert_to(p ->> 'erro', 'UTF8'), 'UTF8') AS erro FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p;
UPDATE lead_contacts SET telefone = '+55 11 90000-0001';
DROP SERVER regress_meta CASCADE;

-- a document's kind is that of its name, else of its address
CREATE SERVER regress_docs FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', protocol 'zapi', instance 'i');
CREATE USER MAPPING FOR PUBLIC SERVER regress_docs OPTIONS (token 'segredo');
CREATE FUNCTION sent_as(file text, link text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE message_templates SET midia = jsonb_build_object('nome', file, 'url', link);
    RETURN substring(cadence_preview('a0000000-0000-0000-0000-000000000001') ->> 'url' FROM '[^/]*$');
END $$;
SELECT file, link, sent_as(file, link) FROM (VALUES
    ('Tabela.XLSX', 'https://a.example/tabela.pdf'), (NULL, 'https://a.example/x/tabela.docx?v=1.zip#a.b'), ('Tabela', 'https://a.example/a.b/tabela'),
    ('Proposta v1.2', 'https://a.example/p.Doc'), ('a.{{nome}}', 'https://a.example'), ('x.arquivo', 'https://a.example/'), ('.docx', 'x.docx'), ('', 'https://a.com/7.7z')) AS v(file, link);
UPDATE message_templates SET midia = NULL;
DROP SERVER regress_docs CASCADE;

-- free text may always be sent by SMS: only what has none is an approved template
CREATE SERVER regress_sms FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', protocol 'zenvia', "from" 'acme');
CREATE USER MAPPING FOR PUBLIC SERVER regress_sms OPTIONS (token 'segredo');
UPDATE cadence_steps SET canal = 'SMS' WHERE ordem = 1;
SELECT p ->> 'operacao' AS operacao, p ->> 'erro' AS erro FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p;
BEGIN;
UPDATE message_templates SET conteudo = '', whatsapp = '{"nome": "6a1c", "variaveis": {"nome": "{{nome}}"}}';
SELECT p ->> 'operacao' AS operacao, p ->> 'url' AS url, p ->> 'corpo' AS corpo FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p;
ROLLBACK;
UPDATE cadence_steps SET canal = 'WHATSAPP' WHERE ordem = 1;
DROP SERVER regress_sms CASCADE;

-- a mail whose html says nothing has none
SELECT cadence_protocol_define('regress_two_mails', '{"channels": ["EMAIL"], "operations": {
    "email": {"url": "{{option.url}}", "json": {"text": "{{message}}"}},
    "email.html": {"url": "{{option.url}}", "json": {"text": "{{message}}", "html": "{{html}}"}}}}');
CREATE SERVER regress_mail FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL', protocol 'regress_two_mails', url 'http://127.0.0.1:1/');
UPDATE lead_contacts SET email = 'ana@example.com';
CREATE FUNCTION mailed(new_conteudo text, new_html text) RETURNS TABLE (operacao text, corpo text) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE message_templates SET conteudo = new_conteudo, html = new_html;
    RETURN QUERY SELECT p ->> 'operacao', COALESCE(p ->> 'corpo', p ->> 'erro') FROM cadence_preview('a0000000-0000-0000-0000-000000000002') AS p;
END $$;
BEGIN;
SELECT * FROM mailed('oi', NULL);
SELECT * FROM mailed('oi', '');
SELECT * FROM mailed('oi', '{{opt_out_em|}}');
SELECT * FROM mailed('', '<p>oi');
-- SendGrid refuses a mail with a part that is empty
ALTER SERVER regress_mail OPTIONS (ADD "from" 'v@a.example', SET protocol 'sendgrid');
CREATE USER MAPPING FOR PUBLIC SERVER regress_mail OPTIONS (api_key 'segredo');
SELECT operacao, corpo::jsonb -> 'content' AS content FROM mailed('oi', '');
SELECT operacao, corpo::jsonb -> 'content' AS content FROM mailed('', '<p>oi');
SELECT operacao, corpo::jsonb -> 'content' AS content, corpo::jsonb -> 'personalizations' AS personalizations FROM mailed('oi', '<p>oi');
ROLLBACK;
DROP SERVER regress_mail CASCADE;

-- whoever has written to a person writes to them again, where there are several
CREATE SERVER regress_one FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', url 'http://127.0.0.1:1/');
CREATE SERVER regress_two FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'BLUE', url 'http://127.0.0.1:1/', max_per_day '5');
SELECT cadence_preview('a0000000-0000-0000-0000-000000000001') ->> 'provedor' AS with_more_room;
SELECT cadence_provider_pause('regress_one');
SELECT cadence_preview('a0000000-0000-0000-0000-000000000001') ->> 'provedor' AS that_is_open;
INSERT INTO cadence_conversations VALUES ('BLUE', 'ana', 'WHATSAPP', 'regress_one', now()), ('BLUE', 'ana', 'SMS', 'regress_two', now()),
    ('RED', 'ana', 'WHATSAPP', 'regress_two', now());
SELECT cadence_preview('a0000000-0000-0000-0000-000000000001') ->> 'provedor' AS that_wrote_last;
DROP SERVER regress_one, regress_two CASCADE;

-- many at once, large ones among them
UPDATE message_templates SET conteudo = repeat('Olá {{nome}} ' || repeat('x', 100), 8000);
SELECT count(*), sum(octet_length(cadence_preview('a0000000-0000-0000-0000-000000000001') ->> 'mensagem')) FROM generate_series(1, 20);

RESET search_path;
DROP SERVER regress_zap CASCADE;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
DROP ROLE regress_cadence_reader;
