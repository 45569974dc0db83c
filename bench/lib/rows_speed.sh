# shellcheck shell=bash disable=SC2034,SC2153
#
# Rows 1, 2, 3, 10 and 11 of the table: what one execution does, and what could be done at all.
# Sourced by bench/run.sh.

row_1() {
    prepare_peers
    use_fast_sink
    need_loaded "$STEPS"
    each_round row_1_round
}

row_1_round() {
    local who
    for who in "${PEERS[@]}"; do
        measure 1 "$who" "$who" "$(steps_of "$who")" "$STEPS"
    done
    measure 1 cadence cadence "$STEPS" "$STEPS"
}

# All due at the same instant, as one bulk enrolment leaves them, with the buffers of a small server.
row_11() {
    local SPREAD='0 ms'
    prepare_peers
    use_fast_sink
    restart_cluster -c shared_buffers=1GB -c huge_pages=off
    need_loaded "$STEPS"
    each_round row_11_round
    # shellcheck disable=SC2119
    restart_cluster
}

row_11_round() {
    if has_peer node; then
        measure 11 node node "$STEPS" "$STEPS"
    fi
    measure 11 cadence cadence "$STEPS" "$STEPS"
}

# The parts of a step, each alone: the sink and libcurl drive each other, and each one's CPU time is
# its own; the database part runs in two sessions, as the extension has two workers.
row_2() {
    use_fast_sink
    need_loaded "$STEPS"
    each_round row_2_round
}

row_2_round() {
    measure_base 2
    sample 2 cores "$CORES"
    part_of_sink_and_libcurl
    part_of_database
}

part_of_sink_and_libcurl() {
    local n seconds cpu sink
    sink=$(cpu_ticks "$SINK_PID")
    read -r n seconds cpu < <(as_user tmp/curl_part "$SINK_URL" $((STEPS * 3)) 100 |
        sed 's/^RESULT //')
    sink=$(($(cpu_ticks "$SINK_PID") - sink))
    sample 2 part.sink "$(cpu_us "$sink" "$n")"
    sample 2 part.libcurl "$(awk -v c="$cpu" -v n="$n" 'BEGIN { printf "%.1f", c / n * 1e6 }')"
    sample 2 rate.libcurl "$(rate_of "$n" "$seconds")"
}

part_of_database() {
    local before started seconds first second
    fresh_tables "$STEPS"
    crm -f "$WORKSPACE/source/bench/database_part.sql"
    before=$(cpu_ticks "$(postmaster)")
    started=$EPOCHREALTIME
    crm -c 'CALL bench_database_part(500)' &
    first=$!
    crm -c 'CALL bench_database_part(500)' &
    second=$!
    { wait "$first" && wait "$second"; } || die "the database part failed"
    seconds=$(awk -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
    sample 2 part.database "$(cpu_us $(($(cpu_ticks "$(postmaster)") - before)) "$STEPS")"
    sample 2 rate.database "$(rate_of "$STEPS" "$seconds")"
    verify_database_part
}

# The same rows as those of a contender, but nothing was sent.
verify_database_part() {
    local found
    found=$(crm -F ' ' -c "SELECT (SELECT count(*) FROM lead_messages),
        (SELECT count(*) FROM lead_cadence_events),
        (SELECT count(*) FROM lead_cadence_runs WHERE last_step_ordem = 1 AND next_step_ordem = 2)")
    [[ $found == "$STEPS $((STEPS * 2)) $STEPS" ]] ||
        die "the database part: expected $STEPS messages and runs and twice as many events, not $found"
}

# A provider that takes its time, and as many messages in flight as that takes.
row_3() {
    prepare_peers
    use_slow_sink "$SLOW_MS"
    sample 3 most $((SLOW_IN_FLIGHT * 1000 / SLOW_MS))
    each_round row_3_round
    use_fast_sink
}

row_3_round() {
    if has_peer node; then
        measure 3 node slow_node "$SLOW_NODE_RUNS" "$SLOW_NODE_RUNS"
    fi
    need_loaded "$SLOW_RUNS"
    measure 3 cadence slow_cadence "$SLOW_RUNS" "$SLOW_RUNS"
}

run_slow_cadence() {
    set_cadence max_in_flight "$SLOW_IN_FLIGHT"
    run_cadence
}

# As many connections as we have, and otherwise as in row 1.
run_slow_node() {
    peer node_worker.js CONN="$SLOW_IN_FLIGHT" BATCH=500 LOOPS="$SLOW_NODE_LOOPS"
}

# Many callers at once share what is due.
row_10() {
    use_fast_sink
    need_loaded "$STEPS"
    each_round row_10_round
}

row_10_round() {
    measure_base 10
    measure 10 callers callers "$STEPS" "$STEPS"
    sample 10 rate.sent "$(rate_of "$STEPS" "$SENT_AFTER")"
}

# All are connected before any of them starts; the time is from the first call to the last return,
# and to the last message.
run_callers() {
    local caller pids=() directory=$WORKSPACE/tmp/callers
    rm -rf "$directory"
    as_user mkdir "$directory"
    hold_the_gate
    for ((caller = 1; caller <= CALLERS; caller++)); do
        one_caller >"$directory/$caller" &
        pids+=($!)
    done
    wait_until all_callers_wait || die "the callers did not connect"
    open_the_gate
    for caller in "${pids[@]}"; do
        wait "$caller" || die "a caller failed"
    done
    RESULT=$(cat "$directory"/* | awk '
        { steps += $1; if (NR == 1 || $2 < first) first = $2; if ($3 > last) last = $3 }
        END { printf "%d %.3f", steps, last - first }')
    SENT_AFTER=$(crm -c "SELECT extract(epoch FROM max(enviado_em)) FROM lead_messages" |
        awk -v first="$(cut -d ' ' -f 2 "$directory"/* | sort -n | head -n 1)" '{ print $1 - first }')
}

one_caller() {
    crm -F ' ' <<'END'
SELECT pg_advisory_lock_shared(1) \g /dev/null
SELECT extract(epoch FROM clock_timestamp()) AS started \gset
SELECT cadence_run('TEST') -> 'summary' ->> 'success' AS steps \gset
SELECT :steps, :started, extract(epoch FROM clock_timestamp());
END
}

hold_the_gate() {
    coproc GATE { crm; }
    printf 'SELECT pg_advisory_lock(1);\n' >&"${GATE[1]}"
    wait_until gate_is_held || die "the gate was not closed"
}

gate_is_held() {
    [[ $(admin -d bench -c "SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'") == 1 ]]
}

all_callers_wait() {
    [[ $(admin -d bench -c "SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND NOT granted") == "$CALLERS" ]]
}

open_the_gate() {
    local pid=$GATE_PID
    eval "exec ${GATE[1]}>&-"
    wait "$pid" || true
}
