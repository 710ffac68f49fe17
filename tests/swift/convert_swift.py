"""What convert_check.py asks real Swift to do; runs in the private environment, where Swift can be imported.

    python convert_swift.py make DEVICES ROWS SMALL SEED    makes stores with Swift's brokers
    python convert_swift.py describe DEVICES                prints as JSON what Swift sees of every store
    python convert_swift.py describe-file KIND FILE         the same of one file, wherever it is
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import random
import sys
from pathlib import Path

from swift.account.backend import AccountBroker
from swift.cli.info import print_info
from swift.common.utils import Timestamp, hash_path, storage_directory
from swift.container.backend import ContainerBroker
from swift.container.sync_store import ContainerSyncStore

DEVICE = "d0"
BATCH = 10_000  # rows that are merged, or listed, at a time
GOLD, SILVER = 0, 1
BIG = ("AUTH_big", "big")
START = 1_700_000_000


def place(devices, kind, partition, names):
    name = hash_path(*names)
    return str(Path(devices, DEVICE, storage_directory(kind + "s", str(partition), name), name + ".db"))


def stamp(seconds):
    return Timestamp(START + seconds).internal


# Making stores


def object_rows(rng, first, count, at):
    """Rows of Swift's wire form; names in no order, a tombstone in ten, some in another policy."""
    for number in range(first, first + count):
        name = f"{hashlib.md5(str(number).encode()).hexdigest()[:8]}/ö {number}"
        deleted = rng.random() < 0.1
        yield {
            "name": name, "created_at": stamp(at), "size": 0 if deleted else rng.randrange(10**6),
            "content_type": "application/deleted" if deleted else "text/plain", "deleted": int(deleted),
            "etag": "noetag" if deleted else hashlib.md5(name.encode()).hexdigest(),
            "storage_policy_index": SILVER if rng.random() < 0.2 else GOLD,
            "ctype_timestamp": None, "meta_timestamp": None}


def dress(broker, rng, number):
    """Everything about a store that is not in its rows."""
    broker.update_metadata({
        "X-Meta-Color": [rng.choice(["blue", "grün", ""]), stamp(1)], "X-Meta-Number": [str(number), stamp(2)]})
    broker.merge_syncs([{"remote_id": "peer-a", "sync_point": number}, {"remote_id": "peer-b", "sync_point": -1}])
    broker.merge_syncs([{"remote_id": "peer-c", "sync_point": 3}], incoming=False)


def make_container(devices, names, rows, number, rng):
    broker = ContainerBroker(place(devices, "container", number % 7, names), account=names[0], container=names[1])
    broker.initialize(stamp(0), SILVER if number % 5 == 4 else GOLD)
    for first in range(0, rows, BATCH):
        count = min(BATCH, rows - first)
        broker.merge_items(list(object_rows(rng, first, count, 1)))
        # Some change again, which leaves gaps between the numbers of rows.
        broker.merge_items(list(object_rows(rng, first, count // 50, 2)))
    dress(broker, rng, number)
    broker.reported(stamp(0), "0", number, number * 2)
    broker.set_x_container_sync_points(number, None)
    if number % 4 == 1 and rows:  # the row of the highest number is gone
        broker.put_object("zz", stamp(1), 1, "t", "e")
        broker.remove_objects("zy", "")
    if number % 4 == 2:
        broker.delete_db(stamp(9))
    if number % 4 == 3:  # buffered, and merged by whoever reads first
        broker.put_object("pending", stamp(3), 1, "t", "e")
    return broker


def make_account(devices, name, rows, number, rng):
    broker = AccountBroker(place(devices, "account", number % 7, (name,)), account=name)
    broker.initialize(stamp(0), 0)
    for row in range(rows):
        deleted = stamp(5) if rng.random() < 0.2 else 0
        broker.put_container(f"c{row}", stamp(1), deleted, 0 if deleted else row, row * 10, rng.choice([GOLD, SILVER]))
    dress(broker, rng, number)
    if number % 4 == 2:
        broker.delete_db(stamp(9))


def make(devices, rows, small, seed):
    rng = random.Random(int(seed))
    make_container(devices, BIG, int(rows), 4, rng)
    syncs = ContainerSyncStore(devices, logging.getLogger(), mount_check=False)
    for number in range(int(small)):
        if number % 2:
            make_account(devices, f"AUTH_{number}", rng.randrange(12), number, rng)
            continue
        broker = make_container(devices, (f"AUTH_{number}", "c"), rng.randrange(40), number, rng)
        if number % 20 == 0:
            sync = {"X-Container-Sync-To": ["//realm/cluster/a/c", stamp(1)], "X-Container-Sync-Key": ["k", stamp(1)]}
            broker.update_metadata(sync)
            syncs.add_synced_container(broker)


# Looking at stores


def digest_of(rows):
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode())
    return digest.hexdigest()


def listed(broker):
    marker = ""
    while True:
        if isinstance(broker, AccountBroker):
            page = broker.list_containers_iter(BATCH, marker, None, None, None)
        else:
            page = broker.list_objects_iter(BATCH, marker, None, None, None)
        yield from page
        if len(page) < BATCH:
            return
        marker = page[-1][0]


def rows_of(broker):
    start = -1
    while page := broker.get_items_since(start, BATCH):
        yield from (sorted(row.items()) for row in page)
        start = page[-1]["ROWID"]


def shown(kind, path):
    """What swift-account-info and swift-container-info print."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        print_info(kind, path, swift_dir=os.environ["APUS_SWIFT_DIR"])
    return text.getvalue()


def describe_one(kind, path):
    broker = {"account": AccountBroker, "container": ContainerBroker}[kind](path)
    info = broker.get_replication_info()
    return {
        "info": info,
        "text": shown(kind, path),
        "policy_stats": sorted(broker.get_policy_stats().items()),
        "incoming": broker.get_syncs(incoming=True, include_timestamp=True),
        "outgoing": broker.get_syncs(incoming=False, include_timestamp=True),
        "rows": digest_of(rows_of(broker)),
        "listing": digest_of(listed(broker)),
    }


def describe(devices):
    found = {}
    for kind in ("account", "container"):
        for path in sorted(Path(devices).glob(f"*/{kind}s/*/*/*/*.db")):
            found[str(path.relative_to(devices))] = describe_one(kind, str(path))
    syncs = ContainerSyncStore(devices, logging.getLogger(), mount_check=False)
    found["synced"] = sorted(str(Path(path).name) for path in syncs.synced_containers_generator())
    print(json.dumps(found))


def describe_file(kind, path):
    print(json.dumps(describe_one(kind, path)))


if __name__ == "__main__":
    actions = {"make": make, "describe": describe, "describe-file": describe_file}
    actions[sys.argv[1]](*sys.argv[2:])
