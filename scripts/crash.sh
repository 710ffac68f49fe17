#!/usr/bin/env bash
# crash.sh BIN ROUNDS SEED: kills servers of every engine that is compiled in and cuts their power, at
# every durability that the engine has.
set -euo pipefail

bin=$1 rounds=$2 seed=$3

has() {
    "$bin/apus" certify --engine "$1" --list >/dev/null 2>&1
}

for stated in sqlite:process sqlite:disk rocksdb:process rocksdb:disk sled:process; do
    engine=${stated%:*} durability=${stated#*:}
    if ! has "$engine"; then
        echo "$engine is not compiled in: left out"
        continue
    fi
    "$bin/broker-crash" --rounds "$rounds" --engine "$engine" --durability "$durability" --seed "$seed"
    if [ "$durability" = disk ]; then
        "$bin/broker-powercut" --rounds "$rounds" --engine "$engine" --seed "$seed"
        "$bin/broker-powercut" --suite --engine "$engine" --seed "$seed"
    fi
done

# A test that cannot fail shows nothing: without syncs, rows must get lost.
"$bin/broker-powercut" --rounds 5 --engine sqlite --durability process --expect-loss --seed "$seed"
