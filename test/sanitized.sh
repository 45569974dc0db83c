#!/usr/bin/env bash
#
# The tests, but for the long ones, on a PostgreSQL that checks itself: built from Debian's source
# with assertions and the address sanitizer, as are the extension and its transport. On a bare
# machine too; it takes some gigabytes below /tmp and a quarter of an hour and more.
#
#   test/sanitized.sh [OPTIONS of test/run.sh]
#
# SANITIZED=DIRECTORY keeps that PostgreSQL there, below a directory that anybody may enter, and
# uses the one that an earlier call has left.

set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SANITIZER='-fsanitize=address -fno-omit-frame-pointer'

# with_source COMMAND…: apt-get or apt-cache with lists of its own: the machine's sources, as
# sources of source.
with_source() {
    local apt=$WORKSPACE/tmp/apt file
    if [[ ! -d $apt ]]; then
        mkdir -p "$apt/parts" "$apt/lists/partial"
        for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
            [[ ! -e $file ]] || sed -n 's/^deb\s/deb-src /p' "$file" >>"$apt/sources.list"
        done
        for file in /etc/apt/sources.list.d/*.sources; do
            [[ ! -e $file ]] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$apt/parts/$(basename "$file")"
        done
        chmod -R a+rX "$WORKSPACE/tmp/apt"
    fi
    "$1" -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts="$apt/parts" \
        -o Dir::State::Lists="$apt/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o APT::Sandbox::User=root "${@:2}"
}

# download_source DIRECTORY: of the newest version that a mirror still has.
download_source() {
    local package=postgresql-$PG_MAJOR version
    with_source apt-get update >/dev/null || return
    for version in $(with_source apt-cache madison "$package" | cut -d '|' -f 2 | sort -rVu); do
        if (cd "$1" && with_source apt-get source --download-only "$package=$version") >/dev/null; then
            say "building PostgreSQL $version with assertions and the address sanitizer"
            return 0
        fi
    done
    return 1
}

# The source of the chosen version, in the workspace's directory postgresql. Without Debian's
# patches, which install into the system's own directories whatever the prefix.
get_source() {
    local description
    download_source "$WORKSPACE/tmp" || return
    description=$(find "$WORKSPACE/tmp" -maxdepth 1 -name "postgresql-${PG_MAJOR}_*.dsc")
    [[ $EUID -ne 0 ]] || chown -R "$(unprivileged_user)": "$WORKSPACE/tmp"
    quietly as_user dpkg-source --no-check --skip-patches -x "$description" postgresql
}

# build_postgres PREFIX: into that directory, for which the user must have the right to write.
build_postgres() {
    local tree
    quietly in_workspace postgresql ./configure --prefix="$1" --enable-cassert --enable-debug \
        --enable-tap-tests --without-readline --with-icu \
        CFLAGS="-O1 $SANITIZER" LDFLAGS="$SANITIZER" || return
    for tree in . src/test/isolation contrib/auto_explain contrib/citext contrib/dblink; do
        quietly in_workspace "postgresql/$tree" nice make -s -j"$(nproc)" all || return
        quietly in_workspace "postgresql/$tree" make -s install || return
    done
}

main() {
    local postgres=${SANITIZED:-} reports status=0
    # A leak is what a process leaves at its end; a server's processes leave most of it.
    export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:verify_asan_link_order=0
    need_postgres dpkg-dev bison flex perl zlib1g-dev libicu-dev pkg-config libipc-run-perl
    make_workspace
    postgres=${postgres:-$WORKSPACE/sanitized}
    if [[ ! -x $postgres/bin/pg_config ]]; then
        [[ $EUID -ne 0 ]] || install -d -o "$(unprivileged_user)" "$postgres"
        interruptible get_source || die "cannot get the source of postgresql-$PG_MAJOR"
        interruptible build_postgres "$postgres" || die "cannot build PostgreSQL"
        rm -rf "$WORKSPACE/postgresql"
    fi
    reports=$WORKSPACE/reports
    as_user mkdir "$reports"
    ASAN_OPTIONS+=:log_path=$reports/report
    SANITIZER_REPORTS=$reports PG_CONFIG=$postgres/bin/pg_config interruptible \
        "$REPOSITORY/test/run.sh" "$@" || status=$?
    clean_up
    exit "$status"
}

main "$@"
