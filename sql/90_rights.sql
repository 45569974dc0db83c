--
-- Nobody but the owner may execute anything at first. The right to execute
-- cadence_run() is the authorization to send, and default privileges (such as
-- Supabase's, which grant EXECUTE to its anonymous role) must not hand it out,
-- nor the right to write protocols, or to have a trigger run when others do.
--

DO $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.oid::regprocedure AS signature, a.grantee
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'cadence_runner'
        JOIN pg_catalog.pg_proc p ON p.oid = d.objid
        CROSS JOIN LATERAL (
            SELECT DISTINCT x.grantee
            FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS x
            WHERE x.grantee <> p.proowner) AS a
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
          AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %s', f.signature,
            CASE WHEN f.grantee = 0 THEN 'PUBLIC'
                 ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(f.grantee)) END);
    END LOOP;
    FOR f IN
        SELECT DISTINCT a.grantee
        FROM pg_catalog.pg_class c CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
        WHERE c.oid = '@extschema@.cadence_protocols'::pg_catalog.regclass::pg_catalog.oid AND a.grantee <> c.relowner
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON @extschema@.cadence_protocols FROM %s',
            CASE WHEN f.grantee = 0 THEN 'PUBLIC'
                 ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(f.grantee)) END);
    END LOOP;
END
$$;

GRANT SELECT ON @extschema@.cadence_protocols TO PUBLIC;

-- they show nothing that their caller's own SELECT would not
GRANT EXECUTE ON FUNCTION @extschema@.cadence_rollup_counts(text, text[], timestamptz, timestamptz),
    @extschema@.cadence_rollup_cohorts(uuid, date, date), @extschema@.cadence_rollup_enrolled(uuid, date, date), @extschema@.cadence_rollup_runs() TO PUBLIC;

-- nor do these write what their caller may not; cadence_rollup_rebuild() asks who calls
GRANT EXECUTE ON FUNCTION @extschema@.cadence_rollup_rebuild(boolean, boolean), @extschema@.cadence_rollup_day(text, timestamptz),
    @extschema@.cadence_recount_steps(), @extschema@.cadence_recount_step(uuid, bigint, text, uuid[], boolean), @extschema@.cadence_recount_runs(), @extschema@.cadence_recount_events(),
    @extschema@.cadence_recount_receipts(), @extschema@.cadence_recount_answers(), @extschema@.cadence_recount_marks(),
    @extschema@.cadence_recount_outcome(text, text, boolean, boolean, text, text), @extschema@.cadence_recount_cohorts(),
    @extschema@.cadence_recount_counts() TO PUBLIC;

-- what the dashboard's pages are made of runs as the tables' owner, and shows no more than that
GRANT EXECUTE ON FUNCTION @extschema@.cadence_mask(text, text), @extschema@.cadence_mask_plain(text), @extschema@.cadence_mask_letters(text), @extschema@.cadence_mask_cut(text), @extschema@.cadence_mask_said(text), @extschema@.cadence_api_zone(), @extschema@.cadence_api_reason(text),
    @extschema@.cadence_api_used(text, timestamptz), @extschema@.cadence_api_limits(text),
    @extschema@.cadence_api_execution(uuid, timestamptz, text, int, int, int, int, text, text, boolean) TO PUBLIC;

GRANT EXECUTE ON FUNCTION @extschema@.cadence_api_zone(text),
    @extschema@.cadence_api_words_of(text, text), @extschema@.cadence_api_key_is(regclass, name), @extschema@.cadence_api_phone_end(text),
    @extschema@.cadence_api_search_kinds(text, boolean), @extschema@.cadence_api_search(text, text), @extschema@.cadence_api_id_tells(text, text), @extschema@.cadence_api_person(text, text, boolean), @extschema@.cadence_mask_answer(text, text), @extschema@.cadence_mask_event(text, text, text),
    @extschema@.cadence_api_story(text, text, boolean, int, text), @extschema@.cadence_api_why(uuid, text, boolean),
    @extschema@.cadence_api_next(text, text, text, boolean, int), @extschema@.cadence_api_since(text, int),
    @extschema@.cadence_api_error_sums(timestamptz, boolean, text, text, text), @extschema@.cadence_api_error_examples(text, text, text, boolean, int),
    @extschema@.cadence_api_first_day(text, int, text), @extschema@.cadence_api_waiting(), @extschema@.cadence_api_waiting_as_of() TO PUBLIC;

GRANT SELECT ON @extschema@.cadence_code_words TO PUBLIC;
