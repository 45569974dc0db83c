#!/usr/bin/env bash
#
# A simulation: a year around the rules alone, those rules broken on purpose, and a week on a real
# server under a shifted clock; what must not happen is counted. See simulate.py and
# docs/simulation.md.
#
#   test/simulate/run.sh [--days N] [--leads N] [--seed N] [--week DAYS] [--week-leads N]

set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

main() {
    need_postgres tzdata
    make_workspace
    say "building for PostgreSQL $PG_MAJOR with warnings as errors"
    interruptible private_install || die "the build failed"
    interruptible as_user "$PYTHON" "$WORKSPACE/source/test/simulate/simulate.py" \
        --directory "$WORKSPACE/simulate" --breaks --week 7 "$@"
}

main "$@"
