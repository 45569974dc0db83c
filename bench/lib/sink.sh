# shellcheck shell=bash disable=SC2034,SC2153
#
# The providers: nginx, which answers at once, slow_sink.c, which takes its time, and smtp_sink.c,
# which takes mails. Sourced by bench/run.sh.

# wide_in DIRECTORY COMMAND…, wide COMMAND…: as in_workspace and as_user, with as many open files as
# may be: PAM sets the limit of a user that root becomes back to 1,024.
wide_in() {
    # shellcheck disable=SC2016  # for the inner shell
    in_workspace "$1" bash -c 'ulimit -n "$(ulimit -Hn)"; exec "$@"' wide "${@:2}"
}

wide() {
    wide_in . "$@"
}

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

# Each protocol's own answer to a message that it has accepted; where that says nothing, the id is in
# a header.
sink_locations() {
    local protocol path status body
    while IFS=$'\t' read -r protocol path status body; do
        printf '        location = %s {\n            return %d %s;\n' "$path" "$status" "'$body'"
        [[ -n $body ]] || printf '            add_header X-Message-Id m-1 always;\n'
        printf '        }\n'
    done < <(tail -n +2 "$BENCH/answers.tsv")
}

sink_configuration() {
    cat <<END
daemon off;
worker_processes 1;
pid $WORKSPACE/sink/pid;
events {
    worker_connections 16384;
    multi_accept on;
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
        listen 127.0.0.1:$FAST_PORT backlog=4096;
        default_type application/json;
$(sink_locations)
        location = /status {
            stub_status;
        }
    }
}
END
}

start_sink() {
    FAST_PORT=$(free_port)
    as_user mkdir "$WORKSPACE/sink"
    sink_configuration | as_user tee "$WORKSPACE/sink/nginx.conf" >/dev/null
    wide setsid "$NGINX" -e "$WORKSPACE/sink/error.log" -p "$WORKSPACE/sink/" \
        -c "$WORKSPACE/sink/nginx.conf" >/dev/null 2>&1 </dev/null &
    use_fast_sink
    wait_until sink_requests >/dev/null ||
        die "the sink did not start: $(cat "$WORKSPACE/sink/error.log")"
    SINK_PID=$(cat "$WORKSPACE/sink/pid")
}

use_fast_sink() {
    SINK_PORT=$FAST_PORT
    SINK_URL=http://127.0.0.1:$SINK_PORT/send
}

# use_slow_sink MILLISECONDS: one process for each delay, started when it is first asked for.
declare -A SLOW_PORTS=()
use_slow_sink() {
    [[ -n ${SLOW_PORTS[$1]:-} ]] || start_slow_sink "$1"
    SINK_PORT=${SLOW_PORTS[$1]}
    SINK_URL=http://127.0.0.1:$SINK_PORT/send
}

start_slow_sink() {
    local output=$WORKSPACE/slow-$1.out
    wide setsid "$WORKSPACE/tmp/slow_sink" "$1" >"$output" 2>&1 </dev/null &
    wait_until says_its_port "$output" || die "the slow sink did not start: $(cat "$output")"
    SLOW_PORTS[$1]=$(sed -n 's/^PORT //p' "$output")
}

says_its_port() {
    grep -q '^PORT [0-9]' "$1"
}

# The sink's address is written as the others' are: what speaks SMTP takes host and port from it.
use_smtp_sink() {
    [[ -n ${SMTP_PORT:-} ]] || start_smtp_sink
    SINK_PORT=$SMTP_PORT
    SINK_URL=http://127.0.0.1:$SINK_PORT/send
}

start_smtp_sink() {
    local output=$WORKSPACE/smtp.out
    wide setsid "$WORKSPACE/tmp/smtp_sink" >"$output" 2>&1 </dev/null &
    wait_until says_its_port "$output" || die "the mail sink did not start: $(cat "$output")"
    SMTP_PORT=$(sed -n 's/^PORT //p' "$output")
    SMTP_PID=$(sed -n 's/^PID //p' "$output")
}

# ask PATH: the sink's answer to it.
ask() {
    {
        exec 3<>"/dev/tcp/127.0.0.1/$SINK_PORT" || return 1
    } 2>/dev/null
    printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3
    cat <&3
    exec 3>&-
}

# How many messages the sink has had. nginx counts each question, this one included, as one more.
sink_requests() {
    local accepts handled requests
    [[ $SINK_PORT == "$FAST_PORT" ]] || {
        ask /count | tail -n 1
        return
    }
    read -r accepts handled requests < <(ask /status | sed -n '/^server accepts/{n;p}')
    [[ -n $accepts && -n $handled && -n $requests ]] || return 1
    say "$requests"
}

compile() {
    as_user gcc -O2 -I"$("$SYSTEM_BIN/pg_config" --includedir)" -o "tmp/$1" \
        "source/bench/$1.c" "${@:2}"
}

build_helpers() {
    compile plain_loop -lpq -lcurl
    compile curl_part -lcurl
    compile slow_sink
    compile smtp_sink
}
