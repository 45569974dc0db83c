# shellcheck shell=bash disable=SC2034,SC2153
#
# How throughput changes: one CSV file for each curve, with a line for each measurement. Sourced by
# bench/run.sh.

growth() {
    growth_of_workers
    growth_of_batch_size
    growth_of_in_flight
    growth_of_latency
    growth_of_runs
    plot_growth
}

plot_growth() {
    need_packages python3-matplotlib
    "$PYTHON" "$BENCH/plot.py" "$RESULTS"
    say "curves: $RESULTS"
}

# curve NAME COLUMN: starts a file.
curve() {
    CURVE=$RESULTS/growth-$1.csv
    printf '\n%s, round, steps/s, CPU us\n' "$2"
    say "$2,round,steps_per_second,cpu_us_per_step" >"$CURVE"
}

# point X STEPS: measures with the settings in TUNED, in each round.
point() {
    each_round one_point "$1" "$2"
}

one_point() {
    local steps seconds before
    fresh_tables "$2"
    before=$(cpu_ticks "$(postmaster)")
    run_tuned
    read -r steps seconds <<<"$RESULT"
    [[ $steps -eq $2 ]] || die "$1: $steps steps, not $2"
    add_point "$1" "$steps" "$seconds" "$before"
}

add_point() {
    local after
    after=$(cpu_ticks "$(postmaster)")
    say "$1,$ROUND,$(rate_of "$2" "$3"),$(cpu_us $((after - $4)) "$2")" >>"$CURVE"
    tail -n 1 "$CURVE"
}

# TUNED: names and values in turn.
run_tuned() {
    local i
    for ((i = 0; i < ${#TUNED[@]}; i += 2)); do
        set_cadence "${TUNED[i]}" "${TUNED[i + 1]}"
    done
    run_cadence
}

growth_of_workers() {
    local workers
    use_fast_sink
    curve workers workers
    for workers in 1 2 3 4; do
        TUNED=(workers "$workers")
        point "$workers" "$GROWTH_STEPS"
    done
}

growth_of_batch_size() {
    local size
    use_fast_sink
    curve batch batch_size
    for size in 10 50 100 500 1000 5000; do
        TUNED=(batch_size "$size")
        point "$size" "$GROWTH_STEPS"
    done
}

# seconds_of_steps PER_SECOND: enough of them for some seconds, within what the machine can do.
seconds_of_steps() {
    local steps=$(($1 * 3))
    [[ $steps -ge 20 ]] || steps=20
    [[ $steps -le $((GROWTH_STEPS * 2)) ]] || steps=$((GROWTH_STEPS * 2))
    say "$steps"
}

growth_of_in_flight() {
    local n
    use_slow_sink "$SLOW_MS"
    curve in_flight max_in_flight
    for n in 1 10 100 500 1000 2000 5000; do
        TUNED=(max_in_flight "$n")
        point "$n" "$(seconds_of_steps $((n * 1000 / SLOW_MS)))"
    done
    use_fast_sink
}

growth_of_latency() {
    local ms
    curve latency provider_ms
    for ms in 0 1 5 10 50 100 500; do
        use_slow_sink "$ms"
        TUNED=(max_in_flight 100)
        point "$ms" "$(seconds_of_steps $((ms == 0 ? 20000 : 100 * 1000 / ms)))"
    done
    use_fast_sink
}

growth_of_runs() {
    local runs
    use_fast_sink
    curve runs runs_in_table
    for runs in 10000 100000 1000000 10000000; do
        [[ $runs -le $GROWTH_MOST_RUNS ]] || break
        drop_grown
        GROWN_RUNS=$runs
        each_round one_grown_point "$runs" $((GROWTH_STEPS < runs / (ROUNDS + 1) ? GROWTH_STEPS : runs / (ROUNDS + 1)))
    done
    drop_grown
}

drop_grown() {
    quietly as_user dropdb --if-exists grown
    GROWN_READY=
}

one_grown_point() {
    local steps seconds before
    enter_grown
    make_due "$2"
    warm_up
    before=$(cpu_ticks "$(postmaster)")
    run_cadence
    read -r steps seconds <<<"$RESULT"
    [[ $steps -eq $2 ]] || die "$1 runs in the table: $steps steps, not $2"
    add_point "$1" "$steps" "$seconds" "$before"
    leave_grown
}
