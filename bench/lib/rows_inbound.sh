# shellcheck shell=bash disable=SC2034,SC2153
#
# Rows 19 to 22 of the table: what comes back, and whom nobody writes to. Sourced by bench/run.sh.

HOOK_TOKEN=hook-token-0123456789abcdef

# Calls come at their rate whatever becomes of those before them; one that waits for its turn is as
# late as that makes it.
row_19() {
    use_fast_sink
    need_loaded "$RECEIPT_STEPS"
    write_receipt_script
    each_round row_19_round
}

row_19_round() {
    measure 19 base cadence "$RECEIPT_STEPS" "$RECEIPT_STEPS"
    cpu_of_receipts
    receipts_beside_sender
}

# 20,000 messages that were sent, and a role that may tell of them and nothing else.
prepare_receipts() {
    fresh_tables "$1"
    admin -d bench -f "$WORKSPACE/source/bench/receipts.sql"
    admin -d bench -c 'VACUUM (ANALYZE)' -c 'CHECKPOINT'
}

# A call is its own transaction, and is as often of news as not: of what was told before, too.
write_receipt_script() {
    as_user tee "$WORKSPACE/tmp/receipt.pgbench" >/dev/null <<'END'
\set message random(1, 20000)
\set state random(1, 3)
SELECT status FROM cadence_receive('whatsapp', 'POST',
    '{"Authorization": "Bearer hook-token-0123456789abcdef", "Content-Type": "application/json"}', '',
    convert_to('{"event": "receipt", "id": "wamid-' || :message || '", "state": "'
               || (ARRAY['sent', 'delivered', 'read'])[:state] || '", "time": 1764450000}', 'UTF8')) \gset
\if :status <> 200
SELECT 1 / 0;
\endif
END
}

tell_receipts() {
    quietly as_user pgbench -n -M prepared -U hooks -f "$WORKSPACE/tmp/receipt.pgbench" "$@" bench
}

# Of a connection that has made one call; its commit and the client's protocol are in it.
cpu_of_receipts() {
    local before
    prepare_receipts "$RECEIPT_STEPS"
    before=$(cpu_ticks "$(postmaster)")
    tell_receipts -c 1 -t "$RECEIPT_CALLS"
    sample 19 cpu.receipt "$(cpu_us $(($(cpu_ticks "$(postmaster)") - before)) "$RECEIPT_CALLS")"
}

receipts_beside_sender() {
    local log=$WORKSPACE/tmp/receipts teller steps seconds
    prepare_receipts "$RECEIPT_STEPS"
    rm -f "$log".*
    tell_receipts -c 8 -j 2 -R "$RECEIPT_RATE" -T "$RECEIPT_SECONDS" -l --log-prefix="$log" &
    teller=$!
    run_cadence
    read -r steps seconds <<<"$RESULT"
    wait "$teller" || die "a receipt was not taken"
    [[ $steps -eq $RECEIPT_STEPS && $(new_requests) -eq $steps ]] || what_went_wrong "$steps steps, not $RECEIPT_STEPS"
    [[ $(crm -c 'SELECT count(*) FROM cadence_rejected') == 0 ]] || die "receipts were rejected"
    sample 19 rate.beside "$(rate_of "$steps" "$seconds")"
    cat "$log".* | sort -n -k 3 | awk -v seconds="$RECEIPT_SECONDS" '{ us[NR] = $3 }
        END { print NR / seconds, us[int(NR * 0.5)] / 1000, us[int(NR * 0.99)] / 1000, us[NR] / 1000 }' |
        { read -r rate p50 p99 longest
            sample 19 rate.receipts "$rate"
            sample 19 receipt.p50 "$p50"
            sample 19 receipt.p99 "$p99"
            sample 19 receipt.longest "$longest"; }
}

# One among many, by each thing that an event may name; and the largest bodies that are read.
row_20() {
    use_fast_sink
    need_loaded "$PEOPLE"
    fresh_tables "$PEOPLE"
    admin -d bench -v people="$PEOPLE" -f "$WORKSPACE/source/bench/people.sql"
    admin -d bench -c 'VACUUM (ANALYZE)' -c 'CHECKPOINT'
    each_round row_20_round
}

row_20_round() {
    local kind
    for kind in phone email wa_lid wa_user_id; do
        find_by "$kind"
    done
    take_body message "repeat('x', 4000000) || '\"}'"
    take_body nothing "repeat('x', 4000000)"
}

# An answer that ends no run, without its commit: the search, and one row that is written.
find_by() {
    local sender
    case $1 in
        phone) sender="'+55119' || lpad(:n::text, 8, '0')" ;;
        email) sender="'maria' || :n || '@example.com'" ;;
        wa_lid) sender="'lid' || :n || '@lid'" ;;
        wa_user_id) sender="'BR.' || :n" ;;
    esac
    as_user tee "$WORKSPACE/tmp/find.pgbench" >/dev/null <<END
\set n random(1, $PEOPLE)
BEGIN;
SELECT cadence_inbound($sender, 'Sim', 'in-' || :client_id || '-' || :n, server => 'whatsapp');
ROLLBACK;
END
    as_user pgbench -n -M prepared -U hooks -c 1 -t "$RECEIPT_CALLS" -r -f "$WORKSPACE/tmp/find.pgbench" bench |
        awk '/cadence_inbound/ { print $1 }' | { read -r ms && sample 20 "find.$1" "$ms"; }
}

