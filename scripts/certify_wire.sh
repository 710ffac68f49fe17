#!/usr/bin/env bash
# certify_wire.sh check ENGINE...: runs the suite over HTTP against Swift's own servers, and against those of Apus
#                                  on each engine; compares with the reports that are checked in, where there is one.
# certify_wire.sh write ENGINE...: replaces the reports of Swift and of sqlite.
set -euo pipefail
cd "$(dirname "$0")/.."

apus="${CARGO_TARGET_DIR:-$HOME/.cache/apus/target}/release/apus"
reports=conformance/reports/wire
mode="${1:-}"
case "$mode" in
    check) write=() ;;
    write) write=(--write) ;;
    *) echo "usage: $0 check|write ENGINE..." >&2; exit 2 ;;
esac
shift

certify() {
    python3 tests/swift/certify_wire.py --certifier "$apus" "$@"
}

version=$(python3 -c 'import sys; sys.path.insert(0, "tests/swift"); import python_env; print(python_env.swift_version())')
certify --stock --report "$reports/stock-swift-$version.json" ${write[@]+"${write[@]}"}
for engine in "$@"; do
    if [[ $engine = sqlite ]]; then
        certify --apus "$apus" --engine sqlite --report "$reports/apus-sqlite.json" ${write[@]+"${write[@]}"}
    else
        certify --apus "$apus" --engine "$engine"
    fi
done
