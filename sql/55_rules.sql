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
