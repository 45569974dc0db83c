# shellcheck shell=bash disable=SC2034,SC2153
#
# Rows 4, 5 and 8 of the table: tables that have grown, and an old snapshot. Sourced by bench/run.sh.

row_4() {
    use_fast_sink
    each_round measure_base 4
    enter_grown
    each_round row_4_round
    claims_on_grown_tables
    leave_grown
}

row_4_round() {
    work_since_checkpoint
    make_due "$STEPS"
    warm_up
    measure_grown 4 warm
    make_due "$STEPS"
    warm_up
    checkpoint
    measure_grown 4 checkpoint
    make_due "$STEPS"
    cool_down
    measure_grown 4 cold
}

# The pages that steps touch in no order have been written to the WAL whole, most of them, on a server
# that has been at work for a while. Small tables have not enough runs for that.
work_since_checkpoint() {
    local many=$((STEPS * 5))
    [[ $GROWN_RUNS -ge $((many * 30)) ]] || return 0
    make_due "$many"
    run_cadence
}

# measure_grown ROW NAME [CONTENDER]: what is due, on grown tables.
measure_grown() {
    local steps seconds
    REQUESTS_BEFORE=$(sink_requests)
    "run_${3:-cadence}"
    read -r steps seconds <<<"$RESULT"
    [[ $steps -eq $STEPS ]] || die "$2 says that it did $steps steps, not $STEPS"
    verify_grown "$STEPS"
    sample "$1" "rate.$2" "$(rate_of "$steps" "$seconds")"
}

claims_on_grown_tables() {
    restart_explaining
    make_due "$STEPS"
    warm_up
    measure_claims 4 '' measure_grown 4 explained
    restart_cluster
}

restart_explaining() {
    restart_cluster -c shared_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 \
        -c auto_explain.log_analyze=on -c auto_explain.log_timing=off \
        -c auto_explain.log_buffers=on -c auto_explain.log_nested_statements=off
}

# measure_claims ROW PREFIX COMMAND…: the statements of one execution, timed by auto_explain in a
# server that does nothing else; their plans are kept beside the results.
measure_claims() {
    local log=$WORKSPACE/main.log kept=$RESULTS/$2claims.log begin
    begin=$(($(stat -c %s "$log") + 1))
    "${@:3}"
    tail -c "+$begin" "$log" >"$kept"
    "$PYTHON" "$WORKSPACE/source/bench/claims.py" "$kept" | while read -r name value; do
        sample "$1" "$2$name" "$value"
    done
    gzip -f "$kept"
}

# A session that keeps its snapshot: nothing that has died since can be removed or passed over
# cheaply. The first and the last STEPS of SNAPSHOT_STEPS are executions of their own.
row_5() {
    use_fast_sink
    each_round row_5_round
}

row_5_round() {
    local middle=$((SNAPSHOT_STEPS - 2 * STEPS))
    measure_base 5
    fresh_tables "$STEPS"
    hold_a_snapshot
    measure_more 5 start 0
    measure_more 5 middle "$middle"
    measure_more 5 end "$STEPS"
    release_the_snapshot
}

# measure_more ROW NAME RUNS: enrols that many more leads, all due, and sends to them.
measure_more() {
    local steps seconds wanted=$3
    enrol_more "$3"
    [[ $3 -gt 0 ]] || wanted=$STEPS
    REQUESTS_BEFORE=$(sink_requests)
    run_cadence
    read -r steps seconds <<<"$RESULT"
    [[ $steps -eq $wanted && $(new_requests) -eq $wanted ]] ||
        die "$2: $steps steps and $(new_requests) requests, not $wanted"
    sample "$1" "rate.$2" "$(rate_of "$steps" "$seconds")"
}

enrol_more() {
    crm -v runs="$1" <<'END'
SELECT count(*) AS before FROM lead_contacts \gset
INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, email, telefone)
SELECT 'lead-' || n, 'ACME', 'Maria de Souza ' || n, 'Maria', 'maria' || n || '@example.com',
       '+55119' || lpad(n::text, 8, '0')
FROM generate_series(:before + 1, :before + :runs) AS n;
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
SELECT 'lead-' || n, 'ACME', c.id, 1, now() - interval '1 day' + n * interval '1 ms'
FROM cadences AS c, generate_series(:before + 1, :before + :runs) AS n;
END
    admin -d bench -c 'VACUUM (ANALYZE)' -c CHECKPOINT
}

hold_a_snapshot() {
    coproc HOLDER { crm; }
    printf '%s\n' 'BEGIN ISOLATION LEVEL REPEATABLE READ;' 'SELECT count(*) FROM cadences;' \
        >&"${HOLDER[1]}"
    wait_until snapshot_is_held || die "no snapshot is held"
}

snapshot_is_held() {
    [[ $(admin -d bench -c "SELECT count(*) FROM pg_stat_activity
        WHERE state = 'idle in transaction' AND backend_xmin IS NOT NULL") == 1 ]]
}

release_the_snapshot() {
    local pid=$HOLDER_PID
    eval "exec ${HOLDER[1]}>&-"
    wait "$pid" || true
}

# WAL of an execution on grown tables: what pg_waldump counts, full pages apart.
row_8() {
    prepare_peers
    use_fast_sink
    enter_grown
    each_round row_8_round
    leave_grown
}

row_8_round() {
    wal_of cadence wal
    if has_peer node; then
        wal_of node wal_node
    fi
}

# wal_of CONTENDER NAME
wal_of() {
    local begin end
    make_due "$STEPS"
    warm_up
    begin=$(admin -d bench -c 'SELECT pg_current_wal_insert_lsn()')
    measure_grown 8 "$2" "$1"
    end=$(admin -d bench -c 'SELECT pg_current_wal_insert_lsn()')
    admin -d bench -c 'SELECT pg_switch_wal()' >/dev/null
    as_user pg_waldump --stats=record --path "$WORKSPACE/main/data/pg_wal" --start "$begin" \
        --end "$end" >"$RESULTS/$2-$ROUND.txt" 2>/dev/null
    wal_samples "$2" "$(admin -d bench -c "SELECT pg_wal_lsn_diff('$end', '$begin')")" \
        <"$RESULTS/$2-$ROUND.txt"
}

# The line "Total" of pg_waldump: records, their size, full pages, both.
wal_samples() {
    local all=$2 pages
    pages=$(awk '$1 == "Total" { print $5 }')
    [[ $pages =~ ^[0-9]+$ ]] || die "pg_waldump counted nothing"
    sample 8 "$1.step" $(((all - pages) / STEPS))
    sample 8 "$1.pages" $((pages / STEPS))
}
