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
