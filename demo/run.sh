#!/usr/bin/env bash
#
# The main job on a throwaway cluster: four cadences, a dozen people (or yours), stand-ins for two
# WhatsApp APIs and a mail server that show each message as it arrives, one execution, a night, what
# comes back from people and providers, what the database knows afterwards, and the door: executions,
# metrics and the dashboard over HTTP.
#
#   demo/run.sh [--leads FILE.csv] [--keep]
#
#   --leads FILE.csv    enrol these people instead of the sample: lead_id,nome,email,telefone
#   --keep              leave cluster, providers and door up, and say how to reach and remove them

set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../test/lib.sh"

LEADS=""
KEEP=""
STEP=0
MESSAGES_IN_FULL=100
HAS_WRITTEN=5585900000011               # Larissa, in contacts.sql
TIMELOCKED=5511900000013                # Bruno, in stranger.sql
END_OF_MESSAGES='-- end of messages --'

step() {
    STEP=$((STEP + 1))
    printf '\n%s[%d] %s%s\n\n' "$BOLD" "$STEP" "$*" "$PLAIN"
}

parse_options() {
    while [[ $# -gt 0 ]]; do
        case $1 in
            --leads)
                [[ -n ${2:-} ]] || die "--leads needs a file"
                LEADS=$2
                shift
                ;;
            --keep) KEEP=1 ;;
            *) die "usage: demo/run.sh [--leads FILE.csv] [--keep]" ;;
        esac
        shift
    done
}

# Before anything is installed or started.
check_leads_file() {
    [[ -n $LEADS ]] || return 0
    [[ -e $LEADS ]] || die "$LEADS does not exist"
    [[ -f $LEADS && -r $LEADS ]] || die "$LEADS cannot be read"
    [[ -s $LEADS ]] || die "$LEADS is empty"
}

# sql [OPTION…]: psql in the demo's database, as the role that owns its tables.
sql() {
    as_user psql -X -q -d demo -U crm "$@"
}

# As the user who called us, who can read the file; the database's user may not.
read_leads() {
    "$PYTHON" -B "$REPOSITORY/demo/load_leads.py" "$LEADS" >"$WORKSPACE/tmp/leads.csv"
}

# Shows what the providers print, until told that this was all: the first messages in full, and
# then how many there are. A message begins with a line that is not indented.
follow_messages() {
    local line count=0
    while IFS= read -r line && [[ $line != "$END_OF_MESSAGES" ]]; do
        [[ $line != @(PORT|MAIL)\ * ]] || continue
        [[ $line != [!\ ]* ]] || count=$((count + 1))
        if [[ $count -le $MESSAGES_IN_FULL ]]; then
            say "$line"
        elif [[ $line == [!\ ]* && $((count % 5000)) -eq 0 ]]; then
            say "$count messages"
        fi
    done < <(exec tail -n +1 -f "$WORKSPACE/messages.log")
}

prepare() {
    say "Packages, a build of the extension, and a private copy of PostgreSQL to put it in."
    need_postgres python3-aiosmtpd
    make_workspace
    [[ -z $LEADS ]] || read_leads || exit 1
    interruptible private_install || die "the build failed"
}

start_database() {
    step "Starting a throwaway PostgreSQL $PG_MAJOR with pg_cron and cadence_runner"
    start_cluster demo "$(cron_settings demo demo)"
    as_user createuser crm
    as_user createdb -O crm demo
    as_user psql -X -q -d demo -f "$WORKSPACE/source/demo/schema.sql"
    say "cluster up; the tables belong to the role crm, which is no superuser"
}

# start_mail_server OUTPUT: one that prints into a file of the workspace; its port is left in
# MAIL_PORT.
start_mail_server() {
    local output=$WORKSPACE/$1
    as_user setsid "$PYTHON" "$WORKSPACE/source/demo/mail_server.py" ${COLOUR:+--colour} \
        >>"$output" 2>&1 </dev/null &
    wait_until mail_server_ready "$output" || die "the mail server did not start: $(cat "$output")"
}

