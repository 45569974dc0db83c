#!/usr/bin/env bash
#
# The tests of the project, on a bare Debian machine too: brings what is missing, builds with
# warnings as errors, and runs the unit tests, the regression and isolation tests and the TAP
# tests in a workspace of its own. The last line is "N passed, N failed".
#
#   test/run.sh                 all but the long ones
#   test/run.sh -l              the long ones
#   test/run.sh -k PATTERN      those whose name matches the regular expression, long or not
#
# What does not run is a failure, unless a list below names it.
#
# PG_CONFIG=… names the pg_config of the PostgreSQL to test with, where it is not one of Debian's.

set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The tests that take longest; the others take some four minutes together, on two cores.
LONG=(
    002_answers
    003_many_callers
    004_stop
    005_pg_cron
    014_resident
    015_resident_databases
    016_resident_ends
    017_resident_minute
    019_dead_provider
    020_crash
    021_fencing
    023_copies
    024_clock
    025_plans
    030_soak
    031_connections
    041_limits
    042_same_again
    044_marks
    045_conversations
    056_answers
    071_forecast
    072_simulate
    081_bad_clients
    082_away
)

# Why a test may be skipped.
MAY_BE_SKIPPED=(
    'pg_cron is not installed'
    'pg_net is not installed'
    'no small disk: needs root, and mount'
    'no Chromium can be installed'
    'no nginx'
    'no Caddy'
    'no systemd'
    'memberships have no options before PostgreSQL 16'
)

PATTERN=
LONG_ONES=
UNIT_TESTS=
PASSED=0
FAILED=0

# result NAME STATUS: counts one check and says how it went.
result() {
    if [[ $2 -eq 0 ]]; then
        PASSED=$((PASSED + 1))
        say "ok      $1"
    else
        FAILED=$((FAILED + 1))
        say "FAILED  $1"
    fi
}

# check NAME COMMAND…: one check that passes when the command does; shows its output otherwise.
check() {
    local name=$1 status=0
    shift
    wanted "$name" || return 0
    interruptible quietly "$@" || status=$?
    result "$name" "$status"
}

wanted() {
    if [[ -n $PATTERN ]]; then
        [[ $1 =~ $PATTERN ]]
    elif [[ " ${LONG[*]} " == *" $1 "* ]]; then
        [[ -n $LONG_ONES ]]
    else
        [[ -z $LONG_ONES ]]
    fi
}

