/* cadence_runner--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cadence_runner" to load this file. \quit

-- Others may create objects in the extension's schema: an operator or function of theirs that fits
-- better than pg_catalog's would run with the rights of whoever installs this, or reads its views.
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
    planted text := (
        SELECT string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid::regprocedure::text)
        FROM pg_proc p
        WHERE p.pronamespace = '@extschema@'::regnamespace AND starts_with(p.proname, 'cadence_')
          AND pg_get_userbyid(p.proowner) <> current_user);
BEGIN
    IF planted IS NOT NULL THEN
        RAISE EXCEPTION 'schema % has functions of others with names of cadence_runner', '@extschema@'
            USING ERRCODE = 'duplicate_function', DETAIL = planted,
                  HINT = 'Whoever calls cadence_runner might call them instead. Drop them, or choose another schema.';
    END IF;
END
$$;
--
-- Executions
--

CREATE FUNCTION @extschema@.cadence_run(trigger text DEFAULT 'CRON') RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_run(text) IS
'runs one execution over all steps that are due now and returns its summary; trigger (CRON, MANUAL or TEST) names the caller in the log';

CREATE FUNCTION @extschema@.cadence_preview(run uuid) RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_preview(uuid) IS
'shows what the next step of a run would send: channel, recipient, text, provider and time; sends nothing, changes nothing';

CREATE FUNCTION @extschema@.cadence_render(template text, vars jsonb) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.cadence_render(text, jsonb) IS
'renders a template with {{name}} and {{name|fallback}} placeholders; vars is an object with a key for each of them';

--
-- Providers
--

CREATE FUNCTION @extschema@.cadence_provider_validator(options text[], catalog oid) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_provider_validator(text[], oid) IS
'checks the options of servers and user mappings of the wrapper cadence_provider';

CREATE FOREIGN DATA WRAPPER cadence_provider VALIDATOR @extschema@.cadence_provider_validator;

COMMENT ON FOREIGN DATA WRAPPER cadence_provider IS
'where cadence_runner sends messages: one server per provider, secrets in its user mappings';


--
-- Protocols: how providers' APIs are spoken
--

CREATE TABLE @extschema@.cadence_protocols (
    name text PRIMARY KEY,
    definition jsonb NOT NULL,
    built_in boolean NOT NULL DEFAULT false
);

-- a server names its protocol in any case
CREATE UNIQUE INDEX cadence_protocols_name_idx ON @extschema@.cadence_protocols (pg_catalog.lower(name));

COMMENT ON TABLE @extschema@.cadence_protocols IS
'how providers'' APIs are spoken: a row for each, those that come with cadence_runner and those of cadence_protocol_define()';
COMMENT ON COLUMN @extschema@.cadence_protocols.name IS 'what a server names in its option protocol';
COMMENT ON COLUMN @extschema@.cadence_protocols.definition IS 'requests and answers as data: see docs/protocols.md';
COMMENT ON COLUMN @extschema@.cadence_protocols.built_in IS 'it comes with the extension and can not be changed';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.cadence_protocols'::pg_catalog.regclass, 'WHERE NOT built_in');

CREATE FUNCTION @extschema@.cadence_protocols_guard() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_protocols_guard() IS
'trigger of cadence_protocols: refuses definitions with problems, and changes that leave servers without a protocol';

CREATE TRIGGER cadence_protocols_guard BEFORE INSERT OR UPDATE OR DELETE ON @extschema@.cadence_protocols
FOR EACH ROW EXECUTE FUNCTION @extschema@.cadence_protocols_guard();
-- in a subscriber, too, which has the built-in protocols already
ALTER TABLE @extschema@.cadence_protocols ENABLE ALWAYS TRIGGER cadence_protocols_guard;
CREATE TRIGGER cadence_protocols_truncate BEFORE TRUNCATE ON @extschema@.cadence_protocols
FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.cadence_protocols_guard();

CREATE FUNCTION @extschema@.cadence_protocol_check(definition jsonb, OUT path text, OUT problem text) RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.cadence_protocol_check(jsonb) IS
'what is wrong with a protocol''s definition, each with a JSON pointer to where it is; no row: it can be used';

CREATE FUNCTION @extschema@.cadence_protocol_define(name text, definition jsonb) RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO @extschema@.cadence_protocols AS p (name, definition)
    VALUES (cadence_protocol_define.name, cadence_protocol_define.definition)
    ON CONFLICT (name) DO UPDATE SET definition = excluded.definition;
END;

COMMENT ON FUNCTION @extschema@.cadence_protocol_define(text, jsonb) IS
'makes a protocol, or replaces one of yours; servers that use it follow at once. All that is wrong with the definition is one error';

--
-- Senders
--

CREATE FUNCTION @extschema@.cadence_provider_pause(server text, motivo text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_provider_pause(text, text) IS
'lets nothing leave by this server until cadence_provider_resume(); what is due to it waits, and uses no attempt';

CREATE FUNCTION @extschema@.cadence_provider_resume(server text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_provider_resume(text) IS
'lets messages leave by this server again, whether it was paused by hand or stopped by its own failures, and makes due what waits for it';

--
-- A sender's state goes by its name
--

-- A server that is dropped takes its state along, and one that is renamed keeps it: neither a new
-- number nor a new address begins with the warm-up, the pause or the failures of another one. What
-- is dumped and restored is dropped by nobody, so a pause is there again.
CREATE FUNCTION @extschema@.cadence_follow_servers() RETURNS event_trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_follow_servers() IS
'removes and renames what cadence_provider_state has of servers that are dropped or renamed';

CREATE EVENT TRIGGER cadence_server_dropped ON sql_drop
WHEN TAG IN ('DROP SERVER', 'DROP OWNED') EXECUTE FUNCTION @extschema@.cadence_follow_servers();

CREATE EVENT TRIGGER cadence_server_renamed ON ddl_command_end
WHEN TAG IN ('ALTER SERVER') EXECUTE FUNCTION @extschema@.cadence_follow_servers();

-- also where triggers of the origin are switched off
ALTER EVENT TRIGGER cadence_server_dropped ENABLE ALWAYS;
ALTER EVENT TRIGGER cadence_server_renamed ENABLE ALWAYS;

COMMENT ON EVENT TRIGGER cadence_server_dropped IS
'a server that is dropped takes its row of cadence_provider_state along';

COMMENT ON EVENT TRIGGER cadence_server_renamed IS
'a server that is renamed keeps its row of cadence_provider_state';
--
-- Words by which people say that they want no more
--

CREATE VIEW @extschema@.cadence_first_words AS
    SELECT v.word, v.language, v.opts_in, v.all_channels
    FROM (VALUES
        ('SAIR', 'pt', false, false),
        ('PARAR', 'pt', false, false),
        ('PARE', 'pt', false, false),
        ('CANCELAR', 'pt', false, false),
        ('CANCELAR INSCRICAO', 'pt', false, false),
        ('DESCADASTRAR', 'pt', false, false),
        ('DESCADASTRE', 'pt', false, false),
        ('DESINSCREVER', 'pt', false, false),
        ('REMOVER', 'pt', false, false),
        ('ME REMOVA', 'pt', false, false),
        ('SAIR DA LISTA', 'pt', false, false),
        ('NAO QUERO MAIS', 'pt', false, false),
        ('NAO QUERO RECEBER', 'pt', false, false),
        ('NAO QUERO MAIS RECEBER', 'pt', false, false),
        ('NAO QUERO RECEBER MENSAGENS', 'pt', false, false),
        ('NAO QUERO MAIS RECEBER MENSAGENS', 'pt', false, false),
        ('PARE DE ME MANDAR MENSAGEM', 'pt', false, false),
        ('PARE DE ME MANDAR MENSAGENS', 'pt', false, false),
        ('SAIR DE TUDO', 'pt', false, true),
        ('PARAR TUDO', 'pt', false, true),
        ('CANCELAR TUDO', 'pt', false, true),
        ('STOP', 'en', false, false),
        ('QUIT', 'en', false, false),
        ('END', 'en', false, false),
        ('CANCEL', 'en', false, false),
        ('REVOKE', 'en', false, false),
        ('REMOVE', 'en', false, false),
        ('REMOVE ME', 'en', false, false),
        ('UNSUBSCRIBE', 'en', false, false),
        ('OPTOUT', 'en', false, false),
        ('OPT OUT', 'en', false, false),
        ('STOPALL', 'en', false, true),
        ('STOP ALL', 'en', false, true),
        ('UNSUBSCRIBE ALL', 'en', false, true),
        ('BAJA', 'es', false, false),
        ('DAR DE BAJA', 'es', false, false),
        ('DARME DE BAJA', 'es', false, false),
        ('DETENER', 'es', false, false),
        ('NO QUIERO RECIBIR', 'es', false, false),
        ('NO QUIERO RECIBIR MAS', 'es', false, false),
        ('NO QUIERO RECIBIR MENSAJES', 'es', false, false),
        ('NO QUIERO RECIBIR MAS MENSAJES', 'es', false, false),
        ('BAJA TOTAL', 'es', false, true),
        ('VOLTAR', 'pt', true, false),
        ('INSCREVER', 'pt', true, false),
        ('QUERO RECEBER', 'pt', true, false),
        ('VOLTAR A RECEBER', 'pt', true, false),
        ('START', 'en', true, false),
        ('UNSTOP', 'en', true, false),
        ('SUBSCRIBE', 'en', true, false),
        ('OPT IN', 'en', true, false),
        ('ALTA', 'es', true, false),
        ('SUSCRIBIR', 'es', true, false),
        ('QUIERO RECIBIR', 'es', true, false)
    ) AS v(word, language, opts_in, all_channels);

COMMENT ON VIEW @extschema@.cadence_first_words IS
'what cadence_create_tables() puts into the table cadence_opt_out_words when it creates it';
COMMENT ON COLUMN @extschema@.cadence_first_words.word IS 'a whole answer';
COMMENT ON COLUMN @extschema@.cadence_first_words.language IS 'of the word';
COMMENT ON COLUMN @extschema@.cadence_first_words.opts_in IS 'whether it says that somebody wants to be written to again';
COMMENT ON COLUMN @extschema@.cadence_first_words.all_channels IS 'whether it is about every channel';
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
        ('cadences', 'janela', 'jsonb', 'jsonb', NULL, false, NULL),
        ('cadences', 'janela_espalha', 'span', 'interval', NULL, false, NULL),
        ('cadences', 'prioridade', 'int', 'integer', '0', false, NULL),
        ('cadences', 'max_por_dia', 'int', 'integer', NULL, false, NULL),
        ('cadences', 'max_novos_por_dia', 'int', 'integer', NULL, false, NULL),
        ('cadences', 'reentrada', 'word', 'text', NULL, false, ARRAY['UMA_VEZ', 'SE_INATIVO', 'SEMPRE']),
        ('cadences', 'exclusiva', 'bool', 'boolean', 'false', false, NULL),
        ('cadences', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadences', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('cadence_steps', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('cadence_steps', 'cadence_id', 'uuid', 'uuid', NULL, true, NULL),
        ('cadence_steps', 'ordem', 'int', 'integer', NULL, true, NULL),
        ('cadence_steps', 'offset_minutos', 'int', 'integer', '0', true, NULL),
        ('cadence_steps', 'canal', 'word', 'text', NULL, true, NULL),
        ('cadence_steps', 'template_codigo', 'text', 'text', NULL, true, NULL),
        ('cadence_steps', 'parar_se_responder', 'bool', 'boolean', 'true', true, NULL),
        ('cadence_steps', 'offset_referencia', 'word', 'text', NULL, false, ARRAY['ANTERIOR', 'INICIO']),
        ('cadence_steps', 'horario', 'clock', 'time', NULL, false, NULL),
        ('cadence_steps', 'dias_uteis', 'bool', 'boolean', 'false', false, NULL),
        ('cadence_steps', 'validade', 'span', 'interval', NULL, false, NULL),
        ('cadence_steps', 'se_falhar', 'word', 'text', NULL, false, ARRAY['PAUSAR', 'PULAR']),
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
        ('lead_contacts', 'fuso_horario', 'text', 'text', NULL, false, NULL),
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
        ('lead_cadence_runs', 'passos_enviados', 'uuids', 'uuid[]', NULL, false, NULL),
        ('lead_cadence_runs', 'counts_from', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_cadence_runs', 'step_due_at', 'time', 'timestamptz', NULL, false, NULL),
        ('lead_cadence_runs', 'edicao', 'jsonb', 'jsonb', NULL, false, NULL),

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
        ('cadence_empresas', 'uf', 'text', 'text', NULL, false, NULL),
        ('cadence_empresas', 'janela', 'jsonb', 'jsonb', NULL, false, NULL),
        ('cadence_empresas', 'janela_espalha', 'span', 'interval', NULL, false, NULL),
        ('cadence_empresas', 'max_por_lead_dia', 'int', 'integer', NULL, false, NULL),
        ('cadence_empresas', 'max_por_dia', 'int', 'integer', NULL, false, NULL),
        ('cadence_empresas', 'intervalo_minimo', 'span', 'interval', NULL, false, NULL),

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
        ('cadence_dead_addresses', 'devolucoes', 'int', 'integer', NULL, false, NULL),

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

        -- news for other tools, until they are delivered, and for a while after
        ('cadence_outbox', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('cadence_outbox', 'empresa', 'text', 'text', NULL, true, NULL),
        ('cadence_outbox', 'evento', 'text', 'text', NULL, true, NULL),
        ('cadence_outbox', 'run_id', 'uuid', 'uuid', NULL, false, NULL),
        ('cadence_outbox', 'lead_id', 'text', 'text', NULL, false, NULL),
        ('cadence_outbox', 'corpo', 'jsonb', 'jsonb', NULL, true, NULL),
        ('cadence_outbox', 'status', 'text', 'text', '''PENDENTE''', true, NULL),
        ('cadence_outbox', 'next_run_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_outbox', 'attempts', 'int', 'integer', '0', true, NULL),
        ('cadence_outbox', 'claim_id', 'uuid', 'uuid', NULL, false, NULL),
        ('cadence_outbox', 'entregue_em', 'time', 'timestamptz', NULL, false, NULL),
        ('cadence_outbox', 'erro', 'text', 'text', NULL, false, NULL),
        ('cadence_outbox', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_outbox', 'updated_at', 'time', 'timestamptz', 'now()', true, NULL),

        -- days on which nothing is sent
        ('cadence_feriados', 'dia', 'date', 'date', NULL, true, NULL),
        ('cadence_feriados', 'nome', 'text', 'text', NULL, false, NULL),
        ('cadence_feriados', 'pais', 'text', 'text', '''BR''', true, NULL),
        ('cadence_feriados', 'uf', 'text', 'text', NULL, false, NULL),
        ('cadence_feriados', 'empresa', 'text', 'text', NULL, false, NULL),

        -- what was sent on the day that each cap last counted
        ('cadence_usage', 'empresa', 'text', 'text', NULL, true, NULL),
        ('cadence_usage', 'scope', 'text', 'text', NULL, true, NULL),
        ('cadence_usage', 'name', 'text', 'text', NULL, true, NULL),
        ('cadence_usage', 'day', 'date', 'date', NULL, true, NULL),
        ('cadence_usage', 'used', 'int', 'integer', '0', true, NULL),
        ('cadence_usage', 'last_at', 'time', 'timestamptz', NULL, false, NULL),

        -- what has happened, counted: insert-only, and folded into the next two by whoever comes by (71_rollup.sql)
        ('cadence_deltas', 'id', 'uuid', 'uuid', 'gen_random_uuid()', true, NULL),
        ('cadence_deltas', 'kind', 'text', 'text', '''''', true, NULL),
        ('cadence_deltas', 'at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_deltas', 'empresa', 'text', 'text', '''''', true, NULL),
        ('cadence_deltas', 'server', 'text', 'text', '''''', true, NULL),
        ('cadence_deltas', 'canal', 'text', 'text', '''''', true, NULL),
        ('cadence_deltas', 'outcome', 'text', 'text', '''''', true, NULL),
        ('cadence_deltas', 'code', 'text', 'text', '''''', true, NULL),
        ('cadence_deltas', 'template', 'text', 'text', '''''', true, NULL),
        ('cadence_deltas', 'cadence', 'uuid', 'uuid', NULL, false, NULL),
        ('cadence_deltas', 'step', 'uuid', 'uuid', NULL, false, NULL),
        ('cadence_deltas', 'next_step', 'uuid', 'uuid', NULL, false, NULL),
        ('cadence_deltas', 'day', 'date', 'date', NULL, false, NULL),
        ('cadence_deltas', 'mark', 'text', 'text', '''''', true, NULL),
        ('cadence_deltas', 'n', 'int', 'bigint', '0', true, NULL),
        ('cadence_deltas', 'us', 'int', 'bigint', '0', true, NULL),
        ('cadence_deltas', 'buckets', 'jsonb', 'jsonb', NULL, false, NULL),
        ('cadence_deltas', 'first_at', 'time', 'timestamptz', 'now()', true, NULL),
        ('cadence_deltas', 'last_at', 'time', 'timestamptz', 'now()', true, NULL),

        ('cadence_counts', 'grain', 'text', 'text', NULL, true, NULL),
        ('cadence_counts', 'kind', 'text', 'text', NULL, true, NULL),
        ('cadence_counts', 'at', 'time', 'timestamptz', NULL, true, NULL),
        ('cadence_counts', 'empresa', 'text', 'text', NULL, true, NULL),
        ('cadence_counts', 'server', 'text', 'text', NULL, true, NULL),
        ('cadence_counts', 'canal', 'text', 'text', NULL, true, NULL),
        ('cadence_counts', 'outcome', 'text', 'text', NULL, true, NULL),
        ('cadence_counts', 'code', 'text', 'text', NULL, true, NULL),
        ('cadence_counts', 'template', 'text', 'text', NULL, true, NULL),
        ('cadence_counts', 'cadence', 'text', 'text', NULL, true, NULL),
        ('cadence_counts', 'n', 'int', 'bigint', '0', true, NULL),
        ('cadence_counts', 'us', 'int', 'bigint', '0', true, NULL),
        ('cadence_counts', 'first_at', 'time', 'timestamptz', NULL, true, NULL),
        ('cadence_counts', 'last_at', 'time', 'timestamptz', NULL, true, NULL),

        ('cadence_cohorts', 'cadence', 'uuid', 'uuid', NULL, true, NULL),
        ('cadence_cohorts', 'step', 'uuid', 'uuid', NULL, true, NULL),
        ('cadence_cohorts', 'day', 'date', 'date', NULL, true, NULL),
        ('cadence_cohorts', 'empresa', 'text', 'text', NULL, true, NULL),
        ('cadence_cohorts', 'entered', 'int', 'bigint', '0', true, NULL),
        ('cadence_cohorts', 'sent', 'int', 'bigint', '0', true, NULL),
        ('cadence_cohorts', 'delivered', 'int', 'bigint', '0', true, NULL),
        ('cadence_cohorts', 'read', 'int', 'bigint', '0', true, NULL),
        ('cadence_cohorts', 'replied', 'int', 'bigint', '0', true, NULL),
        ('cadence_cohorts', 'opted_out', 'int', 'bigint', '0', true, NULL),
        ('cadence_cohorts', 'failed', 'int', 'bigint', '0', true, NULL),
        ('cadence_cohorts', 'skipped', 'int', 'bigint', '0', true, NULL),
        ('cadence_cohorts', 'stopped', 'int', 'bigint', '0', true, NULL),

        -- how many runs stand where, counted now and then
        ('cadence_stock', 'empresa', 'text', 'text', NULL, true, NULL),
        ('cadence_stock', 'cadence', 'text', 'text', NULL, true, NULL),
        ('cadence_stock', 'ordem', 'int', 'integer', NULL, true, NULL),
        ('cadence_stock', 'status', 'text', 'text', NULL, true, NULL),
        ('cadence_stock', 'runs', 'int', 'bigint', NULL, true, NULL),
        ('cadence_stock', 'counted_at', 'time', 'timestamptz', NULL, true, NULL),

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

        -- who may see and do what over HTTP; of each secret only what it can be known again by
        ('cadence_secrets', 'name', 'text', 'text', NULL, true, NULL),
        ('cadence_secrets', 'digest', 'bytes', 'bytea', NULL, true, NULL),
        ('cadence_secrets', 'session_key', 'bytes', 'bytea', NULL, true, NULL),
        ('cadence_secrets', 'created_at', 'time', 'timestamptz', 'now()', true, NULL),

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
COMMENT ON COLUMN @extschema@.cadence_columns.n IS 'its place in the list';
COMMENT ON COLUMN @extschema@.cadence_columns.table_name IS 'the table';
COMMENT ON COLUMN @extschema@.cadence_columns.column_name IS 'the column';
COMMENT ON COLUMN @extschema@.cadence_columns.kind IS 'what the type of an adopted column must be; a word may also be an enum';
COMMENT ON COLUMN @extschema@.cadence_columns.type IS 'the type of a column that is created';
COMMENT ON COLUMN @extschema@.cadence_columns.default_value IS 'its default';
COMMENT ON COLUMN @extschema@.cadence_columns.required IS 'whether it is NOT NULL where its table is created';
COMMENT ON COLUMN @extschema@.cadence_columns.labels IS 'what an enum must have';

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
CREATE VIEW @extschema@.cadence_misfits(problem) AS
    WITH present AS (
        SELECT c.oid, c.relname, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity,
               c.relreplident
        FROM pg_class c
        WHERE c.relnamespace = '@extschema@'::regnamespace
          AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND c.relname IN (SELECT s.table_name FROM @extschema@.cadence_columns s)
    ), found AS (
        SELECT s.*, p.oid AS relation, a.attnum, a.atttypid,
               CASE WHEN t.typtype = 'd' THEN getdomainbase.typ ELSE t.oid END AS base
        FROM @extschema@.cadence_columns s
        JOIN present p ON p.relname = s.table_name AND p.relkind IN ('r', 'p')
        LEFT JOIN pg_attribute a
               ON a.attrelid = p.oid AND a.attname = s.column_name AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN LATERAL (
            WITH RECURSIVE d AS (
                SELECT t.typbasetype AS typ WHERE t.typtype = 'd'
                UNION ALL
                SELECT b.typbasetype FROM d JOIN pg_type b ON b.oid = d.typ WHERE b.typtype = 'd')
            SELECT d.typ FROM d JOIN pg_type b ON b.oid = d.typ WHERE b.typtype <> 'd'
        ) AS getdomainbase ON true
    ), runs_owner AS (
        -- from PostgreSQL 16 on a membership may come without the right to SET ROLE
        SELECT relowner, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END AS becoming
        FROM present WHERE relname = 'lead_cadence_runs'
    ), members AS (
        WITH RECURSIVE m AS (
            SELECT p.oid, p.relname, p.oid AS member FROM present p
            UNION
            SELECT m.oid, m.relname, i.inhrelid FROM m JOIN pg_inherits i ON i.inhparent = m.member)
        SELECT * FROM m
    )
    SELECT format('%s is not a table', relname) FROM present WHERE relkind NOT IN ('r', 'p')
    UNION ALL
    SELECT format('%s.%s is missing and can not be added', table_name, column_name)
    FROM found WHERE attnum IS NULL AND column_name = 'id'
    UNION ALL
    SELECT format('%s.%s is of type %s, not %s', f.table_name, f.column_name,
                  format_type(f.atttypid, NULL),
                  CASE f.kind WHEN 'word' THEN 'text or an enum' ELSE f.type END)
    FROM found f JOIN pg_type b ON b.oid = f.base
    WHERE NOT CASE f.kind
        WHEN 'uuid' THEN b.oid = 'uuid'::regtype
        -- char(n) fills with spaces, and name is cut: what is written is not what is read
        WHEN 'text' THEN b.typcategory = 'S' AND b.oid NOT IN ('bpchar'::regtype, 'name'::regtype)
        -- pg_catalog has no operators for a domain over an enum
        WHEN 'word' THEN b.typcategory = 'S' AND b.oid NOT IN ('bpchar'::regtype, 'name'::regtype)
                         OR b.typtype = 'e' AND b.oid = f.atttypid
        WHEN 'int' THEN b.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
        WHEN 'bool' THEN b.oid = 'bool'::regtype
        WHEN 'time' THEN b.oid = 'timestamptz'::regtype
        WHEN 'jsonb' THEN b.oid = 'jsonb'::regtype
        WHEN 'bytes' THEN b.oid = 'bytea'::regtype
        WHEN 'span' THEN b.oid = 'interval'::regtype
        WHEN 'clock' THEN b.oid = 'time'::regtype
        WHEN 'date' THEN b.oid = 'date'::regtype
        WHEN 'uuids' THEN b.oid = 'uuid[]'::regtype
    END
    UNION ALL
    SELECT format('%s.%s is an enum without %s', f.table_name, f.column_name, quote_literal(l.label))
    FROM found f JOIN pg_type b ON b.oid = f.base AND b.typtype = 'e'
    CROSS JOIN unnest(f.labels) AS l(label)
    WHERE NOT EXISTS (SELECT FROM pg_enum e WHERE e.enumtypid = b.oid AND e.enumlabel = l.label)
    UNION ALL
    SELECT format('%s.%s is too short for %s', f.table_name, f.column_name, quote_literal(l.label))
    FROM found f JOIN pg_attribute a ON a.attrelid = f.relation AND a.attnum = f.attnum
    CROSS JOIN unnest(f.labels) AS l(label)
    WHERE f.base = 'varchar'::regtype AND a.atttypmod > 0 AND a.atttypmod - 4 < length(l.label)
    UNION ALL
    -- a claim names its rows by id, and foreign keys lead there; a sender has one state
    SELECT format('%s.%s has no primary key or unique constraint', p.relname, f.column_name)
    FROM found f JOIN present p ON p.oid = f.relation
    WHERE (f.table_name IN ('cadences', 'lead_cadence_runs') AND f.column_name = 'id'
           OR f.table_name = 'cadence_provider_state' AND f.column_name = 'server') AND f.attnum IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index i
                      WHERE i.indrelid = f.relation AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                        AND i.indnkeyatts = 1 AND i.indkey[0] = f.attnum)
    UNION ALL
    SELECT format('%s has no primary key or unique constraint on (%s)', p.relname, array_to_string(u.columns, ', '))
    FROM present p
    JOIN (VALUES ('cadence_conversations', ARRAY['empresa', 'lead_id', 'canal']::name[]),
                 ('lead_identities', ARRAY['empresa', 'kind', 'value']::name[]),
                 ('cadence_blocklist', ARRAY['empresa', 'kind', 'value_hash']::name[]),
                 ('cadence_keys', ARRAY['name']::name[]),
                 ('cadence_secrets', ARRAY['name']::name[]),
                 ('cadence_usage', ARRAY['empresa', 'name', 'scope']::name[]),
                 ('cadence_counts', ARRAY['at', 'cadence', 'canal', 'code', 'empresa', 'grain', 'kind', 'outcome', 'server', 'template']::name[]),
                 ('cadence_cohorts', ARRAY['cadence', 'day', 'empresa', 'step']::name[])) AS u(relname, columns)
      ON u.relname = p.relname
    WHERE NOT EXISTS (SELECT FROM pg_index i
                      WHERE i.indrelid = p.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                        AND i.indexprs IS NULL AND i.indnkeyatts = cardinality(u.columns)
                        AND (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute a
                             WHERE a.attrelid = p.oid AND a.attnum = ANY (i.indkey[0:cardinality(u.columns) - 1]))
                            = (SELECT array_agg(k ORDER BY k) FROM unnest(u.columns) AS k))
    UNION ALL
    -- a column of the application that our inserts do not fill
    SELECT format('%s.%s is NOT NULL without a default, and cadence_runner does not write it',
                  p.relname, a.attname)
    FROM present p
    JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE p.relname IN ('lead_cadence_events', 'lead_messages', 'cadence_runner_logs', 'cadence_claims',
                        'cadence_provider_state', 'cadence_conversations', 'contact_opt_outs', 'cadence_dead_addresses',
                        'cadence_stopped_templates', 'lead_identities', 'cadence_rejected', 'cadence_blocklist', 'cadence_outbox',
                        'cadence_usage', 'cadence_secrets', 'cadence_deltas', 'cadence_counts', 'cadence_cohorts', 'cadence_stock')
      AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''
      AND NOT EXISTS (SELECT FROM @extschema@.cadence_columns s
                      WHERE s.table_name = p.relname AND s.column_name = a.attname)
    UNION ALL
    SELECT format('%s may not be used by role %s, the owner of lead_cadence_runs: it lacks %s',
                  p.relname, pg_get_userbyid(r.relowner), w.privilege)
    FROM runs_owner r CROSS JOIN present p
    CROSS JOIN unnest(CASE
        WHEN p.relname = 'lead_cadence_events' THEN ARRAY['SELECT', 'INSERT']
        WHEN p.relname IN ('contact_opt_outs', 'cadence_blocklist') THEN ARRAY['SELECT', 'INSERT', 'DELETE']
        WHEN p.relname = 'lead_messages' THEN ARRAY['SELECT', 'INSERT', 'UPDATE']
        WHEN p.relname IN ('cadence_runner_logs', 'cadence_claims', 'cadence_stopped_templates', 'cadence_rejected',
                           'cadence_dead_addresses', 'cadence_outbox', 'cadence_secrets', 'cadence_deltas', 'cadence_counts', 'cadence_cohorts', 'cadence_stock')
        THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
        WHEN p.relname IN ('cadence_provider_state', 'cadence_conversations', 'lead_identities', 'cadence_usage')
        THEN ARRAY['SELECT', 'INSERT', 'UPDATE']
        WHEN p.relname = 'cadence_arming' THEN '{}'
        ELSE ARRAY['SELECT'] END) AS w(privilege)
    WHERE p.relkind IN ('r', 'p') AND NOT has_table_privilege(r.relowner, p.oid, w.privilege)
    UNION ALL
    -- a table's owner decides what its triggers do, and they run as the owner of the runs
    SELECT format('%s does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  p.relname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN present p
    WHERE p.relname <> 'cadence_arming' AND NOT pg_has_role(p.relowner, r.relowner, r.becoming)
    UNION ALL
    -- so do a partition's, a type's, and whoever brings a trigger
    SELECT format('%s, which inherits from %s, does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  m.member::regclass, m.relname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN members m JOIN pg_class c ON c.oid = m.member
    WHERE m.member <> m.oid AND NOT pg_has_role(c.relowner, r.relowner, r.becoming)
    UNION ALL
    SELECT format('%s has the trigger %I, whose function does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  m.member::regclass, g.tgname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN members m JOIN pg_trigger g ON g.tgrelid = m.member AND NOT g.tgisinternal
    JOIN pg_proc p ON p.oid = g.tgfoid
    WHERE NOT pg_has_role(p.proowner, r.relowner, r.becoming)
    UNION ALL
    SELECT format('%s.%s is of type %s, which does not belong to role %s, the owner of lead_cadence_runs, nor to a member of it',
                  m.member::regclass, a.attname, format_type(a.atttypid, NULL), pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN members m
    JOIN pg_attribute a ON a.attrelid = m.member AND a.attnum > 0 AND NOT a.attisdropped
    CROSS JOIN LATERAL (
        WITH RECURSIVE d AS (
            SELECT a.atttypid AS typ
            UNION
            SELECT n.typ FROM d JOIN pg_type b ON b.oid = d.typ
            CROSS JOIN LATERAL (VALUES (b.typbasetype), (b.typelem)) AS n(typ) WHERE n.typ <> 0)
        SELECT bool_or(NOT pg_has_role(b.typowner, r.relowner, r.becoming)) AS alien
        FROM d JOIN pg_type b ON b.oid = d.typ WHERE b.oid >= 16384) AS t
    WHERE t.alien
    UNION ALL
    SELECT format('%s has row level security, which would hide its rows from role %s, the owner of lead_cadence_runs',
                  p.relname, pg_get_userbyid(r.relowner))
    FROM runs_owner r CROSS JOIN present p
    WHERE p.relname <> 'cadence_arming' AND p.relrowsecurity
      AND (p.relforcerowsecurity OR NOT pg_has_role(r.relowner, p.relowner, 'USAGE'))
      AND NOT EXISTS (SELECT FROM pg_roles o WHERE o.oid = r.relowner AND (o.rolsuper OR o.rolbypassrls))
    UNION ALL
    SELECT format('%s is published, and has no replica identity by which its rows could be updated', m.member::regclass)
    FROM members m JOIN pg_class c ON c.oid = m.member AND c.relkind = 'r'
    WHERE m.relname IN ('lead_cadence_runs', 'lead_messages', 'cadence_runner_logs', 'cadence_claims', 'cadence_provider_state',
                        'cadence_conversations', 'contact_opt_outs', 'cadence_stopped_templates', 'lead_identities',
                        'cadence_dead_addresses', 'cadence_rejected', 'cadence_blocklist', 'cadence_outbox', 'cadence_usage',
                        'cadence_secrets', 'cadence_deltas', 'cadence_counts', 'cadence_cohorts', 'cadence_stock', 'cadence_arming')
      AND c.relreplident <> 'f' AND c.relpersistence = 'p'
      AND NOT EXISTS (SELECT FROM pg_index i
                      WHERE i.indrelid = c.oid AND i.indisvalid
                        AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)
      AND EXISTS (SELECT FROM pg_publication b
                  WHERE (b.pubupdate OR b.pubdelete)
                    AND (b.puballtables
                         OR EXISTS (SELECT FROM pg_publication_tables pt JOIN pg_namespace n ON n.nspname = pt.schemaname
                                    WHERE pt.pubname = b.pubname AND n.oid = c.relnamespace AND pt.tablename = c.relname)))
    UNION ALL
    -- their operators are not pg_catalog's: two keys that are one to the application would be two here
    SELECT format('%s.%s is of type %s, whose values are not compared as text', f.table_name, f.column_name,
                  format_type(f.atttypid, NULL))
    FROM found f JOIN pg_type b ON b.oid = f.base
    WHERE f.kind IN ('text', 'word') AND b.typcategory = 'S' AND b.oid >= 16384
      AND f.column_name IN ('id', 'canal', 'status');

COMMENT ON VIEW @extschema@.cadence_misfits IS
'each reason why cadence_create_tables() can not adopt the tables that are there; empty when it can';
COMMENT ON COLUMN @extschema@.cadence_misfits.problem IS 'what stands in the way';

-- A text: an index may call no function of ours. convert_from(), since the script is also read by databases that can not have these letters.
CREATE VIEW @extschema@.cadence_name_words AS
    SELECT 'to_tsvector(''pg_catalog.simple''::regconfig, translate("left"(nome::text, 400), '
           || quote_literal('ÁÀÂÃÄÅáàâãäåÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñ''"<>()[]{}.,;:/\|@&_-*#!?=+~^%$'
                            || convert_from('\xc2a0cc80cc81cc82cc83cc88cca7c2add89ce2808be2808ce2808de2808ee2808fe280aae280abe280ace280ade280aee281a0e281a6e281a7e281a8e281a9efbbbf'::bytea, 'UTF8') COLLATE "default")
           || ', ' || quote_literal('aaaaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnn' || repeat(' ', 32)) || '))' AS expression;

COMMENT ON VIEW @extschema@.cadence_name_words IS
'the words of a person''s name by which it is found, without accents and what is invisible: the expression that lead_contacts_name_idx has';
COMMENT ON COLUMN @extschema@.cadence_name_words.expression IS 'what the index is made of';

CREATE VIEW @extschema@.cadence_missing_indexes AS
    -- served_by: no index is missing where a complete one starts with one of these columns
    SELECT v.table_name::name, v.index_name::name, v.definition
    FROM (VALUES
        -- the due runs, in the order in which they are claimed, however many others there are
        ('lead_cadence_runs', 'lead_cadence_runs_due_idx', '(next_run_at, id) WHERE status = ''ATIVA''', NULL::text[]),
        -- what waits for an operator
        ('lead_cadence_runs', 'lead_cadence_runs_paused_idx', '(id) WHERE status = ''PAUSADA''', NULL),
        -- a person's, when somebody answers whose message may have arrived
        ('lead_cadence_runs', 'lead_cadence_runs_held_idx', '(lead_id) WHERE status = ''PAUSADA''', ARRAY['lead_id']),
        -- and those that are over, also for cadence_enroll(): written once a run. One of all runs would be written twice a step, as next_run_at is
        ('lead_cadence_runs', 'lead_cadence_runs_over_idx', '(lead_id) WHERE status <> ''ATIVA'' AND status <> ''PAUSADA''', ARRAY['lead_id']),
        -- runs that were paused or cancelled while their message was under way
        ('lead_cadence_runs', 'lead_cadence_runs_halted_idx', '(claim_id) WHERE claim_id IS NOT NULL AND status <> ''ATIVA''', NULL),
        -- cadence_enroll() and cadence_resume(): is this lead active already? Our own table has a unique index for that
        ('lead_cadence_runs', 'lead_cadence_runs_lead_idx', '(lead_id) WHERE status = ''ATIVA''', ARRAY['lead_id']),
        -- has this person written to us lately? What we send is not in it
        ('lead_messages', 'lead_messages_inbound_idx', '(lead_id, recebido_em) WHERE recebido_em IS NOT NULL', NULL),
        -- what an uncertain attempt has left is found by its key
        ('lead_messages', 'lead_messages_id_idx', '(id)', ARRAY['id']),
        -- what is tried again, and what is removed, the oldest first
        ('cadence_rejected', 'cadence_rejected_em_idx', '(em, id)', ARRAY['em']),
        -- a mail has arrived: are refusals of any mailbox of its company's counted?
        ('cadence_dead_addresses', 'cadence_dead_addresses_soft_idx', '(empresa) WHERE devolucoes IS NOT NULL', NULL),
        -- news that are due, those that wait for somebody, and those that are done with, the oldest first
        ('cadence_outbox', 'cadence_outbox_due_idx', '(next_run_at, id) WHERE status = ''PENDENTE''', NULL),
        ('cadence_outbox', 'cadence_outbox_stopped_idx', '(id) WHERE status = ''PARADA''', NULL),
        ('cadence_outbox', 'cadence_outbox_done_idx', '(updated_at) WHERE status <> ''PENDENTE''', NULL),
        -- a receipt, or an answer that quotes, names a message by its provider's id
        ('lead_messages', 'lead_messages_whatsapp_idx', '(whatsapp_message_id) WHERE whatsapp_message_id IS NOT NULL',
         ARRAY['whatsapp_message_id']),
        ('lead_messages', 'lead_messages_email_idx', '(email_message_id) WHERE email_message_id IS NOT NULL',
         ARRAY['email_message_id']),
        ('lead_messages', 'lead_messages_sms_idx', '(sms_message_id) WHERE sms_message_id IS NOT NULL',
         ARRAY['sms_message_id']),
        -- who has this number, however it was typed: its last eight digits, which Brazil's ninth, Argentina's 9 and Mexico's 1 do not change
        ('lead_contacts', 'lead_contacts_phone_idx',
         '("right"(regexp_replace(telefone::text, ''[^0-9]'', '''', ''g''), 8))', NULL),
        ('lead_contacts', 'lead_contacts_e164_idx',
         '("right"(regexp_replace(telefone_e164::text, ''[^0-9]'', '''', ''g''), 8))', NULL),
        -- and who has this mailbox
        ('lead_contacts', 'lead_contacts_email_idx', '("left"(lower(email::text), 320))', NULL),
        -- and who has this name, or one that begins so
        ('lead_contacts', 'lead_contacts_name_idx', (SELECT format('USING gin (%s)', w.expression) FROM @extschema@.cadence_name_words AS w), NULL),
        -- a run's history, and its removal
        ('lead_cadence_events', 'lead_cadence_events_run_idx', '(lead_cadence_run_id)', ARRAY['lead_cadence_run_id']),
        -- the last errors of a code, a sender and a template: what was sent is not in it. Cut, so that no text is too long for it
        ('lead_cadence_events', 'lead_cadence_events_group_idx',
         '("left"(coalesce(detalhes ->> ''codigo'', ''''), 40), "left"(coalesce(detalhes ->> ''provedor'', ''''), 63), '
         '"left"(coalesce(template_codigo::text, ''''), 100), created_at) WHERE tipo_evento = ''ERRO''', NULL),
        -- the lookups of a claim, where an adopted table has no constraint that serves them
        ('cadence_steps', 'cadence_steps_cadence_idx', '(cadence_id, ordem)', ARRAY['cadence_id']),
        ('lead_contacts', 'lead_contacts_lead_idx', '(lead_id)', ARRAY['lead_id']),
        ('message_templates', 'message_templates_codigo_idx', '(codigo)', ARRAY['codigo', 'empresa']),
        -- the last executions, and the removal of old ones
        ('cadence_runner_logs', 'cadence_runner_logs_executed_idx', '(executed_at)', ARRAY['executed_at'])
    ) AS v(table_name, index_name, definition, served_by)
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_class c
        WHERE c.relnamespace = '@extschema@'::pg_catalog.regnamespace AND c.relname = v.index_name)
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE c.relnamespace = '@extschema@'::pg_catalog.regnamespace AND c.relname = v.table_name
          AND a.attname = ANY (v.served_by))
      AND (v.index_name <> 'lead_contacts_e164_idx' OR EXISTS (
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = '@extschema@'::pg_catalog.regnamespace AND c.relname = 'lead_contacts'
          AND a.attname = 'telefone_e164' AND a.attnum > 0 AND NOT a.attisdropped))
      AND NOT (v.index_name = 'lead_cadence_runs_lead_idx' AND EXISTS (
        SELECT FROM pg_catalog.pg_class c
        WHERE c.relnamespace = '@extschema@'::pg_catalog.regnamespace AND c.relname = 'lead_cadence_runs_active_idx'));

COMMENT ON VIEW @extschema@.cadence_missing_indexes IS
'the indexes that cadence_create_tables() would still create';
COMMENT ON COLUMN @extschema@.cadence_missing_indexes.table_name IS 'the table';
COMMENT ON COLUMN @extschema@.cadence_missing_indexes.index_name IS 'the index';
COMMENT ON COLUMN @extschema@.cadence_missing_indexes.definition IS 'how it would be made, behind its table''s name';

CREATE FUNCTION @extschema@.cadence_lock_tables() RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_lock_tables() IS
'part of cadence_create_tables(): whoever makes the tables waits for another who does';

CREATE FUNCTION @extschema@.cadence_make_keys() RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_make_keys() IS
'part of cadence_create_tables(): makes each secret key that is missing, but none beside a blocklist whose own is lost';

-- A function of another that fits a call better than ours, or as well, would run with the rights of
-- whoever calls. A superuser needs no such way.
CREATE VIEW @extschema@.cadence_planted(problem) AS
    WITH ours AS (
        SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'cadence_runner'
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')
    SELECT format('%s of role %I might be called instead of cadence_runner''s own', p.oid::regprocedure, r.rolname)
    FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner AND NOT r.rolsuper
    WHERE p.pronamespace = '@extschema@'::regnamespace AND p.oid NOT IN (SELECT objid FROM ours)
      AND p.proname IN (SELECT o.proname FROM ours JOIN pg_proc o ON o.oid = ours.objid);

COMMENT ON VIEW @extschema@.cadence_planted IS
'each function of others that has a name of ours in the extension''s schema; empty when there is none';
COMMENT ON COLUMN @extschema@.cadence_planted.problem IS 'which function, and whose it is';

CREATE FUNCTION @extschema@.cadence_create_tables(owner regrole DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    prefix constant text := '@extschema@.';
    problems text[];
    -- whose the tables are to be
    role constant name := coalesce(pg_get_userbyid(owner), current_user);
    -- from PostgreSQL 16 on a membership may come without the right to SET ROLE
    becoming constant text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END;
    others name[];
    item record;
    remark record;
    grantee record;
    armed_now boolean := false;
    -- runs that were there before anybody counted, and what there was to count them into
    adopted constant boolean := to_regclass('@extschema@.lead_cadence_runs') IS NOT NULL;
    has_counts constant boolean := to_regclass('@extschema@.cadence_counts') IS NOT NULL;
    has_cohorts constant boolean := to_regclass('@extschema@.cadence_cohorts') IS NOT NULL;
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'cadence_runner needs a database with encoding UTF8'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    -- without that right, of two callers one may be told that what it makes is there already
    IF has_function_privilege(prefix || 'cadence_lock_tables()', 'EXECUTE') THEN
        PERFORM @extschema@.cadence_lock_tables();
    END IF;

    IF NOT pg_has_role(role, becoming) THEN
        RAISE EXCEPTION 'role % is neither a superuser nor a member of role %', current_user, role
            USING ERRCODE = 'insufficient_privilege',
                  HINT = CASE WHEN pg_has_role(role, 'MEMBER') THEN format('GRANT %I TO %I WITH SET TRUE', role, current_user)
                              ELSE 'Call it as one of them.' END;
    END IF;

    problems := ARRAY(SELECT p.problem FROM @extschema@.cadence_planted p ORDER BY 1);
    IF cardinality(problems) > 0 THEN
        RAISE EXCEPTION 'schema % has functions of others with names of cadence_runner', '@extschema@'
            USING ERRCODE = 'duplicate_function', DETAIL = array_to_string(problems, E'\n'), HINT = 'Drop them.';
    END IF;

    -- so that nobody puts another in the place of one that was looked at
    FOR item IN
        SELECT c.relname FROM pg_class c
        WHERE c.relnamespace = '@extschema@'::regnamespace AND c.relkind IN ('r', 'p')
          AND c.relname IN (SELECT k.table_name FROM @extschema@.cadence_table_constraints k)
          AND pg_has_role(c.relowner, role, becoming)
    LOOP
        EXECUTE format('LOCK TABLE ONLY %s%I IN ACCESS SHARE MODE', prefix, item.relname);
    END LOOP;

    -- tables that somebody has planted would decide what runs with another's rights
    others := ARRAY(SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class c
                    WHERE c.relnamespace = '@extschema@'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                      AND c.relname IN (SELECT k.table_name FROM @extschema@.cadence_table_constraints k)
                      AND (NOT pg_has_role(c.relowner, role, becoming)
                           OR c.relname = 'lead_cadence_runs' AND pg_get_userbyid(c.relowner) <> role));
    IF cardinality(others) > 0 THEN
        RAISE EXCEPTION 'the tables in schema % do not all belong to role %', '@extschema@', role
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('There are tables of %s.', array_to_string(others, ', ')),
                  HINT = CASE cardinality(others)
                         WHEN 1 THEN format('Where they are the ones that are meant, call '
                                            'cadence_create_tables(owner => %L).', quote_ident(others[1]))
                         ELSE 'Give them to one role with ALTER TABLE ... OWNER TO.' END;
    END IF;

    problems := ARRAY(SELECT m.problem FROM @extschema@.cadence_misfits m);
    IF cardinality(problems) > 0 THEN
        RAISE EXCEPTION 'the tables in schema % can not be adopted', '@extschema@'
            USING ERRCODE = 'datatype_mismatch',
                  DETAIL = array_to_string(problems, E'\n'),
                  HINT = 'Nothing was changed. Change what is listed, and call cadence_create_tables() again.';
    END IF;

    -- a new table of an adopted installation goes to the owner of the runs, as whom the worker connects
    FOR item IN
        SELECT k.table_name, k.definition AS constraints, min(c.n) AS n,
               string_agg(format('%I %s%s%s', c.column_name, c.type,
                                 coalesce(' DEFAULT ' || c.default_value, ''),
                                 CASE WHEN c.required THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY c.n) AS columns
        FROM @extschema@.cadence_table_constraints k JOIN @extschema@.cadence_columns c USING (table_name)
        WHERE to_regclass(prefix || quote_ident(k.table_name)) IS NULL
        GROUP BY k.table_name, k.definition ORDER BY n
    LOOP
        -- each step changes its run twice: with room on its page, that stays there
        EXECUTE format('CREATE TABLE %s%I (%s, %s)%s', prefix, item.table_name, item.columns, item.constraints,
                       CASE item.table_name WHEN 'lead_cadence_runs' THEN ' WITH (fillfactor = 90)' ELSE '' END);
        -- what may be active once; an adopted table may have it twice already (see move.c for what guards that)
        IF item.table_name = 'lead_cadence_runs' THEN
            EXECUTE format('CREATE UNIQUE INDEX lead_cadence_runs_active_idx ON %s%I (lead_id, empresa, cadence_id) WHERE status = ''ATIVA''',
                           prefix, item.table_name);
        END IF;
        IF item.table_name = 'cadence_opt_out_words' THEN
            INSERT INTO @extschema@.cadence_opt_out_words (word, language, opts_in, all_channels)
            SELECT w.word, w.language, w.opts_in, w.all_channels FROM @extschema@.cadence_first_words w;
        END IF;
        -- gen_random_uuid() is made of strong random bits, 122 of them. A lost key is not made again beside what it has made
        IF item.table_name = 'cadence_keys' THEN
            INSERT INTO @extschema@.cadence_keys (name, key)
            SELECT k.name, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
            FROM (VALUES ('blocklist'), ('unsubscribe')) AS k(name)
            WHERE k.name <> 'blocklist' OR NOT EXISTS (SELECT FROM @extschema@.cadence_blocklist);
        END IF;
        EXECUTE format('ALTER TABLE %s%I ENABLE ROW LEVEL SECURITY', prefix, item.table_name);
        FOR remark IN
            SELECT c.column_name, c.comment FROM @extschema@.cadence_table_comments c WHERE c.table_name = item.table_name
        LOOP
            EXECUTE format('COMMENT ON %s%I%s IS %L', CASE WHEN remark.column_name IS NULL THEN 'TABLE ' ELSE 'COLUMN ' END
                               || prefix, item.table_name, coalesce('.' || quote_ident(remark.column_name), ''), remark.comment);
        END LOOP;
        IF role <> current_user THEN
            EXECUTE format('ALTER TABLE %s%I OWNER TO %I', prefix, item.table_name, role);
        END IF;
        -- default privileges (Supabase's, for one) must not hand out what row level security does not cover
        FOR grantee IN
            SELECT DISTINCT a.grantee AS id FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
            WHERE c.oid = to_regclass(prefix || quote_ident(item.table_name)) AND a.grantee <> c.relowner
        LOOP
            EXECUTE format('REVOKE ALL ON %s%I FROM %s', prefix, item.table_name,
                           CASE grantee.id WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee.id)) END);
        END LOOP;
        RAISE NOTICE 'created table %', item.table_name;
        IF item.table_name = 'cadence_arming' THEN
            armed_now := true;
        END IF;
    END LOOP;

    FOR item IN
        SELECT c.* FROM @extschema@.cadence_columns c
        WHERE NOT EXISTS (SELECT FROM pg_attribute a
                          WHERE a.attrelid = to_regclass(prefix || quote_ident(c.table_name))
                            AND a.attname = c.column_name AND a.attnum > 0 AND NOT a.attisdropped)
        ORDER BY c.n
    LOOP
        EXECUTE format('ALTER TABLE %s%I ADD COLUMN %I %s%s', prefix, item.table_name, item.column_name, item.type,
                       coalesce(' DEFAULT ' || item.default_value
                                || CASE WHEN item.required THEN ' NOT NULL' ELSE '' END, ''));
        RAISE NOTICE 'added column % to table %', item.column_name, item.table_name;
    END LOOP;

    FOR item IN SELECT * FROM @extschema@.cadence_missing_indexes ORDER BY table_name, index_name LOOP
        EXECUTE format('CREATE INDEX %I ON %s%I %s', item.index_name, prefix, item.table_name, item.definition);
        RAISE NOTICE 'created index %', item.index_name;
    END LOOP;

    -- keys that a dump has left out
    IF has_function_privilege(prefix || 'cadence_make_keys()', 'EXECUTE') THEN
        PERFORM @extschema@.cadence_make_keys();
    END IF;

    -- commits that make a run due, or arm the tables, wake the resident worker; what they forbid, no execution starts;
    -- policies that can not be are refused
    FOR item IN
        SELECT v.* FROM (VALUES
            ('cadence_runner_wake', 'cadence_wake', 'lead_cadence_runs', 'AFTER', 'INSERT OR UPDATE', 'STATEMENT', ''),
            ('cadence_runner_wake', 'cadence_wake', 'cadence_outbox', 'AFTER', 'INSERT OR UPDATE', 'STATEMENT', ''),
            ('cadence_runner_wake', 'cadence_wake', 'cadence_arming', 'AFTER', 'INSERT OR UPDATE OR DELETE', 'STATEMENT', ''),
            -- the column as an argument: no trigger OF it, beside which its type could not be changed
            ('cadence_runner_barrier', 'cadence_barrier', 'lead_contacts', 'AFTER', 'UPDATE', 'STATEMENT', '''opt_out'''),
            ('cadence_runner_barrier', 'cadence_barrier', 'lead_cadence_runs', 'AFTER', 'UPDATE OR DELETE', 'STATEMENT', '''status'''),
            ('cadence_runner_barrier', 'cadence_barrier', 'contact_opt_outs', 'AFTER', 'INSERT OR UPDATE', 'STATEMENT', ''),
            ('cadence_runner_barrier', 'cadence_barrier', 'cadence_blocklist', 'AFTER', 'INSERT OR UPDATE', 'STATEMENT', ''),
            ('cadence_runner_policy', 'cadence_check_policy', 'cadences', 'BEFORE', 'INSERT OR UPDATE', 'ROW', '''cadences'''),
            ('cadence_runner_policy', 'cadence_check_policy', 'cadence_steps', 'BEFORE', 'INSERT OR UPDATE', 'ROW', '''cadence_steps'''),
            ('cadence_runner_policy', 'cadence_check_policy', 'cadence_empresas', 'BEFORE', 'INSERT OR UPDATE', 'ROW', '''cadence_empresas'''),
            -- runs follow the steps that they stand before; each event has transition tables of its own
            ('cadence_runner_steps_added', 'cadence_steps_edited', 'cadence_steps', 'AFTER', 'INSERT', 'STATEMENT', ''),
            ('cadence_runner_steps_edited', 'cadence_steps_edited', 'cadence_steps', 'AFTER', 'UPDATE', 'STATEMENT', ''),
            ('cadence_runner_steps_removed', 'cadence_steps_edited', 'cadence_steps', 'AFTER', 'DELETE', 'STATEMENT', ''),
            -- whoever enrols, and by whatever INSERT, is counted
            ('cadence_runner_added', 'cadence_runs_added', 'lead_cadence_runs', 'AFTER', 'INSERT', 'STATEMENT', ''))
            AS v(trigger_name, function_name, table_name, timing, event, level, argument)
        WHERE NOT EXISTS (SELECT FROM pg_trigger t
                          WHERE t.tgrelid = to_regclass(prefix || quote_ident(v.table_name))
                            AND t.tgname = v.trigger_name AND NOT t.tgisinternal)
        ORDER BY v.table_name, v.trigger_name
    LOOP
        IF NOT has_function_privilege(format('%s%s()', prefix, item.function_name), 'EXECUTE') THEN
            RAISE NOTICE 'table % gets no trigger %: role % may not execute %()',
                item.table_name, item.trigger_name, current_user, item.function_name
                USING HINT = format('Grant EXECUTE on function %s%s() to that role, and call cadence_create_tables() again. %s',
                                    prefix, item.function_name,
                                    CASE item.function_name
                                        WHEN 'cadence_wake' THEN 'Until then the resident worker looks once a minute.'
                                        WHEN 'cadence_check_policy' THEN 'Until then what can not be is found when a step is due, which waits.'
                                        WHEN 'cadence_runs_added' THEN 'Until then pages do not know how many runs have begun.'
                                        WHEN 'cadence_steps_edited' THEN 'Until then runs do not follow steps that are renumbered.'
                                        ELSE 'Until then a message may leave up to a second after it was forbidden.' END);
            CONTINUE;
        END IF;
        EXECUTE format('CREATE TRIGGER %I %s %s ON %s%I %s FOR EACH %s EXECUTE FUNCTION %s%I(%s)',
                       item.trigger_name, item.timing, item.event, prefix, item.table_name,
                       CASE item.trigger_name
                           WHEN 'cadence_runner_steps_added' THEN 'REFERENCING NEW TABLE AS cadence_steps_after'
                           WHEN 'cadence_runner_added' THEN 'REFERENCING NEW TABLE AS cadence_runs_added'
                           WHEN 'cadence_runner_steps_removed' THEN 'REFERENCING OLD TABLE AS cadence_steps_before'
                           WHEN 'cadence_runner_steps_edited'
                           THEN 'REFERENCING OLD TABLE AS cadence_steps_before NEW TABLE AS cadence_steps_after'
                           ELSE '' END,
                       item.level, prefix, item.function_name, item.argument);
        EXECUTE format('ALTER TRIGGER %I ON %s%I DEPENDS ON EXTENSION cadence_runner',
                       item.trigger_name, prefix, item.table_name);
    END LOOP;

    -- a table that is there already may be a copy: only cadence_arm() arms that
    IF armed_now THEN
        INSERT INTO @extschema@.cadence_arming (cluster, database_oid, timeline)
        SELECT s.system_identifier::text, d.oid::text, c.timeline_id
        FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d WHERE d.datname = current_database();
    END IF;

    -- with the trigger there, what is inserted from here on is counted as it comes
    IF adopted AND NOT (has_counts AND has_cohorts) THEN
        BEGIN
            PERFORM @extschema@.cadence_rollup_rebuild(NOT has_counts, NOT has_cohorts);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'what was there before could not be counted: %', SQLERRM
                USING ERRCODE = SQLSTATE, HINT = 'Call cadence_rollup_rebuild() later. Until then pages know only what happens from now on.';
        END;
    END IF;

    -- without that right, the resident worker finds out some seconds later
    IF has_function_privilege(prefix || 'cadence_wake_worker()', 'EXECUTE') THEN
        PERFORM @extschema@.cadence_wake_worker();
    END IF;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_create_tables(regrole) IS
'creates the tables of cadence_runner in the extension''s schema and adopts those that are there: adds columns and indexes, changes no type, drops nothing';

GRANT SELECT ON @extschema@.cadence_columns, @extschema@.cadence_table_constraints, @extschema@.cadence_misfits,
    @extschema@.cadence_missing_indexes, @extschema@.cadence_name_words, @extschema@.cadence_planted, @extschema@.cadence_table_comments, @extschema@.cadence_first_words TO PUBLIC;

CREATE FUNCTION @extschema@.cadence_wake() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_wake() IS
'wakes the resident worker of this database when the transaction commits; a trigger of cadence_create_tables()';

-- what other sessions are told of when somebody forbids a message: see src/schema/barrier.c
CREATE TYPE @extschema@.cadence_barrier_state AS ();

COMMENT ON TYPE @extschema@.cadence_barrier_state IS
'nothing: what a commit says of it tells executions that somebody has forbidden a message';

CREATE FUNCTION @extschema@.cadence_barrier() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_barrier() IS
'makes every execution look again at what it has claimed before it sends it, when the transaction commits; a trigger of cadence_create_tables()';

CREATE FUNCTION @extschema@.cadence_check_policy() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_check_policy() IS
'refuses windows, times, words and caps that can not be, when they are written; a trigger of cadence_create_tables()';

CREATE FUNCTION @extschema@.cadence_arm() RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_arm() IS
'lets the tables of this database send from this server: for a copy (a restored dump, a copied data directory, an upgraded cluster) that is to take over';

CREATE FUNCTION @extschema@.cadence_steps_edited() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_steps_edited() IS
'keeps the runs right whose cadence is edited: they follow steps that are renumbered, get steps that are inserted before the next one, and are due when their step says; a trigger of cadence_create_tables()';

CREATE FUNCTION @extschema@.cadence_reopen(cadence text, empresa text DEFAULT NULL) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_reopen(text, text) IS
'makes finished runs of a cadence active again that have not had the steps behind their last one, and returns how many; leads that are active in it are left alone. The cadence is named by its codigo, or its id';

CREATE FUNCTION @extschema@.cadence_reopen(cadence uuid) RETURNS bigint
AS 'MODULE_PATHNAME', 'cadence_reopen_by_id' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_reopen(uuid) IS
'the same, of the cadence with that id';

CREATE FUNCTION @extschema@.cadence_check(cadence_codigo text, empresa text DEFAULT NULL)
RETURNS TABLE (severidade text, ordem int, problema text, dica text)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 10
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_check(text, text) IS
'what is wrong with a cadence, before its runs find out: ERRO, what keeps a step from being sent as it was meant; AVISO, what may be meant so. No rows: nothing';

--
-- Status
--

CREATE FUNCTION @extschema@.cadence_runner_status(
    OUT database text, OUT workers int, OUT worker_pid int, OUT worker_state text, OUT worker_since timestamptz,
    OUT worker_seen_at timestamptz, OUT problem text, OUT last_execution timestamptz,
    OUT in_flight bigint, OUT waiting bigint, OUT next_look timestamptz,
    OUT due_now bigint, OUT oldest_due timestamptz, OUT lag interval, OUT claimed bigint,
    OUT uncertain bigint, OUT next_due timestamptz,
    OUT rejected bigint, OUT last_rejected timestamptz, OUT unmatched bigint,
    OUT warnings text[], OUT providers jsonb) RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_runner_status() IS
'the resident workers of the server, and what is due, claimed, uncertain and sent in this database';

CREATE VIEW @extschema@.cadence_runner_status AS SELECT * FROM @extschema@.cadence_runner_status();

COMMENT ON VIEW @extschema@.cadence_runner_status IS
'the same as the function cadence_runner_status(), which its reader must be allowed to execute';
COMMENT ON COLUMN @extschema@.cadence_runner_status.database IS 'of this database, and of each other one that has a resident worker';
COMMENT ON COLUMN @extschema@.cadence_runner_status.workers IS 'how many of its resident workers run';
COMMENT ON COLUMN @extschema@.cadence_runner_status.worker_pid IS 'the process of the first of them';
COMMENT ON COLUMN @extschema@.cadence_runner_status.worker_state IS 'what that does, or why there is none';
COMMENT ON COLUMN @extschema@.cadence_runner_status.worker_since IS 'since when this process has run';
COMMENT ON COLUMN @extschema@.cadence_runner_status.worker_seen_at IS 'when all of them had last gone round their loops';
COMMENT ON COLUMN @extschema@.cadence_runner_status.problem IS 'why it does not run, or why nothing is sent';
COMMENT ON COLUMN @extschema@.cadence_runner_status.last_execution IS 'when a resident worker last recorded a step';
COMMENT ON COLUMN @extschema@.cadence_runner_status.in_flight IS 'messages of all its workers that are under way';
COMMENT ON COLUMN @extschema@.cadence_runner_status.waiting IS 'messages that wait for their providers';
COMMENT ON COLUMN @extschema@.cadence_runner_status.next_look IS 'when the first worker looks again without being woken';
COMMENT ON COLUMN @extschema@.cadence_runner_status.due_now IS 'runs that are due and not taken';
COMMENT ON COLUMN @extschema@.cadence_runner_status.oldest_due IS 'since when the first of them is due';
COMMENT ON COLUMN @extschema@.cadence_runner_status.lag IS 'for how long that is';
COMMENT ON COLUMN @extschema@.cadence_runner_status.claimed IS 'runs that somebody has taken';
COMMENT ON COLUMN @extschema@.cadence_runner_status.uncertain IS 'runs that are held, to be settled with cadence_settle()';
COMMENT ON COLUMN @extschema@.cadence_runner_status.next_due IS 'when the next run is due';
COMMENT ON COLUMN @extschema@.cadence_runner_status.rejected IS 'what webhooks have told that was not taken';
COMMENT ON COLUMN @extschema@.cadence_runner_status.last_rejected IS 'when the last of it came';
COMMENT ON COLUMN @extschema@.cadence_runner_status.unmatched IS 'messages of the last day that came in from nobody who is known';
COMMENT ON COLUMN @extschema@.cadence_runner_status.warnings IS 'what is wrong with the tables, the last execution, or what comes back';
COMMENT ON COLUMN @extschema@.cadence_runner_status.providers IS 'of each server: what is under way, was sent and has failed in the last hour';

-- nothing to be seen without the right to execute the function
GRANT SELECT ON @extschema@.cadence_runner_status TO PUBLIC;

-- what the status says is wrong, with the caller's rights: who executes this must be allowed to execute that
CREATE FUNCTION @extschema@.cadence_health(max_lag interval DEFAULT '5 minutes', OUT ok boolean, OUT reasons text[])
RETURNS record
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD'
AS $$
    SELECT cardinality(r.reasons) = 0, r.reasons
    FROM @extschema@.cadence_runner_status() AS s
    CROSS JOIN LATERAL (SELECT array_remove(
        ARRAY[
            CASE WHEN NOT current_setting('cadence_runner.enabled')::boolean
                THEN 'cadence_runner.enabled is off' END,
            CASE WHEN pg_is_in_recovery() OR s.workers IS NULL THEN NULL
                WHEN s.worker_state = 'paused'
                THEN 'the resident worker is paused, until somebody calls cadence_resume_worker() or the server is started again'
                WHEN s.worker_pid IS NULL OR s.worker_state = 'starting'
                THEN format('the resident worker does not run: it is %s', concat_ws(': ', s.worker_state, s.problem)) END,
            -- it goes round its loop at least once a minute
            CASE WHEN NOT pg_is_in_recovery() AND s.worker_seen_at < clock_timestamp() - interval '150 s'
                THEN format('the resident worker is stuck: it was last heard of at %s', s.worker_seen_at) END,
            -- what was due for ever has no lag
            CASE WHEN s.due_now > 0 AND (s.lag > cadence_health.max_lag) IS NOT FALSE
                THEN format('overdue: %s due, the oldest since %s', s.due_now, s.oldest_due) END]
        || s.warnings
        || ARRAY(SELECT p.problem FROM @extschema@.cadence_planted AS p ORDER BY 1)
        || ARRAY(SELECT format('table %s has no trigger cadence_runner_barrier that fires: what was claimed may be sent for a second '
                               'after it was forbidden; see cadence_create_tables()', v.name)
                 FROM (VALUES ('lead_contacts'), ('lead_cadence_runs'), ('contact_opt_outs'), ('cadence_blocklist')) AS v(name)
                 WHERE to_regclass('@extschema@.' || v.name) IS NOT NULL
                   AND NOT EXISTS (SELECT FROM pg_trigger AS t
                                   WHERE t.tgrelid = to_regclass('@extschema@.' || v.name)
                                     AND t.tgname = 'cadence_runner_barrier' AND t.tgenabled IN ('O', 'A')))
        || ARRAY(SELECT 'table lead_cadence_runs has no trigger cadence_runner_added that fires: how many runs begin is not counted; '
                        'see cadence_create_tables()'
                 WHERE to_regclass('@extschema@.lead_cadence_runs') IS NOT NULL
                   AND NOT EXISTS (SELECT FROM pg_trigger AS t
                                   WHERE t.tgrelid = to_regclass('@extschema@.lead_cadence_runs')
                                     AND t.tgname = 'cadence_runner_added' AND t.tgenabled IN ('O', 'A')))
        -- so many failures in a row, and nothing sent, are no accident
        || ARRAY(SELECT format('server "%s" fails: %s failures and nothing sent in the last hour; %s',
                               p ->> 'server', p ->> 'failed_last_hour', p ->> 'last_error')
                 FROM jsonb_array_elements(s.providers) AS p
                 WHERE (p ->> 'sent_last_hour')::bigint = 0 AND (p ->> 'failed_last_hour')::bigint >= 5)
        || ARRAY(SELECT format('server "%s" speaks version %s of its API, which ends on %s',
                               p ->> 'server', p ->> 'version', p ->> 'version_ends')
                 FROM jsonb_array_elements(s.providers) AS p
                 WHERE (p ->> 'version_ends')::date < current_date + interval '3 months'),
        NULL) AS reasons) AS r
    WHERE s.database = current_database()::text
$$;

COMMENT ON FUNCTION @extschema@.cadence_health(interval) IS
'whether messages leave as they should, or each reason why not; max_lag is how long a due step may wait';


--
-- Resident workers
--

CREATE FUNCTION @extschema@.cadence_pause_worker(database name DEFAULT current_database()) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_pause_worker(name) IS
'ends the resident workers of a database and keeps them out until cadence_resume_worker() or a restart of the server: for ALTER DATABASE ... RENAME or SET TABLESPACE, and CREATE DATABASE ... TEMPLATE';

CREATE FUNCTION @extschema@.cadence_resume_worker(database name DEFAULT current_database()) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_resume_worker(name) IS
'lets the resident workers of a database run again, after cadence_pause_worker()';

CREATE FUNCTION @extschema@.cadence_wake_worker() RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_wake_worker() IS
'when the transaction commits, the resident workers of this database make sure of the extension and its tables, or are started';

--
-- Runs
--
-- These write to tables whose triggers may name other tables without a schema:
-- hence the tables' schema on the search path, as in the worker's own session.
-- Others may create operators there: the library's own SQL names each with its
-- schema. Every statement of theirs has its index, whatever the statistics say.
--

CREATE FUNCTION @extschema@.cadence_enroll(lead_id text, cadence_codigo text, start_at timestamptz DEFAULT now(), empresa text DEFAULT NULL)
RETURNS uuid
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_enroll(text, text, timestamptz, text) IS
'starts a cadence for a lead and returns the run; its first step is due at start_at plus that step''s offset. empresa: which company''s, where several have a cadence of that codigo and more than one knows the lead';

CREATE FUNCTION @extschema@.cadence_enroll_many(lead_ids text[], cadence_codigo text, start_at timestamptz DEFAULT now(), empresa text DEFAULT NULL)
RETURNS TABLE (lead_id text, run uuid, resultado text, motivo text)
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_enroll_many(text[], text, timestamptz, text) IS
'starts a cadence for many leads and says for each, in their order, what happened: INSCRITO, JA_ATIVO, JA_PASSOU, EM_OUTRA_EXCLUSIVA, REPETIDO or INVALIDO';

CREATE FUNCTION @extschema@.cadence_pause(run uuid) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_pause(uuid) IS
'pauses a run that is ATIVA: nothing more is sent until cadence_resume(); a message that is under way is not called back';

CREATE FUNCTION @extschema@.cadence_resume(run uuid) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_resume(uuid) IS
'resumes a run that is PAUSADA: its next step is due at its time, or now if that has passed, with all its attempts again; what an uncertain attempt has sent is sent as it was';

CREATE FUNCTION @extschema@.cadence_cancel(run uuid, motivo text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_cancel(uuid, text) IS
'cancels a run that is ATIVA or PAUSADA, for good; motivo is kept in its event';

CREATE FUNCTION @extschema@.cadence_settle(run uuid, sent boolean) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_settle(uuid, boolean) IS
'settles an uncertain attempt: sent = true moves the run on, and its row in lead_messages becomes ENVIADO; false makes its step due again, and removes that row';

--
-- People: who does not want to be written to
--

CREATE FUNCTION @extschema@.cadence_opt_out(lead_id text, empresa text, canal text DEFAULT NULL, motivo text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_opt_out(text, text, text, text) IS
'notes that a lead of a company does not want to be written to by a channel, or by any where canal is null; runs are cancelled when they come to a step of it';

CREATE FUNCTION @extschema@.cadence_opt_in(lead_id text, empresa text, canal text DEFAULT NULL) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_opt_in(text, text, text) IS
'takes back what contact_opt_outs has of a lead and a channel, or of all channels where canal is null, and the mailbox from the blocklist where the link to unsubscribe has put it there; false: there was nothing. What was cancelled stays so';


CREATE FUNCTION @extschema@.cadence_block(kind text, value text, reason text DEFAULT NULL, source text DEFAULT NULL,
    country text DEFAULT NULL, empresa text DEFAULT NULL) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_block(text, text, text, text, text, text) IS
'puts a number (kind phone) or a mailbox (email) on the blocklist: a company does not write to it any more, or nobody where empresa is null; what waits to be sent is looked up again before it starts. country: of a number without its country''s code, BR if it is left out. false: it was there';

CREATE FUNCTION @extschema@.cadence_block_many(kind text, addresses text[], reason text DEFAULT NULL, source text DEFAULT NULL,
    country text DEFAULT NULL, empresa text DEFAULT NULL, OUT added bigint, OUT known bigint, OUT refused bigint, OUT refused_at int[])
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_block_many(text, text[], text, text, text, text) IS
'the same for many: how many were put there, were there or came twice, and can be no address, with the places of the first of those';

CREATE FUNCTION @extschema@.cadence_unblock(kind text, value text, country text DEFAULT NULL, empresa text DEFAULT NULL) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_unblock(text, text, text, text) IS
'takes an address off the blocklist of a company, or of all where empresa is null, whoever has put it there; false: it was not there. What can be no address is an error';

CREATE FUNCTION @extschema@.cadence_unsubscribe_url(run uuid, canal text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp;

COMMENT ON FUNCTION @extschema@.cadence_unsubscribe_url(uuid, text) IS
'the link by which the person of a run unsubscribes from a channel, or that of its next step: what {{unsubscribe_url}} is in messages';

CREATE FUNCTION @extschema@.cadence_unsubscribe(token text, one_click boolean DEFAULT false,
    OUT status int, OUT headers jsonb, OUT body text)
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_unsubscribe(text, boolean) IS
'what the link to unsubscribe leads to: a page that asks, or with one_click, for a POST, the opt-out, and what to answer; the right to execute it is all that its caller needs';
--
-- What comes back: webhooks
--

CREATE FUNCTION @extschema@.cadence_receive(server text, method text, headers jsonb, query text, body bytea,
    path_secret text DEFAULT NULL, OUT status int, OUT headers jsonb, OUT body text)
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_receive(text, text, jsonb, text, bytea, text) IS
'takes a provider''s call of a server''s webhook as it came, checks who calls, acts upon what it tells, and says what to answer; the right to execute it is all that its caller needs';

CREATE FUNCTION @extschema@.cadence_rejected_retry(server text DEFAULT NULL) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_rejected_retry(text) IS
'tries what is in cadence_rejected again, or what came from that server only; how many events were taken, which are gone from there';

--
-- What comes back, as told by whoever has read it
--

CREATE FUNCTION @extschema@.cadence_inbound(sender text, message text, message_id text DEFAULT NULL,
    received_at timestamptz DEFAULT NULL, server text DEFAULT NULL, empresa text DEFAULT NULL,
    canal text DEFAULT NULL, name text DEFAULT NULL, quotes text DEFAULT NULL, automatic boolean DEFAULT false)
RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_inbound(text, text, text, timestamptz, text, text, text, text, text, boolean) IS
'a person has written to us: stores it, and stops what an answer or an opt-out stops. sender: a number, a mailbox, a LID or a user id; to a server, or to a company by a channel. Returns done, repeated or unmatched';

CREATE FUNCTION @extschema@.cadence_delivery(server text, message_id text, state text,
    at timestamptz DEFAULT NULL, code text DEFAULT NULL, error text DEFAULT NULL, key text DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_delivery(text, text, text, timestamptz, text, text, text) IS
'what became of a message of ours: sent, delivered, read or failed. It is known by its provider''s id, or by our key. Returns done, repeated or unmatched';

--
-- People: who wants to be forgotten
--

-- With the caller's rights, who is the tables' owner, or has what it needs of it; a policy that would
-- hide rows is an error, and not nothing. Keys are compared as text, whatever adopted columns are.
CREATE FUNCTION @extschema@.cadence_erase(lead_id text, empresa text,
    OUT table_name text, OUT done text, OUT n bigint) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    -- what of an event says nothing of the person
    kept constant text[] := ARRAY['codigo', 'canal', 'provedor', 'tentativa', 'chave', 'http_status', 'duracao_ms', 'resposta', 'decidido',
                                  'por', 'next_run_at', 'proxima_tentativa', 'permanente', 'tentativas_esgotadas', 'tardio'];
    contacts jsonb[];
    phones text[];
    mails text[];
    names text[];
    numbers text[];
    is_shared boolean;
    runs uuid[];
    countries text[];
    spelling text;
    item record;
    counts record;
    refused bigint := 0;
BEGIN
    IF $1 IS NULL OR $2 IS NULL THEN
        RAISE EXCEPTION 'lead_id and empresa must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;

    IF NOT EXISTS (SELECT FROM @extschema@.lead_contacts k WHERE k.lead_id::text OPERATOR(pg_catalog.=) $1 AND k.empresa::text OPERATOR(pg_catalog.=) $2)
       AND NOT EXISTS (SELECT FROM @extschema@.lead_cadence_runs r WHERE r.lead_id::text OPERATOR(pg_catalog.=) $1 AND r.empresa::text OPERATOR(pg_catalog.=) $2)
       AND EXISTS (SELECT FROM @extschema@.lead_contacts k WHERE lower(k.lead_id::text) OPERATOR(pg_catalog.=) lower($1) AND lower(k.empresa::text) OPERATOR(pg_catalog.=) lower($2)) THEN
        RAISE EXCEPTION 'lead_contacts has that lead of that company in another spelling'
            USING ERRCODE = 'no_data_found', DETAIL = 'Nothing was erased.', HINT = 'Write lead_id and empresa as they are in lead_contacts.';
    END IF;

    -- before runs are locked, in the order in which answers do it
    INSERT INTO @extschema@.contact_opt_outs (lead_id, empresa, motivo, origem) VALUES ($1, $2, 'erased', current_user) ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'contact_opt_outs'; done := 'added'; RETURN NEXT;
    -- so that nothing starts: as cadence_cancel() does. Each half has its index
    n := 0;
    FOR item IN
        SELECT r.id FROM @extschema@.lead_cadence_runs r
        WHERE r.id OPERATOR(pg_catalog.=) ANY (ARRAY(
            SELECT a.id FROM @extschema@.lead_cadence_runs a WHERE a.lead_id::text OPERATOR(pg_catalog.=) $1 AND a.empresa::text OPERATOR(pg_catalog.=) $2 AND a.status::text OPERATOR(pg_catalog.=) 'ATIVA'
            UNION ALL
            SELECT p.id FROM @extschema@.lead_cadence_runs p WHERE p.lead_id::text OPERATOR(pg_catalog.=) $1 AND p.empresa::text OPERATOR(pg_catalog.=) $2 AND p.status::text OPERATOR(pg_catalog.=) 'PAUSADA'))
        ORDER BY r.id FOR UPDATE
    LOOP
        PERFORM @extschema@.cadence_cancel(item.id, 'erased');
        n := n OPERATOR(pg_catalog.+) 1;
    END LOOP;
    table_name := 'lead_cadence_runs'; done := 'cancelled'; RETURN NEXT;
    runs := ARRAY(SELECT r.id FROM @extschema@.lead_cadence_runs r
                  WHERE r.lead_id::text OPERATOR(pg_catalog.=) $1 AND r.empresa::text OPERATOR(pg_catalog.=) $2);
    -- their messages are recorded when they have ended, texts and all
    SELECT count(*) INTO n FROM @extschema@.lead_cadence_runs r
    WHERE r.id OPERATOR(pg_catalog.=) ANY (runs) AND r.claim_id IS NOT NULL;
    done := 'under way: call again'; RETURN NEXT;

    -- by what the person is known
    contacts := ARRAY(SELECT to_jsonb(k) FROM @extschema@.lead_contacts k
                      WHERE k.lead_id::text OPERATOR(pg_catalog.=) $1 AND k.empresa::text OPERATOR(pg_catalog.=) $2);
    phones := ARRAY(SELECT DISTINCT v.phone FROM (
        SELECT c OPERATOR(pg_catalog.->>) k.name AS phone FROM unnest(contacts) AS c, (VALUES ('telefone'), ('telefone_e164')) AS k(name)
        UNION ALL
        SELECT i.value::text FROM @extschema@.lead_identities i
        WHERE i.lead_id::text OPERATOR(pg_catalog.=) $1 AND i.empresa::text OPERATOR(pg_catalog.=) $2 AND i.kind::text OPERATOR(pg_catalog.=) 'phone') AS v
        WHERE v.phone OPERATOR(pg_catalog.<>) '' ORDER BY 1);
    mails := ARRAY(SELECT DISTINCT v.mail FROM (
        SELECT c OPERATOR(pg_catalog.->>) 'email' AS mail FROM unnest(contacts) AS c
        UNION ALL
        SELECT i.value::text FROM @extschema@.lead_identities i
        WHERE i.lead_id::text OPERATOR(pg_catalog.=) $1 AND i.empresa::text OPERATOR(pg_catalog.=) $2 AND i.kind::text OPERATOR(pg_catalog.=) 'email') AS v
        WHERE v.mail OPERATOR(pg_catalog.<>) '' ORDER BY 1);
    names := ARRAY(SELECT i.value::text FROM @extschema@.lead_identities i
                   WHERE i.lead_id::text OPERATOR(pg_catalog.=) $1 AND i.empresa::text OPERATOR(pg_catalog.=) $2
                     AND i.kind::text OPERATOR(pg_catalog.=) ANY (ARRAY['wa_lid', 'wa_user_id']));
    -- nobody of that company writes to them again, under whatever lead they come back: numbers as they are
    -- read when they are written to, which depends on how the company's spellings are compared
    countries := ARRAY(SELECT c.pais::text FROM @extschema@.cadence_empresas c WHERE c.empresa::text OPERATOR(pg_catalog.=) $2);
    IF cardinality(countries) OPERATOR(pg_catalog.=) 0 THEN
        countries := ARRAY(SELECT c.pais::text FROM @extschema@.cadence_empresas c WHERE lower(c.empresa::text) OPERATOR(pg_catalog.=) lower($2)
                           UNION ALL SELECT NULL);
    END IF;
    FOR i IN 1 .. cardinality(countries) LOOP
        BEGIN
            PERFORM @extschema@.cadence_block_many('phone', '{}', NULL, NULL, countries[i]);
        EXCEPTION WHEN invalid_parameter_value THEN
            -- of a country that is not known they count as Brazil's
            countries[i] := NULL;
        END;
    END LOOP;
    SELECT m.added, m.refused INTO counts FROM @extschema@.cadence_block_many('email', mails, 'erased', NULL, NULL, $2) AS m;
    n := counts.added; refused := counts.refused;
    FOR item IN
        SELECT p.phone, regexp_replace(p.phone, '[^0-9]', '', 'g') AS digits FROM unnest(phones) AS p(phone)
    LOOP
        -- what can be no number is written to by its digits
        FOREACH spelling IN ARRAY ARRAY[item.phone, item.digits, concat('+', item.digits)] LOOP
            SELECT sum(p.added) AS added, min(p.refused) AS refused INTO counts
            FROM unnest(countries) AS c(country), @extschema@.cadence_block_many('phone', ARRAY[spelling], 'erased', NULL, c.country, $2) AS p;
            EXIT WHEN counts.refused OPERATOR(pg_catalog.=) 0;
        END LOOP;
        n := n OPERATOR(pg_catalog.+) counts.added::bigint; refused := refused OPERATOR(pg_catalog.+) counts.refused;
    END LOOP;
    table_name := 'cadence_blocklist'; done := 'added'; RETURN NEXT;
    n := refused; done := 'refused'; RETURN NEXT;

    -- for comparing: how numbers may end, with the area's code, and with and without Brazil's ninth digit (ten digits have neither Argentina's 9 nor Mexico's 1)
    mails := ARRAY(SELECT DISTINCT lower(m) FROM unnest(mails) AS m);
    numbers := ARRAY(
        SELECT s.spelling FROM unnest(phones) AS p(phone), LATERAL (
            SELECT ltrim(regexp_replace(p.phone, '[^0-9]', '', 'g'), '0')) AS d(digits), LATERAL (
            SELECT "right"(CASE WHEN d.digits OPERATOR(pg_catalog.~) '^(55)?[0-9]{2}9[0-9]{8}$' THEN "left"(d.digits, -9) OPERATOR(pg_catalog.||) "right"(d.digits, 8) ELSE d.digits END, 10)) AS v(number), LATERAL (
            VALUES (v.number), ("left"(v.number, -8) OPERATOR(pg_catalog.||) '9' OPERATOR(pg_catalog.||) "right"(v.number, 8))) AS s(spelling)
        WHERE length(v.number) OPERATOR(pg_catalog.>=) 9);
    is_shared := EXISTS (SELECT FROM @extschema@.lead_contacts k
                         WHERE "right"(regexp_replace(k.telefone::text, '[^0-9]', '', 'g'), 8) OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT "right"(v, 8) FROM unnest(numbers) AS v))
                           AND k.empresa::text OPERATOR(pg_catalog.<>) $2)
              OR EXISTS (SELECT FROM @extschema@.lead_contacts k
                         WHERE "left"(lower(k.email::text), 320) OPERATOR(pg_catalog.=) ANY (mails) AND k.empresa::text OPERATOR(pg_catalog.<>) $2)
              OR EXISTS (SELECT FROM @extschema@.lead_identities i
                         WHERE i.value::text OPERATOR(pg_catalog.=) ANY (phones OPERATOR(pg_catalog.||) mails OPERATOR(pg_catalog.||) names) AND i.empresa::text OPERATOR(pg_catalog.<>) $2);

    -- what the person has said
    UPDATE @extschema@.contact_opt_outs AS o SET motivo = NULL
    WHERE o.lead_id OPERATOR(pg_catalog.=) $1 AND o.empresa OPERATOR(pg_catalog.=) $2 AND o.motivo OPERATOR(pg_catalog.<>) 'erased';
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'contact_opt_outs'; done := 'blanked'; RETURN NEXT;

    -- the contact goes, or, where something of the application hangs on it, all that it says
    table_name := 'lead_contacts'; done := 'deleted';
    BEGIN
        DELETE FROM @extschema@.lead_contacts AS k
        WHERE k.lead_id::text OPERATOR(pg_catalog.=) $1 AND k.empresa::text OPERATOR(pg_catalog.=) $2;
        GET DIAGNOSTICS n = ROW_COUNT;
        -- what would refuse it at the end
        SET CONSTRAINTS ALL IMMEDIATE;
    EXCEPTION WHEN integrity_constraint_violation OR insufficient_privilege OR raise_exception THEN
        n := 0;
    END;
    RETURN NEXT;
    IF EXISTS (SELECT FROM @extschema@.lead_contacts k WHERE k.lead_id::text OPERATOR(pg_catalog.=) $1 AND k.empresa::text OPERATOR(pg_catalog.=) $2) THEN
        -- a text that is required is empty, or, where that is refused, the lead's id
        FOREACH spelling IN ARRAY ARRAY['', $1] LOOP
            BEGIN
                EXECUTE (SELECT format('UPDATE @extschema@.lead_contacts AS k SET opt_out = true%s WHERE k.lead_id::text OPERATOR(pg_catalog.=) $1 AND k.empresa::text OPERATOR(pg_catalog.=) $2',
                                       string_agg(format(', %I = %s', a.attname, CASE WHEN a.attnotnull THEN '$3' ELSE 'NULL' END), '' ORDER BY a.attnum))
                         FROM pg_attribute a JOIN pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
                         WHERE a.attrelid OPERATOR(pg_catalog.=) '@extschema@.lead_contacts'::regclass::oid
                           AND a.attnum OPERATOR(pg_catalog.>) 0::int2 AND NOT a.attisdropped
                           AND a.attgenerated OPERATOR(pg_catalog.=) ''::"char" AND a.attidentity OPERATOR(pg_catalog.=) ''::"char"
                           AND a.attname::text OPERATOR(pg_catalog.<>) ALL (ARRAY['id', 'lead_id', 'empresa', 'opt_out', 'opt_out_em', 'created_at', 'updated_at'])
                           AND (NOT a.attnotnull OR t.typcategory OPERATOR(pg_catalog.=) 'S'::"char")) USING $1, $2, spelling;
                GET DIAGNOSTICS n = ROW_COUNT;
                EXIT;
            EXCEPTION WHEN integrity_constraint_violation THEN
                IF spelling OPERATOR(pg_catalog.=) $1 THEN
                    RAISE;
                END IF;
            END;
        END LOOP;
        done := 'blanked'; RETURN NEXT;
    END IF;

    DELETE FROM @extschema@.lead_identities AS i WHERE i.lead_id::text OPERATOR(pg_catalog.=) $1 AND i.empresa::text OPERATOR(pg_catalog.=) $2;
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'lead_identities'; done := 'deleted'; RETURN NEXT;
    DELETE FROM @extschema@.cadence_conversations AS c WHERE c.lead_id::text OPERATOR(pg_catalog.=) $1 AND c.empresa::text OPERATOR(pg_catalog.=) $2;
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'cadence_conversations'; RETURN NEXT;
    DELETE FROM @extschema@.cadence_dead_addresses AS d
    WHERE d.empresa::text OPERATOR(pg_catalog.=) $2
      AND CASE WHEN d.canal::text OPERATOR(pg_catalog.=) 'EMAIL' THEN d.endereco::text OPERATOR(pg_catalog.=) ANY (mails)
               ELSE EXISTS (SELECT FROM unnest(numbers) AS v
                            WHERE "right"(regexp_replace(d.endereco::text, '[^0-9]', '', 'g'), length(v)) OPERATOR(pg_catalog.=) v) END;
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'cadence_dead_addresses'; RETURN NEXT;

    -- that there was a message stays, for the counts; WhatsApp's ids have the number in them
    UPDATE @extschema@.lead_messages AS m SET conteudo = '', erro_detalhe = NULL, whatsapp_message_id = NULL, email_message_id = NULL, sms_message_id = NULL
    WHERE m.lead_id::text OPERATOR(pg_catalog.=) $1 AND m.empresa::text OPERATOR(pg_catalog.=) $2
      AND (m.conteudo::text OPERATOR(pg_catalog.<>) '' OR m.erro_detalhe IS NOT NULL OR m.whatsapp_message_id IS NOT NULL
           OR m.email_message_id IS NOT NULL OR m.sms_message_id IS NOT NULL);
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'lead_messages'; done := 'blanked'; RETURN NEXT;
    UPDATE @extschema@.lead_cadence_events AS e
    SET detalhes = coalesce((SELECT jsonb_object_agg(d.key, d.value) FROM jsonb_each(e.detalhes) AS d
                             WHERE d.key OPERATOR(pg_catalog.=) ANY (kept)), '{}'::jsonb)
    WHERE e.lead_cadence_run_id OPERATOR(pg_catalog.=) ANY (runs) AND jsonb_typeof(e.detalhes) OPERATOR(pg_catalog.=) 'object'
      AND (e.detalhes OPERATOR(pg_catalog.-) kept) OPERATOR(pg_catalog.<>) '{}'::jsonb;
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'lead_cadence_events'; RETURN NEXT;
    UPDATE @extschema@.lead_cadence_runs AS r SET classification_snapshot = NULL
    WHERE r.id OPERATOR(pg_catalog.=) ANY (runs) AND r.classification_snapshot IS NOT NULL;
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'lead_cadence_runs'; RETURN NEXT;
    UPDATE @extschema@.cadence_runner_logs AS l
    SET details = jsonb_set(l.details, '{results}', (
        SELECT jsonb_agg(CASE WHEN r.value OPERATOR(pg_catalog.->>) 'runId' OPERATOR(pg_catalog.=) ANY (runs::text[])
                              THEN r.value OPERATOR(pg_catalog.-) ARRAY['mensagem', 'erro'] ELSE r.value END ORDER BY r.ordinality)
        FROM jsonb_array_elements(l.details OPERATOR(pg_catalog.->) 'results') WITH ORDINALITY AS r))
    WHERE l.details OPERATOR(pg_catalog.@>) jsonb_build_object('results', jsonb_build_array(jsonb_build_object('leadId', $1)))
      AND EXISTS (SELECT FROM jsonb_array_elements(l.details OPERATOR(pg_catalog.->) 'results') AS r
                  WHERE r.value OPERATOR(pg_catalog.->>) 'runId' OPERATOR(pg_catalog.=) ANY (runs::text[])
                    AND (jsonb_exists(r.value, 'mensagem') OR jsonb_exists(r.value, 'erro')));
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'cadence_runner_logs'; RETURN NEXT;

    DELETE FROM @extschema@.cadence_outbox AS b WHERE b.lead_id::text OPERATOR(pg_catalog.=) $1 AND b.empresa::text OPERATOR(pg_catalog.=) $2;
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'cadence_outbox'; done := 'deleted'; RETURN NEXT;

    -- what was rejected of them goes, but for what they want, which is still to be noted; of no company it may be
    -- another's. A whole call that names them beside others goes from the others' rows
    DELETE FROM @extschema@.cadence_rejected AS j
    WHERE (j.empresa::text OPERATOR(pg_catalog.=) $2 OR j.empresa IS NULL AND NOT is_shared)
      AND jsonb_typeof(j.evento) OPERATOR(pg_catalog.=) 'object'
      AND coalesce(j.evento OPERATOR(pg_catalog.->>) 'event', '') OPERATOR(pg_catalog.<>) ALL (ARRAY['opt_out', 'complaint'])
      AND EXISTS (SELECT FROM jsonb_each_text(j.evento) AS f
                  WHERE f.key OPERATOR(pg_catalog.=) ANY (ARRAY['phone', 'email', 'lid', 'user_id', 'from', 'old', 'new'])
                    AND (lower(f.value) OPERATOR(pg_catalog.=) ANY (mails) OR f.value OPERATOR(pg_catalog.=) ANY (names)
                         OR EXISTS (SELECT FROM unnest(numbers) AS v
                                    WHERE "right"(regexp_replace(f.value, '[^0-9]', '', 'g'), length(v)) OPERATOR(pg_catalog.=) v)));
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'cadence_rejected'; done := 'deleted'; RETURN NEXT;
    UPDATE @extschema@.cadence_rejected AS j SET elemento = NULL, corpo = NULL
    WHERE (j.empresa::text OPERATOR(pg_catalog.=) $2 OR j.empresa IS NULL AND NOT is_shared)
      AND EXISTS (SELECT FROM unnest(numbers OPERATOR(pg_catalog.||) mails OPERATOR(pg_catalog.||) names) AS v
                  WHERE strpos(lower(concat(j.elemento::text, j.corpo::text)), lower(v)) OPERATOR(pg_catalog.>) 0);
    GET DIAGNOSTICS n = ROW_COUNT;
    done := 'blanked'; RETURN NEXT;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_erase(text, text) IS
'forgets a lead of a company: cancels its runs, deletes the contact and what it is known by, blanks texts, keeps counts, and puts its addresses on the company''s blocklist; says what it has done';
--
-- When and whether: holidays, and how it went
--

CREATE FUNCTION @extschema@.cadence_easter(year int) RETURNS date
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.cadence_easter(int) IS
'Easter Sunday of a year from 1900 to 2299';

-- The laws as they are now; 12 October and 20 November from the years on in which they came. Not by law,
-- but almost nobody works: Good Friday, and what is marked.
CREATE FUNCTION @extschema@.cadence_holidays_br(year int) RETURNS int
LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH easter AS (
        SELECT @extschema@.cadence_easter($1) AS day
    ), days AS (
        SELECT make_date(date_part('year', e.day)::int, f.month, f.day) AS dia, f.nome
        FROM easter AS e, (VALUES
            (1, 1, 0, 'Confraternização Universal'),
            (4, 21, 0, 'Tiradentes'),
            (5, 1, 0, 'Dia Mundial do Trabalho'),
            (9, 7, 0, 'Independência do Brasil'),
            (10, 12, 1980, 'Nossa Senhora Aparecida'),
            (11, 2, 0, 'Finados'),
            (11, 15, 0, 'Proclamação da República'),
            (11, 20, 2024, 'Dia Nacional de Zumbi e da Consciência Negra'),
            (12, 25, 0, 'Natal')) AS f(month, day, since, nome)
        WHERE $1 OPERATOR(pg_catalog.>=) f.since
        UNION ALL
        SELECT e.day OPERATOR(pg_catalog.+) m.days, m.nome
        FROM easter AS e, (VALUES
            (-48, 'Carnaval (ponto facultativo)'),
            (-47, 'Carnaval (ponto facultativo)'),
            (-2, 'Sexta-feira Santa'),
            (60, 'Corpus Christi (ponto facultativo)')) AS m(days, nome)
    ), added AS (
        INSERT INTO @extschema@.cadence_feriados (dia, nome, pais)
        -- two may fall on one day
        SELECT d.dia, string_agg(d.nome, ', ' ORDER BY d.nome), 'BR' FROM days AS d
        WHERE NOT EXISTS (
            SELECT FROM @extschema@.cadence_feriados AS h
            WHERE h.dia OPERATOR(pg_catalog.=) d.dia AND upper(h.pais::text) OPERATOR(pg_catalog.=) 'BR'
              AND h.uf IS NULL AND h.empresa IS NULL)
        GROUP BY d.dia ORDER BY d.dia
        ON CONFLICT DO NOTHING
        RETURNING dia
    )
    SELECT count(*)::int FROM added
$$;

COMMENT ON FUNCTION @extschema@.cadence_holidays_br(int) IS
'fills cadence_feriados with Brazil''s national holidays of a year, Carnival and Corpus Christi among them; how many days were added. Those that are there stay as they are';

-- Every part has an index, so that a person's story costs the same among a million others: what was sent is
-- found by the ids that its events have of its provider.
CREATE FUNCTION @extschema@.cadence_timeline(lead_id text, empresa text)
RETURNS TABLE (at timestamptz, what text, cadence text, run uuid, step int, canal text, template text, detail text)
LANGUAGE sql STABLE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
    WITH theirs AS (
        SELECT r.id FROM @extschema@.lead_cadence_runs AS r
        WHERE r.lead_id::text = $1 AND r.empresa::text = $2 AND r.status = 'ATIVA'
        UNION ALL
        SELECT r.id FROM @extschema@.lead_cadence_runs AS r
        WHERE r.lead_id::text = $1 AND r.empresa::text = $2 AND r.status = 'PAUSADA'
        UNION ALL
        SELECT r.id FROM @extschema@.lead_cadence_runs AS r
        WHERE r.lead_id::text = $1 AND r.empresa::text = $2 AND r.status <> 'ATIVA' AND r.status <> 'PAUSADA'
    ), runs AS MATERIALIZED (
        SELECT r.id, r.cadence_id, c.codigo::text AS codigo, r.status::text AS status, r.claim_id, r.next_run_at,
               r.next_step_ordem::int AS ordem, r.created_at, r.updated_at
        FROM theirs AS t JOIN @extschema@.lead_cadence_runs AS r ON r.id = t.id
        LEFT JOIN @extschema@.cadences AS c ON c.id = r.cadence_id
    ), events AS MATERIALIZED (
        SELECT r.id AS run, r.codigo AS cadence, e.created_at, e.id, e.step_ordem::int AS ordem, e.template_codigo::text AS template,
               e.tipo_evento::text AS tipo, e.detalhes, e.detalhes ->> 'codigo' AS codigo,
               coalesce(e.detalhes ->> 'permanente' = 'true', false) AS is_end,
               e.tipo_evento::text = 'RESPOSTA_DETECTADA' OR coalesce(e.detalhes ->> 'codigo' = 'RESPOSTA', false) AS is_answer,
               coalesce(e.detalhes ->> 'canal', s.canal::text) AS canal,
               row_number() OVER (PARTITION BY r.id ORDER BY e.created_at DESC, e.id DESC) AS nth_last
        FROM runs AS r JOIN @extschema@.lead_cadence_events AS e ON e.lead_cadence_run_id = r.id
        LEFT JOIN LATERAL (
            SELECT x.canal FROM @extschema@.cadence_steps AS x
            WHERE x.cadence_id = r.cadence_id AND x.ordem = e.step_ordem LIMIT 1) AS s ON true
    ), sent AS MATERIALIZED (
        SELECT DISTINCT ON (m.id) e.id AS event, e.run, e.cadence, e.ordem, e.template, m.canal::text AS canal, m.estado::text AS estado,
               m.conteudo::text AS conteudo, m.entregue_em, m.lido_em, m.erro_detalhe::text AS erro, m.updated_at
        FROM events AS e CROSS JOIN LATERAL (
            SELECT x.* FROM @extschema@.lead_messages AS x WHERE x.whatsapp_message_id::text = e.detalhes ->> 'message_id'
            UNION ALL
            SELECT x.* FROM @extschema@.lead_messages AS x WHERE x.email_message_id::text = e.detalhes ->> 'message_id'
            UNION ALL
            SELECT x.* FROM @extschema@.lead_messages AS x WHERE x.sms_message_id::text = e.detalhes ->> 'message_id') AS m
        WHERE m.run_id = e.run AND m.direcao = 'OUTBOUND'
        ORDER BY m.id, e.tipo = 'DISPARADO' DESC, e.created_at
    ), story AS (
        SELECT r.created_at AS at, 1 AS rank, 'enrolled' AS what, r.codigo AS cadence, r.id AS run, NULL::int AS step,
               NULL::text AS canal, NULL::text AS template, NULL::text AS detail, NULL::uuid AS id
        FROM runs AS r
        UNION ALL
        SELECT e.created_at, 3,
               CASE WHEN e.tipo = 'AGENDADO' THEN 'scheduled'
                    WHEN e.tipo = 'DISPARADO' THEN 'sent'
                    WHEN e.is_answer THEN 'answered'
                    WHEN e.codigo IN ('PULADO', 'VENCIDO') THEN 'skipped'
                    WHEN e.codigo IN ('CANCELADA', 'OPT_OUT', 'BLOQUEADO', 'SAIDA') AND e.is_end THEN 'cancelled'
                    WHEN e.is_end OR e.codigo = 'HUMANO_ASSUMIU' THEN 'paused'
                    WHEN e.codigo = 'INCERTO' THEN 'uncertain'
                    WHEN e.codigo = 'RETIDO' THEN 'held'
                    ELSE 'not sent' END,
               e.cadence, e.run, e.ordem, coalesce(m.canal, e.canal), e.template,
               CASE WHEN e.tipo = 'AGENDADO' THEN concat_ws(': ', e.detalhes ->> 'decidido', 'due at ' || (e.detalhes ->> 'next_run_at'))
                    WHEN e.tipo = 'DISPARADO' THEN m.conteudo
                    ELSE concat_ws('; ', concat_ws(': ', e.codigo, e.detalhes ->> 'erro', e.detalhes ->> 'motivo'),
                                   'again at ' || (e.detalhes ->> 'proxima_tentativa')) END, e.id
        FROM events AS e LEFT JOIN sent AS m ON m.event = e.id
        UNION ALL
        SELECT v.at, v.rank, v.what, m.cadence, m.run, m.ordem, m.canal, m.template, v.detail, m.event
        FROM sent AS m CROSS JOIN LATERAL (VALUES
            (m.entregue_em, 4, 'delivered', NULL), (m.lido_em, 5, 'read', NULL),
            (CASE WHEN m.estado = 'ERRO' THEN m.updated_at END, 6, 'not delivered', m.erro)) AS v(at, rank, what, detail)
        WHERE v.at IS NOT NULL
        UNION ALL
        SELECT m.recebido_em, 2, 'received', c.codigo::text, m.run_id, m.step_ordem::int, m.canal::text, NULL, m.conteudo::text, m.id
        FROM @extschema@.lead_messages AS m
        LEFT JOIN runs AS c ON c.id = m.run_id
        WHERE m.lead_id::text = $1 AND m.empresa::text = $2 AND m.recebido_em IS NOT NULL AND m.direcao = 'INBOUND'
        UNION ALL
        SELECT o.em, 7, 'opted out', NULL, NULL, NULL, o.canal::text, NULL, concat_ws(': ', o.origem::text, o.categoria::text, o.motivo::text), o.id
        FROM @extschema@.contact_opt_outs AS o WHERE o.lead_id::text = $1 AND o.empresa::text = $2
        UNION ALL
        SELECT k.opt_out_em, 7, 'opted out', NULL, NULL, NULL, NULL, NULL, k.opt_out_motivo::text, NULL
        FROM @extschema@.lead_contacts AS k WHERE k.lead_id::text = $1 AND k.empresa::text = $2 AND k.opt_out
        UNION ALL
        -- nothing but the run's state says that somebody has paused it, or that it is over
        SELECT coalesce(r.updated_at, (SELECT max(e.created_at) FROM events AS e WHERE e.run = r.id), r.created_at), 8,
               CASE r.status WHEN 'PAUSADA' THEN 'paused' WHEN 'CANCELADA' THEN 'cancelled' ELSE 'finished' END,
               r.codigo, r.id, NULL, NULL, NULL, NULL, NULL
        FROM runs AS r
        WHERE r.status <> 'ATIVA'
          AND NOT EXISTS (SELECT FROM events AS e WHERE e.run = r.id AND e.nth_last = 1
                            AND (e.is_end AND NOT e.is_answer OR e.codigo = 'HUMANO_ASSUMIU'))
        UNION ALL
        SELECT CASE WHEN r.claim_id IS NULL THEN r.next_run_at END, 9, CASE WHEN r.claim_id IS NULL THEN 'next' ELSE 'being sent' END,
               r.codigo, r.id, r.ordem, s.canal, s.template, NULL, NULL
        FROM runs AS r
        LEFT JOIN LATERAL (
            SELECT x.canal::text AS canal, x.template_codigo::text AS template FROM @extschema@.cadence_steps AS x
            WHERE x.cadence_id = r.cadence_id AND x.ordem >= r.ordem ORDER BY x.ordem LIMIT 1) AS s ON true
        WHERE r.status = 'ATIVA'
    )
    SELECT s.at, s.what, s.cadence, s.run, s.step, s.canal, s.template, s.detail
    FROM story AS s ORDER BY s.rank = 9, s.at, s.rank, s.id
$$;

COMMENT ON FUNCTION @extschema@.cadence_timeline(text, text) IS
'the story of one lead of a company, in the order of time: what was sent, received and decided, and at the end what comes next';

--
-- Why a message has not left
--

CREATE FUNCTION @extschema@.cadence_why_not(run uuid)
RETURNS TABLE (blocked_by text, since timestamptz, clears_at timestamptz, explanation text)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_why_not(uuid) IS
'every reason why the next message of a run does not leave now, the first first; no row: nothing keeps it back. In Portuguese where lc_messages begins with pt';

CREATE FUNCTION @extschema@.cadence_why_not(run uuid, language text)
RETURNS TABLE (blocked_by text, since timestamptz, clears_at timestamptz, explanation text)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, @extschema@, pg_temp SET enable_seqscan = off;

COMMENT ON FUNCTION @extschema@.cadence_why_not(uuid, text) IS
'the same in a language: Portuguese where that begins with pt, else English; null: as lc_messages says';
--
-- What is to come
--

CREATE FUNCTION @extschema@.cadence_forecast("from" timestamptz, "to" timestamptz)
RETURNS TABLE (at timestamptz, run uuid, cadence text, step int, canal text, server text, certain boolean)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE COST 100000 ROWS 10000;

COMMENT ON FUNCTION @extschema@.cadence_forecast(timestamptz, timestamptz) IS
'what will leave between two times when nobody replies and nothing is changed, by the rules and limits that executions go by; certain: nothing but time decides. Sends nothing, changes nothing';

--
-- pg_cron
--

CREATE FUNCTION @extschema@.cadence_schedule(schedule text DEFAULT '*/5 * * * *') RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    command constant text := 'SELECT @extschema@.cadence_run(''CRON'')';
    job bigint;
BEGIN
    IF schedule IS NULL THEN
        RAISE EXCEPTION 'the schedule must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('In the database that has pg_cron (its setting cron.database_name), run: '
                                'SELECT cron.schedule_in_database(%L, %L, %L, %L);',
                                'cadence-runner-cron', schedule, command, current_database());
    END IF;
    EXECUTE 'SELECT cron.schedule($1, $2, $3)' INTO job USING 'cadence-runner-cron', schedule, command;
    RETURN job;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_schedule(text) IS
'creates or changes the pg_cron job cadence-runner-cron, which runs cadence_run(''CRON''), and returns its number';

CREATE FUNCTION @extschema@.cadence_unschedule() RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'In the database that has pg_cron (its setting cron.database_name), run: '
                         'SELECT cron.unschedule(''cadence-runner-cron'');';
    END IF;
    EXECUTE 'SELECT jobid FROM cron.job WHERE jobname = $1 AND username = current_user' INTO job
    USING 'cadence-runner-cron';
    IF job IS NULL THEN
        RAISE NOTICE 'role % has no job cadence-runner-cron', current_user;
        RETURN false;
    END IF;
    EXECUTE 'SELECT cron.unschedule($1)' USING job;
    RETURN true;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_unschedule() IS
'removes the pg_cron job cadence-runner-cron of the calling role; false when there is none';

CREATE FUNCTION @extschema@.cadence_cron_history(max int DEFAULT 20)
RETURNS TABLE (runid bigint, job_pid int, status text, return_message text,
               start_time timestamptz, end_time timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Read cron.job_run_details in the database that has pg_cron (its setting cron.database_name).';
    END IF;
    -- by command: job_run_details has no job name, and outlives the job
    RETURN QUERY EXECUTE
        'SELECT d.runid, d.job_pid, d.status, d.return_message, d.start_time, d.end_time
         FROM cron.job_run_details AS d
         WHERE d.command = $1 AND d.database = current_database()
         ORDER BY d.start_time DESC NULLS FIRST, d.runid DESC LIMIT $2'
    USING 'SELECT @extschema@.cadence_run(''CRON'')', greatest(coalesce(cadence_cron_history.max, 20), 0);
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_cron_history(int) IS
'what pg_cron recorded of the job''s last runs, the newest first';

--
-- Over HTTP
--

CREATE FUNCTION @extschema@.cadence_http(method text, path text, query text, headers jsonb, body bytea, peer inet,
    OUT status int, OUT headers jsonb, OUT body bytea)
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_http(text, text, text, jsonb, bytea, inet) IS
'takes a request over HTTP as it came and says what to answer: executions, webhooks, links to unsubscribe, health, metrics, the dashboard''s data. What a request may do is said by the secret that it brings; the right to execute this is all that its caller needs';

CREATE FUNCTION @extschema@.cadence_secret_set(name text, value text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_secret_set(text, text) IS
'sets the secret by which something may be seen or done over HTTP, of which a digest is kept; null removes it. name: service_role, cron, health, metrics, viewer, people, viewer:SOMEBODY or people:SOMEBODY';

CREATE FUNCTION @extschema@.cadence_secret_set(name text) RETURNS text
AS 'MODULE_PATHNAME', 'cadence_secret_make' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_secret_set(text) IS
'makes a secret of that name and returns it, once: nobody can look it up. As cadence_secret_set(name, value) with a value that nobody can guess, and that stands in no statement';
--
-- What happened before anybody counted
--
-- Tables that are adopted have a history: runs, their events, messages, opt-outs, executions. It is
-- counted when the tables of 71_rollup.sql are made, into cadence_deltas, from where it is folded as
-- everything else; src/sqlapi/rebuild.c keeps everybody else from writing meanwhile, and is what
-- becomes the tables' owner. Each table is read a fixed number of times and joined by hashes, whatever
-- its size.
--

CREATE FUNCTION @extschema@.cadence_rollup_rebuild(counts boolean DEFAULT true, cohorts boolean DEFAULT true) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_rollup_rebuild(boolean, boolean) IS
'counts again what the tables of runs, events and messages say: attempts and errors (counts), and what became of runs (cohorts); what was removed from them counts no more. Nobody else writes to them meanwhile. For members of the role that owns them';

CREATE FUNCTION @extschema@.cadence_rollup_day(zone text, began timestamptz) RETURNS date
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.cadence_rollup_day(text, timestamptz) IS
'the day of cadence_rollup_cohorts() for runs that began then, where their company has that zone';

-- The step of a number, where the cadence was never edited while the run was in it. One that is there no
-- more keeps what it has sent together, under an id that is made of its cadence and number.
CREATE FUNCTION @extschema@.cadence_recount_steps()
RETURNS TABLE (cadence uuid, ordem bigint, step uuid, template text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.cadence, n.ordem,
           coalesce(s.id, encode(substr(sha256(convert_to('cadence_runner ' || n.cadence || ' ' || n.ordem, 'UTF8')), 1, 16), 'hex')::uuid), s.template
    FROM (
        SELECT DISTINCT r.cadence_id::uuid AS cadence, e.step_ordem::bigint AS ordem
        FROM @extschema@.lead_cadence_events AS e JOIN @extschema@.lead_cadence_runs AS r ON r.id = e.lead_cadence_run_id
        WHERE e.tipo_evento::text = 'DISPARADO' AND e.step_ordem IS NOT NULL
        UNION
        SELECT x.cadence_id::uuid, x.ordem::bigint FROM @extschema@.cadence_steps AS x) AS n
    LEFT JOIN (SELECT DISTINCT ON (x.cadence_id, x.ordem) x.cadence_id::uuid AS cadence, x.ordem::bigint AS ordem, x.id::uuid AS id, x.template_codigo::text AS template
               FROM @extschema@.cadence_steps AS x ORDER BY x.cadence_id, x.ordem, x.id) AS s ON s.cadence = n.cadence AND s.ordem = n.ordem
    WHERE n.cadence IS NOT NULL
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_steps() IS
'part of cadence_rollup_rebuild(): the steps that runs have had, by cadence and number';

-- The runs, of which cohort each is, and before which step it stands.
CREATE FUNCTION @extschema@.cadence_recount_runs()
RETURNS TABLE (run uuid, lead text, empresa text, cadence uuid, day date, stands_at uuid, last_ordem bigint, had uuid[], is_edited boolean)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH zones AS MATERIALIZED (
        SELECT DISTINCT ON (e.empresa::text) e.empresa::text AS empresa, "left"(e.fuso_horario::text, 100) AS zone
        FROM @extschema@.cadence_empresas AS e ORDER BY e.empresa::text
    ), places AS MATERIALIZED (
        SELECT p.cadence, p.ordem, (SELECT x.id::uuid FROM @extschema@.cadence_steps AS x
                                    WHERE x.cadence_id = p.cadence AND x.ordem >= p.ordem ORDER BY x.ordem, x.id LIMIT 1) AS step
        FROM (SELECT DISTINCT r.cadence_id::uuid AS cadence, r.next_step_ordem::bigint AS ordem FROM @extschema@.lead_cadence_runs AS r
              WHERE r.next_step_ordem IS NOT NULL) AS p
    )
    SELECT r.id::uuid, r.lead_id::text, coalesce(r.empresa::text, ''), r.cadence_id::uuid,
           @extschema@.cadence_rollup_day(z.zone, coalesce(r.started_at, r.created_at)::timestamptz),
           CASE WHEN r.edicao IS NULL THEN p.step
                ELSE (SELECT x.id::uuid FROM @extschema@.cadence_steps AS x
                      WHERE x.cadence_id = r.cadence_id AND x.ordem >= r.next_step_ordem AND x.id <> ALL (coalesce(r.passos_enviados, '{}'))
                      ORDER BY x.ordem, x.id LIMIT 1) END,
           r.last_step_ordem::bigint, coalesce(r.passos_enviados, '{}'), r.edicao IS NOT NULL
    FROM @extschema@.lead_cadence_runs AS r
    LEFT JOIN zones AS z ON z.empresa = r.empresa::text
    LEFT JOIN places AS p ON p.cadence = r.cadence_id::uuid AND p.ordem = r.next_step_ordem::bigint
    WHERE r.id IS NOT NULL AND r.cadence_id IS NOT NULL
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_runs() IS
'part of cadence_rollup_rebuild(): the runs, on which day each began, and before which step it stands';

-- The step that had a number when it was spoken of, where the cadence was edited since: as
-- src/record/tally_runs.c has it. One that is there no more is the one of those that the run has had that is none.
CREATE FUNCTION @extschema@.cadence_recount_step(asked uuid, number bigint, template text, had uuid[], is_edited boolean) RETURNS uuid
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((
        SELECT x.id::uuid FROM @extschema@.cadence_steps AS x
        WHERE x.cadence_id = $1 AND (x.id = ANY ($4) OR NOT $5 AND x.ordem = $2) AND (x.template_codigo::text = $3 OR x.ordem = $2)
        ORDER BY (x.template_codigo::text = $3) IS TRUE DESC, (x.ordem = $2) IS TRUE DESC, x.id LIMIT 1), (
        SELECT (array_agg(h.step))[1] FROM unnest($4) AS h(step)
        WHERE NOT EXISTS (SELECT FROM @extschema@.cadence_steps AS x WHERE x.id = h.step) HAVING count(*) = 1))
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_step(uuid, bigint, text, uuid[], boolean) IS
'part of cadence_rollup_rebuild(): which step of a run an event or a message speaks of, where its cadence was edited';

-- What was sent, and what has failed. A step whose message was taken back, to be sent again, is one before
-- which its run stands (is_ahead): it counts when it is sent again.
CREATE FUNCTION @extschema@.cadence_recount_events()
RETURNS TABLE (run uuid, lead text, empresa text, cadence uuid, day date, step uuid, is_ahead boolean, type text, at timestamptz, template text,
    code text, says text, server text, said_canal text, step_canal text, is_permanent boolean, is_late boolean, is_answered boolean, message text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    SELECT x.run, x.lead, x.empresa, x.cadence, x.day, x.step, x.step = x.stands_at AND x.step <> ALL (x.had),
           x.type, x.at, x.template, x.code, x.says, x.server, x.canal, c.canal, x.is_permanent, x.is_late, x.is_answered, x.message
    FROM (
        SELECT r.run, r.lead, r.empresa, r.cadence, r.day, r.stands_at, r.had, e.tipo_evento::text AS type, e.created_at::timestamptz AS at,
               e.template_codigo::text AS template, d.code, "left"(d.says, 200) AS says, d.server, d.canal, d.is_permanent, d.is_late, d.is_answered, d.message,
               CASE WHEN d.passo ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN d.passo::uuid
                    WHEN r.had = '{}' OR NOT r.is_edited AND s.template = e.template_codigo::text AND s.step = ANY (r.had || r.stands_at) THEN s.step
                    ELSE coalesce(@extschema@.cadence_recount_step(r.cadence, e.step_ordem, e.template_codigo::text, r.had, r.is_edited), s.step) END AS step
        FROM @extschema@.lead_cadence_events AS e
        CROSS JOIN LATERAL (
            SELECT e.detalhes ->> 'codigo' AS code, e.detalhes ->> 'erro' AS says, e.detalhes ->> 'provedor' AS server, e.detalhes ->> 'canal' AS canal,
                   coalesce(e.detalhes ->> 'permanente' = 'true', false) AS is_permanent, coalesce(e.detalhes ->> 'tardio' = 'true', false) AS is_late,
                   e.detalhes ->> 'duracao_ms' IS NOT NULL AS is_answered,
                   e.detalhes ->> 'message_id' AS message, e.detalhes ->> 'passo' AS passo) AS d
        JOIN @extschema@.cadence_recount_runs() AS r ON r.run = e.lead_cadence_run_id::uuid
        LEFT JOIN @extschema@.cadence_recount_steps() AS s ON s.cadence = r.cadence AND s.ordem = e.step_ordem::bigint
        WHERE e.tipo_evento::text IN ('DISPARADO', 'ERRO')) AS x
    LEFT JOIN (SELECT s.id::uuid AS id, s.canal::text AS canal FROM @extschema@.cadence_steps AS s) AS c ON c.id = x.step
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_events() IS
'part of cadence_rollup_rebuild(): what was sent and what has failed, and of which step';

-- What its provider has told of a message, of one that names no step that of the event of its sending.
CREATE FUNCTION @extschema@.cadence_recount_receipts()
RETURNS TABLE (run uuid, step uuid, is_read boolean)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH told AS MATERIALIZED (
        SELECT m.id::uuid AS id, m.run_id::uuid AS run, m.step_ordem::bigint AS ordem, m.template_codigo::text AS template,
               coalesce(m.enviado_em, m.created_at)::timestamptz AS at, m.lido_em IS NOT NULL OR m.estado::text = 'LIDO' AS is_read
        FROM @extschema@.lead_messages AS m
        WHERE m.run_id IS NOT NULL AND m.direcao::text = 'OUTBOUND'
          AND (m.entregue_em IS NOT NULL OR m.lido_em IS NOT NULL OR m.estado::text IN ('ENTREGUE', 'LIDO'))
    )
    SELECT t.run,
           CASE WHEN r.had = '{}' OR NOT r.is_edited AND s.template = t.template AND s.step = ANY (r.had || r.stands_at) THEN s.step
                ELSE coalesce(@extschema@.cadence_recount_step(r.cadence, t.ordem, t.template, r.had, r.is_edited), s.step) END, t.is_read
    FROM told AS t JOIN @extschema@.cadence_recount_runs() AS r ON r.run = t.run
    LEFT JOIN @extschema@.cadence_recount_steps() AS s ON s.cadence = r.cadence AND s.ordem = t.ordem
    WHERE t.ordem IS NOT NULL
    UNION ALL
    (SELECT DISTINCT ON (t.id) t.run, e.step, t.is_read
     FROM told AS t JOIN @extschema@.cadence_recount_events() AS e ON e.run = t.run AND (t.template IS NULL OR e.template = t.template)
     WHERE t.ordem IS NULL AND e.type = 'DISPARADO'
     ORDER BY t.id, abs(extract(epoch FROM e.at)::float8 - extract(epoch FROM t.at)::float8))
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_receipts() IS
'part of cadence_rollup_rebuild(): which messages have arrived, or were read, and of which step they are';

-- An answer, or an opt-out, is to what its person had got last.
CREATE FUNCTION @extschema@.cadence_recount_answers()
RETURNS TABLE (run uuid, step uuid, mark text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 100000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH said AS (
        SELECT e.lead, e.empresa, e.at, '' AS mark, e.run, e.step
        FROM @extschema@.cadence_recount_events() AS e WHERE e.type = 'DISPARADO'
        UNION ALL
        SELECT m.lead_id::text, coalesce(m.empresa::text, ''), coalesce(m.recebido_em, m.created_at)::timestamptz, 'replied', NULL, NULL
        FROM @extschema@.lead_messages AS m WHERE m.direcao::text = 'INBOUND'
        UNION ALL
        SELECT o.lead_id::text, coalesce(o.empresa::text, ''), o.em::timestamptz, 'opted_out', NULL, NULL FROM @extschema@.contact_opt_outs AS o
    ), counted AS (
        SELECT s.*, count(*) FILTER (WHERE s.mark = '') OVER (PARTITION BY s.lead, s.empresa ORDER BY s.at, s.mark, s.run ROWS UNBOUNDED PRECEDING) AS n
        FROM said AS s
    ), answered AS (
        SELECT c.mark, first_value(c.run) OVER w AS run, first_value(c.step) OVER w AS step
        FROM counted AS c WHERE c.n > 0 WINDOW w AS (PARTITION BY c.lead, c.empresa, c.n ORDER BY c.mark)
    )
    SELECT DISTINCT a.run, a.step, a.mark FROM answered AS a WHERE a.mark <> ''
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_answers() IS
'part of cadence_rollup_rebuild(): who has answered which step, or wanted no more after it';

-- What each run counts as, once in each column of a step. Whatever became of it at a step, it has come there.
CREATE FUNCTION @extschema@.cadence_recount_marks()
RETURNS TABLE (run uuid, step uuid, mark text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000000 SET search_path = pg_catalog, pg_temp SET enable_nestloop = off
AS $$
    WITH runs AS MATERIALIZED (
        SELECT r.* FROM @extschema@.cadence_recount_runs() AS r
    ), marks AS (
        SELECT e.run, e.step, m.mark FROM @extschema@.cadence_recount_events() AS e
        CROSS JOIN LATERAL (
            SELECT CASE WHEN e.type = 'DISPARADO' THEN CASE WHEN e.is_ahead THEN NULL ELSE 'sent' END
                        WHEN e.code IN ('PULADO', 'VENCIDO') THEN CASE WHEN e.is_ahead THEN NULL ELSE 'skipped' END
                        WHEN e.is_late AND e.message IS NOT NULL THEN 'failed'
                        -- what somebody has said is no execution's doing
                        WHEN e.is_permanent AND (e.code IN ('BLOQUEADO', 'SAIDA') OR e.code = 'OPT_OUT' AND e.says IS DISTINCT FROM 'the person wants no more messages')
                        THEN 'stopped'
                        WHEN e.is_permanent AND e.code NOT IN ('INCERTO', 'OPT_OUT', 'CANCELADA', 'RESPOSTA') THEN 'failed' END AS mark) AS m
        WHERE m.mark IS NOT NULL
        UNION ALL
        SELECT t.run, t.step, m.mark FROM @extschema@.cadence_recount_receipts() AS t
        CROSS JOIN LATERAL unnest(CASE WHEN t.is_read THEN '{delivered,read}' ELSE '{delivered}' END::text[]) AS m(mark)
        UNION ALL
        SELECT a.run, a.step, a.mark FROM @extschema@.cadence_recount_answers() AS a
        UNION ALL
        SELECT r.run, h.step, 'entered' FROM runs AS r CROSS JOIN LATERAL unnest(r.had) AS h(step)
        UNION ALL
        SELECT r.run, r.stands_at, 'entered' FROM runs AS r
        UNION ALL
        SELECT r.run, s.step, 'entered' FROM runs AS r
        JOIN @extschema@.cadence_recount_steps() AS s ON s.cadence = r.cadence AND s.ordem = r.last_ordem WHERE r.had = '{}'
    )
    SELECT DISTINCT x.run, x.step, x.mark
    FROM (SELECT m.run, m.step, m.mark FROM marks AS m UNION ALL SELECT m.run, m.step, 'entered' FROM marks AS m) AS x WHERE x.step IS NOT NULL
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_marks() IS
'part of cadence_rollup_rebuild(): what each run counts as, at each of its steps';

-- What became of an attempt, as its event says it; null: it was none of an execution's.
CREATE FUNCTION @extschema@.cadence_recount_outcome(type text, code text, is_late boolean, is_answered boolean, says text, message text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN $1 = 'DISPARADO' THEN 'sent'
        -- what somebody has said or told, and what waits for a rule
        WHEN $2 IN ('CANCELADA', 'HUMANO_ASSUMIU', 'CADENCIA_INATIVA', 'REGRA_FALHOU', 'FUSO_INVALIDO', 'JANELA_INVALIDA', 'SEM_ABERTURA')
             OR $5 = 'the person wants no more messages' OR $3 AND $6 IS NOT NULL THEN NULL
        WHEN $2 = 'INCERTO' THEN 'uncertain'
        WHEN $2 = 'RETIDO' THEN 'held'
        WHEN $2 IN ('PULADO', 'VENCIDO') THEN 'skipped'
        WHEN $2 IN ('OPT_OUT', 'BLOQUEADO', 'SAIDA', 'RESPOSTA') THEN 'stopped'
        WHEN $2 IN ('RECUSADO', 'ENDERECO_INEXISTENTE') THEN 'refused'
        -- by its provider, or only since that is known to be shut
        WHEN $2 IN ('PROVEDOR_OCUPADO', 'MAIS_TARDE', 'JANELA_FECHADA', 'TEMPLATE_PARADO', 'PROVEDOR_PARADO', 'PROVEDOR_PAUSADO', 'AGUARDA_RESPOSTA')
        THEN CASE WHEN $4 THEN 'put_off' END
        WHEN $2 IS NULL OR $2 = 'FALHA_ENVIO' THEN 'failed'
        ELSE 'unresolved' END
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_outcome(text, text, boolean, boolean, text, text) IS
'part of cadence_rollup_rebuild(): what became of an attempt, as the event says that it has left';

CREATE FUNCTION @extschema@.cadence_recount_cohorts() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = on SET enable_bitmapscan = on SET enable_nestloop = off SET work_mem = '64MB'
AS $$
BEGIN
    -- what is not folded yet is counted anew with the rest
    UPDATE @extschema@.cadence_deltas SET mark = '', next_step = NULL;
    DELETE FROM @extschema@.cadence_cohorts;
    INSERT INTO @extschema@.cadence_deltas (empresa, cadence, step, day, mark, n)
    SELECT "left"(r.empresa, 100), r.cadence, m.step, r.day, m.mark, count(*)
    FROM @extschema@.cadence_recount_marks() AS m JOIN @extschema@.cadence_recount_runs() AS r ON r.run = m.run
    GROUP BY 1, 2, 3, 4, 5;
    -- the runs themselves
    INSERT INTO @extschema@.cadence_deltas (empresa, cadence, step, day, mark, n)
    SELECT "left"(r.empresa, 100), r.cadence, '00000000-0000-0000-0000-000000000000'::uuid, r.day, 'entered', count(*)
    FROM @extschema@.cadence_recount_runs() AS r GROUP BY 1, 2, 3, 4;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_cohorts() IS
'part of cadence_rollup_rebuild(): counts what became of the runs';

-- By the minute for as long as those are kept, else by the hour. What no page shows is counted only where
-- nobody has counted it: it is known less well here.
CREATE FUNCTION @extschema@.cadence_recount_counts() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = on SET enable_bitmapscan = on SET enable_nestloop = off SET work_mem = '64MB'
AS $$
DECLARE
    minutes_since constant timestamptz := now() - interval '49 hours';
    counted constant text[] := ARRAY(SELECT k.kind FROM unnest('{execution,delivery,inbound,opt_out}'::text[]) AS k(kind)
                                     WHERE EXISTS (SELECT FROM @extschema@.cadence_counts AS c WHERE c.grain = 'TOTAL' AND c.kind = k.kind)
                                        OR EXISTS (SELECT FROM @extschema@.cadence_deltas AS d WHERE d.kind = k.kind));
BEGIN
    UPDATE @extschema@.cadence_deltas SET kind = '' WHERE kind IN ('attempt', 'error');
    DELETE FROM @extschema@.cadence_counts WHERE kind IN ('attempt', 'error');
    INSERT INTO @extschema@.cadence_deltas (kind, at, empresa, server, canal, outcome, code, template, cadence, n, us, buckets, first_at, last_at)
    SELECT x.kind, date_trunc(CASE WHEN x.kind = 'attempt' AND x.at >= minutes_since THEN 'minute' ELSE 'hour' END, x.at, 'UTC'),
           "left"(coalesce(x.empresa, ''), 100), "left"(coalesce(x.server, ''), 100),
           CASE WHEN coalesce(x.canal, '') = '' THEN '' WHEN upper(x.canal) IN ('WHATSAPP', 'SMS', 'EMAIL') THEN upper(x.canal) ELSE '?' END,
           "left"(coalesce(x.outcome, ''), 100), "left"(coalesce(x.code, ''), 100), "left"(coalesce(x.template, ''), 100), x.cadence,
           count(*), 0, NULL, min(x.at), max(x.at)
    FROM (
        -- an event of an attempt that has a message leaves its channel to that
        SELECT k.kind, e.at, e.empresa, e.server, CASE k.kind WHEN 'error' THEN e.said_canal ELSE coalesce(e.said_canal, e.step_canal) END AS canal, k.outcome, CASE WHEN e.type = 'ERRO' THEN e.code END AS code, e.template, e.cadence
        FROM @extschema@.cadence_recount_events() AS e
        CROSS JOIN LATERAL (
            SELECT 'attempt' AS kind, @extschema@.cadence_recount_outcome(e.type, e.code, e.is_late, e.is_answered, e.says, e.message) AS outcome
            UNION ALL
            SELECT 'error', '' WHERE e.type = 'ERRO') AS k
        WHERE k.outcome IS NOT NULL
        UNION ALL
        SELECT 'execution', l.executed_at::timestamptz, '', '', '',
               CASE WHEN l.details ->> 'erro' IS NOT NULL THEN 'failed' WHEN l.errors > 0 THEN 'errors' ELSE 'success' END,
               l.trigger_source::text, '', NULL
        FROM @extschema@.cadence_runner_logs AS l
        UNION ALL
        SELECT 'delivery', t.at, m.empresa::text, '', m.canal::text, t.outcome, 'done', '', NULL
        FROM @extschema@.lead_messages AS m
        CROSS JOIN LATERAL (VALUES
            ('delivered', m.entregue_em::timestamptz), ('read', m.lido_em::timestamptz),
            ('failed', CASE WHEN m.estado::text = 'ERRO' THEN coalesce(m.updated_at, m.created_at)::timestamptz END)) AS t(outcome, at)
        WHERE m.direcao::text = 'OUTBOUND' AND t.at IS NOT NULL
        UNION ALL
        SELECT 'inbound', coalesce(m.recebido_em, m.created_at)::timestamptz, m.empresa::text, '', m.canal::text, 'message', 'done', '', NULL
        FROM @extschema@.lead_messages AS m WHERE m.direcao::text = 'INBOUND'
        UNION ALL
        -- nobody has written down how it was said
        SELECT 'opt_out', o.em::timestamptz, o.empresa::text, '', o.canal::text, '', '', '', NULL
        FROM @extschema@.contact_opt_outs AS o) AS x
    WHERE x.at IS NOT NULL AND x.kind <> ALL (counted)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_recount_counts() IS
'part of cadence_rollup_rebuild(): counts attempts and errors, and what else is written down where it was not counted yet';
--
-- Numbers that are read often: what has happened, counted as it happens
--
-- No page and no scrape counts a table. Whoever records something that counts (a batch of an
-- execution, a webhook's event, an enrolment) inserts rows into cadence_deltas in the same
-- transaction: so many of this kind more. Nobody updates a row there, so nobody waits for another.
-- Now and then they are folded (src/record/fold.c): one statement deletes what is there and adds it
-- to cadence_counts and cadence_cohorts. Whoever reads adds what is not folded yet, in one
-- statement and so in one snapshot: the numbers are exact at any moment, up to what could not be
-- counted: that is done all the same, and said in a warning. Read them by the functions below.
--
-- cadence_rollup_counts(grain, kinds, since, until): what has happened, and when.
--   grain    TOTAL   since the tables are there, at = '-infinity'; template and cadence are ''
--            HOUR    by the hour of the last 400 days
--            MINUTE  kind attempt only, by the minute of the last 48 hours; empresa, canal, code,
--                    template and cadence are ''. "Today" in any zone is a sum of these
--   kind     of the rows; "-" is always '', a column that is not named keeps its meaning
--     attempt     handling of a step by an execution, at the time of the attempt: server ('' where
--                 none was found), canal, template, cadence, outcome: sent, held (for the provider's
--                 review), failed (tried again), refused (for good), uncertain, unresolved (no
--                 contact, template, server), put_off (by the provider), skipped, stopped (the
--                 run has ended before it was sent); code: why, '' of sent
--     error       rows of lead_cadence_events with ERRO, at the time when they were written: code
--                 (detalhes.codigo), server, canal, template, cadence; first_at and last_at
--     due_to_send, send_duration
--                 how long after it was due a step was sent, and how long its provider took (by
--                 server): one row with code '', n = how many, us = microseconds of all of them; and
--                 one for each bucket that has any, code = its upper bound in seconds ('0.5', '+Inf'),
--                 n = how many fell into it and into no smaller one
--     execution_duration
--                 the same, of executions
--     execution   outcome: success, errors (of some steps), failed; code: CRON, MANUAL, TEST, WORKER
--     delivery    a receipt: server, canal, outcome: sent, delivered, read, failed; code: done (it was
--                 new), repeated, unmatched, early (its message comes later), nothing
--     inbound     an event that a webhook, or whoever has read it, has told: server, canal, outcome: its kind
--                 (message, echo, opt_out, opt_in, bounce, complaint, sender, identity), code: done, repeated,
--                 unmatched, nothing
--     opt_out     somebody wants no more, and had not said so: canal ('' all), outcome: reply,
--                 provider, complaint, link, operator, answer (of a provider to an attempt)
--     webhook     a call of cadence_receive() for a server that is there: server, outcome: ok,
--                 unauthorized, refused, unavailable; last_at: the last one
--     http        a request to the door: server = the route, outcome = the method, code = the status
--   cadence  id, as text; '' where there is none. empresa '' where it is not known
--
-- cadence_rollup_cohorts(cadence, since, until): what became of the runs that have begun on a day
--   (day: of started_at, in the company's zone as it was then), by step. Each run counts once in each
--   column:
--     entered    it has come to the step: enrolled before it, or moved on to it
--     sent       its message has left (and was not taken back to be sent again)
--     delivered, read   as its provider has told, of a message that was sent
--     replied, opted_out  what its person did first after this message and before the next
--                one of any cadence: an answer, an opt-out
--     failed     given up there for good, or come back after it was sent
--     skipped    passed by without a message (its policy, or cadence_skips)
--     stopped    ended there by an execution: opted out, blocked, in cadence_exits
--   How many runs have begun at all is cadence_rollup_enrolled(): cadence_cohorts has it as entered of
--   a step that is none (00000000-...).
--   A step that was removed keeps its rows. DELETE and TRUNCATE of runs change nothing here, nor in
--   the counts: what has happened has happened.
--
-- cadence_rollup_runs(): how many runs stand before which step (ordem, -1: none left), by status, as
--   of counted_at. Counted from the table, at most once a minute, by a process of its own.
--   This is what "waiting" is: status ATIVA (and PAUSADA) at the step.
--
-- They read with the rights of whoever calls, so they are everybody's to execute (90_rights.sql): it
-- shows nothing that the caller's own SELECT would not.
--

CREATE FUNCTION @extschema@.cadence_rollup_counts(grain text, kinds text[], since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity')
RETURNS TABLE (kind text, at timestamptz, empresa text, server text, canal text, outcome text, code text, template text,
    cadence text, n bigint, us bigint, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE STRICT PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT x.kind, x.at, x.empresa, x.server, x.canal, x.outcome, x.code, x.template, x.cadence,
           sum(x.n)::bigint, least(sum(x.us), 9223372036854775807)::bigint, min(x.first_at), max(x.last_at)
    FROM (
        SELECT c.kind, c.at, c.empresa, c.server, c.canal, c.outcome, c.code, c.template, c.cadence, c.n, c.us, c.first_at, c.last_at
        FROM @extschema@.cadence_counts AS c
        WHERE c.grain = $1 AND c.kind = ANY ($2) AND c.at >= CASE $1 WHEN 'TOTAL' THEN '-infinity' ELSE $3 END
          AND c.at < $4
        UNION ALL
        -- as src/record/fold.c does it
        SELECT d.kind, g.at, CASE WHEN $1 = 'MINUTE' THEN '' ELSE coalesce(d.empresa, '') END, d.server,
               CASE WHEN $1 = 'MINUTE' THEN '' ELSE d.canal END, d.outcome,
               CASE WHEN b.code <> '' THEN b.code WHEN $1 = 'MINUTE' THEN '' ELSE d.code END,
               CASE WHEN $1 = 'HOUR' THEN d.template ELSE '' END,
               CASE WHEN $1 = 'HOUR' THEN coalesce(d.cadence::text, '') ELSE '' END,
               b.n, CASE WHEN b.code = '' THEN d.us ELSE 0 END, d.first_at, d.last_at
        FROM @extschema@.cadence_deltas AS d
        CROSS JOIN LATERAL (SELECT CASE $1 WHEN 'TOTAL' THEN '-infinity' WHEN 'HOUR' THEN date_trunc('hour', d.at, 'UTC')
                                   WHEN 'MINUTE' THEN date_trunc('minute', d.at, 'UTC') END) AS g(at)
        CROSS JOIN LATERAL (
            SELECT '' AS code, d.n
            UNION ALL
            SELECT k.key, k.value::bigint FROM jsonb_each_text(d.buckets) AS k) AS b
        WHERE d.kind = ANY ($2) AND (d.kind = 'attempt' OR $1 <> 'MINUTE')
          AND ($1 = 'TOTAL' OR g.at >= $3) AND g.at < $4
    ) AS x
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
$$;

COMMENT ON FUNCTION @extschema@.cadence_rollup_counts(text, text[], timestamptz, timestamptz) IS
'what has happened, counted, up to this moment: in all (grain TOTAL), by the hour (HOUR) or by the minute (MINUTE), of the given kinds';

CREATE FUNCTION @extschema@.cadence_rollup_cohorts(cadence uuid DEFAULT NULL, since date DEFAULT '-infinity', until date DEFAULT 'infinity')
RETURNS TABLE (cadence_id uuid, step_id uuid, day date, empresa text, entered bigint, sent bigint, delivered bigint, read bigint,
    replied bigint, opted_out bigint, failed bigint, skipped bigint, stopped bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT x.cadence, x.step, x.day, x.empresa, sum(x.entered)::bigint, sum(x.sent)::bigint, sum(x.delivered)::bigint,
           sum(x.read)::bigint, sum(x.replied)::bigint, sum(x.opted_out)::bigint, sum(x.failed)::bigint,
           sum(x.skipped)::bigint, sum(x.stopped)::bigint
    FROM (
        SELECT c.cadence, c.step, c.day, c.empresa, c.entered, c.sent, c.delivered, c.read, c.replied, c.opted_out, c.failed,
               c.skipped, c.stopped
        FROM @extschema@.cadence_cohorts AS c
        WHERE ($1 IS NULL OR c.cadence = $1) AND c.day >= $2 AND c.day < $3 AND c.step <> '00000000-0000-0000-0000-000000000000'
        UNION ALL
        SELECT d.cadence, m.step, d.day, coalesce(d.empresa, ''),
               CASE m.mark WHEN 'entered' THEN d.n ELSE 0 END, CASE m.mark WHEN 'sent' THEN d.n ELSE 0 END,
               CASE m.mark WHEN 'delivered' THEN d.n ELSE 0 END, CASE m.mark WHEN 'read' THEN d.n ELSE 0 END,
               CASE m.mark WHEN 'replied' THEN d.n ELSE 0 END, CASE m.mark WHEN 'opted_out' THEN d.n ELSE 0 END,
               CASE m.mark WHEN 'failed' THEN d.n ELSE 0 END, CASE m.mark WHEN 'skipped' THEN d.n ELSE 0 END,
               CASE m.mark WHEN 'stopped' THEN d.n ELSE 0 END
        FROM @extschema@.cadence_deltas AS d
        CROSS JOIN LATERAL (VALUES (d.step, d.mark), (d.next_step, 'entered')) AS m(step, mark)
        WHERE m.step <> '00000000-0000-0000-0000-000000000000' AND m.mark <> '' AND d.cadence IS NOT NULL AND d.day IS NOT NULL
          AND ($1 IS NULL OR d.cadence = $1) AND d.day >= $2 AND d.day < $3
    ) AS x
    GROUP BY 1, 2, 3, 4
$$;

COMMENT ON FUNCTION @extschema@.cadence_rollup_cohorts(uuid, date, date) IS
'what became of the runs that began on a day, step by step, up to this moment; of one cadence, or of all where it is null, and of days from since on and before until';

CREATE FUNCTION @extschema@.cadence_rollup_enrolled(cadence uuid DEFAULT NULL, since date DEFAULT '-infinity', until date DEFAULT 'infinity')
RETURNS TABLE (cadence_id uuid, day date, empresa text, runs bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT x.cadence, x.day, x.empresa, sum(x.n)::bigint
    FROM (
        SELECT c.cadence, c.day, c.empresa, c.entered AS n FROM @extschema@.cadence_cohorts AS c
        WHERE ($1 IS NULL OR c.cadence = $1) AND c.day >= $2 AND c.day < $3 AND c.step = '00000000-0000-0000-0000-000000000000'
        UNION ALL
        SELECT d.cadence, d.day, coalesce(d.empresa, ''), d.n FROM @extschema@.cadence_deltas AS d
        WHERE d.step = '00000000-0000-0000-0000-000000000000' AND d.mark = 'entered' AND d.cadence IS NOT NULL AND d.day IS NOT NULL
          AND ($1 IS NULL OR d.cadence = $1) AND d.day >= $2 AND d.day < $3) AS x
    GROUP BY 1, 2, 3
$$;

COMMENT ON FUNCTION @extschema@.cadence_rollup_enrolled(uuid, date, date) IS
'how many runs began on a day, up to this moment; of one cadence, or of all where it is null, and of days from since on and before until';

CREATE FUNCTION @extschema@.cadence_rollup_runs()
RETURNS TABLE (empresa text, cadence_id text, ordem int, status text, runs bigint, counted_at timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.empresa, s.cadence, s.ordem, s.status, s.runs, s.counted_at FROM @extschema@.cadence_stock AS s
$$;

COMMENT ON FUNCTION @extschema@.cadence_rollup_runs() IS
'how many runs stand before which step, by status, as they were last counted; a row with status '''' says when that was';

CREATE FUNCTION @extschema@.cadence_rollup_refresh(count_now boolean DEFAULT false) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_rollup_refresh(boolean) IS
'folds some of what was counted, and counts the runs where count_now is true; does nothing where nothing can be written, or somebody else does it';

CREATE FUNCTION @extschema@.cadence_http_count(route text, method text, code int) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_http_count(text, text, int) IS
'counts a request to the door, where anything can be written; route, method and code are of closed sets';

CREATE FUNCTION @extschema@.cadence_runs_added() RETURNS trigger
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_runs_added() IS
'notes the runs that a statement has inserted, which count when their transaction commits; a trigger of cadence_create_tables()';
--
-- Metrics
--

CREATE FUNCTION @extschema@.cadence_metrics(openmetrics boolean DEFAULT false) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.cadence_metrics(boolean) IS
'metrics as text for Prometheus, or in the format of OpenMetrics; the right to execute it is all that its caller needs';
--
-- What the dashboard's pages show
--
-- Each page has a function cadence_api_<page>(params, people), called by cadence_http() as the
-- tables' owner: params are the query's, all of them strings; people says whether personal data
-- may be shown. A number has one source, so that no two pages disagree.

-- Looking for what is to be masked takes time with the length of a text, and a page has hundreds of them. What is cut
-- off may have been the rest of a number or a name, whose beginning goes with it.
CREATE FUNCTION @extschema@.cadence_mask_cut(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN length($1) <= 300 THEN $1
                ELSE regexp_replace(regexp_replace("left"($1, 300), '\S{1,40}$', ''), '[^[:alpha:]]+$', '') END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask_cut(text) IS
'part of the dashboard: as much of a text as is shown of it where it is masked';

-- The same text, with digits, letters and @ as everybody writes them, so that they are found. convert_from(), since the
-- script is also read by databases that can not have these digits.
CREATE FUNCTION @extschema@.cadence_mask_plain(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    plain text := value;
BEGIN
    IF plain ~ '\\u[0-9a-fA-F]{4}' THEN
        -- as JSON writes letters, also within JSON; any other backslash is one, and half of a pair is no letter
        plain := unistr(regexp_replace(regexp_replace(plain, '\\+(?=u[0-9a-fA-F]{4})', '\\', 'g'),
            '\\(?!u(?:00[2-9a-fA-F]|0[1-9a-fA-F][0-9a-fA-F]|[1-9abcefABCEF][0-9a-fA-F]{2}|[dD][0-7][0-9a-fA-F])[0-9a-fA-F])', '\\\\', 'g'));
    END IF;
    -- a single letter may become eighteen
    plain := @extschema@.cadence_mask_cut(normalize(plain, NFKC));
    -- what is not seen, and what this function's caller marks times with
    plain := regexp_replace(plain, '[\u0001\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]', '', 'g');
    plain := translate(plain, convert_from('\xd9a0d9a1d9a2d9a3d9a4d9a5d9a6d9a7d9a8d9a9dbb0dbb1dbb2dbb3dbb4dbb5dbb6dbb7dbb8dbb9'::bytea, 'UTF8'), '01234567890123456789');
    plain := regexp_replace(plain, '(?:%(?:25)*(?:2[0-46-9a-fA-F]|3[a-fA-F]|0[aAdD]|[cC]2%(?:25)*[aA]0))+', ' ', 'g');
    plain := regexp_replace(plain, '&(?:nbsp|quot|apos|#39);', ' ', 'g');
    plain := replace(replace(replace(plain, '&lt;', '<'), '&gt;', '>'), '&amp;', '&');
    -- a mailbox between < and > is no tag; one within a word stays, since nobody can tell whether that is one word or two
    IF plain !~* '[[:alpha:]](?:</?(?:[abisuq]|em|tt|big|sub|sup|wbr|span|font|mark|code|small|strong)\M[^<>]*>)+[[:alpha:]]' THEN
        plain := regexp_replace(plain, '(?:</?[a-zA-Z!][^<>@]*>)+', ' ', 'g');
    END IF;
    -- of "look at example.com" a word is lost, since nobody can tell it from a mailbox
    plain := regexp_replace(plain, '%(?:25)*40|\\x40|&(?:#64|#[xX]40|commat);|=40(?=[[:alnum:]-]+\.[[:alpha:]])'
                                   '|\s*[[({]\s*(?:at|arroba)\s*[])}]\s*|\s+(?:at|arroba)\s+(?=[[:alnum:]-]+(?:\.[[:alpha:]]|\s+[[({]?(?:dot|ponto)\M))', '@', 'gi');
    RETURN regexp_replace(plain, '\s*@\s*(?=[[:alnum:]-]+(?:\.[[:alnum:]]|\s+[[({]?(?:dot|ponto)\M))', '@', 'gi');
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask_plain(text) IS
'part of the dashboard: a text with numbers and addresses spelled plainly, in which those are looked for';

-- As names are compared: without accents, and in small letters.
CREATE FUNCTION @extschema@.cadence_mask_letters(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT lower(regexp_replace(normalize($1, NFKD), '[\u00ad\u0300-\u036f\u200b-\u200f\u2060\ufeff]', '', 'g'))
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask_letters(text) IS
'part of the dashboard: the letters by which words of a name are found in a text';

-- The words of a provider, which like to repeat whom they could not write to, however they spell a number: eight digits
-- and more that are no day, with little between them.
CREATE FUNCTION @extschema@.cadence_mask_said(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    no_day constant text := '(?![0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9]))';
    number constant text := '(?<![0-9])' || no_day || '\+?\(?[0-9](?:%1$s[0-9]){%2$s,}%1$s([0-9])%1$s([0-9])%1$s([0-9])%1$s([0-9])(?![0-9])';
    said text := @extschema@.cadence_mask_cut(value);
BEGIN
    IF said ~* '[^ -~]|[%&\\@<=]|\m(?:at|arroba)\M' THEN
        said := @extschema@.cadence_mask_plain(said);
        -- letters in a spelling that is not read here may be a name
        IF said ~ '</?[a-zA-Z!][^<>@]*>|%(?:25)*[3-9A-Fa-f][0-9A-Fa-f]|=[89A-Fa-f][0-9A-Fa-f]=|=[C-F][0-9][[:alpha:]]|=\?|&#|&[[:alpha:]]\w*;|&[[:alpha:]](?:acute|grave|circ|tilde|uml|cedil)|\\[uUx][{0-9A-Fa-f]|\\[0-7]{3}' THEN
            RETURN @extschema@.cadence_mask(value, 'text');
        END IF;
        said := regexp_replace(said, '("[^"]*"|([^\s@<>"'':;,(])[^\s@<>"'':;,(]*)@', '\2***@', 'g');
    END IF;
    -- a colon stands between hours and minutes, and there parts numbers; elsewhere it may be within one
    IF said ~ '[0-9]:[0-9]' THEN
        said := regexp_replace(said, '(?<![0-9:])([01][0-9]|2[0-4]):([0-5][0-9])(?![0-9:])', E'\\1\u0001\\2', 'g');
        said := regexp_replace(said, '(?<![0-9:])([01][0-9]|2[0-4]):([0-5][0-9]):([0-6][0-9])(?![0-9:])', E'\\1\u0001\\2\u0001\\3', 'g');
        IF said ~ '[0-9]:[0-9]' THEN
            said := regexp_replace(said, format(number, '(?:(?:[^[:alnum:]:\u0001]{1,4}|:)' || no_day || ')?', 4), '***\1\2\3\4', 'g');
        END IF;
    END IF;
    said := regexp_replace(said, format(number, '(?:[^[:alnum:]:\u0001]{1,4}' || no_day || ')?', 3), '***\1\2\3\4', 'g');
    RETURN translate(said, E'\u0001', ':');
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask_said(text) IS
'part of the dashboard: the words of others without numbers and mailboxes; only their length where they are spelled in a way that is not read here';

CREATE FUNCTION @extschema@.cadence_mask(value text, kind text) RETURNS text
LANGUAGE plpgsql IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- a field may hold 64 kB, and a page shows a line of it
    seen constant text := left(value, 2000);
BEGIN
    IF value IS NULL THEN
        RETURN NULL;
    END IF;
    CASE kind
    WHEN 'name' THEN
        RETURN regexp_replace(btrim(seen), '(\S)\S*', '\1***', 'g');
    WHEN 'phone' THEN
        -- of a number that has no more than four there would be nothing left to hide
        RETURN '***' || CASE WHEN length(regexp_replace(seen, '\D', '', 'g')) > 6
                             THEN right(regexp_replace(seen, '\D', '', 'g'), 4) ELSE '' END;
    WHEN 'email' THEN
        RETURN CASE WHEN strpos(seen, '@') > 1
                    THEN left(btrim(seen), 1) || '***@' || regexp_replace(seen, '^.*@', '') ELSE '***' END;
    WHEN 'address' THEN
        RETURN @extschema@.cadence_mask(value, CASE WHEN strpos(seen, '@') > 0 THEN 'email' ELSE 'phone' END);
    WHEN 'id' THEN
        -- an id says nothing, unless the application has made it of a number or a mailbox
        RETURN CASE WHEN strpos(seen, '@') > 0 THEN @extschema@.cadence_mask(value, 'email')
                    WHEN seen ~ '^\+?[0-9 ().-]{8,}$' THEN @extschema@.cadence_mask(value, 'phone')
                    ELSE value END;
    WHEN 'error' THEN
        RETURN @extschema@.cadence_mask_said(value);
    WHEN 'reason' THEN
        -- of a line of cadence_health() what is ours: who is meant by the words behind it, nobody can tell
        RETURN @extschema@.cadence_mask_said(regexp_replace(seen,
            '^((?:server|template) ".*?(?:; \d+ wait|in the last hour|\d\d:\d\d:\d\d(?:[+-][0-9:]+)?(?=: )))[:;] .*$', '\1'));
    WHEN 'text' THEN
        RETURN format('*** (%s)', length(value));
    ELSE
        RETURN '***';
    END CASE;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask(text, text) IS
'what a page shows of personal data to whom it may not be shown; kind: name, phone, email, address (a phone number or mailbox), id, error (addresses within a text), reason (a line of cadence_health(), without the words of others in it), text (its length); of any other nothing';

-- Several companies may have several zones, and a page has one: that of most of them.
CREATE FUNCTION @extschema@.cadence_api_zone() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone text := 'America/Sao_Paulo';
BEGIN
    SELECT e.fuso_horario INTO zone FROM @extschema@.cadence_empresas AS e
    WHERE e.fuso_horario IS NOT NULL GROUP BY e.fuso_horario ORDER BY count(*) DESC, e.fuso_horario LIMIT 1;
    zone := coalesce(zone, 'America/Sao_Paulo');
    -- one that does not exist keeps its company from sending, and is in cadence_health()
    PERFORM now() AT TIME ZONE zone;
    RETURN zone;
EXCEPTION WHEN undefined_table OR invalid_parameter_value THEN
    RETURN 'America/Sao_Paulo';
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_zone() IS
'part of the dashboard: the zone of its times, that of most companies';

-- The health's words are for whoever runs the server, and hold numbers and names; a page says in
-- its own words what is meant. A line that names something is known
-- by what it says after the name, which ends as soon as it can: the first quantifier makes the others lazy.
CREATE FUNCTION @extschema@.cadence_api_reason(reason text) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    WITH named AS (
        SELECT m[2] AS name, m[1] || ' ' || m[3] AS said
        FROM regexp_match($1, '^([a-z]{1,8}?) "(.*?)" (has been paused|has sent nothing|has written|fails:|speaks version|of company|sends nothing)') AS m)
    SELECT jsonb_build_object('text', $1, 'name', n.name, 'kind', coalesce((
        SELECT x.kind FROM (VALUES
            ('server has been paused', 'sender_paused'),
            ('server has sent nothing', 'sender_shut'),
            ('server has written', 'sender_no_new'),
            ('server fails:', 'sender_fails'),
            ('server speaks version', 'version_ends'),
            ('template of company', 'template_stopped'),
            ('(cadence|company) sends nothing', CASE WHEN strpos($1, '" sends nothing that depends on the time there') > 0
                                                     THEN 'zone_unknown' ELSE 'rule_shut' END),
            ('cadence_runner.enabled is off', 'disabled'),
            ('the resident worker does not run', 'worker_down'),
            ('the resident worker is paused', 'worker_paused'),
            ('the resident worker is stuck', 'worker_stuck'),
            ('table \S+ has no trigger', 'no_barrier'),
            ('table .* does not exist', 'no_tables'),
            ('nothing may be sent from here', 'copy'),
            ('nothing is sent while a view', 'view_broken'),
            ('overdue:', 'overdue'),
            ('active without next_run_at', 'undated'),
            ('the last execution failed', 'execution_failed'),
            ('\d+ answers or receipts could not be taken', 'rejected'),
            ('\d+ news for other tools', 'news')) AS x(pattern, kind)
        WHERE coalesce(n.said, $1) ~ ('^' || x.pattern) LIMIT 1), 'other'))
    FROM named AS n
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_reason(text) IS
'part of the dashboard: of which kind a line of cadence_health() is, and whose name it has';

CREATE FUNCTION @extschema@.cadence_api_agora(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $$
DECLARE
    may_see constant boolean := coalesce(people, false);
    zone constant text := @extschema@.cadence_api_zone();
    since constant timestamptz := date_trunc('minute', now()) - interval '24 hours';
    status record;
    health record;
    counts jsonb;
BEGIN
    -- until the function ends the answer's times are the zone's, and those in the health's words
    PERFORM set_config('TimeZone', zone, true);
    SELECT * INTO status FROM @extschema@.cadence_runner_status() AS s WHERE s.database = current_database();
    SELECT * INTO health FROM @extschema@.cadence_health('5 minutes'::interval);
    WITH attempts AS MATERIALIZED (
        SELECT c.at, sum(c.n) FILTER (WHERE c.outcome = 'sent') AS sent,
               sum(c.n) FILTER (WHERE c.outcome IN ('failed', 'refused', 'uncertain', 'unresolved')) AS failed
        FROM @extschema@.cadence_rollup_counts('MINUTE'::text, '{attempt}'::text[], least(since, date_trunc('day', now())), 'infinity'::timestamptz) AS c
        GROUP BY c.at
    ), minutes AS (
        SELECT jsonb_agg(coalesce(a.sent, 0) ORDER BY m.at) AS sent, jsonb_agg(coalesce(a.failed, 0) ORDER BY m.at) AS failed
        FROM generate_series(since, date_trunc('minute', now()), interval '1 minute') AS m(at) LEFT JOIN attempts AS a ON a.at = m.at
    )
    SELECT jsonb_build_object(
        'minutes', jsonb_build_object('from', since, 'sent', m.sent, 'failed', m.failed),
        'sent_today', coalesce((SELECT sum(a.sent) FROM attempts AS a WHERE a.at >= date_trunc('day', now())), 0),
        'failed_today', coalesce((SELECT sum(a.failed) FROM attempts AS a WHERE a.at >= date_trunc('day', now())), 0)) INTO counts
    FROM minutes AS m;
    RETURN counts || jsonb_build_object(
        'zone', zone,
        'healthy', coalesce(health.ok, false),
        'reasons', (SELECT coalesce(jsonb_agg(@extschema@.cadence_api_reason(
                        CASE WHEN may_see THEN r.reason ELSE @extschema@.cadence_mask(r.reason, 'reason') END) ORDER BY r.n), '[]')
                    FROM unnest(health.reasons) WITH ORDINALITY AS r(reason, n)),
        'due', status.due_now,
        'oldest_due', status.oldest_due,
        'lag_seconds', round(extract(epoch FROM status.lag)),
        'in_flight', status.claimed,
        'uncertain', status.uncertain,
        'next_due', status.next_due,
        'last_execution', (SELECT l.executed_at FROM @extschema@.cadence_runner_logs AS l ORDER BY l.executed_at DESC LIMIT 1));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_agora(jsonb, boolean) IS
'the page Agora: health, what is due and under way, and what was sent and has failed today and in each of the last 24 hours'' minutes';

-- Windows are counted in slots, the youngest first, from the last start that was given out on
-- (rules/limits.c); those that have grown too old since are not in the window any more.
CREATE FUNCTION @extschema@.cadence_api_used(used text, last_at timestamptz)
RETURNS TABLE (window_name text, used bigint)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT w.name, coalesce((
        SELECT sum(split_part(slot, '.', 3)::bigint) FROM regexp_split_to_table(btrim($1), '\s+') AS slot
        WHERE slot ~ '^\d{1,9}\.\d{1,9}\.\d{1,9}$' AND split_part(slot, '.', 1)::int = w.number
          AND split_part(slot, '.', 2)::int + floor(extract(epoch FROM now()) / w.width) - floor(extract(epoch FROM $2) / w.width) < w.slots), 0)::bigint
    FROM (VALUES ('minute', 0, 1, 61), ('hour', 1, 60, 61), ('day', 2, 900, 97), ('new_day', 3, 900, 97)) AS w(name, number, width, slots)
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_used(text, timestamptz) IS
'part of the dashboard: how much of each window of a sender''s limits is used, from its row of cadence_provider_state';

-- An option that a server does not have is its protocol's. A day's limit may still grow.
CREATE FUNCTION @extschema@.cadence_api_limits(server text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
    WITH own AS MATERIALIZED (
        SELECT coalesce(jsonb_object_agg(o.option_name, o.option_value), '{}') AS options
        FROM pg_foreign_server AS s CROSS JOIN LATERAL pg_options_to_table(s.srvoptions) AS o WHERE s.srvname = $1
    ), valid AS MATERIALIZED (
        SELECT coalesce((SELECT p.definition -> 'limits' FROM @extschema@.cadence_protocols AS p
                         WHERE lower(p.name) = lower(coalesce(own.options ->> 'protocol', 'webhook'))), '{}') || own.options AS options FROM own
    ), state AS MATERIALIZED (
        SELECT s.used, s.last_at, s.first_used_at FROM valid AS v
        JOIN @extschema@.cadence_provider_state AS s
            ON s.server = CASE WHEN v.options ->> 'limit_group' <> '' THEN 'limit_group ' || (v.options ->> 'limit_group') ELSE $1 END
    ), warm AS MATERIALIZED (
        SELECT m[1]::int AS first, m[2]::int AS last,
               extract(epoch FROM (m[3] || coalesce(m[4], 's'))::interval) AS seconds
        FROM valid AS v CROSS JOIN LATERAL regexp_match(v.options ->> 'warm_up', '^\s*(\d{1,9})\.\.(\d{1,9})/\s*(\d{1,9})\s*(ms|s|min|h|d)?\s*$') AS m
        WHERE m IS NOT NULL
    ), most AS (
        SELECT w.name, w.place,
               CASE WHEN v.options ->> w.option ~ '^\s*\d{1,9}\s*$' THEN nullif((v.options ->> w.option)::int, 0) END AS most
        FROM valid AS v CROSS JOIN (VALUES ('minute', 'max_per_minute', 1), ('hour', 'max_per_hour', 2), ('day', 'max_per_day', 3),
                                           ('new_day', 'max_new_per_day', 4)) AS w(name, option, place)
    ), effective AS (
        SELECT m.name, m.place, CASE WHEN m.name <> 'day' THEN m.most ELSE least(m.most, (
            SELECT CASE WHEN u.seconds >= w.seconds THEN w.last
                        ELSE w.first + trunc((w.last - w.first) * greatest(u.seconds, 0) / nullif(w.seconds, 0))::int END
            FROM warm AS w CROSS JOIN LATERAL (SELECT coalesce(extract(epoch FROM now() - (SELECT s.first_used_at FROM state AS s)), 0) AS seconds) AS u)) END AS most
        FROM most AS m
    )
    SELECT jsonb_build_object(
        'gap', v.options ->> 'gap',
        'max_rate', CASE WHEN v.options ->> 'max_rate' ~ '^\s*\d+(\.\d+)?\s*$' THEN (v.options ->> 'max_rate')::numeric END,
        'limits', (SELECT coalesce(jsonb_agg(jsonb_build_object('window', e.name, 'most', e.most, 'used', coalesce(u.used, 0)) ORDER BY e.place), '[]')
                   FROM effective AS e LEFT JOIN (SELECT x.* FROM state AS s CROSS JOIN LATERAL @extschema@.cadence_api_used(s.used, s.last_at) AS x) AS u
                       ON u.window_name = e.name
                   WHERE e.most IS NOT NULL))
    FROM valid AS v
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_limits(text) IS
'part of the dashboard: what a sender''s limits are, and how much of them is used';

CREATE FUNCTION @extschema@.cadence_api_servidores(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $$
DECLARE
    may_see constant boolean := coalesce(people, false);
    zone constant text := @extschema@.cadence_api_zone();
    minute constant timestamptz := date_trunc('minute', now());
    known jsonb;
    cards jsonb;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    SELECT s.providers INTO known FROM @extschema@.cadence_runner_status() AS s WHERE s.database = current_database();
    WITH attempts AS MATERIALIZED (
        SELECT c.server, sum(c.n) FILTER (WHERE c.outcome = 'sent') AS sent,
               sum(c.n) FILTER (WHERE c.outcome = 'sent' AND c.at >= minute - interval '5 minutes' AND c.at < minute) AS lately,
               sum(c.n) FILTER (WHERE c.outcome IN ('failed', 'refused', 'uncertain')) AS failed
        FROM @extschema@.cadence_rollup_counts('MINUTE'::text, '{attempt}'::text[], minute - interval '59 minutes', 'infinity'::timestamptz) AS c
        GROUP BY c.server
    ), failed AS MATERIALIZED (
        SELECT DISTINCT ON (e.server) e.server, e.code, e.template
        FROM @extschema@.cadence_api_error_sums(date_trunc('hour', now() - interval '1 day', 'UTC'), false, NULL, NULL, NULL) AS e
        WHERE e.server <> '' ORDER BY e.server, e.last_at DESC
    )
    SELECT jsonb_agg(jsonb_build_object(
            'server', p.server,
            'channel', p.card ->> 'canal',
            'company', p.card ->> 'empresa',
            'state', w.state, 'since', w.since, 'until', w.until,
            -- of whom these words are, nobody can tell
            'reason', CASE WHEN may_see THEN w.reason ELSE @extschema@.cadence_mask(w.reason, 'text') END,
            'waiting', CASE WHEN w.state IN ('paused', 'open') THEN greatest(s.waiting, s.waited) END,
            'in_flight', p.card -> 'in_flight',
            'rate_per_minute', round(coalesce(a.lately, 0) / 5.0, 1),
            'sent_last_hour', coalesce(a.sent, 0),
            'failed_last_hour', coalesce(a.failed, 0),
            'last_error', coalesce(CASE WHEN may_see THEN p.card ->> 'last_error' END, x.example ->> 'text'),
            'last_error_at', coalesce(CASE WHEN may_see THEN (p.card ->> 'last_error_at')::timestamptz END, (x.example ->> 'at')::timestamptz),
            'version', p.card ->> 'version', 'version_ends', p.card ->> 'version_ends')
        || @extschema@.cadence_api_limits(p.server)
        ORDER BY p.card ->> 'empresa' NULLS LAST, p.server) INTO cards
    FROM (SELECT x.card, x.card ->> 'server' AS server FROM jsonb_array_elements(known) AS x(card)) AS p
    LEFT JOIN @extschema@.cadence_provider_state AS s ON s.server = p.server
    LEFT JOIN attempts AS a ON a.server = p.server
    -- an event remembers what was said, also without the library in memory, and of whom it was
    LEFT JOIN failed AS f ON f.server = p.server AND (NOT may_see OR p.card ->> 'last_error' IS NULL)
    LEFT JOIN LATERAL @extschema@.cadence_api_error_examples(f.code, f.server, f.template, may_see, 1) AS x(example) ON f.code IS NOT NULL
    CROSS JOIN LATERAL (
        SELECT v.* FROM (VALUES
            (1, s.paused_at IS NOT NULL, 'paused', s.paused_at, NULL::timestamptz, s.pause_reason),
            (2, s.open_since IS NOT NULL, 'open', s.open_since, s.open_until, s.open_reason),
            (3, s.new_until > now(), 'no_new', s.new_since, s.new_until, s.new_reason),
            (4, s.slow_until > now(), 'slow', NULL, s.slow_until, NULL),
            (5, coalesce(a.lately, 0) > 0 OR (p.card ->> 'in_flight')::bigint > 0, 'sending', NULL, NULL, NULL),
            (6, true, 'idle', NULL, NULL, NULL)) AS v(place, holds, state, since, until, reason)
        WHERE v.holds ORDER BY v.place LIMIT 1) AS w;
    RETURN jsonb_build_object('zone', zone, 'rows', coalesce(cards, '[]'));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_servidores(jsonb, boolean) IS
'the page Agora: each sender''s state, how much it has sent and failed in the last hour, what of its limits is used, and what its provider said last';

-- An execution that ended by an error counts that one, too: only where there are errors is it looked
-- for, since details may be large.
CREATE FUNCTION @extschema@.cadence_api_execution(id uuid, at timestamptz, trigger_source text, runs_touched int, steps_executed int,
    errors int, duration_ms int, error text, sqlstate text, people boolean) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(
        'id', $1, 'at', $2, 'trigger', $3, 'total', $4, 'sent', $5, 'errors', $6,
        'skipped', greatest($4 - $5 - $6 + CASE WHEN $8 IS NULL THEN 0 ELSE 1 END, 0),
        'duration_ms', $7, 'error', CASE WHEN $10 THEN "left"($8, 2000) ELSE @extschema@.cadence_mask($8, 'error') END, 'sqlstate', $9)
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_execution(uuid, timestamptz, text, int, int, int, int, text, text, boolean) IS
'part of the dashboard: what is shown of a row of the log';

CREATE FUNCTION @extschema@.cadence_api_execucoes(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $$
DECLARE
    shown constant int := 50;
    zone constant text := @extschema@.cadence_api_zone();
    may_see constant boolean := coalesce(people, false);
    before constant timestamptz := coalesce(nullif(params ->> 'before', '')::timestamptz, 'infinity');
    before_id constant uuid := coalesce(nullif(params ->> 'before_id', '')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    found jsonb;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    SELECT jsonb_agg(@extschema@.cadence_api_execution(l.id, l.executed_at, l.trigger_source, l.runs_touched, l.steps_executed,
               l.errors, l.duration_ms, l.error, l.sqlstate, may_see) ORDER BY l.executed_at DESC, l.id DESC)
    INTO found
    FROM (
        SELECT x.id, x.executed_at, x.trigger_source::text, x.runs_touched, x.steps_executed, x.errors, x.duration_ms,
               CASE WHEN x.errors > 0 THEN x.details ->> 'erro' END AS error, CASE WHEN x.errors > 0 THEN x.details ->> 'sqlstate' END AS sqlstate
        FROM @extschema@.cadence_runner_logs AS x
        WHERE x.executed_at <= before AND (x.executed_at < before OR x.id < before_id)
        ORDER BY x.executed_at DESC, x.id DESC LIMIT shown + 1) AS l;
    RETURN jsonb_build_object(
        'zone', zone,
        'rows', coalesce(found - shown, '[]'),
        'next', CASE WHEN jsonb_array_length(found) > shown
                     THEN jsonb_build_object('before', found -> (shown - 1) -> 'at', 'before_id', found -> (shown - 1) -> 'id') END);
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_execucoes(jsonb, boolean) IS
'the page Execuções: fifty rows of the log, the newest first; those before the time and id in before and before_id. next is what to ask for those that follow';

CREATE FUNCTION @extschema@.cadence_api_execucao(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    shown constant int := 1000;
    zone constant text := @extschema@.cadence_api_zone();
    may_see constant boolean := coalesce(people, false);
    language constant text := coalesce(params ->> 'lang', 'pt-BR');
    answer jsonb;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    SELECT jsonb_build_object(
        'zone', zone,
        'execution', @extschema@.cadence_api_execution(l.id, l.executed_at, l.trigger_source::text, l.runs_touched, l.steps_executed,
            l.errors, l.duration_ms, l.details ->> 'erro', l.details ->> 'sqlstate', may_see),
        'truncated', coalesce(l.details ->> 'results_truncated' = 'true', false) OR r.n > shown,
        'results', r.results) INTO answer
    FROM @extschema@.cadence_runner_logs AS l
    CROSS JOIN LATERAL (
        SELECT count(*) AS n, coalesce(jsonb_agg(jsonb_build_object(
            'run', x.result ->> 'runId',
            -- of whom nothing is known any more, nobody can tell what the id says
            'lead', CASE WHEN may_see THEN x.result ->> 'leadId'
                         WHEN p.lead IS NULL OR @extschema@.cadence_api_id_tells(p.lead, p.empresa) THEN '***' ELSE p.lead END,
            'name', p.name,
            'step', x.result -> 'stepOrdem',
            'template', x.result ->> 'templateCodigo',
            'status', x.result ->> 'status',
            'message', CASE WHEN may_see THEN "left"(coalesce(x.result ->> 'erro', x.result ->> 'mensagem'), 2000)
                            ELSE @extschema@.cadence_mask_event(c.code, coalesce(x.result ->> 'erro', x.result ->> 'mensagem'), p.names) END,
                'code', c.code, 'means', @extschema@.cadence_api_words_of(c.code, language) -> 'means')
            ORDER BY x.n) FILTER (WHERE x.n <= shown), '[]') AS results
        FROM jsonb_array_elements(CASE WHEN jsonb_typeof(l.details -> 'results') = 'array' THEN l.details -> 'results' END)
            WITH ORDINALITY AS x(result, n)
        CROSS JOIN LATERAL (
            SELECT CASE WHEN x.n <= shown AND x.result ->> 'runId' ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
                        THEN (x.result ->> 'runId')::uuid END AS id) AS u
        -- a result has the words of its event, and not the code
        LEFT JOIN LATERAL (
            SELECT "left"(e.detalhes ->> 'codigo', 40) AS code FROM @extschema@.lead_cadence_events AS e
            WHERE e.lead_cadence_run_id = u.id AND e.tipo_evento = 'ERRO' AND x.result ->> 'status' = 'ERRO'
              AND "left"(e.detalhes ->> 'erro', 200) = "left"(x.result ->> 'erro', 200)
            ORDER BY e.created_at DESC LIMIT 1) AS c ON true
        LEFT JOIN LATERAL (
            SELECT run.lead_id::text AS lead, run.empresa::text AS empresa, (
                SELECT CASE WHEN may_see THEN "left"(k.nome::text, 400) ELSE @extschema@.cadence_mask(k.nome::text, 'name') END
                FROM @extschema@.lead_contacts AS k WHERE k.lead_id::text = run.lead_id::text AND k.empresa::text = run.empresa::text
                ORDER BY k.updated_at DESC NULLS LAST, k.id LIMIT 1) AS name, (
                SELECT string_agg(concat_ws(' ', k.nome, k.primeiro_nome), ' ') FROM @extschema@.lead_contacts AS k
                WHERE k.lead_id::text = run.lead_id::text AND k.empresa::text = run.empresa::text) AS names
            FROM @extschema@.lead_cadence_runs AS run
            WHERE run.id = u.id) AS p ON true) AS r
    WHERE l.id = nullif(params ->> 'id', '')::uuid;
    RETURN answer;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_execucao(jsonb, boolean) IS
'the page Execução: the row of the log with that id, and what became of each step, the errors first, with what their codes mean (in lang); null where there is none';

-- A forecast plays every run that is due until then, five thousand in a fraction of a second. Where
-- more are due, it goes as far as those, by whole hours; what comes after is what is due, by the hour, which
-- windows and limits may still put off.
CREATE FUNCTION @extschema@.cadence_api_agenda(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $$
DECLARE
    played constant int := 5000;
    days constant int := 7;
    zone constant text := @extschema@.cadence_api_zone();
    until timestamptz;
    exact_until timestamptz;
    due_from timestamptz := '-infinity';
    too_many timestamptz;
    hours jsonb;
    due jsonb;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    until := date_trunc('day', now()) + make_interval(days => days);
    SELECT r.next_run_at INTO too_many FROM @extschema@.lead_cadence_runs AS r
    WHERE r.status = 'ATIVA' AND r.next_run_at < until ORDER BY r.next_run_at OFFSET played LIMIT 1;
    exact_until := CASE WHEN too_many IS NULL THEN until ELSE greatest(date_trunc('hour', too_many), now()) END;
    IF exact_until > now() THEN
        due_from := exact_until;
        SELECT jsonb_agg(jsonb_build_object('at', f.hour, 'channel', f.canal, 'server', f.server, 'n', f.n, 'certain', f.certain)
                         ORDER BY f.hour, f.canal, f.server) INTO hours
        FROM (SELECT date_trunc('hour', x.at) AS hour, x.canal, x.server, count(*) AS n, count(*) FILTER (WHERE x.certain) AS certain
              FROM @extschema@.cadence_forecast(now(), exact_until) AS x WHERE x.at < exact_until GROUP BY 1, 2, 3) AS f;
    END IF;
    IF too_many IS NOT NULL THEN
        -- by quarters first, which need no zone: there may be a million
        SELECT jsonb_agg(jsonb_build_object('at', d.hour, 'n', d.n) ORDER BY d.hour) INTO due
        FROM (SELECT date_trunc('hour', greatest(q.quarter, now())) AS hour, sum(q.n) AS n
              FROM (SELECT date_bin('15 minutes', r.next_run_at, '2000-01-01 00:00:00+00') AS quarter, count(*) AS n
                    FROM @extschema@.lead_cadence_runs AS r
                    WHERE r.status = 'ATIVA' AND r.next_run_at >= due_from AND r.next_run_at < until GROUP BY 1) AS q
              GROUP BY 1) AS d;
    END IF;
    RETURN jsonb_build_object('zone', zone, 'until', until, 'exact_until', exact_until, 'exact', too_many IS NULL,
                              'hours', coalesce(hours, '[]'), 'due', coalesce(due, '[]'));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_agenda(jsonb, boolean) IS
'the page Agenda: what will leave in the next seven days, by hour, channel and sender, as cadence_forecast() says it; where too much is due, that as far as exact_until, and what is due after it';
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
--
-- What the dashboard shows of a person
--
-- Who may not see personal data finds people by what says nothing of them, and by nothing else: a
-- number, a mailbox or a name that can be searched can be guessed, digit by digit from the four that
-- are shown.

-- An adopted key may be citext: its index serves its own operator alone.
CREATE FUNCTION @extschema@.cadence_api_key_is(relation regclass, key name) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN x.extname IS NULL THEN format('x.%I::text = $1', a.attname)
                ELSE format('x.%I OPERATOR(%I.=) $1::%I.citext', a.attname, n.nspname, n.nspname) END
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid JOIN pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN (pg_depend AS d JOIN pg_extension AS x ON x.oid = d.refobjid AND x.extname = 'citext')
        ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    WHERE a.attrelid = $1 AND a.attname = $2 AND NOT a.attisdropped
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_key_is(regclass, name) IS
'part of the dashboard: how a key of the table x is compared with $1, so that its index serves';

-- Ten digits have neither Brazil's ninth, Argentina's 9 nor Mexico's 1; a trunk zero may have a carrier's number behind it.
CREATE FUNCTION @extschema@.cadence_api_phone_end(phone text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT "right"(regexp_replace(regexp_replace(regexp_replace("left"($1, 200), '[^0-9]', '', 'g'),
                                                 '^0(?:[0-9]{2}(?=[0-9]{10,11}$)|0?(?=[0-9]{10,}$))', ''),
                                  '^((?:55)?[0-9]{2})?9([0-9]{8})$', '\1\2'), 10)
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_phone_end(text) IS
'part of the dashboard: the digits by which two spellings of a number are compared';

-- What a text that somebody has typed may be. An id that the application has made of a number or a
-- mailbox is one to whom those are masked.
CREATE FUNCTION @extschema@.cadence_api_search_kinds(q text, people boolean) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_remove(ARRAY[
        CASE WHEN $2 OR @extschema@.cadence_mask($1, 'id') = $1 THEN 'id' END,
        CASE WHEN $2 AND strpos($1, '@') > 0 THEN 'email' END,
        CASE WHEN $2 AND $1 !~ '[A-Za-z@]' AND length(@extschema@.cadence_api_phone_end($1)) >= 8 THEN 'phone' END,
        CASE WHEN $2 AND $1 ~ '[^0-9\s[:punct:]]{2}' AND strpos($1, '@') = 0
                  AND to_regclass('@extschema@.lead_contacts_name_idx') IS NOT NULL THEN 'name' END], NULL)
    WHERE $1 <> ''
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_search_kinds(text, boolean) IS
'part of the dashboard: as what a text is searched';

-- Each part has its index. Of a name that half of all people have, the first hundred that are found.
CREATE FUNCTION @extschema@.cadence_api_search(q text, kind text)
RETURNS TABLE (lead_id text, empresa text)
LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE ROWS 20
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    contacts constant text := 'SELECT x.lead_id::text, x.empresa::text FROM @extschema@.lead_contacts AS x WHERE %s LIMIT 100';
    runs constant text := 'SELECT x.lead_id::text, x.empresa::text FROM @extschema@.lead_cadence_runs AS x WHERE %s LIMIT 100';
    known constant text := 'SELECT x.lead_id::text, x.empresa::text FROM @extschema@.lead_identities AS x WHERE x.value = ANY ($2) AND x.kind = %L LIMIT 100';
    -- of which a number is one as it is learned, or one that is written without its country
    spellings text[];
    words text;
    parts text[];
BEGIN
    CASE kind
    WHEN 'id' THEN
        words := @extschema@.cadence_api_key_is('@extschema@.lead_cadence_runs', 'lead_id');
        parts := ARRAY[format(contacts, @extschema@.cadence_api_key_is('@extschema@.lead_contacts', 'lead_id')),
                       format(runs, words || ' AND x.status = ''ATIVA'''), format(runs, words || ' AND x.status = ''PAUSADA'''),
                       format(runs, words || ' AND x.status <> ''ATIVA'' AND x.status <> ''PAUSADA''')];
        IF q ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN
            parts := parts || format(runs, 'x.id = $1::uuid');
        END IF;
    WHEN 'email' THEN
        spellings := ARRAY[lower(q)];
        parts := ARRAY[format(contacts, '"left"(lower(x.email::text), 320) = lower($1)'), format(known, kind)];
    WHEN 'phone' THEN
        words := @extschema@.cadence_api_phone_end(q);
        spellings := ARRAY(SELECT DISTINCT '+' || c.code || v.number
                           FROM (VALUES (ltrim(regexp_replace(q, '[^0-9]', '', 'g'), '0')), (words),
                                        ("left"(words, -8) || '9' || "right"(words, 8))) AS v(number),
                                (VALUES (''), ('55')) AS c(code));
        parts := ARRAY(SELECT format(contacts, format(
                           '"right"(regexp_replace(x.%1$I::text, ''[^0-9]'', '''', ''g''), 8) = "right"(%2$L, 8) '
                           'AND "right"(@extschema@.cadence_api_phone_end(x.%1$I::text), length(%2$L)) = '
                           '"right"(%2$L, length(@extschema@.cadence_api_phone_end(x.%1$I::text)))', a.attname, words))
                       FROM pg_attribute AS a
                       WHERE a.attrelid = '@extschema@.lead_contacts'::regclass AND a.attname IN ('telefone', 'telefone_e164')
                         AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) || format(known, kind);
    WHEN 'name' THEN
        -- as the index has it, so that it serves; the last word that was typed may go on
        SELECT w.expression INTO words FROM @extschema@.cadence_name_words AS w;
        EXECUTE format('SELECT array_agg(quote_literal(w.lexeme) || CASE WHEN w.n = 1 AND length(w.lexeme) >= 3 THEN '':*'' ELSE '''' END) '
                       'FROM (SELECT l.lexeme, row_number() OVER (ORDER BY l.positions[cardinality(l.positions)] DESC) AS n '
                       'FROM (SELECT $1::text AS nome) AS x, unnest(%s) AS l) AS w', words)
            INTO spellings USING q;
        IF cardinality(spellings) > 0 THEN
            parts := ARRAY[format('SELECT x.lead_id::text, x.empresa::text FROM @extschema@.lead_contacts AS x WHERE %s @@ $1::tsquery LIMIT 100', words)];
            q := array_to_string(spellings, ' & ');
        END IF;
    END CASE;
    IF cardinality(parts) > 0 THEN
        RETURN QUERY EXECUTE array_to_string(ARRAY(SELECT format('(%s)', p) FROM unnest(parts) AS p), ' UNION ') USING q, spellings;
    END IF;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_search(text, text) IS
'part of the dashboard: who is found by an id (of a lead, or a run), an email, a phone number in any spelling, or the words of a name';

-- Whether an id says who somebody is: it looks like a number or a mailbox, or has a number or mailbox in it
-- that they are known by, or a word of their name.
CREATE FUNCTION @extschema@.cadence_api_id_tells(lead_id text, empresa text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
    SELECT @extschema@.cadence_mask($1, 'id') IS DISTINCT FROM $1
        OR EXISTS (
            SELECT FROM (
                -- the third is a column that not all have
                SELECT v.value FROM @extschema@.lead_contacts AS k
                CROSS JOIN LATERAL (VALUES (k.telefone::text), (k.email::text), (to_jsonb(k) ->> 'telefone_e164')) AS v(value)
                WHERE k.lead_id::text = $1 AND k.empresa::text = $2
                UNION ALL
                -- these have no index but by what they are
                SELECT i.value FROM @extschema@.lead_identities AS i
                WHERE i.value = ANY (ARRAY(SELECT '+' || c.code || ltrim(regexp_replace($1, '[^0-9]', '', 'g'), '0') FROM (VALUES (''), ('55')) AS c(code)))
                  AND i.kind = 'phone' AND i.lead_id::text = $1 AND i.empresa::text = $2) AS known
            CROSS JOIN LATERAL (SELECT strpos(known.value, '@') = 0 AS is_number, "right"(regexp_replace("left"(known.value, 200), '[^0-9]', '', 'g'), 8) AS digits,
                                       split_part(lower("left"(known.value, 400)), '@', 1) AS mailbox) AS d
            WHERE d.is_number AND length(d.digits) >= 6 AND strpos(regexp_replace($1, '[^0-9]', '', 'g'), d.digits) > 0
                OR NOT d.is_number AND length(d.mailbox) >= 4 AND strpos(lower($1), d.mailbox) > 0)
        OR EXISTS (
            SELECT FROM @extschema@.lead_contacts AS k
            CROSS JOIN LATERAL regexp_matches(@extschema@.cadence_mask_letters("left"(concat_ws(' ', k.nome, k.primeiro_nome), 400)), '\w{4,}', 'g') AS x(word)
            WHERE k.lead_id::text = $1 AND k.empresa::text = $2 AND strpos(@extschema@.cadence_mask_letters($1), x.word[1]) > 0)
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_id_tells(text, text) IS
'part of the dashboard: whether a lead''s id has a number or mailbox of theirs in it, or a word of their name';

-- In an adopted table a lead of a company may have several rows: as in an execution, the one that was changed last counts.
CREATE FUNCTION @extschema@.cadence_api_person(lead_id text, empresa text, people boolean) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
    SELECT jsonb_build_object('lead_id', CASE WHEN $3 OR NOT @extschema@.cadence_api_id_tells($1, $2) THEN $1
                                       WHEN @extschema@.cadence_mask($1, 'id') <> $1 THEN @extschema@.cadence_mask($1, 'id') ELSE '***' END, 'empresa', $2)
        || coalesce((
            SELECT jsonb_build_object(
                'name', CASE WHEN $3 THEN "left"(k.nome::text, 400) ELSE @extschema@.cadence_mask(k.nome::text, 'name') END,
                'phone', CASE WHEN $3 THEN "left"(k.telefone::text, 200) ELSE @extschema@.cadence_mask(k.telefone::text, 'phone') END,
                'email', CASE WHEN $3 THEN "left"(k.email::text, 400) ELSE @extschema@.cadence_mask(k.email::text, 'email') END,
                'opted_out', coalesce(k.opt_out, false))
            FROM @extschema@.lead_contacts AS k WHERE k.lead_id::text = $1 AND k.empresa::text = $2
            ORDER BY k.updated_at DESC NULLS LAST, k.id LIMIT 1), '{"name": null, "phone": null, "email": null, "opted_out": null}')
        || jsonb_build_object(
            'active', (SELECT count(*) FROM @extschema@.lead_cadence_runs AS r
                       WHERE r.lead_id::text = $1 AND r.empresa::text = $2 AND r.status = 'ATIVA'),
            'paused', (SELECT count(*) FROM @extschema@.lead_cadence_runs AS r
                       WHERE r.lead_id::text = $1 AND r.empresa::text = $2 AND r.status = 'PAUSADA'),
            'over', (SELECT count(*) FROM @extschema@.lead_cadence_runs AS r
                     WHERE r.lead_id::text = $1 AND r.empresa::text = $2 AND r.status <> 'ATIVA' AND r.status <> 'PAUSADA'))
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_person(text, text, boolean) IS
'part of the dashboard: who a lead of a company is, and how many runs they have';

CREATE FUNCTION @extschema@.cadence_api_pessoas(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shown constant int := 20;
    q constant text := regexp_replace("left"(coalesce(params ->> 'q', ''), 200), '^\s+|\s+$', '', 'g');
    may_see constant boolean := coalesce(people, false);
    kinds constant text[] := coalesce(@extschema@.cadence_api_search_kinds(q, may_see), '{}');
    found jsonb;
BEGIN
    -- by an id first: it names one
    SELECT jsonb_agg(@extschema@.cadence_api_person(f.lead_id, f.empresa, may_see) ORDER BY f.rank, f.lead_id, f.empresa) INTO found
    FROM (SELECT s.lead_id, s.empresa, min(k.rank) AS rank
          FROM unnest(kinds) WITH ORDINALITY AS k(kind, rank) CROSS JOIN LATERAL @extschema@.cadence_api_search(q, k.kind) AS s
          WHERE (params ->> 'empresa' IS NULL OR s.empresa = params ->> 'empresa')
            -- who guesses an id that tells is not told whether it is there
            AND (may_see OR NOT @extschema@.cadence_api_id_tells(s.lead_id, s.empresa)
                 -- but who has named a run
                 OR q ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' AND lower(s.lead_id) <> lower(q))
          GROUP BY s.lead_id, s.empresa ORDER BY 3, 1, 2 LIMIT shown + 1) AS f;
    RETURN jsonb_build_object(
        'may_search', CASE WHEN may_see THEN '["id", "name", "phone", "email"]'::jsonb ELSE '["id"]' END,
        'searched', to_jsonb(kinds),
        'people', coalesce(found - shown, '[]'),
        'more', coalesce(jsonb_array_length(found) > shown, false));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_pessoas(jsonb, boolean) IS
'the dashboard''s search for people: q, and empresa where only a company''s are meant. searched says as what q was taken; who may not see personal data searches by the id of a lead or a run alone';

-- What a provider has answered may have said whom it could not write to, as it spells names.
CREATE FUNCTION @extschema@.cadence_mask_answer(answer text, name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    said constant text := @extschema@.cadence_mask(answer, 'error');
    letters constant text := @extschema@.cadence_mask_letters(said);
    word text;
    spelling text;
    by_itself text;
    within text;
BEGIN
    FOREACH word IN ARRAY regexp_split_to_array(@extschema@.cadence_mask_letters(coalesce("left"(name, 400), '')), '[\W\d_]+') LOOP
        CONTINUE WHEN length(word) < 2 OR strpos(letters, word) = 0
            OR word IN ('de', 'da', 'do', 'das', 'dos', 'di', 'du', 'del', 'la', 'le', 'van', 'von');
        spelling := regexp_replace(word, '(.)', '\1[\\u0300-\\u036f]*', 'g');
        by_itself := concat_ws('|', by_itself, spelling);
        IF length(word) >= 5 THEN
            within := concat_ws('|', within, spelling);
        END IF;
    END LOOP;
    IF by_itself IS NULL THEN
        RETURN said;
    END IF;
    -- words of a name stand by themselves or together; one that is long is known within another, too
    RETURN normalize(regexp_replace(normalize(said, NFD), '(?<![[:alpha:]])(?:' || by_itself || ')+(?![[:alpha:]])' || coalesce('|(?:' || within || ')+', ''),
                                    '***', 'gi'), NFC);
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask_answer(text, text) IS
'part of the dashboard: a provider''s words without addresses, and without the words of a person''s name';

-- Where a person has stopped a run, or a rule of the application has, the words are that person's: nobody can tell what is
-- in them. Nor where it is not known whose they are.
CREATE FUNCTION @extschema@.cadence_mask_event(code text, said text, name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN $1 IS NULL OR $1 IN ('OPT_OUT', 'SAIDA', 'PULADO', 'RESPOSTA', 'HUMANO_ASSUMIU', 'CANCELADA', 'REGRA_FALHOU', 'ENDERECO_MORTO')
                THEN @extschema@.cadence_mask($2, 'text') ELSE @extschema@.cadence_mask_answer($2, $3) END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask_event(text, text, text) IS
'part of the dashboard: what is shown of an event''s words to whom people may not be shown, by the event''s code and the person''s name';

-- What others have written says who somebody is.
CREATE FUNCTION @extschema@.cadence_api_story(lead_id text, empresa text, people boolean, most int, language text)
RETURNS TABLE (event jsonb, n bigint, total bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
    WITH person AS MATERIALIZED (
        SELECT string_agg(concat_ws(' ', k.nome, k.primeiro_nome), ' ') AS names FROM @extschema@.lead_contacts AS k WHERE k.lead_id::text = $1 AND k.empresa::text = $2)
    SELECT jsonb_build_object(
               'at', t.at, 'what', t.what, 'cadence', "left"(t.cadence, 200), 'cadence_name', (
                   -- one by one: a join would read all runs where it expects many events
                   SELECT "left"(c.nome::text, 200) FROM @extschema@.lead_cadence_runs AS r JOIN @extschema@.cadences AS c ON c.id = r.cadence_id WHERE r.id = t.run),
               'run', t.run, 'step', t.step, 'channel', "left"(t.canal, 40),
               'template', "left"(t.template, 200),
               'code', w.code, 'means', CASE WHEN $5 LIKE 'en%' THEN w.en ELSE w.pt END, 'due_at', d.parts[3],
               'text', CASE WHEN d.text = '' THEN NULL WHEN $3 THEN "left"(d.text, 2000)
                            WHEN t.what IN ('scheduled', 'not sent', 'not delivered', 'uncertain', 'held')
                            -- what has no code has our own words
                            THEN @extschema@.cadence_mask_event(coalesce(m.parts[1], ''), d.text, (SELECT p.names FROM person AS p))
                            ELSE @extschema@.cadence_mask(d.text, 'text') END),
           t.n, t.total
    FROM (SELECT s.*, row_number() OVER (ORDER BY s.ordinality DESC) AS n, count(*) OVER () AS total
          FROM @extschema@.cadence_timeline($1, $2) WITH ORDINALITY AS s
          -- what is to come is said with what keeps it back
          WHERE s.what <> 'next' AND s.what <> 'being sent') AS t
    -- CODE: words; again at TIME
    CROSS JOIN LATERAL (
        SELECT CASE WHEN t.what NOT IN ('sent', 'received', 'opted out')
                    THEN regexp_match("left"(t.detail, 4000), '^(?:([A-Z_]{4,30})(?:: |; |$))?(.*?)(?:(?:; |: |^)?(?:due|again) at ([0-9]{4}-[0-9T:.+Z-]{6,40}))?$') END AS parts) AS m
    LEFT JOIN @extschema@.cadence_code_words AS w ON w.code = m.parts[1]
    CROSS JOIN LATERAL (
        SELECT m.parts, CASE WHEN m.parts IS NULL THEN t.detail ELSE concat_ws(': ', CASE WHEN w.code IS NULL THEN m.parts[1] END, NULLIF(m.parts[2], '')) END AS text) AS d
    WHERE t.n <= $4
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_story(text, text, boolean, int, text) IS
'part of the dashboard: the last so many events of a person''s timeline, the last first, and how many there are in all; what codes mean is said in a language';

CREATE FUNCTION @extschema@.cadence_api_why(run uuid, language text, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- the words of a reason are ours, up to the first of what is said of the case
    RETURN jsonb_build_object('why', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'code', w.blocked_by, 'since', w.since, 'clears_at', w.clears_at,
                   'text', CASE WHEN NOT people THEN split_part(w.explanation, '; ', 1)
                                ELSE coalesce(replace(w.explanation, m.parts[1] || m.parts[2], m.parts[1] || (said.words ->> 'means')), w.explanation) END,
                   'todo', @extschema@.cadence_api_words_of(w.blocked_by, language) -> 'todo') ORDER BY w.ordinality), '[]')
        FROM @extschema@.cadence_why_not(run, language) WITH ORDINALITY AS w
        -- a code that stands within is said in words, too
        CROSS JOIN LATERAL (SELECT regexp_match(w.explanation, '(; (?:reason|motivo): )([A-Z_]{4,30})(?:[:;]|$)') AS parts) AS m
        CROSS JOIN LATERAL (SELECT @extschema@.cadence_api_words_of(m.parts[2], language) AS words) AS said));
EXCEPTION WHEN OTHERS THEN
    -- the page has more to say than this
    RETURN jsonb_build_object('why', NULL, 'error', SQLSTATE);
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_why(uuid, text, boolean) IS
'part of the dashboard: why the next message of a run does not leave now, in a language';

-- Runs that are not over, and what their next step would be.
CREATE FUNCTION @extschema@.cadence_api_next(lead_id text, empresa text, language text, people boolean, most int) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'run', r.id, 'status', r.status, 'cadence', c.codigo::text, 'cadence_name', c.nome::text, 'cadence_id', r.cadence_id,
               'at', r.next_run_at, 'being_sent', r.is_claimed, 'step', s.ordem, 'channel', s.canal, 'template', s.template)
               || @extschema@.cadence_api_why(r.id, $3, $4) ORDER BY r.next_run_at, r.id), '[]')
    FROM (SELECT * FROM (
              SELECT a.id, a.status::text AS status, a.cadence_id, a.next_step_ordem, a.next_run_at, a.claim_id IS NOT NULL AS is_claimed
              FROM @extschema@.lead_cadence_runs AS a WHERE a.lead_id::text = $1 AND a.empresa::text = $2 AND a.status = 'ATIVA'
              UNION ALL
              SELECT p.id, p.status::text, p.cadence_id, p.next_step_ordem, p.next_run_at, p.claim_id IS NOT NULL
              FROM @extschema@.lead_cadence_runs AS p WHERE p.lead_id::text = $1 AND p.empresa::text = $2 AND p.status = 'PAUSADA') AS u
          ORDER BY u.next_run_at, u.id LIMIT $5) AS r
    LEFT JOIN @extschema@.cadences AS c ON c.id = r.cadence_id
    LEFT JOIN LATERAL (
        SELECT x.ordem::int AS ordem, x.canal::text AS canal, x.template_codigo::text AS template FROM @extschema@.cadence_steps AS x
        WHERE x.cadence_id = r.cadence_id AND x.ordem >= r.next_step_ordem ORDER BY x.ordem LIMIT 1) AS s ON true
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_next(text, text, text, boolean, int) IS
'part of the dashboard: what comes next of a person''s runs, and why not yet';

CREATE FUNCTION @extschema@.cadence_api_zone(company text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone text;
BEGIN
    SELECT e.fuso_horario::text INTO zone FROM @extschema@.cadence_empresas AS e WHERE e.empresa::text = company LIMIT 1;
    PERFORM now() AT TIME ZONE zone;
    RETURN coalesce(zone, @extschema@.cadence_api_zone());
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN @extschema@.cadence_api_zone();
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_zone(text) IS
'part of the dashboard: the zone of a company''s times';

CREATE FUNCTION @extschema@.cadence_api_pessoa(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $$
DECLARE
    may_see constant boolean := coalesce(people, false);
    -- masking takes longer than reading
    shown constant int := CASE WHEN may_see THEN 500 ELSE 200 END;
    lead text := params ->> 'lead_id';
    company text := params ->> 'empresa';
    language constant text := coalesce(params ->> 'lang', 'pt-BR');
    zone text;
    person jsonb;
    timeline jsonb;
    total bigint;
BEGIN
    IF params ->> 'run' IS NOT NULL THEN
        SELECT r.lead_id::text, r.empresa::text INTO lead, company
        FROM @extschema@.lead_cadence_runs AS r
        WHERE r.id = CASE WHEN params ->> 'run' ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN (params ->> 'run')::uuid END;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no such run' USING ERRCODE = 'no_data_found';
        END IF;
    ELSIF lead IS NULL OR company IS NULL THEN
        RAISE EXCEPTION 'a person is named by lead_id and empresa, or by run' USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT may_see AND @extschema@.cadence_api_id_tells(lead, company) THEN
        -- nor is who asks for a number: others name such a person by a run
        RAISE EXCEPTION 'there is no such person' USING ERRCODE = 'no_data_found';
    END IF;
    person := @extschema@.cadence_api_person(lead, company, may_see);
    zone := @extschema@.cadence_api_zone(company);
    PERFORM set_config('TimeZone', zone, true);
    SELECT jsonb_agg(s.event ORDER BY s.n), max(s.total) INTO timeline, total
    FROM @extschema@.cadence_api_story(lead, company, may_see, shown, language) AS s;
    IF person -> 'opted_out' = 'null' AND total IS NULL THEN
        RAISE EXCEPTION 'there is no such person' USING ERRCODE = 'no_data_found';
    END IF;
    RETURN jsonb_build_object(
        'zone', zone,
        'person', person,
        'next', @extschema@.cadence_api_next(lead, company, language, may_see, 20),
        'timeline', coalesce(timeline, '[]'),
        'timeline_total', coalesce(total, 0));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_pessoa(jsonb, boolean) IS
'the dashboard''s page of a person, named by lead_id and empresa or by run: who it is, what comes next and why not yet (in lang), and the timeline, the last first';
--
-- What the dashboard shows of errors
--
-- How many there were is told by the rollup (kind error: rows of lead_cadence_events with ERRO, by
-- the hour); examples are rows of a group, the last first, by lead_cadence_events_group_idx.

-- Since the beginning of an hour, as the rollup counts.
CREATE FUNCTION @extschema@.cadence_api_since(days text, most int) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF days IS NOT NULL AND (days !~ '^[1-9][0-9]{0,3}$' OR days::int > most) THEN
        RAISE EXCEPTION 'days must be a number from 1 to %', most USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN date_trunc('hour', now() - make_interval(hours => coalesce(days, '7')::int * 24 - 1), 'UTC');
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_since(text, int) IS
'part of the dashboard: since when so many days are counted (7 where none are given): with the hour that it is now';

-- As cadence_rollup_counts() has them, but summed at once: of three months there may be a hundred thousand
-- rows. Of one code, sender and template, or of all where they are null.
CREATE FUNCTION @extschema@.cadence_api_error_sums(since timestamptz, by_hour boolean, code text, server text, template text)
RETURNS TABLE (code text, server text, template text, cadence text, at timestamptz, n bigint, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
    SELECT x.code, x.server, x.template, CASE WHEN $2 THEN x.cadence END, CASE WHEN $2 THEN x.at END, sum(x.n)::bigint, min(x.first_at), max(x.last_at)
    FROM (
        SELECT c.at, c.code, c.server, c.template, c.cadence, c.n, c.first_at, c.last_at FROM @extschema@.cadence_counts AS c
        WHERE c.grain = 'HOUR' AND c.kind = 'error' AND c.at >= $1
        UNION ALL
        SELECT date_trunc('hour', d.at, 'UTC'), d.code, d.server, d.template, coalesce(d.cadence::text, ''), d.n, d.first_at, d.last_at
        FROM @extschema@.cadence_deltas AS d WHERE d.kind = 'error' AND d.at >= $1
    ) AS x
    WHERE ($3 IS NULL OR x.code = $3) AND ($4 IS NULL OR x.server = $4) AND ($5 IS NULL OR x.template = $5)
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(x.n) > 0
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_error_sums(timestamptz, boolean, text, text, text) IS
'part of the dashboard: errors since the beginning of an hour by code, sender and template, and by cadence and hour where that is asked for';

CREATE FUNCTION @extschema@.cadence_api_erros(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET work_mem = '32MB'
AS $$
DECLARE
    shown constant int := 200;
    since constant timestamptz := @extschema@.cadence_api_since(params ->> 'days', 366);
    language constant text := coalesce(params ->> 'lang', 'pt-BR');
    zone constant text := @extschema@.cadence_api_zone();
    listed jsonb;
    errors bigint;
    kinds bigint;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    WITH g AS (
        SELECT e.* FROM @extschema@.cadence_api_error_sums(since, false, NULL, NULL, NULL) AS e
    ), ranked AS (
        SELECT g.*, row_number() OVER (ORDER BY g.n DESC, g.last_at DESC, g.code, g.server, g.template) AS rank FROM g
    )
    SELECT jsonb_agg(jsonb_build_object('code', r.code, 'server', r.server, 'template', r.template, 'n', r.n,
                                        'first_at', r.first_at, 'last_at', r.last_at)
                     || coalesce(@extschema@.cadence_api_words_of(r.code, language), '{"means": null, "todo": null}') ORDER BY r.rank)
               FILTER (WHERE r.rank <= shown),
           coalesce(sum(r.n), 0), count(*)
    INTO listed, errors, kinds FROM ranked AS r;
    RETURN jsonb_build_object('zone', zone, 'since', since, 'n', errors, 'group_count', kinds, 'groups', coalesce(listed, '[]'));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_erros(jsonb, boolean) IS
'the page Erros: errors of the last days (7), by code, sender and template: how many, the first and the last, what it means and what to do (in lang)';

CREATE FUNCTION @extschema@.cadence_api_error_examples(code text, server text, template text, people boolean, most int)
RETURNS SETOF jsonb
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
    SELECT jsonb_build_object(
               'at', e.created_at, 'run', e.run, 'step', e.step_ordem, 'channel', "left"(e.detalhes ->> 'canal', 40),
               -- who may not see people goes there by the run
               'lead_id', CASE WHEN $4 THEN r.lead_id::text WHEN NOT @extschema@.cadence_api_id_tells(r.lead_id::text, r.empresa::text) THEN r.lead_id::text
                               ELSE '***' END,
               'empresa', r.empresa::text, 'cadence', c.codigo::text, 'cadence_name', "left"(c.nome::text, 200),
               'name', CASE WHEN $4 THEN "left"(k.nome, 400) ELSE @extschema@.cadence_mask(k.nome, 'name') END,
               'text', CASE WHEN $4 THEN "left"(e.detalhes ->> 'erro', 2000) ELSE @extschema@.cadence_mask_event($1, e.detalhes ->> 'erro', k.names) END,
               'reason', CASE WHEN $4 THEN "left"(e.detalhes ->> 'motivo', 2000) ELSE @extschema@.cadence_mask(e.detalhes ->> 'motivo', 'text') END,
               'http_status', "left"(e.detalhes ->> 'http_status', 40), 'attempt', "left"(e.detalhes ->> 'tentativa', 40),
               'permanent', coalesce(e.detalhes ->> 'permanente' = 'true', false))
    FROM (SELECT x.created_at, x.id, x.lead_cadence_run_id AS run, x.step_ordem::int AS step_ordem, x.detalhes
          FROM @extschema@.lead_cadence_events AS x
          WHERE x.tipo_evento = 'ERRO'
            AND "left"(coalesce(x.detalhes ->> 'codigo', ''), 40) = "left"($1, 40)
            AND "left"(coalesce(x.detalhes ->> 'provedor', ''), 63) = "left"($2, 63)
            AND "left"(coalesce(x.template_codigo::text, ''), 100) = "left"($3, 100)
          ORDER BY x.created_at DESC LIMIT $5) AS e
    LEFT JOIN @extschema@.lead_cadence_runs AS r ON r.id = e.run
    LEFT JOIN @extschema@.cadences AS c ON c.id = r.cadence_id
    LEFT JOIN LATERAL (
        SELECT k.nome::text AS nome, concat_ws(' ', k.nome, k.primeiro_nome) AS names FROM @extschema@.lead_contacts AS k
        WHERE k.lead_id::text = r.lead_id::text AND k.empresa::text = r.empresa::text
        ORDER BY k.updated_at DESC NULLS LAST, k.id LIMIT 1) AS k ON true
    ORDER BY e.created_at DESC, e.id DESC
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_error_examples(text, text, text, boolean, int) IS
'part of the dashboard: the last errors of a code, a sender and a template';

CREATE FUNCTION @extschema@.cadence_api_erro(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET work_mem = '32MB'
AS $$
DECLARE
    shown constant int := 20;
    since constant timestamptz := @extschema@.cadence_api_since(params ->> 'days', 366);
    asked_code constant text := params ->> 'code';
    asked_server constant text := coalesce(params ->> 'server', '');
    asked_template constant text := coalesce(params ->> 'template', '');
    zone constant text := @extschema@.cadence_api_zone();
    sums record;
BEGIN
    IF asked_code IS NULL THEN
        RAISE EXCEPTION 'a group of errors is named by code, server and template' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('TimeZone', zone, true);
    WITH g AS MATERIALIZED (
        SELECT e.* FROM @extschema@.cadence_api_error_sums(since, true, asked_code, asked_server, asked_template) AS e
    )
    SELECT (SELECT coalesce(sum(g.n), 0) FROM g) AS n, (SELECT min(g.first_at) FROM g) AS first_at, (SELECT max(g.last_at) FROM g) AS last_at,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('day', d.day, 'n', d.n) ORDER BY d.day), '[]')
            FROM (SELECT g.at::date AS day, sum(g.n) AS n FROM g GROUP BY 1) AS d) AS days,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('cadence_id', d.cadence, 'cadence', d.codigo, 'cadence_name', d.nome, 'n', d.n) ORDER BY d.n DESC, d.cadence), '[]')
            FROM (SELECT g.cadence, max(c.codigo::text) AS codigo, "left"(max(c.nome::text), 200) AS nome, sum(g.n) AS n FROM g
                  LEFT JOIN @extschema@.cadences AS c ON c.id::text = g.cadence GROUP BY 1) AS d) AS cadences
    INTO sums;
    RETURN jsonb_build_object(
        'zone', zone, 'since', since, 'code', asked_code, 'server', asked_server, 'template', asked_template,
        'n', sums.n, 'first_at', sums.first_at, 'last_at', sums.last_at, 'days', sums.days, 'cadences', sums.cadences,
        'examples', coalesce((SELECT jsonb_agg(e) FROM @extschema@.cadence_api_error_examples(asked_code, asked_server, asked_template, coalesce(people, false), shown) AS e), '[]'))
        || coalesce(@extschema@.cadence_api_words_of(asked_code, coalesce(params ->> 'lang', 'pt-BR')), '{"means": null, "todo": null}');
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_erro(jsonb, boolean) IS
'the page of one group of errors (code, server, template; days): how many by day and cadence, and the last of them as examples';
--
-- What the dashboard shows of cadences
--
-- Of the runs that began on a day (a cohort) each counts once in each column of a step, so no column
-- is more than those that have come to it. What waits is how many runs stand before a step, as they
-- were last counted.

-- Since a day, in a zone: today is the last of so many.
CREATE FUNCTION @extschema@.cadence_api_first_day(days text, most int, zone text) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF days IS NOT NULL AND (days !~ '^[1-9][0-9]{0,3}$' OR days::int > most) THEN
        RAISE EXCEPTION 'days must be a number from 1 to %', most USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN (now() AT TIME ZONE zone)::date - coalesce(days, '30')::int + 1;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_first_day(text, int, text) IS
'part of the dashboard: the first of so many days (30 where none are given), of which today is the last';

-- A run may stand before a number that is no step any more: the next one is meant.
CREATE FUNCTION @extschema@.cadence_api_waiting()
RETURNS TABLE (cadence_id uuid, step_id uuid, waiting bigint, paused bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
    SELECT r.cadence_id::uuid, s.id, coalesce(sum(r.runs) FILTER (WHERE r.status = 'ATIVA'), 0)::bigint,
           coalesce(sum(r.runs) FILTER (WHERE r.status = 'PAUSADA'), 0)::bigint
    FROM @extschema@.cadence_rollup_runs() AS r
    LEFT JOIN LATERAL (
        SELECT x.id FROM @extschema@.cadence_steps AS x
        WHERE x.cadence_id = r.cadence_id::uuid AND x.ordem >= r.ordem AND r.ordem >= 0 ORDER BY x.ordem LIMIT 1) AS s ON true
    WHERE r.status IN ('ATIVA', 'PAUSADA') AND r.cadence_id <> ''
    GROUP BY 1, 2
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_waiting() IS
'part of the dashboard: how many runs stand before which step, as they were last counted; step_id null: none is left';

CREATE FUNCTION @extschema@.cadence_api_waiting_as_of() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT max(r.counted_at) FROM @extschema@.cadence_rollup_runs() AS r
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_waiting_as_of() IS
'part of the dashboard: when the runs were last counted; null: not yet';

CREATE FUNCTION @extschema@.cadence_api_cadencias(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET work_mem = '32MB' SET jit = off
AS $$
DECLARE
    shown constant int := 500;
    zone constant text := @extschema@.cadence_api_zone();
    since constant date := @extschema@.cadence_api_first_day(params ->> 'days', 366, zone);
    listed jsonb;
    known bigint;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    WITH sums AS (
        SELECT c.cadence_id, sum(c.sent)::bigint AS sent, sum(c.delivered)::bigint AS delivered, sum(c.read)::bigint AS read,
               sum(c.replied)::bigint AS replied, sum(c.opted_out)::bigint AS opted_out, sum(c.failed)::bigint AS failed
        FROM @extschema@.cadence_rollup_cohorts(NULL::uuid, since, 'infinity'::date) AS c GROUP BY 1
    ), enrolled AS (
        SELECT e.cadence_id, sum(e.runs)::bigint AS runs FROM @extschema@.cadence_rollup_enrolled(NULL::uuid, since, 'infinity'::date) AS e GROUP BY 1
    ), waiting AS (
        SELECT w.cadence_id, sum(w.waiting)::bigint AS waiting, sum(w.paused)::bigint AS paused FROM @extschema@.cadence_api_waiting() AS w GROUP BY 1
    ), steps AS (
        SELECT s.cadence_id, count(*) AS n FROM @extschema@.cadence_steps AS s GROUP BY 1
    )
    SELECT jsonb_agg(jsonb_build_object(
               'id', c.id, 'code', c.codigo::text, 'name', c.nome::text, 'empresa', c.empresa::text, 'active', c.ativo, 'steps', coalesce(t.n, 0),
               'enrolled', coalesce(e.runs, 0), 'sent', coalesce(s.sent, 0), 'delivered', coalesce(s.delivered, 0), 'read', coalesce(s.read, 0),
               'replied', coalesce(s.replied, 0), 'opted_out', coalesce(s.opted_out, 0), 'failed', coalesce(s.failed, 0),
               'waiting', coalesce(w.waiting, 0), 'paused', coalesce(w.paused, 0)) ORDER BY c.rank) FILTER (WHERE c.rank <= shown), count(*)
    INTO listed, known
    FROM (SELECT x.*, row_number() OVER (ORDER BY x.ativo DESC NULLS LAST, x.empresa::text, x.codigo::text, x.id) AS rank
          FROM @extschema@.cadences AS x) AS c
    LEFT JOIN sums AS s ON s.cadence_id = c.id LEFT JOIN enrolled AS e ON e.cadence_id = c.id
    LEFT JOIN waiting AS w ON w.cadence_id = c.id LEFT JOIN steps AS t ON t.cadence_id = c.id;
    RETURN jsonb_build_object('zone', zone, 'since', since, 'waiting_as_of', @extschema@.cadence_api_waiting_as_of(),
                              'cadence_count', known, 'cadences', coalesce(listed, '[]'));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_cadencias(jsonb, boolean) IS
'the page Cadências: each with how many runs began in the last days (30), what became of their messages, and how many wait now';

CREATE FUNCTION @extschema@.cadence_api_cadencia(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET work_mem = '32MB' SET jit = off
AS $$
DECLARE
    asked uuid;
    about jsonb;
    zone text;
    since date;
    -- a long time is shown by the week
    bucket text;
    listed jsonb;
    cohorts jsonb;
BEGIN
    IF params ->> 'id' IS NULL OR params ->> 'id' !~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN
        RAISE EXCEPTION 'a cadence is named by its id' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    asked := (params ->> 'id')::uuid;
    SELECT jsonb_build_object('id', c.id, 'code', c.codigo::text, 'name', c.nome::text, 'empresa', c.empresa::text, 'active', c.ativo)
    INTO about FROM @extschema@.cadences AS c WHERE c.id = asked;
    IF about IS NULL THEN
        RAISE EXCEPTION 'there is no such cadence' USING ERRCODE = 'no_data_found';
    END IF;
    zone := @extschema@.cadence_api_zone(about ->> 'empresa');
    -- the same days as in the list of all cadences
    since := @extschema@.cadence_api_first_day(params ->> 'days', 366, @extschema@.cadence_api_zone());
    bucket := CASE WHEN coalesce(params ->> 'days', '30')::int > 31 THEN 'week' ELSE 'day' END;
    PERFORM set_config('TimeZone', zone, true);
    WITH days AS MATERIALIZED (
        SELECT CASE bucket WHEN 'week' THEN greatest(date_trunc('week', c.day)::date, since) ELSE c.day END AS bucket_day, c.*
        FROM @extschema@.cadence_rollup_cohorts(asked, since, 'infinity'::date) AS c
    ), began AS MATERIALIZED (
        SELECT CASE bucket WHEN 'week' THEN greatest(date_trunc('week', e.day)::date, since) ELSE e.day END AS day, sum(e.runs)::bigint AS runs
        FROM @extschema@.cadence_rollup_enrolled(asked, since, 'infinity'::date) AS e GROUP BY 1
    ), counted AS MATERIALIZED (
        SELECT c.bucket_day AS day, c.step_id,
               sum(c.entered)::bigint AS entered, sum(c.sent)::bigint AS sent, sum(c.delivered)::bigint AS delivered, sum(c.read)::bigint AS read,
               sum(c.replied)::bigint AS replied, sum(c.opted_out)::bigint AS opted_out, sum(c.failed)::bigint AS failed,
               sum(c.skipped)::bigint AS skipped, sum(c.stopped)::bigint AS stopped
        FROM days AS c GROUP BY 1, 2
    ), waiting AS MATERIALIZED (
        SELECT w.step_id, w.waiting, w.paused FROM @extschema@.cadence_api_waiting() AS w WHERE w.cadence_id = asked
    ), steps AS MATERIALIZED (
        SELECT s.id, s.ordem::int AS ordem, s.canal::text AS canal, s.template_codigo::text AS template, s.offset_minutos AS minutes
        FROM @extschema@.cadence_steps AS s WHERE s.cadence_id = asked
        UNION ALL
        -- what was removed has had its messages, too
        SELECT DISTINCT c.step_id, NULL::int, NULL, NULL, NULL::int FROM counted AS c
        WHERE NOT EXISTS (SELECT FROM @extschema@.cadence_steps AS s WHERE s.cadence_id = asked AND s.id = c.step_id)
    )
    SELECT (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'id', s.id, 'step', s.ordem, 'channel', s.canal, 'template', s.template, 'removed', s.ordem IS NULL,
                   'entered', t.entered, 'sent', t.sent, 'delivered', t.delivered, 'read', t.read, 'replied', t.replied,
                   'opted_out', t.opted_out, 'failed', t.failed, 'skipped', t.skipped, 'stopped', t.stopped,
                   'waiting', coalesce(w.waiting, 0), 'paused', coalesce(w.paused, 0)) ORDER BY s.ordem NULLS LAST, s.id), '[]')
        FROM steps AS s
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(c.entered), 0) AS entered, coalesce(sum(c.sent), 0) AS sent, coalesce(sum(c.delivered), 0) AS delivered,
                   coalesce(sum(c.read), 0) AS read, coalesce(sum(c.replied), 0) AS replied, coalesce(sum(c.opted_out), 0) AS opted_out,
                   coalesce(sum(c.failed), 0) AS failed, coalesce(sum(c.skipped), 0) AS skipped, coalesce(sum(c.stopped), 0) AS stopped
            FROM counted AS c WHERE c.step_id = s.id) AS t
        LEFT JOIN waiting AS w ON w.step_id = s.id),
        (SELECT coalesce(jsonb_agg(jsonb_build_object('day', d.day, 'enrolled', d.enrolled, 'steps', (
                    SELECT coalesce(jsonb_object_agg(c.step_id, jsonb_build_object(
                               'entered', c.entered, 'sent', c.sent, 'delivered', c.delivered, 'read', c.read, 'replied', c.replied,
                               'opted_out', c.opted_out, 'failed', c.failed)), '{}')
                    FROM counted AS c WHERE c.day = d.day)) ORDER BY d.day DESC), '[]')
         FROM (SELECT b.day, sum(b.runs) AS enrolled
               FROM (SELECT x.day, x.runs FROM began AS x UNION ALL SELECT DISTINCT c.day, 0 FROM counted AS c) AS b GROUP BY 1) AS d)
    INTO listed, cohorts;
    RETURN jsonb_build_object('zone', zone, 'since', since, 'bucket', bucket, 'cadence', about, 'steps', listed, 'cohorts', cohorts,
        'enrolled', (SELECT coalesce(sum((c.value ->> 'enrolled')::bigint), 0) FROM jsonb_array_elements(cohorts) AS c(value)),
        'none_left', (SELECT coalesce(sum(w.waiting + w.paused), 0) FROM @extschema@.cadence_api_waiting() AS w WHERE w.cadence_id = asked AND w.step_id IS NULL),
        'waiting_as_of', @extschema@.cadence_api_waiting_as_of());
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_cadencia(jsonb, boolean) IS
'the page of a cadence (id; days, 30 where none are given): of the runs that began in these days, by step, how many have come to it and what became of its message; the same by the day, or the week, on which they began; and how many wait now';
--
-- Nobody but the owner may execute anything at first. The right to execute
-- cadence_run() is the authorization to send, and default privileges (such as
-- Supabase's, which grant EXECUTE to its anonymous role) must not hand it out,
-- nor the right to write protocols, or to have a trigger run when others do.
--

DO $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.oid::regprocedure AS signature, a.grantee
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'cadence_runner'
        JOIN pg_catalog.pg_proc p ON p.oid = d.objid
        CROSS JOIN LATERAL (
            SELECT DISTINCT x.grantee
            FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS x
            WHERE x.grantee <> p.proowner) AS a
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
          AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %s', f.signature,
            CASE WHEN f.grantee = 0 THEN 'PUBLIC'
                 ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(f.grantee)) END);
    END LOOP;
    FOR f IN
        SELECT DISTINCT a.grantee
        FROM pg_catalog.pg_class c CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
        WHERE c.oid = '@extschema@.cadence_protocols'::pg_catalog.regclass::pg_catalog.oid AND a.grantee <> c.relowner
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON @extschema@.cadence_protocols FROM %s',
            CASE WHEN f.grantee = 0 THEN 'PUBLIC'
                 ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(f.grantee)) END);
    END LOOP;
END
$$;

GRANT SELECT ON @extschema@.cadence_protocols TO PUBLIC;

-- they show nothing that their caller's own SELECT would not
GRANT EXECUTE ON FUNCTION @extschema@.cadence_rollup_counts(text, text[], timestamptz, timestamptz),
    @extschema@.cadence_rollup_cohorts(uuid, date, date), @extschema@.cadence_rollup_enrolled(uuid, date, date), @extschema@.cadence_rollup_runs() TO PUBLIC;

-- nor do these write what their caller may not; cadence_rollup_rebuild() asks who calls
GRANT EXECUTE ON FUNCTION @extschema@.cadence_rollup_rebuild(boolean, boolean), @extschema@.cadence_rollup_day(text, timestamptz),
    @extschema@.cadence_recount_steps(), @extschema@.cadence_recount_step(uuid, bigint, text, uuid[], boolean), @extschema@.cadence_recount_runs(), @extschema@.cadence_recount_events(),
    @extschema@.cadence_recount_receipts(), @extschema@.cadence_recount_answers(), @extschema@.cadence_recount_marks(),
    @extschema@.cadence_recount_outcome(text, text, boolean, boolean, text, text), @extschema@.cadence_recount_cohorts(),
    @extschema@.cadence_recount_counts() TO PUBLIC;

-- what the dashboard's pages are made of runs as the tables' owner, and shows no more than that
GRANT EXECUTE ON FUNCTION @extschema@.cadence_mask(text, text), @extschema@.cadence_mask_plain(text), @extschema@.cadence_mask_letters(text), @extschema@.cadence_mask_cut(text), @extschema@.cadence_mask_said(text), @extschema@.cadence_api_zone(), @extschema@.cadence_api_reason(text),
    @extschema@.cadence_api_used(text, timestamptz), @extschema@.cadence_api_limits(text),
    @extschema@.cadence_api_execution(uuid, timestamptz, text, int, int, int, int, text, text, boolean) TO PUBLIC;

GRANT EXECUTE ON FUNCTION @extschema@.cadence_api_zone(text),
    @extschema@.cadence_api_words_of(text, text), @extschema@.cadence_api_key_is(regclass, name), @extschema@.cadence_api_phone_end(text),
    @extschema@.cadence_api_search_kinds(text, boolean), @extschema@.cadence_api_search(text, text), @extschema@.cadence_api_id_tells(text, text), @extschema@.cadence_api_person(text, text, boolean), @extschema@.cadence_mask_answer(text, text), @extschema@.cadence_mask_event(text, text, text),
    @extschema@.cadence_api_story(text, text, boolean, int, text), @extschema@.cadence_api_why(uuid, text, boolean),
    @extschema@.cadence_api_next(text, text, text, boolean, int), @extschema@.cadence_api_since(text, int),
    @extschema@.cadence_api_error_sums(timestamptz, boolean, text, text, text), @extschema@.cadence_api_error_examples(text, text, text, boolean, int),
    @extschema@.cadence_api_first_day(text, int, text), @extschema@.cadence_api_waiting(), @extschema@.cadence_api_waiting_as_of() TO PUBLIC;

GRANT SELECT ON @extschema@.cadence_code_words TO PUBLIC;

--
-- Whatever has kept a resident worker from starting may be over now
--

SELECT @extschema@.cadence_wake_worker();

--
-- The protocols that come with cadence_runner: protocols/*.json
--

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('brevo', $protocol$
{
  "note": "Brevo's transactional e-mail. The key goes into the body, headers.idempotencyKey, and is remembered for 15 minutes by one page, 30 by another; a request with a known one is answered with duplicate_parameter.",
  "sources": [
    "https://developers.brevo.com/docs/send-a-transactional-email.md",
    "https://developers.brevo.com/docs/how-it-works",
    "https://developers.brevo.com/docs/heterogenous-versions-batch-emails",
    "https://developers.brevo.com/changelog/email-api-now-supports-idempotency",
    "https://developers.brevo.com/docs/transactional-webhooks",
    "https://developers.brevo.com/docs/inbound-parse-webhooks",
    "https://developers.brevo.com/docs/secured-webhooks",
    "https://github.com/anymail/django-anymail/blob/main/anymail/webhooks/brevo.py",
    "https://github.com/anymail/django-anymail/blob/main/tests/test_brevo_webhooks.py"
  ],
  "channels": ["EMAIL"],
  "options": {
    "url": {"default": "https://api.brevo.com", "help": "where Brevo is"},
    "from": {"required": true, "help": "the sender's address alone; its name goes into from_name"},
    "from_name": {"help": "the sender's name"},
    "reply_to": {"help": "where answers go"}
  },
  "secrets": {
    "api_key": {"required": true, "help": "API key, xkeysib-…; not the SMTP key"},
    "webhook_secret": {
      "use": "receive",
      "help": "sent as Authorization: Bearer with every call; set it at Brevo, as the webhook's token"
    },
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{as_stored}}",
  "operations": {
    "email": {
      "url": "{{option.url}}/v3/smtp/email",
      "headers": {"api-key": "{{secret.api_key}}", "Accept": "application/json"},
      "json": {
        "sender": {"email": "{{option.from}}", "name": "{{option.from_name}}"},
        "to": [{"email": "{{recipient}}"}],
        "replyTo": {"email": "{{option.reply_to}}"},
        "subject": "{{subject}}",
        "textContent": "{{message}}",
        "htmlContent": "{{html}}",
        "headers": {"List-Unsubscribe": "<{{unsubscribe_url}}>", "List-Unsubscribe-Post": "{{unsubscribe_post}}"}
      }
    }
  },
  "response": {
    "success": {"status": ["2xx"]},
    "id": ["/messageId"],
    "code": ["/code"],
    "error": ["/message"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {
      "code": ["duplicate_parameter", "duplicate_request"],
      "class": "duplicate",
      "note": "the key is known: an earlier attempt was accepted"
    },
    {
      "code": [
        "unauthorized", "permission_denied", "reseller_permission_denied", "not_enough_credits",
        "account_under_validation"
      ],
      "class": "stopped"
    },
    {"status": [401, 402, 403], "class": "stopped"},
    {
      "status": 400,
      "text": ["sender is not valid", "sender you used", "Sending has been rejected"],
      "class": "stopped",
      "note": "the sender is not one that was validated"
    },
    {
      "status": 400,
      "text": ["email is not valid in to", "email is missing in to"],
      "class": "dead_address"
    },
    {"status": 429, "class": "slow_down"},
    {"status": "5xx", "class": "uncertain"}
  ],
  "idempotency": {"key": "json:/headers/idempotencyKey", "valid_for": "15min", "conflict": "sent"},
  "receive": {
    "signature": [
      {"kind": "header", "secret": "webhook_secret", "at": "header:Authorization", "prefix": "Bearer "},
      {"kind": "path", "secret": "path_secret"}
    ],
    "events": [
      {
        "when": {"/items": {"present": true}},
        "events": [
          {
            "each": "/items/*",
            "event": "message",
            "auto": [
              {"/Headers/Auto-Submitted": {"begins": "auto-"}},
              {"/Headers/X-Autoreply": {"present": true}},
              {"/Headers/X-Autorespond": {"present": true}},
              {"/Headers/Precedence": {"is": ["auto_reply", "bulk", "junk"]}}
            ],
            "fields": {
              "id": ["/Uuid/0", "/MessageId"],
              "other_id": "/MessageId",
              "time": "/SentAtDate",
              "from": "/From/Address",
              "to": "/To/0/Address",
              "email": "/From/Address",
              "name": "/From/Name",
              "subject": "/Subject",
              "text": ["/ExtractedMarkdownMessage", "/RawTextBody"],
              "quotes": ["/InReplyTo", "/Headers/In-Reply-To"]
            }
          }
        ]
      },
      {
        "note": "one event, or many where the webhook is batched",
        "events": [
          {
            "each": "/*",
            "when": {"/event": ["request", "sent", "delivered", "opened", "unique_opened", "click"]},
            "event": "receipt",
            "fields": {
              "id": "/message-id",
              "time": "/ts_epoch",
              "email": "/email",
              "state": {
                "at": "/event",
                "map": {
                  "request": "sent",
                  "sent": "sent",
                  "delivered": "delivered",
                  "opened": "read",
                  "unique_opened": "read",
                  "click": "read"
                }
              }
            }
          },
          {
            "each": "/*",
            "when": {"/event": ["blocked", "error"]},
            "event": "receipt",
            "fields": {
              "id": "/message-id",
              "time": "/ts_epoch",
              "email": "/email",
              "state": {"value": "failed"},
              "code": "/event",
              "error": "/reason"
            }
          },
          {
            "each": "/*",
            "when": {"/event": ["hard_bounce", "invalid_email", "invalid"]},
            "event": "bounce",
            "fields": {
              "id": "/message-id",
              "time": "/ts_epoch",
              "email": "/email",
              "state": {"value": "hard"},
              "code": "/event",
              "error": "/reason"
            }
          },
          {
            "each": "/*",
            "when": {"/event": "soft_bounce"},
            "event": "bounce",
            "fields": {
              "id": "/message-id",
              "time": "/ts_epoch",
              "email": "/email",
              "state": {"value": "soft"},
              "code": "/event",
              "error": "/reason"
            }
          },
          {
            "each": "/*",
            "when": {"/event": ["spam", "complaint"]},
            "event": "complaint",
            "fields": {"id": "/message-id", "time": "/ts_epoch", "email": "/email"}
          },
          {
            "each": "/*",
            "when": {"/event": ["unsubscribe", "unsubscribed"]},
            "event": "opt_out",
            "fields": {"id": "/message-id", "time": "/ts_epoch", "email": "/email"}
          },
          {
            "each": "/*",
            "when": {
              "/event": [
                "deferred",
                "proxy_open",
                "unique_proxy_open",
                "list_addition",
                "contact_updated",
                "contact_deleted"
              ]
            },
            "ignore": "no word of the recipient's"
          }
        ]
      }
    ]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('d360', $protocol$
{
  "note": "The Cloud API through 360dialog: Meta's bodies and error codes, another key and no number in the address. 360dialog's own errors have a text under /meta and no code.",
  "sources": [
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/document-messages",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/image-messages/",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/audio-messages.md",
    "https://whatsappapijs.web.app/types/types.ClientMessageRequest.html",
    "https://github.com/facebook/openapi/blob/main/business-messaging-api_v23.0.yaml",
    "https://docs.360dialog.com/partner/integration/cloud-waba-integration",
    "https://docs.360dialog.com/partner/get-started/quickstarts/send-a-message",
    "https://docs.360dialog.com/docs/support/api-error-message-list.md",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status/",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system/",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/user_preferences",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/changelog/",
    "https://support.chatarchitect.com/books/meta-whatsapp/page/smb-message-echoes-webhook-reference-developer-documentation",
    "https://github.com/david-lev/pywa/tree/master/tests/data/updates",
    "https://whatsappapijs.web.app/types/types.ServerStatusPayload.html",
    "https://docs.360dialog.com/docs/hub/webhook-url.md",
    "https://docs.360dialog.com/partner/waba-management/phone-number-and-hosting/whatsapp-coexistence/coexistence-webhooks",
    "https://docs.360dialog.com/docs/resources/phone-numbers/usernames-and-bsuid"
  ],
  "channels": ["WHATSAPP"],
  "options": {
    "url": {"default": "https://waba-v2.360dialog.io", "help": "where 360dialog's messaging API is"}
  },
  "secrets": {
    "api_key": {
      "required": true,
      "help": "the channel's API key, from the 360dialog hub; there is one per number"
    },
    "webhook_secret": {
      "use": "receive",
      "help": "sent as Authorization: Bearer with every call; set it at 360dialog, among the headers of the webhook"
    },
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{e164}}",
  "operations": {
    "text": {
      "url": "{{option.url}}/messages",
      "headers": {"D360-API-KEY": "{{secret.api_key}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "text",
        "text": {"body": "{{message}}"}
      }
    },
    "template": {
      "url": "{{option.url}}/messages",
      "headers": {"D360-API-KEY": "{{secret.api_key}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "template",
        "template": {
          "name": "{{template.name}}",
          "language": {"policy": "deterministic", "code": "{{template.language}}"},
          "components": "{{template.components}}"
        }
      }
    },
    "media.image": {
      "url": "{{option.url}}/messages",
      "headers": {"D360-API-KEY": "{{secret.api_key}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "image",
        "image": {"link": "{{media.url}}", "caption": "{{media.caption}}"}
      }
    },
    "media.audio": {
      "url": "{{option.url}}/messages",
      "headers": {"D360-API-KEY": "{{secret.api_key}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "audio",
        "audio": {"link": "{{media.url}}"}
      }
    },
    "media.video": {
      "url": "{{option.url}}/messages",
      "headers": {"D360-API-KEY": "{{secret.api_key}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "video",
        "video": {"link": "{{media.url}}", "caption": "{{media.caption}}"}
      }
    },
    "media": {
      "url": "{{option.url}}/messages",
      "headers": {"D360-API-KEY": "{{secret.api_key}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "document",
        "document": {"link": "{{media.url}}", "filename": "{{media.name}}", "caption": "{{media.caption}}"}
      }
    }
  },
  "response": {
    "success": {"status": ["2xx"]},
    "id": ["/messages/0/id"],
    "code": ["/error/code", "/errors/0/code"],
    "error": [
      "/error/error_data/details", "/error/message", "/meta/developerMessage",
      "/meta/developer_message"
    ],
    "wait": ["header:Retry-After"],
    "state": ["/messages/0/message_status"]
  },
  "classes": [
    {
      "status": "2xx",
      "pointer": "/messages/0/message_status",
      "value": ["held_for_quality_assessment", "paused"],
      "class": "held"
    },
    {
      "code": 131056,
      "class": "slow_down",
      "scope": "recipient",
      "wait": "6s",
      "note": "too fast to one person: one message in six seconds"
    },
    {"code": [4, 80007, 130429], "class": "slow_down"},
    {
      "code": 131049,
      "recipient": "+1",
      "class": "refused",
      "note": "no marketing to numbers of +1, at no time"
    },
    {
      "code": 131049,
      "class": "later",
      "wait": "24h",
      "note": "the person has had enough marketing for now"
    },
    {
      "code": 130472,
      "class": "later",
      "wait": "24h",
      "note": "the number is part of an experiment: only marketing templates meet it"
    },
    {
      "code": 131026,
      "times": 2,
      "class": "dead_address",
      "note": "also an old app or unaccepted terms, therefore not at once"
    },
    {"code": 131026, "class": "retry"},
    {
      "code": 131050,
      "category": "MARKETING",
      "class": "opted_out",
      "note": "of marketing alone: other messages may still be sent"
    },
    {"code": 131050, "class": "opted_out"},
    {"code": 131047, "class": "window_closed"},
    {"code": 134101, "class": "retry", "wait": "10min", "note": "the template is still being copied"},
    {"code": [1, 2, 131000, 131016, 131057, 133004, 133016, 135000], "class": "retry"},
    {"code": [132001, 132007, 132015, 132016], "class": "template_stopped"},
    {
      "code": 100,
      "pointer": "/error/error_subcode",
      "value": 33,
      "class": "stopped",
      "note": "no number of that id, or the token may not use it; a 100 with another subcode may be anything"
    },
    {
      "code": [
        130403, 130497, 131008, 131009, 131021, 131030, 131051, 131052, 131053, 131055, 131062,
        132000, 132005, 132008, 132012, 132018, 134011, 134100, 134102
      ],
      "class": "refused"
    },
    {
      "code": 368,
      "class": "stopped",
      "wait": "24h",
      "note": "blocked for a time for breaking a policy"
    },
    {
      "code": [131048, 131064],
      "class": "stopped",
      "wait": "1h",
      "note": "too many messages of this number were blocked or reported"
    },
    {
      "code": 131063,
      "class": "stopped",
      "note": "marketing templates of this account go through the endpoint for marketing messages"
    },
    {
      "code": [0, 3, 10, 33, 190, "200-299", 131005, 131031, 131037, 131042, 131045, 133010],
      "class": "stopped"
    },
    {
      "status": "4xx",
      "text": ["has been disabled", "lack of payment", "endpoint is blocked"],
      "class": "stopped"
    },
    {"status": "4xx", "text": "exceeded the", "class": "slow_down"},
    {"status": [401, 402, 403], "class": "stopped"},
    {"status": 429, "class": "slow_down"},
    {
      "status": "5xx",
      "class": "uncertain",
      "note": "an answer without an error code is not Meta's word that nothing was sent"
    }
  ],
  "idempotency": {"key": "echo:/biz_opaque_callback_data"},
  "limits": {"max_rate": 80},
  "receive": {
    "signature": [
      {"kind": "header", "secret": "webhook_secret", "at": "header:Authorization", "prefix": "Bearer "},
      {"kind": "path", "secret": "path_secret"}
    ],
    "international": true,
    "events": [
      {
        "each": "/entry/*/changes/*",
        "when": {"/field": "messages"},
        "events": [
          {
            "each": "/value/messages/*",
            "when": {"/group_id": {"present": true}},
            "ignore": "of a group"
          },
          {
            "each": "/value/messages/*",
            "when": {"/type": ["reaction", "edit", "revoke"]},
            "ignore": "a reaction, an edit or a deletion"
          },
          {
            "note": "the new number has a new user id",
            "each": "/value/messages/*",
            "when": {
              "/type": "system",
              "/system/type": ["user_changed_number", "customer_changed_number"]
            },
            "event": "identity",
            "fields": {
              "id": "/id",
              "time": "/timestamp",
              "phone": ["/from", "/system/customer"],
              "user_id": "/system/user_id",
              "old": ["/from", "/system/customer", "/system/previous_user_id"],
              "new": ["/system/wa_id", "/system/new_wa_id", "/system/user_id"]
            }
          },
          {
            "each": "/value/messages/*",
            "when": {"/type": "system", "/system/type": "user_changed_user_id"},
            "event": "identity",
            "fields": {
              "id": "/id",
              "time": "/timestamp",
              "old": "/system/previous_user_id",
              "new": "/system/user_id"
            }
          },
          {
            "each": "/value/messages/*",
            "when": {"/type": ["system", "request_welcome"]},
            "ignore": "a note of the system's, such as that of a new device"
          },
          {
            "each": "/value/messages/*",
            "event": "message",
            "fields": {
              "id": "/id",
              "time": "/timestamp",
              "from": "/from",
              "to": "^/value/metadata/display_phone_number",
              "phone": ["/from", "^/value/contacts/only/wa_id"],
              "user_id": ["/from_user_id", "^/value/contacts/only/user_id"],
              "name": "^/value/contacts/only/profile/name",
              "text": [
                "/text/body",
                "/button/text",
                "/interactive/button_reply/title",
                "/interactive/list_reply/title",
                "/interactive/nfm_reply/body",
                "/image/caption",
                "/video/caption",
                "/document/caption",
                "/location/name",
                "/order/text"
              ],
              "media": ["/image/id", "/video/id", "/audio/id", "/document/id", "/sticker/id"],
              "media_type": [
                "/image/mime_type",
                "/video/mime_type",
                "/audio/mime_type",
                "/document/mime_type",
                "/sticker/mime_type"
              ],
              "quotes": "/context/id",
              "code": "/errors/0/code",
              "error": ["/errors/0/error_data/details", "/errors/0/title"]
            }
          },
          {"each": "/value/statuses/*", "when": {"/recipient_type": "group"}, "ignore": "of a group"},
          {
            "each": "/value/statuses/*",
            "when": {"/status": ["sent", "delivered", "read", "played", "failed"]},
            "event": "receipt",
            "fields": {
              "id": "/id",
              "key": "/biz_opaque_callback_data",
              "time": "/timestamp",
              "to": "/recipient_id",
              "state": {
                "at": "/status",
                "map": {
                  "sent": "sent",
                  "delivered": "delivered",
                  "read": "read",
                  "played": "read",
                  "failed": "failed"
                }
              },
              "phone": ["/recipient_id", "^/value/contacts/only/wa_id"],
              "user_id": ["/recipient_user_id", "^/value/contacts/only/user_id"],
              "code": "/errors/0/code",
              "error": ["/errors/0/error_data/details", "/errors/0/message", "/errors/0/title"]
            }
          },
          {
            "each": "/value/statuses/*",
            "when": {"/status": ["deleted", "warning", "pending"]},
            "ignore": "a state that changes nothing"
          }
        ]
      },
      {
        "each": "/entry/*/changes/*",
        "when": {"/field": ["smb_message_echoes", "message_echoes"]},
        "events": [
          {
            "each": "/value/message_echoes/*",
            "when": {"/type": ["reaction", "edit", "revoke"]},
            "ignore": "a reaction, an edit or a deletion"
          },
          {
            "each": "/value/message_echoes/*",
            "event": "echo",
            "fields": {
              "id": "/id",
              "time": "/timestamp",
              "from": "/from",
              "to": "/to",
              "phone": ["/to", "^/value/contacts/only/wa_id"],
              "user_id": ["/to_user_id", "^/value/contacts/only/user_id"],
              "text": [
                "/text/body",
                "/button/text",
                "/interactive/button_reply/title",
                "/interactive/list_reply/title",
                "/interactive/nfm_reply/body",
                "/image/caption",
                "/video/caption",
                "/document/caption",
                "/location/name",
                "/order/text"
              ],
              "media": ["/image/id", "/video/id", "/audio/id", "/document/id", "/sticker/id"],
              "media_type": [
                "/image/mime_type",
                "/video/mime_type",
                "/audio/mime_type",
                "/document/mime_type",
                "/sticker/mime_type"
              ]
            }
          }
        ]
      },
      {
        "each": "/entry/*/changes/*",
        "when": {"/field": "user_preferences"},
        "events": [
          {
            "each": "/value/user_preferences/*",
            "when": {"/value": "stop"},
            "event": "opt_out",
            "fields": {
              "time": "/timestamp",
              "phone": ["/wa_id", "^/value/contacts/only/wa_id"],
              "user_id": ["/user_id", "^/value/contacts/only/user_id"],
              "text": "/detail",
              "code": "/category"
            }
          },
          {
            "each": "/value/user_preferences/*",
            "when": {"/value": ["resume", "signup"]},
            "event": "opt_in",
            "fields": {
              "time": "/timestamp",
              "phone": ["/wa_id", "^/value/contacts/only/wa_id"],
              "user_id": ["/user_id", "^/value/contacts/only/user_id"],
              "text": "/detail",
              "code": "/category"
            }
          }
        ]
      },
      {
        "each": "/entry/*/changes/*",
        "when": {"/field": "phone_number_quality_update"},
        "event": "sender",
        "fields": {
          "state": {"value": "quality"},
          "time": "^/time",
          "code": "/value/event",
          "text": "/value/current_limit",
          "to": "/value/display_phone_number"
        }
      },
      {
        "each": "/entry/*/changes/*",
        "when": {"/field": "account_update", "/value/ban_info/waba_ban_state": {"present": true}},
        "event": "sender",
        "fields": {
          "state": {
            "at": ["/value/ban_info/waba_ban_state", "/value/ban_info/waba_ban_state/only"],
            "map": {"DISABLE": "banned", "SCHEDULE_FOR_DISABLE": "quality", "REINSTATE": "connected"}
          },
          "time": "^/time",
          "code": ["/value/ban_info/waba_ban_state", "/value/ban_info/waba_ban_state/only"],
          "error": "/value/event"
        }
      },
      {
        "each": "/entry/*/changes/*",
        "when": {
          "/field": "account_update",
          "/value/event": [
            "ACCOUNT_DELETED",
            "ACCOUNT_OFFBOARDED",
            "PARTNER_REMOVED",
            "ACCOUNT_RECONNECTED",
            "ACCOUNT_RESTRICTION",
            "ACCOUNT_VIOLATION"
          ]
        },
        "event": "sender",
        "fields": {
          "state": {
            "at": "/value/event",
            "map": {
              "ACCOUNT_DELETED": "banned",
              "ACCOUNT_OFFBOARDED": "disconnected",
              "PARTNER_REMOVED": "disconnected",
              "ACCOUNT_RECONNECTED": "connected",
              "ACCOUNT_RESTRICTION": "quality",
              "ACCOUNT_VIOLATION": "quality"
            }
          },
          "time": "^/time",
          "code": "/value/event",
          "error": [
            "/value/restriction_info/0/restriction_type",
            "/value/violation_info/violation_type",
            "/value/disconnection_info/reason"
          ]
        }
      },
      {
        "each": "/entry/*/changes/*",
        "when": {
          "/field": [
            "account_update",
            "account_alerts",
            "account_review_update",
            "account_settings_update",
            "business_capability_update",
            "business_status_update",
            "calls",
            "flows",
            "group_lifecycle_update",
            "group_participants_update",
            "group_settings_update",
            "group_status_update",
            "history",
            "message_template_components_update",
            "message_template_quality_update",
            "message_template_status_update",
            "partner_solutions",
            "payment_configuration_update",
            "phone_number_name_update",
            "security",
            "smb_app_state_sync",
            "template_category_update",
            "template_correct_category_detection",
            "tracking_events"
          ]
        },
        "ignore": "of the account or a template, not of a message"
      }
    ]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('evolution', $protocol$
{
  "note": "Evolution API 2.x, WhatsApp Web through Baileys. Nearly every failure is a 400, also some after the message has left: a 400 is uncertain unless its text says that nothing was sent.",
  "sources": [
    "https://doc.evolution-api.com/v2/api-reference/message-controller/send-text",
    "https://doc.evolution-api.com/v2/api-reference/message-controller/send-media",
    "https://doc.evolution-api.com/v2/api-reference/message-controller/send-audio",
    "https://github.com/EvolutionAPI/evolution-api",
    "https://github.com/evolution-foundation/evolution-api/issues/978",
    "https://github.com/evolution-foundation/evolution-api/issues/2111",
    "https://github.com/evolution-foundation/evolution-api/issues/2229",
    "https://github.com/evolution-foundation/evolution-api/issues/2583",
    "https://github.com/WhiskeySockets/Baileys/issues/2441",
    "https://github.com/tulir/whatsmeow/issues/1197",
    "https://github.com/EvolutionAPI/evolution-api/blob/main/src/api/integrations/channel/whatsapp/whatsapp.baileys.service.ts",
    "https://github.com/EvolutionAPI/evolution-api/blob/main/src/api/integrations/event/webhook/webhook.controller.ts",
    "https://github.com/EvolutionAPI/evolution-api/blob/main/src/utils/renderStatus.ts",
    "https://github.com/EvolutionAPI/docs-evolution/pull/22",
    "https://github.com/evolution-foundation/evolution-api/issues/1872",
    "https://github.com/EvolutionAPI/evolution-api/issues/1764"
  ],
  "channels": ["WHATSAPP"],
  "options": {"instance": {"required": true, "help": "the instance's name at the gateway"}},
  "secrets": {
    "apikey": {"required": true, "help": "the instance's own key, better than the gateway's global one"},
    "webhook_secret": {
      "use": "receive",
      "help": "sent as Authorization: Bearer with every call; set it at the instance, in webhook.headers"
    },
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{digits}}",
  "operations": {
    "text": {
      "url": "{{option.url}}/message/sendText/{{option.instance}}",
      "headers": {"apikey": "{{secret.apikey}}"},
      "json": {"number": "{{recipient}}", "text": "{{message}}"}
    },
    "media.image": {
      "url": "{{option.url}}/message/sendMedia/{{option.instance}}",
      "headers": {"apikey": "{{secret.apikey}}"},
      "json": {
        "number": "{{recipient}}",
        "mediatype": "image",
        "mimetype": "{{media.mime}}",
        "media": "{{media.url}}",
        "fileName": "{{media.name}}",
        "caption": "{{media.caption}}"
      }
    },
    "media.audio": {
      "url": "{{option.url}}/message/sendWhatsAppAudio/{{option.instance}}",
      "headers": {"apikey": "{{secret.apikey}}"},
      "json": {"number": "{{recipient}}", "audio": "{{media.url}}"}
    },
    "media.video": {
      "url": "{{option.url}}/message/sendMedia/{{option.instance}}",
      "headers": {"apikey": "{{secret.apikey}}"},
      "json": {
        "number": "{{recipient}}",
        "mediatype": "video",
        "mimetype": "{{media.mime}}",
        "media": "{{media.url}}",
        "fileName": "{{media.name}}",
        "caption": "{{media.caption}}"
      }
    },
    "media": {
      "url": "{{option.url}}/message/sendMedia/{{option.instance}}",
      "headers": {"apikey": "{{secret.apikey}}"},
      "json": {
        "number": "{{recipient}}",
        "mediatype": "document",
        "mimetype": "{{media.mime}}",
        "media": "{{media.url}}",
        "fileName": "{{media.name}}",
        "caption": "{{media.caption}}"
      }
    }
  },
  "response": {
    "success": {"status": [200, 201]},
    "id": ["/key/id"],
    "error": ["/response/message/0", "/response/message", "/message", "/error"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {
      "pointer": "/response/message",
      "text": "Connection Closed",
      "class": "stopped",
      "note": "the instance has lost its session: read the QR code again"
    },
    {"status": ["4xx", "5xx"], "text": "Connection Closed", "class": "stopped"},
    {"pointer": "/response/message/0/exists", "value": false, "class": "dead_address"},
    {
      "status": ["4xx", "5xx"],
      "text": ["error 463", "NackCallerReachoutTimelocked", "reachout timelock"],
      "class": "later",
      "scope": "first_touches",
      "wait": "24h",
      "note": "WhatsApp lets this number open no new chat for a while; chats that exist go on"
    },
    {
      "status": [400, 500],
      "text": ["requires property", "reading 'textMessage'"],
      "class": "stopped",
      "note": "the gateway is of the other major version (evolution_v1), or its session is half gone: it is so for everybody"
    },
    {
      "status": 400,
      "text": ["media must be a url", "file name must be informed", "Text is required"],
      "class": "refused"
    },
    {
      "status": [401, 402, 403, 404],
      "class": "stopped",
      "note": "the key is wrong, or there is no such instance"
    },
    {"status": 429, "class": "slow_down"},
    {
      "status": 400,
      "class": "uncertain",
      "note": "nearly every failure is a 400 here, also one after the message has left"
    },
    {"status": 503, "class": "retry", "note": "a proxy's word that no gateway took the request"},
    {
      "status": "5xx",
      "class": "uncertain",
      "note": "502 and 504 are a proxy's: the message may have left"
    }
  ],
  "idempotency": {"key": "none"},
  "limits": {"gap": "30s..60s", "max_in_flight": 1, "max_new_per_day": 50, "warm_up": "20..200/30d"},
  "receive": {
    "note": "The webhook's own address is in every body, and the instance's apikey where the gateway is set to show it. What webhookByEvents adds to the address does not matter. An echo of a message sent through the API looks like one of a message sent by hand; only its id tells them apart.",
    "signature": [
      {"kind": "header", "secret": "webhook_secret", "at": "header:Authorization", "prefix": "Bearer "},
      {"kind": "path", "secret": "path_secret"}
    ],
    "international": true,
    "events": [
      {
        "when": {"/instance": {"is_not_option": "instance"}},
        "reject": "another sender's: its instance is not this server's"
      },
      {
        "when": {"/event": "messages.upsert"},
        "events": [
          {
            "each": "/data/*",
            "when": {"/key/remoteJid": {"ends": ["@g.us", "@broadcast", "@newsletter"]}},
            "ignore": "of a group, a broadcast, a status or a channel"
          },
          {
            "each": "/data/*",
            "when": {
              "/messageType": [
                "reactionMessage",
                "encReactionMessage",
                "protocolMessage",
                "editedMessage",
                "pollUpdateMessage",
                "pinInChatMessage",
                "keepInChatMessage",
                "senderKeyDistributionMessage"
              ]
            },
            "ignore": "a reaction, an edit, a vote or a note of the system's"
          },
          {
            "each": "/data/*",
            "when": {"/key/fromMe": true},
            "event": "echo",
            "fields": {
              "id": "/key/id",
              "time": "/messageTimestamp",
              "phone": ["/key/remoteJid", "/key/remoteJidAlt"],
              "lid": ["/key/remoteJid", "/key/remoteJidAlt"],
              "text": [
                "/message/conversation",
                "/message/extendedTextMessage/text",
                "/message/imageMessage/caption",
                "/message/videoMessage/caption",
                "/message/documentMessage/caption",
                "/message/documentWithCaptionMessage/message/documentMessage/caption",
                "/message/buttonsResponseMessage/selectedDisplayText",
                "/message/templateButtonReplyMessage/selectedDisplayText",
                "/message/listResponseMessage/title",
                "/message/ephemeralMessage/message/extendedTextMessage/text",
                "/message/ephemeralMessage/message/conversation",
                "/message/interactiveResponseMessage/body/text",
                "/message/ephemeralMessage/message/imageMessage/caption",
                "/message/ephemeralMessage/message/videoMessage/caption",
                "/message/ephemeralMessage/message/documentMessage/caption",
                "/message/viewOnceMessage/message/imageMessage/caption",
                "/message/viewOnceMessage/message/videoMessage/caption",
                "/message/viewOnceMessageV2/message/imageMessage/caption",
                "/message/viewOnceMessageV2/message/videoMessage/caption"
              ],
              "media": [
                "/message/mediaUrl",
                "/message/imageMessage/url",
                "/message/videoMessage/url",
                "/message/audioMessage/url",
                "/message/documentMessage/url",
                "/message/stickerMessage/url"
              ],
              "media_type": [
                "/message/imageMessage/mimetype",
                "/message/videoMessage/mimetype",
                "/message/audioMessage/mimetype",
                "/message/documentMessage/mimetype",
                "/message/stickerMessage/mimetype"
              ]
            }
          },
          {
            "each": "/data/*",
            "when": {"/key/id": {"present": true}},
            "event": "message",
            "fields": {
              "id": "/key/id",
              "time": "/messageTimestamp",
              "from": "/key/remoteJid",
              "phone": ["/key/remoteJid", "/key/remoteJidAlt", "/key/senderPn"],
              "lid": ["/key/remoteJid", "/key/remoteJidAlt", "/key/senderLid"],
              "name": "/pushName",
              "text": [
                "/message/conversation",
                "/message/extendedTextMessage/text",
                "/message/imageMessage/caption",
                "/message/videoMessage/caption",
                "/message/documentMessage/caption",
                "/message/documentWithCaptionMessage/message/documentMessage/caption",
                "/message/buttonsResponseMessage/selectedDisplayText",
                "/message/templateButtonReplyMessage/selectedDisplayText",
                "/message/listResponseMessage/title",
                "/message/ephemeralMessage/message/extendedTextMessage/text",
                "/message/ephemeralMessage/message/conversation",
                "/message/interactiveResponseMessage/body/text",
                "/message/ephemeralMessage/message/imageMessage/caption",
                "/message/ephemeralMessage/message/videoMessage/caption",
                "/message/ephemeralMessage/message/documentMessage/caption",
                "/message/viewOnceMessage/message/imageMessage/caption",
                "/message/viewOnceMessage/message/videoMessage/caption",
                "/message/viewOnceMessageV2/message/imageMessage/caption",
                "/message/viewOnceMessageV2/message/videoMessage/caption"
              ],
              "media": [
                "/message/mediaUrl",
                "/message/imageMessage/url",
                "/message/videoMessage/url",
                "/message/audioMessage/url",
                "/message/documentMessage/url",
                "/message/stickerMessage/url"
              ],
              "media_type": [
                "/message/imageMessage/mimetype",
                "/message/videoMessage/mimetype",
                "/message/audioMessage/mimetype",
                "/message/documentMessage/mimetype",
                "/message/stickerMessage/mimetype"
              ],
              "quotes": ["/contextInfo/stanzaId", "/message/extendedTextMessage/contextInfo/stanzaId"]
            }
          }
        ]
      },
      {
        "when": {"/event": "messages.update"},
        "events": [
          {
            "each": "/data/*",
            "when": {"/remoteJid": {"ends": ["@g.us", "@broadcast", "@newsletter"]}},
            "ignore": "of a group, a broadcast, a status or a channel"
          },
          {
            "each": "/data/*",
            "when": {"/fromMe": false, "/status": "ERROR"},
            "ignore": "of a message of theirs"
          },
          {
            "note": "those of ours are known by their id: instances of WHATSAPP-BUSINESS, whose words are SENT, DELIVERED, READ and FAILED, say fromMe false of all",
            "each": "/data/*",
            "when": {
              "/status": [
                "SERVER_ACK",
                "DELIVERY_ACK",
                "READ",
                "PLAYED",
                "ERROR",
                "SENT",
                "DELIVERED",
                "FAILED"
              ]
            },
            "event": "receipt",
            "fields": {
              "id": ["/keyId", "/key/id", "/id"],
              "time": "/datetime",
              "phone": "/remoteJid",
              "lid": "/remoteJid",
              "state": {
                "at": "/status",
                "map": {
                  "SERVER_ACK": "sent",
                  "DELIVERY_ACK": "delivered",
                  "READ": "read",
                  "PLAYED": "read",
                  "ERROR": "failed",
                  "SENT": "sent",
                  "DELIVERED": "delivered",
                  "FAILED": "failed"
                }
              }
            }
          },
          {
            "each": "/data/*",
            "when": {"/status": ["PENDING", "DELETED", "EDITED"]},
            "ignore": "a state that changes nothing"
          }
        ]
      },
      {
        "when": {"/event": "send.message"},
        "events": [
          {
            "each": "/data",
            "when": {"/key/remoteJid": {"ends": ["@g.us", "@broadcast", "@newsletter"]}},
            "ignore": "of a group, a broadcast, a status or a channel"
          },
          {
            "each": "/data",
            "when": {"/status": ["SERVER_ACK", "DELIVERY_ACK", "READ", "PLAYED", "ERROR"]},
            "event": "receipt",
            "fields": {
              "id": "/key/id",
              "time": "/messageTimestamp",
              "phone": ["/key/remoteJid", "/key/remoteJidAlt"],
              "lid": ["/key/remoteJid", "/key/remoteJidAlt"],
              "state": {
                "at": "/status",
                "map": {
                  "SERVER_ACK": "sent",
                  "DELIVERY_ACK": "delivered",
                  "READ": "read",
                  "PLAYED": "read",
                  "ERROR": "failed"
                }
              }
            }
          },
          {
            "each": "/data",
            "when": {"/key/id": {"present": true}},
            "ignore": "what the answer to the request has said already"
          }
        ]
      },
      {
        "when": {
          "/event": "connection.update",
          "/data/statusReason": 403,
          "/data/state": ["close", "refused"]
        },
        "event": "sender",
        "fields": {
          "state": {"value": "banned"},
          "code": ["/data/statusReason", "/data/disconnectionReasonCode"]
        }
      },
      {
        "when": {"/event": "connection.update", "/data/state": ["open", "close", "refused"]},
        "event": "sender",
        "fields": {
          "state": {
            "at": "/data/state",
            "map": {"open": "connected", "close": "disconnected", "refused": "disconnected"}
          },
          "code": "/data/statusReason"
        }
      },
      {"when": {"/event": "connection.update", "/data/state": "connecting"}, "ignore": "on its way"},
      {
        "when": {"/event": "status.instance", "/data/disconnectionReasonCode": 403},
        "event": "sender",
        "fields": {
          "state": {"value": "banned"},
          "time": "/data/disconnectionAt",
          "code": "/data/disconnectionReasonCode"
        }
      },
      {
        "when": {"/event": "status.instance", "/data/status": "closed"},
        "event": "sender",
        "fields": {
          "state": {"value": "disconnected"},
          "time": "/data/disconnectionAt",
          "code": "/data/disconnectionReasonCode"
        }
      },
      {
        "when": {"/event": ["logout.instance", "remove.instance"]},
        "event": "sender",
        "fields": {"state": {"value": "disconnected"}, "code": "/event"}
      },
      {
        "when": {
          "/event": [
            "messages.set",
            "messages.edited",
            "messages.delete",
            "send.message.update",
            "status.instance",
            "call",
            "creds.update",
            "qrcode.updated",
            "presence.update",
            "application.startup"
          ]
        },
        "ignore": "no message, receipt or state of the connection"
      },
      {
        "when": {
          "/event": {
            "begins": [
              "chats.",
              "contacts.",
              "groups.",
              "group-participants.",
              "labels.",
              "typebot.",
              "instance.",
              "messaging-history."
            ]
          }
        },
        "ignore": "no message, receipt or state of the connection"
      }
    ],
    "scrub": ["/apikey", "/destination"]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('evolution_v1', $protocol$
{
  "note": "Evolution API 1.x: as evolution, with the text and the file one level deeper in the request.",
  "sources": [
    "https://github.com/EvolutionAPI/evolution-api/tree/v1.8",
    "https://github.com/evolution-foundation/evolution-client-python/issues/6",
    "https://github.com/evolution-foundation/evolution-api/issues/241",
    "https://github.com/WhiskeySockets/Baileys/issues/2441",
    "https://github.com/tulir/whatsmeow/issues/1197",
    "https://github.com/EvolutionAPI/evolution-api/blob/v1.8/src/api/services/channels/whatsapp.baileys.service.ts",
    "https://github.com/EvolutionAPI/evolution-api/blob/v1.8/src/api/services/channel.service.ts"
  ],
  "channels": ["WHATSAPP"],
  "options": {"instance": {"required": true, "help": "the instance's name at the gateway"}},
  "secrets": {
    "apikey": {"required": true, "help": "the instance's own key, better than the gateway's global one"},
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{digits}}",
  "operations": {
    "text": {
      "url": "{{option.url}}/message/sendText/{{option.instance}}",
      "headers": {"apikey": "{{secret.apikey}}"},
      "json": {"number": "{{recipient}}", "textMessage": {"text": "{{message}}"}}
    },
    "media.image": {
      "url": "{{option.url}}/message/sendMedia/{{option.instance}}",
      "headers": {"apikey": "{{secret.apikey}}"},
      "json": {
        "number": "{{recipient}}",
        "mediaMessage": {
          "mediatype": "image",
          "mimetype": "{{media.mime}}",
          "media": "{{media.url}}",
          "fileName": "{{media.name}}",
          "caption": "{{media.caption}}"
        }
      }
    },
    "media.audio": {
      "url": "{{option.url}}/message/sendWhatsAppAudio/{{option.instance}}",
      "headers": {"apikey": "{{secret.apikey}}"},
      "json": {"number": "{{recipient}}", "audioMessage": {"audio": "{{media.url}}"}}
    },
    "media.video": {
      "url": "{{option.url}}/message/sendMedia/{{option.instance}}",
      "headers": {"apikey": "{{secret.apikey}}"},
      "json": {
        "number": "{{recipient}}",
        "mediaMessage": {
          "mediatype": "video",
          "mimetype": "{{media.mime}}",
          "media": "{{media.url}}",
          "fileName": "{{media.name}}",
          "caption": "{{media.caption}}"
        }
      }
    },
    "media": {
      "url": "{{option.url}}/message/sendMedia/{{option.instance}}",
      "headers": {"apikey": "{{secret.apikey}}"},
      "json": {
        "number": "{{recipient}}",
        "mediaMessage": {
          "mediatype": "document",
          "mimetype": "{{media.mime}}",
          "media": "{{media.url}}",
          "fileName": "{{media.name}}",
          "caption": "{{media.caption}}"
        }
      }
    }
  },
  "response": {
    "success": {"status": [200, 201]},
    "id": ["/key/id"],
    "error": ["/response/message/0", "/response/message", "/message", "/error"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {
      "pointer": "/response/message",
      "text": "Connection Closed",
      "class": "stopped",
      "note": "the instance has lost its session: read the QR code again"
    },
    {"status": ["4xx", "5xx"], "text": "Connection Closed", "class": "stopped"},
    {"pointer": "/response/message/0/exists", "value": false, "class": "dead_address"},
    {
      "status": ["4xx", "5xx"],
      "text": ["error 463", "NackCallerReachoutTimelocked", "reachout timelock"],
      "class": "later",
      "scope": "first_touches",
      "wait": "24h",
      "note": "WhatsApp lets this number open no new chat for a while; chats that exist go on"
    },
    {
      "status": [400, 500],
      "text": ["requires property", "reading 'textMessage'"],
      "class": "stopped",
      "note": "the gateway is of the other major version (evolution), or its session is half gone: it is so for everybody"
    },
    {
      "status": 400,
      "text": ["media must be a url", "file name must be informed", "Text is required"],
      "class": "refused"
    },
    {
      "status": [401, 402, 403, 404],
      "class": "stopped",
      "note": "the key is wrong, or there is no such instance"
    },
    {"status": 429, "class": "slow_down"},
    {
      "status": 400,
      "class": "uncertain",
      "note": "nearly every failure is a 400 here, also one after the message has left"
    },
    {"status": 503, "class": "retry", "note": "a proxy's word that no gateway took the request"},
    {
      "status": "5xx",
      "class": "uncertain",
      "note": "502 and 504 are a proxy's: the message may have left"
    }
  ],
  "idempotency": {"key": "none"},
  "limits": {"gap": "30s..60s", "max_in_flight": 1, "max_new_per_day": 50, "warm_up": "20..200/30d"},
  "receive": {
    "note": "As evolution, but it sends no header of ours: the address is the secret. The id of a receipt's message stands alone.",
    "international": true,
    "events": [
      {
        "when": {"/instance": {"is_not_option": "instance"}},
        "reject": "another sender's: its instance is not this server's"
      },
      {
        "when": {"/event": "messages.upsert"},
        "events": [
          {
            "each": "/data/*",
            "when": {"/key/remoteJid": {"ends": ["@g.us", "@broadcast", "@newsletter"]}},
            "ignore": "of a group, a broadcast, a status or a channel"
          },
          {
            "each": "/data/*",
            "when": {
              "/messageType": [
                "reactionMessage",
                "encReactionMessage",
                "protocolMessage",
                "editedMessage",
                "pollUpdateMessage",
                "pinInChatMessage",
                "keepInChatMessage",
                "senderKeyDistributionMessage"
              ]
            },
            "ignore": "a reaction, an edit, a vote or a note of the system's"
          },
          {
            "each": "/data/*",
            "when": {"/key/fromMe": true},
            "event": "echo",
            "fields": {
              "id": "/key/id",
              "time": "/messageTimestamp",
              "phone": ["/key/remoteJid", "/key/remoteJidAlt"],
              "lid": ["/key/remoteJid", "/key/remoteJidAlt"],
              "text": [
                "/message/conversation",
                "/message/extendedTextMessage/text",
                "/message/imageMessage/caption",
                "/message/videoMessage/caption",
                "/message/documentMessage/caption",
                "/message/documentWithCaptionMessage/message/documentMessage/caption",
                "/message/buttonsResponseMessage/selectedDisplayText",
                "/message/templateButtonReplyMessage/selectedDisplayText",
                "/message/listResponseMessage/title",
                "/message/ephemeralMessage/message/extendedTextMessage/text",
                "/message/ephemeralMessage/message/conversation",
                "/message/interactiveResponseMessage/body/text",
                "/message/ephemeralMessage/message/imageMessage/caption",
                "/message/ephemeralMessage/message/videoMessage/caption",
                "/message/ephemeralMessage/message/documentMessage/caption",
                "/message/viewOnceMessage/message/imageMessage/caption",
                "/message/viewOnceMessage/message/videoMessage/caption",
                "/message/viewOnceMessageV2/message/imageMessage/caption",
                "/message/viewOnceMessageV2/message/videoMessage/caption"
              ],
              "media": [
                "/message/mediaUrl",
                "/message/imageMessage/url",
                "/message/videoMessage/url",
                "/message/audioMessage/url",
                "/message/documentMessage/url",
                "/message/stickerMessage/url"
              ],
              "media_type": [
                "/message/imageMessage/mimetype",
                "/message/videoMessage/mimetype",
                "/message/audioMessage/mimetype",
                "/message/documentMessage/mimetype",
                "/message/stickerMessage/mimetype"
              ]
            }
          },
          {
            "each": "/data/*",
            "when": {"/key/id": {"present": true}},
            "event": "message",
            "fields": {
              "id": "/key/id",
              "time": "/messageTimestamp",
              "from": "/key/remoteJid",
              "phone": ["/key/remoteJid", "/key/remoteJidAlt", "/key/senderPn"],
              "lid": ["/key/remoteJid", "/key/remoteJidAlt", "/key/senderLid"],
              "name": "/pushName",
              "text": [
                "/message/conversation",
                "/message/extendedTextMessage/text",
                "/message/imageMessage/caption",
                "/message/videoMessage/caption",
                "/message/documentMessage/caption",
                "/message/documentWithCaptionMessage/message/documentMessage/caption",
                "/message/buttonsResponseMessage/selectedDisplayText",
                "/message/templateButtonReplyMessage/selectedDisplayText",
                "/message/listResponseMessage/title",
                "/message/ephemeralMessage/message/extendedTextMessage/text",
                "/message/ephemeralMessage/message/conversation",
                "/message/interactiveResponseMessage/body/text",
                "/message/ephemeralMessage/message/imageMessage/caption",
                "/message/ephemeralMessage/message/videoMessage/caption",
                "/message/ephemeralMessage/message/documentMessage/caption",
                "/message/viewOnceMessage/message/imageMessage/caption",
                "/message/viewOnceMessage/message/videoMessage/caption",
                "/message/viewOnceMessageV2/message/imageMessage/caption",
                "/message/viewOnceMessageV2/message/videoMessage/caption"
              ],
              "media": [
                "/message/mediaUrl",
                "/message/imageMessage/url",
                "/message/videoMessage/url",
                "/message/audioMessage/url",
                "/message/documentMessage/url",
                "/message/stickerMessage/url"
              ],
              "media_type": [
                "/message/imageMessage/mimetype",
                "/message/videoMessage/mimetype",
                "/message/audioMessage/mimetype",
                "/message/documentMessage/mimetype",
                "/message/stickerMessage/mimetype"
              ],
              "quotes": ["/contextInfo/stanzaId", "/message/extendedTextMessage/contextInfo/stanzaId"]
            }
          }
        ]
      },
      {
        "when": {"/event": "messages.update"},
        "events": [
          {
            "each": "/data/*",
            "when": {"/remoteJid": {"ends": ["@g.us", "@broadcast", "@newsletter"]}},
            "ignore": "of a group, a broadcast, a status or a channel"
          },
          {
            "each": "/data/*",
            "when": {"/fromMe": false, "/status": "ERROR"},
            "ignore": "of a message of theirs"
          },
          {
            "note": "those of ours are known by their id: instances of WHATSAPP-BUSINESS, whose words are SENT, DELIVERED, READ and FAILED, say fromMe false of all",
            "each": "/data/*",
            "when": {
              "/status": [
                "SERVER_ACK",
                "DELIVERY_ACK",
                "READ",
                "PLAYED",
                "ERROR",
                "SENT",
                "DELIVERED",
                "FAILED"
              ]
            },
            "event": "receipt",
            "fields": {
              "id": ["/keyId", "/key/id", "/id"],
              "time": "/datetime",
              "phone": "/remoteJid",
              "lid": "/remoteJid",
              "state": {
                "at": "/status",
                "map": {
                  "SERVER_ACK": "sent",
                  "DELIVERY_ACK": "delivered",
                  "READ": "read",
                  "PLAYED": "read",
                  "ERROR": "failed",
                  "SENT": "sent",
                  "DELIVERED": "delivered",
                  "FAILED": "failed"
                }
              }
            }
          },
          {
            "each": "/data/*",
            "when": {"/status": ["PENDING", "DELETED", "EDITED"]},
            "ignore": "a state that changes nothing"
          }
        ]
      },
      {
        "when": {"/event": "send.message"},
        "events": [
          {
            "each": "/data",
            "when": {"/key/remoteJid": {"ends": ["@g.us", "@broadcast", "@newsletter"]}},
            "ignore": "of a group, a broadcast, a status or a channel"
          },
          {
            "each": "/data",
            "when": {"/status": ["SERVER_ACK", "DELIVERY_ACK", "READ", "PLAYED", "ERROR"]},
            "event": "receipt",
            "fields": {
              "id": "/key/id",
              "time": "/messageTimestamp",
              "phone": ["/key/remoteJid", "/key/remoteJidAlt"],
              "lid": ["/key/remoteJid", "/key/remoteJidAlt"],
              "state": {
                "at": "/status",
                "map": {
                  "SERVER_ACK": "sent",
                  "DELIVERY_ACK": "delivered",
                  "READ": "read",
                  "PLAYED": "read",
                  "ERROR": "failed"
                }
              }
            }
          },
          {
            "each": "/data",
            "when": {"/key/id": {"present": true}},
            "ignore": "what the answer to the request has said already"
          }
        ]
      },
      {
        "when": {
          "/event": "connection.update",
          "/data/statusReason": 403,
          "/data/state": ["close", "refused"]
        },
        "event": "sender",
        "fields": {
          "state": {"value": "banned"},
          "code": ["/data/statusReason", "/data/disconnectionReasonCode"]
        }
      },
      {
        "when": {"/event": "connection.update", "/data/state": ["open", "close", "refused"]},
        "event": "sender",
        "fields": {
          "state": {
            "at": "/data/state",
            "map": {"open": "connected", "close": "disconnected", "refused": "disconnected"}
          },
          "code": "/data/statusReason"
        }
      },
      {"when": {"/event": "connection.update", "/data/state": "connecting"}, "ignore": "on its way"},
      {
        "when": {"/event": "status.instance", "/data/disconnectionReasonCode": 403},
        "event": "sender",
        "fields": {
          "state": {"value": "banned"},
          "time": "/data/disconnectionAt",
          "code": "/data/disconnectionReasonCode"
        }
      },
      {
        "when": {"/event": "status.instance", "/data/status": "closed"},
        "event": "sender",
        "fields": {
          "state": {"value": "disconnected"},
          "time": "/data/disconnectionAt",
          "code": "/data/disconnectionReasonCode"
        }
      },
      {
        "when": {"/event": ["logout.instance", "remove.instance"]},
        "event": "sender",
        "fields": {"state": {"value": "disconnected"}, "code": "/event"}
      },
      {
        "when": {
          "/event": [
            "messages.set",
            "messages.edited",
            "messages.delete",
            "send.message.update",
            "status.instance",
            "call",
            "creds.update",
            "qrcode.updated",
            "presence.update",
            "application.startup"
          ]
        },
        "ignore": "no message, receipt or state of the connection"
      },
      {
        "when": {
          "/event": {
            "begins": [
              "chats.",
              "contacts.",
              "groups.",
              "group-participants.",
              "labels.",
              "typebot.",
              "instance.",
              "messaging-history."
            ]
          }
        },
        "ignore": "no message, receipt or state of the connection"
      }
    ],
    "scrub": ["/apikey", "/destination"]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('gupshup', $protocol$
{
  "note": "Gupshup's WhatsApp API: a form whose member message is JSON text. Every right request is a 202; failures come by webhook, with Gupshup's codes or Meta's.",
  "sources": [
    "https://docs.gupshup.io/docs/session-messages",
    "https://docs.gupshup.io/docs/template-messages",
    "https://docs.gupshup.io/reference/sending-text-template.md",
    "https://docs.gupshup.io/docs/error-and-status-messages",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes",
    "https://docs.gupshup.io/docs/types-of-payload",
    "https://docs.gupshup.io/docs/inbound-messages",
    "https://docs.gupshup.io/docs/user-event",
    "https://partner-docs.gupshup.io/docs/v3-message-events",
    "https://partner-docs.gupshup.io/docs/bsuid"
  ],
  "channels": ["WHATSAPP"],
  "options": {
    "url": {"default": "https://api.gupshup.io", "help": "where Gupshup is"},
    "source": {"required": true, "help": "the registered number, digits only"},
    "app": {"required": true, "help": "name of the Gupshup app that has this number"}
  },
  "secrets": {
    "apikey": {"required": true, "help": "the account's API key"},
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{digits}}",
  "operations": {
    "text": {
      "url": "{{option.url}}/wa/api/v1/msg",
      "headers": {"apikey": "{{secret.apikey}}"},
      "form": {
        "channel": "whatsapp",
        "source": "{{option.source}}",
        "destination": "{{recipient}}",
        "src.name": "{{option.app}}",
        "message": {"type": "text", "text": "{{message}}"}
      }
    },
    "template": {
      "url": "{{option.url}}/wa/api/v1/template/msg",
      "headers": {"apikey": "{{secret.apikey}}"},
      "form": {
        "channel": "whatsapp",
        "source": "{{option.source}}",
        "destination": "{{recipient}}",
        "src.name": "{{option.app}}",
        "template": {"id": "{{template.name}}", "params": "{{template.components}}"}
      }
    },
    "media.image": {
      "url": "{{option.url}}/wa/api/v1/msg",
      "headers": {"apikey": "{{secret.apikey}}"},
      "form": {
        "channel": "whatsapp",
        "source": "{{option.source}}",
        "destination": "{{recipient}}",
        "src.name": "{{option.app}}",
        "message": {
          "type": "image",
          "originalUrl": "{{media.url}}",
          "previewUrl": "{{media.url}}",
          "caption": "{{media.caption}}"
        }
      }
    },
    "media.audio": {
      "url": "{{option.url}}/wa/api/v1/msg",
      "headers": {"apikey": "{{secret.apikey}}"},
      "form": {
        "channel": "whatsapp",
        "source": "{{option.source}}",
        "destination": "{{recipient}}",
        "src.name": "{{option.app}}",
        "message": {"type": "audio", "url": "{{media.url}}"}
      }
    },
    "media.video": {
      "url": "{{option.url}}/wa/api/v1/msg",
      "headers": {"apikey": "{{secret.apikey}}"},
      "form": {
        "channel": "whatsapp",
        "source": "{{option.source}}",
        "destination": "{{recipient}}",
        "src.name": "{{option.app}}",
        "message": {"type": "video", "url": "{{media.url}}", "caption": "{{media.caption}}"}
      }
    },
    "media": {
      "url": "{{option.url}}/wa/api/v1/msg",
      "headers": {"apikey": "{{secret.apikey}}"},
      "form": {
        "channel": "whatsapp",
        "source": "{{option.source}}",
        "destination": "{{recipient}}",
        "src.name": "{{option.app}}",
        "message": {
          "type": "file",
          "url": "{{media.url}}",
          "filename": "{{media.name}}",
          "caption": "{{media.caption}}"
        }
      }
    }
  },
  "response": {
    "success": {"status": ["2xx"], "pointer": "/status", "value": "submitted", "optional": true},
    "id": ["/messageId"],
    "code": ["/code"],
    "error": ["/message", "/error"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {"code": 1002, "class": "dead_address"},
    {"code": 1003, "class": "stopped", "note": "the wallet is empty"},
    {"code": [1004, 1005, 1007], "class": "window_closed"},
    {
      "code": [1006, 1008, 1010, 1011, 4004],
      "class": "refused",
      "note": "1006 and 1008: the person is not opted in at Gupshup"
    },
    {"code": 1012, "class": "opted_out"},
    {"code": 4001, "class": "slow_down"},
    {"code": [1001, 4002], "class": "retry"},
    {"code": [4003, 4005], "class": "template_stopped"},
    {
      "status": "4xx",
      "text": ["Portal User Not Found", "Invalid App Details", "balance"],
      "class": "stopped"
    },
    {"status": "4xx", "text": "Invalid Destination", "class": "dead_address"},
    {
      "code": 131056,
      "class": "slow_down",
      "scope": "recipient",
      "wait": "6s",
      "note": "too fast to one person: one message in six seconds"
    },
    {"code": [4, 80007, 130429], "class": "slow_down"},
    {
      "code": 131049,
      "recipient": "+1",
      "class": "refused",
      "note": "no marketing to numbers of +1, at no time"
    },
    {
      "code": 131049,
      "class": "later",
      "wait": "24h",
      "note": "the person has had enough marketing for now"
    },
    {
      "code": 130472,
      "class": "later",
      "wait": "24h",
      "note": "the number is part of an experiment: only marketing templates meet it"
    },
    {
      "code": 131026,
      "times": 2,
      "class": "dead_address",
      "note": "also an old app or unaccepted terms, therefore not at once"
    },
    {"code": 131026, "class": "retry"},
    {
      "code": 131050,
      "category": "MARKETING",
      "class": "opted_out",
      "note": "of marketing alone: other messages may still be sent"
    },
    {"code": 131050, "class": "opted_out"},
    {"code": 131047, "class": "window_closed"},
    {"code": 134101, "class": "retry", "wait": "10min", "note": "the template is still being copied"},
    {"code": [1, 2, 131000, 131016, 131057, 133004, 133016, 135000], "class": "retry"},
    {"code": [132001, 132007, 132015, 132016], "class": "template_stopped"},
    {
      "code": [
        130403, 130497, 131008, 131009, 131021, 131030, 131051, 131052, 131053, 131055, 131062,
        132000, 132005, 132008, 132012, 132018, 134011, 134100, 134102
      ],
      "class": "refused"
    },
    {
      "code": 368,
      "class": "stopped",
      "wait": "24h",
      "note": "blocked for a time for breaking a policy"
    },
    {
      "code": [131048, 131064],
      "class": "stopped",
      "wait": "1h",
      "note": "too many messages of this number were blocked or reported"
    },
    {
      "code": 131063,
      "class": "stopped",
      "note": "marketing templates of this account go through the endpoint for marketing messages"
    },
    {
      "code": [0, 3, 10, 33, 190, "200-299", 131005, 131031, 131037, 131042, 131045, 133010],
      "class": "stopped"
    },
    {"status": [401, 402, 403], "class": "stopped"},
    {"status": 429, "class": "slow_down"},
    {"status": "5xx", "class": "uncertain"}
  ],
  "idempotency": {"key": "none"},
  "receive": {
    "note": "Version 2 of Gupshup's callbacks, which signs nothing. A receipt of more than a week later has lost Gupshup's own id of the message.",
    "international": true,
    "events": [
      {"when": {"/type": "message", "/payload/type": "reaction"}, "ignore": "a reaction"},
      {
        "when": {"/type": "message"},
        "event": "message",
        "fields": {
          "id": "/payload/id",
          "time": "/timestamp",
          "from": "/payload/source",
          "phone": ["/payload/sender/phone", "/payload/source"],
          "user_id": "/payload/sender/userId",
          "name": "/payload/sender/name",
          "text": [
            "/payload/payload/text",
            "/payload/payload/title",
            "/payload/payload/caption",
            "/payload/payload/name"
          ],
          "media": "/payload/payload/url",
          "media_type": "/payload/payload/contentType",
          "quotes": ["/payload/context/gsId", "/payload/context/id"]
        }
      },
      {
        "when": {"/type": "message-event", "/payload/type": ["sent", "delivered", "read", "failed"]},
        "event": "receipt",
        "fields": {
          "id": ["/payload/gsId", "/payload/id"],
          "other_id": "/payload/id",
          "time": ["/payload/payload/ts", "/timestamp"],
          "to": "/payload/destination",
          "phone": "/payload/destination",
          "user_id": "/payload/userId",
          "state": "/payload/type",
          "code": "/payload/payload/code",
          "error": "/payload/payload/reason"
        }
      },
      {
        "when": {"/type": "message-event", "/payload/type": ["enqueued", "deleted"]},
        "ignore": "a state that changes nothing"
      },
      {
        "when": {"/type": "user-event", "/payload/type": "opted-out"},
        "event": "opt_out",
        "fields": {"time": "/timestamp", "phone": "/payload/phone"}
      },
      {
        "when": {"/type": "user-event", "/payload/type": "opted-in"},
        "event": "opt_in",
        "fields": {"time": "/timestamp", "phone": "/payload/phone"}
      },
      {
        "when": {"/type": ["user-event", "template-event", "account-event", "billing-event"]},
        "ignore": "of the account, a template or the bill"
      }
    ]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('infobip', $protocol$
{
  "note": "Infobip, WhatsApp and SMS. A 200 may still say REJECTED inside. An approved template's placeholders have to be there, an empty array where it has none. The message's id is ours, so that reports name the key; a second one with the same id is rejected as a duplicate.",
  "sources": [
    "https://infobip.com/docs/essentials/api-essentials/response-status-and-error-codes",
    "https://www.infobip.com/docs/developer-resources/api-fundamentals/message-status-codes.md",
    "https://github.com/infobip/infobip-api-java-client"
  ],
  "channels": ["WHATSAPP", "SMS"],
  "options": {
    "url": {
      "required": true,
      "help": "the account's own address, https://….api.infobip.com, from the portal's home page"
    },
    "from": {"required": true, "help": "the registered WhatsApp number, digits only, or the SMS sender"}
  },
  "secrets": {"api_key": {"required": true, "help": "API key with the scopes of the channel"}},
  "address": "{{digits}}",
  "operations": {
    "text": {
      "url": "{{option.url}}/whatsapp/1/message/text",
      "headers": {"Authorization": "App {{secret.api_key}}", "Accept": "application/json"},
      "json": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "messageId": "{{key}}",
        "content": {"text": "{{message}}"}
      }
    },
    "text@SMS": {
      "url": "{{option.url}}/sms/3/messages",
      "headers": {"Authorization": "App {{secret.api_key}}", "Accept": "application/json"},
      "json": {
        "messages": [
          {
            "sender": "{{option.from}}",
            "destinations": [{"to": "{{recipient}}", "messageId": "{{key}}"}],
            "content": {"text": "{{message}}"}
          }
        ]
      }
    },
    "template@WHATSAPP": {
      "url": "{{option.url}}/whatsapp/1/message/template",
      "headers": {"Authorization": "App {{secret.api_key}}", "Accept": "application/json"},
      "json": {
        "messages": [
          {
            "from": "{{option.from}}",
            "to": "{{recipient}}",
            "messageId": "{{key}}",
            "content": {
              "templateName": "{{template.name}}",
              "templateData": {"body": {"placeholders": "{{template.components|[]}}"}},
              "language": "{{template.language}}"
            }
          }
        ]
      }
    },
    "media.image@WHATSAPP": {
      "url": "{{option.url}}/whatsapp/1/message/image",
      "headers": {"Authorization": "App {{secret.api_key}}", "Accept": "application/json"},
      "json": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "messageId": "{{key}}",
        "content": {"mediaUrl": "{{media.url}}", "caption": "{{media.caption}}"}
      }
    },
    "media.audio@WHATSAPP": {
      "url": "{{option.url}}/whatsapp/1/message/audio",
      "headers": {"Authorization": "App {{secret.api_key}}", "Accept": "application/json"},
      "json": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "messageId": "{{key}}",
        "content": {"mediaUrl": "{{media.url}}"}
      }
    },
    "media.video@WHATSAPP": {
      "url": "{{option.url}}/whatsapp/1/message/video",
      "headers": {"Authorization": "App {{secret.api_key}}", "Accept": "application/json"},
      "json": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "messageId": "{{key}}",
        "content": {"mediaUrl": "{{media.url}}", "caption": "{{media.caption}}"}
      }
    },
    "media@WHATSAPP": {
      "url": "{{option.url}}/whatsapp/1/message/document",
      "headers": {"Authorization": "App {{secret.api_key}}", "Accept": "application/json"},
      "json": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "messageId": "{{key}}",
        "content": {
          "mediaUrl": "{{media.url}}",
          "filename": "{{media.name}}",
          "caption": "{{media.caption}}"
        }
      }
    }
  },
  "response": {
    "success": {"status": ["2xx"]},
    "id": ["/messages/0/messageId", "/messageId"],
    "code": ["/requestError/serviceException/messageId", "/errorCode", "/messages/0/status/id", "/status/id"],
    "error": [
      "/requestError/serviceException/text",
      "/messages/0/status/description",
      "/status/description",
      "/description"
    ],
    "wait": ["header:Retry-After"],
    "state": ["/messages/0/status/groupName", "/status/groupName"]
  },
  "classes": [
    {
      "code": 23,
      "class": "duplicate",
      "note": "REJECTED_DUPLICATE_MESSAGE_ID: an earlier attempt was accepted"
    },
    {
      "code": [11, 12, 13, 17, 19, "UNAUTHORIZED", "FORBIDDEN"],
      "class": "stopped",
      "note": "sender, credits, package or route of the account"
    },
    {"code": 10, "class": "opted_out", "note": "on a do-not-disturb list"},
    {"code": [8, 52], "class": "dead_address"},
    {"code": [6, 14, 18, 24, 25, 51], "class": "refused"},
    {"code": 20, "class": "later", "wait": "1h", "note": "too many messages to this person in an hour"},
    {"code": 21, "class": "retry"},
    {
      "status": "2xx",
      "pointer": "/messages/0/status/groupName",
      "value": ["REJECTED", "UNDELIVERABLE"],
      "times": 3,
      "class": "refused"
    },
    {
      "status": "2xx",
      "pointer": "/messages/0/status/groupName",
      "value": ["REJECTED", "UNDELIVERABLE"],
      "class": "retry"
    },
    {
      "status": "2xx",
      "pointer": "/status/groupName",
      "value": ["REJECTED", "UNDELIVERABLE"],
      "times": 3,
      "class": "refused"
    },
    {
      "status": "2xx",
      "pointer": "/status/groupName",
      "value": ["REJECTED", "UNDELIVERABLE"],
      "class": "retry"
    },
    {"status": [401, 402, 403], "class": "stopped"},
    {"status": 429, "class": "slow_down"},
    {"status": "5xx", "class": "uncertain"}
  ],
  "idempotency": {"key": "none"}
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('mailgun', $protocol$
{
  "note": "Mailgun, a form. There are two regions, and a domain lives in one of them. It honours no key; ours comes back in event webhooks as a user variable.",
  "sources": [
    "https://documentation.mailgun.com/docs/mailgun/api-reference/openapi-final/tag/Messages/",
    "https://www.simworkflow.com/integration-operation/mailgun-mydomain-messages-post-31b",
    "https://feedback.mailgun.com/users/921341509-marketsmart",
    "https://documentation.mailgun.com/docs/mailgun/quickstart-guide/responses",
    "https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/receive-http",
    "https://skills.sh/hookdeck/webhook-skills/mailgun-webhooks",
    "https://github.com/anymail/django-anymail/blob/main/anymail/webhooks/mailgun.py",
    "https://github.com/anymail/django-anymail/blob/main/tests/test_mailgun_webhooks.py",
    "https://github.com/anymail/django-anymail/blob/main/tests/test_mailgun_inbound.py"
  ],
  "channels": ["EMAIL"],
  "options": {
    "url": {
      "default": "https://api.mailgun.net",
      "help": "where Mailgun is; https://api.eu.mailgun.net for a domain in the EU region"
    },
    "domain": {"required": true, "help": "the sending domain"},
    "from": {"required": true, "help": "the sender's address; 'ACME <vendas@acme.example>' names it"},
    "reply_to": {"help": "where answers go"}
  },
  "secrets": {
    "api_key": {"required": true, "help": "the domain's sending key, or the account's"},
    "webhook_secret": {"use": "receive", "help": "the HTTP webhook signing key"},
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{as_stored}}",
  "operations": {
    "email": {
      "url": "{{option.url}}/v3/{{option.domain}}/messages",
      "basic": ["api", "{{secret.api_key}}"],
      "form": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "subject": "{{subject}}",
        "text": "{{message}}",
        "html": "{{html}}",
        "h:Reply-To": "{{option.reply_to}}",
        "h:List-Unsubscribe": "<{{unsubscribe_url}}>",
        "h:List-Unsubscribe-Post": "{{unsubscribe_post}}"
      }
    }
  },
  "response": {
    "success": {"status": [200]},
    "id": ["/id"],
    "error": ["/message"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {
      "text": ["suppress-unsubscribe", "suppress-complaint"],
      "class": "opted_out",
      "note": "told by an event, of a mail that Mailgun has not sent"
    },
    {
      "status": "4xx",
      "text": [
        "not allowed to send", "for test purposes only", "Domain not found", "account is disabled",
        "Forbidden"
      ],
      "class": "stopped"
    },
    {
      "status": [401, 402, 403, 404],
      "class": "stopped",
      "note": "the key, or a domain that is not in this region"
    },
    {"status": 400, "text": "to parameter is not a valid address", "class": "dead_address"},
    {"status": 400, "text": "from parameter is not a valid address", "class": "stopped"},
    {"status": 413, "class": "refused"},
    {"status": 429, "class": "slow_down"},
    {"status": "5xx", "class": "uncertain", "note": "known to have sent all the same"}
  ],
  "idempotency": {"key": "echo:/v:cadence_key"},
  "receive": {
    "note": "Events are JSON; what a route forwards is a form, and a multipart one, which is not read, where the mail has attachments. The signature stands in the body and does not cover the rest of it.",
    "signature": [
      {
        "kind": "hmac",
        "secret": "webhook_secret",
        "at": ["/signature/signature", "/signature"],
        "signed": "{timestamp}{id}",
        "id": ["/signature/token", "/token"],
        "timestamp": ["/signature/timestamp", "/timestamp"],
        "window": "9h",
        "note": "Mailgun tries for eight hours"
      },
      {"kind": "path", "secret": "path_secret"}
    ],
    "body": "either",
    "events": [
      {
        "when": {"/event-data/event": ["accepted", "delivered", "opened", "clicked"]},
        "event": "receipt",
        "fields": {
          "id": {"at": "/event-data/message/headers/message-id", "begin": "<", "end": ">"},
          "key": "/event-data/user-variables/cadence_key",
          "time": "/event-data/timestamp",
          "email": ["/event-data/recipient", "/event-data/message/headers/to"],
          "state": {
            "at": "/event-data/event",
            "map": {"accepted": "sent", "delivered": "delivered", "opened": "read", "clicked": "read"}
          }
        }
      },
      {
        "when": {
          "/event-data/event": "failed",
          "/event-data/severity": "permanent",
          "/event-data/reason": ["bounce", "suppress-bounce"]
        },
        "event": "bounce",
        "fields": {
          "id": {"at": "/event-data/message/headers/message-id", "begin": "<", "end": ">"},
          "key": "/event-data/user-variables/cadence_key",
          "time": "/event-data/timestamp",
          "email": ["/event-data/recipient", "/event-data/message/headers/to"],
          "code": "/event-data/delivery-status/code",
          "error": [
            "/event-data/delivery-status/message",
            "/event-data/delivery-status/description",
            "/event-data/reject/reason"
          ],
          "state": {"value": "hard"}
        }
      },
      {
        "when": {
          "/event-data/event": "failed",
          "/event-data/severity": "permanent",
          "/event-data/reason": ["suppress-unsubscribe", "suppress-complaint"]
        },
        "event": "receipt",
        "fields": {
          "id": {"at": "/event-data/message/headers/message-id", "begin": "<", "end": ">"},
          "key": "/event-data/user-variables/cadence_key",
          "time": "/event-data/timestamp",
          "email": ["/event-data/recipient", "/event-data/message/headers/to"],
          "code": "/event-data/delivery-status/code",
          "error": "/event-data/reason",
          "state": {"value": "failed"}
        }
      },
      {
        "when": {"/event-data/event": "failed", "/event-data/severity": "permanent"},
        "event": "receipt",
        "fields": {
          "id": {"at": "/event-data/message/headers/message-id", "begin": "<", "end": ">"},
          "key": "/event-data/user-variables/cadence_key",
          "time": "/event-data/timestamp",
          "email": ["/event-data/recipient", "/event-data/message/headers/to"],
          "code": "/event-data/delivery-status/code",
          "error": [
            "/event-data/delivery-status/message",
            "/event-data/delivery-status/description",
            "/event-data/reject/reason"
          ],
          "state": {"value": "failed"}
        }
      },
      {
        "when": {"/event-data/event": "failed", "/event-data/severity": "temporary"},
        "ignore": "tried again by Mailgun"
      },
      {
        "when": {"/event-data/event": "rejected"},
        "event": "receipt",
        "fields": {
          "id": {"at": "/event-data/message/headers/message-id", "begin": "<", "end": ">"},
          "key": "/event-data/user-variables/cadence_key",
          "time": "/event-data/timestamp",
          "email": ["/event-data/recipient", "/event-data/message/headers/to"],
          "code": "/event-data/delivery-status/code",
          "error": [
            "/event-data/delivery-status/message",
            "/event-data/delivery-status/description",
            "/event-data/reject/reason"
          ],
          "state": {"value": "failed"}
        }
      },
      {
        "when": {"/event-data/event": "complained"},
        "event": "complaint",
        "fields": {
          "id": {"at": "/event-data/message/headers/message-id", "begin": "<", "end": ">"},
          "key": "/event-data/user-variables/cadence_key",
          "time": "/event-data/timestamp",
          "email": ["/event-data/recipient", "/event-data/message/headers/to"]
        }
      },
      {
        "when": {"/event-data/event": "unsubscribed"},
        "event": "opt_out",
        "fields": {
          "id": {"at": "/event-data/message/headers/message-id", "begin": "<", "end": ">"},
          "key": "/event-data/user-variables/cadence_key",
          "time": "/event-data/timestamp",
          "email": ["/event-data/recipient", "/event-data/message/headers/to"]
        }
      },
      {
        "when": {
          "/event-data/event": [
            "stored",
            "list_member_uploaded",
            "list_member_upload_error",
            "list_uploaded"
          ]
        },
        "ignore": "no word of the recipient's"
      },
      {
        "when": {"/sender": {"present": true}, "/recipient": {"present": true}},
        "event": "message",
        "auto": [
          {"/Auto-Submitted": {"begins": "auto-"}},
          {"/X-Autoreply": {"present": true}},
          {"/X-Autorespond": {"present": true}},
          {"/Precedence": {"is": ["auto_reply", "bulk", "junk"]}}
        ],
        "fields": {
          "id": ["/Message-Id", "/message-id", "/token"],
          "time": "/timestamp",
          "from": "/from",
          "to": "/recipient",
          "email": ["/from", "/sender"],
          "name": {"at": "/from", "until": "<"},
          "subject": "/subject",
          "text": ["/stripped-text", "/body-plain"],
          "quotes": "/In-Reply-To"
        }
      }
    ],
    "scrub": ["/signature"]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('postmark', $protocol$
{
  "note": "Postmark. Its own ErrorCode counts, not the status (422 for nearly all). It refuses by itself whoever bounced or complained once (406). Sales mail belongs into a broadcast stream.",
  "sources": [
    "https://postmarkapp.com/developer/api/overview",
    "https://postmarkapp.com/developer/user-guide/send-email-with-api",
    "https://unpkg.com/browse/postmark@4.0.7/dist/client/models/message/Message.d.ts",
    "https://gist.github.com/abhijit-hota/27f385c8bf90028adc893bdf91482547",
    "https://postmarkapp.com/support/article/1180-what-does-errorcode-300-mean",
    "https://rubydoc.info/gems/postmark/Postmark/InactiveRecipientError",
    "https://postmarkapp.com/support/article/1299-how-to-include-a-list-unsubscribe-header",
    "https://postmarkapp.com/support/article/managing-your-own-unsubscribe-process",
    "https://postmarkapp.com/email-webhooks",
    "https://postmarkapp.com/developer/webhooks/inbound-webhook",
    "https://app.unpkg.com/postmark@4.0.7/files/dist/client/models/webhooks/payload/InboundWebhook.d.ts",
    "https://app.unpkg.com/postmark@4.0.2/files/dist/client/models/webhooks/Webhook.d.ts",
    "https://github.com/anymail/django-anymail/blob/main/anymail/webhooks/postmark.py",
    "https://github.com/anymail/django-anymail/blob/main/tests/test_postmark_webhooks.py"
  ],
  "channels": ["EMAIL"],
  "options": {
    "url": {"default": "https://api.postmarkapp.com", "help": "where Postmark is"},
    "from": {"required": true, "help": "the sender's address; 'ACME <vendas@acme.example>' names it"},
    "reply_to": {"help": "where answers go"},
    "stream": {"default": "outbound", "help": "id of the message stream; broadcast for sales mail"}
  },
  "secrets": {
    "server_token": {"required": true, "help": "the server's API token"},
    "webhook_secret": {
      "use": "receive",
      "help": "password of the webhook's HTTP Basic authentication, with any user"
    },
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{as_stored}}",
  "operations": {
    "email": {
      "url": "{{option.url}}/email",
      "headers": {"X-Postmark-Server-Token": "{{secret.server_token}}", "Accept": "application/json"},
      "json": {
        "From": "{{option.from}}",
        "To": "{{recipient}}",
        "ReplyTo": "{{option.reply_to}}",
        "Subject": "{{subject}}",
        "TextBody": "{{message}}",
        "HtmlBody": "{{html}}",
        "MessageStream": "{{option.stream}}",
        "Headers": [
          {"Name": "List-Unsubscribe", "Value": "<{{unsubscribe_url}}>"},
          {"Name": "List-Unsubscribe-Post", "Value": "{{unsubscribe_post}}"}
        ]
      }
    }
  },
  "response": {
    "success": {"status": [200], "pointer": "/ErrorCode", "value": 0},
    "id": ["/MessageID"],
    "code": ["/ErrorCode"],
    "error": ["/Message"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {"code": 406, "class": "dead_address", "note": "bounced, complained or suppressed before"},
    {
      "code": [10, 400, 401, 405, 412, 413, 1235],
      "class": "stopped",
      "note": "token, sender signature, credits, an account under review, or no such stream"
    },
    {"code": 300, "text": "'From'", "class": "stopped"},
    {"code": 300, "text": "'To'", "class": "dead_address"},
    {"code": [300, 402, 403, 411], "class": "refused"},
    {"code": 429, "class": "slow_down"},
    {"code": 100, "class": "retry", "note": "maintenance"},
    {"status": [401, 402, 403], "class": "stopped"},
    {"status": 413, "class": "refused"},
    {"status": 429, "class": "slow_down"},
    {"status": "5xx", "class": "uncertain"}
  ],
  "idempotency": {"key": "echo:/Metadata/cadence_key"},
  "receive": {
    "signature": [
      {"kind": "basic", "secret": "webhook_secret"},
      {"kind": "path", "secret": "path_secret"}
    ],
    "events": [
      {
        "when": {"/RecordType": ["Delivery", "Open", "Click"]},
        "event": "receipt",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": ["/DeliveredAt", "/ReceivedAt"],
          "email": "/Recipient",
          "state": {
            "at": "/RecordType",
            "map": {"Delivery": "delivered", "Open": "read", "Click": "read"}
          }
        }
      },
      {
        "when": {
          "/RecordType": ["SpamComplaint", "Bounce"],
          "/Type": ["SpamComplaint", "SpamNotification"]
        },
        "event": "complaint",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": "/BouncedAt",
          "email": "/Email",
          "error": "/Details"
        }
      },
      {
        "when": {"/RecordType": "Bounce", "/Type": "Unsubscribe"},
        "event": "opt_out",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": "/BouncedAt",
          "email": "/Email"
        }
      },
      {
        "when": {"/RecordType": "Bounce", "/Type": "Subscribe"},
        "event": "opt_in",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": "/BouncedAt",
          "email": "/Email"
        }
      },
      {
        "when": {"/RecordType": "Bounce", "/Type": ["HardBounce", "BadEmailAddress"]},
        "event": "bounce",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": "/BouncedAt",
          "email": "/Email",
          "state": {"value": "hard"},
          "code": "/Type",
          "error": ["/Details", "/Description"]
        }
      },
      {
        "when": {
          "/RecordType": "Bounce",
          "/Type": ["SoftBounce", "DnsError", "Blocked", "VirusNotification", "DMARCPolicy"]
        },
        "event": "bounce",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": "/BouncedAt",
          "email": "/Email",
          "state": {"value": "soft"},
          "code": "/Type",
          "error": ["/Details", "/Description"]
        }
      },
      {
        "when": {
          "/RecordType": "Bounce",
          "/Type": [
            "AutoResponder",
            "AddressChange",
            "ChallengeVerification",
            "Transient",
            "OpenRelayTest",
            "InboundError"
          ]
        },
        "ignore": "a machine's answer, or a mail on its way"
      },
      {
        "when": {"/RecordType": "Bounce"},
        "event": "receipt",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": "/BouncedAt",
          "email": "/Email",
          "state": {"value": "failed"},
          "code": "/Type",
          "error": ["/Details", "/Description"]
        }
      },
      {
        "when": {
          "/RecordType": "SubscriptionChange",
          "/SuppressSending": true,
          "/SuppressionReason": "ManualSuppression"
        },
        "event": "opt_out",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": "/ChangedAt",
          "email": "/Recipient"
        }
      },
      {
        "when": {
          "/RecordType": "SubscriptionChange",
          "/SuppressSending": true,
          "/SuppressionReason": "SpamComplaint"
        },
        "event": "complaint",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": "/ChangedAt",
          "email": "/Recipient"
        }
      },
      {
        "when": {
          "/RecordType": "SubscriptionChange",
          "/SuppressSending": true,
          "/SuppressionReason": "HardBounce"
        },
        "event": "bounce",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": "/ChangedAt",
          "email": "/Recipient",
          "state": {"value": "hard"},
          "code": "/SuppressionReason"
        }
      },
      {
        "when": {"/RecordType": "SubscriptionChange", "/SuppressSending": false, "/Origin": "Recipient"},
        "event": "opt_in",
        "fields": {
          "id": "/MessageID",
          "key": "/Metadata/cadence_key",
          "time": "/ChangedAt",
          "email": "/Recipient"
        }
      },
      {
        "when": {"/RecordType": "SubscriptionChange", "/SuppressSending": false},
        "ignore": "allowed again by somebody else"
      },
      {
        "when": {"/FromFull": {"present": true}},
        "event": "message",
        "auto": [
          {"/Headers/Name=Auto-Submitted/Value": {"begins": "auto-"}},
          {"/Headers/Name=X-Autoreply/Value": {"present": true}},
          {"/Headers/Name=X-Autorespond/Value": {"present": true}},
          {"/Headers/Name=Precedence/Value": {"is": ["auto_reply", "bulk", "junk"]}}
        ],
        "fields": {
          "id": "/MessageID",
          "other_id": "/Headers/Name=Message-ID/Value",
          "time": "/Date",
          "from": "/FromFull/Email",
          "to": "/OriginalRecipient",
          "email": "/FromFull/Email",
          "name": ["/FromFull/Name", "/FromName"],
          "subject": "/Subject",
          "text": ["/StrippedTextReply", "/TextBody"],
          "quotes": {
            "at": "/Headers/Name=In-Reply-To/Value",
            "after": "<",
            "until": "@",
            "note": "<MessageID@mtasv.net>"
          }
        }
      }
    ]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('resend', $protocol$
{
  "note": "Resend. It honours Idempotency-Key for 24 hours: the same request again gives the same id and sends nothing; the same key with another body is an error.",
  "sources": [
    "https://hexdocs.pm/resend/Resend.Emails.html",
    "https://resend.com/changelog/custom-email-headers",
    "https://resend.com/docs/dashboard/emails/idempotency-keys",
    "https://resend.com/docs/api-reference/errors.md",
    "https://resend.com/docs/api-reference/rate-limit",
    "https://resend.com/docs/webhooks/event-types",
    "https://resend.com/docs/webhooks/emails/bounced",
    "https://resend.com/docs/webhooks/suppressions/added",
    "https://resend.com/blog/inbound-emails",
    "https://github.com/anymail/django-anymail/blob/main/tests/test_resend_webhooks.py",
    "https://docs.svix.com/receiving/verifying-payloads/how"
  ],
  "channels": ["EMAIL"],
  "options": {
    "url": {"default": "https://api.resend.com", "help": "where Resend is"},
    "from": {"required": true, "help": "the sender's address; 'ACME <vendas@acme.example>' names it"},
    "reply_to": {"help": "where answers go"}
  },
  "secrets": {
    "api_key": {"required": true, "help": "API key, re_…"},
    "webhook_secret": {
      "use": "receive",
      "help": "the secret that proves that a webhook is the provider's"
    },
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{as_stored}}",
  "operations": {
    "email": {
      "url": "{{option.url}}/emails",
      "headers": {"Authorization": "Bearer {{secret.api_key}}"},
      "json": {
        "from": "{{option.from}}",
        "to": ["{{recipient}}"],
        "reply_to": "{{option.reply_to}}",
        "subject": "{{subject}}",
        "text": "{{message}}",
        "html": "{{html}}",
        "headers": {"List-Unsubscribe": "<{{unsubscribe_url}}>", "List-Unsubscribe-Post": "{{unsubscribe_post}}"}
      }
    }
  },
  "response": {
    "success": {"status": [200, 201]},
    "id": ["/id"],
    "code": ["/name"],
    "error": ["/message"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {
      "code": "invalid_idempotent_request",
      "class": "duplicate",
      "note": "a mail with this key was sent within 24 hours"
    },
    {
      "code": "concurrent_idempotent_requests",
      "class": "retry",
      "note": "the first request with this key is still under way"
    },
    {"code": ["daily_quota_exceeded", "monthly_quota_exceeded"], "class": "stopped", "wait": "1h"},
    {"code": "rate_limit_exceeded", "class": "slow_down"},
    {
      "code": ["missing_api_key", "invalid_api_key", "restricted_api_key", "invalid_from_address"],
      "class": "stopped"
    },
    {"text": "API key is invalid", "status": "4xx", "class": "stopped"},
    {
      "status": [401, 402, 403],
      "class": "stopped",
      "note": "the key, or a domain that is not verified"
    },
    {
      "status": [400, 422],
      "text": ["Invalid `to` field", "invalid_to_address"],
      "class": "dead_address"
    },
    {"code": ["invalid_attachment", "missing_required_field"], "class": "refused"},
    {"status": 429, "class": "slow_down"},
    {"status": "5xx", "class": "uncertain"}
  ],
  "idempotency": {"key": "header:Idempotency-Key", "valid_for": "24h", "conflict": "sent"},
  "limits": {"max_rate": 2},
  "receive": {
    "note": "Signed by Svix. A mail that comes in is told without its text, which would have to be asked for; it is an answer all the same.",
    "signature": [
      {
        "kind": "hmac",
        "secret": "webhook_secret",
        "encoding": "base64",
        "at": "header:svix-signature",
        "prefix": "v1,",
        "separator": " ",
        "signed": "{id}.{timestamp}.{body}",
        "id": "header:svix-id",
        "timestamp": "header:svix-timestamp",
        "window": "5min",
        "secret_prefix": "whsec_",
        "secret_is_base64": true
      },
      {"kind": "path", "secret": "path_secret"}
    ],
    "events": [
      {
        "when": {
          "/type": ["email.sent", "email.delivered", "email.opened", "email.clicked", "email.failed"]
        },
        "event": "receipt",
        "fields": {
          "id": "/data/email_id",
          "time": "/created_at",
          "to": "/data/to/0",
          "email": "/data/to/0",
          "state": {
            "at": "/type",
            "map": {
              "email.sent": "sent",
              "email.delivered": "delivered",
              "email.opened": "read",
              "email.clicked": "read",
              "email.failed": "failed"
            }
          },
          "error": "/data/failed/reason"
        }
      },
      {
        "when": {"/type": "email.bounced", "/data/bounce/type": ["Transient", "Undetermined"]},
        "event": "bounce",
        "fields": {
          "id": "/data/email_id",
          "time": "/created_at",
          "to": "/data/to/0",
          "email": "/data/to/0",
          "state": {"value": "soft"},
          "code": ["/data/bounce/subType", "/data/bounce/type"],
          "error": "/data/bounce/message"
        }
      },
      {
        "when": {"/type": "email.bounced"},
        "event": "bounce",
        "fields": {
          "id": "/data/email_id",
          "time": "/created_at",
          "to": "/data/to/0",
          "email": "/data/to/0",
          "state": {"value": "hard"},
          "code": ["/data/bounce/subType", "/data/bounce/type"],
          "error": "/data/bounce/message"
        }
      },
      {
        "note": "the address bounced or complained before",
        "when": {"/type": "email.suppressed"},
        "event": "bounce",
        "fields": {
          "id": "/data/email_id",
          "time": "/created_at",
          "to": "/data/to/0",
          "email": "/data/to/0",
          "state": {"value": "hard"},
          "code": "/type",
          "error": "/data/suppressed/message"
        }
      },
      {
        "when": {"/type": "email.complained"},
        "event": "complaint",
        "fields": {
          "id": "/data/email_id",
          "time": "/created_at",
          "to": "/data/to/0",
          "email": "/data/to/0"
        }
      },
      {
        "when": {"/type": "email.received"},
        "event": "message",
        "fields": {
          "id": "/data/email_id",
          "other_id": "/data/message_id",
          "time": "/created_at",
          "from": "/data/from",
          "to": "/data/to/0",
          "email": "/data/from",
          "name": {"at": "/data/from", "until": "<"},
          "subject": "/data/subject"
        }
      },
      {
        "when": {"/type": ["contact.updated", "contact.created"], "/data/unsubscribed": true},
        "event": "opt_out",
        "fields": {"time": "/created_at", "email": "/data/email"}
      },
      {
        "when": {"/type": ["email.delivery_delayed", "email.scheduled"]},
        "ignore": "no word of the recipient's"
      },
      {
        "when": {"/type": {"begins": ["contact.", "domain.", "suppression.", "broadcast."]}},
        "ignore": "no word of the recipient's"
      }
    ]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('sendgrid', $protocol$
{
  "note": "Twilio SendGrid, v3 Mail Send. The 202 has no body: the id is in the header X-Message-Id. It honours no key; ours comes back in event webhooks as a custom argument, which belongs to the personalization.",
  "sources": [
    "https://github.com/sendgrid/sendgrid-nodejs/blob/master/docs/use-cases/kitchen-sink.md",
    "https://github.com/twilio/sendgrid-oai/blob/main/spec/yaml/tsg_mail_v3.yaml",
    "https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors.md",
    "https://twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors",
    "https://support.sendgrid.com/hc/en-us/articles/18322114821403-4XX-API-Errors-and-Troubleshooting-Suggestions",
    "https://github.com/sendgrid/sendgrid-ruby/pull/489",
    "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event.md",
    "https://gist.github.com/rndD/bbcde87f397e85b5c95b3e3c7b95cd4a",
    "https://github.com/anymail/django-anymail/blob/main/anymail/webhooks/sendgrid.py",
    "https://github.com/anymail/django-anymail/blob/main/tests/test_sendgrid_webhooks.py"
  ],
  "channels": ["EMAIL"],
  "options": {
    "url": {
      "default": "https://api.sendgrid.com",
      "help": "where SendGrid is; https://api.eu.sendgrid.com for an EU subuser"
    },
    "from": {"required": true, "help": "the sender's address alone; its name goes into from_name"},
    "from_name": {"help": "the sender's name"},
    "reply_to": {"help": "where answers go"}
  },
  "secrets": {
    "api_key": {"required": true, "help": "API key, SG.…, with the scope mail.send"},
    "webhook_secret": {"use": "receive", "help": "the verification key of the signed event webhook"},
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{as_stored}}",
  "operations": {
    "email": {
      "url": "{{option.url}}/v3/mail/send",
      "headers": {"Authorization": "Bearer {{secret.api_key}}", "Accept": "application/json"},
      "json": {
        "personalizations": [
          {"to": [{"email": "{{recipient}}"}], "custom_args": {"cadence_key": "{{key}}"}}
        ],
        "from": {"email": "{{option.from}}", "name": "{{option.from_name}}"},
        "reply_to": {"email": "{{option.reply_to}}"},
        "subject": "{{subject}}",
        "content": [
          {"type": "text/plain", "value": "{{message}}"},
          {"type": "text/html", "value": "{{html}}"}
        ],
        "headers": {"List-Unsubscribe": "<{{unsubscribe_url}}>", "List-Unsubscribe-Post": "{{unsubscribe_post}}"}
      }
    }
  },
  "response": {
    "success": {"status": ["2xx"]},
    "id": ["header:X-Message-Id"],
    "error": ["/errors/0/message"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {
      "text": ["Unsubscribed Address", "Spam Reporting Address"],
      "class": "opted_out",
      "note": "told by the event webhook, of a mail that SendGrid has dropped"
    },
    {
      "text": ["Maximum credits exceeded", "verified Sender Identity"],
      "status": "4xx",
      "class": "stopped"
    },
    {"status": [401, 402, 403], "class": "stopped"},
    {
      "status": 400,
      "pointer": "/errors/0/field",
      "value": "personalizations.0.to.0.email",
      "class": "dead_address"
    },
    {"status": 413, "class": "refused"},
    {"status": 429, "class": "slow_down"},
    {"status": "5xx", "class": "uncertain"}
  ],
  "idempotency": {"key": "none"},
  "receive": {
    "note": "The event webhook. What comes in by Inbound Parse is a multipart form, which is not read.",
    "signature": [
      {
        "kind": "ecdsa",
        "secret": "webhook_secret",
        "encoding": "base64",
        "at": "header:X-Twilio-Email-Event-Webhook-Signature",
        "signed": "{timestamp}{body}",
        "timestamp": "header:X-Twilio-Email-Event-Webhook-Timestamp"
      },
      {"kind": "path", "secret": "path_secret"}
    ],
    "events": [
      {
        "each": "/*",
        "when": {"/event": "open", "/sg_machine_open": true},
        "ignore": "opened by a machine"
      },
      {
        "each": "/*",
        "when": {"/event": ["processed", "delivered", "open", "click"]},
        "event": "receipt",
        "fields": {
          "id": {"at": "/sg_message_id", "until": [".filter", ".recvd"]},
          "key": "/cadence_key",
          "time": "/timestamp",
          "email": "/email",
          "state": {
            "at": "/event",
            "map": {"processed": "sent", "delivered": "delivered", "open": "read", "click": "read"}
          }
        }
      },
      {
        "each": "/*",
        "when": {"/event": "bounce", "/type": ["blocked", "expired"]},
        "event": "bounce",
        "fields": {
          "id": {"at": "/sg_message_id", "until": [".filter", ".recvd"]},
          "key": "/cadence_key",
          "time": "/timestamp",
          "email": "/email",
          "state": {"value": "soft"},
          "code": "/status",
          "error": "/reason"
        }
      },
      {
        "each": "/*",
        "when": {"/event": "bounce"},
        "event": "bounce",
        "fields": {
          "id": {"at": "/sg_message_id", "until": [".filter", ".recvd"]},
          "key": "/cadence_key",
          "time": "/timestamp",
          "email": "/email",
          "state": {"value": "hard"},
          "code": "/status",
          "error": "/reason"
        }
      },
      {
        "each": "/*",
        "when": {"/event": "dropped", "/reason": ["Bounced Address", "Invalid"]},
        "event": "bounce",
        "fields": {
          "id": {"at": "/sg_message_id", "until": [".filter", ".recvd"]},
          "key": "/cadence_key",
          "time": "/timestamp",
          "email": "/email",
          "state": {"value": "hard"},
          "code": "/status",
          "error": "/reason"
        }
      },
      {
        "each": "/*",
        "when": {"/event": "dropped"},
        "event": "receipt",
        "fields": {
          "id": {"at": "/sg_message_id", "until": [".filter", ".recvd"]},
          "key": "/cadence_key",
          "time": "/timestamp",
          "email": "/email",
          "state": {"value": "failed"},
          "code": "/status",
          "error": ["/reason", "/type"]
        }
      },
      {
        "each": "/*",
        "when": {"/event": "spamreport"},
        "event": "complaint",
        "fields": {
          "id": {"at": "/sg_message_id", "until": [".filter", ".recvd"]},
          "key": "/cadence_key",
          "time": "/timestamp",
          "email": "/email"
        }
      },
      {
        "each": "/*",
        "when": {"/event": ["unsubscribe", "group_unsubscribe"]},
        "event": "opt_out",
        "fields": {
          "id": {"at": "/sg_message_id", "until": [".filter", ".recvd"]},
          "key": "/cadence_key",
          "time": "/timestamp",
          "email": "/email"
        }
      },
      {
        "each": "/*",
        "when": {"/event": "group_resubscribe"},
        "event": "opt_in",
        "fields": {
          "id": {"at": "/sg_message_id", "until": [".filter", ".recvd"]},
          "key": "/cadence_key",
          "time": "/timestamp",
          "email": "/email"
        }
      },
      {"each": "/*", "when": {"/event": "deferred"}, "ignore": "tried again by SendGrid"}
    ]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('smtp', $protocol$
{
  "note": "Any SMTP relay, one recipient at a time. A reply reads as an answer with its code as the status and the body {\"id\": the mail's Message-ID, \"code\": enhanced status code, \"text\": its text}. Before the final dot nothing was sent; between it and its answer an attempt is uncertain.",
  "sources": [
    "https://www.rfc-editor.org/rfc/rfc5321#section-4.2",
    "https://www.rfc-editor.org/rfc/rfc3463",
    "https://www.iana.org/assignments/smtp-enhanced-status-codes/smtp-enhanced-status-codes.xhtml",
    "https://www.rfc-editor.org/rfc/rfc8058"
  ],
  "channels": ["EMAIL"],
  "transport": "smtp",
  "options": {
    "url": {"required": true, "help": "smtp://host:587 (with STARTTLS) or smtps://host:465"},
    "from": {"required": true, "help": "the sender's address; 'ACME <vendas@acme.example>' names it"},
    "reply_to": {"help": "where answers go"},
    "helo": {"help": "the name to greet with; the machine's own by default"},
    "starttls": {
      "default": "required",
      "values": ["required", "optional"],
      "help": "optional: also send where the relay offers no STARTTLS"
    }
  },
  "secrets": {
    "username": {"help": "the relay's user; without one nobody logs in"},
    "password": {"help": "its password"}
  },
  "address": "{{as_stored}}",
  "response": {"success": {"status": ["2xx"]}, "id": ["/id"], "code": ["/code"], "error": ["/text"]},
  "classes": [
    {"code": ["5.1.1", "5.1.2", "5.1.10"], "class": "dead_address"},
    {
      "code": [
        "4.2.2", "4.7.0", "4.7.1", "4.7.2", "4.7.3", "4.7.4", "4.7.5", "4.7.6", "4.7.7", "4.7.8",
        "4.7.9", "4.7.10", "4.7.11", "4.7.12", "4.7.13", "4.7.14", "4.7.15", "4.7.16", "4.7.17",
        "4.7.18", "4.7.19", "4.7.20", "4.7.21", "4.7.22", "4.7.23", "4.7.24", "4.7.25", "4.7.26",
        "4.7.27", "4.7.28", "4.7.29", "4.7.30", "4.7.500", "4.7.650"
      ],
      "class": "slow_down",
      "scope": "recipient",
      "wait": "5min",
      "note": "a full mailbox or greylisting is that recipient's; said of several, it is the sender's"
    },
    {
      "code": [
        "5.7.0", "5.7.3", "5.7.4", "5.7.8", "5.7.9", "5.7.10", "5.7.11", "5.7.13", "5.7.14",
        "5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24", "5.7.25", "5.7.26", "5.7.27", "5.7.29",
        "5.7.57", "5.7.60", "5.7.133", "5.7.139"
      ],
      "class": "stopped",
      "note": "log-in, DKIM, SPF, DMARC, reverse DNS: these speak of us"
    },
    {
      "status": "5xx",
      "text": [
        "relay access denied", "relaying denied", "authentication required",
        "authentication failed", "blocked using", "blacklist", "spamhaus", "SPF check", "SPF fail",
        "fails SPF", "DKIM", "DMARC", "sender verify failed", "sender address rejected"
      ],
      "class": "stopped"
    },
    {
      "code": [
        "5.7.1", "5.7.2", "5.7.5", "5.7.6", "5.7.7", "5.7.12", "5.7.15", "5.7.16", "5.7.17",
        "5.7.18", "5.7.19", "5.7.28", "5.7.30"
      ],
      "class": "refused"
    },
    {"status": [530, 534, 535, 538], "class": "stopped"},
    {
      "status": [550, 551, 553],
      "text": ["user unknown", "unknown user", "no such user"],
      "class": "dead_address"
    },
    {"status": "4xx", "class": "retry"},
    {"status": "5xx", "class": "refused"}
  ],
  "idempotency": {"key": "none"},
  "limits": {"timeout": "60s"}
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('twilio', $protocol$
{
  "note": "Twilio Programmable Messaging, SMS and WhatsApp. There is no idempotency key: a 500 may have been sent. Most codes of 30xxx and 63xxx come by status callback.",
  "sources": [
    "https://www.twilio.com/docs/messaging/api/message-resource",
    "https://www.twilio.com/docs/usage/twilios-response.md",
    "https://www.twilio.com/docs/api/errors/21654",
    "https://www.twilio.com/docs/api/errors/63018",
    "https://www.twilio.com/docs/api/errors/21602",
    "https://www.twilio.com/docs/api/errors/21603",
    "https://www.twilio.com/docs/api/errors/21606",
    "https://www.twilio.com/docs/api/errors/21655",
    "https://www.twilio.com/docs/api/errors/21656",
    "https://www.twilio.com/docs/api/errors/21658",
    "https://www.twilio.com/docs/api/errors/21701",
    "https://twilio.com/docs/content/twilio-text",
    "https://twilio.com/docs/whatsapp/api/error-code-mapping",
    "https://www.twilio.com/docs/messaging/guides/webhook-request.md",
    "https://www.twilio.com/docs/messaging/guides/track-outbound-message-status.md",
    "https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks.md",
    "https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out.md",
    "https://www.twilio.com/docs/messaging/twiml.md",
    "https://github.com/twilio/twilio-python/blob/main/twilio/request_validator.py"
  ],
  "channels": ["WHATSAPP", "SMS"],
  "options": {
    "url": {"default": "https://api.twilio.com", "help": "where Twilio is; another for a region"},
    "account_sid": {"required": true, "help": "the account's SID, AC…"},
    "from": {
      "required": true,
      "help": "the sender: +55…, a short code, or whatsapp:+55…",
      "alternative": "messaging_service_sid"
    },
    "messaging_service_sid": {"help": "a messaging service, MG…, that chooses the sender"},
    "status_callback": {
      "help": "the webhook's address as Twilio calls it, for receipts and for what comes in: its signatures cover it"
    }
  },
  "secrets": {
    "auth_token": {
      "required": true,
      "help": "the account's auth token; it also signs Twilio's webhooks"
    },
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": {"WHATSAPP": "whatsapp:{{e164}}", "SMS": "{{e164}}"},
  "operations": {
    "text": {
      "url": "{{option.url}}/2010-04-01/Accounts/{{option.account_sid}}/Messages.json",
      "basic": ["{{option.account_sid}}", "{{secret.auth_token}}"],
      "form": {
        "To": "{{recipient}}",
        "From": "{{option.from}}",
        "MessagingServiceSid": "{{option.messaging_service_sid}}",
        "Body": "{{message}}",
        "StatusCallback": "{{option.status_callback}}"
      }
    },
    "template": {
      "url": "{{option.url}}/2010-04-01/Accounts/{{option.account_sid}}/Messages.json",
      "basic": ["{{option.account_sid}}", "{{secret.auth_token}}"],
      "form": {
        "To": "{{recipient}}",
        "From": "{{option.from}}",
        "MessagingServiceSid": "{{option.messaging_service_sid}}",
        "ContentSid": "{{template.name}}",
        "ContentVariables": "{{template.variables}}",
        "StatusCallback": "{{option.status_callback}}"
      }
    },
    "media": {
      "url": "{{option.url}}/2010-04-01/Accounts/{{option.account_sid}}/Messages.json",
      "basic": ["{{option.account_sid}}", "{{secret.auth_token}}"],
      "form": {
        "To": "{{recipient}}",
        "From": "{{option.from}}",
        "MessagingServiceSid": "{{option.messaging_service_sid}}",
        "Body": "{{media.caption}}",
        "MediaUrl": "{{media.url}}",
        "StatusCallback": "{{option.status_callback}}"
      }
    }
  },
  "response": {
    "success": {"status": [200, 201]},
    "id": ["/sid"],
    "code": ["/code", "/error_code"],
    "error": ["/message", "/error_message"],
    "wait": ["header:Retry-After"],
    "state": ["/status"]
  },
  "classes": [
    {"code": 20429, "class": "slow_down", "note": "never processed"},
    {"code": [63018, 21611], "class": "slow_down"},
    {"code": [21610, 63014], "class": "opted_out"},
    {"code": [21211, 21614, 30005, 30006, 63003, 63024], "class": "dead_address"},
    {
      "code": [30003, 30008],
      "times": 4,
      "class": "refused",
      "note": "a phone that is off, or a carrier's unknown error: a few times"
    },
    {"code": [30001, 30003, 30008, 63012, 63023], "class": "retry"},
    {
      "code": [
        21408, 21602, 21608, 21612, 21617, 21619, 21620, 21656, 21658, 30004, 30007, 30450, 63005,
        63006, 63013, 63021, "63027-63030", 63032, 63049
      ],
      "class": "refused",
      "note": "21602, 21617, 21619, 21620, 21656 and 21658: no text, or one that is too long, a wrong media address, or an empty variable"
    },
    {"code": 21655, "class": "template_stopped", "note": "the Content SID is gone, or of another account"},
    {"code": 63016, "class": "window_closed"},
    {
      "code": [
        20003, 20404, 21212, 21603, 21660, 21701, 21704, 21705, 30002, 30034, 63007, 63008, 63020,
        63062
      ],
      "class": "stopped",
      "note": "account, sender or messaging service; 21606, 21659 and 21703 may also speak of the recipient's country, so nobody is certain of them"
    },
    {"status": [401, 402, 403], "class": "stopped"},
    {"status": 429, "class": "slow_down"},
    {"status": "5xx", "class": "uncertain"}
  ],
  "idempotency": {"key": "none"},
  "receive": {
    "note": "A signature covers the address, so status_callback must be the very one that Twilio calls, and is needed for signatures to be checked. An answer without TwiML is an error there.",
    "signature": [
      {
        "kind": "hmac",
        "secret": "auth_token",
        "algorithm": "sha1",
        "encoding": "base64",
        "at": "header:X-Twilio-Signature",
        "signed": "{url}{form_sorted}",
        "url": "{{option.status_callback}}"
      },
      {"kind": "path", "secret": "path_secret"}
    ],
    "body": "form",
    "international": true,
    "events": [
      {
        "note": "OptOutType, where Advanced Opt-Out is on, is STOP, START or HELP: what the person has meant",
        "when": {"/SmsStatus": "received"},
        "event": "message",
        "fields": {
          "id": "/MessageSid",
          "from": "/From",
          "to": "/To",
          "phone": "/From",
          "name": "/ProfileName",
          "text": ["/Body", "/ButtonText"],
          "code": "/OptOutType",
          "channel": {"at": "/From", "until": ":", "map": {"whatsapp": "WHATSAPP"}, "value": "SMS"},
          "media": "/MediaUrl0",
          "media_type": "/MediaContentType0",
          "quotes": "/OriginalRepliedMessageSid"
        }
      },
      {
        "when": {"/MessageStatus": ["sent", "delivered", "read", "undelivered", "failed", "canceled"]},
        "event": "receipt",
        "fields": {
          "id": ["/MessageSid", "/SmsSid"],
          "to": "/To",
          "phone": "/To",
          "state": {
            "at": ["/MessageStatus", "/SmsStatus"],
            "map": {
              "sent": "sent",
              "delivered": "delivered",
              "read": "read",
              "undelivered": "failed",
              "failed": "failed",
              "canceled": "failed"
            }
          },
          "code": "/ErrorCode",
          "error": ["/ErrorMessage", "/ChannelStatusMessage"],
          "channel": {"at": "/To", "until": ":", "map": {"whatsapp": "WHATSAPP"}, "value": "SMS"}
        }
      },
      {
        "when": {
          "/MessageStatus": ["accepted", "scheduled", "queued", "sending", "partially_delivered"]
        },
        "ignore": "on its way"
      }
    ],
    "answer": {"type": "text/xml", "body": "<Response/>"}
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('waha', $protocol$
{
  "note": "WAHA, WhatsApp Web in your own container. Any failure of its engine is a 500 with the exception's text, so a 500 is uncertain unless the text says more; the id's place depends on the engine.",
  "sources": [
    "https://waha.devlike.pro/docs/how-to/send-messages",
    "https://github.com/devlikeapro/waha",
    "https://github.com/devlikeapro/waha/issues/407",
    "https://github.com/devlikeapro/waha/issues/760",
    "https://github.com/devlikeapro/waha/issues/1087",
    "https://github.com/devlikeapro/waha/issues/2219",
    "https://github.com/WhiskeySockets/Baileys/issues/2441",
    "https://github.com/tulir/whatsmeow/issues/1197",
    "https://waha.devlike.pro/docs/how-to/events",
    "https://github.com/devlikeapro/waha/blob/core/src/structures/webhooks.dto.ts",
    "https://github.com/devlikeapro/waha/blob/core/src/structures/enums.dto.ts",
    "https://github.com/devlikeapro/waha/blob/core/src/core/engines/noweb/session.noweb.core.ts",
    "https://github.com/devlikeapro/waha/issues/787",
    "https://github.com/devlikeapro/waha/issues/1608",
    "https://github.com/devlikeapro/waha/issues/1689"
  ],
  "channels": ["WHATSAPP"],
  "options": {"session": {"default": "default", "help": "name of the session"}},
  "secrets": {
    "api_key": {"help": "the key that WAHA was started with; leave it out only where it has none"},
    "hmac_key": {"use": "receive", "help": "the key with which WAHA signs its webhooks"},
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{digits}}@c.us",
  "operations": {
    "text": {
      "url": "{{option.url}}/api/sendText",
      "headers": {"X-Api-Key": "{{secret.api_key}}"},
      "json": {"session": "{{option.session}}", "chatId": "{{recipient}}", "text": "{{message}}"}
    },
    "media.image": {
      "url": "{{option.url}}/api/sendImage",
      "headers": {"X-Api-Key": "{{secret.api_key}}"},
      "json": {
        "session": "{{option.session}}",
        "chatId": "{{recipient}}",
        "file": {"mimetype": "{{media.mime}}", "filename": "{{media.name}}", "url": "{{media.url}}"},
        "caption": "{{media.caption}}"
      }
    },
    "media.audio": {
      "url": "{{option.url}}/api/sendVoice",
      "headers": {"X-Api-Key": "{{secret.api_key}}"},
      "json": {
        "session": "{{option.session}}",
        "chatId": "{{recipient}}",
        "file": {"mimetype": "{{media.mime}}", "filename": "{{media.name}}", "url": "{{media.url}}"}
      }
    },
    "media.video": {
      "url": "{{option.url}}/api/sendVideo",
      "headers": {"X-Api-Key": "{{secret.api_key}}"},
      "json": {
        "session": "{{option.session}}",
        "chatId": "{{recipient}}",
        "file": {"mimetype": "{{media.mime}}", "filename": "{{media.name}}", "url": "{{media.url}}"},
        "caption": "{{media.caption}}"
      }
    },
    "media": {
      "url": "{{option.url}}/api/sendFile",
      "headers": {"X-Api-Key": "{{secret.api_key}}"},
      "json": {
        "session": "{{option.session}}",
        "chatId": "{{recipient}}",
        "file": {"mimetype": "{{media.mime}}", "filename": "{{media.name}}", "url": "{{media.url}}"},
        "caption": "{{media.caption}}"
      }
    }
  },
  "response": {
    "success": {"status": [200, 201]},
    "id": ["/id/_serialized", "/key/id", "/id"],
    "error": ["/exception/details", "/exception/message", "/message", "/error"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {
      "status": ["4xx", "5xx"],
      "text": ["error 463", "NackCallerReachoutTimelocked", "reachout timelock"],
      "class": "later",
      "scope": "first_touches",
      "wait": "24h",
      "note": "WhatsApp lets this number open no new chat for a while; chats that exist go on"
    },
    {
      "status": ["4xx", "5xx"],
      "text": ["Session status is not as expected", "Connection Closed"],
      "class": "stopped",
      "note": "the session is not WORKING: start it, or read the QR code again"
    },
    {
      "status": 422,
      "text": ["only in Plus version", "not implemented by the engine"],
      "class": "refused"
    },
    {"status": [401, 402, 403, 404], "class": "stopped"},
    {"status": 422, "text": "does not exist", "class": "stopped", "note": "there is no such session"},
    {"status": 429, "class": "slow_down"},
    {"status": 503, "class": "retry", "note": "a proxy's word that no gateway took the request"},
    {
      "status": "5xx",
      "class": "uncertain",
      "note": "the engine threw, and may have done so after it had sent"
    }
  ],
  "idempotency": {"key": "none"},
  "limits": {"gap": "30s..60s", "max_in_flight": 1, "max_new_per_day": 50, "warm_up": "20..200/30d"},
  "receive": {
    "note": "The answer to a request names a message by its bare id on some engines, a webhook by one that begins with true_ and the chat: what follows the last _ is told as well.",
    "signature": [
      {
        "kind": "hmac",
        "secret": "hmac_key",
        "algorithm": "sha512",
        "at": "header:X-Webhook-Hmac",
        "signed": "{body}"
      },
      {"kind": "path", "secret": "path_secret"}
    ],
    "international": true,
    "events": [
      {
        "when": {"/session": {"is_not_option": "session"}},
        "reject": "another sender's: its session is not this server's"
      },
      {
        "when": {"/event": ["message", "message.any"]},
        "events": [
          {
            "when": {"/payload/from": {"ends": ["@g.us", "@broadcast", "@newsletter"]}},
            "ignore": "of a group, a broadcast, a status or a channel"
          },
          {
            "when": {"/payload/to": {"ends": ["@g.us", "@broadcast", "@newsletter"]}},
            "ignore": "of a group, a broadcast, a status or a channel"
          },
          {
            "when": {"/payload/fromMe": true, "/payload/source": "api"},
            "ignore": "sent through the API"
          },
          {
            "when": {"/payload/fromMe": true},
            "event": "echo",
            "fields": {
              "id": "/payload/id",
              "other_id": {"at": "/payload/id", "after": "_"},
              "time": "/payload/timestamp",
              "phone": [
                "/payload/_data/key/remoteJid",
                "/payload/_data/key/remoteJidAlt",
                "/payload/to",
                "/payload/from"
              ],
              "lid": [
                "/payload/_data/key/remoteJid",
                "/payload/_data/key/remoteJidAlt",
                "/payload/to",
                "/payload/from"
              ],
              "text": "/payload/body",
              "media": "/payload/media/url",
              "media_type": "/payload/media/mimetype"
            }
          },
          {
            "event": "message",
            "fields": {
              "id": "/payload/id",
              "other_id": {"at": "/payload/id", "after": "_"},
              "time": "/payload/timestamp",
              "from": "/payload/from",
              "to": "/me/id",
              "phone": [
                "/payload/from",
                "/payload/_data/key/remoteJid",
                "/payload/_data/key/remoteJidAlt",
                "/payload/_data/key/senderPn"
              ],
              "lid": [
                "/payload/from",
                "/payload/_data/key/remoteJid",
                "/payload/_data/key/remoteJidAlt",
                "/payload/_data/key/senderLid"
              ],
              "name": ["/payload/_data/pushName", "/payload/_data/notifyName"],
              "text": "/payload/body",
              "media": "/payload/media/url",
              "media_type": "/payload/media/mimetype",
              "quotes": "/payload/replyTo/id"
            }
          }
        ]
      },
      {
        "when": {"/event": "message.ack"},
        "events": [
          {
            "when": {"/payload/from": {"ends": ["@g.us", "@broadcast", "@newsletter"]}},
            "ignore": "of a group, a broadcast, a status or a channel"
          },
          {
            "when": {"/payload/to": {"ends": ["@g.us", "@broadcast", "@newsletter"]}},
            "ignore": "of a group, a broadcast, a status or a channel"
          },
          {"when": {"/payload/fromMe": false}, "ignore": "of a message of theirs"},
          {"when": {"/payload/ack": 0}, "ignore": "on its way"},
          {
            "event": "receipt",
            "fields": {
              "id": "/payload/id",
              "other_id": {"at": "/payload/id", "after": "_"},
              "time": "/timestamp",
              "phone": ["/payload/to", "/payload/from"],
              "lid": ["/payload/to", "/payload/from"],
              "state": {
                "at": ["/payload/ackName", "/payload/ack"],
                "map": {
                  "ERROR": "failed",
                  "SERVER": "sent",
                  "DEVICE": "delivered",
                  "READ": "read",
                  "PLAYED": "read",
                  "-1": "failed",
                  "1": "sent",
                  "2": "delivered",
                  "3": "read",
                  "4": "read"
                }
              }
            }
          }
        ]
      },
      {
        "when": {
          "/event": "session.status",
          "/payload/status": ["WORKING", "STOPPED", "FAILED", "SCAN_QR_CODE"]
        },
        "event": "sender",
        "fields": {
          "state": {
            "at": "/payload/status",
            "map": {
              "WORKING": "connected",
              "STOPPED": "disconnected",
              "FAILED": "disconnected",
              "SCAN_QR_CODE": "disconnected"
            }
          },
          "time": "/timestamp",
          "code": "/payload/status"
        }
      },
      {"when": {"/event": "session.status", "/payload/status": "STARTING"}, "ignore": "on its way"},
      {
        "when": {
          "/event": [
            "message.reaction",
            "message.edited",
            "message.revoked",
            "message.waiting",
            "message.ack.group",
            "state.change",
            "engine.event",
            "presence.update"
          ]
        },
        "ignore": "no message, receipt or state of the connection"
      },
      {
        "when": {"/event": {"begins": ["poll.", "group.", "chat.", "call.", "label.", "event."]}},
        "ignore": "no message, receipt or state of the connection"
      }
    ]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('webhook', $protocol$
{
  "note": "The user's own endpoint: one JSON object per message. It is the only protocol in which 400, 410, 413 and 422 refuse a message for good, since whoever wrote the endpoint meant it.",
  "sources": [
    "https://www.rfc-editor.org/rfc/rfc9110#section-15.5",
    "https://www.standardwebhooks.com/"
  ],
  "channels": ["WHATSAPP", "SMS", "EMAIL", "EVENTOS"],
  "secrets": {
    "bearer_token": {"excludes": "username", "help": "sent as Authorization: Bearer"},
    "username": {"help": "sent as HTTP Basic"},
    "password": {"help": "sent as HTTP Basic"},
    "webhook_secret": {
      "use": "receive",
      "help": "whsec_ and base64: the calls are signed as Standard Webhooks has it"
    },
    "webhook_token": {"use": "receive", "help": "the calls have it as Authorization: Bearer"},
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{as_stored}}",
  "operations": {
    "text": {
      "url": "{{option.url}}",
      "headers": {
        "Content-Type": "application/json; charset=utf-8",
        "Accept": "application/json",
        "Authorization": "Bearer {{secret.bearer_token}}"
      },
      "basic": ["{{secret.username}}", "{{secret.password}}"],
      "json": {
        "leadId": "{{lead_id}}",
        "telefone": "{{recipient}}",
        "mensagem": "{{message}}",
        "empresa": "{{empresa}}",
        "runId": "{{run_id}}",
        "stepOrdem": "{{step}}",
        "templateCodigo": "{{template_code}}",
        "canal": "{{channel}}"
      },
      "order": ["leadId", "telefone", "mensagem", "empresa", "runId", "stepOrdem", "templateCodigo", "canal"]
    },
    "email": {
      "url": "{{option.url}}",
      "headers": {
        "Content-Type": "application/json; charset=utf-8",
        "Accept": "application/json",
        "Authorization": "Bearer {{secret.bearer_token}}"
      },
      "basic": ["{{secret.username}}", "{{secret.password}}"],
      "json": {
        "leadId": "{{lead_id}}",
        "email": "{{recipient}}",
        "mensagem": "{{message}}",
        "empresa": "{{empresa}}",
        "runId": "{{run_id}}",
        "stepOrdem": "{{step}}",
        "templateCodigo": "{{template_code}}",
        "canal": "{{channel}}"
      },
      "order": ["leadId", "email", "mensagem", "empresa", "runId", "stepOrdem", "templateCodigo", "canal"]
    },
    "event": {
      "note": "News of cadence_outbox: docs/outbox.md says what they hold.",
      "url": "{{option.url}}",
      "headers": {
        "Content-Type": "application/json; charset=utf-8",
        "Accept": "application/json",
        "Authorization": "Bearer {{secret.bearer_token}}"
      },
      "basic": ["{{secret.username}}", "{{secret.password}}"],
      "json": "{{event}}"
    }
  },
  "response": {
    "success": {"status": ["2xx"], "pointer": "/success", "value": [true, "true", 1], "optional": true},
    "id": ["/messageId"],
    "error": ["/error", "/message"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {"status": [400, 410, 413, 422], "class": "refused"},
    {"status": "2xx", "pointer": "/success", "value": [true, "true", 1], "class": "sent"},
    {
      "pointer": "/success",
      "value": [true, "true", 1],
      "class": "retry",
      "note": "a status that is no 2xx counts for more than a yes"
    },
    {
      "text": "\"success\"",
      "pointer": "/permanent",
      "value": true,
      "class": "refused",
      "note": "only beside a success that is no yes: the rules above have taken the others"
    },
    {"status": "2xx", "pointer": "/success", "class": "retry"},
    {
      "status": ["3xx", "4xx", "5xx"],
      "class": "retry",
      "note": "401, 403, 404 and the like are an operator's to mend: never final"
    }
  ],
  "idempotency": {"key": "header:Idempotency-Key"},
  "receive": {
    "note": "Our own simple shape, for whoever forwards what another service tells: one object for an event, or an array of them. docs/inbound.md says what they hold.",
    "signature": [
      {
        "kind": "hmac",
        "secret": "webhook_secret",
        "encoding": "base64",
        "at": "header:webhook-signature",
        "prefix": "v1,",
        "separator": " ",
        "signed": "{id}.{timestamp}.{body}",
        "id": "header:webhook-id",
        "timestamp": "header:webhook-timestamp",
        "window": "5min",
        "secret_prefix": "whsec_",
        "secret_is_base64": true
      },
      {"kind": "header", "secret": "webhook_token", "at": "header:Authorization", "prefix": "Bearer "},
      {"kind": "path", "secret": "path_secret"}
    ],
    "events": [
      {
        "each": "/*",
        "when": {"/event": "message"},
        "event": "message",
        "auto": [{"/auto": true}],
        "fields": {
          "id": ["/id", "/messageId"],
          "key": "/key",
          "time": "/time",
          "phone": ["/phone", "/telefone"],
          "email": "/email",
          "channel": ["/channel", "/canal"],
          "text": ["/text", "/mensagem"],
          "media": "/media",
          "media_type": "/mediaType",
          "name": ["/name", "/nome"],
          "subject": "/subject",
          "quotes": "/quotes"
        }
      },
      {
        "each": "/*",
        "when": {"/event": "echo"},
        "event": "echo",
        "fields": {
          "id": ["/id", "/messageId"],
          "key": "/key",
          "time": "/time",
          "phone": ["/phone", "/telefone"],
          "email": "/email",
          "channel": ["/channel", "/canal"],
          "text": ["/text", "/mensagem"],
          "media": "/media",
          "media_type": "/mediaType"
        }
      },
      {
        "each": "/*",
        "when": {"/event": "receipt"},
        "event": "receipt",
        "fields": {
          "id": ["/id", "/messageId"],
          "key": "/key",
          "time": "/time",
          "phone": ["/phone", "/telefone"],
          "email": "/email",
          "channel": ["/channel", "/canal"],
          "code": "/code",
          "error": "/error",
          "state": "/state"
        }
      },
      {
        "each": "/*",
        "when": {"/event": "opt_out"},
        "event": "opt_out",
        "fields": {
          "id": ["/id", "/messageId"],
          "key": "/key",
          "time": "/time",
          "phone": ["/phone", "/telefone"],
          "email": "/email",
          "channel": ["/channel", "/canal"],
          "text": ["/text", "/mensagem"]
        }
      },
      {
        "each": "/*",
        "when": {"/event": "opt_in"},
        "event": "opt_in",
        "fields": {
          "id": ["/id", "/messageId"],
          "key": "/key",
          "time": "/time",
          "phone": ["/phone", "/telefone"],
          "email": "/email",
          "channel": ["/channel", "/canal"],
          "text": ["/text", "/mensagem"]
        }
      },
      {
        "each": "/*",
        "when": {"/event": "bounce"},
        "event": "bounce",
        "fields": {
          "id": ["/id", "/messageId"],
          "key": "/key",
          "time": "/time",
          "phone": ["/phone", "/telefone"],
          "email": "/email",
          "channel": ["/channel", "/canal"],
          "code": "/code",
          "error": "/error",
          "state": {"at": "/state", "value": "hard"}
        }
      },
      {
        "each": "/*",
        "when": {"/event": "complaint"},
        "event": "complaint",
        "fields": {
          "id": ["/id", "/messageId"],
          "key": "/key",
          "time": "/time",
          "phone": ["/phone", "/telefone"],
          "email": "/email",
          "channel": ["/channel", "/canal"],
          "code": "/code",
          "error": "/error"
        }
      },
      {
        "each": "/*",
        "when": {"/event": "sender"},
        "event": "sender",
        "fields": {"state": "/state", "time": "/time", "code": "/code", "error": "/error"}
      },
      {
        "each": "/*",
        "when": {"/event": "identity"},
        "event": "identity",
        "fields": {
          "id": ["/id", "/messageId"],
          "key": "/key",
          "time": "/time",
          "phone": ["/phone", "/telefone"],
          "email": "/email",
          "channel": ["/channel", "/canal"],
          "old": "/old",
          "new": "/new"
        }
      }
    ]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('whatsapp_cloud', $protocol$
{
  "note": "WhatsApp Cloud API of Meta. Free text only within 24 hours of the person's last message, otherwise an approved template; most failures come by webhook, after the 200.",
  "sources": [
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/document-messages",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/image-messages/",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/audio-messages.md",
    "https://whatsappapijs.web.app/types/types.ClientMessageRequest.html",
    "https://github.com/facebook/openapi/blob/main/business-messaging-api_v23.0.yaml",
    "https://github.com/netflie/whatsapp-cloud-api/issues/160",
    "https://developers.facebook.com/docs/graph-api/changelog/versions/",
    "https://developers.facebook.com/docs/apps/versions",
    "https://dev.to/wapgrowai_org/whatsapp-cloud-api-rate-limits-in-practice-throughput-pair-rate-messaging-limits-and-error-codes-1i7k",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/marketing-messages/send-marketing-messages",
    "https://docs.kapso.ai/api/meta/whatsapp/messages/send-a-marketing-message",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status/",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system/",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/user_preferences",
    "https://developers.facebook.com/documentation/business-messaging/whatsapp/changelog/",
    "https://support.chatarchitect.com/books/meta-whatsapp/page/smb-message-echoes-webhook-reference-developer-documentation",
    "https://github.com/david-lev/pywa/tree/master/tests/data/updates",
    "https://whatsappapijs.web.app/types/types.ServerStatusPayload.html"
  ],
  "channels": ["WHATSAPP"],
  "options": {
    "url": {"default": "https://graph.facebook.com", "help": "where the Graph API is"},
    "version": {
      "default": "v24.0",
      "help": "version of the Graph API: each ends two years after the one that follows it",
      "ends": {
        "v21.0": "2027-01-21",
        "v22.0": "2027-05-29",
        "v23.0": "2027-10-08",
        "v24.0": "2028-02-18"
      }
    },
    "phone_number_id": {
      "required": true,
      "help": "id of the sending number, from the app's API setup page; not the number itself"
    },
    "marketing_messages": {
      "default": "off",
      "values": ["on", "off"],
      "help": "on: approved templates of category MARKETING go through the endpoint for marketing messages"
    }
  },
  "secrets": {
    "token": {
      "required": true,
      "help": "access token of a system user with whatsapp_business_messaging"
    },
    "verify_token": {
      "use": "receive",
      "help": "the word that Meta sends when it checks the webhook's address"
    },
    "app_secret": {"use": "receive", "help": "the app's secret: Meta signs its calls with it"},
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{e164}}",
  "operations": {
    "text": {
      "url": "{{option.url}}/{{option.version}}/{{option.phone_number_id}}/messages",
      "headers": {"Authorization": "Bearer {{secret.token}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "text",
        "text": {"body": "{{message}}"}
      }
    },
    "template": {
      "url": "{{option.url}}/{{option.version}}/{{option.phone_number_id}}/messages",
      "headers": {"Authorization": "Bearer {{secret.token}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "template",
        "template": {
          "name": "{{template.name}}",
          "language": {"policy": "deterministic", "code": "{{template.language}}"},
          "components": "{{template.components}}"
        }
      }
    },
    "template.marketing": {
      "when": {"option": "marketing_messages", "value": "on"},
      "url": "{{option.url}}/{{option.version}}/{{option.phone_number_id}}/marketing_messages",
      "headers": {"Authorization": "Bearer {{secret.token}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "template",
        "template": {
          "name": "{{template.name}}",
          "language": {"policy": "deterministic", "code": "{{template.language}}"},
          "components": "{{template.components}}"
        }
      }
    },
    "media.image": {
      "url": "{{option.url}}/{{option.version}}/{{option.phone_number_id}}/messages",
      "headers": {"Authorization": "Bearer {{secret.token}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "image",
        "image": {"link": "{{media.url}}", "caption": "{{media.caption}}"}
      }
    },
    "media.audio": {
      "url": "{{option.url}}/{{option.version}}/{{option.phone_number_id}}/messages",
      "headers": {"Authorization": "Bearer {{secret.token}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "audio",
        "audio": {"link": "{{media.url}}"}
      }
    },
    "media.video": {
      "url": "{{option.url}}/{{option.version}}/{{option.phone_number_id}}/messages",
      "headers": {"Authorization": "Bearer {{secret.token}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "video",
        "video": {"link": "{{media.url}}", "caption": "{{media.caption}}"}
      }
    },
    "media": {
      "url": "{{option.url}}/{{option.version}}/{{option.phone_number_id}}/messages",
      "headers": {"Authorization": "Bearer {{secret.token}}"},
      "json": {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "{{recipient}}",
        "type": "document",
        "document": {"link": "{{media.url}}", "filename": "{{media.name}}", "caption": "{{media.caption}}"}
      }
    }
  },
  "response": {
    "success": {"status": ["2xx"]},
    "id": ["/messages/0/id"],
    "code": ["/error/code"],
    "error": ["/error/error_data/details", "/error/message"],
    "wait": ["header:Retry-After"],
    "state": ["/messages/0/message_status"]
  },
  "classes": [
    {
      "status": "2xx",
      "pointer": "/messages/0/message_status",
      "value": ["held_for_quality_assessment", "paused"],
      "class": "held"
    },
    {
      "code": 131056,
      "class": "slow_down",
      "scope": "recipient",
      "wait": "6s",
      "note": "too fast to one person: one message in six seconds"
    },
    {"code": [4, 80007, 130429], "class": "slow_down"},
    {
      "code": 131049,
      "recipient": "+1",
      "class": "refused",
      "note": "no marketing to numbers of +1, at no time"
    },
    {
      "code": 131049,
      "class": "later",
      "wait": "24h",
      "note": "the person has had enough marketing for now"
    },
    {
      "code": 130472,
      "class": "later",
      "wait": "24h",
      "note": "the number is part of an experiment: only marketing templates meet it"
    },
    {
      "code": 131026,
      "times": 2,
      "class": "dead_address",
      "note": "also an old app or unaccepted terms, therefore not at once"
    },
    {"code": 131026, "class": "retry"},
    {
      "code": 131050,
      "category": "MARKETING",
      "class": "opted_out",
      "note": "of marketing alone: other messages may still be sent"
    },
    {"code": 131050, "class": "opted_out"},
    {"code": 131047, "class": "window_closed"},
    {"code": 134101, "class": "retry", "wait": "10min", "note": "the template is still being copied"},
    {"code": [1, 2, 131000, 131016, 131057, 133004, 133016, 135000], "class": "retry"},
    {"code": [132001, 132007, 132015, 132016], "class": "template_stopped"},
    {
      "code": 100,
      "pointer": "/error/error_subcode",
      "value": 33,
      "class": "stopped",
      "note": "no number of that id, or the token may not use it; a 100 with another subcode may be anything"
    },
    {
      "code": [
        130403, 130497, 131008, 131009, 131021, 131030, 131051, 131052, 131053, 131055, 131062,
        132000, 132005, 132008, 132012, 132018, 134011, 134100, 134102
      ],
      "class": "refused"
    },
    {
      "code": 368,
      "class": "stopped",
      "wait": "24h",
      "note": "blocked for a time for breaking a policy"
    },
    {
      "code": [131048, 131064],
      "class": "stopped",
      "wait": "1h",
      "note": "too many messages of this number were blocked or reported"
    },
    {
      "code": 131063,
      "class": "stopped",
      "note": "marketing templates of this account go through the endpoint for marketing messages"
    },
    {
      "code": [0, 3, 10, 33, 190, "200-299", 131005, 131031, 131037, 131042, 131045, 133010],
      "class": "stopped"
    },
    {"status": [401, 402, 403], "class": "stopped"},
    {"status": 429, "class": "slow_down"},
    {
      "status": "5xx",
      "class": "uncertain",
      "note": "an answer without an error code is not Meta's word that nothing was sent"
    }
  ],
  "idempotency": {"key": "echo:/biz_opaque_callback_data"},
  "limits": {"max_rate": 80},
  "receive": {
    "verify": {
      "mode": "hub.mode",
      "value": "subscribe",
      "token": "hub.verify_token",
      "challenge": "hub.challenge",
      "secret": "verify_token"
    },
    "signature": [
      {
        "kind": "hmac",
        "secret": "app_secret",
        "at": "header:X-Hub-Signature-256",
        "prefix": "sha256=",
        "signed": "{body}"
      },
      {"kind": "path", "secret": "path_secret"}
    ],
    "international": true,
    "events": [
      {
        "each": "/entry/*/changes/*",
        "when": {"/value/metadata/phone_number_id": {"is_not_option": "phone_number_id"}},
        "reject": "another sender's: its phone_number_id is not this server's"
      },
      {
        "each": "/entry/*/changes/*",
        "when": {"/field": "messages"},
        "events": [
          {
            "each": "/value/messages/*",
            "when": {"/group_id": {"present": true}},
            "ignore": "of a group"
          },
          {
            "each": "/value/messages/*",
            "when": {"/type": ["reaction", "edit", "revoke"]},
            "ignore": "a reaction, an edit or a deletion"
          },
          {
            "note": "the new number has a new user id",
            "each": "/value/messages/*",
            "when": {
              "/type": "system",
              "/system/type": ["user_changed_number", "customer_changed_number"]
            },
            "event": "identity",
            "fields": {
              "id": "/id",
              "time": "/timestamp",
              "phone": ["/from", "/system/customer"],
              "user_id": "/system/user_id",
              "old": ["/from", "/system/customer", "/system/previous_user_id"],
              "new": ["/system/wa_id", "/system/new_wa_id", "/system/user_id"]
            }
          },
          {
            "each": "/value/messages/*",
            "when": {"/type": "system", "/system/type": "user_changed_user_id"},
            "event": "identity",
            "fields": {
              "id": "/id",
              "time": "/timestamp",
              "old": "/system/previous_user_id",
              "new": "/system/user_id"
            }
          },
          {
            "each": "/value/messages/*",
            "when": {"/type": ["system", "request_welcome"]},
            "ignore": "a note of the system's, such as that of a new device"
          },
          {
            "each": "/value/messages/*",
            "event": "message",
            "fields": {
              "id": "/id",
              "time": "/timestamp",
              "from": "/from",
              "to": "^/value/metadata/display_phone_number",
              "phone": ["/from", "^/value/contacts/only/wa_id"],
              "user_id": ["/from_user_id", "^/value/contacts/only/user_id"],
              "name": "^/value/contacts/only/profile/name",
              "text": [
                "/text/body",
                "/button/text",
                "/interactive/button_reply/title",
                "/interactive/list_reply/title",
                "/interactive/nfm_reply/body",
                "/image/caption",
                "/video/caption",
                "/document/caption",
                "/location/name",
                "/order/text"
              ],
              "media": ["/image/id", "/video/id", "/audio/id", "/document/id", "/sticker/id"],
              "media_type": [
                "/image/mime_type",
                "/video/mime_type",
                "/audio/mime_type",
                "/document/mime_type",
                "/sticker/mime_type"
              ],
              "quotes": "/context/id",
              "code": "/errors/0/code",
              "error": ["/errors/0/error_data/details", "/errors/0/title"]
            }
          },
          {"each": "/value/statuses/*", "when": {"/recipient_type": "group"}, "ignore": "of a group"},
          {
            "each": "/value/statuses/*",
            "when": {"/status": ["sent", "delivered", "read", "played", "failed"]},
            "event": "receipt",
            "fields": {
              "id": "/id",
              "key": "/biz_opaque_callback_data",
              "time": "/timestamp",
              "to": "/recipient_id",
              "state": {
                "at": "/status",
                "map": {
                  "sent": "sent",
                  "delivered": "delivered",
                  "read": "read",
                  "played": "read",
                  "failed": "failed"
                }
              },
              "phone": ["/recipient_id", "^/value/contacts/only/wa_id"],
              "user_id": ["/recipient_user_id", "^/value/contacts/only/user_id"],
              "code": "/errors/0/code",
              "error": ["/errors/0/error_data/details", "/errors/0/message", "/errors/0/title"]
            }
          },
          {
            "each": "/value/statuses/*",
            "when": {"/status": ["deleted", "warning", "pending"]},
            "ignore": "a state that changes nothing"
          }
        ]
      },
      {
        "each": "/entry/*/changes/*",
        "when": {"/field": ["smb_message_echoes", "message_echoes"]},
        "events": [
          {
            "each": "/value/message_echoes/*",
            "when": {"/type": ["reaction", "edit", "revoke"]},
            "ignore": "a reaction, an edit or a deletion"
          },
          {
            "each": "/value/message_echoes/*",
            "event": "echo",
            "fields": {
              "id": "/id",
              "time": "/timestamp",
              "from": "/from",
              "to": "/to",
              "phone": ["/to", "^/value/contacts/only/wa_id"],
              "user_id": ["/to_user_id", "^/value/contacts/only/user_id"],
              "text": [
                "/text/body",
                "/button/text",
                "/interactive/button_reply/title",
                "/interactive/list_reply/title",
                "/interactive/nfm_reply/body",
                "/image/caption",
                "/video/caption",
                "/document/caption",
                "/location/name",
                "/order/text"
              ],
              "media": ["/image/id", "/video/id", "/audio/id", "/document/id", "/sticker/id"],
              "media_type": [
                "/image/mime_type",
                "/video/mime_type",
                "/audio/mime_type",
                "/document/mime_type",
                "/sticker/mime_type"
              ]
            }
          }
        ]
      },
      {
        "each": "/entry/*/changes/*",
        "when": {"/field": "user_preferences"},
        "events": [
          {
            "each": "/value/user_preferences/*",
            "when": {"/value": "stop"},
            "event": "opt_out",
            "fields": {
              "time": "/timestamp",
              "phone": ["/wa_id", "^/value/contacts/only/wa_id"],
              "user_id": ["/user_id", "^/value/contacts/only/user_id"],
              "text": "/detail",
              "code": "/category"
            }
          },
          {
            "each": "/value/user_preferences/*",
            "when": {"/value": ["resume", "signup"]},
            "event": "opt_in",
            "fields": {
              "time": "/timestamp",
              "phone": ["/wa_id", "^/value/contacts/only/wa_id"],
              "user_id": ["/user_id", "^/value/contacts/only/user_id"],
              "text": "/detail",
              "code": "/category"
            }
          }
        ]
      },
      {
        "each": "/entry/*/changes/*",
        "when": {"/field": "phone_number_quality_update"},
        "event": "sender",
        "fields": {
          "state": {"value": "quality"},
          "time": "^/time",
          "code": "/value/event",
          "text": "/value/current_limit",
          "to": "/value/display_phone_number"
        }
      },
      {
        "each": "/entry/*/changes/*",
        "when": {"/field": "account_update", "/value/ban_info/waba_ban_state": {"present": true}},
        "event": "sender",
        "fields": {
          "state": {
            "at": ["/value/ban_info/waba_ban_state", "/value/ban_info/waba_ban_state/only"],
            "map": {"DISABLE": "banned", "SCHEDULE_FOR_DISABLE": "quality", "REINSTATE": "connected"}
          },
          "time": "^/time",
          "code": ["/value/ban_info/waba_ban_state", "/value/ban_info/waba_ban_state/only"],
          "error": "/value/event"
        }
      },
      {
        "each": "/entry/*/changes/*",
        "when": {
          "/field": "account_update",
          "/value/event": [
            "ACCOUNT_DELETED",
            "ACCOUNT_OFFBOARDED",
            "PARTNER_REMOVED",
            "ACCOUNT_RECONNECTED",
            "ACCOUNT_RESTRICTION",
            "ACCOUNT_VIOLATION"
          ]
        },
        "event": "sender",
        "fields": {
          "state": {
            "at": "/value/event",
            "map": {
              "ACCOUNT_DELETED": "banned",
              "ACCOUNT_OFFBOARDED": "disconnected",
              "PARTNER_REMOVED": "disconnected",
              "ACCOUNT_RECONNECTED": "connected",
              "ACCOUNT_RESTRICTION": "quality",
              "ACCOUNT_VIOLATION": "quality"
            }
          },
          "time": "^/time",
          "code": "/value/event",
          "error": [
            "/value/restriction_info/0/restriction_type",
            "/value/violation_info/violation_type",
            "/value/disconnection_info/reason"
          ]
        }
      },
      {
        "each": "/entry/*/changes/*",
        "when": {
          "/field": [
            "account_update",
            "account_alerts",
            "account_review_update",
            "account_settings_update",
            "business_capability_update",
            "business_status_update",
            "calls",
            "flows",
            "group_lifecycle_update",
            "group_participants_update",
            "group_settings_update",
            "group_status_update",
            "history",
            "message_template_components_update",
            "message_template_quality_update",
            "message_template_status_update",
            "partner_solutions",
            "payment_configuration_update",
            "phone_number_name_update",
            "security",
            "smb_app_state_sync",
            "template_category_update",
            "template_correct_category_detection",
            "tracking_events"
          ]
        },
        "ignore": "of the account or a template, not of a message"
      }
    ]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('zapi', $protocol$
{
  "note": "Z-API, WhatsApp Web as a service. It queues: a 200 says that the message is in the queue, and what became of it comes by webhook.",
  "sources": [
    "https://developer.z-api.io/en/message/send-message-text",
    "https://developer.z-api.io/en/message/send-message-image",
    "https://developer.z-api.io/message/send-message-text",
    "https://github.com/Z-API/z-api-docs/blob/main/docs/message/send-message-document.md",
    "https://developer.z-api.io/en/webhooks/on-message-send-examples",
    "https://github.com/WhiskeySockets/Baileys/issues/2441",
    "https://github.com/tulir/whatsmeow/issues/1197",
    "https://github.com/Z-API/z-api-docs/blob/main/docs/webhooks/on-message-received.md",
    "https://github.com/Z-API/z-api-docs/blob/main/docs/webhooks/on-whatsapp-message-status-changes.md",
    "https://developer.z-api.io/en/webhooks/on-whatsapp-disconnected",
    "https://developer.z-api.io/en/webhooks/on-webhook-connected",
    "https://developer.z-api.io/en/tips/lid"
  ],
  "channels": ["WHATSAPP"],
  "options": {
    "url": {"default": "https://api.z-api.io", "help": "where Z-API is"},
    "instance": {"required": true, "help": "id of the instance"}
  },
  "secrets": {
    "token": {"required": true, "help": "token of the instance; it is part of the address"},
    "client_token": {
      "help": "the account's security token; required once it is switched on in the panel"
    },
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{digits}}",
  "operations": {
    "text": {
      "url": "{{option.url}}/instances/{{option.instance}}/token/{{secret.token}}/send-text",
      "headers": {"Client-Token": "{{secret.client_token}}"},
      "json": {"phone": "{{recipient}}", "message": "{{message}}"}
    },
    "media.image": {
      "url": "{{option.url}}/instances/{{option.instance}}/token/{{secret.token}}/send-image",
      "headers": {"Client-Token": "{{secret.client_token}}"},
      "json": {"phone": "{{recipient}}", "image": "{{media.url}}", "caption": "{{media.caption}}"}
    },
    "media.audio": {
      "url": "{{option.url}}/instances/{{option.instance}}/token/{{secret.token}}/send-audio",
      "headers": {"Client-Token": "{{secret.client_token}}"},
      "json": {"phone": "{{recipient}}", "audio": "{{media.url}}"}
    },
    "media.video": {
      "url": "{{option.url}}/instances/{{option.instance}}/token/{{secret.token}}/send-video",
      "headers": {"Client-Token": "{{secret.client_token}}"},
      "json": {"phone": "{{recipient}}", "video": "{{media.url}}", "caption": "{{media.caption}}"}
    },
    "media": {
      "url": "{{option.url}}/instances/{{option.instance}}/token/{{secret.token}}/send-document/{{media.extension|pdf}}",
      "headers": {"Client-Token": "{{secret.client_token}}"},
      "json": {
        "phone": "{{recipient}}",
        "document": "{{media.url}}",
        "fileName": "{{media.name}}",
        "caption": "{{media.caption}}"
      }
    }
  },
  "response": {
    "success": {"status": [200, 201]},
    "id": ["/messageId", "/id"],
    "error": ["/message", "/error"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {
      "status": ["4xx", "5xx"],
      "text": [
        "client-token",
        "must subscribe to this instance",
        "not connected",
        "need to be connected",
        "Instance not found",
        "Unable to find matching target resource"
      ],
      "class": "stopped",
      "note": "no security token, no subscription, no phone, or a wrong instance"
    },
    {
      "status": ["4xx", "5xx"],
      "text": ["Phone number does not exist", "invalid phone number"],
      "class": "dead_address"
    },
    {
      "status": ["4xx", "5xx"],
      "text": ["error 463", "NackCallerReachoutTimelocked", "reachout timelock"],
      "class": "later",
      "scope": "first_touches",
      "wait": "24h",
      "note": "WhatsApp lets this number open no new chat for a while; chats that exist go on"
    },
    {"status": [401, 402, 403, 404], "class": "stopped"},
    {"status": 429, "class": "slow_down"},
    {"status": 503, "class": "retry", "note": "a proxy's word that no gateway took the request"},
    {
      "status": "5xx",
      "class": "uncertain",
      "note": "502 and 504 are a proxy's: the message may have left"
    }
  ],
  "idempotency": {"key": "none"},
  "limits": {"gap": "30s..60s", "max_in_flight": 1, "max_new_per_day": 50, "warm_up": "20..200/30d"},
  "receive": {
    "note": "Z-API signs nothing and sends no header of ours, so the address is the secret. All of its webhooks can have the same address.",
    "international": true,
    "events": [
      {
        "when": {"/instanceId": {"is_not_option": "instance"}},
        "reject": "another sender's: its instanceId is not this server's"
      },
      {
        "when": {"/type": ["ReceivedCallback", "ReceivedCallBack"]},
        "events": [
          {"when": {"/isGroup": true}, "ignore": "of a group, a channel, a broadcast or a status"},
          {"when": {"/isNewsletter": true}, "ignore": "of a group, a channel, a broadcast or a status"},
          {"when": {"/broadcast": true}, "ignore": "of a group, a channel, a broadcast or a status"},
          {
            "when": {
              "/phone": {"ends": ["-group", "-broadcast", "@newsletter", "@broadcast", "@g.us"]}
            },
            "ignore": "of a group, a channel, a broadcast or a status"
          },
          {"when": {"/isEdit": true}, "ignore": "an edit"},
          {"when": {"/reaction": {"present": true}}, "ignore": "a reaction"},
          {"when": {"/pinMessage": {"present": true}}, "ignore": "a message pinned"},
          {
            "when": {"/waitingMessage": true, "/viewOnce": {"present": false}},
            "ignore": "not there yet: it comes again with its text"
          },
          {
            "note": "what may be seen once does not come again",
            "when": {"/waitingMessage": true, "/viewOnce": false},
            "ignore": "not there yet: it comes again with its text"
          },
          {"when": {"/notification": {"present": true}}, "ignore": "a call, or a note of the system's"},
          {"when": {"/fromMe": true, "/fromApi": true}, "ignore": "sent through the API"},
          {
            "when": {"/fromMe": true},
            "event": "echo",
            "fields": {
              "id": "/messageId",
              "time": "/momment",
              "phone": "/phone",
              "lid": ["/chatLid", "/phone"],
              "text": ["/text/message", "/image/caption", "/video/caption", "/document/caption"],
              "media": [
                "/image/imageUrl",
                "/audio/audioUrl",
                "/video/videoUrl",
                "/document/documentUrl",
                "/sticker/stickerUrl"
              ]
            }
          },
          {
            "event": "message",
            "fields": {
              "id": "/messageId",
              "time": "/momment",
              "from": "/phone",
              "to": "/connectedPhone",
              "phone": "/phone",
              "lid": ["/senderLid", "/chatLid", "/phone"],
              "name": ["/senderName", "/chatName"],
              "text": [
                "/text/message",
                "/buttonsResponseMessage/message",
                "/listResponseMessage/title",
                "/listResponseMessage/message",
                "/hydratedTemplate/message",
                "/image/caption",
                "/video/caption",
                "/document/caption",
                "/pollVote/options/0/name",
                "/location/name"
              ],
              "media": [
                "/image/imageUrl",
                "/audio/audioUrl",
                "/video/videoUrl",
                "/document/documentUrl",
                "/sticker/stickerUrl"
              ],
              "media_type": [
                "/image/mimeType",
                "/audio/mimeType",
                "/video/mimeType",
                "/document/mimeType",
                "/sticker/mimeType"
              ],
              "quotes": "/referenceMessageId"
            }
          }
        ]
      },
      {
        "when": {"/type": "MessageStatusCallback"},
        "events": [
          {"each": "/ids/*", "when": {"^/isGroup": true}, "ignore": "of a group"},
          {
            "each": "/ids/*",
            "when": {"^/status": ["SENT", "RECEIVED", "READ", "PLAYED"]},
            "event": "receipt",
            "fields": {
              "id": ".",
              "time": "^/momment",
              "phone": "^/phone",
              "lid": "^/phone",
              "state": {
                "at": "^/status",
                "map": {"SENT": "sent", "RECEIVED": "delivered", "READ": "read", "PLAYED": "read"}
              }
            }
          },
          {"each": "/ids/*", "when": {"^/status": "READ_BY_ME"}, "ignore": "of a message of theirs"}
        ]
      },
      {
        "when": {"/type": "DeliveryCallback", "/error": {"present": true}},
        "event": "receipt",
        "fields": {
          "id": "/messageId",
          "other_id": "/zaapId",
          "time": "/momment",
          "phone": "/phone",
          "lid": "/phone",
          "state": {"value": "failed"},
          "code": "/errorCode",
          "error": "/error"
        }
      },
      {
        "when": {"/type": "DeliveryCallback"},
        "event": "receipt",
        "fields": {
          "id": "/messageId",
          "other_id": "/zaapId",
          "time": "/momment",
          "phone": "/phone",
          "lid": "/phone",
          "state": {"value": "sent"}
        }
      },
      {
        "when": {"/type": "DisconnectedCallback"},
        "event": "sender",
        "fields": {"state": {"value": "disconnected"}, "time": "/momment", "error": "/error"}
      },
      {
        "when": {"/type": "ConnectedCallback"},
        "event": "sender",
        "fields": {"state": {"value": "connected"}, "time": "/momment", "to": "/phone"}
      },
      {"when": {"/type": "PresenceChatCallback"}, "ignore": "somebody is typing, or is there"}
    ]
  }
}
$protocol$, true);

INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('zenvia', $protocol$
{
  "note": "Zenvia API v2. A 200 means created; what became of the message comes by webhook, with our key as externalId.",
  "sources": [
    "https://github.com/zenvia/zenvia-openapi-spec",
    "https://npmjs.com/package/@zenvia/sdk",
    "https://github.com/zenvia/zenvia-openapi-spec/blob/master/spec/components/schemas/events/message-event.ts",
    "https://github.com/zenvia/zenvia-openapi-spec/blob/master/spec/components/schemas/events/message-status-event.ts",
    "https://github.com/zenvia/zenvia-openapi-spec/blob/master/spec/components/schemas/events/message-status-base.ts",
    "https://github.com/zenvia/zenvia-openapi-spec/blob/master/spec/components/schemas/subscription/webhook.ts"
  ],
  "channels": ["WHATSAPP", "SMS"],
  "options": {
    "url": {"default": "https://api.zenvia.com/v2", "help": "where Zenvia's API is"},
    "from": {
      "required": true,
      "help": "the sender's identifier on the Zenvia platform: the WhatsApp sender, or the alias of the SMS account"
    }
  },
  "secrets": {
    "token": {"required": true, "help": "API token, from the platform's API console"},
    "webhook_secret": {
      "use": "receive",
      "help": "sent as Authorization: Bearer with every call; set it at Zenvia, in the headers of the subscription"
    },
    "path_secret": {
      "use": "receive",
      "help": "32 characters or more at the end of the webhook's address, which nobody else knows"
    }
  },
  "address": "{{digits}}",
  "operations": {
    "text": {
      "url": "{{option.url}}/channels/whatsapp/messages",
      "headers": {"X-API-TOKEN": "{{secret.token}}"},
      "json": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "contents": [{"type": "text", "text": "{{message}}"}]
      }
    },
    "text@SMS": {
      "url": "{{option.url}}/channels/sms/messages",
      "headers": {"X-API-TOKEN": "{{secret.token}}"},
      "json": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "contents": [{"type": "text", "text": "{{message}}"}]
      }
    },
    "template@WHATSAPP": {
      "url": "{{option.url}}/channels/whatsapp/messages",
      "headers": {"X-API-TOKEN": "{{secret.token}}"},
      "json": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "contents": [
          {"type": "template", "templateId": "{{template.name}}", "fields": "{{template.variables}}"}
        ]
      }
    },
    "template@SMS": {
      "url": "{{option.url}}/channels/sms/messages",
      "headers": {"X-API-TOKEN": "{{secret.token}}"},
      "json": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "contents": [
          {"type": "template", "templateId": "{{template.name}}", "fields": "{{template.variables}}"}
        ]
      }
    },
    "media@WHATSAPP": {
      "url": "{{option.url}}/channels/whatsapp/messages",
      "headers": {"X-API-TOKEN": "{{secret.token}}"},
      "json": {
        "from": "{{option.from}}",
        "to": "{{recipient}}",
        "contents": [
          {
            "type": "file",
            "fileUrl": "{{media.url}}",
            "fileMimeType": "{{media.mime}}",
            "fileName": "{{media.name}}",
            "fileCaption": "{{media.caption}}"
          }
        ]
      }
    }
  },
  "response": {
    "success": {"status": ["2xx"]},
    "id": ["/id"],
    "code": ["/code"],
    "error": ["/details/0/message", "/message"],
    "wait": ["header:Retry-After"]
  },
  "classes": [
    {"code": "AUTHENTICATION_ERROR", "class": "stopped"},
    {"status": [401, 402, 403], "class": "stopped"},
    {"status": 429, "class": "slow_down"},
    {"code": "INTERNAL_ERROR", "class": "retry", "note": "documented as one to ask again"},
    {"status": "5xx", "class": "uncertain"}
  ],
  "idempotency": {"key": "echo:/externalId"},
  "receive": {
    "signature": [
      {"kind": "header", "secret": "webhook_secret", "at": "header:Authorization", "prefix": "Bearer "},
      {"kind": "path", "secret": "path_secret"}
    ],
    "international": true,
    "events": [
      {
        "when": {"/type": "MESSAGE", "/direction": "OUT"},
        "event": "echo",
        "fields": {
          "id": "/message/id",
          "key": "/message/externalId",
          "time": ["/message/timestamp", "/timestamp"],
          "to": "/message/to",
          "phone": "/message/to",
          "text": ["/message/contents/0/text", "/message/contents/0/fileCaption"],
          "media": "/message/contents/0/fileUrl",
          "channel": {"at": "/channel", "map": {"whatsapp": "WHATSAPP", "sms": "SMS"}}
        }
      },
      {
        "when": {"/type": "MESSAGE"},
        "event": "message",
        "fields": {
          "id": "/message/id",
          "time": ["/message/timestamp", "/timestamp"],
          "from": "/message/from",
          "to": "/message/to",
          "phone": "/message/from",
          "name": ["/message/visitor/name", "/message/visitor/firstName"],
          "text": ["/message/contents/0/text", "/message/contents/0/fileCaption"],
          "media": "/message/contents/0/fileUrl",
          "media_type": "/message/contents/0/fileMimeType",
          "quotes": "/message/idRef",
          "channel": {"at": "/channel", "map": {"whatsapp": "WHATSAPP", "sms": "SMS"}}
        }
      },
      {
        "when": {"/type": "MESSAGE_STATUS", "/message/direction": "IN"},
        "ignore": "of a message of theirs"
      },
      {
        "when": {
          "/type": "MESSAGE_STATUS",
          "/messageStatus/code": ["SENT", "DELIVERED", "READ", "CLICKED", "REJECTED", "NOT_DELIVERED"]
        },
        "event": "receipt",
        "fields": {
          "id": ["/message/id", "/messageId"],
          "key": "/message/externalId",
          "time": ["/messageStatus/timestamp", "/timestamp"],
          "to": "/message/to",
          "phone": "/message/to",
          "state": {
            "at": "/messageStatus/code",
            "map": {
              "SENT": "sent",
              "DELIVERED": "delivered",
              "READ": "read",
              "CLICKED": "read",
              "REJECTED": "failed",
              "NOT_DELIVERED": "failed"
            }
          },
          "code": "/messageStatus/causes/0/channelErrorCode",
          "error": [
            "/messageStatus/causes/0/details",
            "/messageStatus/causes/0/reason",
            "/messageStatus/description"
          ],
          "channel": {"at": "/channel", "map": {"whatsapp": "WHATSAPP", "sms": "SMS"}}
        }
      },
      {
        "when": {"/type": "MESSAGE_STATUS", "/messageStatus/code": ["ACCEPTED", "VERIFIED", "DELETED"]},
        "ignore": "a state that changes nothing"
      },
      {
        "when": {"/type": {"begins": ["CONVERSATION_", "CONTACT", "SUPPORT_"]}},
        "ignore": "of a conversation of Zenvia's own service"
      }
    ]
  }
}
$protocol$, true);

