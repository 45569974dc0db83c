--
-- What an event keeps of an uncertain attempt: what of it is sent again, and what is not. Whoever
-- may write events can write one that looks like it.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'ACME', url 'http://127.0.0.1:1/');
CREATE SERVER regress_two FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'ACME', url 'http://127.0.0.1:1/');
INSERT INTO cadences (id, empresa, codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 'ACME', 'OLA');
INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 'whatsapp', 'OLA');
INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('ACME', 'OLA', 'made anew');
INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('l1', 'ACME', '+55 11 90000-0001');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, next_step_ordem, next_run_at, attempts) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'l1', 'ACME', 'c0000000-0000-0000-0000-000000000001', 1, now() + interval '1 day', 1);
CREATE FUNCTION request(campos jsonb DEFAULT '{}', operacao text DEFAULT 'text', server text DEFAULT 'regress_zap') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('codigo', 'INCERTO', 'provedor', server, 'pedido', jsonb_build_object(
        'servidor', (SELECT oid::bigint FROM pg_foreign_server WHERE srvname = server), 'operacao', operacao,
        'campos', '{"recipient": "+5511900000002", "as_stored": "+5511900000002", "message": "kept", "channel": "WHATSAPP"}' || campos))
$$;
CREATE FUNCTION note(detalhes jsonb, tipo text DEFAULT 'ERRO', at timestamptz DEFAULT now()) RETURNS void LANGUAGE sql AS $$
    INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes, created_at)
    VALUES ('a0000000-0000-0000-0000-000000000001', 1, tipo, detalhes, at)
$$;
CREATE FUNCTION shown() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT concat_ws(' | ', p ->> 'destinatario', p ->> 'mensagem', p ->> 'provedor', p ->> 'codigo', left(p ->> 'erro', 100))
    FROM cadence_preview('a0000000-0000-0000-0000-000000000001') AS p
$$;
-- of this event alone
CREATE FUNCTION of(detalhes jsonb, tipo text DEFAULT 'ERRO', at timestamptz DEFAULT now()) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM lead_cadence_events;
    PERFORM note(detalhes, tipo, at);
    RETURN shown();
END $$;

SELECT of(request());
-- only of an attempt that was uncertain, and was made
SELECT tipo, codigo, of(request() || jsonb_build_object('codigo', codigo), tipo) LIKE '%kept%' AS kept
FROM (VALUES ('ERRO', 'INCERTO'), ('ERRO', 'FALHA_ENVIO'), ('AGENDADO', 'INCERTO')) AS v(tipo, codigo);
SELECT of(request(), 'ERRO', now() + interval '1 hour') LIKE '%kept%' AS by_a_clock_that_is_ahead,
       of(request(), 'ERRO', now() + interval '2 days') LIKE '%kept%' AS by_none, of(request(), 'ERRO', 'infinity') LIKE '%kept%' AS never;
-- addresses as long as a contact's may be
SELECT of(request(jsonb_build_object(field, repeat('1', 1000)))) LIKE '%kept%' AS kept, of(request(jsonb_build_object(field, repeat('1', 1001)))) LIKE '%kept%' AS longer
FROM unnest(ARRAY['recipient', 'as_stored', 'template_code']) AS field;
-- another channel than the step's is nobody's to ask for: neither past its opt-outs nor by its servers
SELECT of(request('{"channel": "X"}'));
SELECT of(request('{"channel": "SMS"}'));
SELECT of(request('{"channel": "whatsapp"}'));
SELECT cadence_opt_out('l1', 'ACME', 'WHATSAPP');
SELECT of(request('{"channel": "X"}'));
SELECT cadence_opt_in('l1', 'ACME', 'WHATSAPP');
ALTER TABLE cadence_steps ALTER canal DROP NOT NULL;
UPDATE cadence_steps SET canal = NULL;
SELECT of(request());
UPDATE cadence_steps SET canal = 'WHATSAPP';

