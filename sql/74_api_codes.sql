--
-- What the codes of events mean, and what to do about them, for who has never seen a table.
-- docs/codes.md has the same codes in more words.
--

CREATE VIEW @extschema@.cadence_code_words AS
    SELECT v.code, v.en, v.pt, v.en_todo, v.pt_todo
    FROM (VALUES
        ('FALHA_ENVIO', 'the message could not be handed over', 'a mensagem não pôde ser entregue ao provedor',
         'It is tried again by itself. If it goes on, look at the sender and its provider; a run that was paused goes on with cadence_resume().',
         'Tenta de novo sozinho. Se continuar, veja o remetente e o provedor dele; o que foi pausado continua com cadence_resume().'),
        ('PROVEDOR_OCUPADO', 'the provider asks for fewer messages', 'o provedor pede menos mensagens',
         'Nothing: everything of this sender waits. If it happens often, lower its max_rate.',
         'Nada: tudo deste remetente espera. Se for comum, diminua o max_rate dele.'),
        ('MAIS_TARDE', 'the provider does not write to this person now', 'o provedor não escreve a esta pessoa agora',
         'Nothing: it is tried again later.', 'Nada: haverá nova tentativa mais tarde.'),
        ('RECUSADO', 'the provider refuses this message for good', 'o provedor recusa esta mensagem de vez',
         'Correct the template or the contact, then cadence_resume(); or cadence_cancel().',
         'Corrija o modelo ou o contato e chame cadence_resume(); ou cadence_cancel().'),
        ('ENDERECO_INEXISTENTE', 'the number or mailbox does not exist', 'o número ou e-mail não existe',
         'Correct the contact.', 'Corrija o contato.'),
        ('JANELA_FECHADA', 'more than 24 hours since the person last wrote: only an approved template may be sent',
         'mais de 24 horas desde a última mensagem da pessoa: só um modelo aprovado pode ser enviado',
         'Give the template an approved one of WhatsApp, then cadence_resume().',
         'Informe no modelo um aprovado pelo WhatsApp e chame cadence_resume().'),
        ('TEMPLATE_PARADO', 'the provider has stopped the template', 'o provedor parou o modelo',
         'Correct the template at the provider; one message at a time tries it again.',
         'Corrija o modelo no provedor; uma mensagem por vez tenta de novo.'),
        ('PROVEDOR_PARADO', 'the sender does not send: its account, key, billing or session', 'o remetente não envia: conta, chave, cobrança ou sessão',
         'Log in again, pay, or correct the key. It goes on by itself, or at once with cadence_provider_resume().',
         'Entre de novo, pague ou corrija a chave. Volta sozinho, ou já com cadence_provider_resume().'),
        ('RETIDO', 'the provider holds the message for review', 'o provedor retém a mensagem para análise',
         'Nothing: after a day it counts as sent. Who knows earlier says so with cadence_settle().',
         'Nada: depois de um dia conta como enviada. Quem souber antes informa com cadence_settle().'),
        ('INCERTO', 'nobody knows whether the message was sent', 'não se sabe se a mensagem foi enviada',
         'Where it waits: look whether it has arrived, and say so with cadence_settle().',
         'Se está esperando: veja se chegou e informe com cadence_settle().'),
        ('SEM_CONTATO', 'the lead has no contact in this company', 'o lead não tem contato nesta empresa',
         'Add the contact.', 'Cadastre o contato.'),
        ('SEM_ENDERECO', 'the contact has no number or e-mail for the channel', 'o contato não tem telefone ou e-mail para o canal',
         'Complete the contact.', 'Complete o contato.'),
        ('ENDERECO_INVALIDO', 'the number or e-mail can not be one', 'o telefone ou e-mail não pode ser válido',
         'Correct the contact: with its area code, and only one.', 'Corrija o contato: com DDD, e um só.'),
        ('ENDERECO_MORTO', 'a provider has said before that the number or mailbox does not exist', 'um provedor já disse que o número ou e-mail não existe',
         'Correct the contact, then cadence_resume().', 'Corrija o contato e chame cadence_resume().'),
        ('SEM_TEMPLATE', 'there is no active template of that code', 'não há modelo ativo com esse código',
         'Create the template, or activate it.', 'Crie o modelo ou ative-o.'),
        ('TEMPLATE_INVALIDO', 'the template can not be filled in', 'o modelo não pode ser preenchido',
         'Correct the placeholders of the template.', 'Corrija os marcadores do modelo.'),
        ('CANAL_DESCONHECIDO', 'the step''s channel is not known', 'o canal do passo não é conhecido',
         'Choose WHATSAPP, SMS or EMAIL in the step.', 'Escolha WHATSAPP, SMS ou EMAIL no passo.'),
        ('SEM_PROVEDOR', 'no sender serves the channel for this company', 'nenhum remetente atende o canal para esta empresa',
         'Create a sender for the channel, or give the tables'' owner the right to use it.',
         'Crie um remetente para o canal ou dê ao dono das tabelas o direito de usá-lo.'),
        ('PROVEDOR_INVALIDO', 'the sender''s settings can not be used', 'a configuração do remetente não serve',
         'Correct the sender''s options or secret; the example says which.', 'Corrija as opções ou o segredo do remetente; o exemplo diz qual.'),
        ('PROVEDOR_PAUSADO', 'somebody has paused the sender', 'alguém pausou o remetente',
         'cadence_provider_resume() sends what waits.', 'cadence_provider_resume() envia o que espera.'),
        ('AGUARDA_RESPOSTA', 'the sender waits for the person''s answer', 'o remetente espera a resposta da pessoa',
         'Nothing: it goes on after an answer; or cadence_cancel().', 'Nada: continua após a resposta; ou cadence_cancel().'),
        ('LIMITE', 'the sender is at its limit', 'o remetente atingiu o limite', 'Nothing: it goes when it can.', 'Nada: sai quando puder.'),
        ('INTERVALO', 'the person was written to a short while ago', 'a pessoa recebeu mensagem há pouco', 'Nothing: it goes later.', 'Nada: sai mais tarde.'),
        ('CADENCIA_INATIVA', 'the cadence is switched off', 'a cadência está desativada', 'Activate the cadence.', 'Ative a cadência.'),
        ('SEM_CADENCIA', 'the run''s cadence does not exist', 'a cadência deste lead não existe mais',
         'Create it again, or cadence_cancel().', 'Crie-a de novo ou chame cadence_cancel().'),
        ('SEM_PASSO', 'no step is left', 'não há mais passos', 'Nothing.', 'Nada.'),
        ('OPT_OUT', 'the person does not want to be written to', 'a pessoa pediu para sair',
         'Do not write to them.', 'Não escreva mais para ela.'),
        ('BLOQUEADO', 'the address is on the blocklist', 'o endereço está na lista de bloqueio',
         'Nothing; cadence_unblock() takes an address off.', 'Nada; cadence_unblock() tira um endereço da lista.'),
        ('RESPOSTA', 'the person has answered', 'a pessoa respondeu', 'Go on with the conversation.', 'Continue a conversa.'),
        ('HUMANO_ASSUMIU', 'somebody of the team has written to the person by hand', 'alguém da equipe escreveu à pessoa manualmente',
         'Nothing; cadence_resume() goes on.', 'Nada; cadence_resume() continua.'),
        ('SAIDA', 'your own rule has ended the run (cadence_exits)', 'a sua própria regra encerrou a execução (cadence_exits)', 'Nothing.', 'Nada.'),
        ('PULADO', 'your own rule has passed the step by (cadence_skips)', 'a sua própria regra pulou o passo (cadence_skips)', 'Nothing.', 'Nada.'),
        ('VENCIDO', 'the message would have come too late, and was passed by', 'a mensagem chegaria tarde demais e foi pulada',
         'Nothing. If it happens often, look why steps wait.', 'Nada. Se for comum, veja por que os passos esperam.'),
        ('REGRA_FALHOU', 'your own rules could not be asked (cadence_exits, cadence_skips)', 'não foi possível consultar as suas próprias regras (cadence_exits, cadence_skips)',
         'Correct the view: nothing is sent until it answers.', 'Corrija a view: nada é enviado até ela responder.'),
        ('FUSO_INVALIDO', 'the time zone does not exist', 'o fuso horário não existe',
         'Correct fuso_horario of the contact or company.', 'Corrija fuso_horario do contato ou da empresa.'),
        ('JANELA_INVALIDA', 'what is written as the sending hours can not be read', 'o horário de envio não pode ser lido',
         'Correct janela of the cadence or company.', 'Corrija janela da cadência ou da empresa.'),
        ('SEM_ABERTURA', 'the sending hours do not open within a year', 'o horário de envio não abre dentro de um ano',
         'Correct janela, or the holidays.', 'Corrija janela ou os feriados.'),
        ('JANELA', 'outside the sending hours', 'fora do horário de envio', 'Nothing: it goes when they open.', 'Nada: sai quando abrir.'),
        ('FERIADO', 'it is a holiday', 'é feriado', 'Nothing: it goes after that.', 'Nada: sai depois.'),
        ('INTERVALO_MINIMO', 'too soon after the last message to this person', 'cedo demais depois da última mensagem a esta pessoa', 'Nothing: it goes later.', 'Nada: sai mais tarde.'),
        ('LIMITE_PESSOA', 'the person has had their messages of the day', 'a pessoa já recebeu as mensagens do dia', 'Nothing: it goes another day.', 'Nada: sai em outro dia.'),
        ('LIMITE_EMPRESA', 'the company has sent its messages of the day', 'a empresa já enviou as mensagens do dia', 'Nothing: it goes another day.', 'Nada: sai em outro dia.'),
        ('LIMITE_CADENCIA', 'the cadence has sent its messages of the day', 'a cadência já enviou as mensagens do dia', 'Nothing: it goes another day.', 'Nada: sai em outro dia.'),
        ('LIMITE_NOVOS', 'the cadence has begun its new runs of the day', 'a cadência já começou os novos leads do dia', 'Nothing: it goes another day.', 'Nada: sai em outro dia.'),
        ('CANCELADA', 'somebody has cancelled the run', 'alguém cancelou a execução', 'Nothing.', 'Nada.')
    ) AS v(code, en, pt, en_todo, pt_todo);

COMMENT ON VIEW @extschema@.cadence_code_words IS
'part of the dashboard: what the codes of events mean and what to do, in English and Portuguese';

CREATE FUNCTION @extschema@.cadence_api_words_of(code text, language text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN $2 LIKE 'en%' THEN jsonb_build_object('means', w.en, 'todo', w.en_todo)
                ELSE jsonb_build_object('means', w.pt, 'todo', w.pt_todo) END
    FROM @extschema@.cadence_code_words AS w WHERE w.code = $1
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_words_of(text, text) IS
'part of the dashboard: what a code means, and what to do, in English where the language begins with en, else in Portuguese; null: not one of ours';