# take_body NAME END: what a call with a body of four megabytes takes, and by how much its process grows.
take_body() {
    # by a process of its own, since one gives back little of what it has had
    quietly admin -d bench -c 'DROP TABLE IF EXISTS bench_bodies' -c "CREATE UNLOGGED TABLE bench_bodies AS SELECT convert_to(
        '{\"event\": \"$1\", \"id\": \"large\", \"phone\": \"+5511900000001\", \"text\": \"' || $2, 'UTF8') AS body"
    as_user psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -d bench <<END |
SELECT 'POST' AS method, jsonb_build_object('Authorization', 'Bearer hook-token-0123456789abcdef') AS headers \gset
SELECT status FROM cadence_receive('whatsapp', :'method', :'headers', '', convert_to('{}', 'UTF8')) \g /dev/null
-- the most that the process has had is counted from here
COPY (SELECT 5) TO '/proc/self/clear_refs';
SELECT clock_timestamp() AS started, substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)') AS before \gset
SELECT status FROM bench_bodies, cadence_receive('whatsapp', :'method', :'headers', '', body) \g /dev/null
SELECT round(extract(epoch FROM clock_timestamp() - :'started') * 1000, 1),
       substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)')::int - :before;
END
        { read -r ms kb && sample 20 "body.$1" "$ms" && sample 20 "memory.$1" "$kb"; }
}

# The steps of row 1, beside a list that has none of their people, and beside none; each is the first
# in every other round.
row_21() {
    use_fast_sink
    need_loaded "$STEPS"
    BLOCKED=$BLOCKED_ENTRIES need_loaded "$STEPS"
    each_round row_21_round
}

row_21_round() {
    ((ROUND % 2 == 0)) || measure_base 21
    BLOCKED=$BLOCKED_ENTRIES measure 21 blocked cadence "$STEPS" "$STEPS" warm_blocklist
    ((ROUND % 2)) || measure_base 21
}

# As on a server that has run for a while.
warm_blocklist() {
    admin -d bench -c 'CREATE EXTENSION IF NOT EXISTS pg_prewarm' \
        -c "SELECT pg_prewarm('cadence_blocklist_pkey'), pg_prewarm('cadence_blocklist')" >/dev/null
}

# The same receipts by HTTP, through the door, while one execution after another sends.
row_22() {
    use_fast_sink
    need_loaded "$RECEIPT_STEPS"
    each_round row_22_round
}

row_22_round() {
    local log=$WORKSPACE/tmp/knocks caller begun ended steps seconds
    prepare_receipts "$RECEIPT_STEPS"
    start_door
    as_user "$PYTHON" "$WORKSPACE/source/bench/knock.py" "$DOOR_PORT" "$HOOK_TOKEN" "$RECEIPT_RATE" "$RECEIPT_SECONDS" >"$log" &
    caller=$!
    begun=$(date +%s.%N)
    run_cadence
    ended=$(date +%s.%N)
    read -r steps seconds <<<"$RESULT"
    wait "$caller" || die "bench/knock.py failed"
    sample 22 door.memory "$(awk '/^VmHWM:/ { print $2 }' "/proc/$DOOR_PID/status")"
    stop_door
    [[ $steps -eq $RECEIPT_STEPS && $(new_requests) -eq $steps ]] || what_went_wrong "$steps steps, not $RECEIPT_STEPS"
    sample 22 rate.beside "$(rate_of "$steps" "$seconds")"
    sample 22 hook.calls "$(wc -l <"$log")"
    sample 22 hook.taken "$(awk '$3 == 200' "$log" | wc -l)"
    times_of_hooks beside "$begun" "$ended" <"$log"
    times_of_hooks alone "$ended" "$(date +%s)" <"$log"
}

# times_of_hooks NAME FROM TO: of the calls that were to come between these.
times_of_hooks() {
    awk -v from="$2" -v to="$3" '$1 >= from && $1 < to { print $2 }' | sort -n | awk '{ ms[NR] = $1 }
        END { print ms[int(NR * 0.5)], ms[int(NR * 0.99)], ms[NR] }' |
        { read -r p50 p99 longest
            sample 22 "$1.p50" "$p50"
            sample 22 "$1.p99" "$p99"
            sample 22 "$1.longest" "$longest"; }
}

start_door() {
    [[ $(admin -d bench -c "SELECT count(*) FROM pg_roles WHERE rolname = 'cadence_door'") == 0 ]] ||
        admin -d bench -c 'DROP OWNED BY cadence_door' -c 'DROP ROLE cadence_door'
    admin -d bench -f "$WORKSPACE/source/door/role.sql"
    say "port = 0
database = host=$PGHOST port=$PGPORT dbname=bench user=cadence_door" >"$WORKSPACE/door.conf"
    as_user cadence_door --config "$WORKSPACE/door.conf" >"$WORKSPACE/door.out" 2>"$WORKSPACE/door.log" &
    wait_until door_says_its_port || die "the door did not start: $(cat "$WORKSPACE/door.log")"
    DOOR_PID=$(pgrep -n -x cadence_door)
}

door_says_its_port() {
    DOOR_PORT=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$WORKSPACE/door.out")
    [[ -n $DOOR_PORT ]]
}

stop_door() {
    kill "$DOOR_PID"
    wait_until door_has_left || die "the door does not stop"
}

door_has_left() {
    ! kill -0 "$DOOR_PID" 2>/dev/null
}
