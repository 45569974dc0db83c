CREATE VIEW @extschema@.cadence_table_constraints AS
    SELECT v.table_name::name, v.definition
    FROM (VALUES
        ('cadences', 'PRIMARY KEY (id), UNIQUE (codigo)'),
        ('cadence_steps', 'PRIMARY KEY (id), UNIQUE (cadence_id, ordem), '
            'FOREIGN KEY (cadence_id) REFERENCES @extschema@.cadences (id) ON DELETE CASCADE'),
        ('lead_contacts', 'PRIMARY KEY (id), UNIQUE (lead_id, empresa)'),
        ('message_templates', 'PRIMARY KEY (id), UNIQUE (empresa, codigo)'),
        ('lead_cadence_runs', 'PRIMARY KEY (id), '
            'FOREIGN KEY (cadence_id) REFERENCES @extschema@.cadences (id), '
            'CHECK (status IN (''ATIVA'', ''CONCLUIDA'', ''CANCELADA'', ''PAUSADA''))'),
        ('lead_cadence_events', 'PRIMARY KEY (id), '
            'FOREIGN KEY (lead_cadence_run_id) REFERENCES @extschema@.lead_cadence_runs (id) ON DELETE CASCADE, '
            'CHECK (tipo_evento IN (''AGENDADO'', ''DISPARADO'', ''ERRO'', ''RESPOSTA_DETECTADA''))'),
        ('lead_messages', 'PRIMARY KEY (id), '
            'FOREIGN KEY (run_id) REFERENCES @extschema@.lead_cadence_runs (id) ON DELETE SET NULL, '
            'CHECK (direcao IN (''OUTBOUND'', ''INBOUND''))'),
        ('cadence_empresas', 'PRIMARY KEY (empresa)'),
        ('cadence_runner_logs', 'PRIMARY KEY (id)'),
        ('cadence_claims', 'PRIMARY KEY (claim_id)'),
        ('cadence_provider_state', 'PRIMARY KEY (server)'),
        ('cadence_conversations', 'PRIMARY KEY (empresa, lead_id, canal)'),
        ('contact_opt_outs', 'PRIMARY KEY (id), UNIQUE NULLS NOT DISTINCT (lead_id, empresa, canal, categoria)'),
        ('cadence_dead_addresses', 'PRIMARY KEY (endereco, canal, empresa)'),
        ('cadence_stopped_templates', 'PRIMARY KEY (codigo, empresa, canal, servidor)'),
        ('cadence_rejected', 'PRIMARY KEY (id)'),
        -- in this order, since of a server for all companies only the value is known
        ('lead_identities', 'PRIMARY KEY (value, kind, empresa), '
            'CHECK (kind IN (''phone'', ''email'', ''wa_lid'', ''wa_user_id''))'),
        ('cadence_outbox', 'PRIMARY KEY (id), CHECK (status IN (''PENDENTE'', ''ENTREGUE'', ''PARADA''))'),
        ('cadence_feriados', 'UNIQUE NULLS NOT DISTINCT (dia, pais, uf, empresa)'),
        ('cadence_usage', 'PRIMARY KEY (name, scope, empresa)'),
        ('cadence_deltas', 'PRIMARY KEY (id)'),
        ('cadence_counts', 'PRIMARY KEY (grain, kind, at, server, outcome, code, canal, template, empresa, cadence)'),
        ('cadence_cohorts', 'PRIMARY KEY (cadence, step, day, empresa)'),
        ('cadence_stock', 'PRIMARY KEY (cadence, ordem, status, empresa)'),
        ('cadence_opt_out_words', 'PRIMARY KEY (word)'),
        -- in this order, since the hash alone tells almost all entries apart
        ('cadence_blocklist', 'PRIMARY KEY (value_hash, kind, empresa), CHECK (kind IN (''phone'', ''email''))'),
        ('cadence_keys', 'PRIMARY KEY (name)'),
        ('cadence_secrets', 'PRIMARY KEY (name)'),
        ('cadence_arming', 'PRIMARY KEY (id)')
    ) AS v(table_name, definition);

