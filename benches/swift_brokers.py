"""What engine-bench asks Swift's own brokers to do, in its private environment: prints items per second as JSON.

    python swift_brokers.py FOLDER ROWS
"""

import json
import logging
import os
import sys
import time

from swift.account.backend import AccountBroker
from swift.common.utils import Timestamp
from swift.container.backend import ContainerBroker

ROWS_A_PAIR = 10  # as in engines/brokers.rs
SIZE, TYPE, ETAG = 123_456, "image/jpeg", "d41d8cd98f00b204e9800998ecf8427e"


def stamp(seconds):
    return Timestamp(seconds).internal


def name(number):
    return f"photos/2024/{number % 1000:04}/img_{number:08}.jpg"


def row(number, seconds, deleted=0):
    return {"name": name(number), "created_at": stamp(seconds), "size": SIZE,
            "content_type": TYPE, "etag": ETAG, "deleted": deleted, "storage_policy_index": 0, "ctype_timestamp": None,
            "meta_timestamp": None}


def container(folder, title):
    broker = ContainerBroker(os.path.join(folder, title, title + ".db"), account="a", container=title)
    broker.initialize(stamp(1), 0)
    return broker


def batches(rows, batch, seconds, deleted=0):
    return [[row(number, seconds, deleted) for number in range(first, min(first + batch, rows))]
            for first in range(0, rows, batch)]


def merge(broker, records):
    for batch in records:
        broker.merge_items(batch)


def listed(broker, limit):
    marker, count = "", 0
    while True:
        page = broker.list_objects_iter(limit, marker, "", None, None)
        if not page:
            return count
        count, marker = count + len(page), page[-1][0]


def since(broker, limit):
    point, count = -1, 0
    while True:
        page = broker.get_items_since(point, limit)
        if not page:
            return count
        count, point = count + len(page), page[-1]["ROWID"]


def main():
    logging.disable(logging.CRITICAL)
    folder, rows = sys.argv[1], int(sys.argv[2])
    figures = {}

    def rate(question, count, work, *given):
        begin = time.perf_counter()
        work(*given)
        figures[question] = count / (time.perf_counter() - begin)

    one, large = container(folder, "one"), container(folder, "large")
    rate("merge of new rows, 1,000 a batch", rows, merge, one, batches(rows, 1000, 2))
    rate("merge of new rows, 10,000 a batch", rows, merge, large, batches(rows, 10_000, 2))
    rate("merge over rows, 1,000 a batch", rows, merge, one, batches(rows, 1000, 3))
    rate("rows listed, pages of 10,000", rows, lambda: listed(one, 10_000))
    rate("rows by number, pages of 1,000", rows, lambda: since(one, 1000))
    merge(large, batches(rows, 10_000, 4, deleted=1))
    rate("tombstones reclaimed", rows, lambda: large.reclaim(stamp(5), stamp(5)))

    pairs, small = rows // ROWS_A_PAIR, container(folder, "small")

    # As the container server opens it to answer a GET.
    small.pending_timeout, small.stale_reads_ok = 0.1, True

    def put_then_get():
        for number in range(pairs):
            small.put_object(name(number), stamp(2), SIZE, TYPE, ETAG)
            small.list_objects_iter(10, "", "", None, None)

    rate("PUT, then a page of 10", pairs, put_then_get)
    account = AccountBroker(os.path.join(folder, "account", "account.db"), account="a")
    account.initialize(stamp(1))

    def put_containers():
        for number in range(pairs):
            account.put_container(f"c{number:06}", stamp(2), 0, 1, 2, 0)

    rate("PUT of a container's row", pairs, put_containers)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
