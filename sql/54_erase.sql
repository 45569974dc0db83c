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
    tails text[];
    runs uuid[];
    pais text;
    item record;
    counts record;
BEGIN
    IF $1 IS NULL OR $2 IS NULL THEN
        RAISE EXCEPTION 'lead_id and empresa must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;

    -- first of all, so that nothing starts: as cadence_cancel() does
    n := 0;
    FOR item IN
        SELECT r.id FROM @extschema@.lead_cadence_runs r
        WHERE r.lead_id::text OPERATOR(pg_catalog.=) $1 AND r.empresa::text OPERATOR(pg_catalog.=) $2
          AND r.status::text OPERATOR(pg_catalog.=) ANY (ARRAY['ATIVA', 'PAUSADA'])
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
    mails := ARRAY(SELECT DISTINCT lower(v.mail) FROM (
        SELECT c OPERATOR(pg_catalog.->>) 'email' AS mail FROM unnest(contacts) AS c
        UNION ALL
        SELECT i.value::text FROM @extschema@.lead_identities i
        WHERE i.lead_id::text OPERATOR(pg_catalog.=) $1 AND i.empresa::text OPERATOR(pg_catalog.=) $2 AND i.kind::text OPERATOR(pg_catalog.=) 'email') AS v
        WHERE v.mail OPERATOR(pg_catalog.<>) '' ORDER BY 1);
    names := ARRAY(SELECT i.value::text FROM @extschema@.lead_identities i
                   WHERE i.lead_id::text OPERATOR(pg_catalog.=) $1 AND i.empresa::text OPERATOR(pg_catalog.=) $2
                     AND i.kind::text OPERATOR(pg_catalog.=) ANY (ARRAY['wa_lid', 'wa_user_id']));
    -- Brazil's ninth digit does not change the last eight
    tails := ARRAY(SELECT DISTINCT "right"(regexp_replace(p, '[^0-9]', '', 'g'), 8) FROM unnest(phones) AS p
                   WHERE length(regexp_replace(p, '[^0-9]', '', 'g')) OPERATOR(pg_catalog.>=) 8);

    -- nobody of that company writes to them again, under whatever lead they come back
    SELECT c.pais::text INTO pais FROM @extschema@.cadence_empresas c WHERE c.empresa::text OPERATOR(pg_catalog.=) $2;
    table_name := 'cadence_blocklist'; done := 'added';
    BEGIN
        SELECT p.added OPERATOR(pg_catalog.+) m.added AS added INTO counts
        FROM @extschema@.cadence_block_many('phone', phones, 'erased', NULL, pais, $2) AS p,
             @extschema@.cadence_block_many('email', mails, 'erased', NULL, NULL, $2) AS m;
    EXCEPTION WHEN invalid_parameter_value THEN
        -- of a country that is not known numbers count as Brazil's, as when they are written to
        SELECT p.added OPERATOR(pg_catalog.+) m.added AS added INTO counts
        FROM @extschema@.cadence_block_many('phone', phones, 'erased', NULL, NULL, $2) AS p,
             @extschema@.cadence_block_many('email', mails, 'erased', NULL, NULL, $2) AS m;
    END;
    n := counts.added; RETURN NEXT;
    INSERT INTO @extschema@.contact_opt_outs (lead_id, empresa, motivo, origem) VALUES ($1, $2, 'erased', current_user) ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'contact_opt_outs'; RETURN NEXT;
    -- what the person has said
    UPDATE @extschema@.contact_opt_outs AS o SET motivo = NULL
    WHERE o.lead_id OPERATOR(pg_catalog.=) $1 AND o.empresa OPERATOR(pg_catalog.=) $2 AND o.motivo OPERATOR(pg_catalog.<>) 'erased';
    GET DIAGNOSTICS n = ROW_COUNT;
    done := 'blanked'; RETURN NEXT;

    -- the contact goes, or, where something of the application hangs on it, all that it says
    table_name := 'lead_contacts'; done := 'deleted';
    BEGIN
        DELETE FROM @extschema@.lead_contacts AS k
        WHERE k.lead_id::text OPERATOR(pg_catalog.=) $1 AND k.empresa::text OPERATOR(pg_catalog.=) $2;
        GET DIAGNOSTICS n = ROW_COUNT;
    EXCEPTION WHEN integrity_constraint_violation OR insufficient_privilege OR raise_exception THEN
        EXECUTE (SELECT format('UPDATE @extschema@.lead_contacts AS k SET opt_out = true%s WHERE k.lead_id::text OPERATOR(pg_catalog.=) $1 AND k.empresa::text OPERATOR(pg_catalog.=) $2',
                               string_agg(format(', %I = %s', a.attname, CASE WHEN a.attnotnull THEN '''''' ELSE 'NULL' END), '' ORDER BY a.attnum))
                 FROM pg_attribute a JOIN pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
                 WHERE a.attrelid OPERATOR(pg_catalog.=) '@extschema@.lead_contacts'::regclass::oid
                   AND a.attnum OPERATOR(pg_catalog.>) 0::int2 AND NOT a.attisdropped
                   AND a.attgenerated OPERATOR(pg_catalog.=) ''::"char" AND a.attidentity OPERATOR(pg_catalog.=) ''::"char"
                   AND a.attname::text OPERATOR(pg_catalog.<>) ALL (ARRAY['id', 'lead_id', 'empresa', 'opt_out', 'opt_out_em', 'created_at', 'updated_at'])
                   AND (NOT a.attnotnull OR t.typcategory OPERATOR(pg_catalog.=) 'S'::"char")) USING $1, $2;
        GET DIAGNOSTICS n = ROW_COUNT;
        done := 'blanked';
    END;
    RETURN NEXT;

    DELETE FROM @extschema@.lead_identities AS i WHERE i.lead_id::text OPERATOR(pg_catalog.=) $1 AND i.empresa::text OPERATOR(pg_catalog.=) $2;
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'lead_identities'; done := 'deleted'; RETURN NEXT;
    DELETE FROM @extschema@.cadence_conversations AS c WHERE c.lead_id::text OPERATOR(pg_catalog.=) $1 AND c.empresa::text OPERATOR(pg_catalog.=) $2;
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'cadence_conversations'; RETURN NEXT;
    DELETE FROM @extschema@.cadence_dead_addresses AS d
    WHERE d.empresa::text OPERATOR(pg_catalog.=) $2
      AND CASE WHEN d.canal::text OPERATOR(pg_catalog.=) 'EMAIL' THEN d.endereco::text OPERATOR(pg_catalog.=) ANY (mails)
               ELSE "right"(regexp_replace(d.endereco::text, '[^0-9]', '', 'g'), 8) OPERATOR(pg_catalog.=) ANY (tails) END;
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

    -- what was rejected of them goes; a whole call that names them beside others goes from the others' rows
    DELETE FROM @extschema@.cadence_rejected AS j
    WHERE (j.empresa IS NULL OR j.empresa::text OPERATOR(pg_catalog.=) $2)
      AND jsonb_typeof(j.evento) OPERATOR(pg_catalog.=) 'object'
      AND EXISTS (SELECT FROM jsonb_each_text(j.evento) AS f
                  WHERE f.key OPERATOR(pg_catalog.=) ANY (ARRAY['phone', 'email', 'lid', 'user_id', 'from', 'old', 'new'])
                    AND ("right"(regexp_replace(f.value, '[^0-9]', '', 'g'), 8) OPERATOR(pg_catalog.=) ANY (tails)
                         OR lower(f.value) OPERATOR(pg_catalog.=) ANY (mails) OR f.value OPERATOR(pg_catalog.=) ANY (names)));
    GET DIAGNOSTICS n = ROW_COUNT;
    table_name := 'cadence_rejected'; RETURN NEXT;
    UPDATE @extschema@.cadence_rejected AS j SET elemento = NULL, corpo = NULL
    WHERE (j.empresa IS NULL OR j.empresa::text OPERATOR(pg_catalog.=) $2)
      AND EXISTS (SELECT FROM unnest(tails OPERATOR(pg_catalog.||) mails OPERATOR(pg_catalog.||) names) AS v
                  WHERE strpos(lower(concat(j.elemento::text, j.corpo::text)), lower(v)) OPERATOR(pg_catalog.>) 0);
    GET DIAGNOSTICS n = ROW_COUNT;
    done := 'blanked'; RETURN NEXT;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_erase(text, text) IS
'forgets a lead of a company: cancels its runs, deletes the contact and what it is known by, blanks texts, keeps counts, and puts its addresses on the company''s blocklist; says what it has done';
