--
-- Runs
--
-- These write to tables whose triggers may name other tables without a schema:
-- hence the tables' schema on the search path, as in the worker's own session.
-- Others may create operators there, so those on the tables' columns are qualified.
--

CREATE FUNCTION cadence_enroll(lead_id text, cadence_codigo text, start_at timestamptz DEFAULT now())
RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    lead text := $1;
    cadence record;
    first_step record;
    due timestamptz;
    run uuid := gen_random_uuid();
BEGIN
    IF to_regclass('@extschema@.lead_cadence_runs') IS NULL THEN
        RAISE EXCEPTION 'table %.lead_cadence_runs does not exist', '@extschema@'
            USING ERRCODE = 'undefined_table', HINT = 'Call @extschema@.cadence_create_tables().';
    END IF;
    IF lead IS NULL OR cadence_enroll.cadence_codigo IS NULL OR cadence_enroll.start_at IS NULL THEN
        RAISE EXCEPTION 'lead_id, cadence_codigo and start_at must not be null'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT c.id, c.empresa, coalesce(c.ativo, true) AS ativo INTO cadence
    FROM @extschema@.cadences c WHERE c.codigo OPERATOR(pg_catalog.=) cadence_enroll.cadence_codigo
    ORDER BY c.updated_at DESC NULLS LAST LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'cadence "%" does not exist', cadence_enroll.cadence_codigo
            USING ERRCODE = 'no_data_found', HINT = 'Cadences are named by the column cadences.codigo.';
    END IF;
    IF NOT cadence.ativo THEN
        RAISE EXCEPTION 'cadence "%" is inactive', cadence_enroll.cadence_codigo
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Set cadences.ativo to true.';
    END IF;
    SELECT s.ordem, s.offset_minutos, s.template_codigo INTO first_step
    FROM @extschema@.cadence_steps s WHERE s.cadence_id OPERATOR(pg_catalog.=) cadence.id ORDER BY s.ordem LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'cadence "%" has no steps', cadence_enroll.cadence_codigo
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Insert rows into cadence_steps first.';
    END IF;

    -- two callers at once must not both find that the lead is not active yet
    PERFORM pg_advisory_xact_lock(hashtextextended(lead, hashtextextended(cadence.id::text, 0)));
    IF EXISTS (SELECT FROM @extschema@.lead_cadence_runs r
               WHERE r.lead_id OPERATOR(pg_catalog.=) lead AND r.cadence_id OPERATOR(pg_catalog.=) cadence.id AND r.status OPERATOR(pg_catalog.=) 'ATIVA') THEN
        RAISE EXCEPTION 'lead "%" is already active in cadence "%"', lead, cadence_enroll.cadence_codigo
            USING ERRCODE = 'unique_violation', HINT = 'Cancel the active run first, with cadence_cancel().';
    END IF;

    due := cadence_enroll.start_at + make_interval(mins => coalesce(first_step.offset_minutos, 0)::int);
    INSERT INTO @extschema@.lead_cadence_runs
        (id, lead_id, empresa, cadence_id, status, started_at, next_step_ordem, next_run_at, attempts,
         created_at, updated_at)
    VALUES (run, lead, cadence.empresa, cadence.id, 'ATIVA', now(), first_step.ordem, due, 0, now(), now());
    INSERT INTO @extschema@.lead_cadence_events
        (id, lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
    VALUES (gen_random_uuid(), run, first_step.ordem, first_step.template_codigo, 'AGENDADO',
            pg_catalog.jsonb_build_object('next_run_at', due), now());
    RETURN run;
END
$$;

COMMENT ON FUNCTION cadence_enroll(text, text, timestamptz) IS
'starts a cadence for a lead and returns the run; its first step is due at start_at plus that step''s offset';

CREATE FUNCTION cadence_pause(run uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    found_status text;
BEGIN
    IF to_regclass('@extschema@.lead_cadence_runs') IS NULL THEN
        RAISE EXCEPTION 'table %.lead_cadence_runs does not exist', '@extschema@'
            USING ERRCODE = 'undefined_table', HINT = 'Call @extschema@.cadence_create_tables().';
    END IF;
    SELECT r.status::text INTO found_status
    FROM @extschema@.lead_cadence_runs r WHERE r.id OPERATOR(pg_catalog.=) cadence_pause.run FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % does not exist', coalesce(cadence_pause.run::text, 'null') USING ERRCODE = 'no_data_found';
    ELSIF found_status <> 'ATIVA' THEN
        RAISE EXCEPTION 'run % is %: it can not be paused', cadence_pause.run, found_status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a run that is ATIVA can be paused.';
    END IF;
    -- next_run_at stays: it is what a message that is under way recognises its claim by
    UPDATE @extschema@.lead_cadence_runs AS r SET status = 'PAUSADA', updated_at = now()
    WHERE r.id OPERATOR(pg_catalog.=) cadence_pause.run;
END
$$;

COMMENT ON FUNCTION cadence_pause(uuid) IS
'pauses a run that is ATIVA: nothing more is sent until cadence_resume(); a message that is under way is not called back';

CREATE FUNCTION cadence_resume(run uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    found_status text;
    paused record;
BEGIN
    IF to_regclass('@extschema@.lead_cadence_runs') IS NULL THEN
        RAISE EXCEPTION 'table %.lead_cadence_runs does not exist', '@extschema@'
            USING ERRCODE = 'undefined_table', HINT = 'Call @extschema@.cadence_create_tables().';
    END IF;
    SELECT r.status::text INTO found_status
    FROM @extschema@.lead_cadence_runs r WHERE r.id OPERATOR(pg_catalog.=) cadence_resume.run FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % does not exist', coalesce(cadence_resume.run::text, 'null') USING ERRCODE = 'no_data_found';
    ELSIF found_status <> 'PAUSADA' THEN
        RAISE EXCEPTION 'run % is %: it can not be resumed', cadence_resume.run, found_status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a run that is PAUSADA can be resumed.';
    END IF;
    SELECT r.lead_id, r.cadence_id, r.claim_id IS NOT NULL AND r.next_run_at OPERATOR(pg_catalog.>) now() AS under_way INTO paused
    FROM @extschema@.lead_cadence_runs r WHERE r.id OPERATOR(pg_catalog.=) cadence_resume.run;

    PERFORM pg_advisory_xact_lock(hashtextextended(paused.lead_id::text, hashtextextended(paused.cadence_id::text, 0)));
    IF EXISTS (SELECT FROM @extschema@.lead_cadence_runs r
               WHERE r.lead_id OPERATOR(pg_catalog.=) paused.lead_id AND r.cadence_id OPERATOR(pg_catalog.=) paused.cadence_id AND r.status OPERATOR(pg_catalog.=) 'ATIVA') THEN
        RAISE EXCEPTION 'lead "%" is already active in this cadence with another run', paused.lead_id
            USING ERRCODE = 'unique_violation', HINT = 'Cancel one of the two runs, with cadence_cancel().';
    END IF;

    UPDATE @extschema@.lead_cadence_runs AS r SET
        status = 'ATIVA',
        next_run_at = greatest(r.next_run_at, now()),
        attempts = CASE WHEN paused.under_way THEN r.attempts ELSE 0 END,
        updated_at = now()
    WHERE r.id OPERATOR(pg_catalog.=) cadence_resume.run;
END
$$;

COMMENT ON FUNCTION cadence_resume(uuid) IS
'resumes a run that is PAUSADA: its next step is due at its time, or now if that has passed, with all its attempts again';

CREATE FUNCTION cadence_cancel(run uuid, motivo text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    found_status text;
    next_ordem int;
    its_cadence uuid;
BEGIN
    IF to_regclass('@extschema@.lead_cadence_runs') IS NULL THEN
        RAISE EXCEPTION 'table %.lead_cadence_runs does not exist', '@extschema@'
            USING ERRCODE = 'undefined_table', HINT = 'Call @extschema@.cadence_create_tables().';
    END IF;
    SELECT r.status::text INTO found_status
    FROM @extschema@.lead_cadence_runs r WHERE r.id OPERATOR(pg_catalog.=) cadence_cancel.run FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % does not exist', coalesce(cadence_cancel.run::text, 'null') USING ERRCODE = 'no_data_found';
    ELSIF found_status NOT IN ('ATIVA', 'PAUSADA') THEN
        RAISE EXCEPTION 'run % is %: it can not be cancelled', cadence_cancel.run, found_status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a run that is ATIVA or PAUSADA can be cancelled.';
    END IF;
    UPDATE @extschema@.lead_cadence_runs AS r SET
        status = 'CANCELADA',
        next_run_at = CASE WHEN r.claim_id IS NOT NULL THEN r.next_run_at END,
        updated_at = now()
    WHERE r.id OPERATOR(pg_catalog.=) cadence_cancel.run
    RETURNING r.next_step_ordem::int, r.cadence_id INTO next_ordem, its_cadence;
    INSERT INTO @extschema@.lead_cadence_events
        (id, lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
    VALUES (gen_random_uuid(), cadence_cancel.run, next_ordem,
            (SELECT s.template_codigo FROM @extschema@.cadence_steps s
             WHERE s.cadence_id OPERATOR(pg_catalog.=) its_cadence AND s.ordem OPERATOR(pg_catalog.>=) next_ordem
             ORDER BY s.ordem LIMIT 1), 'ERRO',
            pg_catalog.jsonb_build_object('codigo', 'CANCELADA', 'erro', 'the run was cancelled',
                               'motivo', cadence_cancel.motivo, 'permanente', true), now());
END
$$;

COMMENT ON FUNCTION cadence_cancel(uuid, text) IS
'cancels a run that is ATIVA or PAUSADA, for good; motivo is kept in its event';

CREATE FUNCTION cadence_settle(run uuid, sent boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    settled record;
    uncertain record;
    following record;
    due timestamptz;
BEGIN
    IF to_regclass('@extschema@.lead_cadence_runs') IS NULL THEN
        RAISE EXCEPTION 'table %.lead_cadence_runs does not exist', '@extschema@'
            USING ERRCODE = 'undefined_table', HINT = 'Call @extschema@.cadence_create_tables().';
    END IF;
    IF cadence_settle.sent IS NULL THEN
        RAISE EXCEPTION 'sent must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT r.status::text AS status, r.claim_id, r.lead_id, r.cadence_id, r.next_step_ordem::int AS ordem INTO settled
    FROM @extschema@.lead_cadence_runs r WHERE r.id OPERATOR(pg_catalog.=) cadence_settle.run FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % does not exist', coalesce(cadence_settle.run::text, 'null') USING ERRCODE = 'no_data_found';
    ELSIF settled.status NOT IN ('ATIVA', 'PAUSADA') THEN
        RAISE EXCEPTION 'run % is %: there is nothing to settle', cadence_settle.run, settled.status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a run that is ATIVA or PAUSADA has a step that may be uncertain.';
    ELSIF settled.claim_id IS NOT NULL THEN
        RAISE EXCEPTION 'run % is being worked on', cadence_settle.run
            USING ERRCODE = 'object_in_use', HINT = 'Try again when its attempt has ended.';
    END IF;
    SELECT e.detalhes, e.step_ordem::int AS step_ordem, e.template_codigo, e.created_at INTO uncertain
    FROM @extschema@.lead_cadence_events e
    WHERE e.lead_cadence_run_id OPERATOR(pg_catalog.=) cadence_settle.run
      AND e.step_ordem OPERATOR(pg_catalog.=) settled.ordem
      -- a late answer that settled nothing leaves the question open
      AND e.detalhes OPERATOR(pg_catalog.->>) 'tardio' IS NULL
    ORDER BY e.created_at DESC, e.id DESC LIMIT 1;
    IF uncertain.detalhes ->> 'codigo' IS DISTINCT FROM 'INCERTO' THEN
        RAISE EXCEPTION 'the last attempt of run % is not uncertain', cadence_settle.run
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Only an attempt whose event has the codigo INCERTO can be settled.';
    END IF;

    SELECT s.ordem::int AS ordem, s.offset_minutos, s.template_codigo INTO following
    FROM @extschema@.cadence_steps s
    WHERE s.cadence_id OPERATOR(pg_catalog.=) settled.cadence_id AND s.ordem OPERATOR(pg_catalog.>) settled.ordem
    ORDER BY s.ordem LIMIT 1;
    IF settled.status = 'PAUSADA' AND (NOT cadence_settle.sent OR following.ordem IS NOT NULL) THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(settled.lead_id::text, hashtextextended(settled.cadence_id::text, 0)));
        IF EXISTS (SELECT FROM @extschema@.lead_cadence_runs r
                   WHERE r.lead_id OPERATOR(pg_catalog.=) settled.lead_id AND r.cadence_id OPERATOR(pg_catalog.=) settled.cadence_id AND r.status OPERATOR(pg_catalog.=) 'ATIVA') THEN
            RAISE EXCEPTION 'lead "%" is already active in this cadence with another run', settled.lead_id
                USING ERRCODE = 'unique_violation', HINT = 'Cancel one of the two runs, with cadence_cancel().';
        END IF;
    END IF;

    IF NOT cadence_settle.sent THEN
        UPDATE @extschema@.lead_cadence_runs AS r SET status = 'ATIVA', next_run_at = now(), updated_at = now()
        WHERE r.id OPERATOR(pg_catalog.=) cadence_settle.run;
        INSERT INTO @extschema@.lead_cadence_events
            (id, lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
        VALUES (gen_random_uuid(), cadence_settle.run, settled.ordem, uncertain.template_codigo, 'AGENDADO',
                pg_catalog.jsonb_build_object('next_run_at', now(), 'decidido', 'NAO_ENVIADO', 'por', current_user), now());
        RETURN;
    END IF;

    -- the next step counts from the attempt, not from the decision
    due := CASE WHEN following.ordem IS NOT NULL
                THEN uncertain.created_at + make_interval(mins => greatest(coalesce(following.offset_minutos, 0), 0)::int) END;
    UPDATE @extschema@.lead_cadence_runs AS r SET
        status = 'ATIVA', last_step_ordem = settled.ordem, next_step_ordem = following.ordem, next_run_at = due,
        attempts = 0, updated_at = now()
    WHERE r.id OPERATOR(pg_catalog.=) cadence_settle.run;
    IF following.ordem IS NULL THEN
        UPDATE @extschema@.lead_cadence_runs AS r SET status = 'CONCLUIDA'
        WHERE r.id OPERATOR(pg_catalog.=) cadence_settle.run;
    END IF;
    INSERT INTO @extschema@.lead_cadence_events
        (id, lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
    VALUES (gen_random_uuid(), cadence_settle.run, settled.ordem, uncertain.template_codigo, 'DISPARADO',
            (uncertain.detalhes - 'codigo' - 'erro' - 'permanente' - 'proxima_tentativa')
            || pg_catalog.jsonb_build_object('decidido', 'ENVIADO', 'por', current_user), now());
    IF following.ordem IS NOT NULL THEN
        INSERT INTO @extschema@.lead_cadence_events
            (id, lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes, created_at)
        VALUES (gen_random_uuid(), cadence_settle.run, following.ordem, following.template_codigo, 'AGENDADO',
                pg_catalog.jsonb_build_object('next_run_at', due), now());
    END IF;
END
$$;

COMMENT ON FUNCTION cadence_settle(uuid, boolean) IS
'settles an uncertain attempt: sent = true moves the run on (its text was not kept, so lead_messages gets no row), false makes its step due again';

