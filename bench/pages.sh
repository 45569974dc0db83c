#!/usr/bin/env bash
#
# The dashboard's pages over many runs: how long each takes until it can be used, through the real door.
#
#   bench/pages.sh [RUNS]      1,000,000 runs; some minutes, most of them to load

set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../test/lib.sh"

RUNS=${1:-1000000}
TOKEN=bench-pages-0123456789
PAGES=(agora execucoes erros cadencias pessoa agenda)

sql() {
    as_user psql -X -q -d bench "$@"
}

# A day's counts as executions leave them, and a log.
load() {
    as_user createuser crm
    as_user createdb -O crm bench
    sql -f "$WORKSPACE/source/bench/schema.sql"
    sql -v runs="$RUNS" -v companies=3 -v spread='2 s' -v url=http://127.0.0.1:9/ \
        -f "$WORKSPACE/source/bench/load.sql"
    sql <<EOF_SQL
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO crm;
\i $WORKSPACE/source/door/role.sql
SELECT cadence_secret_set('people', '$TOKEN') \g /dev/null
INSERT INTO cadence_counts (grain, kind, at, empresa, server, canal, outcome, code, template, cadence, n, us, first_at, last_at)
SELECT 'MINUTE', 'attempt', date_trunc('minute', now()) - m * interval '1 minute', 'ACME', 'whatsapp', 'WHATSAPP', o, '', '', '', 40, 0, now(), now()
FROM generate_series(0, 1440) AS m, unnest(ARRAY['sent', 'failed', 'refused']) AS o;
INSERT INTO cadence_runner_logs (executed_at, steps_executed, runs_touched, duration_ms, details)
SELECT now() - n * interval '5 minutes', 12, 12, 200, '{"results": []}' FROM generate_series(1, 25000) AS n;
EOF_SQL
    sql -c 'VACUUM ANALYZE'
}

start_door() {
    local conf=$WORKSPACE/door.conf
    say "port = 0
database = host=$PGHOST port=$PGPORT dbname=bench user=cadence_door
dashboard = $WORKSPACE/root$("$SYSTEM_BIN/pg_config" --sharedir)/cadence_runner/dashboard" >"$conf"
    as_user cadence_door --config "$conf" >"$WORKSPACE/door.out" 2>"$WORKSPACE/door.log" &
    wait_until door_ready || die "the door did not start: $(cat "$WORKSPACE/door.log")"
}

door_ready() {
    DOOR=$(sed -n 's/^listening on //p' "$WORKSPACE/door.out")
    [[ -n $DOOR ]]
}

need_postgres chromium chromium-driver python3-selenium
make_workspace
interruptible private_install
start_cluster bench "shared_preload_libraries = 'cadence_runner'" "shared_buffers = 512MB"
say "loading $RUNS runs"
load
start_door
as_user "$PYTHON" "$WORKSPACE/source/bench/pages.py" "$DOOR/" "$TOKEN" "${PAGES[@]}"