mail_server_ready() {
    MAIL_PORT=$(sed -n 's/^MAIL \([0-9]*\)$/\1/p' "$1")
    [[ -n $MAIL_PORT ]]
}

# No message is kept in memory: of a large file there are many.
load_data() {
    local provider
    step "Starting an Evolution API, a Cloud API and a mail server on loopback; loading the cadences"
    start_provider messages.log --pretty --no-journal --has-written "$HAS_WRITTEN" \
        --timelocked "$TIMELOCKED" ${COLOUR:+--colour}
    start_mail_server messages.log
    provider=http://127.0.0.1:$PROVIDER_PORT
    sql -v evolution_url="$provider/evolution" -v meta_url="$provider/meta" \
        -v mail_url="smtp://127.0.0.1:$MAIL_PORT" -f "$WORKSPACE/source/demo/data.sql"
    sql -c 'SELECT s.srvname AS provider,
                   (SELECT string_agg(o, chr(32) ORDER BY o) FROM unnest(s.srvoptions) AS o
                    WHERE o ~ $$^(canal|empresa|protocol)=$$) AS sends
            FROM pg_foreign_server s ORDER BY 1' -P footer=off
    sql -c 'SELECT c.codigo AS cadence, e.nome AS company, s.ordem AS step,
                   s.offset_minutos AS "after (min)", s.canal AS channel,
                   s.template_codigo AS template
            FROM cadences c JOIN cadence_steps s ON s.cadence_id = c.id
            JOIN cadence_empresas e ON e.empresa = c.empresa
            ORDER BY e.nome, c.codigo, s.ordem' -P footer=off
}

enrol() {
    if [[ -n $LEADS ]]; then
        step "Enrolling the people of $LEADS as new leads"
        sql -f "$WORKSPACE/source/demo/leads.sql" <"$WORKSPACE/tmp/leads.csv"
    else
        step "Enrolling a dozen people"
        sql -f "$WORKSPACE/source/demo/contacts.sql"
    fi
    sql -P footer=off -c 'SELECT c.codigo AS cadence, count(*) AS leads,
                                 count(*) FILTER (WHERE r.next_run_at <= now()) AS "due now"
                          FROM lead_cadence_runs r JOIN cadences c ON c.id = r.cadence_id
                          GROUP BY 1 ORDER BY 1'
}

execute() {
    local answer=$WORKSPACE/tmp/answer follower
    step "Scheduling pg_cron, then one execution: SELECT cadence_run('MANUAL')"
    sql -c 'SELECT cadence_schedule()' -o /dev/null
    say "Messages as they arrive:"
    say
    follow_messages &
    follower=$!
    interruptible sql -f "$WORKSPACE/source/demo/run.sql" >"$answer" || {
        tail -n 20 "$WORKSPACE/demo.log" >&2
        die "the execution failed"
    }
    as_user tee -a "$WORKSPACE/messages.log" <<<"$END_OF_MESSAGES" >/dev/null
    wait "$follower"
    cat "$answer"
}

night() {
    local answer=$WORKSPACE/tmp/answer
    step "A night: it is too early in Brazil, and day in Lisbon"
    interruptible sql -f "$WORKSPACE/source/demo/night.sql" >"$answer" || {
        tail -n 20 "$WORKSPACE/demo.log" >&2
        die "the night did not go as it should"
    }
    cat "$answer"
}

# The calls of the providers' webhooks, by a role that may do nothing else.
receive() {
    local answer=$WORKSPACE/tmp/answer
    step "What comes back: one answers, one says SAIR, one has read, and a number is braked"
    sql -At -f "$WORKSPACE/source/demo/sent.sql" |
        "$PYTHON" -B "$WORKSPACE/source/demo/webhooks.py" >"$WORKSPACE/tmp/webhooks.csv"
    as_user psql -X -q -d demo -U hooks -f "$WORKSPACE/source/demo/webhooks.sql" \
        <"$WORKSPACE/tmp/webhooks.csv"
    interruptible sql -f "$WORKSPACE/source/demo/stranger.sql" >"$answer" || {
        tail -n 20 "$WORKSPACE/demo.log" >&2
        die "the execution failed"
    }
    cat "$answer"
    sql -f "$WORKSPACE/source/demo/received.sql"
}

