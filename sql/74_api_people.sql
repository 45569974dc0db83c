--
-- What the dashboard shows of a person
--
-- Who may not see personal data finds people by what says nothing of them, and by nothing else: a
-- number, a mailbox or a name that can be searched can be guessed, digit by digit from the four that
-- are shown.

-- An adopted key may be citext: its index serves its own operator alone.
CREATE FUNCTION @extschema@.cadence_key_is(relation regclass, key name) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN x.extname IS NULL THEN format('x.%I::text = $1', a.attname)
                ELSE format('x.%I OPERATOR(%I.=) $1::%I.citext', a.attname, n.nspname, n.nspname) END
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid JOIN pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN (pg_depend AS d JOIN pg_extension AS x ON x.oid = d.refobjid AND x.extname = 'citext')
        ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    WHERE a.attrelid = $1 AND a.attname = $2 AND NOT a.attisdropped
$$;

COMMENT ON FUNCTION @extschema@.cadence_key_is(regclass, name) IS
'part of the dashboard: how a key of the table x is compared with $1, so that its index serves';

-- Ten digits have neither Brazil's ninth, Argentina's 9 nor Mexico's 1; a trunk zero may have a carrier's number behind it.
CREATE FUNCTION @extschema@.cadence_phone_end(phone text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT "right"(regexp_replace(regexp_replace(regexp_replace("left"($1, 200), '[^0-9]', '', 'g'),
                                                 '^0(?:[0-9]{2}(?=[0-9]{10,11}$)|0?(?=[0-9]{10,}$))', ''),
                                  '^((?:55)?[0-9]{2})9([0-9]{8})$', '\1\2'), 10)
$$;

COMMENT ON FUNCTION @extschema@.cadence_phone_end(text) IS
'part of the dashboard: the digits by which two spellings of a number are compared';

-- What a text that somebody has typed may be. An id that the application has made of a number or a
-- mailbox is one to whom those are masked.
CREATE FUNCTION @extschema@.cadence_search_kinds(q text, people boolean) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_remove(ARRAY[
        CASE WHEN $2 OR @extschema@.cadence_mask($1, 'id') = $1 THEN 'id' END,
        CASE WHEN $2 AND strpos($1, '@') > 0 THEN 'email' END,
        CASE WHEN $2 AND $1 !~ '[A-Za-z@]' AND length(@extschema@.cadence_phone_end($1)) >= 8 THEN 'phone' END,
        CASE WHEN $2 AND $1 ~ '[^0-9\s[:punct:]]{2}' AND strpos($1, '@') = 0
                  AND to_regclass('@extschema@.lead_contacts_name_idx') IS NOT NULL THEN 'name' END], NULL)
    WHERE $1 <> ''
$$;

COMMENT ON FUNCTION @extschema@.cadence_search_kinds(text, boolean) IS
'part of the dashboard: as what a text is searched';

-- Each part has its index. Of a name that half of all people have, the first hundred that are found.
CREATE FUNCTION @extschema@.cadence_search(q text, kind text)
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
        words := @extschema@.cadence_key_is('@extschema@.lead_cadence_runs', 'lead_id');
        parts := ARRAY[format(contacts, @extschema@.cadence_key_is('@extschema@.lead_contacts', 'lead_id')),
                       format(runs, words || ' AND x.status = ''ATIVA'''), format(runs, words || ' AND x.status = ''PAUSADA'''),
                       format(runs, words || ' AND x.status <> ''ATIVA'' AND x.status <> ''PAUSADA''')];
        IF q ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN
            parts := parts || format(runs, 'x.id = $1::uuid');
        END IF;
    WHEN 'email' THEN
        spellings := ARRAY[lower(q)];
        parts := ARRAY[format(contacts, '"left"(lower(x.email::text), 320) = lower($1)'), format(known, kind)];
    WHEN 'phone' THEN
        words := @extschema@.cadence_phone_end(q);
        spellings := ARRAY(SELECT DISTINCT '+' || c.code || v.number
                           FROM (VALUES (ltrim(regexp_replace(q, '[^0-9]', '', 'g'), '0')), (words),
                                        ("left"(words, -8) || '9' || "right"(words, 8))) AS v(number),
                                (VALUES (''), ('55')) AS c(code));
        parts := ARRAY(SELECT format(contacts, format(
                           '"right"(regexp_replace(x.%1$I::text, ''[^0-9]'', '''', ''g''), 8) = "right"(%2$L, 8) '
                           'AND "right"(@extschema@.cadence_phone_end(x.%1$I::text), length(%2$L)) = '
                           '"right"(%2$L, length(@extschema@.cadence_phone_end(x.%1$I::text)))', a.attname, words))
                       FROM pg_attribute AS a
                       WHERE a.attrelid = '@extschema@.lead_contacts'::regclass AND a.attname IN ('telefone', 'telefone_e164')
                         AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) || format(known, kind);
    WHEN 'name' THEN
        -- as the index has it, so that it serves; the last word that was typed may go on
        SELECT pg_get_expr(i.indexprs, i.indrelid) INTO words
        FROM pg_index AS i WHERE i.indexrelid = '@extschema@.lead_contacts_name_idx'::regclass;
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

COMMENT ON FUNCTION @extschema@.cadence_search(text, text) IS
'part of the dashboard: who is found by an id (of a lead, or a run), an email, a phone number in any spelling, or the words of a name';

-- In an adopted table a lead of a company may have several rows: as in an execution, the one that was changed last counts.
CREATE FUNCTION @extschema@.cadence_person(lead_id text, empresa text, people boolean) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
    SELECT jsonb_build_object('lead_id', CASE WHEN $3 THEN $1 ELSE @extschema@.cadence_mask($1, 'id') END, 'empresa', $2)
        || coalesce((
            SELECT jsonb_build_object(
                'name', CASE WHEN $3 THEN "left"(k.nome::text, 400) ELSE @extschema@.cadence_mask(k.nome::text, 'name') END,
                'phone', CASE WHEN $3 THEN "left"(k.telefone::text, 200) ELSE @extschema@.cadence_mask(k.telefone::text, 'phone') END,
                'email', CASE WHEN $3 THEN "left"(k.email::text, 400) ELSE @extschema@.cadence_mask(k.email::text, 'email') END,
                'opted_out', k.opt_out)
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

COMMENT ON FUNCTION @extschema@.cadence_person(text, text, boolean) IS
'part of the dashboard: who a lead of a company is, and how many runs they have';

CREATE FUNCTION @extschema@.cadence_api_pessoas(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shown constant int := 20;
    q constant text := regexp_replace("left"(coalesce(params ->> 'q', ''), 200), '^\s+|\s+$', '', 'g');
    may_see constant boolean := coalesce(people, false);
    kinds constant text[] := coalesce(@extschema@.cadence_search_kinds(q, may_see), '{}');
    found jsonb;
BEGIN
    -- by an id first: it names one
    SELECT jsonb_agg(@extschema@.cadence_person(f.lead_id, f.empresa, may_see) ORDER BY f.rank, f.lead_id, f.empresa) INTO found
    FROM (SELECT s.lead_id, s.empresa, min(k.rank) AS rank
          FROM unnest(kinds) WITH ORDINALITY AS k(kind, rank) CROSS JOIN LATERAL @extschema@.cadence_search(q, k.kind) AS s
          WHERE params ->> 'empresa' IS NULL OR s.empresa = params ->> 'empresa'
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
