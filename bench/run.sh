#!/usr/bin/env bash
#
# Steps per second, each contender in turn in one run: cadence_runner, a plain sequential loop, and
# a good hand-written Node worker. Or, as "memory", what an execution over many due runs takes.
# What the figures mean is in bench/README.md.
#
#   bench/run.sh                speed; from the environment: STEPS=20000 ROUNDS=3 PLAIN_STEPS=2000
#   bench/run.sh memory [N]     one execution over 10,000, 100,000 and N (1,000,000) due runs

set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../test/lib.sh"

STEPS=${STEPS:-20000}
ROUNDS=${ROUNDS:-3}
PLAIN_STEPS=${PLAIN_STEPS:-2000}

# What the issue of the project asks of an execution's worker.
MEMORY_LIMIT_KB=$((100 * 1024))

CLUSTER_SETTINGS=(
    'fsync = on'
    'synchronous_commit = on'
    'full_page_writes = on'
    'shared_buffers = 512MB'
    'max_wal_size = 8GB'
    'checkpoint_timeout = 30min'
)

SINK_ANSWER='{"success":true,"messageId":"m-1"}'

# The sink ----------------------------------------------------------------------------------------

# nginx as installed, else unpacked into the workspace: installing the package would start a web
# server on this machine.
need_nginx() {
    NGINX=$(PATH=$PATH:/usr/sbin command -v nginx) && return 0
    command -v apt-get >/dev/null || die "nginx is needed"
    say "fetching nginx into the workspace"
    fetch_nginx 2>/dev/null || { as_root apt-get -q update >/dev/null && fetch_nginx; } ||
        die "could not fetch the package nginx"
    NGINX=$WORKSPACE/nginx/usr/sbin/nginx
    as_user "$NGINX" -v 2>/dev/null || die "the fetched nginx does not run here"
}

fetch_nginx() {
    (cd "$WORKSPACE/tmp" && apt-get -q download nginx >/dev/null) &&
        dpkg-deb -x "$WORKSPACE"/tmp/nginx_*.deb "$WORKSPACE/nginx"
}

free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

sink_configuration() {
    cat <<END
daemon off;
worker_processes 1;
pid $WORKSPACE/sink/pid;
events {
    worker_connections 4096;
}
http {
    access_log off;
    client_body_temp_path $WORKSPACE/sink/body;
    proxy_temp_path $WORKSPACE/sink/proxy;
    fastcgi_temp_path $WORKSPACE/sink/fastcgi;
    uwsgi_temp_path $WORKSPACE/sink/uwsgi;
    scgi_temp_path $WORKSPACE/sink/scgi;
    tcp_nodelay on;
    keepalive_timeout 300s;
    keepalive_requests 100000000;
    server {
        listen 127.0.0.1:$SINK_PORT backlog=1024;
        location = /send {
            default_type application/json;
            return 200 '$SINK_ANSWER';
        }
        location = /status {
            stub_status;
        }
    }
}
END
}

start_sink() {
    SINK_PORT=$(free_port)
    SINK_URL=http://127.0.0.1:$SINK_PORT/send
    as_user mkdir "$WORKSPACE/sink"
    sink_configuration | as_user tee "$WORKSPACE/sink/nginx.conf" >/dev/null
    as_user setsid "$NGINX" -e "$WORKSPACE/sink/error.log" -p "$WORKSPACE/sink/" \
        -c "$WORKSPACE/sink/nginx.conf" >/dev/null 2>&1 </dev/null &
    wait_until sink_requests >/dev/null ||
        die "the sink did not start: $(cat "$WORKSPACE/sink/error.log")"
}

# How many requests the sink has had before this question, which it counts too.
sink_requests() {
    local accepts handled requests
    {
        exec 3<>"/dev/tcp/127.0.0.1/$SINK_PORT" || return 1
    } 2>/dev/null
    printf 'GET /status HTTP/1.0\r\n\r\n' >&3
    read -r accepts handled requests < <(sed -n '/^server accepts/{n;p}' <&3)
    exec 3>&-
    [[ -n $accepts && -n $handled && -n $requests ]] || return 1
    say $((requests - 1))
}

# The database ------------------------------------------------------------------------------------