report() {
    step "What the database knows now"
    sql -f "$WORKSPACE/source/demo/report.sql"
}

# The program that serves HTTP, on a free port, which is left in DOOR_PORT.
start_door() {
    local output=$WORKSPACE/door.out
    as_user tee "$WORKSPACE/door.conf" >/dev/null <<END
port = 0
database = host=$PGHOST port=$PGPORT dbname=demo user=cadence_door
dashboard = $(as_user pg_config --sharedir)/cadence_runner/dashboard
END
    as_user touch "$output"
    as_user setsid "$PG_BIN/cadence_door" --config "$WORKSPACE/door.conf" \
        >>"$output" 2>>"$WORKSPACE/door.log" </dev/null &
    wait_until door_ready "$output" || die "the door did not start: $(cat "$WORKSPACE/door.log")"
}

door_ready() {
    DOOR_PORT=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$1")
    [[ -n $DOOR_PORT ]]
}

# ask METHOD PATH [SECRET]: a request to the door, its status, and the beginning of what it answers.
ask() {
    local answer
    exec 3<>"/dev/tcp/127.0.0.1/$DOOR_PORT"
    printf '%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n%s\r\n' \
        "$1" "$2" "${3:+Authorization: Bearer $3$'\r\n'}" >&3
    answer=$(tr -d '\r' <&3)
    exec 3>&-
    printf '%-4s %-30s %-12s %s   %s\n' "$1" "$2" "${3:+with secret}" "$(sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' <<<"$answer")" \
        "$(sed '1,/^$/d' <<<"$answer" | grep -v '^#' | head -n 1 | cut -c 1-90)"
}

door() {
    local cron metrics
    step "Opening the door: executions, metrics and the dashboard over HTTP"
    read -r cron metrics PEOPLE < <(as_user psql -X -q -A -t -F ' ' -d demo -f "$WORKSPACE/source/demo/door.sql")
    start_door
    ask GET /health
    ask GET /health "$PEOPLE"
    ask POST /functions/v1/cadence-runner
    ask POST /functions/v1/cadence-runner "$cron"
    ask GET /metrics "$metrics"
    ask GET /api/agora
    ask GET /api/agora "$PEOPLE"
    ask GET /
}

# Gives the workspace up to the user: the trap that removes it goes.
keep() {
    local stop="$PG_BIN/pg_ctl -D $WORKSPACE/demo/data -m fast stop"
    [[ $EUID -ne 0 ]] || stop="(cd / && runuser -u $(unprivileged_user) -- $stop)"
    trap - EXIT
    step "Left running"
    say "look inside:      psql -h $PGHOST -p $PGPORT -U crm demo"
    say "watch messages:   tail -f $WORKSPACE/messages.log"
    say "dashboard:        http://127.0.0.1:$DOOR_PORT/"
    say "                  the token is $PEOPLE"
    say "stop and remove:  $stop; kill $(service_pids | paste -s -d " "); rm -rf $WORKSPACE"
}

service_pids() {
    processes_of "$WORKSPACE" | while read -r pid; do
        if [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == @("$PYTHON "|"$PG_BIN/cadence_door ")* ]]; then
            say "$pid"
        fi
    done
}

main() {
    BOLD="" PLAIN="" COLOUR=""
    if [[ -t 1 ]]; then
        BOLD=$'\033[1m' PLAIN=$'\033[0m' COLOUR=1
    fi
    parse_options "$@"
    check_leads_file
    prepare
    start_database
    load_data
    enrol
    execute
    [[ -n $LEADS ]] || night
    [[ -n $LEADS ]] || receive
    report
    door
    if [[ -n $KEEP ]]; then
        keep
    else
        step "Done; removing the cluster (KEEP=1 leaves it up)"
    fi
}

main "$@"
