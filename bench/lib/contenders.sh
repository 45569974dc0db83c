# shellcheck shell=bash disable=SC2034,SC2153
#
# The contenders: this extension, and what a user would pick instead. Each function run_… works on
# the database "bench" and leaves "steps seconds" in RESULT. Sourced by bench/run.sh.

# As its caller sees it: the start of the worker and the way of its answer are in the time.
run_cadence() {
    RESULT=$(crm -F ' ' <<'END'
SELECT clock_timestamp() AS started \gset
SELECT cadence_run('TEST') -> 'summary' ->> 'success' AS steps \gset
SELECT :steps, round(extract(epoch FROM clock_timestamp() - :'started'), 3);
END
    )
}

run_plain() {
    local output
    output=$(as_user env PGUSER=crm PGDATABASE=bench "$WORKSPACE/tmp/plain_loop" "$SINK_URL" \
        "$PLAIN_STEPS")
    RESULT=${output#RESULT }
}

# peer SCRIPT [NAME=VALUE…]; what it has to say to people is shown when it fails.
peer() {
    local output said=$WORKSPACE/tmp/peer.said
    output=$(wide_in source/bench/peers env PGUSER=crm PGDATABASE=bench PROVIDER="$SINK_URL" \
        "${@:2}" "$NODE" "$1" 2>"$said") || {
        cat "$said" >&2
        die "$1 failed"
    }
    RESULT=$(sed -n 's/^RESULT //p' <<<"$output")
}

run_edge() {
    peer edge_function.js MAX="$EDGE_STEPS"
}

run_node() {
    peer node_worker.js
}

run_graphile() {
    peer graphile_worker.js
}

run_pgboss() {
    peer pg_boss.js
}

# Which of them can run here; the packages that they need go into the workspace's copy of them.
# Leaves their names in PEERS, and says why one is not there.
prepare_peers() {
    local npm
    [[ -z ${PEERS_READY:-} ]] || return 0
    PEERS_READY=yes PEERS=(plain)
    NODE=$(command -v node || true)
    npm=$(command -v npm || true)
    [[ -n $NODE && -n $npm ]] || {
        note 1 "no node and npm here: the Node contenders are skipped"
        return 0
    }
    as_user "$NODE" -e 0 2>/dev/null || {
        note 1 "user $(unprivileged_user) cannot run $NODE: the Node contenders are skipped"
        return 0
    }
    quietly in_workspace source/bench/peers env npm_config_cache="$WORKSPACE/tmp/npm" "$npm" ci \
        --ignore-scripts --no-audit --no-fund || {
        note 1 "npm could not fetch its packages: the Node contenders are skipped"
        return 0
    }
    PEERS+=(edge node)
    add_peer graphile graphile-worker
    add_peer pgboss pg-boss
}

# add_peer NAME PACKAGE: of row 1, where its package can be loaded.
add_peer() {
    if can_load "$2" 1; then
        PEERS+=("$1")
    fi
}

# can_load PACKAGE ROW: whether this Node can, or else says in the row's notes that it can not.
can_load() {
    [[ -n $NODE ]] || return 1
    in_workspace source/bench/peers "$NODE" -e "require('$1')" 2>/dev/null || {
        note "$2" "$1 does not run with node $("$NODE" --version): skipped"
        return 1
    }
}

has_peer() {
    [[ " ${PEERS[*]} " == *" $1 "* ]]
}

# steps_of CONTENDER: the slow ones are stopped early, and their rate is what they did until then.
steps_of() {
    case $1 in
        plain) say "$PLAIN_STEPS" ;;
        edge) say "$EDGE_STEPS" ;;
        *) say "$STEPS" ;;
    esac
}
