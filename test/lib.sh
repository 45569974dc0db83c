# shellcheck shell=bash
#
# What the scripts that run this project share: Debian packages, a workspace, a private PostgreSQL
# installation with the extension in it, and throwaway clusters.
#
# Nothing of the machine or of the checkout is changed, apart from packages: everything is built
# and run inside one directory below /tmp, by a user who is not root (PostgreSQL refuses root), and
# goes away with it.

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORKSPACE=
PG_MAJOR=${PG_MAJOR:-}

# What PostgreSQL's own headers cannot pass: inline functions with unused parameters, and macros
# that mix signed and unsigned.
WARNINGS='-Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare'

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Packages ---------------------------------------------------------------------------------------

# Runs a command as root, through sudo for a normal user.
as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "needs root or sudo to run: $*"
    fi
}

# The PostgreSQL whose pg_config PG_CONFIG names; else the newest that can already run and build
# extensions; else the newest server that is installed; else the one that Debian has.
choose_postgres() {
    if [[ -n ${PG_CONFIG:-} ]]; then
        PG_MAJOR=$("$PG_CONFIG" --version | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
        [[ -n $PG_MAJOR ]] || die "PG_CONFIG is not PostgreSQL's pg_config: $PG_CONFIG"
    fi
    [[ -z $PG_MAJOR ]] || return 0
    PG_MAJOR=$(newest_major '/lib/pgxs/src/makefiles/pgxs.mk')
    [[ -n $PG_MAJOR ]] || PG_MAJOR=$(newest_major '')
    if [[ -z $PG_MAJOR ]]; then
        command -v apt-cache >/dev/null || die "no PostgreSQL found, and no apt to install one"
        [[ -n $(apt-cache depends postgresql 2>/dev/null) ]] || as_root apt-get -q update
        PG_MAJOR=$(apt-cache depends postgresql |
            sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1)
    fi
    [[ -n $PG_MAJOR ]] || die "cannot tell which PostgreSQL to use; set PG_MAJOR"
}

# newest_major FILE: the highest PostgreSQL version whose server is installed together with FILE.
newest_major() {
    local server major
    for server in /usr/lib/postgresql/*/bin/postgres; do
        major=${server#/usr/lib/postgresql/}
        major=${major%%/*}
        if [[ -x $server && -e /usr/lib/postgresql/$major$1 ]]; then
            say "$major"
        fi
    done | sort -n | tail -n 1
}

# need_packages PACKAGE…: installs those that are missing, and says so.
need_packages() {
    local package missing=()
    command -v dpkg-query >/dev/null || {
        say "not a Debian system: taking for granted the equivalents of $*"
        return 0
    }
    for package in "$@"; do
        package_installed "$package" || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    say "installing missing Debian packages: ${missing[*]}"
    without_main_cluster install_packages "${missing[@]}"
}

package_installed() {
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# The package lists of a fresh machine are empty or old: one more try after an update.
install_packages() {
    apt_install "$@" >/dev/null 2>&1 && return 0
    as_root apt-get -q update >/dev/null
    apt_install "$@" >/dev/null || die "apt-get could not install: $*"
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "$@" </dev/null
}

# Installing a first PostgreSQL server on Debian creates and starts a cluster named "main", which
# nobody has asked for here. A machine that has a server already keeps its own configuration.
without_main_cluster() {
    local conf=/etc/postgresql-common/createcluster.d status=0
    if [[ -z $(newest_major '') ]]; then
        as_root mkdir -p "$conf"
        say 'create_main_cluster = false' | as_root tee "$conf/no-main.conf" >/dev/null
        "$@" || status=$?
        as_root rm -f "$conf/no-main.conf"
        as_root rmdir --ignore-fail-on-non-empty "$conf"
        return "$status"
    fi
    "$@"
}

# unpack_packages PACKAGE…: those whose installation would start a service on this machine are only
# unpacked, into the workspace; false where they cannot be had.
unpack_packages() {
    command -v dpkg-deb >/dev/null || return
    as_user mkdir -p unpacked/packages
    in_workspace unpacked/packages apt-get -q download "$@" >/dev/null 2>&1 ||
        { as_root apt-get -q update >/dev/null 2>&1 &&
            in_workspace unpacked/packages apt-get -q download "$@" >/dev/null 2>&1; } || return
    find "$WORKSPACE/unpacked/packages" -name '*.deb' -exec dpkg-deb -x {} "$WORKSPACE/unpacked" \;
}

# need_postgres [PACKAGE…]: chooses a PostgreSQL and makes sure of what building and running take,
# and of what else the caller needs. One that PG_CONFIG names is taken as it is.
# shellcheck disable=SC2120
need_postgres() {
    local server=()
    choose_postgres
    [[ -n ${PG_CONFIG:-} ]] || server=("postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR"
        "postgresql-$PG_MAJOR-cron")
    need_packages "${server[@]}" libcurl4-openssl-dev libjansson-dev libssl-dev libmicrohttpd-dev \
        libpq-dev pkg-config gcc libc6-dev make python3 "$@"
    SYSTEM_BIN=/usr/lib/postgresql/$PG_MAJOR/bin
    [[ -z ${PG_CONFIG:-} ]] || SYSTEM_BIN=$("$PG_CONFIG" --bindir)
    PYTHON=/usr/bin/python3
    [[ -x $PYTHON ]] || PYTHON=$(command -v python3) || die "python3 is needed"
}

# Workspace --------------------------------------------------------------------------------------

unprivileged_user() {
    if [[ $EUID -eq 0 ]]; then
        say postgres
    else
        id -un
    fi
}

# as_user COMMAND…: runs it in the workspace, as somebody who is not root. With a plain PATH, the
# private installation first in it: root's own may lead to directories closed to this user.
as_user() {
    in_workspace . "$@"
}

# in_workspace DIRECTORY COMMAND…: the same in a directory below the workspace.
in_workspace() {
    local directory=$WORKSPACE/$1 user=()
    shift
    [[ $EUID -ne 0 ]] || user=(runuser -u "$(unprivileged_user)" --)
    (
        cd "$directory" || exit
        exec "${user[@]}" env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u PYTHONPATH \
            PYTHONDONTWRITEBYTECODE=1 HOME="$WORKSPACE" TMPDIR="$WORKSPACE/tmp" LC_ALL=C.UTF-8 \
            PATH="$PG_BIN:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" "$@"
    )
}

# A directory that only its user enters: clusters in it trust whoever reaches their socket. Below
# /tmp whatever TMPDIR says, because a socket's path has to be short and root's own temporary
# directory may be closed to others.
make_workspace() {
    WORKSPACE=
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    WORKSPACE=$(mktemp -d -p /tmp --suffix=.cadence)
    PG_BIN=$WORKSPACE/root$SYSTEM_BIN
    mkdir "$WORKSPACE/source" "$WORKSPACE/tmp"
    copy_sources | tar -x -C "$WORKSPACE/source" -f -
    [[ $EUID -ne 0 ]] || chown -R "$(unprivileged_user)": "$WORKSPACE"
}

# The project's files as they are now: tracked ones, and new ones that git would not ignore.
copy_sources() {
    (
        cd "$REPOSITORY" || exit
        if git_here rev-parse --git-dir >/dev/null 2>&1; then
            git_here ls-files -z -co --exclude-standard | while IFS= read -r -d '' file; do
                [[ ! -e $file ]] || printf '%s\0' "$file"
            done
        else
            find . -path ./.git -prune -o -type f ! -name '*.o' ! -name '*.so' -print0
        fi | tar -c --null --no-recursion -T - -f -
    )
}

# git in the checkout, also when it belongs to another user than the one who runs this.
git_here() {
    git -c safe.directory="$REPOSITORY" -C "$REPOSITORY" "$@"
}

# Stops what was started in the workspace, then removes it; once, however the script ends.
clean_up() {
    local here=$WORKSPACE
    trap - EXIT
    trap '' HUP INT TERM
    if [[ -n $here && -d $here ]]; then
        stop_clusters "$here"
        stop_processes "$here"
        cd /
        ! mountpoint -q "$here/small" || umount -l "$here/small"
        rm -rf "$here"
    fi
    trap - HUP INT TERM
}

stop_clusters() {
    local pidfile
    while IFS= read -r pidfile; do
        as_user "$SYSTEM_BIN/pg_ctl" -D "${pidfile%/*}" -m immediate -w stop >/dev/null 2>&1 || true
    done < <(find "$1" -name postmaster.pid 2>/dev/null)
}

# Providers and the like are known by the workspace's name on their command line.
stop_processes() {
    local pid signal tries
    for signal in TERM KILL; do
        for ((tries = 0; tries < 20; tries++)); do
            [[ -n $(processes_of "$1") ]] || return 0
            for pid in $(processes_of "$1"); do
                kill "-$signal" "$pid" 2>/dev/null || true
            done
            sleep 0.1
        done
    done
}

processes_of() {
    local entry pid line
    for entry in /proc/[0-9]*/cmdline; do
        pid=${entry#/proc/}
        pid=${pid%/cmdline}
        line=$({ tr '\0' ' ' <"$entry"; } 2>/dev/null) || continue
        if [[ $line == *"$1/"* && $pid != "$$" && $pid != "$BASHPID" ]]; then
            say "$pid"
        fi
    done
}

# interruptible COMMAND…: runs a long command so that a signal to this script ends it at once; bash
# would otherwise wait for the command before it looks at its traps. In a process group of its own,
# since bash makes other background commands ignore Ctrl-C.
interruptible() {
    set -m
    "$@" </dev/null &
    set +m
    wait $!
}

# Building ---------------------------------------------------------------------------------------

# private_install: a copy of the chosen PostgreSQL, with the extension built from this checkout.
# PostgreSQL finds its other files relative to its own binary, so the copy lives by itself.
private_install() {
    local root=$WORKSPACE/root library share
    library=$("$SYSTEM_BIN/pg_config" --pkglibdir)
    share=$("$SYSTEM_BIN/pg_config" --sharedir)
    as_user mkdir -p "$root"
    (cd / && tar -c --exclude="${library#/}/bitcode" -f - \
        "${SYSTEM_BIN#/}" "${library#/}" "${share#/}") |
        as_user tar -x --no-same-owner -C "$root" -f - || return
    [[ $(as_user "$PG_BIN/pg_config" --sharedir) == "$root$share" ]] ||
        die "a copy of this PostgreSQL does not find its own files"
    make_extension -j2 all && make_extension DESTDIR="$root" install
}

make_extension() {
    in_workspace source make -s PG_CONFIG="$SYSTEM_BIN/pg_config" with_llvm=no \
        COPT="$WARNINGS" "$@"
}

# Clusters ---------------------------------------------------------------------------------------

# start_cluster DIRECTORY [LINE…]: a cluster below the workspace, with more lines for its
# configuration, and PGHOST, PGPORT and PGUSER set for it. Reached through a socket in that
# directory only: no port of the machine is opened or taken.
start_cluster() {
    local directory=$WORKSPACE/$1 log=$WORKSPACE/$1.log
    shift
    as_user mkdir -p "$directory/socket"
    quietly as_user initdb -D "$directory/data" -U postgres -A trust -E UTF8 \
        --locale=C.UTF-8
    {
        say "listen_addresses = ''"
        # whatever PGPORT says in the environment of whoever runs this
        say "port = 5432"
        say "unix_socket_directories = '$directory/socket'"
        say "max_worker_processes = 32"
        printf '%s\n' "$@"
    } | as_user tee -a "$directory/data/postgresql.conf" >/dev/null
    quietly as_user pg_ctl -D "$directory/data" -l "$log" -w start || {
        tail -n 20 "$log" >&2
        return 1
    }
    export PGHOST=$directory/socket PGPORT=5432 PGUSER=postgres
}

stop_cluster() {
    quietly as_user pg_ctl -D "$WORKSPACE/$1/data" -m fast -w stop
}

# What pg_cron, where it is installed, needs in a configuration: it has to be preloaded, and by
# default it would connect over TCP.
cron_settings() {
    [[ -e $(as_user pg_config --sharedir)/extension/pg_cron.control ]] || return 0
    say "shared_preload_libraries = 'pg_cron'"
    say "cron.database_name = '$1'"
    say "cron.host = '$WORKSPACE/$2/socket'"
}

# Shows a command's output only when it fails.
quietly() {
    local output status=0
    output=$("$@" 2>&1 </dev/null) || status=$?
    [[ $status -eq 0 ]] || printf '%s\n' "$output" >&2
    return "$status"
}

# Providers --------------------------------------------------------------------------------------

# start_provider OUTPUT [OPTION…]: a provider that prints into a file of the workspace; its port is
# left in PROVIDER_PORT.
start_provider() {
    local output=$WORKSPACE/$1
    shift
    as_user touch "$output"
    as_user setsid "$PYTHON" "$WORKSPACE/source/test/provider" "$@" >>"$output" 2>&1 </dev/null &
    wait_until provider_ready "$output" || die "the provider did not start: $(cat "$output")"
}

provider_ready() {
    PROVIDER_PORT=$(sed -n 's/^PORT \([0-9]*\)$/\1/p' "$1")
    [[ -n $PROVIDER_PORT ]]
}

# wait_until COMMAND…: polls it for at most ten seconds.
wait_until() {
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}