# psql for an administrator and for the role that all contenders work as.
admin() {
    as_user psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

crm() {
    as_user psql -X -q -A -t -v ON_ERROR_STOP=1 -U crm -d bench "$@"
}

# load_template RUNS: a database with that many due runs, to be copied for each contender.
load_template() {
    quietly as_user dropdb --if-exists loaded
    as_user createdb -O crm loaded
    admin -d loaded -f "$WORKSPACE/source/bench/schema.sql"
    admin -d loaded -v runs="$1" -v url="$SINK_URL" -f "$WORKSPACE/source/bench/load.sql"
    admin -d loaded -c 'VACUUM (ANALYZE)'
}

# Tables as they were before anybody worked on them, and a quiet server.
fresh_tables() {
    quietly as_user dropdb --if-exists bench
    as_user createdb -O crm -T loaded bench
    # a copy of the tables refuses to send until it is told to
    admin -d bench -c 'SELECT cadence_arm()' >/dev/null
    admin -d bench -c 'VACUUM (ANALYZE)' -c 'CHECKPOINT'
    REQUESTS_BEFORE=$(sink_requests)
}

# verify WHO STEPS: the messages, both events of each step, the moved runs and the sink's count.
verify() {
    local requests found
    requests=$(($(sink_requests) - REQUESTS_BEFORE - 1))
    found=$(crm -F ' ' -c "SELECT (SELECT count(*) FROM lead_messages),
        (SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'DISPARADO'),
        (SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'AGENDADO'),
        (SELECT count(*) FROM lead_cadence_runs WHERE last_step_ordem = 1 AND next_step_ordem = 2)")
    [[ "$requests $found" == "$2 $2 $2 $2 $2" ]] ||
        die "$1: expected $2 requests, messages, events (twice) and runs, not $requests $found"
}

# The contenders ----------------------------------------------------------------------------------

# Each leaves "steps seconds" in RESULT.
run_plain() {
    local output
    output=$(as_user env PGUSER=crm PGDATABASE=bench "$WORKSPACE/tmp/plain_loop" "$SINK_URL" \
        "$PLAIN_STEPS")
    RESULT=${output#RESULT }
}

run_node() {
    local output
    output=$(in_workspace source/bench/peers env PGUSER=crm PGDATABASE=bench PROVIDER="$SINK_URL" \
        "$NODE" node_worker.js)
    RESULT=${output#RESULT }
}

# As its caller sees it: the start of the worker and the way of its answer are in the time.
run_cadence() {
    RESULT=$(crm -F ' ' <<'END'
SELECT clock_timestamp() AS started \gset
SELECT cadence_run('TEST') -> 'summary' ->> 'success' AS steps \gset
SELECT :steps, round(extract(epoch FROM clock_timestamp() - :'started'), 3);
END
    )
}

build_plain() {
    as_user gcc -O2 -I"$("$SYSTEM_BIN/pg_config" --includedir)" -o tmp/plain_loop \
        source/bench/plain_loop.c -lpq -lcurl
}

# The packages that the Node worker needs go into the workspace's copy of it.
prepare_node() {
    local npm
    NODE=$(command -v node || true)
    npm=$(command -v npm || true)
    [[ -n $NODE && -n $npm ]] || {
        say "no node and npm here: the Node worker is skipped"
        return 1
    }
    as_user "$NODE" -e 0 2>/dev/null || {
        say "user $(unprivileged_user) cannot run $NODE: the Node worker is skipped"
        return 1
    }
    quietly in_workspace source/bench/peers env npm_config_cache="$WORKSPACE/tmp/npm" "$npm" ci \
        --ignore-scripts --no-audit --no-fund || {
        say "npm could not fetch its packages: the Node worker is skipped"
        return 1
    }
}

# Speed -------------------------------------------------------------------------------------------

# measure WHO EXPECTED: one contender once; adds its steps per second to RATES.
measure() {
    local steps seconds rate
    fresh_tables
    "run_$1"
    read -r steps seconds <<<"$RESULT"
    [[ $steps -eq $2 ]] || die "$1 says that it did $steps steps, not $2"
    verify "$1" "$2"
    rate=$(awk -v n="$steps" -v s="$seconds" 'BEGIN { printf "%.0f", n / s }')
    RATES[$1]+="$rate "
    printf '  %-16s %7d steps in %8.3f s  %7d steps/s\n' "$1" "$steps" "$seconds" "$rate"
}

# median NUMBER…
median() {
    printf '%s\n' "$@" | sort -n |
        awk '{ v[NR] = $1 } END { printf "%.0f", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

ratio() {
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", a / b }'
}

print_table() {
    local who rate plain
    # shellcheck disable=SC2086  # a list of numbers
    plain=$(median ${RATES[plain]})
    printf '\n%-16s %14s %18s   %s\n' "medians of $ROUNDS" 'steps/s' 'x plain loop' 'each round'
    for who in "${CONTENDERS[@]}"; do
        # shellcheck disable=SC2086
        rate=$(median ${RATES[$who]})
        printf '%-16s %14d %18s   %s\n' "$who" "$rate" "$(ratio "$rate" "$plain")" "${RATES[$who]}"
    done
    if [[ -n ${RATES[node]:-} ]]; then
        # shellcheck disable=SC2086
        printf '\ncadence / node: %s\n' \
            "$(awk -v a="$(median ${RATES[cadence]})" -v b="$(median ${RATES[node]})" \
                'BEGIN { printf "%.2f", a / b }')"
    fi
}

speed() {
    local round who steps
    declare -gA RATES=()
    CONTENDERS=(plain cadence)
    build_plain
    prepare_node && CONTENDERS=(plain node cadence)
    start_everything
    load_template "$STEPS"
    say "$STEPS due runs, each with the first of three steps to send; the plain loop is stopped"
    say "after $PLAIN_STEPS steps, and its rate is what it did until then"
    for ((round = 1; round <= ROUNDS; round++)); do
        printf '\nround %d\n' "$round"
        for who in "${CONTENDERS[@]}"; do
            steps=$STEPS
            [[ $who != plain ]] || steps=$PLAIN_STEPS
            measure "$who" "$steps"
        done
    done
    print_table
}

# Memory ------------------------------------------------------------------------------------------

worker_pid() {
    WORKER=$(admin -d bench -c \
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'cadence_runner' LIMIT 1")
    [[ -n $WORKER ]]
}

# sample: what the worker alone holds, in kB: private memory, and resident memory without the
# server's shared buffers. Fails when there is no such process (any more).
sample() {
    local key value rest anon='' file=''
    while read -r key value rest; do
        case $key in
            RssAnon:) anon=$value ;;
            RssFile:) file=$value ;;
        esac
    done 2>/dev/null <"/proc/$WORKER/status" || return 1
    [[ -n $anon && -n $file ]] || return 1
    PRIVATE=$anon
    RESIDENT=$((anon + file))
}

# Samples the worker every 200 ms until it is gone.
watch_worker() {
    START='' PEAK=0 PEAK_PRIVATE=0
    while sample; do
        [[ -n $START ]] || START=$RESIDENT
        [[ $RESIDENT -le $PEAK ]] || PEAK=$RESIDENT
        [[ $PRIVATE -le $PEAK_PRIVATE ]] || PEAK_PRIVATE=$PRIVATE
        END=$RESIDENT
        sleep 0.2
    done
}

memory_of() {
    local answer=$WORKSPACE/tmp/answer steps seconds log
    load_template "$1"
    fresh_tables
    (run_cadence && say "$RESULT") >"$answer" &
    wait_until worker_pid || die "the execution's worker was not seen"
    watch_worker
    wait $! || die "the execution failed"
    read -r steps seconds <"$answer"
    [[ $steps -eq $1 ]] || die "cadence says that it did $steps steps, not $1"
    verify cadence "$1"
    log=$(crm -c 'SELECT octet_length(details::text) / 1024 FROM cadence_runner_logs')
    printf '%10d %9d %9d %9d %14d %12d %10.0f\n' "$1" "$START" "$PEAK" "$END" "$PEAK_PRIVATE" \
        "$log" "$(awk -v n="$steps" -v s="$seconds" 'BEGIN { print n / s }')"
    [[ $PEAK -lt $MEMORY_LIMIT_KB ]] || OVER_LIMIT=1
}

memory() {
    local runs
    OVER_LIMIT=''
    start_everything
    say "one execution each; the worker's resident memory without shared buffers, in kB; the log"
    say "row's details as text, in kB"
    printf '\n%10s %9s %9s %9s %14s %12s %10s\n' 'due runs' start peak end 'peak private' 'log row' \
        steps/s
    for runs in $(printf '%s\n' 10000 100000 "$1" | sort -nu); do
        [[ $runs -gt $1 ]] || memory_of "$runs"
    done
    [[ -z $OVER_LIMIT ]] || die "the worker took more than $MEMORY_LIMIT_KB kB"
}

# -------------------------------------------------------------------------------------------------

start_everything() {
    start_sink
    start_cluster main "${CLUSTER_SETTINGS[@]}"
    as_user createuser crm
    say "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1), $(nproc) processors"
    say "PostgreSQL $("$PG_BIN/postgres" --version | sed 's/.* \([0-9][0-9.]*\).*/\1/')" \
        "with $(printf '%s; ' "${CLUSTER_SETTINGS[@]}" | sed 's/; $//; s/ = / /g')"
    say "sink: nginx, one worker, kept connections, on loopback"
}

check_arguments() {
    local count
    [[ $# -eq 0 || ($1 == memory && $# -le 2) ]] || die "usage: bench/run.sh [memory [N]]"
    for count in "${2:-1}" "$STEPS" "$ROUNDS" "$PLAIN_STEPS"; do
        [[ $count =~ ^[1-9][0-9]{0,7}$ ]] || die "not a number of steps or rounds: $count"
    done
}

main() {
    check_arguments "$@"
    [[ $PLAIN_STEPS -le $STEPS ]] || PLAIN_STEPS=$STEPS
    need_postgres libpq-dev
    make_workspace
    need_nginx
    say "building for PostgreSQL $PG_MAJOR"
    interruptible private_install || die "the build failed"
    if [[ ${1:-} == memory ]]; then
        memory "${2:-1000000}"
    else
        speed
    fi
}

main "$@"
