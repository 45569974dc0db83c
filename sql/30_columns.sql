--
-- Tables
--

-- What follows are views and not functions, so that the right to execute
-- cadence_create_tables() is all that its caller needs.

CREATE VIEW @extschema@.cadence_columns AS
    -- kind: what an adopted column's type must be. "word" may also be an enum that has the labels.
    SELECT row_number() OVER () AS n, v.table_name::name, v.column_name::name, v.kind, v.type,
           v.default_value, v.required, v.labels
    FROM (VALUES
        ('cadences', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL::text[]),
        ('cadences', 'empresa', 'word', 'text', NULL, true, NULL),
        ('cadences', 'codigo', 'text', 'text', NULL, true, NULL),
        ('cadences', 'nome', 'text', 'text', NULL, false, NULL),
        ('cadences', 'descricao', 'text', 'text', NULL, false, NULL),
        ('cadences', 'ativo', 'bool', 'boolean', 'true', true, NULL),
        ('cadences', 'canal_principal', 'word', 'text', NULL, false, NULL),
        ('cadences', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadences', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('cadence_steps', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('cadence_steps', 'cadence_id', 'uuid', 'uuid', NULL, true, NULL),
        ('cadence_steps', 'ordem', 'int', 'integer', NULL, true, NULL),
        ('cadence_steps', 'offset_minutos', 'int', 'integer', '0', true, NULL),
        ('cadence_steps', 'canal', 'word', 'text', NULL, true, NULL),
        ('cadence_steps', 'template_codigo', 'text', 'text', NULL, true, NULL),
        ('cadence_steps', 'parar_se_responder', 'bool', 'boolean', 'true', true, NULL),
        ('cadence_steps', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_steps', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('lead_contacts', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('lead_contacts', 'lead_id', 'text', 'text', NULL, true, NULL),
        ('lead_contacts', 'empresa', 'word', 'text', NULL, true, NULL),
        ('lead_contacts', 'nome', 'text', 'text', NULL, false, NULL),
        ('lead_contacts', 'primeiro_nome', 'text', 'text', NULL, false, NULL),
        ('lead_contacts', 'email', 'text', 'text', NULL, false, NULL),
        ('lead_contacts', 'telefone', 'text', 'text', NULL, false, NULL),
        ('lead_contacts', 'opt_out', 'bool', 'boolean', 'false', true, NULL),
        ('lead_contacts', 'opt_out_em', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_contacts', 'opt_out_motivo', 'text', 'text', NULL, false, NULL),
        ('lead_contacts', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('lead_contacts', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('message_templates', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('message_templates', 'empresa', 'word', 'text', NULL, true, NULL),
        ('message_templates', 'canal', 'word', 'text', NULL, false, NULL),
        ('message_templates', 'codigo', 'text', 'text', NULL, true, NULL),
        ('message_templates', 'nome', 'text', 'text', NULL, false, NULL),
        ('message_templates', 'conteudo', 'text', 'text', NULL, true, NULL),
        ('message_templates', 'descricao', 'text', 'text', NULL, false, NULL),
        ('message_templates', 'assunto', 'text', 'text', NULL, false, NULL),
        ('message_templates', 'html', 'text', 'text', NULL, false, NULL),
        ('message_templates', 'midia', 'jsonb', 'jsonb', NULL, false, NULL),
        ('message_templates', 'whatsapp', 'jsonb', 'jsonb', NULL, false, NULL),
        ('message_templates', 'ativo', 'bool', 'boolean', 'true', true, NULL),
        ('message_templates', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('message_templates', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('lead_cadence_runs', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('lead_cadence_runs', 'lead_id', 'text', 'text', NULL, true, NULL),
        ('lead_cadence_runs', 'empresa', 'word', 'text', NULL, true, NULL),
        ('lead_cadence_runs', 'cadence_id', 'uuid', 'uuid', NULL, true, NULL),
        ('lead_cadence_runs', 'status', 'word', 'text', '''ATIVA''', true,
         ARRAY['ATIVA', 'CONCLUIDA', 'CANCELADA', 'PAUSADA']),
        ('lead_cadence_runs', 'started_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('lead_cadence_runs', 'last_step_ordem', 'int', 'integer', NULL, false, NULL),
        ('lead_cadence_runs', 'next_step_ordem', 'int', 'integer', NULL, false, NULL),
        ('lead_cadence_runs', 'next_run_at', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_cadence_runs', 'classification_snapshot', 'jsonb', 'jsonb', NULL, false, NULL),
        ('lead_cadence_runs', 'fonte_evento_id', 'uuid', 'uuid', NULL, false, NULL),
        ('lead_cadence_runs', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('lead_cadence_runs', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('lead_cadence_runs', 'attempts', 'int', 'integer', '0', true, NULL),
        ('lead_cadence_runs', 'claim_id', 'uuid', 'uuid', NULL, false, NULL),

        ('lead_cadence_events', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('lead_cadence_events', 'lead_cadence_run_id', 'uuid', 'uuid', NULL, true, NULL),
        ('lead_cadence_events', 'step_ordem', 'int', 'integer', NULL, false, NULL),
        ('lead_cadence_events', 'template_codigo', 'text', 'text', NULL, false, NULL),
        ('lead_cadence_events', 'tipo_evento', 'word', 'text', NULL, true,
         ARRAY['AGENDADO', 'DISPARADO', 'ERRO']),
        ('lead_cadence_events', 'detalhes', 'jsonb', 'jsonb', NULL, false, NULL),
        ('lead_cadence_events', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('lead_messages', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('lead_messages', 'lead_id', 'text', 'text', NULL, true, NULL),
        ('lead_messages', 'empresa', 'word', 'text', NULL, true, NULL),
        ('lead_messages', 'canal', 'word', 'text', NULL, true, NULL),
        ('lead_messages', 'direcao', 'word', 'text', NULL, true, ARRAY['OUTBOUND', 'INBOUND']),
        ('lead_messages', 'conteudo', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'estado', 'word', 'text', NULL, false, ARRAY['ENVIADO']),
        ('lead_messages', 'enviado_em', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_messages', 'entregue_em', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_messages', 'lido_em', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_messages', 'recebido_em', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_messages', 'erro_detalhe', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'run_id', 'uuid', 'uuid', NULL, false, NULL),
        ('lead_messages', 'step_ordem', 'int', 'integer', NULL, false, NULL),
        ('lead_messages', 'template_codigo', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'whatsapp_message_id', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'email_message_id', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'sms_message_id', 'text', 'text', NULL, false, NULL),
        ('lead_messages', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('lead_messages', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('cadence_empresas', 'empresa', 'text', 'text', NULL, true, NULL),
        ('cadence_empresas', 'nome', 'text', 'text', NULL, false, NULL),
        ('cadence_empresas', 'fuso_horario', 'text', 'text', '''America/Sao_Paulo''', true, NULL),
        ('cadence_empresas', 'pais', 'text', 'text', '''BR''', true, NULL),

        ('cadence_runner_logs', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('cadence_runner_logs', 'executed_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_runner_logs', 'steps_executed', 'int', 'integer', '0', true, NULL),
        ('cadence_runner_logs', 'errors', 'int', 'integer', '0', true, NULL),
        ('cadence_runner_logs', 'runs_touched', 'int', 'integer', '0', true, NULL),
        ('cadence_runner_logs', 'duration_ms', 'int', 'integer', NULL, false, NULL),
        ('cadence_runner_logs', 'details', 'jsonb', 'jsonb', NULL, false, NULL),
        ('cadence_runner_logs', 'trigger_source', 'word', 'text', '''CRON''', false,
         ARRAY['CRON', 'MANUAL', 'TEST']),

        -- a row for each claim under way, so that those of processes that are gone are found at once
        ('cadence_claims', 'claim_id', 'uuid', 'uuid', NULL, true, NULL),
        ('cadence_claims', 'lease_end', 'time', 'timestamptz', NULL, true, NULL),
        ('cadence_claims', 'claimed_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_claims', 'permits', 'jsonb', 'jsonb', NULL, false, NULL),

        -- what all executions know of a sender: what it has been given to do, and whether it is shut
        ('cadence_provider_state', 'server', 'text', 'text', NULL, true, NULL),
        ('cadence_provider_state', 'next_at', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_provider_state', 'last_at', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_provider_state', 'used', 'text', 'text', NULL, false, NULL),
        ('cadence_provider_state', 'first_used_at', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_provider_state', 'open_since', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_provider_state', 'open_until', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_provider_state', 'open_reason', 'text', 'text', NULL, false, NULL),
        ('cadence_provider_state', 'openings', 'int', 'integer', '0', true, NULL),
        ('cadence_provider_state', 'last_answers', 'text', 'text', NULL, false, NULL),
        ('cadence_provider_state', 'paused_at', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_provider_state', 'pause_reason', 'text', 'text', NULL, false, NULL),
        ('cadence_provider_state', 'round_until', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_provider_state', 'waiting', 'int', 'integer', '0', true, NULL),
        ('cadence_provider_state', 'waited', 'int', 'integer', '0', true, NULL),
        ('cadence_provider_state', 'new_since', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_provider_state', 'new_until', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_provider_state', 'new_reason', 'text', 'text', NULL, false, NULL),
        ('cadence_provider_state', 'new_stops', 'int', 'integer', '0', true, NULL),
        ('cadence_provider_state', 'slow_until', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_provider_state', 'slow_downs', 'int', 'integer', '0', true, NULL),

        -- by which sender, and when, a person was last written to on a channel: where something depends on it
        ('cadence_conversations', 'empresa', 'text', 'text', NULL, true, NULL),
        ('cadence_conversations', 'lead_id', 'text', 'text', NULL, true, NULL),
        ('cadence_conversations', 'canal', 'text', 'text', NULL, true, NULL),
        ('cadence_conversations', 'server', 'text', 'text', NULL, false, NULL),
        ('cadence_conversations', 'last_sent_at', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_conversations', 'last_key', 'uuid', 'uuid', NULL, false, NULL),

        -- what answers have said and later runs remember: who does not want to be written to, which
        -- addresses do not exist, which approved templates are stopped
        ('contact_opt_outs', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('contact_opt_outs', 'lead_id', 'text', 'text', NULL, true, NULL),
        ('contact_opt_outs', 'empresa', 'text', 'text', NULL, true, NULL),
        ('contact_opt_outs', 'canal', 'text', 'text', NULL, false, NULL),
        ('contact_opt_outs', 'categoria', 'text', 'text', NULL, false, NULL),
        ('contact_opt_outs', 'motivo', 'text', 'text', NULL, false, NULL),
        ('contact_opt_outs', 'origem', 'text', 'text', NULL, false, NULL),
        ('contact_opt_outs', 'em', 'time', 'timestamptz', 'now()', true, NULL),

        ('cadence_dead_addresses', 'endereco', 'text', 'text', NULL, true, NULL),
        ('cadence_dead_addresses', 'canal', 'text', 'text', NULL, true, NULL),
        ('cadence_dead_addresses', 'empresa', 'text', 'text', NULL, true, NULL),
        ('cadence_dead_addresses', 'motivo', 'text', 'text', NULL, false, NULL),
        ('cadence_dead_addresses', 'servidor', 'text', 'text', NULL, false, NULL),
        ('cadence_dead_addresses', 'em', 'time', 'timestamptz', 'now()', true, NULL),

        ('cadence_stopped_templates', 'codigo', 'text', 'text', NULL, true, NULL),
        ('cadence_stopped_templates', 'empresa', 'text', 'text', NULL, true, NULL),
        ('cadence_stopped_templates', 'canal', 'text', 'text', NULL, true, NULL),
        ('cadence_stopped_templates', 'servidor', 'text', 'text', NULL, true, NULL),
        ('cadence_stopped_templates', 'versao', 'text', 'text', NULL, true, NULL),
        ('cadence_stopped_templates', 'motivo', 'text', 'text', NULL, false, NULL),
        ('cadence_stopped_templates', 'em', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_stopped_templates', 'tentar_em', 'time', 'timestamptz', NULL, true, NULL),
        ('cadence_stopped_templates', 'tentativas', 'int', 'integer', '1', true, NULL),

        -- what webhooks have told that could not be understood or stored
        ('cadence_rejected', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('cadence_rejected', 'server', 'text', 'text', NULL, true, NULL),
        ('cadence_rejected', 'empresa', 'text', 'text', NULL, false, NULL),
        ('cadence_rejected', 'em', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_rejected', 'motivo', 'text', 'text', NULL, false, NULL),
        ('cadence_rejected', 'codigo', 'text', 'text', NULL, false, NULL),
        ('cadence_rejected', 'evento', 'jsonb', 'jsonb', NULL, false, NULL),
        ('cadence_rejected', 'elemento', 'jsonb', 'jsonb', NULL, false, NULL),
        ('cadence_rejected', 'corpo', 'jsonb', 'jsonb', NULL, false, NULL),
        ('cadence_rejected', 'tentativas', 'int', 'integer', '1', true, NULL),
        ('cadence_rejected', 'tentado_em', 'time', 'timestamptz', NULL, false, NULL),
        -- by what a person is known beside a contact's number and mailbox, as far as that was heard
        ('lead_identities', 'lead_id', 'text', 'text', NULL, true, NULL),
        ('lead_identities', 'empresa', 'text', 'text', NULL, true, NULL),
        ('lead_identities', 'kind', 'text', 'text', NULL, true, NULL),
        ('lead_identities', 'value', 'text', 'text', NULL, true, NULL),
        ('lead_identities', 'source', 'text', 'text', NULL, false, NULL),
        ('lead_identities', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),

        -- which answers say that somebody wants no more, or wants again
        ('cadence_opt_out_words', 'word', 'text', 'text', NULL, true, NULL),
        ('cadence_opt_out_words', 'language', 'text', 'text', NULL, false, NULL),
        ('cadence_opt_out_words', 'opts_in', 'bool', 'boolean', 'false', true, NULL),
        ('cadence_opt_out_words', 'all_channels', 'bool', 'boolean', 'false', true, NULL),

        -- whom nobody may write to, or a company may not; addresses are hashes by a key of this database
        ('cadence_blocklist', 'kind', 'text', 'text', NULL, true, NULL),
        ('cadence_blocklist', 'value_hash', 'bytes', 'bytea', NULL, true, NULL),
        ('cadence_blocklist', 'empresa', 'text', 'text', '''''', true, NULL),
        ('cadence_blocklist', 'reason', 'text', 'text', NULL, false, NULL),
        ('cadence_blocklist', 'source', 'text', 'text', NULL, false, NULL),
        ('cadence_blocklist', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),

        -- it is a row like any other, since it has to go wherever what was made with it goes
        ('cadence_keys', 'name', 'text', 'text', NULL, true, NULL),
        ('cadence_keys', 'key', 'bytes', 'bytea', NULL, true, NULL),
        ('cadence_keys', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),

        -- for which server the tables are armed, so that no copy of them sends
        ('cadence_arming', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('cadence_arming', 'cluster', 'text', 'text', NULL, true, NULL),
        ('cadence_arming', 'database_oid', 'text', 'text', NULL, true, NULL),
        ('cadence_arming', 'control_file', 'text', 'text', NULL, false, NULL),
        ('cadence_arming', 'timeline', 'int', 'integer', NULL, false, NULL),
        ('cadence_arming', 'armed_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_arming', 'armed_by', 'text', 'text', 'CURRENT_USER', true, NULL)
    ) AS v(table_name, column_name, kind, type, default_value, required, labels);

COMMENT ON VIEW @extschema@.cadence_columns IS
'the columns that cadence_runner works on, as cadence_create_tables() creates or adopts them';

