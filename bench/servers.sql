-- Servers of every protocol, whose accounts are those of answers.tsv, without the limits that some
-- protocols bring: what a step costs is measured, not how long it may wait.

\set ON_ERROR_STOP on

SET SESSION AUTHORIZATION crm;

-- second: what the second company of a protocol is sent, where the protocol has more than one kind;
-- an approved template's components are written as the API has them
CREATE TABLE bench_protocols (number int, protocol text, canal text, options text, secrets text, second text);

INSERT INTO bench_protocols
SELECT row_number() OVER (), p.*
FROM (VALUES
    ('webhook', 'WHATSAPP', '', 'bearer_token ''bench-token-0123456789abcdef''', NULL),
    ('whatsapp_cloud', 'WHATSAPP', 'version ''v24.0'', phone_number_id ''106540352242922'', max_rate ''1000000''',
     'token ''bench-token-0123456789abcdef''', '[{"type": "body", "parameters": [{"type": "text", "text": "{{primeiro_nome}}"}]}]'),
    ('d360', 'WHATSAPP', 'max_rate ''1000000''', 'api_key ''bench-token''',
     '[{"type": "body", "parameters": [{"type": "text", "text": "{{primeiro_nome}}"}]}]'),
    ('evolution', 'WHATSAPP', 'instance ''vendas''', 'apikey ''bench-token''', NULL),
    ('evolution_v1', 'WHATSAPP', 'instance ''antiga''', 'apikey ''bench-token''', NULL),
    ('zapi', 'WHATSAPP', 'instance ''3C01''', 'token ''bench-token'', client_token ''bench-token''', NULL),
    ('waha', 'WHATSAPP', '', 'api_key ''bench-token''', NULL),
    ('gupshup', 'WHATSAPP', 'source ''5511900000000'', app ''AcmeVendas''', 'apikey ''bench-token''', '["{{primeiro_nome}}"]'),
    ('zenvia', 'WHATSAPP', '"from" ''acme.wa''', 'token ''bench-token''', '[]'),
    ('infobip', 'WHATSAPP', '"from" ''5511900000000''', 'api_key ''bench-token''', '["{{primeiro_nome}}"]'),
    ('twilio', 'WHATSAPP', 'account_sid ''AC00000000000000000000000000000000'', "from" ''whatsapp:+5511900000000''',
     'auth_token ''bench-token''', '[]'),
    ('resend', 'EMAIL', '"from" ''ACME <vendas@acme.example>'', max_rate ''1000000''', 'api_key ''bench-token''', 'html'),
    ('brevo', 'EMAIL', '"from" ''vendas@acme.example''', 'api_key ''bench-token''', 'html'),
    ('sendgrid', 'EMAIL', '"from" ''vendas@acme.example''', 'api_key ''bench-token''', 'html'),
    ('postmark', 'EMAIL', '"from" ''ACME <vendas@acme.example>''', 'server_token ''bench-token''', 'html'),
    ('mailgun', 'EMAIL', 'domain ''mg.acme.example'', "from" ''ACME <vendas@mg.acme.example>''', 'api_key ''bench-token''', 'html'),
    ('smtp', 'EMAIL', '"from" ''ACME <vendas@acme.example>'', starttls ''optional''', NULL, 'html'))
    AS p (protocol, canal, options, secrets, second);

-- the session's gateways pause, send one at a time and begin slowly, unless they are told otherwise
UPDATE bench_protocols
SET options = concat_ws(', ', NULLIF(options, ''), 'gap ''0s'', max_in_flight ''10000'', max_new_per_day ''100000000''',
                        'warm_up ''100000000..100000000/30d''')
WHERE protocol IN ('evolution', 'evolution_v1', 'zapi', 'waha');

CREATE FUNCTION bench_company(number int) RETURNS text LANGUAGE sql AS $$
SELECT 'ACME' || COALESCE(' ' || NULLIF(number, 1), '')
$$;

-- A server of this name and no other, for one company, or for any. port: the provider's.
CREATE PROCEDURE bench_server(server name, wanted text, company text, port int) LANGUAGE plpgsql
    SET client_min_messages = warning AS $$
DECLARE
    p bench_protocols;
    url text;
BEGIN
    SELECT * INTO STRICT p FROM bench_protocols WHERE protocol = wanted;
    -- that of webhook is the whole address
    url := CASE p.protocol WHEN 'smtp' THEN 'smtp' ELSE 'http' END || '://127.0.0.1:' || port
           || CASE p.protocol WHEN 'webhook' THEN '/send' ELSE '' END;
    EXECUTE format('DROP SERVER IF EXISTS %I CASCADE', server);
    EXECUTE format('CREATE SERVER %I FOREIGN DATA WRAPPER cadence_provider OPTIONS (%s)', server,
                   concat_ws(', ', format('canal %L, protocol %L, url %L', p.canal, p.protocol, url),
                             'empresa ' || quote_literal(company), NULLIF(p.options, '')));
    EXECUTE format('CREATE USER MAPPING FOR crm SERVER %I %s', server, 'OPTIONS (' || p.secrets || ')');
END
$$;

-- Two servers of each protocol, each for a company of its own: the first sends texts or mails, the
-- second approved templates or mails with HTML, where the protocol has them.
CREATE PROCEDURE bench_every_protocol(http_port int, smtp_port int) LANGUAGE plpgsql
    SET client_min_messages = warning AS $$
DECLARE
    p bench_protocols;
    company text;
    nth int;
BEGIN
    EXECUTE 'DROP SERVER whatsapp CASCADE';
    FOR p IN SELECT * FROM bench_protocols ORDER BY number LOOP
        FOR nth IN 1..2 LOOP
            company := bench_company(2 * p.number - 2 + nth);
            CALL bench_server(p.protocol || '_' || nth, p.protocol, company,
                              CASE p.protocol WHEN 'smtp' THEN smtp_port ELSE http_port END);
            UPDATE cadence_steps SET canal = p.canal
            WHERE cadence_id IN (SELECT id FROM cadences WHERE empresa = company);
            UPDATE message_templates
            SET canal = p.canal,
                assunto = CASE p.canal WHEN 'EMAIL' THEN 'Olá {{primeiro_nome}}' END,
                html = CASE WHEN nth = 2 AND p.second = 'html' THEN '<p>' || conteudo || '</p>' END,
                whatsapp = CASE WHEN nth = 2 AND p.canal = 'WHATSAPP' AND p.second IS NOT NULL THEN
                               jsonb_build_object('nome', 'boas_vindas', 'idioma', 'pt_BR', 'categoria', 'UTILITY',
                                                  'componentes', p.second::jsonb,
                                                  'variaveis', '{"1": "{{primeiro_nome}}"}'::jsonb) END
            WHERE empresa = company;
        END LOOP;
    END LOOP;
END
$$;
