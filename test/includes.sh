#!/usr/bin/env bash
#
# Includes go one way: what each folder of src may use, and who alone includes which foreign header.
# Prints what breaks the rule; exits with 1 if anything does.

RULES=$(realpath "${BASH_SOURCE[0]}")
cd "$(dirname "${BASH_SOURCE[0]}")/../src" || exit 2
{
    for folder in */; do
        grep -q "^${folder%/} " "$RULES" || echo "no rule for $folder"
    done
    while read -r folder allowed; do
        [[ -d $folder ]] || echo "no $folder"
        grep -nE '^#include "(\w+/)?\w+\.h"' "$folder"/*.[ch] | grep -E '"(base|rules|schema|provider|transport|claim|resolve|record|engine|server|inbound|sqlapi)/|"step\.h"' |
            grep -vE "\"($folder|${allowed// /|})/|\"step\.h\"" | sed "s/^/not from $folder: /"
    done <<'END'
base none
rules none
schema base rules
provider base rules schema
transport base rules provider
claim base rules schema provider
resolve base rules schema provider
record base rules schema provider
engine base rules schema provider transport claim resolve record
server base rules schema provider transport claim resolve record engine
inbound base rules schema provider claim resolve record
sqlapi base rules schema provider transport claim resolve record engine server inbound
END
    grep -ln '"step.h"' base/* rules/* schema/* provider/* | sed 's/^/step.h not from: /'
    grep -lE '"(postgres|utils/|catalog/|executor/)' rules/* | sed 's/^/PostgreSQL in rules: /'
    grep -l "curl/curl.h" -r --include="*.[ch]" . | sed 1d | sed 's/^/libcurl in a second file: /'
    grep -l 'openssl/' -r . | sed 1d | sed 's/^/libcrypto in a second file: /'
    # that name is the server's function's, which the linker takes
    grep -n '= json_object()' -r . | sed 's/^/the server'"'"'s json_object(): /'
    grep -l 'jansson.h' -r . | grep -vE '^\./(rules|inbound)/' | sed 's/^/jansson not from: /'
    grep -nE '^#include "([a-z]+/|postgres)' ../door/*.[ch] | sed 's/^/another folder in the door: /'
    grep -l 'libpq-fe.h' ../door/*.[ch] | grep -vE '/(conf|pool|session|reply)\.' | sed 's/^/libpq not from: /'
    grep -l '<microhttpd\.h>' ../door/*.[ch] | grep -vE '/(main|client|request|headers|reply|files)\.' | sed 's/^/libmicrohttpd not from: /'
    grep -l 'executor/spi.h' -r rules transport server | sed 's/^/SPI not from: /'
} | { ! grep . ; }
