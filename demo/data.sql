-- The application's configuration: two companies, their four cadences, the templates of these, and
-- who sends what: TOKENIZA's WhatsApp an Evolution API, BLUE's the Cloud API of Meta, mails a mail
-- server. Expects the variables evolution_url, meta_url and mail_url. People, messages and addresses
-- are invented.

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

-- Companies ------------------------------------------------------------------------------------

INSERT INTO cadence_empresas (empresa, nome) VALUES
    ('TOKENIZA', 'Tokeniza Investimentos'),
    ('BLUE', 'Blue Consultoria Tributária');

-- Providers: where messages of a channel go, and with what credentials ---------------------------

-- No gap and no limits, since this gateway is a stand-in. A real unofficial one should keep the
-- limits that the protocol brings: a number that writes to strangers by the hundred is closed.
CREATE SERVER tokeniza_whatsapp FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'WHATSAPP', empresa 'TOKENIZA', protocol 'evolution', url :'evolution_url',
             instance 'vendas', gap '0s', max_in_flight '100', max_new_per_day '1000000',
             warm_up '1000000..1000000/1d');
CREATE USER MAPPING FOR crm SERVER tokeniza_whatsapp
    OPTIONS (apikey 'evolution-key', webhook_secret 'evolution-calls');

CREATE SERVER blue_whatsapp FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'WHATSAPP', empresa 'BLUE', protocol 'whatsapp_cloud', url :'meta_url',
             phone_number_id '106540352242922', gap '0s', max_in_flight '100',
             max_new_per_day '1000000');
CREATE USER MAPPING FOR crm SERVER blue_whatsapp
    OPTIONS (token 'meta-token', app_secret 'meta-calls');

-- Without TLS only because it is on this machine.
CREATE SERVER tokeniza_email FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'EMAIL', empresa 'TOKENIZA', protocol 'smtp', url :'mail_url',
             "from" 'Tokeniza Investimentos <vendas@tokeniza.example>', starttls 'optional');
CREATE SERVER blue_email FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'EMAIL', empresa 'BLUE', protocol 'smtp', url :'mail_url',
             "from" 'Blue Consultoria Tributária <contato@blue.example>', starttls 'optional');

-- Cadences: a step's offset counts from the step before, in minutes ------------------------------

INSERT INTO cadences (empresa, codigo, nome, descricao, ativo, canal_principal) VALUES
    ('TOKENIZA', 'TOKENIZA_INBOUND_LEAD_NOVO', 'Lead novo', 'Dias 0, 1 e 3', true, 'WHATSAPP'),
    ('TOKENIZA', 'TOKENIZA_MQL_QUENTE', 'Lead quente', 'Agora, 2 horas, 1 dia', true, 'WHATSAPP'),
    ('BLUE', 'BLUE_INBOUND_LEAD_NOVO', 'Lead novo', 'Dias 0, 1 e 2', true, 'EMAIL'),
    ('BLUE', 'BLUE_IR_URGENTE', 'IR urgente', 'Agora, 1 hora, 1 dia', true, 'WHATSAPP');

INSERT INTO cadence_steps
    (cadence_id, ordem, offset_minutos, canal, template_codigo, parar_se_responder)
SELECT c.id, s.ordem, s.offset_minutos, s.canal, s.template_codigo, true
FROM (VALUES
    ('TOKENIZA_INBOUND_LEAD_NOVO', 1,    0, 'WHATSAPP', 'TOKENIZA_BOAS_VINDAS'),
    ('TOKENIZA_INBOUND_LEAD_NOVO', 2, 1440, 'EMAIL',    'TOKENIZA_COMO_FUNCIONA'),
    ('TOKENIZA_INBOUND_LEAD_NOVO', 3, 2880, 'WHATSAPP', 'TOKENIZA_ULTIMO_CONTATO'),
    ('TOKENIZA_MQL_QUENTE',        1,    0, 'WHATSAPP', 'TOKENIZA_QUENTE_AGORA'),
    ('TOKENIZA_MQL_QUENTE',        2,  120, 'WHATSAPP', 'TOKENIZA_QUENTE_2H'),
    ('TOKENIZA_MQL_QUENTE',        3, 1320, 'EMAIL',    'TOKENIZA_QUENTE_1D'),
    ('BLUE_INBOUND_LEAD_NOVO',     1,    0, 'EMAIL',    'BLUE_BOAS_VINDAS'),
    ('BLUE_INBOUND_LEAD_NOVO',     2, 1440, 'WHATSAPP', 'BLUE_TIRA_DUVIDAS'),
    ('BLUE_INBOUND_LEAD_NOVO',     3, 1440, 'EMAIL',    'BLUE_ULTIMO_CONTATO'),
    ('BLUE_IR_URGENTE',            1,    0, 'WHATSAPP', 'BLUE_IR_AGORA'),
    ('BLUE_IR_URGENTE',            2,   60, 'EMAIL',    'BLUE_IR_1H'),
    ('BLUE_IR_URGENTE',            3, 1380, 'WHATSAPP', 'BLUE_IR_1D')
) AS s (codigo, ordem, offset_minutos, canal, template_codigo)
JOIN cadences c ON c.codigo = s.codigo;

-- Templates: BLUE_IR_1H is switched off, as if somebody were still revising its text --------------

