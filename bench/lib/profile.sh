# shellcheck shell=bash disable=SC2034,SC2153
#
# Where a step's time goes: by perf, in some ten buckets (buckets.py), and by statement, as
# auto_explain times them (statements.py). Sourced by bench/run.sh.

# profile WHAT: "cadence" (row 1), "slow" (row 3) or "callers" (row 10).
profile() {
    case $1 in
        slow) use_slow_sink "$SLOW_MS" && RUN_PROFILED=slow_cadence ;;
        *) use_fast_sink && RUN_PROFILED=$1 ;;
    esac
    profile_by_perf
    profile_by_statement
}

# Every process that the server starts while perf looks on: workers, and the sessions that wait for
# them.
profile_by_perf() {
    local data=$WORKSPACE/tmp/perf.data perf
    find_perf || {
        say "perf does not work here: times by statement only"
        return 0
    }
    measure 0 unwatched "$RUN_PROFILED" "$PROFILE_STEPS" "$PROFILE_STEPS"
    fresh_tables "$PROFILE_STEPS"
    "$PERF" record -q -e cpu-clock -F 499 --call-graph dwarf,16384 -o "$data" -p "$(postmaster)" \
        >/dev/null 2>&1 &
    perf=$!
    sleep 1
    "run_$RUN_PROFILED"
    kill -INT "$perf"
    wait "$perf" || true
    "$PERF" script --no-inline -i "$data" -F pid,period,ip,sym,dso 2>/dev/null |
        "$PYTHON" "$WORKSPACE/source/bench/buckets.py" "$PROFILE_STEPS" \
            "$RESULTS/functions.tsv" >"$RESULTS/profile.tsv"
    rm -f "$data"
    printf '\n%s\n\n' "CPU time of workers and callers, by perf"
    show_tsv "$RESULTS/profile.tsv"
}

# Debian's perf fits any of its kernels; what counts is whether the kernel lets us.
find_perf() {
    PERF=$(command -v perf) || need_packages linux-perf || true
    PERF=$(command -v perf) || return 1
    "$PERF" record -q -e cpu-clock -o "$WORKSPACE/tmp/perf.try" true >/dev/null 2>&1
}

profile_by_statement() {
    local log=$WORKSPACE/main.log begin
    fresh_tables "$PROFILE_STEPS"
    restart_cluster -c shared_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 \
        -c auto_explain.log_analyze=on -c auto_explain.log_timing=off
    begin=$(($(stat -c %s "$log") + 1))
    "run_$RUN_PROFILED"
    tail -c "+$begin" "$log" |
        "$PYTHON" "$WORKSPACE/source/bench/statements.py" "$PROFILE_STEPS" >"$RESULTS/statements.tsv"
    restart_cluster
    printf '\n%s\n\n' 'elapsed time of the statements, by auto_explain, triggers included'
    show_tsv "$RESULTS/statements.tsv"
}

# A file of tab-separated values, in columns.
show_tsv() {
    awk -F '\t' '{ printf "%-50s", $1; for (i = 2; i <= NF; i++) printf "%12s", $i; print "" }' "$1"
}
