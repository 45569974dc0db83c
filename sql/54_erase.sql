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
