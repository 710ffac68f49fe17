#!/usr/bin/env bash
# Puts a real OpenStack Swift proxy and object server on top of Apus, tries it with the real `swift` client, and
# leaves it running for you.
#
#   run.sh                  build Apus, start everything, tour, stay up
#   run.sh --once           the same, then stop (for CI); exit status 0 only if every step gave the right result
#   run.sh --engine NAME    storage engine of Apus
#   run.sh --apus PATH      use this binary instead of building one
#   run.sh --stock          Swift's own account and container servers instead of Apus, to compare
#   run.sh --stop           stop what an earlier call left running and remove its data
#
# Data, configuration and logs: ${REAL_SWIFT_DIR:-<target folder>/real-swift}.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=$root/tests/swift
target=$(cd "$root" && realpath -m "${CARGO_TARGET_DIR:-target}")
folder=$(realpath -m "${REAL_SWIFT_DIR:-$target/real-swift}")
python=${PYTHON:-python3}

once=no stock=no apus='' engine=''

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"; }
fail() {
  echo "run.sh: $*" >&2
  exit 1
}

while (($#)); do
  case $1 in
    --once) once=yes ;;
    --stock) stock=yes ;;
    --engine) engine=${2:?--engine needs a name} && shift ;;
    --apus) apus=$(realpath -m "${2:?--apus needs a path}") && shift ;;
    --stop)
      rm -rf "$folder/tour"
      exec "$python" "$tools/one_host.py" down "$folder/host" --remove
      ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
[[ $stock == no || -z $apus$engine ]] || fail "--stock goes with neither --apus nor --engine"

# ---- Everything that is needed

environment=$("$python" "$tools/python_env.py")
servers=(--stock)
if [[ $stock == no ]]; then
  if [[ -z $apus ]]; then
    build=(cargo build --release --package apus)
    if [[ $engine == rocksdb ]]; then
      "$root/scripts/rocksdb.sh"
      build=(cargo --config "$("$root/scripts/rocksdb.sh" --path)" build --release --package apus --features rocksdb)
    fi
    echo "building apus (${build[*]})"
    (cd "$root" && CARGO_TARGET_DIR=$target "${build[@]}")
    apus=$target/release/apus
  fi
  servers=(--apus "$apus" ${engine:+--engine "$engine"})
fi

# ---- Up

mkdir -p "$folder"
if [[ -e $folder/host/state.json ]]; then
  "$python" "$tools/one_host.py" down "$folder/host" --remove
fi
finished=no
cleanup() {
  local status=$?
  if [[ $finished == no || $once == yes ]]; then
    [[ ! -e $folder/host/state.json ]] || "$python" "$tools/one_host.py" down "$folder/host" || status=1
  fi
  [[ $finished == yes ]] || echo "run.sh: failed; logs of the servers are in $folder/host/log" >&2
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

echo "starting Swift in $folder/host"
exports=$("$python" "$tools/one_host.py" up "$folder/host" "${servers[@]}")
echo "$exports"
eval "$(grep '^export ' <<<"$exports")"
export PATH=$environment/venv/bin:$PATH no_proxy=127.0.0.1 NO_PROXY=127.0.0.1

# ---- Steps: each prints a command and its output, and knows what the output must be

output=''
steps=0
try() {
  steps=$((steps + 1))
  printf '\n$'
  printf ' %q' "$@"
  printf '\n'
  output=$("$@" 2>&1) || fail "step $steps ended with status $?: $output"
  [[ -z $output ]] || printf '%s\n' "$output"
}
expect_exactly() { [[ $output == "$1" ]] || fail "step $steps: expected exactly: ${1@Q}"; }
expect_line() { # fields as `swift stat` prints them, whatever its indentation
  grep -Eq "^ *$1: $2\$" <<<"$output" || fail "step $steps: expected a line '$1: $2'"
}

rm -rf "$folder/tour"
mkdir -p "$folder"/tour/photos/{2024,2025}
cd "$folder/tour"
printf 'sand and sea' >photos/2024/beach.jpg
printf 'roofs' >photos/2024/city.jpg
printf 'still water' >photos/2025/lake.jpg
printf 'remember the milk' >notes.txt

# A new account is there as soon as somebody asks for it.
try swift stat
expect_line Containers 0

# A folder becomes a container; its listing comes from the container server.
try swift upload album photos notes.txt
try swift list album
expect_exactly 'notes.txt
photos/2024/beach.jpg
photos/2024/city.jpg
photos/2025/lake.jpg'
try swift list album --prefix photos/ --delimiter /
expect_exactly 'photos/2024/
photos/2025/'

# Metadata and counts are kept with the container.
try swift post album --meta Color:blue --read-acl .r:*
try swift stat album
expect_line Objects 4
expect_line Bytes 45
expect_line 'Meta Color' blue
expect_line 'Read ACL' '\.r:\*'

# What was uploaded comes back.
try swift download album notes.txt --output -
expect_exactly 'remember the milk'

# A second container, kept by the other storage policy.
try swift post archive --header 'X-Storage-Policy: silver'
try swift upload archive notes.txt
try swift stat archive
expect_line Objects 1
expect_line "X-Storage-Policy" silver
try swift list
expect_exactly 'album
archive'

# Deleted objects leave the listing and the counts, deleted containers leave the account.
try swift delete album photos/2024/beach.jpg
try swift list album --prefix photos/2024/
expect_exactly 'photos/2024/city.jpg'
try swift stat album
expect_line Objects 3
expect_line Bytes 33
try swift delete archive
try swift list
expect_exactly 'album'
try swift stat
expect_line Containers 1

finished=yes
printf '\nAll %d steps gave the right result.\n' "$steps"
if [[ $once == no ]]; then
  cat <<TEXT

It stays up. In any shell:

$(grep '^export ' <<<"$exports" | sed 's/^/    /')
    export PATH=$environment/venv/bin:\$PATH
    swift list album

Look at:  $folder/host/log  $folder/host/etc  $folder/host/devices
Stop:     $here/run.sh --stop
TEXT
fi
