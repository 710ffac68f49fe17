#!/usr/bin/env bash
# full.sh CARGO...: runs the engines' tests of a full device, each on a small file system in memory.
# Mounting one needs root; without it nothing is run, and that is said.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
    echo "full: left out, mounting a small file system needs root" >&2
    exit 0
fi
small=$(mktemp -d)
trap 'umount "$small" 2>/dev/null || true; rmdir "$small"' EXIT
for engine in sqlite:6m rocksdb:32m sled:6m; do
    mount -t tmpfs -o "size=${engine#*:}" tmpfs "$small"
    APUS_SMALL_DEVICES="$small" "$@" test --release --package "engine-${engine%:*}" --test full -- --ignored
    umount "$small"
done
