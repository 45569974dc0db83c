#!/usr/bin/env bash
#
# The units: the parts of src that need no server, under the address and undefined-behaviour
# sanitizers, and a bounded run of their fuzzers. Builds into test/unit/build.
#
#   test/unit/run.sh            RUNS=… and SECONDS_EACH=… change how long a fuzzer runs
#
# Prints one line "ok" or "not ok" per group of checks, then "N passed, N failed".

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SRC=$HERE/../../src
BUILD=$HERE/build
CC=${UNIT_CC:-clang}
RUNS=${RUNS:-200000}
SECONDS_EACH=${SECONDS_EACH:-10}
FLAGS=(-std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all -Wall -Wextra -Werror
    -D_GNU_SOURCE -I"$SRC")
OUTPUT=$BUILD/output
STATUS=0

export ASAN_OPTIONS=abort_on_error=0:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1

# not_ok NAME LOG: a failed check, with what was printed.
not_ok() {
    sed 's/^/# /' "$2"
    echo "not ok $1"
}

# unit NAME LIBRARIES SOURCE…: builds a test with the sources that it covers, and runs it.
unit() {
    local name=$1 libraries=$2 status=0
    shift 2
    if ! "$CC" "${FLAGS[@]}" -fsanitize=address,undefined -o "$BUILD/$name" "$HERE/$name.c" \
        "${@/#/$SRC/}" $libraries >"$BUILD/$name.log" 2>&1; then
        not_ok "$name: does not build" "$BUILD/$name.log"
        return
    fi
    "$BUILD/$name" 2>"$BUILD/$name.log" || status=$?
    # a failed group has printed its line already; a sanitizer's report has not
    if [[ -s $BUILD/$name.log || $status -gt 1 ]]; then
        not_ok "$name: ended with status $status" "$BUILD/$name.log"
    fi
}

# fuzz NAME LIBRARIES SOURCE…: the same with libFuzzer, from a few inputs that lead to the depths.
fuzz() {
    local name=$1 libraries=$2 log=$BUILD/$1.log
    shift 2
    if ! clang "${FLAGS[@]}" -fsanitize=fuzzer,address,undefined -o "$BUILD/$name" \
        "$HERE/$name.c" "${@/#/$SRC/}" $libraries >"$log" 2>&1; then
        not_ok "$name: does not build" "$log"
        return
    fi
    mkdir -p "$BUILD/$name.found"
    if "$BUILD/$name" -seed=1 -runs="$RUNS" -max_total_time="$SECONDS_EACH" -max_len=4096 \
        -artifact_prefix="$BUILD/$name." "$BUILD/$name.found" "$BUILD/seeds" >"$log" 2>&1; then
        echo "ok $name ($(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log") runs)"
    else
        not_ok "$name: see $BUILD/$name.*" <(tail -n 60 "$log")
    fi
}

seeds() {
    mkdir -p "$BUILD/seeds"
    printf '%s' 'Oi {{nome|amigo}}, {{ x }} e {{y|}}!' >"$BUILD/seeds/template"
    printf '%s' '{{a|b}}{{c}}{d}}{{' >"$BUILD/seeds/braces"
    printf '%s' '{"success": false, "permanent": true, "error": "não", "messageId": "1"}' \
        >"$BUILD/seeds/failure"
    printf '%s' '{"success": true, "messageId": {"a": [1, 2.5, null]}, "message": "\u00e9"}' \
        >"$BUILD/seeds/success"
}

# The two fuzzers take most of the time, so they run beside each other and beside the rest.
run_all() {
    fuzz template_fuzz '' rules/template.c rules/text.c >"$BUILD/template_fuzz.result" &
    fuzz webhook_fuzz '-ljansson' rules/webhook.c >"$BUILD/webhook_fuzz.result" &
    unit template_test '' rules/template.c rules/text.c
    unit text_test '' rules/text.c
    unit transition_test '' rules/transition.c
    unit outcome_test '' rules/outcome.c
    unit webhook_test '-ljansson' rules/webhook.c
    unit address_test '' transport/address.c
    unit sockets_test '' transport/sockets.c
    wait
    cat "$BUILD/template_fuzz.result" "$BUILD/webhook_fuzz.result"
}

rm -rf "$BUILD"
mkdir -p "$BUILD"
seeds
run_all | tee "$OUTPUT"
FAILED=$(grep -c '^not ok' "$OUTPUT" || true)
[[ $FAILED -eq 0 ]] || STATUS=1
echo "$(grep -c '^ok' "$OUTPUT" || true) passed, $FAILED failed"
exit "$STATUS"
