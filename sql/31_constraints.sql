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
        ('cadence_arming', 'PRIMARY KEY (id)')
    ) AS v(table_name, definition);

COMMENT ON VIEW @extschema@.cadence_table_constraints IS
'the constraints of the tables that cadence_create_tables() creates; adopted tables keep their own';

