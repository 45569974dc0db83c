-- The application's configuration: two companies, their four cadences, the templates of these, and
-- one provider for each channel. Expects the variable provider_url. People, messages and addresses
-- are invented.

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

-- Companies ------------------------------------------------------------------------------------

INSERT INTO cadence_empresas (empresa, nome) VALUES
    ('TOKENIZA', 'Tokeniza Investimentos'),
    ('BLUE', 'Blue Consultoria Tributária');

-- Providers: where messages of a channel go, and with what credentials ---------------------------

CREATE SERVER whatsapp FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'WHATSAPP', url :'provider_url');
CREATE USER MAPPING FOR crm SERVER whatsapp OPTIONS (bearer_token 'demo-whatsapp');

CREATE SERVER email FOREIGN DATA WRAPPER cadence_provider
    OPTIONS (canal 'EMAIL', url :'provider_url');
CREATE USER MAPPING FOR crm SERVER email OPTIONS (bearer_token 'demo-email');

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
    ('TOKENIZA', 'EMAIL', 'TOKENIZA_COMO_FUNCIONA', 'Como funciona',
     E'Olá, {{lead_nome}},\n\nNa {{empresa}} você investe em ativos reais a partir de valores '
     'acessíveis e acompanha tudo pela plataforma. Basta responder a este e-mail, e um '
     'especialista prepara um exemplo para o seu perfil.', true),
    ('TOKENIZA', 'WHATSAPP', 'TOKENIZA_ULTIMO_CONTATO', 'Último contato',
     '{{primeiro_nome}}, ainda faz sentido falarmos sobre investimentos? Se preferir, mandamos o '
     'material para {{email|o e-mail que você indicar}}. Um abraço da equipe {{empresa}}.', true),
    ('TOKENIZA', 'WHATSAPP', 'TOKENIZA_QUENTE_AGORA', 'Lead quente: agora',
     'Oi, {{primeiro_nome}}! Vi que você simulou um investimento na {{empresa}} agora há pouco. '
     'Quer que eu explique os prazos e a rentabilidade em cinco minutos?', true),
    ('TOKENIZA', 'WHATSAPP', 'TOKENIZA_QUENTE_2H', 'Lead quente: 2 horas',
     '{{primeiro_nome}}, separei duas ofertas parecidas com a que você simulou. Posso enviar?',
     true),
    ('TOKENIZA', 'EMAIL', 'TOKENIZA_QUENTE_1D', 'Lead quente: 1 dia',
     E'Olá, {{lead_nome}},\n\nA oferta que você simulou ainda está aberta. Se quiser reservar a '
     'sua cota, é só responder a este e-mail.\n\nEquipe {{empresa}}', true),
    ('BLUE', 'EMAIL', 'BLUE_BOAS_VINDAS', 'Boas-vindas',
     E'Olá, {{primeiro_nome}},\n\nObrigado por procurar a {{empresa}}. Cuidamos da declaração dos '
     'seus criptoativos do começo ao fim. Para adiantar: em quantas corretoras você opera?', true),
    ('BLUE', 'WHATSAPP', 'BLUE_TIRA_DUVIDAS', 'Tira-dúvidas',
     'Oi, {{primeiro_nome}}! Ficou alguma dúvida sobre a declaração? Responda por aqui ou mande '
     'os extratos, que a {{empresa}} confere sem compromisso.', true),
    ('BLUE', 'EMAIL', 'BLUE_ULTIMO_CONTATO', 'Último contato',
     E'Olá, {{lead_nome}},\n\nEncerramos por aqui o nosso contato. Quando precisar, o telefone '
     'que temos é {{telefone|nenhum: envie-nos um, por favor}}. Conte com a {{empresa}}.', true),
    ('BLUE', 'WHATSAPP', 'BLUE_IR_AGORA', 'IR urgente: agora',
     '{{primeiro_nome}}, o prazo do imposto de renda está acabando, mas ainda dá tempo. A '
     '{{empresa}} entrega a sua declaração em até 24 horas. Podemos começar agora?', true),
    ('BLUE', 'EMAIL', 'BLUE_IR_1H', 'IR urgente: 1 hora',
     E'{{lead_nome}},\n\nSegue a lista de documentos de que precisamos.', false),
    ('BLUE', 'WHATSAPP', 'BLUE_IR_1D', 'IR urgente: 1 dia',
     '{{primeiro_nome}}, hoje é o último dia sem multa. Fale com a {{empresa}} antes das 18h.',
     true);
