# shellcheck shell=bash disable=SC2034,SC2153
#
# The grown database: many runs that are not due, each with the message and the events of the step
# that it has behind it. It is loaded once and worked on in place: each measurement makes some of
# its runs due, all over the table. Sourced by bench/run.sh.

# What a run with its contact, message and two events takes on disk, indexes included, and WAL and
# room for sorting while it is loaded.
GROWN_BYTES_EACH=2600

fit_grown_runs() {
    local free most
    free=$(df -B1 --output=avail "$WORKSPACE" | tail -n 1)
    most=$(((free - 12 * 1024 * 1024 * 1024) / GROWN_BYTES_EACH))
    [[ $most -ge $GROWN_RUNS ]] || {
        [[ $most -ge 10000 ]] || die "the disk has no room for grown tables"
        note 4 "scaled down to $most runs: the disk has $((free >> 30)) GB free"
        GROWN_RUNS=$most
    }
}

# The server writes no WAL for what is loaded into a table that the same transaction has emptied.
need_grown() {
    [[ -z ${GROWN_READY:-} ]] || return 0
    GROWN_READY=yes
    fit_grown_runs
    say "loading $GROWN_RUNS runs with $((GROWN_RUNS * 3)) events and messages"
    restart_cluster -c wal_level=minimal -c max_wal_senders=0 -c max_wal_size=4GB \
        -c maintenance_work_mem=1GB -c autovacuum=off
    as_user createdb -O crm grown
    admin -d grown -f "$WORKSPACE/source/bench/schema.sql"
    admin -d grown -v runs=0 -v companies=1 -v spread='1 ms' -v url="$SINK_URL" -f "$WORKSPACE/source/bench/load.sql"
    interruptible admin -d grown -v runs="$GROWN_RUNS" \
        -f "$WORKSPACE/source/bench/grown.sql" >/dev/null || die "the grown tables were not loaded"
    restart_cluster
    note 4 "$GROWN_RUNS runs, $((GROWN_RUNS * 3)) events and messages: $(admin -d grown \
        -c "SELECT pg_size_pretty(pg_database_size('grown'))")"
    admin -d grown -c 'VACUUM' -c 'CHECKPOINT'
    GROWN_SLICE=0
}

# The contenders' functions work on "bench": it is the grown database while the grown rows are
# measured.
enter_grown() {
    need_grown
    quietly as_user dropdb --if-exists bench
    rename_database grown bench
    admin -d postgres -c "ALTER DATABASE bench SET cadence_runner.workers = '$WORKERS'"
    admin -d bench -c 'SELECT cadence_arm()' >/dev/null
}

leave_grown() {
    rename_database bench grown
}

rename_database() {
    admin -d postgres -c "ALTER DATABASE $1 RENAME TO $2"
}

# make_due STEPS: the next so many of the grown runs, spread over the table: each slice has others.
# No checkpoint comes after it: what is measured next writes no full page for those that this has
# touched, as if the last checkpoint were long ago. Where one is wanted, checkpoint() follows.
make_due() {
    local left=$((GROWN_RUNS - GROWN_SLICE))
    [[ $left -ge $1 ]] || die "the grown tables have no $1 runs left that were not due yet"
    crm -v first="$GROWN_SLICE" -v steps="$1" -v runs="$GROWN_RUNS" <<'END'
UPDATE lead_cadence_runs AS r
SET next_run_at = now() - interval '1 hour' + d.n * interval '1 ms'
FROM (SELECT n, 'lead-' || ((:first + n)::bigint * 7368787 % :runs + 1) AS lead_id
      FROM generate_series(0, :steps - 1) AS n) AS d
WHERE r.lead_id = d.lead_id AND r.status = 'ATIVA';
END
    GROWN_SLICE=$((GROWN_SLICE + $1))
    admin -d bench -c 'VACUUM (ANALYZE) lead_cadence_runs'
}

checkpoint() {
    admin -d bench -c CHECKPOINT
}

verify_grown() {
    local found
    found="$(new_requests) $(crm -c "SELECT count(*) FROM lead_cadence_runs
        WHERE status = 'ATIVA' AND next_run_at <= now()")"
    [[ $found == "$1 0" ]] || die "grown tables: expected $1 requests and nothing due, not $found"
}

# Every file of the database read once, as far as memory goes; then into the server's buffers what
# steps touch in no order, or read.
warm_up() {
    local relation
    find "$WORKSPACE/main/data/base/$(admin -d bench -c 'SELECT oid FROM pg_database
        WHERE datname = current_database()')" -type f -exec cat {} + >/dev/null
    admin -d bench -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION IF NOT EXISTS pg_prewarm'
    for relation in lead_cadence_events_run_idx lead_contacts lead_contacts_lead_id_empresa_key \
        lead_cadence_runs lead_cadence_runs_pkey lead_cadence_runs_active_idx lead_cadence_runs_due_idx; do
        admin -d bench -c "SELECT pg_prewarm('$relation')" >/dev/null
    done
}

cool_down() {
    restart_cluster
    sync
    if [[ $EUID -eq 0 && -w /proc/sys/vm/drop_caches ]]; then
        say 3 >/proc/sys/vm/drop_caches
    else
        note 4 "no right to drop the page cache: cold means only that the server was restarted"
    fi
}
