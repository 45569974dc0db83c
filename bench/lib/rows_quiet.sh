# shellcheck shell=bash disable=SC2034,SC2153
#
# Rows 6, 7, 9 and 12 of the table: what an execution keeps in memory, what a worker with nothing to
# do costs, how soon one message leaves, and what several resident workers send. Sourced by bench/run.sh.

# Memory ------------------------------------------------------------------------------------------

row_6() {
    use_fast_sink
    memory_of "$MEMORY_RUNS"
    sample 6 memory.growth "$GROWTH"
    sample 6 memory.peak "$PEAK"
    sample 6 memory.log "$LOG_BYTES"
}

# memory_of RUNS: one execution over that many due runs.
memory_of() {
    fresh_tables "$1"
    run_watched "$1"
    verify cadence "$1"
    LOG_BYTES=$(crm -c 'SELECT octet_length(details::text) FROM cadence_runner_logs')
}

# run_watched RUNS: one execution, its workers looked at five times a second.
run_watched() {
    local answer=$WORKSPACE/tmp/answer watcher steps seconds
    "$PYTHON" "$WORKSPACE/source/bench/watch.py" "$(postmaster)" 'cadence_runner' >"$answer" &
    watcher=$!
    run_cadence
    kill "$watcher"
    wait "$watcher" || die "the execution's workers were not seen"
    read -r steps seconds <<<"$RESULT"
    [[ $steps -eq $1 ]] || what_went_wrong "cadence says that it did $steps steps, not $1"
    read -r START PEAK END PEAK_PRIVATE GROWTH <"$answer"
    RATE_OF_MEMORY=$(rate_of "$steps" "$seconds")
}

# What an issue of the project asks of an execution's workers.
MEMORY_LIMIT_KB=$((100 * 1024))

# The mode "memory": several sizes, side by side.
memory_table() {
    local runs over=''
    use_fast_sink
    say "one execution each; the largest worker's resident memory without shared buffers, in kB;"
    say "the log row's details as text, in kB"
    printf '\n%10s %9s %9s %9s %14s %12s %10s\n' 'due runs' start peak end 'peak private' 'log row' \
        steps/s
    for runs in $(printf '%s\n' 10000 100000 "$1" | sort -nu); do
        [[ $runs -le $1 ]] || continue
        memory_of "$runs"
        printf '%10d %9d %9d %9d %14d %12d %10d\n' "$runs" "$START" "$PEAK" "$END" \
            "$PEAK_PRIVATE" $((LOG_BYTES / 1024)) "$RATE_OF_MEMORY"
        [[ $PEAK -lt $MEMORY_LIMIT_KB ]] || over=yes
    done
    [[ -z $over ]] || die "a worker took more than $MEMORY_LIMIT_KB kB"
}

# The resident worker -----------------------------------------------------------------------------

resident_admin() {
    as_user psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$WORKSPACE/resident/socket" -d postgres "$@"
}

# A cluster of its own, in the database "postgres" of which a worker resides.
start_resident_cluster() {
    [[ -z ${RESIDENT_CLUSTER:-} ]] || return 0
    RESIDENT_CLUSTER=yes
    start_provider provider.out --no-journal --journal "$WORKSPACE/journal"
    (start_cluster resident "${CLUSTER_SETTINGS[@]}" "shared_preload_libraries = 'cadence_runner'" \
        "cadence_runner.databases = 'postgres'")
    resident_admin -f "$WORKSPACE/source/bench/latency.sql" \
        -v url="http://127.0.0.1:$PROVIDER_PORT/ok" >/dev/null
    wait_until resident_sleeps || die "the resident worker does not run"
}