INSERT INTO message_templates (empresa, canal, codigo, nome, conteudo, ativo) VALUES
    ('TOKENIZA', 'WHATSAPP', 'TOKENIZA_BOAS_VINDAS', 'Boas-vindas',
     'Oi, {{primeiro_nome}}! Aqui é da {{empresa}}. Recebemos o seu cadastro e queremos entender '
     'o que você procura para os seus investimentos. Qual é o melhor horário para conversarmos?',
     true),
    ('TOKENIZA', 'WHATSAPP', 'TOKENIZA_ULTIMO_CONTATO', 'Último contato',
     '{{primeiro_nome}}, ainda faz sentido falarmos sobre investimentos? Se preferir, mandamos o '
     'material para {{email|o e-mail que você indicar}}. Um abraço da equipe {{empresa}}.', true),
    ('TOKENIZA', 'WHATSAPP', 'TOKENIZA_QUENTE_AGORA', 'Lead quente: agora',
     'Oi, {{primeiro_nome}}! Vi que você simulou um investimento na {{empresa}} agora há pouco. '
     'Quer que eu explique os prazos e a rentabilidade em cinco minutos?', true),
    ('TOKENIZA', 'WHATSAPP', 'TOKENIZA_QUENTE_2H', 'Lead quente: 2 horas',
     '{{primeiro_nome}}, separei duas ofertas parecidas com a que você simulou. Posso enviar?',
     true);

-- A mail's subject is its assunto. One that has none may begin with a line "Assunto: ...".
INSERT INTO message_templates (empresa, canal, codigo, nome, assunto, conteudo, ativo) VALUES
    ('TOKENIZA', 'EMAIL', 'TOKENIZA_COMO_FUNCIONA', 'Como funciona',
     'Como funciona investir com a {{empresa}}',
     E'Olá, {{lead_nome}},\n\nNa {{empresa}} você investe em ativos reais a partir de valores '
     'acessíveis e acompanha tudo pela plataforma. Basta responder a este e-mail, e um '
     'especialista prepara um exemplo para o seu perfil.', true),
    ('TOKENIZA', 'EMAIL', 'TOKENIZA_QUENTE_1D', 'Lead quente: 1 dia',
     NULL,
     E'Assunto: A sua oferta ainda está aberta\n\nOlá, {{lead_nome}},\n\nA oferta que você '
     'simulou ainda está aberta. Se quiser reservar a sua cota, é só responder a este '
     'e-mail.\n\nEquipe {{empresa}}', true),
    ('BLUE', 'EMAIL', 'BLUE_BOAS_VINDAS', 'Boas-vindas',
     '{{primeiro_nome}}, sua declaração de criptoativos',
     E'Olá, {{primeiro_nome}},\n\nObrigado por procurar a {{empresa}}. Cuidamos da declaração dos '
     'seus criptoativos do começo ao fim. Para adiantar: em quantas corretoras você opera?', true),
    ('BLUE', 'EMAIL', 'BLUE_ULTIMO_CONTATO', 'Último contato',
     'Até a próxima, {{primeiro_nome}}',
     E'Olá, {{lead_nome}},\n\nEncerramos por aqui o nosso contato. Quando precisar, o telefone '
     'que temos é {{telefone|nenhum: envie-nos um, por favor}}. Conte com a {{empresa}}.', true),
    ('BLUE', 'EMAIL', 'BLUE_IR_1H', 'IR urgente: 1 hora',
     'Documentos para a sua declaração',
     E'{{lead_nome}},\n\nSegue a lista de documentos de que precisamos.', false);

-- Meta takes free text only within 24 hours of a person's last message. To everybody else goes the
-- template that Meta has approved under this name; the text is what it says, for our own records.
INSERT INTO message_templates (empresa, canal, codigo, nome, conteudo, whatsapp, ativo) VALUES
    ('BLUE', 'WHATSAPP', 'BLUE_TIRA_DUVIDAS', 'Tira-dúvidas',
     'Oi, {{primeiro_nome}}! Ficou alguma dúvida sobre a declaração? Responda por aqui ou mande '
     'os extratos, que a {{empresa}} confere sem compromisso.',
     '{"nome": "blue_tira_duvidas", "idioma": "pt_BR", "categoria": "MARKETING",
       "componentes": [{"type": "body", "parameters": [
           {"type": "text", "text": "{{primeiro_nome}}"},
           {"type": "text", "text": "{{empresa}}"}]}]}', true),
    ('BLUE', 'WHATSAPP', 'BLUE_IR_AGORA', 'IR urgente: agora',
     '{{primeiro_nome}}, o prazo do imposto de renda está acabando, mas ainda dá tempo. A '
     '{{empresa}} entrega a sua declaração em até 24 horas. Podemos começar agora?',
     '{"nome": "blue_ir_agora", "idioma": "pt_BR", "categoria": "MARKETING",
       "componentes": [{"type": "body", "parameters": [
           {"type": "text", "text": "{{primeiro_nome}}"},
           {"type": "text", "text": "{{empresa}}"}]}]}', true),
    ('BLUE', 'WHATSAPP', 'BLUE_IR_1D', 'IR urgente: 1 dia',
     '{{primeiro_nome}}, hoje é o último dia sem multa. Fale com a {{empresa}} antes das 18h.',
     '{"nome": "blue_ir_1d", "idioma": "pt_BR", "categoria": "MARKETING",
       "componentes": [{"type": "body", "parameters": [
           {"type": "text", "text": "{{primeiro_nome}}"},
           {"type": "text", "text": "{{empresa}}"}]}]}', true);
