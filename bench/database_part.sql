-- The database part of the benchmark's steps alone: in each transaction one batch is recorded and
-- the next is claimed, in as few and as plain statements as do it. It leaves the rows that the
-- contenders leave, with ids that grow, and sends nothing. Everything stays in the server, so that
-- no client and no protocol is part of it.

\set ON_ERROR_STOP on

CREATE PROCEDURE bench_database_part(batch int) LANGUAGE plpgsql AS $$
DECLARE
    claim CONSTANT text := format(
        'WITH claimed AS (
             UPDATE lead_cadence_runs SET next_run_at = now() + interval ''5 min'', claim_id = $1,
                    attempts = attempts + 1, updated_at = now()
             WHERE id = ANY (ARRAY(
                 SELECT id FROM lead_cadence_runs WHERE status = ''ATIVA'' AND next_run_at <= now()
                 ORDER BY next_run_at LIMIT %s FOR UPDATE SKIP LOCKED))
             RETURNING *)
         SELECT array_agg(c.id), array_agg(c.lead_id), array_agg(t.conteudo)
         FROM claimed c
         JOIN cadence_steps s ON s.cadence_id = c.cadence_id AND s.ordem = c.next_step_ordem
         JOIN lead_contacts k ON k.lead_id = c.lead_id AND k.empresa = c.empresa
         JOIN message_templates t ON t.empresa = c.empresa AND t.codigo = s.template_codigo AND t.ativo',
        batch);
    mine uuid := gen_random_uuid();
    ids uuid[];
    leads text[];
    texts text[];
    prefix text;
BEGIN
    LOOP
        EXECUTE claim INTO ids, leads, texts USING mine;
        COMMIT;
        EXIT WHEN ids IS NULL;

        prefix := lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
                  || '7' || substr(md5(random()::text), 1, 11);
        UPDATE lead_cadence_runs SET last_step_ordem = 1, next_step_ordem = 2, attempts = 0,
               claim_id = NULL, next_run_at = now() + interval '1 day', updated_at = now()
        WHERE id = ANY (ids) AND claim_id = mine;
        INSERT INTO lead_cadence_events (id, lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes)
        SELECT (prefix || lpad(to_hex(2 * d.n + e.n), 8, '0'))::uuid, d.id, e.ordem, e.template, e.tipo, e.detalhes::jsonb
        FROM unnest(ids) WITH ORDINALITY AS d(id, n)
        CROSS JOIN (VALUES
            (0, 1, 'INBOUND_D0', 'DISPARADO', '{"canal": "WHATSAPP", "provedor": "whatsapp", "tentativa": 1, "chave": "5c3b9a0e-7f0d-5a3e-8a51-0d6f5b0c9a77", "http_status": 200, "duracao_ms": 4, "message_id": "m-1"}'),
            (1, 2, 'INBOUND_D1', 'AGENDADO', '{"next_run_at": "2026-01-01T00:00:00.000000+00:00"}'))
            AS e(n, ordem, template, tipo, detalhes);
        INSERT INTO lead_messages (id, lead_id, empresa, run_id, canal, direcao, conteudo, estado, enviado_em, step_ordem, template_codigo, whatsapp_message_id)
        SELECT (prefix || lpad(to_hex(d.n), 8, '0'))::uuid, d.lead, 'ACME', d.id, 'WHATSAPP', 'OUTBOUND', d.texto, 'ENVIADO', now(), 1, 'INBOUND_D0', 'm-1'
        FROM unnest(ids, leads, texts) WITH ORDINALITY AS d(id, lead, texto, n);
    END LOOP;
END
$$;
