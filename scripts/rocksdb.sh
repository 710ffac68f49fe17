#!/usr/bin/env bash
# Builds RocksDB, the C++ library, once per machine, and tells Cargo to link it from there: neither debug nor
# release builds, of this checkout or another, compile it again. Takes about ten minutes the first time.
#
#   rocksdb.sh          builds it unless it is there; installs what the build needs; says what it does
#   rocksdb.sh --path   prints the file for `cargo --config FILE`, whether it is there or not
#
# What is kept, in a folder that is named after all that it depends on, so that a new version is built anew:
#
#   ${XDG_CACHE_HOME:-~/.cache}/apus/rocksdb-VERSION-TARGET-lz4-zstd-RECIPE/
#       librocksdb.a  bindings.rs  cargo.toml
set -euo pipefail
cd "$(dirname "$0")/.."

recipe=1 # to be raised when flags or features change
version=$(awk -F'"' '$2 == "librocksdb-sys" { getline; print $2; exit }' Cargo.lock)
[ -n "$version" ] || { echo "rocksdb: Cargo.lock names no librocksdb-sys" >&2; exit 1; }
target=$(rustc -vV | sed -n 's/^host: //p')
cache="${XDG_CACHE_HOME:-$HOME/.cache}/apus"
name="rocksdb-$version-$target-lz4-zstd-$recipe"
if [ "${1:-}" = --path ]; then
    echo "$cache/$name/cargo.toml"
    exit 0
fi
[ $# -eq 0 ] || { echo "usage: $0 [--path]" >&2; exit 2; }
[ -e "$cache/$name/cargo.toml" ] && exit 0

mkdir -p "$cache"
exec 9>"$cache/rocksdb.lock"
flock --nonblock 9 || { echo "rocksdb: waiting for the build that is going on" >&2; flock 9; }
[ -e "$cache/$name/cargo.toml" ] && exit 0
# What an interrupted build left.
rm -rf "$cache"/rocksdb-*.building

libclang() {
    local found
    found=$(compgen -G "${LIBCLANG_PATH:-/nowhere}/libclang*.so*" ||
        compgen -G "/usr/lib/*/libclang-[0-9]*.so*" || compgen -G "/usr/lib/llvm-*/lib/libclang*.so*" || true)
    grep -v -- -cpp <<<"$found" | sort -V | tail -1
}
compiler() { command -v clang-14 || command -v clang || { command -v g++ >/dev/null && command -v gcc; } || true; }

lacking=()
if [ -z "$(compiler)" ] || [ -z "$(libclang)" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "rocksdb: please install clang (or g++) and libclang, then run this again" >&2
        exit 1
    fi
    sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "rocksdb: as root, run: apt-get install clang libclang1" >&2; exit 1; }
        sudo=(sudo)
    fi
    "${sudo[@]}" apt-get update -qq
    # Debian 12 has several; 14 is its own choice.
    clang=$(apt-cache pkgnames libclang1- | sed -n 's/^libclang1-\([0-9]*\)$/\1/p' | sort -n | tail -1)
    apt-cache show libclang1-14 >/dev/null 2>&1 && clang=14
    [ -n "$(compiler)" ] || lacking+=("clang-$clang")
    [ -n "$(libclang)" ] || lacking+=("libclang1-$clang")
    echo "rocksdb: installing ${lacking[*]}" >&2
    "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${lacking[@]}" >&2
fi
cc=$(compiler)
case "$cc" in
    "") cc=$(compgen -c clang- | grep -E '^clang-[0-9]+$' | sort -V | tail -1); cxx=${cc/clang/clang++} ;;
    *clang*) cxx=${cc/clang/clang++} ;;
    *) cxx=$(command -v g++) ;;
esac

work="$cache/$name.building"
mkdir -p "$work/src" "$work/libclang" "$work/out"
# Debian's library has a version in its name, which the bindings' generator does not look for.
ln -s "$(libclang)" "$work/libclang/libclang.so"
export LIBCLANG_PATH="$work/libclang"
headers=$("$cc" -print-file-name=include)
[ -e "$headers/stdbool.h" ] || headers=$(gcc -print-file-name=include)
export BINDGEN_EXTRA_CLANG_ARGS="-I$headers"
export CC="$cc" CXX="$cxx" CARGO_TARGET_DIR="$work/target"
# Checksums of the log by the processor; every one since 2010 can.
case "$target" in x86_64-*) export CXXFLAGS="${CXXFLAGS:-} -msse4.2 -mpclmul" ;; esac

# The dependency of the workspace, alone, in the same versions.
cp Cargo.lock "$work/Cargo.lock"
: >"$work/src/lib.rs"
{
    printf '[package]\nname = "build"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n\n[dependencies]\n'
    grep '^rocksdb = ' Cargo.toml
} >"$work/Cargo.toml"

echo "rocksdb: compiling $version with $cxx; this is done once per machine" >&2
progress() {
    local start=$SECONDS all=0 done
    while sleep 15; do
        done=$(find "$work/target" -path '*librocksdb-sys-*/out/*' -name '*.o' 2>/dev/null | wc -l)
        [ "$all" -gt 0 ] || all=$(cat "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/librocksdb-sys-"$version"/rocksdb_lib_sources.txt 2>/dev/null | wc -l)
        printf 'rocksdb: %d of about %d files, %d:%02d\n' "$done" "$all" $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60)) >&2
    done
}
progress &
watcher=$!
trap 'kill "$watcher" 2>/dev/null || true; rm -rf "$work"' EXIT
(cd "$work" && cargo build --release --quiet --package librocksdb-sys)

built=$(find "$work/target/release/build" -name librocksdb.a -path '*librocksdb-sys-*' | head -1)
cp "$built" "$(dirname "$built")/bindings.rs" "$work/out/"
cat >"$work/out/cargo.toml" <<CONF
# Links RocksDB as scripts/rocksdb.sh built it, in place of the build script of librocksdb-sys.
[target.$target.rocksdb]
rustc-link-search = ["native=$cache/$name"]
rustc-link-lib = ["static=rocksdb", "dylib=stdc++"]
rustc-env = { OUT_DIR = "$cache/$name" }
CONF
rm -rf "${cache:?}/$name"
mv "$work/out" "$cache/$name"
echo "rocksdb: kept in $cache/$name" >&2
