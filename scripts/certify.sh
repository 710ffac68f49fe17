#!/usr/bin/env bash
# certify.sh check: runs the suite on every engine; fails when one is not certified at what it claims,
#                   or when its report differs from the one that is checked in.
# certify.sh write: replaces the reports that are checked in.
set -euo pipefail
cd "$(dirname "$0")/.."

apus="${CARGO_TARGET_DIR:-$HOME/.cache/apus/target}/release/apus"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

for engine in memory rocksdb sled sqlite; do
    "$apus" certify --engine "$engine" --report "$made/$engine.json"
    case "${1:-check}" in
        write) cp "$made/$engine.json" "conformance/reports/$engine.json" ;;
        check)
            if ! diff -u "conformance/reports/$engine.json" "$made/$engine.json"; then
                echo "the report of $engine changed: look at it, then run 'make reports'" >&2
                exit 1
            fi
            ;;
        *) echo "usage: $0 check|write" >&2; exit 2 ;;
    esac
done
