#!/usr/bin/env bash
# third_party.sh check: an engine from elsewhere (examples/third-party-engine) builds on what is published, is
#                       certified with the report that is checked in, and serves; the crates that it builds
#                       on can be packaged; docs/write-an-engine.md shows its files as they are.
# third_party.sh write: replaces its report and the files that the documentation shows.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-$HOME/.cache/apus/target}"
export CARGO_TARGET_DIR="$target"
example=examples/third-party-engine
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

(
    cd "$example"
    cargo fmt --check
    cargo clippy --release --locked --all-targets -- -D warnings
    APUS_REPORT_DIR="$made" cargo test --release --locked
    cargo build --release --locked
)
case "${1:-check}" in
    write)
        cp "$made/redb.json" "$example/redb.json"
        scripts/doc_snippets.py
        ;;
    check)
        if ! diff -u "$example/redb.json" "$made/redb.json"; then
            echo "the report of redb changed: look at it, then run 'scripts/third_party.sh write'" >&2
            exit 1
        fi
        scripts/doc_snippets.py --check
        ;;
    *) echo "usage: $0 check|write" >&2; exit 2 ;;
esac
"$example/smoke.py" "$target/release/apus-redb" redb
cargo package --quiet --no-verify --allow-dirty \
    -p broker-api -p broker-runtime -p broker-conformance -p broker-kv