COMMENT ON VIEW @extschema@.cadence_table_constraints IS
'the constraints of the tables that cadence_create_tables() creates; adopted tables keep their own';
COMMENT ON COLUMN @extschema@.cadence_table_constraints.table_name IS 'the table';
COMMENT ON COLUMN @extschema@.cadence_table_constraints.definition IS 'the constraint';


-- what people see of them in psql and in an application's table editor
CREATE VIEW @extschema@.cadence_table_comments AS
    WITH own AS (SELECT v.table_name::name, v.column_name::name, v.comment FROM (VALUES
        ('cadences', NULL, 'a cadence: an ordered list of messages of a company'),
        ('cadences', 'codigo', 'by which cadence_enroll() finds it'),
        ('cadences', 'ativo', 'false: its runs wait'),
        ('cadences', 'janela', 'when its messages may leave, in the person''s own time: [{"dias": [1,2,3,4,5], "das": "08:00", "ate": "18:00"}]; null: the company''s'),
        ('cadences', 'janela_espalha', 'what waits for an opening leaves within so long after it (10 minutes)'),
        ('cadences', 'prioridade', 'the higher one goes first where a cap binds'),
        ('cadences', 'max_por_dia', 'so many of its messages a day, in the company''s time; null: any number'),
        ('cadences', 'max_novos_por_dia', 'so many of its runs begin a day; null: any number'),
        ('cadences', 'reentrada', 'UMA_VEZ: a lead is enrolled once ever; SE_INATIVO (or null): not while active; SEMPRE: any time, and an active lead starts over'),
        ('cadences', 'exclusiva', 'true: a lead is in no two exclusive cadences of a company at once'),
        ('cadences', 'canal_principal', 'the application''s own: nothing depends on it'),

        ('cadence_steps', NULL, 'a step of a cadence: one message'),
        ('cadence_steps', 'ordem', 'its place in the cadence'),
        ('cadence_steps', 'offset_minutos', 'minutes since the step before was sent; of the first, since start_at of cadence_enroll()'),
        ('cadence_steps', 'canal', 'WHATSAPP, SMS or EMAIL'),
        ('cadence_steps', 'template_codigo', 'codigo of the message_templates row of the run''s company'),
        ('cadence_steps', 'parar_se_responder', 'true: whoever answers before it is sent ends the run'),
        ('cadence_steps', 'offset_referencia', 'ANTERIOR (or null): offset_minutos counts from the step before; INICIO: from the beginning of the run'),
        ('cadence_steps', 'horario', 'at this time of day, in the person''s own time, of the day that offset_minutos leads to'),
        ('cadence_steps', 'dias_uteis', 'true: the days of offset_minutos are working days'),
        ('cadence_steps', 'validade', 'so long after it was due it is skipped; null: never'),
        ('cadence_steps', 'se_falhar', 'PAUSAR (or null): the run is paused; PULAR: it goes on with the next step'),

        ('lead_contacts', NULL, 'a lead in a company; every column is a placeholder of templates'),
        ('lead_contacts', 'telefone', 'in any usual spelling; without a country''s code it is of the company''s pais'),
        ('lead_contacts', 'opt_out', 'true: nothing is sent on any channel, and runs are cancelled'),
        ('lead_contacts', 'fuso_horario', 'its time zone, as America/Manaus; null: by its telephone number, else the company''s'),
        ('lead_contacts', 'nome', 'the whole name'),
        ('lead_contacts', 'primeiro_nome', 'what messages call the person; null: the first word of nome'),
        ('lead_contacts', 'email', 'one mailbox'),
        ('lead_contacts', 'opt_out_em', 'when the person has opted out'),
        ('lead_contacts', 'opt_out_motivo', 'why, as the run''s event says it'),

        ('message_templates', NULL, 'a text, with {{placeholders}}'),
        ('message_templates', 'canal', 'the channel that it is for; null: any'),
        ('message_templates', 'conteudo', 'the text; of a mail the text part'),
        ('message_templates', 'assunto', 'a mail''s subject; without one, a first line "Assunto: ..." of conteudo'),
        ('message_templates', 'html', 'a mail''s HTML part; values are escaped'),
        ('message_templates', 'midia', 'an object with url, tipo, mime, nome, legenda'),
        ('message_templates', 'whatsapp', 'an approved template: an object with nome, idioma, categoria, componentes, variaveis'),
        ('message_templates', 'ativo', 'false: steps that name it wait'),

        ('lead_cadence_runs', NULL, 'a run: one lead going through one cadence'),
        ('lead_cadence_runs', 'status', 'ATIVA, PAUSADA, CANCELADA or CONCLUIDA'),
        ('lead_cadence_runs', 'next_step_ordem', 'the step that is sent next'),
        ('lead_cadence_runs', 'next_run_at', 'when that is due; while an execution works on the run, when its claim ends'),
        ('lead_cadence_runs', 'attempts', 'attempts of that step, with the one that is under way'),
        ('lead_cadence_runs', 'claim_id', 'who works on the run now; null: nobody'),
        ('lead_cadence_runs', 'passos_enviados', 'ids of the steps that it has had: none of them is sent to it again'),
        ('lead_cadence_runs', 'counts_from', 'when its last step was sent, or the time that it was enrolled for; null: not known'),
        ('lead_cadence_runs', 'step_due_at', 'when its next step was due first, where it has been put off since, or is due since an edit that met its claim; null: at next_run_at'),
        ('lead_cadence_runs', 'edicao', 'what edits of its cadence have left to it: not to be changed by hand. Null: its steps have the numbers that they had when it began'),
        ('lead_cadence_runs', 'last_step_ordem', 'the step that was sent last'),
        ('lead_cadence_runs', 'started_at', 'the start_at that it was enrolled with'),
        ('lead_cadence_runs', 'classification_snapshot', 'the application''s own: nothing depends on it'),
        ('lead_cadence_runs', 'fonte_evento_id', 'the application''s own: nothing depends on it'),

        ('lead_cadence_events', NULL, 'something that happened to a run'),
        ('lead_cadence_events', 'tipo_evento', 'AGENDADO, DISPARADO, ERRO or RESPOSTA_DETECTADA'),
        ('lead_cadence_events', 'detalhes', 'codigo says which situation it is, erro why; pedido is what an uncertain attempt has sent and is sent again as it stands'),
        ('lead_cadence_events', 'lead_cadence_run_id', 'the run'),

        ('lead_messages', NULL, 'a message that was sent, or came in'),
        ('lead_messages', 'direcao', 'OUTBOUND; INBOUND: what a lead has written, by whoever receives it'),
        ('lead_messages', 'estado', 'ENVIADO, ENTREGUE, LIDO or ERRO, as its provider has last said; INCERTO: it may have been sent'),
        ('lead_messages', 'recebido_em', 'of what came in: it opens WhatsApp''s 24 hours'),
        ('lead_messages', 'conteudo', 'the text as it was sent, or came in'),
        ('lead_messages', 'enviado_em', 'when its provider has taken it'),
        ('lead_messages', 'entregue_em', 'when it has arrived, as its provider says'),
        ('lead_messages', 'lido_em', 'when it was read, as its provider says'),
        ('lead_messages', 'erro_detalhe', 'why it has not arrived, in the provider''s words; RETIDO: its provider holds it for review'),
        ('lead_messages', 'whatsapp_message_id', 'by which its provider knows it'),
        ('lead_messages', 'email_message_id', 'by which its provider knows it'),
        ('lead_messages', 'sms_message_id', 'by which its provider knows it'),

        ('cadence_empresas', NULL, 'a company''s name in messages, and its country; a row is optional'),
        ('cadence_empresas', 'nome', 'what messages call it; null: as the run''s empresa is written'),
        ('cadence_empresas', 'pais', 'two letters (ISO 3166): completes telephone numbers without a country''s code'),
        ('cadence_empresas', 'fuso_horario', 'its time zone: of its caps, and of people whose own is not known'),
        ('cadence_empresas', 'uf', 'its state: whose holidays count for people whose own is not known'),
        ('cadence_empresas', 'janela', 'when messages may leave, in the person''s own time; a cadence''s own comes first'),
        ('cadence_empresas', 'janela_espalha', 'what waits for an opening leaves within so long after it (10 minutes)'),
        ('cadence_empresas', 'max_por_lead_dia', 'so many messages a person gets in one of their days, of all cadences; null: any number'),
        ('cadence_empresas', 'max_por_dia', 'so many messages of the company leave in a day; null: any number'),
        ('cadence_empresas', 'intervalo_minimo', 'so long lies between two messages to one person, of any cadence'),

        ('cadence_runner_logs', NULL, 'an execution: one pass over all that was due'),
        ('cadence_runner_logs', 'steps_executed', 'steps that were sent, and runs that had none left'),
        ('cadence_runner_logs', 'runs_touched', 'all that it looked at'),
        ('cadence_runner_logs', 'details', 'results, started_at and finished_at; erro where the execution itself failed'),
        ('cadence_runner_logs', 'executed_at', 'when the row was written'),
        ('cadence_runner_logs', 'errors', 'steps that have failed; of an execution that has failed itself one more'),
        ('cadence_runner_logs', 'duration_ms', 'how long it took'),
        ('cadence_runner_logs', 'trigger_source', 'CRON, MANUAL, TEST or WORKER: who has called'),

        ('cadence_claims', NULL, 'a worker''s claim, for one lease period: not to be changed by hand'),
        ('cadence_claims', 'claim_id', 'its key: the first half is the worker''s own'),
        ('cadence_claims', 'lease_end', 'until when its runs are its own'),
        ('cadence_claims', 'permits', 'how many messages it may have under way by servers with a max_in_flight'),
        ('cadence_claims', 'claimed_at', 'when it began'),

        ('cadence_provider_state', NULL, 'what all executions know of a server: its limits and its breaker'),
        ('cadence_provider_state', 'server', 'its name; "limit_group NAME": what a group of servers shares; "domain DOMAIN of SERVER": of a domain_limits'),
        ('cadence_provider_state', 'next_at', 'when the next message may start, by max_rate, gap, or the provider''s own word'),
        ('cadence_provider_state', 'last_at', 'when the last start was given out'),
        ('cadence_provider_state', 'used', 'what was started in each slot of its windows: not to be read or changed by hand'),
        ('cadence_provider_state', 'first_used_at', 'when its warm_up began'),
        ('cadence_provider_state', 'open_since', 'since when its breaker is open; null: it is closed'),
        ('cadence_provider_state', 'open_until', 'when one message tries whether it sends again'),
        ('cadence_provider_state', 'open_reason', 'why, in the provider''s words'),
        ('cadence_provider_state', 'openings', 'how often in a row it has opened: the wait doubles'),
        ('cadence_provider_state', 'last_answers', 'of its last leads, by which the breaker is opened: not to be read or changed by hand'),
        ('cadence_provider_state', 'paused_at', 'when cadence_provider_pause() was called; null: it is not paused'),
        ('cadence_provider_state', 'pause_reason', 'the motivo that was given'),
        ('cadence_provider_state', 'round_until', 'until when what waits has been put off'),
        ('cadence_provider_state', 'waiting', 'how many were put off in this round'),
        ('cadence_provider_state', 'waited', 'how many in the round before'),
        ('cadence_provider_state', 'new_since', 'since when nobody is written to first'),
        ('cadence_provider_state', 'new_until', 'until when'),
        ('cadence_provider_state', 'new_reason', 'why, in the provider''s words'),
        ('cadence_provider_state', 'new_stops', 'how often in a row: the wait doubles'),
        ('cadence_provider_state', 'slow_until', 'until when the provider has asked for less; null: it has not'),
        ('cadence_provider_state', 'slow_downs', 'how often in a row: each wait is twice the one before'),

        ('cadence_conversations', NULL, 'by which server a person was last written to on a channel, where something depends on it'),
        ('cadence_conversations', 'last_sent_at', 'exact where a server has min_gap or quiet_until_reply; else of the first message by that server'),
        ('cadence_conversations', 'last_key', 'the idempotency key of that step'),

        ('contact_opt_outs', NULL, 'a lead of a company who does not want to be written to'),
        ('contact_opt_outs', 'canal', 'WHATSAPP, SMS or EMAIL; null: all'),
        ('contact_opt_outs', 'categoria', 'only approved templates of that category; null: everything'),
        ('contact_opt_outs', 'origem', 'the server, or the role, that has said so'),

        ('cadence_dead_addresses', NULL, 'an address that does not exist on a channel, as a provider has said; delete the row to try again'),
        ('cadence_dead_addresses', 'endereco', 'a number in E.164 where it can be one, or a mailbox in lower case'),
        ('cadence_dead_addresses', 'motivo', 'in the provider''s words'),
        ('cadence_dead_addresses', 'devolucoes', 'of a mailbox that did not take mails: how many in a row; below 5 it is not dead yet. Null: it does not exist'),

        ('cadence_stopped_templates', NULL, 'an approved template that a server''s provider has stopped; delete the row to try at once'),
        ('cadence_stopped_templates', 'versao', 'of the row of message_templates: one that is edited is another'),
        ('cadence_stopped_templates', 'tentar_em', 'when one message tries it for all that wait'),
        ('cadence_stopped_templates', 'tentativas', 'how often that was in vain'),

        ('cadence_rejected', NULL, 'what a webhook has told that could not be understood or stored: cadence_rejected_retry() tries it again'),
        ('cadence_rejected', 'server', 'whose webhook was called'),
        ('cadence_rejected', 'motivo', 'why it was not taken'),
        ('cadence_rejected', 'codigo', 'SQLSTATE, where that was an error'),
        ('cadence_rejected', 'evento', 'what was read of it; null: it was not understood'),
        ('cadence_rejected', 'elemento', 'the part of the call that it stands in, without secrets; null: too long'),
        ('cadence_rejected', 'corpo', 'the whole call where that is short, without secrets; a text: the beginning of one that can not be read'),
        ('cadence_rejected', 'tentativas', 'how often it was tried'),
        ('cadence_rejected', 'tentado_em', 'when it was tried last'),
        ('lead_identities', NULL, 'by what a lead of a company is known beside its contact: learned from what comes back'),
        ('lead_identities', 'kind', 'phone, email, wa_lid or wa_user_id'),
        ('lead_identities', 'value', 'a number in E.164, a mailbox in lower case, digits@lid, or WhatsApp''s user id'),
        ('lead_identities', 'source', 'the server, or the role, that has said so'),

        ('cadence_outbox', NULL, 'news for other tools: written where a server with canal EVENTOS serves the company, and delivered to it'),
        ('cadence_outbox', 'evento', 'reply, opt_out, opt_in, finished or failed'),
        ('cadence_outbox', 'corpo', 'what is sent'),
        ('cadence_outbox', 'status', 'PENDENTE, ENTREGUE, or PARADA: nobody tries it again; set it to PENDENTE to have it tried'),
        ('cadence_outbox', 'next_run_at', 'when it is due; while an execution works on it, when its claim ends'),
        ('cadence_outbox', 'erro', 'why it was not delivered the last time'),
        ('cadence_outbox', 'entregue_em', 'when it was delivered'),
        ('cadence_outbox', 'attempts', 'how often it was tried'),

        ('cadence_feriados', NULL, 'a day on which nothing is sent: cadence_holidays_br() fills in the national ones of Brazil'),
        ('cadence_feriados', 'pais', 'two letters (ISO 3166): for people of that country'),
        ('cadence_feriados', 'uf', 'only for people of that state; null: the whole country'),
        ('cadence_feriados', 'empresa', 'only for that company''s messages; null: everybody''s'),
        ('cadence_feriados', 'dia', 'closed from midnight to midnight'),

        ('cadence_usage', NULL, 'what was sent on the day that each cap last counted: not to be changed by hand'),
        ('cadence_usage', 'scope', 'LEAD, EMPRESA, CADENCIA, or NOVOS: runs of a cadence that have begun'),
        ('cadence_usage', 'name', 'the lead, or the cadence''s id'),
        ('cadence_usage', 'day', 'of the person, or of the company'),
        ('cadence_usage', 'last_at', 'of a lead: when the last message was to leave'),
        ('cadence_usage', 'used', 'how many were sent on that day'),

        ('cadence_deltas', NULL, 'what has happened since it was last folded into cadence_counts and cadence_cohorts: not to be changed by hand'),
        ('cadence_deltas', 'mark', 'the column of cadence_cohorts that n counts in, too'),
        ('cadence_deltas', 'server', 'the server, by its name; of kind http the route'),
        ('cadence_deltas', 'code', 'why, as detalhes.codigo of an event; of kind http the status'),
        ('cadence_deltas', 'buckets', 'of durations: how many took how long'),
        ('cadence_deltas', 'kind', 'what has happened: attempt, error, and so on'),
        ('cadence_deltas', 'at', 'when'),
        ('cadence_deltas', 'outcome', 'how it went'),
        ('cadence_deltas', 'n', 'how many'),
        ('cadence_deltas', 'us', 'of durations: microseconds, all together'),
        ('cadence_deltas', 'next_step', 'of cohorts: the step that is come to'),
        ('cadence_deltas', 'day', 'of cohorts: on which their runs began'),

        ('cadence_counts', NULL, 'what has happened, counted in all, by the hour and by the minute: read it by cadence_rollup_counts(), which knows the latest, too'),
        ('cadence_counts', 'grain', 'TOTAL, HOUR or MINUTE'),
        ('cadence_counts', 'server', 'the server, by its name; of kind http the route'),
        ('cadence_counts', 'code', 'why, as detalhes.codigo of an event; of kind http the status'),
        ('cadence_counts', 'us', 'of durations: microseconds, all together'),
        ('cadence_counts', 'kind', 'what has happened: attempt, error, and so on'),
        ('cadence_counts', 'at', 'the beginning of the hour or minute; of TOTAL none'),
        ('cadence_counts', 'outcome', 'how it went'),
        ('cadence_counts', 'n', 'how many'),

        ('cadence_cohorts', NULL, 'what became of the runs that began on a day, step by step: read it by cadence_rollup_cohorts(), which knows the latest, too'),
        ('cadence_cohorts', 'day', 'on which the runs began, in their company''s time'),
        ('cadence_cohorts', 'entered', 'runs that have come to the step'),
        ('cadence_cohorts', 'failed', 'runs whose message was given up there, or has come back'),
        ('cadence_cohorts', 'sent', 'runs to which its message was sent'),
        ('cadence_cohorts', 'delivered', 'runs whose message has arrived'),
        ('cadence_cohorts', 'read', 'runs whose message was read'),
        ('cadence_cohorts', 'replied', 'runs whose person has answered it'),
        ('cadence_cohorts', 'opted_out', 'runs whose person wanted no more after it'),
        ('cadence_cohorts', 'skipped', 'runs that have passed it by'),
        ('cadence_cohorts', 'stopped', 'runs that have ended before it was sent'),

        ('cadence_stock', NULL, 'how many runs stand before which step in which status, as of counted_at: written whole each time'),
        ('cadence_stock', 'ordem', 'next_step_ordem of the runs; -1: they have none'),
        ('cadence_stock', 'status', 'of the runs'),
        ('cadence_stock', 'runs', 'how many'),
        ('cadence_stock', 'counted_at', 'when they were counted'),

        ('cadence_opt_out_words', NULL, 'answers that say that somebody wants no more, or wants again: yours to add to'),
        ('cadence_opt_out_words', 'word', 'a whole answer; case, accents and punctuation do not matter'),
        ('cadence_opt_out_words', 'opts_in', 'true: whoever says it wants to be written to again'),
        ('cadence_opt_out_words', 'all_channels', 'true: on every channel, not only the one on which it was said'),
        ('cadence_opt_out_words', 'language', 'of the word: nothing depends on it'),

        ('cadence_blocklist', NULL, 'an address that nobody may write to, or that a company may not: cadence_block() and cadence_unblock() write it'),
        ('cadence_blocklist', 'kind', 'phone or email'),
        ('cadence_blocklist', 'value_hash', '12 bytes of the HMAC-SHA256 of the number in E.164 (Brazil''s mobile ones with the ninth digit, Argentina''s with the 9, Mexico''s with the 1), or of the mailbox in lower case, and 4 that tell which key has made it'),
        ('cadence_blocklist', 'empresa', 'the company that may not; empty: nobody may'),
        ('cadence_blocklist', 'source', 'the server, or the role, that has said so; or whatever was given'),
        ('cadence_blocklist', 'reason', 'why; opt-out, complaint and erased are ours'),

        ('cadence_keys', NULL, 'secret keys of this database, made once: without them no entry of the blocklist is found again'),
        ('cadence_keys', 'name', 'what it is for'),
        ('cadence_keys', 'key', 'secret: whoever reads it can tell whether an address is on the blocklist'),

        ('cadence_secrets', NULL, 'who may see and do what over HTTP: cadence_secret_set() writes it'),
        ('cadence_secrets', 'name', 'what the secret opens: service_role, cron, health, metrics, viewer or people, the last two also with a name behind a colon'),
        ('cadence_secrets', 'digest', 'SHA-256, twice, of the secret, which is kept nowhere'),
        ('cadence_secrets', 'session_key', 'what signs the sessions of who has come in by it: new with each secret'),

        ('cadence_arming', NULL, 'from which server these tables may send: see cadence_arm()'),
        ('cadence_arming', 'id', 'true: there is one row'),
        ('cadence_arming', 'cluster', 'the system identifier of the server'),
        ('cadence_arming', 'database_oid', 'the database'),
        ('cadence_arming', 'control_file', 'which file global/pg_control is: that of a copy is another'),
        ('cadence_arming', 'timeline', 'on which it was armed'),
        ('cadence_arming', 'armed_at', 'when'),
        ('cadence_arming', 'armed_by', 'by which role')
    ) AS v(table_name, column_name, comment))
    SELECT o.table_name, o.column_name, o.comment FROM own AS o
    UNION ALL
    -- what a column of that name is wherever nothing else is said of it
    SELECT c.table_name, c.column_name, u.comment
    FROM @extschema@.cadence_columns AS c
    JOIN (VALUES
        ('id', 'its key'),
        ('empresa', 'the company'),
        ('lead_id', 'the lead, as the application names it'),
        ('cadence_id', 'the cadence'),
        ('cadence', 'the cadence'),
        ('step', 'the step'),
        ('codigo', 'the code of the template'),
        ('nome', 'its name'),
        ('descricao', 'for people: nothing depends on it'),
        ('canal', 'WHATSAPP, SMS or EMAIL'),
        ('server', 'the server, by its name'),
        ('servidor', 'the server, by its name'),
        ('run_id', 'the run; null: none of ours'),
        ('step_ordem', 'the step, by its ordem'),
        ('template_codigo', 'the template, by its codigo'),
        ('template', 'the template, by its codigo'),
        ('code', 'why, as detalhes.codigo of an event'),
        ('motivo', 'why'),
        ('em', 'when'),
        ('claim_id', 'who works on it now; null: nobody'),
        ('first_at', 'when it has happened first'),
        ('last_at', 'when it has happened last'),
        ('created_at', 'when the row was made'),
        ('updated_at', 'when the row was changed last')
    ) AS u(column_name, comment) ON u.column_name = c.column_name
    WHERE NOT EXISTS (SELECT FROM own AS o WHERE o.table_name = c.table_name AND o.column_name = c.column_name);

COMMENT ON VIEW @extschema@.cadence_table_comments IS
'what cadence_create_tables() writes as comments on the tables that it creates, and their columns; adopted tables keep their own';
COMMENT ON COLUMN @extschema@.cadence_table_comments.table_name IS 'the table';
COMMENT ON COLUMN @extschema@.cadence_table_comments.column_name IS 'the column; null: the table itself';
COMMENT ON COLUMN @extschema@.cadence_table_comments.comment IS 'what is said of it';
