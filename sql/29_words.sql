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