resident_sleeps() {
    [[ $(resident_admin -c "SELECT worker_state FROM cadence_runner_status
        WHERE database = 'postgres'") == sleeping ]]
}

# Nothing is due, and nobody is connected: what the extension's processes use, and what is written.
# Autovacuum, which has its own reasons to write, is off.
row_7() {
    local begin end
    start_resident_cluster
    resident_admin -c 'ALTER SYSTEM SET autovacuum = off' -c 'SELECT pg_reload_conf()' >/dev/null
    resident_admin -c 'VACUUM (ANALYZE)' -c CHECKPOINT
    sleep "$IDLE_SETTLE_SECONDS"
    begin=$(resident_admin -c 'SELECT pg_current_wal_insert_lsn()')
    say "  looking on for $IDLE_SECONDS s"
    each_round look_on $((IDLE_SECONDS / ROUNDS))
    end=$(resident_admin -c 'SELECT pg_current_wal_insert_lsn()')
    sample 7 idle.wal "$(resident_admin -c "SELECT pg_wal_lsn_diff('$end', '$begin')")"
    [[ $begin == "$end" ]] || as_user pg_waldump --path "$WORKSPACE/resident/data/pg_wal" \
        --start "$begin" --end "$end" >"$RESULTS/idle-wal.txt" 2>&1 || true
}

# look_on SECONDS: one after the other, since what a look at the tables costs depends on how much of
# its memory the machine has reclaimed meanwhile.
look_on() {
    local before after
    before=$(resident_ns)
    interruptible sleep "$1"
    after=$(resident_ns)
    sample 7 idle.cpu "$(awk -v ns=$((after - before)) -v s="$1" \
        'BEGIN { printf "%.2f", ns / 1e6 / s * 60 }')"
}

# CPU time of the extension's processes in the resident cluster, in nanoseconds.
resident_ns() {
    local pid children
    pid=$(head -n 1 "$WORKSPACE/resident/data/postmaster.pid")
    children=$(cat "/proc/$pid/task/$pid/children")
    for pid in $children; do
        ! tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q '^postgres: cadence_runner' ||
            cat "/proc/$pid"/task/*/schedstat
    done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# Several resident workers --------------------------------------------------------------------------

# What row 1 does in an execution, done by a database's resident workers: from the moment at which
# they are switched on to the last message.
row_12() {
    use_fast_sink
    need_loaded "$STEPS"
    start_resident_cluster
    # a step that follows, as in row 1, so that as much is written
    resident_admin -c "INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
        SELECT id, 2, 1440, 'WHATSAPP', 'HELLO' FROM cadences ON CONFLICT DO NOTHING"
    resident_admin -c "ALTER SYSTEM SET cadence_runner.workers = '$WORKERS'" \
        -c "ALTER SERVER whatsapp OPTIONS (SET url '$SINK_URL')" -c 'SELECT pg_reload_conf()' >/dev/null
    each_round row_12_round
    resident_admin -c "ALTER SERVER whatsapp OPTIONS (SET url 'http://127.0.0.1:$PROVIDER_PORT/ok')"
}

row_12_round() {
    local before after
    measure_base 12
    switch_resident off
    resident_admin -c "TRUNCATE lead_cadence_runs, lead_cadence_events, lead_messages, lead_contacts" \
        -c "INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, telefone)
            SELECT 'lead-' || n, c.empresa, 'Maria de Souza ' || n, 'Maria', '+55119' || lpad(n::text, 8, '0')
            FROM cadences AS c, generate_series(1, $STEPS) AS n" \
        -c "INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
            SELECT 'lead-' || n, c.empresa, c.id, 1, now() - interval '1 day' + n * interval '1 ms'
            FROM cadences AS c, generate_series(1, $STEPS) AS n" \
        -c 'VACUUM (ANALYZE)' -c CHECKPOINT
    before=$EPOCHREALTIME
    switch_resident on
    wait_until resident_is_done || die "the resident workers have not sent all of it"
    after=$(resident_admin -c 'SELECT extract(epoch FROM max(enviado_em)) FROM lead_messages')
    sample 12 rate.resident "$(awk -v n="$STEPS" -v a="$before" -v b="$after" \
        'BEGIN { printf "%.0f", n / (b - a) }')"
}

switch_resident() {
    resident_admin -c "ALTER SYSTEM SET cadence_runner.enabled = '$1'" -c 'SELECT pg_reload_conf()' \
        >/dev/null
}

resident_is_done() {
    [[ $(resident_admin -c 'SELECT count(*) FROM lead_messages') == "$STEPS" ]]
}

# One message -------------------------------------------------------------------------------------

row_9() {
    use_fast_sink
    one_call_at_a_time
    start_resident_cluster
    enrolments
}

# Enrols one lead, calls cadence_run() for it, and so on; the first call is not counted: it drains
# what was loaded.
one_call_at_a_time() {
    local times=$WORKSPACE/tmp/times
    fresh_tables 1
    calls | crm | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n +2 | sort -n >"$times"
    verify 'calls one by one' $((CALLS + 1))
    sample 9 call.p50 "$(quantile 0.5 "$times")"
    sample 9 call.p99 "$(quantile 0.99 "$times")"
}

calls() {
    local call
    for ((call = 0; call <= CALLS; call++)); do
        cat <<END
\\timing off
INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, telefone)
SELECT 'one-$call', 'ACME', 'Maria de Souza', 'Maria', '+5511900000000' WHERE $call > 0;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'one-$call', 'ACME', id, 1, now() FROM cadences WHERE $call > 0;
\\timing on
SELECT cadence_run('TEST') \\g /dev/null
END
    done
}

# quantile Q FILE: of a file's sorted numbers.
quantile() {
    awk -v q="$1" '{ v[NR] = $1 } END { n = int(q * NR) + 1; if (n > NR) n = NR; print v[n] }' "$2"
}

# Enrolments at a steady rate, served by the resident worker: from due to first byte.
enrolments() {
    local line
    line=$(PGHOST=$WORKSPACE/resident/socket as_user "$PYTHON" \
        "$WORKSPACE/source/bench/latency.py" --rate "$LATENCY_RATE" \
        --count $((LATENCY_RATE * LATENCY_SECONDS)) --journal "$WORKSPACE/journal")
    say " $line"
    sample 9 resident.p50 "$(quantile_of p50 "$line")"
    sample 9 resident.p99 "$(quantile_of p99 "$line")"
}

# quantile_of NAME LINE: of what latency.py prints.
quantile_of() {
    local rest=${2#*"$1 "}
    say "${rest%% ms*}"
}
