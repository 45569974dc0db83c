#!/usr/bin/env bash
#
# The protocols that come with the extension, as a part of its script: sql/protocols.sh FILE…

set -euo pipefail

printf '\n--\n-- The protocols that come with cadence_runner: protocols/*.json\n--\n\n'
for file in "$@"; do
    printf "INSERT INTO @extschema@.cadence_protocols (name, definition, built_in) VALUES ('%s', \$protocol\$\n" \
        "$(basename "$file" .json)"
    cat "$file"
    printf '$protocol$, true);\n\n'
done
