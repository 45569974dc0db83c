# shellcheck shell=bash disable=SC2034,SC2153
#
# Rows 13 to 18 of the table: other protocols than webhook, limits, mail, many senders. Sourced by
# bench/run.sh.

# need_servers RUNS: a loaded database that also has what makes servers of all protocols.
need_servers() {
    local database
    need_loaded "$1"
    database=$(loaded_database "$1")
    [[ $(admin -d "$database" -c "SELECT to_regclass('bench_protocols') IS NULL") == t ]] || return 0
    admin -d "$database" -f "$WORKSPACE/source/bench/servers.sql"
}

# as_owner STATEMENT…: in the database "bench", as the role that its servers belong to.
as_owner() {
    local statement
    for statement in "$@"; do
        crm -c "$statement" >/dev/null
    done
}

# Protocols -----------------------------------------------------------------------------------------

# The same texts over three protocols, each in turn in each round; none is always the first.
row_13() {
    local ROUNDS=$PROVIDER_ROUNDS
    use_fast_sink
    need_servers "$STEPS"
    each_round row_13_round
}

row_13_round() {
    local protocols=(webhook evolution whatsapp_cloud) protocol i
    for i in 0 1 2; do
        protocol=${protocols[(i + ROUND) % 3]}
        measure 13 "$protocol" cadence "$STEPS" "$STEPS" as_owner \
            "CALL bench_server('whatsapp', '$protocol', NULL, $FAST_PORT)"
    done
}

# Limits --------------------------------------------------------------------------------------------

# More than can be sent, so that nothing waits: what is measured is the keeping of the books.
GENEROUS_LIMITS="ADD max_rate '100000', ADD max_per_minute '1000000', ADD max_per_hour '10000000',
    ADD max_per_day '100000000', ADD max_new_per_day '100000000'"

row_14() {
    local ROUNDS=$PROVIDER_ROUNDS
    use_fast_sink
    need_loaded "$STEPS"
    each_round row_14_round
}

row_14_round() {
    local i
    for i in 0 1; do
        if [[ $(((i + ROUND) % 2)) == 0 ]]; then
            measure 14 unlimited cadence "$STEPS" "$STEPS"
        else
            measure 14 limited cadence "$STEPS" "$STEPS" as_owner \
                "ALTER SERVER whatsapp OPTIONS ($GENEROUS_LIMITS)"
            verify_books "$STEPS"
        fi
    done
}

