--
-- What the codes of events mean, and what to do about them, for who has never seen a table.
-- docs/codes.md has the same codes in more words.
--

CREATE VIEW @extschema@.cadence_code_words AS
    SELECT v.code, v.en, v.pt, v.en_todo, v.pt_todo
    FROM (VALUES
        ('FALHA_ENVIO', 'the message could not be handed over', 'a mensagem não pôde ser entregue ao provedor',
         'It is tried again by itself. If it goes on, look at the sender and its provider. Whoever was paused goes on when an administrator resumes them (cadence_resume).',
         'Tenta de novo sozinho. Se continuar, veja o remetente e o provedor dele. Quem foi pausado continua quando quem administra retomar (cadence_resume).'),
        ('PROVEDOR_OCUPADO', 'the provider asks for fewer messages', 'o provedor pede menos mensagens',
         'Nothing: everything of this sender waits. If it happens often, an administrator should lower its rate (max_rate).',
         'Nada: tudo deste remetente espera. Se for comum, peça a quem administra para diminuir o ritmo dele (max_rate).'),
        ('MAIS_TARDE', 'the provider does not write to this person now', 'o provedor não escreve a esta pessoa agora',
         'Nothing: it is tried again later.', 'Nada: haverá nova tentativa mais tarde.'),
        ('RECUSADO', 'the provider refuses this message for good', 'o provedor recusa esta mensagem de vez',
         'Correct the template or the contact, then ask an administrator to resume (cadence_resume) or cancel (cadence_cancel).',
         'Corrija o modelo ou o contato e peça a quem administra para retomar (cadence_resume) ou cancelar (cadence_cancel).'),
        ('ENDERECO_INEXISTENTE', 'the number or mailbox does not exist', 'o número ou e-mail não existe',
         'Correct the contact.', 'Corrija o contato.'),
        ('JANELA_FECHADA', 'more than 24 hours since the person last wrote: only an approved template may be sent',
         'mais de 24 horas desde a última mensagem da pessoa: só um modelo aprovado pode ser enviado',
         'Give the template an approved one of WhatsApp, then ask an administrator to resume (cadence_resume).',
         'Informe no modelo um aprovado pelo WhatsApp e peça a quem administra para retomar (cadence_resume).'),
        ('TEMPLATE_PARADO', 'the provider has stopped the template', 'o provedor parou o modelo',
         'Correct the template at the provider; one message at a time tries it again.',
         'Corrija o modelo no provedor; uma mensagem por vez tenta de novo.'),
        ('PROVEDOR_PARADO', 'the sender does not send: its account, key, billing or session', 'o remetente não envia: conta, chave, cobrança ou sessão',
         'Log in at the provider again, pay, or correct the key. It goes on by itself, or at once when an administrator releases the sender (cadence_provider_resume).',
         'Entre de novo no provedor, pague ou corrija a chave. Volta sozinho, ou na hora se quem administra liberar o remetente (cadence_provider_resume).'),
        ('RETIDO', 'the provider holds the message for review', 'o provedor retém a mensagem para análise',
         'Nothing: after a day it counts as sent. Who knows earlier tells an administrator (cadence_settle).',
         'Nada: depois de um dia conta como enviada. Quem souber antes avisa quem administra (cadence_settle).'),
        ('INCERTO', 'nobody knows whether the message was sent', 'não se sabe se a mensagem foi enviada',
         'Ask the person, or look in the sender''s own application, whether it has arrived, and tell an administrator (cadence_settle): until then this person gets nothing.',
         'Veja com a pessoa, ou no aplicativo do remetente, se chegou, e avise quem administra (cadence_settle): até lá esta pessoa não recebe nada.'),
        ('SEM_CONTATO', 'the person has no contact in this company', 'a pessoa não tem contato cadastrado nesta empresa',
         'Add the contact.', 'Cadastre o contato.'),
        ('SEM_ENDERECO', 'the contact has no number or e-mail for the channel', 'o contato não tem telefone ou e-mail para o canal',
         'Complete the contact.', 'Complete o contato.'),
        ('ENDERECO_INVALIDO', 'the number or e-mail can not be one', 'o telefone ou e-mail não pode ser válido',
         'Correct the contact: with its area code, and only one.', 'Corrija o contato: com DDD, e um só.'),
        ('ENDERECO_MORTO', 'a provider has said before that the number or mailbox does not exist', 'um provedor já disse que o número ou e-mail não existe',
         'Correct the contact, then ask an administrator to resume (cadence_resume).', 'Corrija o contato e peça a quem administra para retomar (cadence_resume).'),
        ('SEM_TEMPLATE', 'there is no active template of that code', 'não há modelo ativo com esse código',
         'Create the template, or activate it.', 'Crie o modelo ou ative-o.'),
        ('TEMPLATE_INVALIDO', 'the template can not be filled in', 'o modelo não pode ser preenchido',
         'Correct the placeholders of the template.', 'Corrija os marcadores do modelo.'),
        ('CANAL_DESCONHECIDO', 'the step''s channel is not known', 'o canal do passo não é conhecido',
         'Choose WHATSAPP, SMS or EMAIL in the step.', 'Escolha WHATSAPP, SMS ou EMAIL no passo.'),
        ('SEM_PROVEDOR', 'no sender serves the channel for this company', 'nenhum remetente atende o canal para esta empresa',
         'An administrator creates a sender for the channel, or gives the tables'' owner the right to use it.',
         'Quem administra cria um remetente para o canal, ou dá ao dono das tabelas o direito de usá-lo.'),
        ('PROVEDOR_INVALIDO', 'the sender''s settings can not be used', 'a configuração do remetente não serve',
         'An administrator corrects the sender''s options or secret; the example says which.', 'Quem administra corrige as opções ou o segredo do remetente; o exemplo diz qual.'),
        ('PROVEDOR_PAUSADO', 'somebody has paused the sender', 'alguém pausou o remetente',
         'What waits leaves when an administrator releases the sender (cadence_provider_resume).', 'O que espera sai quando quem administra liberar o remetente (cadence_provider_resume).'),
        ('AGUARDA_RESPOSTA', 'the sender waits for the person''s answer', 'o remetente espera a resposta da pessoa',
         'Nothing: it goes on after an answer, or is cancelled by an administrator (cadence_cancel).', 'Nada: continua após a resposta, ou quem administra cancela (cadence_cancel).'),
        ('LIMITE', 'the sender is at its limit', 'o remetente atingiu o limite', 'Nothing: it goes when it can.', 'Nada: sai quando puder.'),
        ('INTERVALO', 'the person was written to a short while ago', 'a pessoa recebeu mensagem há pouco', 'Nothing: it goes later.', 'Nada: sai mais tarde.'),
        ('CADENCIA_INATIVA', 'the cadence is switched off', 'a cadência está desativada', 'Activate the cadence.', 'Ative a cadência.'),
        ('SEM_CADENCIA', 'the cadence does not exist any more', 'a cadência não existe mais',
         'Create it again, or ask an administrator to cancel (cadence_cancel).', 'Crie-a de novo, ou peça a quem administra para cancelar (cadence_cancel).'),
        ('SEM_PASSO', 'no step is left', 'não há mais passos', 'Nothing.', 'Nada.'),
        ('OPT_OUT', 'the person does not want to be written to', 'a pessoa pediu para sair',
         'Do not write to them.', 'Não escreva mais para ela.'),
        ('BLOQUEADO', 'the address is on the blocklist', 'o endereço está na lista de bloqueio',
         'Nothing. An administrator can take an address off (cadence_unblock).', 'Nada. Quem administra pode tirar um endereço da lista (cadence_unblock).'),
        ('RESPOSTA', 'the person has answered', 'a pessoa respondeu', 'Go on with the conversation.', 'Continue a conversa.'),
        ('HUMANO_ASSUMIU', 'somebody of the team has written to the person by hand', 'alguém da equipe escreveu à pessoa manualmente',
         'Go on with the conversation. The cadence goes on only when an administrator resumes it (cadence_resume).', 'Continue a conversa. A cadência só continua se quem administra retomar (cadence_resume).'),
        ('SAIDA', 'a rule of your company has ended the cadence for this person (cadence_exits)', 'uma regra da sua empresa encerrou a cadência para esta pessoa (cadence_exits)', 'Nothing.', 'Nada.'),
        ('PULADO', 'a rule of your company has passed the step by (cadence_skips)', 'uma regra da sua empresa pulou o passo (cadence_skips)', 'Nothing.', 'Nada.'),
        ('VENCIDO', 'the message would have come too late, and was passed by', 'a mensagem chegaria tarde demais e foi pulada',
         'Nothing. If it happens often, look why steps wait.', 'Nada. Se for comum, veja por que os passos esperam.'),
        ('REGRA_FALHOU', 'the rules of your company could not be asked (cadence_exits, cadence_skips)', 'não foi possível consultar as regras da sua empresa (cadence_exits, cadence_skips)',
         'An administrator has to correct the rule: nothing is sent until it answers.', 'Quem administra precisa corrigir a regra: nada é enviado até ela responder.'),
        ('FUSO_INVALIDO', 'the time zone does not exist', 'o fuso horário não existe',
         'Correct the time zone of the contact or company (fuso_horario).', 'Corrija o fuso horário do contato ou da empresa (fuso_horario).'),
        ('JANELA_INVALIDA', 'what is written as the sending hours can not be read', 'o horário de envio não pode ser lido',
         'Correct the sending hours of the cadence or company (janela).', 'Corrija o horário de envio da cadência ou da empresa (janela).'),
        ('SEM_ABERTURA', 'the sending hours do not open within a year', 'o horário de envio não abre dentro de um ano',
         'Correct the sending hours (janela), or the holidays.', 'Corrija o horário de envio (janela) ou os feriados.'),
        ('JANELA', 'outside the sending hours', 'fora do horário de envio', 'Nothing: it goes when they open.', 'Nada: sai quando abrir.'),
        ('FERIADO', 'it is a holiday', 'é feriado', 'Nothing: it goes after that.', 'Nada: sai depois.'),
        ('INTERVALO_MINIMO', 'too soon after the last message to this person', 'cedo demais depois da última mensagem a esta pessoa', 'Nothing: it goes later.', 'Nada: sai mais tarde.'),
        ('LIMITE_PESSOA', 'the person has had their messages of the day', 'a pessoa já recebeu as mensagens do dia', 'Nothing: it goes another day.', 'Nada: sai em outro dia.'),
        ('LIMITE_EMPRESA', 'the company has sent its messages of the day', 'a empresa já enviou as mensagens do dia', 'Nothing: it goes another day.', 'Nada: sai em outro dia.'),
        ('LIMITE_CADENCIA', 'the cadence has sent its messages of the day', 'a cadência já enviou as mensagens do dia', 'Nothing: it goes another day.', 'Nada: sai em outro dia.'),
        ('LIMITE_NOVOS', 'the cadence has begun with its new people of the day', 'a cadência já começou com as pessoas novas do dia', 'Nothing: it goes another day.', 'Nada: sai em outro dia.'),
        ('CANCELADA', 'somebody has cancelled the cadence for this person', 'alguém cancelou a cadência para esta pessoa', 'Nothing.', 'Nada.')
    ) AS v(code, en, pt, en_todo, pt_todo);

COMMENT ON VIEW @extschema@.cadence_code_words IS
'part of the dashboard: what the codes of events mean and what to do, in English and Portuguese';
COMMENT ON COLUMN @extschema@.cadence_code_words.code IS 'as detalhes.codigo of an event';
COMMENT ON COLUMN @extschema@.cadence_code_words.en IS 'what it means';
COMMENT ON COLUMN @extschema@.cadence_code_words.en_todo IS 'what to do';
COMMENT ON COLUMN @extschema@.cadence_code_words.pt IS 'what it means, in Portuguese';
COMMENT ON COLUMN @extschema@.cadence_code_words.pt_todo IS 'what to do, in Portuguese';

CREATE FUNCTION @extschema@.cadence_api_words_of(code text, language text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN $2 LIKE 'en%' THEN jsonb_build_object('means', w.en, 'todo', w.en_todo)
                ELSE jsonb_build_object('means', w.pt, 'todo', w.pt_todo) END
    FROM @extschema@.cadence_code_words AS w WHERE w.code = $1
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_words_of(text, text) IS
'part of the dashboard: what a code means, and what to do, in English where the language begins with en, else in Portuguese; null: not one of ours';
