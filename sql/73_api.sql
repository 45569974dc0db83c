--
-- What the dashboard's pages show
--
-- Each page has a function cadence_api_<page>(params, people), called by cadence_http() as the
-- tables' owner: params are the query's, all of them strings; people says whether personal data
-- may be shown. A number has one source, so that no two pages disagree.

-- Looking for what is to be masked takes time with the length of a text, and a page has hundreds of them. What is cut
-- off may have been the rest of a number or a name, whose beginning goes with it.
CREATE FUNCTION @extschema@.cadence_mask_cut(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN length($1) <= 300 THEN $1
                ELSE regexp_replace(regexp_replace("left"($1, 300), '\S{1,40}$', ''), '[^[:alpha:]]+$', '') END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask_cut(text) IS
'part of the dashboard: as much of a text as is shown of it where it is masked';

-- The same text, with digits, letters and @ as everybody writes them, so that they are found. convert_from(), since the
-- script is also read by databases that can not have these digits.
CREATE FUNCTION @extschema@.cadence_mask_plain(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    plain text := value;
BEGIN
    IF plain ~ '\\u[0-9a-fA-F]{4}' THEN
        -- as JSON writes letters, also within JSON; any other backslash is one, and half of a pair is no letter
        plain := unistr(regexp_replace(regexp_replace(plain, '\\+(?=u[0-9a-fA-F]{4})', '\\', 'g'),
            '\\(?!u(?:00[2-9a-fA-F]|0[1-9a-fA-F][0-9a-fA-F]|[1-9abcefABCEF][0-9a-fA-F]{2}|[dD][0-7][0-9a-fA-F])[0-9a-fA-F])', '\\\\', 'g'));
    END IF;
    -- a single letter may become eighteen
    plain := @extschema@.cadence_mask_cut(normalize(plain, NFKC));
    -- what is not seen, and what this function's caller marks times with
    plain := regexp_replace(plain, '[\u0001\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]', '', 'g');
    plain := translate(plain, convert_from('\xd9a0d9a1d9a2d9a3d9a4d9a5d9a6d9a7d9a8d9a9dbb0dbb1dbb2dbb3dbb4dbb5dbb6dbb7dbb8dbb9'::bytea, 'UTF8'), '01234567890123456789');
    plain := regexp_replace(plain, '(?:%(?:25)*(?:2[0-46-9a-fA-F]|3[a-fA-F]|0[aAdD]|[cC]2%(?:25)*[aA]0))+', ' ', 'g');
    plain := regexp_replace(plain, '&(?:nbsp|quot|apos|#39);', ' ', 'g');
    plain := replace(replace(replace(plain, '&lt;', '<'), '&gt;', '>'), '&amp;', '&');
    -- a mailbox between < and > is no tag; one within a word stays, since nobody can tell whether that is one word or two
    IF plain !~* '[[:alpha:]](?:</?(?:[abisuq]|em|tt|big|sub|sup|wbr|span|font|mark|code|small|strong)\M[^<>]*>)+[[:alpha:]]' THEN
        plain := regexp_replace(plain, '(?:</?[a-zA-Z!][^<>@]*>)+', ' ', 'g');
    END IF;
    -- of "look at example.com" a word is lost, since nobody can tell it from a mailbox
    plain := regexp_replace(plain, '%(?:25)*40|\\x40|&(?:#64|#[xX]40|commat);|=40(?=[[:alnum:]-]+\.[[:alpha:]])'
                                   '|\s*[[({]\s*(?:at|arroba)\s*[])}]\s*|\s+(?:at|arroba)\s+(?=[[:alnum:]-]+(?:\.[[:alpha:]]|\s+[[({]?(?:dot|ponto)\M))', '@', 'gi');
    RETURN regexp_replace(plain, '\s*@\s*(?=[[:alnum:]-]+(?:\.[[:alnum:]]|\s+[[({]?(?:dot|ponto)\M))', '@', 'gi');
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask_plain(text) IS
'part of the dashboard: a text with numbers and addresses spelled plainly, in which those are looked for';

-- As names are compared: without accents, and in small letters.
CREATE FUNCTION @extschema@.cadence_mask_letters(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT lower(regexp_replace(normalize($1, NFKD), '[\u00ad\u0300-\u036f\u200b-\u200f\u2060\ufeff]', '', 'g'))
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask_letters(text) IS
'part of the dashboard: the letters by which words of a name are found in a text';

-- The words of a provider, which like to repeat whom they could not write to, however they spell a number: eight digits
-- and more that are no day, with little between them.
CREATE FUNCTION @extschema@.cadence_mask_said(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    no_day constant text := '(?![0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9]))';
    number constant text := '(?<![0-9])' || no_day || '\+?\(?[0-9](?:%1$s[0-9]){%2$s,}%1$s([0-9])%1$s([0-9])%1$s([0-9])%1$s([0-9])(?![0-9])';
    said text := @extschema@.cadence_mask_cut(value);
BEGIN
    IF said ~* '[^ -~]|[%&\\@<=]|\m(?:at|arroba)\M' THEN
        said := @extschema@.cadence_mask_plain(said);
        -- letters in a spelling that is not read here may be a name
        IF said ~ '</?[a-zA-Z!][^<>@]*>|%(?:25)*[3-9A-Fa-f][0-9A-Fa-f]|=[89A-Fa-f][0-9A-Fa-f]=|=[C-F][0-9][[:alpha:]]|=\?|&#|&[[:alpha:]]\w*;|&[[:alpha:]](?:acute|grave|circ|tilde|uml|cedil)|\\[uUx][{0-9A-Fa-f]|\\[0-7]{3}' THEN
            RETURN @extschema@.cadence_mask(value, 'text');
        END IF;
        said := regexp_replace(said, '("[^"]*"|([^\s@<>"'':;,(])[^\s@<>"'':;,(]*)@', '\2***@', 'g');
    END IF;
    -- a colon stands between hours and minutes, and there parts numbers; elsewhere it may be within one
    IF said ~ '[0-9]:[0-9]' THEN
        said := regexp_replace(said, '(?<![0-9:])([01][0-9]|2[0-4]):([0-5][0-9])(?![0-9:])', E'\\1\u0001\\2', 'g');
        said := regexp_replace(said, '(?<![0-9:])([01][0-9]|2[0-4]):([0-5][0-9]):([0-6][0-9])(?![0-9:])', E'\\1\u0001\\2\u0001\\3', 'g');
        IF said ~ '[0-9]:[0-9]' THEN
            said := regexp_replace(said, format(number, '(?:(?:[^[:alnum:]:\u0001]{1,4}|:)' || no_day || ')?', 4), '***\1\2\3\4', 'g');
        END IF;
    END IF;
    said := regexp_replace(said, format(number, '(?:[^[:alnum:]:\u0001]{1,4}' || no_day || ')?', 3), '***\1\2\3\4', 'g');
    RETURN translate(said, E'\u0001', ':');
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask_said(text) IS
'part of the dashboard: the words of others without numbers and mailboxes; only their length where they are spelled in a way that is not read here';

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
        RETURN @extschema@.cadence_mask_said(value);
    WHEN 'reason' THEN
        -- of a line of cadence_health() what is ours: who is meant by the words behind it, nobody can tell
        RETURN @extschema@.cadence_mask_said(regexp_replace(seen,
            '^((?:server|template) ".*?(?:; \d+ wait|in the last hour|\d\d:\d\d:\d\d(?:[+-][0-9:]+)?(?=: )))[:;] .*$', '\1'));
    WHEN 'text' THEN
        RETURN format('*** (%s)', length(value));
    ELSE
        RETURN '***';
    END CASE;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_mask(text, text) IS
'what a page shows of personal data to whom it may not be shown; kind: name, phone, email, address (a phone number or mailbox), id, error (addresses within a text), reason (a line of cadence_health(), without the words of others in it), text (its length); of any other nothing';

-- Several companies may have several zones, and a page has one: that of most of them.
CREATE FUNCTION @extschema@.cadence_api_zone() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone text := 'America/Sao_Paulo';
BEGIN
    SELECT e.fuso_horario INTO zone FROM @extschema@.cadence_empresas AS e
    WHERE e.fuso_horario IS NOT NULL GROUP BY e.fuso_horario ORDER BY count(*) DESC, e.fuso_horario LIMIT 1;
    zone := coalesce(zone, 'America/Sao_Paulo');
    -- one that does not exist keeps its company from sending, and is in cadence_health()
    PERFORM now() AT TIME ZONE zone;
    RETURN zone;
EXCEPTION WHEN undefined_table OR invalid_parameter_value THEN
    RETURN 'America/Sao_Paulo';
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_zone() IS
'part of the dashboard: the zone of its times, that of most companies';

-- The health's words are for whoever runs the server, and hold numbers and names; a page says in
-- its own words what is meant. A line that names something is known
-- by what it says after the name, which ends as soon as it can: the first quantifier makes the others lazy.
CREATE FUNCTION @extschema@.cadence_api_reason(reason text) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    WITH named AS (
        SELECT m[2] AS name, m[1] || ' ' || m[3] AS said
        FROM regexp_match($1, '^([a-z]{1,8}?) "(.*?)" (has been paused|has sent nothing|has written|fails:|speaks version|of company|sends nothing)') AS m)
    SELECT jsonb_build_object('text', $1, 'name', n.name, 'kind', coalesce((
        SELECT x.kind FROM (VALUES
            ('server has been paused', 'sender_paused'),
            ('server has sent nothing', 'sender_shut'),
            ('server has written', 'sender_no_new'),
            ('server fails:', 'sender_fails'),
            ('server speaks version', 'version_ends'),
            ('template of company', 'template_stopped'),
            ('(cadence|company) sends nothing', CASE WHEN strpos($1, '" sends nothing that depends on the time there') > 0
                                                     THEN 'zone_unknown' ELSE 'rule_shut' END),
            ('cadence_runner.enabled is off', 'disabled'),
            ('the resident worker does not run', 'worker_down'),
            ('the resident worker is paused', 'worker_paused'),
            ('the resident worker is stuck', 'worker_stuck'),
            ('table \S+ has no trigger', 'no_barrier'),
            ('table .* does not exist', 'no_tables'),
            ('nothing may be sent from here', 'copy'),
            ('nothing is sent while a view', 'view_broken'),
            ('overdue:', 'overdue'),
            ('active without next_run_at', 'undated'),
            ('the last execution failed', 'execution_failed'),
            ('\d+ answers or receipts could not be taken', 'rejected'),
            ('\d+ news for other tools', 'news')) AS x(pattern, kind)
        WHERE coalesce(n.said, $1) ~ ('^' || x.pattern) LIMIT 1), 'other'))
    FROM named AS n
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_reason(text) IS
'part of the dashboard: of which kind a line of cadence_health() is, and whose name it has';

CREATE FUNCTION @extschema@.cadence_api_agora(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $$
DECLARE
    may_see constant boolean := coalesce(people, false);
    zone constant text := @extschema@.cadence_api_zone();
    since constant timestamptz := date_trunc('minute', now()) - interval '24 hours';
    status record;
    health record;
    counts jsonb;
BEGIN
    -- until the function ends the answer's times are the zone's, and those in the health's words
    PERFORM set_config('TimeZone', zone, true);
    SELECT * INTO status FROM @extschema@.cadence_runner_status() AS s WHERE s.database = current_database();
    SELECT * INTO health FROM @extschema@.cadence_health('5 minutes'::interval);
    WITH attempts AS MATERIALIZED (
        SELECT c.at, sum(c.n) FILTER (WHERE c.outcome = 'sent') AS sent,
               sum(c.n) FILTER (WHERE c.outcome IN ('failed', 'refused', 'uncertain', 'unresolved')) AS failed
        FROM @extschema@.cadence_rollup_counts('MINUTE'::text, '{attempt}'::text[], least(since, date_trunc('day', now())), 'infinity'::timestamptz) AS c
        GROUP BY c.at
    ), minutes AS (
        SELECT jsonb_agg(coalesce(a.sent, 0) ORDER BY m.at) AS sent, jsonb_agg(coalesce(a.failed, 0) ORDER BY m.at) AS failed
        FROM generate_series(since, date_trunc('minute', now()), interval '1 minute') AS m(at) LEFT JOIN attempts AS a ON a.at = m.at
    )
    SELECT jsonb_build_object(
        'minutes', jsonb_build_object('from', since, 'sent', m.sent, 'failed', m.failed),
        'sent_today', coalesce((SELECT sum(a.sent) FROM attempts AS a WHERE a.at >= date_trunc('day', now())), 0),
        'failed_today', coalesce((SELECT sum(a.failed) FROM attempts AS a WHERE a.at >= date_trunc('day', now())), 0)) INTO counts
    FROM minutes AS m;
    RETURN counts || jsonb_build_object(
        'zone', zone,
        'healthy', coalesce(health.ok, false),
        'reasons', (SELECT coalesce(jsonb_agg(@extschema@.cadence_api_reason(
                        CASE WHEN may_see THEN r.reason ELSE @extschema@.cadence_mask(r.reason, 'reason') END) ORDER BY r.n), '[]')
                    FROM unnest(health.reasons) WITH ORDINALITY AS r(reason, n)),
        'due', status.due_now,
        'oldest_due', status.oldest_due,
        'lag_seconds', round(extract(epoch FROM status.lag)),
        'in_flight', status.claimed,
        'uncertain', status.uncertain,
        'next_due', status.next_due,
        'last_execution', (SELECT l.executed_at FROM @extschema@.cadence_runner_logs AS l ORDER BY l.executed_at DESC LIMIT 1));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_agora(jsonb, boolean) IS
'the page Agora: health, what is due and under way, and what was sent and has failed today and in each of the last 24 hours'' minutes';

-- Windows are counted in slots, the youngest first, from the last start that was given out on
-- (rules/limits.c); those that have grown too old since are not in the window any more.
CREATE FUNCTION @extschema@.cadence_api_used(used text, last_at timestamptz)
RETURNS TABLE (window_name text, used bigint)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT w.name, coalesce((
        SELECT sum(split_part(slot, '.', 3)::bigint) FROM regexp_split_to_table(btrim($1), '\s+') AS slot
        WHERE slot ~ '^\d{1,9}\.\d{1,9}\.\d{1,9}$' AND split_part(slot, '.', 1)::int = w.number
          AND split_part(slot, '.', 2)::int + floor(extract(epoch FROM now()) / w.width) - floor(extract(epoch FROM $2) / w.width) < w.slots), 0)::bigint
    FROM (VALUES ('minute', 0, 1, 61), ('hour', 1, 60, 61), ('day', 2, 900, 97), ('new_day', 3, 900, 97)) AS w(name, number, width, slots)
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_used(text, timestamptz) IS
'part of the dashboard: how much of each window of a sender''s limits is used, from its row of cadence_provider_state';

-- An option that a server does not have is its protocol's. A day's limit may still grow.
CREATE FUNCTION @extschema@.cadence_api_limits(server text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
    WITH own AS MATERIALIZED (
        SELECT coalesce(jsonb_object_agg(o.option_name, o.option_value), '{}') AS options
        FROM pg_foreign_server AS s CROSS JOIN LATERAL pg_options_to_table(s.srvoptions) AS o WHERE s.srvname = $1
    ), valid AS MATERIALIZED (
        SELECT coalesce((SELECT p.definition -> 'limits' FROM @extschema@.cadence_protocols AS p
                         WHERE lower(p.name) = lower(coalesce(own.options ->> 'protocol', 'webhook'))), '{}') || own.options AS options FROM own
    ), state AS MATERIALIZED (
        SELECT s.used, s.last_at, s.first_used_at FROM valid AS v
        JOIN @extschema@.cadence_provider_state AS s
            ON s.server = CASE WHEN v.options ->> 'limit_group' <> '' THEN 'limit_group ' || (v.options ->> 'limit_group') ELSE $1 END
    ), warm AS MATERIALIZED (
        SELECT m[1]::int AS first, m[2]::int AS last,
               extract(epoch FROM (m[3] || coalesce(m[4], 's'))::interval) AS seconds
        FROM valid AS v CROSS JOIN LATERAL regexp_match(v.options ->> 'warm_up', '^\s*(\d{1,9})\.\.(\d{1,9})/\s*(\d{1,9})\s*(ms|s|min|h|d)?\s*$') AS m
        WHERE m IS NOT NULL
    ), most AS (
        SELECT w.name, w.place,
               CASE WHEN v.options ->> w.option ~ '^\s*\d{1,9}\s*$' THEN nullif((v.options ->> w.option)::int, 0) END AS most
        FROM valid AS v CROSS JOIN (VALUES ('minute', 'max_per_minute', 1), ('hour', 'max_per_hour', 2), ('day', 'max_per_day', 3),
                                           ('new_day', 'max_new_per_day', 4)) AS w(name, option, place)
    ), effective AS (
        SELECT m.name, m.place, CASE WHEN m.name <> 'day' THEN m.most ELSE least(m.most, (
            SELECT CASE WHEN u.seconds >= w.seconds THEN w.last
                        ELSE w.first + trunc((w.last - w.first) * greatest(u.seconds, 0) / nullif(w.seconds, 0))::int END
            FROM warm AS w CROSS JOIN LATERAL (SELECT coalesce(extract(epoch FROM now() - (SELECT s.first_used_at FROM state AS s)), 0) AS seconds) AS u)) END AS most
        FROM most AS m
    )
    SELECT jsonb_build_object(
        'gap', v.options ->> 'gap',
        'max_rate', CASE WHEN v.options ->> 'max_rate' ~ '^\s*\d+(\.\d+)?\s*$' THEN (v.options ->> 'max_rate')::numeric END,
        'limits', (SELECT coalesce(jsonb_agg(jsonb_build_object('window', e.name, 'most', e.most, 'used', coalesce(u.used, 0)) ORDER BY e.place), '[]')
                   FROM effective AS e LEFT JOIN (SELECT x.* FROM state AS s CROSS JOIN LATERAL @extschema@.cadence_api_used(s.used, s.last_at) AS x) AS u
                       ON u.window_name = e.name
                   WHERE e.most IS NOT NULL))
    FROM valid AS v
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_limits(text) IS
'part of the dashboard: what a sender''s limits are, and how much of them is used';

CREATE FUNCTION @extschema@.cadence_api_servidores(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $$
DECLARE
    may_see constant boolean := coalesce(people, false);
    zone constant text := @extschema@.cadence_api_zone();
    minute constant timestamptz := date_trunc('minute', now());
    known jsonb;
    cards jsonb;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    SELECT s.providers INTO known FROM @extschema@.cadence_runner_status() AS s WHERE s.database = current_database();
    WITH attempts AS MATERIALIZED (
        SELECT c.server, sum(c.n) FILTER (WHERE c.outcome = 'sent') AS sent,
               sum(c.n) FILTER (WHERE c.outcome = 'sent' AND c.at >= minute - interval '5 minutes' AND c.at < minute) AS lately,
               sum(c.n) FILTER (WHERE c.outcome IN ('failed', 'refused', 'uncertain')) AS failed
        FROM @extschema@.cadence_rollup_counts('MINUTE'::text, '{attempt}'::text[], minute - interval '59 minutes', 'infinity'::timestamptz) AS c
        GROUP BY c.server
    ), failed AS MATERIALIZED (
        SELECT DISTINCT ON (e.server) e.server, e.code, e.template
        FROM @extschema@.cadence_api_error_sums(date_trunc('hour', now() - interval '1 day', 'UTC'), false, NULL, NULL, NULL) AS e
        WHERE e.server <> '' ORDER BY e.server, e.last_at DESC
    )
    SELECT jsonb_agg(jsonb_build_object(
            'server', p.server,
            'channel', p.card ->> 'canal',
            'company', p.card ->> 'empresa',
            'state', w.state, 'since', w.since, 'until', w.until,
            -- of whom these words are, nobody can tell
            'reason', CASE WHEN may_see THEN w.reason ELSE @extschema@.cadence_mask(w.reason, 'text') END,
            'waiting', CASE WHEN w.state IN ('paused', 'open') THEN greatest(s.waiting, s.waited) END,
            'in_flight', p.card -> 'in_flight',
            'rate_per_minute', round(coalesce(a.lately, 0) / 5.0, 1),
            'sent_last_hour', coalesce(a.sent, 0),
            'failed_last_hour', coalesce(a.failed, 0),
            'last_error', coalesce(CASE WHEN may_see THEN p.card ->> 'last_error' END, x.example ->> 'text'),
            'last_error_at', coalesce(CASE WHEN may_see THEN (p.card ->> 'last_error_at')::timestamptz END, (x.example ->> 'at')::timestamptz),
            'version', p.card ->> 'version', 'version_ends', p.card ->> 'version_ends')
        || @extschema@.cadence_api_limits(p.server)
        ORDER BY p.card ->> 'empresa' NULLS LAST, p.server) INTO cards
    FROM (SELECT x.card, x.card ->> 'server' AS server FROM jsonb_array_elements(known) AS x(card)) AS p
    LEFT JOIN @extschema@.cadence_provider_state AS s ON s.server = p.server
    LEFT JOIN attempts AS a ON a.server = p.server
    -- an event remembers what was said, also without the library in memory, and of whom it was
    LEFT JOIN failed AS f ON f.server = p.server AND (NOT may_see OR p.card ->> 'last_error' IS NULL)
    LEFT JOIN LATERAL @extschema@.cadence_api_error_examples(f.code, f.server, f.template, may_see, 1) AS x(example) ON f.code IS NOT NULL
    CROSS JOIN LATERAL (
        SELECT v.* FROM (VALUES
            (1, s.paused_at IS NOT NULL, 'paused', s.paused_at, NULL::timestamptz, s.pause_reason),
            (2, s.open_since IS NOT NULL, 'open', s.open_since, s.open_until, s.open_reason),
            (3, s.new_until > now(), 'no_new', s.new_since, s.new_until, s.new_reason),
            (4, s.slow_until > now(), 'slow', NULL, s.slow_until, NULL),
            (5, coalesce(a.lately, 0) > 0 OR (p.card ->> 'in_flight')::bigint > 0, 'sending', NULL, NULL, NULL),
            (6, true, 'idle', NULL, NULL, NULL)) AS v(place, holds, state, since, until, reason)
        WHERE v.holds ORDER BY v.place LIMIT 1) AS w;
    RETURN jsonb_build_object('zone', zone, 'rows', coalesce(cards, '[]'));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_servidores(jsonb, boolean) IS
'the page Agora: each sender''s state, how much it has sent and failed in the last hour, what of its limits is used, and what its provider said last';

-- An execution that ended by an error counts that one, too: only where there are errors is it looked
-- for, since details may be large.
CREATE FUNCTION @extschema@.cadence_api_execution(id uuid, at timestamptz, trigger_source text, runs_touched int, steps_executed int,
    errors int, duration_ms int, error text, sqlstate text, people boolean) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(
        'id', $1, 'at', $2, 'trigger', $3, 'total', $4, 'sent', $5, 'errors', $6,
        'skipped', greatest($4 - $5 - $6 + CASE WHEN $8 IS NULL THEN 0 ELSE 1 END, 0),
        'duration_ms', $7, 'error', CASE WHEN $10 THEN "left"($8, 2000) ELSE @extschema@.cadence_mask($8, 'error') END, 'sqlstate', $9)
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_execution(uuid, timestamptz, text, int, int, int, int, text, text, boolean) IS
'part of the dashboard: what is shown of a row of the log';

CREATE FUNCTION @extschema@.cadence_api_execucoes(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $$
DECLARE
    shown constant int := 50;
    zone constant text := @extschema@.cadence_api_zone();
    may_see constant boolean := coalesce(people, false);
    before constant timestamptz := coalesce(nullif(params ->> 'before', '')::timestamptz, 'infinity');
    before_id constant uuid := coalesce(nullif(params ->> 'before_id', '')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    found jsonb;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    SELECT jsonb_agg(@extschema@.cadence_api_execution(l.id, l.executed_at, l.trigger_source, l.runs_touched, l.steps_executed,
               l.errors, l.duration_ms, l.error, l.sqlstate, may_see) ORDER BY l.executed_at DESC, l.id DESC)
    INTO found
    FROM (
        SELECT x.id, x.executed_at, x.trigger_source::text, x.runs_touched, x.steps_executed, x.errors, x.duration_ms,
               CASE WHEN x.errors > 0 THEN x.details ->> 'erro' END AS error, CASE WHEN x.errors > 0 THEN x.details ->> 'sqlstate' END AS sqlstate
        FROM @extschema@.cadence_runner_logs AS x
        WHERE x.executed_at <= before AND (x.executed_at < before OR x.id < before_id)
        ORDER BY x.executed_at DESC, x.id DESC LIMIT shown + 1) AS l;
    RETURN jsonb_build_object(
        'zone', zone,
        'rows', coalesce(found - shown, '[]'),
        'next', CASE WHEN jsonb_array_length(found) > shown
                     THEN jsonb_build_object('before', found -> (shown - 1) -> 'at', 'before_id', found -> (shown - 1) -> 'id') END);
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_execucoes(jsonb, boolean) IS
'the page Execuções: fifty rows of the log, the newest first; those before the time and id in before and before_id. next is what to ask for those that follow';

CREATE FUNCTION @extschema@.cadence_api_execucao(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    shown constant int := 1000;
    zone constant text := @extschema@.cadence_api_zone();
    may_see constant boolean := coalesce(people, false);
    language constant text := coalesce(params ->> 'lang', 'pt-BR');
    answer jsonb;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    SELECT jsonb_build_object(
        'zone', zone,
        'execution', @extschema@.cadence_api_execution(l.id, l.executed_at, l.trigger_source::text, l.runs_touched, l.steps_executed,
            l.errors, l.duration_ms, l.details ->> 'erro', l.details ->> 'sqlstate', may_see),
        'truncated', coalesce(l.details ->> 'results_truncated' = 'true', false) OR r.n > shown,
        'results', r.results) INTO answer
    FROM @extschema@.cadence_runner_logs AS l
    CROSS JOIN LATERAL (
        SELECT count(*) AS n, coalesce(jsonb_agg(jsonb_build_object(
            'run', x.result ->> 'runId',
            -- of whom nothing is known any more, nobody can tell what the id says
            'lead', CASE WHEN may_see THEN x.result ->> 'leadId'
                         WHEN p.lead IS NULL OR @extschema@.cadence_api_id_tells(p.lead, p.empresa) THEN '***' ELSE p.lead END,
            'name', p.name,
            'step', x.result -> 'stepOrdem',
            'template', x.result ->> 'templateCodigo',
            'status', x.result ->> 'status',
            'message', CASE WHEN may_see THEN "left"(coalesce(x.result ->> 'erro', x.result ->> 'mensagem'), 2000)
                            ELSE @extschema@.cadence_mask_event(c.code, coalesce(x.result ->> 'erro', x.result ->> 'mensagem'), p.names) END,
                'code', c.code, 'means', @extschema@.cadence_api_words_of(c.code, language) -> 'means')
            ORDER BY x.n) FILTER (WHERE x.n <= shown), '[]') AS results
        FROM jsonb_array_elements(CASE WHEN jsonb_typeof(l.details -> 'results') = 'array' THEN l.details -> 'results' END)
            WITH ORDINALITY AS x(result, n)
        CROSS JOIN LATERAL (
            SELECT CASE WHEN x.n <= shown AND x.result ->> 'runId' ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
                        THEN (x.result ->> 'runId')::uuid END AS id) AS u
        -- a result has the words of its event, and not the code
        LEFT JOIN LATERAL (
            SELECT "left"(e.detalhes ->> 'codigo', 40) AS code FROM @extschema@.lead_cadence_events AS e
            WHERE e.lead_cadence_run_id = u.id AND e.tipo_evento = 'ERRO' AND x.result ->> 'status' = 'ERRO'
              AND "left"(e.detalhes ->> 'erro', 200) = "left"(x.result ->> 'erro', 200)
            ORDER BY e.created_at DESC LIMIT 1) AS c ON true
        LEFT JOIN LATERAL (
            SELECT run.lead_id::text AS lead, run.empresa::text AS empresa, (
                SELECT CASE WHEN may_see THEN "left"(k.nome::text, 400) ELSE @extschema@.cadence_mask(k.nome::text, 'name') END
                FROM @extschema@.lead_contacts AS k WHERE k.lead_id::text = run.lead_id::text AND k.empresa::text = run.empresa::text
                ORDER BY k.updated_at DESC NULLS LAST, k.id LIMIT 1) AS name, (
                SELECT string_agg(concat_ws(' ', k.nome, k.primeiro_nome), ' ') FROM @extschema@.lead_contacts AS k
                WHERE k.lead_id::text = run.lead_id::text AND k.empresa::text = run.empresa::text) AS names
            FROM @extschema@.lead_cadence_runs AS run
            WHERE run.id = u.id) AS p ON true) AS r
    WHERE l.id = nullif(params ->> 'id', '')::uuid;
    RETURN answer;
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_execucao(jsonb, boolean) IS
'the page Execução: the row of the log with that id, and what became of each step, the errors first, with what their codes mean (in lang); null where there is none';

-- A forecast plays every run that is due until then, five thousand in a fraction of a second. Where
-- more are due, it goes as far as those, by whole hours; what comes after is what is due, by the hour, which
-- windows and limits may still put off.
CREATE FUNCTION @extschema@.cadence_api_agenda(params jsonb, people boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $$
DECLARE
    played constant int := 5000;
    days constant int := 7;
    zone constant text := @extschema@.cadence_api_zone();
    until timestamptz;
    exact_until timestamptz;
    due_from timestamptz := '-infinity';
    too_many timestamptz;
    hours jsonb;
    due jsonb;
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    until := date_trunc('day', now()) + make_interval(days => days);
    SELECT r.next_run_at INTO too_many FROM @extschema@.lead_cadence_runs AS r
    WHERE r.status = 'ATIVA' AND r.next_run_at < until ORDER BY r.next_run_at OFFSET played LIMIT 1;
    exact_until := CASE WHEN too_many IS NULL THEN until ELSE greatest(date_trunc('hour', too_many), now()) END;
    IF exact_until > now() THEN
        due_from := exact_until;
        SELECT jsonb_agg(jsonb_build_object('at', f.hour, 'channel', f.canal, 'server', f.server, 'n', f.n, 'certain', f.certain)
                         ORDER BY f.hour, f.canal, f.server) INTO hours
        FROM (SELECT date_trunc('hour', x.at) AS hour, x.canal, x.server, count(*) AS n, count(*) FILTER (WHERE x.certain) AS certain
              FROM @extschema@.cadence_forecast(now(), exact_until) AS x WHERE x.at < exact_until GROUP BY 1, 2, 3) AS f;
    END IF;
    IF too_many IS NOT NULL THEN
        -- by quarters first, which need no zone: there may be a million
        SELECT jsonb_agg(jsonb_build_object('at', d.hour, 'n', d.n) ORDER BY d.hour) INTO due
        FROM (SELECT date_trunc('hour', greatest(q.quarter, now())) AS hour, sum(q.n) AS n
              FROM (SELECT date_bin('15 minutes', r.next_run_at, '2000-01-01 00:00:00+00') AS quarter, count(*) AS n
                    FROM @extschema@.lead_cadence_runs AS r
                    WHERE r.status = 'ATIVA' AND r.next_run_at >= due_from AND r.next_run_at < until GROUP BY 1) AS q
              GROUP BY 1) AS d;
    END IF;
    RETURN jsonb_build_object('zone', zone, 'until', until, 'exact_until', exact_until, 'exact', too_many IS NULL,
                              'hours', coalesce(hours, '[]'), 'due', coalesce(due, '[]'));
END
$$;

COMMENT ON FUNCTION @extschema@.cadence_api_agenda(jsonb, boolean) IS
'the page Agenda: what will leave in the next seven days, by hour, channel and sender, as cadence_forecast() says it; where too much is due, that as far as exact_until, and what is due after it';