-- the server is the same by whatever name, and another by the same name is not
SELECT of(request());
ALTER SERVER regress_zap RENAME TO regress_old;
ALTER SERVER regress_two RENAME TO regress_zap;
SELECT shown();
DROP SERVER regress_old;
SELECT shown();
SELECT of(request() #- '{pedido,servidor}');

-- until it was sent, was not, or was refused for good
SELECT what, of(request(), 'ERRO', now() - interval '1 hour') LIKE '%kept%' AS kept, (SELECT note(detalhes, tipo)) IS NULL AS ended, shown() LIKE '%kept%' AS still
FROM (VALUES ('sent', 'DISPARADO', NULL::jsonb), ('settled', 'AGENDADO', '{"decidido": "NAO_ENVIADO"}'),
    ('refused', 'ERRO', '{"codigo": "RECUSADO", "permanente": true}'), ('given up', 'ERRO', '{"codigo": "FALHA_ENVIO", "permanente": true, "tentativas_esgotadas": true}'),
    ('held', 'ERRO', '{"codigo": "INCERTO", "permanente": true}'), ('failed', 'ERRO', '{"codigo": "FALHA_ENVIO"}'), ('late', 'DISPARADO', '{"tardio": true}'),
    ('empty', 'ERRO', NULL), ('no object', 'ERRO', '[]')) AS v(what, tipo, detalhes);

-- opt-outs of the category that it was of, whatever its template has become
DROP SERVER regress_zap;
CREATE SERVER regress_zap FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', protocol 'whatsapp_cloud', phone_number_id '1');
CREATE USER MAPPING FOR PUBLIC SERVER regress_zap OPTIONS (token 'segredo');
CREATE FUNCTION approved(category text, components text DEFAULT '[]') RETURNS jsonb LANGUAGE sql AS $$
    SELECT request(jsonb_build_object('template.name', 'oferta', 'template.language', 'pt_BR', 'template.category', category, 'template.components', components), 'template')
$$;
INSERT INTO contact_opt_outs (lead_id, empresa, canal, categoria) VALUES ('l1', 'ACME', 'WHATSAPP', 'MARKETING');
SELECT of(approved('MARKETING'));
UPDATE message_templates SET whatsapp = '{"nome": "oferta", "idioma": "pt_BR", "categoria": "UTILITY"}';
SELECT of(approved('MARKETING'));
SELECT of(approved('UTILITY'));
UPDATE message_templates SET whatsapp = jsonb_set(whatsapp, '{categoria}', '"MARKETING"');
SELECT of(approved('UTILITY'));
SELECT of(request());
DELETE FROM contact_opt_outs;
-- what is not JSON does not become a part of the request
SELECT of(approved('UTILITY', '[]},"to":"5511900000003","x":{"y":1'));
SELECT of(approved('UTILITY', '[{"a": 1, "a": 2}]'));
SELECT of(approved('UTILITY', '[{"a": 12345678901234567890123}]'));

-- however long its history, and whatever it holds, a step is looked at quickly
UPDATE message_templates SET whatsapp = NULL;
SELECT of(request(), 'ERRO', now() - interval '1 hour');
SELECT count(*) FROM generate_series(1, 90) AS n, note('{}', 'ERRO', now() - n * interval '1 s');
SELECT shown();
SELECT count(*) FROM generate_series(1, 90) AS n, note('{}', 'ERRO', now() - n * interval '1 s');
SELECT shown();
DELETE FROM lead_cadence_events;
SELECT count(*) FROM generate_series(1, 25) AS n, note(jsonb_build_object('x', repeat(' ', 30 * 1000 * 1000)), 'ERRO', now() - n * interval '1 s');
SET statement_timeout = '4s';
SELECT shown();
RESET statement_timeout;

RESET search_path;
DROP SERVER regress_zap CASCADE;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence CASCADE;
