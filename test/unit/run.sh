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
    -D_GNU_SOURCE -DPROTOCOLS="\"$SRC/../protocols\"" -I"$SRC")
DEFINITION=(rules/{class,arena,compiler,definition,{option,operation,answer,receive,signature,event}_rules,domain_limits}.c
    rules/{received,received_places,template,text}.c)
RECEIVE=(rules/{receive_{reader,body,form},received_{path,field,value,time},answer_json}.c)
FIELDS=(rules/{receive_form,signature_text,received_value,received_time,phone,opt_out_word,text}.c)
MAIL=(rules/{mail,mail_reply,mailbox,buffer,text}.c)
HTTP=(rules/{http_text,http_body,receive_form,signature_text,received_value,text}.c)
DECIDE=(rules/{calendar,window,decide,reason}.c)
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

# fuzz NAME SEEDS LIBRARIES SOURCE…: the same with libFuzzer, from inputs that lead to the depths.
fuzz() {
    local name=$1 seeds=$BUILD/seeds/$2 libraries=$3 log=$BUILD/$1.log
    shift 3
    if ! clang "${FLAGS[@]}" -fsanitize=fuzzer,address,undefined -o "$BUILD/$name" \
        "$HERE/$name.c" "${@/#/$SRC/}" $libraries >"$log" 2>&1; then
        not_ok "$name: does not build" "$log"
        return
    fi
    mkdir -p "$BUILD/$name.found"
    if "$BUILD/$name" -seed=1 -runs="$RUNS" -max_total_time="$SECONDS_EACH" -max_len=8192 \
        -dict="$BUILD/words" -artifact_prefix="$BUILD/$name." "$BUILD/$name.found" "$seeds" >"$log" 2>&1; then
        echo "ok $name ($(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log") runs)"
    else
        not_ok "$name: see $BUILD/$name.*" <(tail -n 60 "$log")
    fi
}

