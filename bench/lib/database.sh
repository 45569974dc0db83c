# shellcheck shell=bash disable=SC2034,SC2153
#
# The cluster and its databases: loaded once, copied for each measurement, verified afterwards.
# Sourced by bench/run.sh.

# The most that the server's manual advises where it has the machine for itself: what row 4 works on
# fits into that.
part_of_memory() {
    awk '/^MemTotal:/ { printf "%dMB", $2 / 1024 * 0.4 }' /proc/meminfo
}

CLUSTER_SETTINGS=(
    'fsync = on'
    'synchronous_commit = on'
    'full_page_writes = on'
    "shared_buffers = ${SHARED_BUFFERS:-$(part_of_memory)}"
    'max_wal_size = 8GB'
    'min_wal_size = 4GB'
    'checkpoint_timeout = 30min'
)

# What does not change what is measured, and is not worth a line in the output.
OTHER_SETTINGS=(
    'max_worker_processes = 128'
    'max_connections = 200'
    'max_files_per_process = 16000'
)

# psql for an administrator and for the role that all contenders work as.
admin() {
    as_user psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

crm() {
    as_user psql -X -q -A -t -v ON_ERROR_STOP=1 -U crm -d bench "$@"
}

# Everything but the resident worker is measured on this cluster.
start_main_cluster() {
    [[ -z ${MAIN_CLUSTER:-} ]] || return 0
    MAIN_CLUSTER=yes
    start_cluster main "${CLUSTER_SETTINGS[@]}" "${OTHER_SETTINGS[@]}"
    reserve_huge_pages
    # shellcheck disable=SC2119
    restart_cluster
    as_user createuser crm
}

# Large pages of memory for the server's buffers, as its manual advises where those are large. Only
# root can have them reserved, and before PostgreSQL 15 the server does not say how many it needs.
reserve_huge_pages() {
    local pages=/proc/sys/vm/nr_hugepages wanted=0
    HUGE_PAGES=none
    if [[ $EUID -eq 0 && -w $pages && $PG_MAJOR -ge 15 ]]; then
        wanted=$(admin -d postgres -c 'SHOW shared_memory_size_in_huge_pages')
    fi
    if [[ $wanted -gt 0 ]]; then
        HUGE_PAGES_BEFORE=$(<$pages)
        trap 'clean_up; release_huge_pages' EXIT
        say "$((HUGE_PAGES_BEFORE + wanted))" >$pages
        if [[ $(<$pages) -ge $((HUGE_PAGES_BEFORE + wanted)) ]]; then
            HUGE_PAGES=$wanted
            admin -d postgres -c 'ALTER SYSTEM SET huge_pages = on'
        else
            release_huge_pages
        fi
    fi
    printf 'huge_pages\t%s\n' "$HUGE_PAGES" >>"$RESULTS/setup.tsv"
}

# The machine has as many as before.
release_huge_pages() {
    say "$HUGE_PAGES_BEFORE" >/proc/sys/vm/nr_hugepages
}

# restart_cluster [OPTION…]: with options of postgres until the next restart, and many open files.
# shellcheck disable=SC2120  # rows_grown.sh and others pass some
restart_cluster() {
    stop_cluster main
    quietly wide pg_ctl -D "$WORKSPACE/main/data" -l "$WORKSPACE/main.log" -t 600 -w \
        -o "$*" start
}

database_exists() {
    [[ $(admin -d postgres -c "SELECT count(*) FROM pg_database WHERE datname = '$1'") == 1 ]]
}

# need_loaded RUNS: a database with that many due runs, to be copied.
need_loaded() {
    local database
    database=$(loaded_database "$1")
    ! database_exists "$database" || return 0
    as_user createdb -O crm "$database"
    admin -d "$database" -f "$WORKSPACE/source/bench/schema.sql"
    admin -d "$database" -v runs="$1" -v companies="${COMPANIES:-1}" -v spread="${SPREAD:-1 ms}" \
        -v url="$SINK_URL" -f "$WORKSPACE/source/bench/load.sql"
    [[ -z ${BLOCKED:-} ]] || admin -d "$database" -v entries="$BLOCKED" -f "$WORKSPACE/source/bench/blocklist.sql" >/dev/null
    admin -d "$database" -c 'VACUUM (ANALYZE)'
}

# By the number of runs, and, where they are not the usual, how far their due times are apart, how
# many companies there are, and how many addresses are blocked.
loaded_database() {
    local spread=${SPREAD:-}
    say "loaded_$1${spread:+_${spread// /_}}${COMPANIES:+_of_$COMPANIES}${BLOCKED:+_blocked_$BLOCKED}"
}

# fresh_tables RUNS: the database "bench" as it was before anybody worked on it, and a quiet server.
fresh_tables() {
    need_loaded "$1"
    quietly as_user dropdb --if-exists bench
    copy_database "$(loaded_database "$1")"
    admin -d postgres -c "ALTER DATABASE bench SET cadence_runner.workers = '$WORKERS'"
    # a copy of the tables refuses to send until it is told to
    admin -d bench -c 'SELECT cadence_arm()' >/dev/null
    admin -d bench -c "ALTER SERVER whatsapp OPTIONS (SET url '$SINK_URL')"
    admin -d bench -c 'VACUUM (ANALYZE)' -c 'CHECKPOINT'
    REQUESTS_BEFORE=$(sink_requests)
}

# Through the file system, where there is a choice: the WAL is not to be full of the copy.
copy_database() {
    local strategy=()
    [[ $PG_MAJOR -lt 15 ]] || strategy=(--strategy=file_copy)
    as_user createdb -O crm "${strategy[@]}" -T "$1" bench
}

# Messages that the sink has had since fresh_tables; nginx has counted one question, too.
new_requests() {
    local now
    now=$(sink_requests)
    [[ $SINK_PORT != "$FAST_PORT" ]] || now=$((now - 1))
    say $((now - REQUESTS_BEFORE))
}

# verify WHO STEPS: the messages, both events of each step, the moved runs and the sink's count.
verify() {
    local found
    found="$(new_requests) $(crm -F ' ' -c "SELECT (SELECT count(*) FROM lead_messages),
        (SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'DISPARADO'),
        (SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'AGENDADO'),
        (SELECT count(*) FROM lead_cadence_runs WHERE last_step_ordem = 1 AND next_step_ordem = 2)")"
    [[ $found == "$2 $2 $2 $2 $2" ]] ||
        die "$1: expected $2 requests, messages, events (twice) and runs, not $found"
}

# set_cadence NAME VALUE: a setting of the extension in the database "bench".
set_cadence() {
    admin -d bench -c "ALTER DATABASE bench SET cadence_runner.$1 = '$2'"
}

postmaster() {
    head -n 1 "$WORKSPACE/main/data/postmaster.pid"
}

# cpu_ticks PID: what a process, its children, and those that it has waited for have used.
cpu_ticks() {
    local pid
    for pid in "$1" $(cat "/proc/$1/task/$1/children"); do
        sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null || true
    done | awk '{ sum += $12 + $13 } NR == 1 { sum += $14 + $15 } END { print sum }'
}

# cpu_us TICKS STEPS: microseconds per step.
cpu_us() {
    awk -v t="$1" -v n="$2" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.1f", t / hz * 1e6 / n }'
}
