#!/usr/bin/env bash
# Installs what a Debian-like machine with a Rust toolchain lacks to build Apus: a C compiler (for the
# SQLite that is compiled in) and Python 3 (for the tests that use real Swift). Says what it does.
set -euo pipefail

lacking=()
command -v cc >/dev/null || lacking+=(gcc libc6-dev)
command -v python3 >/dev/null || lacking+=(python3)

if ! command -v cargo >/dev/null; then
    echo "setup: cargo is not on the PATH; install Rust 1.88 or later (https://rustup.rs), then run this again" >&2
    exit 1
fi
[ ${#lacking[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup: please install: ${lacking[*]}" >&2
    exit 1
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "setup: as root, run: apt-get install ${lacking[*]}" >&2; exit 1; }
    sudo=(sudo)
fi
echo "setup: installing ${lacking[*]}"
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${lacking[@]}"