# A kind of tests that has moved, a result without its test, a long test that is not there.
nothing_is_missing() {
    local glob name absent=0
    cd "$WORKSPACE/source" || return
    for glob in 'test/sql/*.sql' 'test/specs/*.spec' 'test/t/*.pl' test/unit/run.sh; do
        compgen -G "$glob" >/dev/null || { say "no $glob" && absent=1; }
    done
    for name in expected/*.out; do
        name=$(basename "$name" .out)
        [[ -e test/sql/$name.sql || -e test/specs/$name.spec ]] || { say "no test $name" && absent=1; }
    done
    for name in "${LONG[@]}"; do
        [[ -e test/t/$name.pl ]] || { say "no test/t/$name.pl" && absent=1; }
    done
    return "$absent"
}

# From PostgreSQL 16 on the transport does not see what the other library defines; before, it does.
libraries_stand_alone() {
    local libraries defined needed
    libraries=$WORKSPACE/root$("$SYSTEM_BIN/pg_config" --pkglibdir)
    defined=$(nm -D -P --defined-only "$libraries/cadence_runner.so") || return
    needed=$(nm -D -P --undefined-only "$libraries/cadence_runner_dispatch.so") || return
    [[ -n $defined && -n $needed ]] || return
    ! comm -12 <(cut -d ' ' -f 1 <<<"$defined" | sort) <(cut -d ' ' -f 1 <<<"$needed" | sort) | grep .
}

# wanted_files GLOB SUFFIX: the names of the matching files of the workspace's source, in order.
wanted_files() {
    local file name
    for file in "$WORKSPACE"/source/$1; do
        name=$(basename "$file" "$2")
        if [[ -e $file ]] && wanted "$name"; then
            say "$name"
        fi
    done
}

# What git says of the checkout; a test run must leave it as it was.
checkout_state() {
    git_here status --porcelain --ignored 2>/dev/null || true
}

checkout_unchanged() {
    local after
    after=$(checkout_state)
    diff <(say "$CHECKOUT_BEFORE") <(say "$after")
}

# The units keep a core busy, and the tests in SQL wait most of their time: they run beside each other.
start_unit_tests() {
    wanted unit || return 0
    set -m
    in_workspace source test/unit/run.sh >"$WORKSPACE/tmp/unit.out" 2>&1 </dev/null &
    UNIT_TESTS=$!
    set +m
}

# They count themselves with "ok" and "not ok" lines.
unit_tests_result() {
    local output=$WORKSPACE/tmp/unit.out status=0 good bad
    [[ -n $UNIT_TESTS ]] || return 0
    wait "$UNIT_TESTS" || status=$?
    good=$(grep -c '^ok\b' "$output" || true)
    bad=$(grep -c '^not ok\b' "$output" || true)
    if [[ $status -ne 0 || $bad -ne 0 ]]; then
        cat "$output"
        [[ $bad -ne 0 ]] || bad=1
    elif [[ $good -eq 0 ]]; then
        bad=1
    fi
    PASSED=$((PASSED + good))
    FAILED=$((FAILED + bad))
    say "units: $good passed, $bad failed"
}

# sql_tests LABEL N PROGRAM OPTIONS TESTS…: runs pg_regress or the isolation runner, whose last
# arguments are the names of N tests, and counts its lines.
sql_tests() {
    local label=$1 tests=$2 output=$WORKSPACE/tmp/$1.out status=0 good bad
    shift 2
    interruptible in_workspace source "$@" >"$output" 2>&1 || status=$?
    grep -E '^(test |ok |not ok )' "$output" || true
    good=$(grep -cE '^(test .* \.\.\. ok|ok )' "$output" || true)
    bad=$(grep -cE '^(test .* \.\.\. FAILED|not ok )' "$output" || true)
    if [[ $((good + bad)) -ne $tests || $status -ne 0 ]]; then
        [[ $bad -ne 0 ]] || { bad=1 && cat "$output"; }
        [[ ! -s $WORKSPACE/source/regression.diffs ]] ||
            head -n 2000 "$WORKSPACE/source/regression.diffs"
        say "--- the end of the server's log"
        grep -m 5 '^TRAP: ' "$WORKSPACE/main.log" || true
        tail -n 30 "$WORKSPACE/main.log"
    fi
    PASSED=$((PASSED + good))
    FAILED=$((FAILED + bad))
    say "$label: $good passed, $bad failed"
}

# The regression tests run in the database that pg_cron, where there is one, lives in.
regression_tests() {
    local tests
    mapfile -t tests < <(wanted_files 'test/sql/*.sql' .sql)
    [[ ${#tests[@]} -gt 0 ]] || return 0
    as_user createdb -T template0 contrib_regression
    sql_tests regression "${#tests[@]}" "$PGXS_TEST/regress/pg_regress" --inputdir=test --bindir="$PG_BIN" \
        --use-existing --dbname=contrib_regression "${tests[@]}"
}

isolation_tests() {
    local tests
    mapfile -t tests < <(wanted_files 'test/specs/*.spec' .spec)
    [[ ${#tests[@]} -gt 0 ]] || return 0
    sql_tests isolation "${#tests[@]}" "$PGXS_TEST/isolation/pg_isolation_regress" --inputdir=test \
        --outputdir=. --bindir="$PG_BIN" --dbname=isolation_regression "${tests[@]}"
}

# Runs TAP files as prove does, and leaves the numbers in a file: passed, failed, and the names of
# the files that had a problem. A file that dies without a failed assertion counts as one, as does
# whatever was skipped for a reason that is not in MAY_BE_SKIPPED.
# shellcheck disable=SC2016  # Perl's variables
TAP_RUNNER='
    use strict;
    use warnings;
    use TAP::Harness;
    my ($counts, @files) = @ARGV;
    my %may_be_skipped = map { $_ => 1 } split /\n/, $ENV{MAY_BE_SKIPPED};
    my @skipped;
    my $harness = TAP::Harness->new({ jobs => 4, timer => 1, lib => [ $ENV{PGXS_PERL} ] });
    $harness->callback(parser_args => sub {
        my ($args, $test) = @_;
        $args->{callbacks} = { test => sub {
            push @skipped, [ $test->[0], $_[0]->explanation ] if $_[0]->has_skip;
        } };
    });
    my $all = $harness->runtests(@files);
    my %parsers;
    @parsers{ $all->descriptions } = $all->parsers;
    my $passed = $all->passed - grep { !$may_be_skipped{ $_->[1] } } @skipped;
    push @skipped, map { [ $_, $parsers{$_}->skip_all ] } grep { $parsers{$_}->skip_all } $all->descriptions;
    print "not run in $_->[0]: $_->[1]\n" for @skipped;
    my $failed = $all->failed + grep { !$may_be_skipped{ $_->[1] } } @skipped;
    $failed++ if keys %parsers != @files;
    my @bad = grep { $parsers{$_}->has_problems } $all->descriptions;
    $failed += grep { !$parsers{$_}->failed } @bad;
    open(my $out, ">", $counts) or die "$counts: $!";
    print $out "$passed $failed @bad\n";
'

tap_tests() {
    local tests counts=$WORKSPACE/tmp/tap.counts good bad files file
    mapfile -t tests < <(wanted_files 'test/t/*.pl' .pl | sed 's|.*|test/t/&.pl|')
    [[ ${#tests[@]} -gt 0 ]] || return 0
    interruptible in_workspace source env -u PGHOST -u PGUSER PGPORT=65432 \
        TESTDIR="$WORKSPACE/source" TESTDATADIR="$WORKSPACE/source/tmp_check" \
        TESTLOGDIR="$WORKSPACE/source/tmp_check/log" PG_TEST_PORT_DIR="$WORKSPACE/tmp/ports" \
        PG_REGRESS="$PGXS_TEST/regress/pg_regress" PGXS_PERL="$PGXS_TEST/perl" \
        CADENCE_PROVIDER="$WORKSPACE/source/test/provider" CADENCE_UNPACKED="$WORKSPACE/unpacked" \
        MAY_BE_SKIPPED="$(printf '%s\n' "${MAY_BE_SKIPPED[@]}")" \
        perl -e "$TAP_RUNNER" "$counts" "${tests[@]}" || true
    [[ -s $counts ]] || say "0 1" >"$counts"
    read -r good bad files <"$counts"
    for file in $files; do
        say "--- the end of the log of $file"
        file=$WORKSPACE/source/tmp_check/log/regress_log_$(basename "$file" .pl)
        [[ ! -e $file ]] || tail -n 60 "$file"
    done
    PASSED=$((PASSED + good))
    FAILED=$((FAILED + bad))
    say "TAP: $good passed, $bad failed"
}

# What kills the server at labelled points: for tests, so not a part of what is installed elsewhere.
faults_library() {
    in_workspace source make -s -C test/faults PG_CONFIG="$SYSTEM_BIN/pg_config" with_llvm=no \
        COPT="$WARNINGS" DESTDIR="$WORKSPACE/root" all install
}

# A small disk of its own for tests that fill one, where root may mount it; its place is left in
# CADENCE_SMALL_DISK.
small_disk() {
    local place=$WORKSPACE/small user
    user=$(unprivileged_user)
    [[ $EUID -eq 0 ]] || return 0
    mkdir "$place"
    if mount -t tmpfs -o "size=96m,mode=700,uid=$(id -u "$user"),gid=$(id -g "$user")" \
        cadence-test "$place" 2>/dev/null; then
        export CADENCE_SMALL_DISK=$place
    fi
}

# What checks metrics and alert rules, where the machine has none of it.
prometheus_tools() {
    wanted 088_metrics || return 0
    ! command -v promtool >/dev/null || return 0
    unpack_packages prometheus || say "without prometheus"
    # a package of its own from Debian 13 on
    [[ -x $WORKSPACE/unpacked/usr/bin/promtool ]] || unpack_packages promtool || say "without promtool"
}

# A browser for the tests of the dashboard, where Debian has one for this machine; CADENCE_BROWSER says
# that there is one.
browser() {
    [[ -n $(wanted_files 'test/t/09*.pl' .pl) ]] || return 0
    if (need_packages chromium chromium-driver python3-selenium fonts-dejavu-core) &&
        [[ -x /usr/bin/chromium && -x /usr/bin/chromedriver ]]; then
        export CADENCE_BROWSER=/usr/bin/chromium
    fi
}

# The web servers whose sample configurations are tried, where the machine has none of them.
proxies() {
    local name missing=()
    wanted 083_proxies || return 0
    for name in nginx caddy; do
        command -v "$name" /usr/sbin/"$name" >/dev/null || missing+=("$name")
    done
    [[ ${#missing[@]} -eq 0 ]] || unpack_packages "${missing[@]}" || say "without ${missing[*]}"
}

parse_options() {
    while getopts k:l option; do
        case $option in
            k) PATTERN=$OPTARG ;;
            l) LONG_ONES=yes ;;
            *) die "usage: test/run.sh [-l | -k PATTERN]" ;;
        esac
    done
}

main() {
    parse_options "$@"
    CHECKOUT_BEFORE=$(checkout_state)
    need_postgres libipc-run-perl clang libclang-rt-dev git python3-jsonschema python3-aiosmtpd
    make_workspace
    PGXS_TEST=$(dirname "$(dirname "$("$SYSTEM_BIN/pg_config" --pgxs)")")/test
    say "building for PostgreSQL $PG_MAJOR with warnings as errors"
    if interruptible private_install && interruptible faults_library; then
        result build 0
        PATTERN="" LONG_ONES="" check "nothing is missing" nothing_is_missing
        check libraries libraries_stand_alone
        check includes in_workspace source make -s includes-check
        check script in_workspace source make -s sql-check
        check protocols in_workspace source "$PYTHON" test/protocols_test.py
        check leads in_workspace source "$PYTHON" test/load_leads_test.py
        check mails in_workspace source "$PYTHON" test/mail_test.py
        check strings in_workspace source "$PYTHON" test/strings_test.py
        check health_lines in_workspace source "$PYTHON" test/health_lines_test.py
        check books in_workspace source "$PYTHON" test/soak/books_test.py
        start_unit_tests
        start_cluster main "$(cron_settings contrib_regression main)"
        regression_tests
        isolation_tests
        stop_cluster main
        unit_tests_result
        small_disk
        prometheus_tools
        browser
        proxies
        tap_tests
    else
        result build 1
    fi
    [[ -z $PATTERN || $((PASSED + FAILED)) -gt 2 ]] || result "a test whose name matches $PATTERN" 1
    [[ -z ${SANITIZER_REPORTS:-} ]] || PATTERN="" LONG_ONES="" check "no sanitizer has reported" no_reports
    PATTERN="" LONG_ONES="" check "checkout left as it was" checkout_unchanged
    finish
}

# What the address sanitizer has written (see test/sanitized.sh).
no_reports() {
    cat "$SANITIZER_REPORTS"/* 2>/dev/null || return 0
    return 1
}

# The totals are the last line, so the workspace goes first.
finish() {
    clean_up
    say "$PASSED passed, $FAILED failed"
    [[ $FAILED -eq 0 ]]
}

main "$@"
