--
-- What the dashboard's pages show
--
-- Each page has a function cadence_api_<page>(params, people), called by cadence_http() as the
-- tables' owner: params are the query's, all of them strings; people says whether personal data
-- may be shown. A number has one source, so that no two pages disagree.

CREATE FUNCTION @extschema@.cadence_mask(value text, kind text) RETURNS text
LANGUAGE plpgsql IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- a field may hold 64 kB, and a page shows a line of it
    seen constant text := left(value, 2000);
BEGIN
    IF value IS NULL THEN
        RETURN NULL;
    END IF;
    CASE kind
    WHEN 'name' THEN
        RETURN regexp_replace(btrim(seen), '(\S)\S*', '\1***', 'g');
    WHEN 'phone' THEN
        -- of a number that has no more than four there would be nothing left to hide
        RETURN '***' || CASE WHEN length(regexp_replace(seen, '\D', '', 'g')) > 6
                             THEN right(regexp_replace(seen, '\D', '', 'g'), 4) ELSE '' END;
    WHEN 'email' THEN
        RETURN CASE WHEN strpos(seen, '@') > 1
                    THEN left(btrim(seen), 1) || '***@' || regexp_replace(seen, '^.*@', '') ELSE '***' END;
    WHEN 'address' THEN
        RETURN @extschema@.cadence_mask(value, CASE WHEN strpos(seen, '@') > 0 THEN 'email' ELSE 'phone' END);
    WHEN 'id' THEN
        -- an id says nothing, unless the application has made it of a number or a mailbox
        RETURN CASE WHEN strpos(seen, '@') > 0 THEN @extschema@.cadence_mask(value, 'email')
                    WHEN seen ~ '^\+?[0-9 ().-]{8,}$' THEN @extschema@.cadence_mask(value, 'phone')
                    ELSE value END;
    WHEN 'error' THEN
        -- the words of a provider, which like to repeat whom they could not write to
        RETURN regexp_replace(regexp_replace(seen, '([^\s@<>"'':;,(])[^\s@<>"'':;,(]*@', '\1***@', 'g'),
                              '\+?\(?[0-9][0-9 ().-]{5,}([0-9]{4})(?![0-9])', '***\1', 'g');
    WHEN 'text' THEN
        RETURN format('*** (%s)', length(value));
    ELSE
        RETURN '***';
    END CASE;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask(text, text) IS
'what a page shows of personal data to whom it may not be shown; kind: name, phone, email, address (a phone number or mailbox), id, error (addresses within a text), text (its length); of any other nothing';
