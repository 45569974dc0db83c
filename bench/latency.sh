#!/usr/bin/env bash
#
# How long after it is due the first byte of a message reaches its provider: leads enrolled at a
# steady rate and served by the resident worker; then one by one, each served by pg_cron every
# minute. What the figures mean is in bench/README.md.
#
#   bench/latency.sh            from the environment: RATE=50 SECONDS_LONG=30 CRON_MINUTES=3

set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../test/lib.sh"

RATE=${RATE:-50}
SECONDS_LONG=${SECONDS_LONG:-30}
CRON_MINUTES=${CRON_MINUTES:-3}

admin() {
    as_user psql -X -q -A -t -v ON_ERROR_STOP=1 -d postgres "$@"
}

# A tenth of a second is enough for a worker that is alive to answer.
resident_sleeps() {
    [[ $(admin -c "SELECT worker_state FROM cadence_runner_status WHERE database = 'postgres'") == sleeping ]]
}

load() {
    admin -f "$WORKSPACE/source/bench/latency.sql" -v url="http://127.0.0.1:$PROVIDER_PORT/ok" \
        >/dev/null
}

# enrol_and_measure RATE COUNT: enrols from one session, and prints the quantiles of the delay
# between the time at which each step was due and the time at which the provider had its request.
enrol_and_measure() {
    as_user "$PYTHON" "$WORKSPACE/source/bench/latency.py" --rate "$1" --count "$2" \
        --journal "$WORKSPACE/journal"
}

measure_resident() {
    say "resident worker: $RATE enrolments a second for $SECONDS_LONG s"
    wait_until resident_sleeps || die "the resident worker does not run"
    enrol_and_measure "$RATE" $((RATE * SECONDS_LONG))
}

measure_cron() {
    [[ $CRON_MINUTES -gt 0 ]] || return 0
    say "pg_cron every minute: one enrolment a second for $CRON_MINUTES minutes"
    admin -c "ALTER SYSTEM SET cadence_runner.databases = ''" -c 'SELECT pg_reload_conf()' \
        -c 'CREATE EXTENSION pg_cron' -c "SELECT cadence_schedule('* * * * *')" >/dev/null
    enrol_and_measure 1 $((CRON_MINUTES * 60))
}

main() {
    need_postgres
    make_workspace
    say "building for PostgreSQL $PG_MAJOR"
    interruptible private_install || die "the build failed"
    start_provider provider.out --no-journal --journal "$WORKSPACE/journal"
    start_cluster main "shared_preload_libraries = 'cadence_runner, pg_cron'" \
        "cron.database_name = 'postgres'" "cron.host = '$WORKSPACE/main/socket'" \
        "cadence_runner.databases = 'postgres'"
    say "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1), $(nproc) processors"
    load
    measure_resident
    measure_cron
}

main "$@"