# verify_books STEPS: hour, day and first touches have counted all that was sent.
verify_books() {
    local found
    found=$(crm -F ' ' -c "SELECT sum(n) FILTER (WHERE w = 1), sum(n) FILTER (WHERE w = 2), sum(n) FILTER (WHERE w = 3)
        FROM (SELECT split_part(slot, '.', 1)::int AS w, split_part(slot, '.', 3)::int AS n
              FROM cadence_provider_state, regexp_split_to_table(trim(used), ' ') AS slot) AS slots")
    [[ $found == "$1 $1 $1" ]] ||
        die "limits: hour, day and first touches should have counted $1 each, not $found"
}

# A rate that is shared ------------------------------------------------------------------------------

RATE=80

# Callers begin one after the other, each when the one before has taken all that is due, or after ten
# seconds. So all of them are at work only where more is due than the others' queues hold, which
# small batches keep short; the seconds that count come after that.
row_15() {
    local CALLERS=$RATE_CALLERS ROUNDS=1
    use_slow_sink 0
    each_round row_15_round
    use_fast_sink
}

row_15_round() {
    local runs=$((RATE * ((RATE_CALLERS - 1) * 10 + RATE_SECONDS + 5))) before most least
    need_loaded "$runs"
    before=$(sink_requests)
    measure 15 shared at_a_rate "$runs" "$runs" as_owner \
        "ALTER SERVER whatsapp OPTIONS (ADD max_rate '$RATE')"
    sample 15 executions "$(crm -c 'SELECT count(*) FROM cadence_runner_logs WHERE steps_executed > 0')"
    read -r most least < <(ask /times | sed '1,/^\r$/d' | tail -n "+$((before + 1))" |
        "$PYTHON" "$WORKSPACE/source/bench/starts.py" "$RATE_SECONDS")
    sample 15 starts.most "$most"
    sample 15 starts.least "$least"
}

run_at_a_rate() {
    set_cadence batch_size 10
    run_callers
}

# Mail ------------------------------------------------------------------------------------------------

# Mails over kept connections to a server that throws them away: by us, by a worker with nodemailer's
# pool, and by that pool alone.
row_16() {
    prepare_peers
    HAS_NODEMAILER=no
    ! can_load nodemailer 16 || HAS_NODEMAILER=yes
    use_smtp_sink
    need_servers "$MAILS"
    each_round row_16_round
    use_fast_sink
}

row_16_round() {
    if [[ $HAS_NODEMAILER == yes ]]; then
        measure 16 nodemailer nodemailer "$MAILS" "$MAILS" mail_instead
        pool_alone
    fi
    measure 16 mail mail "$MAILS" "$MAILS" mail_instead
}

mail_instead() {
    as_owner "UPDATE cadence_steps SET canal = 'EMAIL'" \
        "UPDATE message_templates SET canal = 'EMAIL', assunto = 'Olá {{primeiro_nome}}'" \
        "CALL bench_server('whatsapp', 'smtp', NULL, $SMTP_PORT)"
}

run_mail() {
    local before
    before=$(cpu_ticks "$SMTP_PID")
    run_cadence
    sample 16 sink.mail "$(cpu_us $(($(cpu_ticks "$SMTP_PID") - before)) "$MAILS")"
}

run_nodemailer() {
    peer nodemailer.js CONN="$MAIL_CONNECTIONS"
}

# No database is in its time, and nothing is recorded: only the sink can tell what it did.
pool_alone() {
    local steps seconds
    fresh_tables "$MAILS"
    mail_instead
    peer nodemailer.js CONN="$MAIL_CONNECTIONS" ALONE=1
    read -r steps seconds <<<"$RESULT"
    [[ $steps -eq $MAILS && $(new_requests) -eq $MAILS ]] ||
        die "nodemailer's pool: $steps mails and $(new_requests) at the server, not $MAILS"
    sample 16 rate.pool "$(rate_of "$steps" "$seconds")"
}

# Many senders --------------------------------------------------------------------------------------

# Runs of SERVERS companies, sent by one server for all, and by one for each; both also with limits
# that let everything pass.
row_17() {
    local COMPANIES=$SERVERS
    use_fast_sink
    need_servers "$SERVERS_STEPS"
    each_round row_17_round
    restart_explaining
    claims_by one 1
    claims_by many "$SERVERS"
    claims_by one_limited 1 "$GENEROUS_LIMITS"
    claims_by many_limited "$SERVERS" "$GENEROUS_LIMITS"
    # shellcheck disable=SC2119
    restart_cluster
}

row_17_round() {
    sent_by one 1
    sent_by many "$SERVERS"
    sent_by one_limited 1 "$GENEROUS_LIMITS"
    verify_books "$SERVERS_STEPS"
    sent_by many_limited "$SERVERS" "$GENEROUS_LIMITS"
    verify_books "$SERVERS_STEPS"
}

# sent_by NAME HOW_MANY [LIMITS]
sent_by() {
    measure 17 "$1" cadence "$SERVERS_STEPS" "$SERVERS_STEPS" set_up_servers "${@:2}"
    verify_servers "$2"
}

set_up_servers() {
    [[ $1 -eq 1 ]] || one_for_each
    [[ -z ${2:-} ]] || say "SELECT format('ALTER SERVER %I OPTIONS (%s)', srvname, \$\$$2\$\$)
        FROM pg_foreign_server \\gexec" | crm
}

one_for_each() {
    crm <<END
SET client_min_messages = warning;
DROP SERVER whatsapp CASCADE;
SELECT format('CALL bench_server(%L, ''webhook'', %L, $FAST_PORT)', 'number_' || k, bench_company(k))
FROM generate_series(1, $SERVERS) AS k \\gexec
END
}

verify_servers() {
    local found
    found=$(crm -c "SELECT count(DISTINCT detalhes ->> 'provedor') FROM lead_cadence_events
        WHERE tipo_evento = 'DISPARADO'")
    [[ $found == "$1" ]] || die "expected messages by $1 servers, not by $found"
}

# claims_by NAME HOW_MANY [LIMITS]
claims_by() {
    fresh_tables "$SERVERS_STEPS"
    set_up_servers "${@:2}"
    measure_claims 17 "$1." run_cadence
    verify "$1" "$SERVERS_STEPS"
}

# Memory ------------------------------------------------------------------------------------------------

PROTOCOLS=17

# One execution that speaks every protocol: texts, mails with and without HTML, approved templates.
row_18() {
    local COMPANIES=$((2 * PROTOCOLS)) mails
    use_smtp_sink
    mails=$(sink_requests)
    use_fast_sink
    need_servers "$PROTOCOL_STEPS"
    fresh_tables "$PROTOCOL_STEPS"
    as_owner "CALL bench_every_protocol($FAST_PORT, $SMTP_PORT)"
    run_watched "$PROTOCOL_STEPS"
    verify_protocols $((PROTOCOL_STEPS / PROTOCOLS)) $(($(SINK_PORT=$SMTP_PORT sink_requests) - mails))
    sample 18 memory.peak "$PEAK"
    sample 18 memory.growth "$GROWTH"
}

# verify_protocols OF_EACH MAILS: requests and mails; as many steps of each protocol, by both of its
# servers and all with the id that the provider gave; and no protocol that is shipped is left out.
verify_protocols() {
    local found
    found="$(new_requests) $2 $(crm -F ' ' -c "SELECT count(*), min(n), max(n), sum(servers), sum(ids),
            (SELECT count(*) FROM cadence_protocols WHERE built_in),
            (SELECT count(*) FROM lead_messages WHERE estado = 'ENVIADO')
        FROM (SELECT s.protocol, count(*) AS n, count(detalhes ->> 'message_id') AS ids,
                     count(DISTINCT detalhes ->> 'provedor') AS servers
              FROM lead_cadence_events
              JOIN bench_protocols AS s ON detalhes ->> 'provedor' IN (s.protocol || '_1', s.protocol || '_2')
              WHERE tipo_evento = 'DISPARADO' GROUP BY s.protocol) AS p")"
    [[ $found == "$((PROTOCOL_STEPS - $1)) $1 $PROTOCOLS $1 $1 $((2 * PROTOCOLS)) $PROTOCOL_STEPS $PROTOCOLS $PROTOCOL_STEPS" ]] ||
        what_went_wrong "requests, mails; protocols, least and most of one, servers, ids; shipped, messages: $found"
}
