#!/usr/bin/env bash
# full.sh CARGO TEST...: runs the engines' tests of a full device, one after the other, on a small file system in
# memory. Mounting one needs root; without it nothing is run, and that is said.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
    echo "full: left out, mounting a small file system needs root" >&2
    exit 0
fi
small=$(mktemp -d)
mount -t tmpfs -o size=32m tmpfs "$small"
trap 'umount "$small"; rmdir "$small"' EXIT
APUS_SMALL_DEVICES="$small" "$@" --test full -- --ignored --test-threads=1
