#!/usr/bin/env bash
#
# A soak: for some minutes, everything that may go wrong does, at random, and then the books must
# balance. See soak.py, which takes the options.
#
#   test/soak/run.sh [--minutes N] [--seed TEXT] [--kill-every SECONDS] […]

set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

main() {
    need_postgres
    make_workspace
    say "building for PostgreSQL $PG_MAJOR with warnings as errors"
    interruptible private_install || die "the build failed"
    say "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1), $(nproc) processors," \
        "PostgreSQL $("$PG_BIN/postgres" --version | sed 's/.* \([0-9][0-9.]*\).*/\1/')"
    interruptible as_user "$PYTHON" "$WORKSPACE/source/test/soak/soak.py" \
        --directory "$WORKSPACE/soak" "$@"
}

main "$@"
