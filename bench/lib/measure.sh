# shellcheck shell=bash disable=SC2034,SC2153
#
# What was measured goes into RESULTS/samples.tsv, one line for each figure of each round: row of
# the table, name, round, value. Medians, ratios and verdicts are table.py's. Sourced by
# bench/run.sh.

open_results() {
    local line
    RESULTS=${RESULTS:-$REPOSITORY/bench/results/$(date -u +%Y-%m-%dT%H%M%SZ)}
    mkdir -p "$RESULTS"
    RESULTS=$(cd "$RESULTS" && pwd)
    ROUND=1
    {
        printf 'machine\t%s, %d cores used, %s of memory\n' \
            "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$CORES" \
            "$(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo)"
        printf 'system\t%s, Linux %s\n' "$(. /etc/os-release && say "$PRETTY_NAME")" "$(uname -r)"
        printf 'postgres\t%s\n' "$("$PG_BIN/postgres" --version | sed 's/.* \([0-9][0-9.]*\).*/\1/')"
        printf 'libcurl\t%s\n' "$(curl_version)"
        printf 'nginx\t%s\n' "$("$NGINX" -v 2>&1 | sed 's/.*nginx.//')"
        printf 'node\t%s\n' "$(node --version 2>/dev/null || say none)"
        printf 'settings\t%s\n' "$(printf '%s; ' "${CLUSTER_SETTINGS[@]}" | sed 's/; $//; s/ = / /g')"
        printf 'commit\t%s\n' "$(git_here describe --always --dirty 2>/dev/null || say unknown)"
        printf 'date\t%s\n' "$(date -u +%Y-%m-%d)"
        printf 'quick\t%s\n' "${QUICK:-0}"
        for line in STEPS ROUNDS SLOW_RUNS SLOW_NODE_RUNS SLOW_MS SLOW_IN_FLIGHT GROWN_RUNS SNAPSHOT_STEPS MEMORY_RUNS \
            IDLE_SECONDS LATENCY_SECONDS EDGE_STEPS PLAIN_STEPS CALLERS CORES WORKERS PROVIDER_ROUNDS \
            RATE_CALLERS RATE_SECONDS MAILS SERVERS SERVERS_STEPS PROTOCOL_STEPS \
            RECEIPT_STEPS RECEIPT_CALLS RECEIPT_RATE RECEIPT_SECONDS PEOPLE BLOCKED_ENTRIES; do
            printf '%s\t%s\n' "$line" "${!line}"
        done
    } >"$RESULTS/setup.tsv"
}

curl_version() {
    dpkg-query -W -f '${Version}' libcurl4-openssl-dev 2>/dev/null || say unknown
}

# sample ROW NAME VALUE: also said as progress.
sample() {
    printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$ROUND" "$3" >>"$RESULTS/samples.tsv"
    printf '  row %-3s round %d  %-22s %s\n' "$1" "$ROUND" "$2" "$3"
}

# note ROW TEXT: something that a reader of the table has to know.
note() {
    printf '%s\t%s\n' "$1" "$2" >>"$RESULTS/notes.tsv"
    say "  row $1: $2"
}

each_round() {
    for ((ROUND = 1; ROUND <= ROUNDS; ROUND++)); do
        "$@"
    done
    ROUND=1
}

rate_of() {
    awk -v n="$1" -v s="$2" 'BEGIN { printf "%.0f", n / s }'
}

# measure ROW NAME CONTENDER EXPECTED LOADED [COMMAND…]: one contender once, on fresh tables, to which
# the command is done before.
measure() {
    local steps seconds cluster sink
    fresh_tables "$5"
    "${@:6}"
    cluster=$(cpu_ticks "$(postmaster)")
    sink=$(cpu_ticks "$SINK_PID")
    "run_$3"
    read -r steps seconds <<<"$RESULT"
    cluster=$(($(cpu_ticks "$(postmaster)") - cluster))
    sink=$(($(cpu_ticks "$SINK_PID") - sink))
    [[ $steps -eq $4 ]] || what_went_wrong "$2 says that it did $steps steps, not $4"
    verify "$2" "$4"
    sample "$1" "rate.$2" "$(rate_of "$steps" "$seconds")"
    sample "$1" "cpu.$2" "$(cpu_us "$cluster" "$steps")"
    [[ $3 != cadence ]] || sample "$1" "sink.$2" "$(cpu_us "$sink" "$steps")"
}

# Ends the benchmark with what the tables say.
what_went_wrong() {
    say "events, by type and code; runs, by status:" >&2
    crm -c "SELECT tipo_evento, detalhes ->> 'codigo', detalhes ->> 'erro', count(*)
        FROM lead_cadence_events GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 10" \
        -c "SELECT status, next_step_ordem, claim_id IS NOT NULL, next_run_at <= now(), count(*)
        FROM lead_cadence_runs GROUP BY 1, 2, 3, 4" >&2
    say "executions: $(crm -c "SELECT count(*), sum(steps_executed), sum(errors), sum(runs_touched),
        min(details ->> 'erro') FROM cadence_runner_logs"); requests: $(new_requests)" >&2
    grep -E 'WARNING|ERROR|FATAL' "$WORKSPACE/main.log" | tail -n 5 >&2 || true
    die "$1"
}

# What row 1 measures, beside another row's figure and in the same minute.
measure_base() {
    measure "$1" base cadence "$STEPS" "$STEPS"
}