seeds() {
    local seeds=$BUILD/seeds file
    mkdir -p "$seeds"/{template,definition,answer,mail,receive,received,window,decide,http}
    printf '%s' 'Oi {{nome|amigo}}, {{ x }} e {{y|}}!' >"$seeds/template/template"
    printf '%s' '{{a|b}}{{c}}{d}}{{' >"$seeds/template/braces"
    cp "$SRC"/../protocols/*.json "$seeds/definition"
    printf '%s' '{"success": false, "permanent": true, "error": "não", "messageId": "1"}' \
        >"$seeds/answer/failure"
    printf '%s' '{"success": true, "messageId": {"a": [1, 2.5, null]}, "message": "\u00e9"}' \
        >"$seeds/answer/success"
    printf '%s' '{"error": {"code": 131047, "error_data": {"details": "x"}}, "messages": [{"id": 1}]}' \
        >"$seeds/answer/meta"
    # libFuzzer's dictionary, with the quotes
    LC_ALL=C grep -oh '"[]#-[^-~ !]*"' "$SRC"/../protocols/*.json | sort -u |
        sed 's/^"\(.*\)"$/"\\"\1\\""/' >"$BUILD/words"
    # what rules look for stands in the definitions
    for file in "$SRC"/../protocols/*.json; do
        sed -n '/"response"/,/^  "receive"/p' "$file" >"$seeds/answer/$(basename "$file")"
    done
    receive_seeds "$seeds/receive"
    received_seeds "$seeds/received"
    printf '%s\0' 'João <a@b.c>' 'x@y.z' 'Olá =?' '.text' '<b>' 'http://x/' >"$seeds/mail/mail"
    window_seeds "$seeds/window"
    http_seeds "$seeds/http"
    head -c 400 /dev/zero >"$seeds/decide/zero"
    printf '\003\027\345\011\001\005\003\004\002\001\001\012\100\007\013\002%.0s' {1..12} >"$seeds/decide/some"
    printf '550-5.1.1 no\r\n550 5.1.1 such user\r\n' >"$seeds/mail/reply"
}

# Bodies that the test of the providers has, and each definition's rules before a body.
receive_seeds() {
    local n=0 line
    sed -n "s/^.*TELLS(\"\({.*}\)\",$/\1/p" "$HERE/receive_protocols_test.c" | tr "'" '"' |
        while IFS= read -r line; do
            printf '%s' "$line" >"$1/body$((n++))"
        done
    for line in "$SRC"/../protocols/*.json; do
        { sed -n '1,/^  "receive": /d; /^  }$/!p; /^  }$/q' "$line" | sed '1s/^/{/; $s/$/}/'
            printf '\n\n{"event": "message"}'; } >"$1/$(basename "$line")"
    done
    printf '%s\n\n%s' '{"events": [{"each": "/a/*", "when": {"^/b": 1}, "event": "receipt", "fields": {"id": ["/i", "."], "state": "^/s"}}], "scrub": ["/c"]}' \
        '{"a": [{"i": 1}, "x"], "b": 1, "s": "read", "c": 2}' >"$1/rules"
    printf '%s\n\n%s' '{"events": [{"each": "/a/*/b/*", "when": {"/h/n=X/v": {"begins": "a"}}, "event": "message", "fields": {"id": ["/o/only/i", "$/i"], "phone": "^/p", "text": "^^/t"}}]}' \
        '{"a": [{"p": 5511987654321, "b": [{"h": [{"n": "Y"}, {"n": "X", "v": "ab"}], "o": [{"i": 12345678901234567890}]}]}], "t": "\ud83d\ude00 \u00e9", "i": 1.5}' >"$1/steps"
    printf '%s' '{"event": "message", "id": 1e3, "phone": 5511987654321, "text": "a\u0000b \ud83d \udc00", "time": 1764450000123}' >"$1/surrogates"
    printf '[%.0s' {1..3000} >"$1/deep"
    printf '{"a":%.0s' {1..1000} >"$1/nested"
    printf '%s' 'MessageSid=SM1&MessageStatus=read&To=%2B5511987654321' >"$1/form"
}

# What providers send beside bodies and in their fields, as their definitions and tests have it.
received_seeds() {
    local n=0 line
    while IFS= read -r line; do
        printf '%s' "$line" >"$1/text$((n++))"
    done <<'END'
MessageSid=SM1&MessageStatus=read&To=%2B5511987654321&From=whatsapp%3A%2B15005550006&Body=Ol%C3%A1+%00&Body=x
hub.mode=subscribe&hub.verify_token=palavra&hub.challenge=1158201444
&=&a&=b&a=%&%zz=1&a=1
v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1a,AAAA v1,
sha256=7d38cdd689735b008b3c702edd92eea23791c5f6, sha256=00ff
Basic YW55OnNlY3JldA==
any:secret:with:colons
1764450000
+55 (0)11 98765-4321
0 15 11 3333-4444
5511987654321@s.whatsapp.net
whatsapp:+5511987654321
98765432101234:12@lid
"Ana" <Ana.B+x@Example.com>
2026-05-01T12:00:00.123-03:00
Mon, 17 Jul 2023 11:11:22 -0700
1764450000.25
Não quero mais, receber! 🙏
ＳＡＩＲ
s​a­ir️ … PARAR
END
}

# Windows that open, and such as look like one.
window_seeds() {
    local n=0 line
    while IFS= read -r line; do
        printf '%s' "$line" >"$1/window$((n++))"
    done <<'END'
[{"dias": [1, 2, 3, 4, 5], "das": "08:00", "ate": "18:00"}]
[{"das": "22:00", "ate": "02:00"}, {"dias": [6, 7], "das": "00:00", "ate": "24:00"}]
[{"das": "12:00", "ate": "18:00"}, {"das": "08:00", "ate": "12:00"}, {"dias": [7], "das": "02:30", "ate": "00:00"}]
[{"dias": [8], "das": "8:00", "ate": "24:01"}]
[{"dias": null, "até": "12:3:"}]
END
}

# Headers, addresses and bodies, in no order.
http_seeds() {
    local n=0 line
    while IFS= read -r line; do
        printf '%s' "$line" >"$1/text$((n++))"
    done <<'END'
Bearer eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl
a=b; c=1764450000.00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff.ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
1764450000.00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff.ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1
"b", W/"a", *
https://h.example
wa%20b%C3%A9%2F/%00%
{"a": "x", "b": [1, {"a": null}], "a": "y\u0000"}
a=1&b=%20+&a=%00
END
}

# Whether every test that lies here is run below.
forget_none() {
    local name
    for name in "$HERE"/*_test.c "$HERE"/*_fuzz.c; do
        name=$(basename "$name" .c)
        grep -qE "^ +(unit|fuzz) $name " "${BASH_SOURCE[0]}" || echo "not ok $name is not run"
    done
}

# The fuzzers take most of the time, so they run beside each other and beside the rest.
run_all() {
    forget_none
    local fuzzer answers=(rules/{answer_reader,answer_json}.c)
    fuzz template_fuzz template '' rules/{template,text}.c >"$BUILD/template_fuzz.result" &
    fuzz definition_fuzz definition '-ljansson' "${DEFINITION[@]}" "${answers[@]}" \
        rules/{request_builder,buffer}.c >"$BUILD/definition_fuzz.result" &
    fuzz answer_fuzz answer '-ljansson' "${DEFINITION[@]}" "${answers[@]}" \
        >"$BUILD/answer_fuzz.result" &
    fuzz mail_fuzz mail '' "${MAIL[@]}" >"$BUILD/mail_fuzz.result" &
    fuzz receive_fuzz receive '-ljansson' "${DEFINITION[@]}" "${RECEIVE[@]}" \
        >"$BUILD/receive_fuzz.result" &
    fuzz received_fuzz received '' "${FIELDS[@]}" >"$BUILD/received_fuzz.result" &
    fuzz window_fuzz window '-ljansson' rules/{calendar,window}.c >"$BUILD/window_fuzz.result" &
    fuzz decide_fuzz decide '-ljansson' "${DECIDE[@]}" rules/due.c >"$BUILD/decide_fuzz.result" &
    fuzz http_fuzz http '-ljansson' "${HTTP[@]}" >"$BUILD/http_fuzz.result" &
    unit mail_test '' "${MAIL[@]}"
    unit template_test '' rules/{template,text}.c
    unit text_test '' rules/text.c
    unit transition_test '' rules/{transition,due,calendar}.c
    unit limits_test '' rules/limits.c
    unit domain_limits_test '-ljansson' rules/domain_limits.c
    unit sender_history_test '' rules/sender_history.c
    unit phone_test '' rules/{phone,text}.c
    unit zone_test '' rules/zone.c
    unit address_key_test '' rules/{address_key,mailbox,phone,text}.c
    unit opt_out_word_test '' rules/{opt_out_word,text}.c
    unit reentry_test '' rules/reentry.c
    unit calendar_test '' rules/calendar.c
    unit window_test '-ljansson' rules/{calendar,window}.c
    unit due_test '' rules/{calendar,due}.c
    unit decide_test '-ljansson' "${DECIDE[@]}"
    unit explanation_test '' rules/{explanation,reason}.c
    unit forecast_test '-ljansson' "${DECIDE[@]}" rules/{due,forecast,forecast_{heap,policy,zone},transition}.c
    unit late_class_test '-ljansson' "${DEFINITION[@]}" rules/late_class.c
    unit definition_test '-ljansson' "${DEFINITION[@]}"
    unit request_builder_test '-ljansson' "${DEFINITION[@]}" rules/{request_builder,buffer}.c
    unit answer_reader_test '-ljansson' "${DEFINITION[@]}" "${answers[@]}"
    unit receive_test '-ljansson' "${DEFINITION[@]}" "${RECEIVE[@]}"
    unit receive_protocols_test '-ljansson' "${DEFINITION[@]}" "${RECEIVE[@]}"
    unit http_test '-ljansson' "${HTTP[@]}"
    unit address_test '' transport/address.c
    unit sockets_test '' transport/sockets.c
    wait
    for fuzzer in template definition answer mail receive received window decide http; do
        cat "$BUILD/${fuzzer}_fuzz.result"
    done
}

rm -rf "$BUILD"
mkdir -p "$BUILD"
seeds
run_all | tee "$OUTPUT"
FAILED=$(grep -c '^not ok' "$OUTPUT" || true)
[[ $FAILED -eq 0 ]] || STATUS=1
echo "$(grep -c '^ok' "$OUTPUT" || true) passed, $FAILED failed"
exit "$STATUS"
