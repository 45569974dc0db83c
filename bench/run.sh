#!/usr/bin/env bash
#
# The benchmark: the table of twenty-two rows, where a step's time goes, and how throughput changes with
# what is in the tables and in the settings. What the figures mean is in bench/README.md.
#
#   bench/run.sh                the whole table
#   bench/run.sh row N…         some of its rows
#   bench/run.sh memory [N]     one execution over 10,000, 100,000 and N (1,000,000) due runs
#   bench/run.sh profile [WHAT] where a step's time goes: cadence (row 1), slow (row 3) or callers (row 10)
#   bench/run.sh growth         curves
#   --results DIRECTORY         before any of these: where the figures go, as text for programs
#
# From the environment: QUICK=1 for small sizes, whose figures mean nothing; ROUNDS, STEPS, and the
# other sizes of sizes() below.

set -euo pipefail

BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/lib.sh
source "$BENCH/../test/lib.sh"
for part in sink database contenders measure rows_speed grown rows_grown rows_quiet rows_providers rows_inbound profile growth; do
    # shellcheck source=/dev/null
    source "$BENCH/lib/$part.sh"
done

ALL_ROWS=(1 11 2 3 10 13 14 16 17 18 15 19 5 6 20 21 22 9 7 12 4 8)

# size NAME FULL QUICK: unless the environment says otherwise.
size() {
    local value=$2
    [[ ${QUICK:-0} == 0 ]] || value=$3
    printf -v "$1" '%s' "${!1:-$value}"
    [[ ${!1} =~ ^[1-9][0-9]{0,8}$ ]] || die "$1 is not a number: ${!1}"
}

sizes() {
    size ROUNDS 3 1
    size STEPS 20000 3000
    size PLAIN_STEPS 2000 300
    size EDGE_STEPS 2000 200
    size CORES 2 2
    size WORKERS 2 2
    # row 3
    size SLOW_MS 100 100
    size SLOW_IN_FLIGHT 1000 1000
    size SLOW_RUNS 600000 10000
    size SLOW_NODE_RUNS 100000 5000
    size SLOW_NODE_LOOPS 2 2
    # rows 4 and 8
    size GROWN_RUNS 10000000 50000
    # row 5
    size SNAPSHOT_STEPS 500000 12000
    # row 6
    size MEMORY_RUNS 1000000 20000
    # row 7
    size IDLE_SETTLE_SECONDS 65 20
    size IDLE_SECONDS 180 10
    # row 9
    size CALLS 200 30
    size LATENCY_RATE 50 50
    size LATENCY_SECONDS 30 3
    # row 10
    size CALLERS 50 50
    # rows 13 and 14
    size PROVIDER_ROUNDS 5 1
    # row 15
    size RATE_CALLERS 10 2
    size RATE_SECONDS 60 5
    # row 16
    size MAILS 20000 2000
    size MAIL_CONNECTIONS 20 20
    # row 17
    size SERVERS 200 200
    size SERVERS_STEPS 100000 6000
    # row 18
    size PROTOCOL_STEPS 102000 3400
    # rows 19 and 22
    size RECEIPT_STEPS 60000 6000
    size RECEIPT_CALLS 20000 2000
    size RECEIPT_RATE 1000 1000
    size RECEIPT_SECONDS 15 5
    # row 20
    size PEOPLE 1000000 20000
    # row 21
    size BLOCKED_ENTRIES 10000000 20000
    # profile
    size PROFILE_STEPS 100000 10000
    # growth
    size GROWTH_MOST_RUNS 10000000 30000
    size GROWTH_STEPS 20000 2000
    [[ $PLAIN_STEPS -le $STEPS && $EDGE_STEPS -le $STEPS ]] || PLAIN_STEPS=$STEPS EDGE_STEPS=$STEPS
    [[ $SNAPSHOT_STEPS -gt $((2 * STEPS)) ]] || SNAPSHOT_STEPS=$((3 * STEPS))
}

usage() {
    die "usage: bench/run.sh [--results DIRECTORY] [row N… | memory [N] | profile [WHAT] | growth]"
}

check_arguments() {
    local row
    case ${1:-} in
        '' | growth) [[ $# -le 1 ]] || usage ;;
        profile) [[ $# -le 2 && ${2:-cadence} =~ ^(cadence|slow|callers)$ ]] || usage ;;
        memory) [[ $# -le 2 && ${2:-1} =~ ^[1-9][0-9]{0,7}$ ]] || usage ;;
        row)
            [[ $# -gt 1 ]] || usage
            for row in "${@:2}"; do
                [[ $row =~ ^([1-9]|1[0-9]|2[0-2])$ ]] || usage
            done
            ;;
        *) usage ;;
    esac
}

# On a larger machine the contenders share as many cores as on the one that the targets are for.
keep_to_cores() {
    [[ $(nproc) -gt $CORES && -z ${BENCH_ON_CORES:-} ]] || return 0
    BENCH_ON_CORES=yes exec taskset -c "0-$((CORES - 1))" "$BENCH/run.sh" "$@"
}

start_everything() {
    need_postgres libpq-dev
    make_workspace
    need_nginx
    say "building for PostgreSQL $PG_MAJOR"
    interruptible private_install || die "the build failed"
    build_helpers
    open_results
    start_sink
    start_main_cluster
    sed 's/^\([a-z]*\)\t/\1: /; /^[A-Z]/d' "$RESULTS/setup.tsv"
}

rows() {
    local row
    for row in "$@"; do
        printf '\nrow %s, at %s\n' "$row" "$(date +%T)"
        "row_$row"
    done
    say ''
    "$PYTHON" "$BENCH/table.py" "$RESULTS"
    say "figures of each round: $RESULTS"
}

main() {
    local arguments=("$@")
    if [[ ${1:-} == --results ]]; then
        [[ $# -ge 2 ]] || usage
        RESULTS=$2
        shift 2
    fi
    check_arguments "$@"
    sizes
    keep_to_cores "${arguments[@]}"
    start_everything
    case ${1:-} in
        '') rows "${ALL_ROWS[@]}" ;;
        row) rows "${@:2}" ;;
        memory) memory_table "${2:-1000000}" ;;
        profile) profile "${2:-cadence}" ;;
        growth) growth ;;
    esac
}

main "$@"
