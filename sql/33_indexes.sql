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

