#!/usr/bin/env python3
"""Plays histories of operations to Swift's own account and container brokers.

The driver reads one request per line from standard input and writes one answer per line to standard output, both in
JSON. It is started by the Rust program in this folder, with the interpreter of an environment that has Swift.

    {"do": "hello"}                                                versions
    {"do": "play", "store": {...}, "ops": [...], "full": false}    plays operations to a store, answers one step each
    {"do": "make_legacy", ...}   {"do": "describe", ...}           see legacy.py

A step is [result, state]: what the operation returned, and for an operation that may change something all that the
store holds afterwards (null when the store is absent). Without "full" a step is sent as the MD5 of its JSON text,
which the Rust side computes likewise. Keys and their order are therefore a part of the protocol.

Time stands still at the moment that the operation names; ids are those that the operation names.
"""

import hashlib
import itertools
import json
import logging
import os
import shutil
import sqlite3
import sys
from types import SimpleNamespace

import swift
import swift.common.db as swift_db
import swift.common.utils.timestamp as swift_timestamp
import swift.container.backend as container_backend
from swift.account.backend import AccountBroker
from swift.common.swob import HTTPException
from swift.common.utils.timestamp import decode_timestamps
from swift.container.backend import ContainerBroker

EVERYTHING = 2 ** 62
UNITS = 100000  # of a timestamp in one second
RECLAIM_PAGE = 7
FAR_FUTURE, FAR_PAST = 9999999999.0, 1000000000.0
REFUSED = (ValueError, KeyError, IndexError, HTTPException)


class World:
    """What the brokers would ask the system for: the time, and fresh ids."""

    def __init__(self):
        self.now = 0
        self.uuid = ""

    def install(self):
        """Puts itself in the place of the clock and of uuid4 in Swift's modules."""
        swift_timestamp.time = SimpleNamespace(time=lambda: self.now / UNITS)
        swift_db.uuid4 = lambda: self.uuid
        # The thread pool protects servers from waiting; it computes nothing.
        container_backend.tpool = SimpleNamespace(execute=lambda work, *args: work(*args))
        # Small, so that a few dozen tombstones make several pages; must exceed the number of policies.
        swift_db.RECLAIM_PAGE_SIZE = RECLAIM_PAGE


WORLD = World()


class Store:
    """One account or container, and the operations on it."""

    def __init__(self, place):
        self.kind = place["kind"]
        self.is_account = self.kind == "account"
        self.legacy = place.get("legacy", False)
        self.folder = os.path.join(place["devices"], place["device"], self.kind + "s", place["partition"],
                                   place["hash"][-3:], place["hash"])
        self.file = os.path.join(self.folder, place["hash"] + ".db")
        self.broker = self.open()

    def open(self, **names):
        make = AccountBroker if self.is_account else ContainerBroker
        return make(self.file, logger=QUIET, **names)

    def close(self):
        self.broker.__exit__()

    def exists(self):
        return os.path.exists(self.broker.db_file)

    # What changes a store.

    def initialize(self, op):
        WORLD.now, WORLD.uuid = op["now"], op["uuid"]
        names = {"account": op["account"]}
        if not self.is_account:
            names["container"] = op["container"]
        creator = self.open(**names)
        try:
            creator.initialize(op["put_timestamp"], op["policy"])
        except swift_db.DatabaseAlreadyExists:
            return "existed"
        finally:
            creator.__exit__()
        self.close()
        self.broker = self.open()
        return "created"

    def remove(self, _op):
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.broker = self.open()

    def delete(self, op):
        self.broker.delete_db(op["at"])

    def update_put_timestamp(self, op):
        self.broker.update_put_timestamp(op["at"])

    def update_status_changed_at(self, op):
        self.broker.update_status_changed_at(op["at"])

    def merge_timestamps(self, op):
        WORLD.now = op["now"]
        self.broker.merge_timestamps(op["created_at"], op["put_timestamp"], op["delete_timestamp"])

    def update_metadata(self, op):
        updates = {key: (value, at) for key, value, at in op["updates"]}
        limits = op["limits"]
        if limits:
            swift_db.MAX_META_COUNT, swift_db.MAX_META_OVERALL_SIZE = limits
        self.broker.update_metadata(updates, validate_metadata=bool(limits))

    def merge_sync_points(self, op):
        points = [{"remote_id": remote, "sync_point": point} for remote, point in op["points"]]
        self.broker.merge_syncs(points, incoming=op["incoming"])

    def new_id(self, op):
        WORLD.uuid = op["uuid"]
        self.broker.newid(op["remote"])

    def reclaim(self, op):
        # Entries are stamped by SQLite's own clock: either all of them are young enough, or none is.
        sync_age = FAR_FUTURE if op["forget_sync_points"] else FAR_PAST
        reclaimer = self.broker.reclaim(op["age"] / UNITS, sync_age)
        return [reclaimer.reclaimed, reclaimer.get_tombstone_count()]

    def upgrade(self, _op):
        if self.is_account:
            self.broker.get_policy_stats(do_migrations=True)
        else:
            self.broker.get_raw_metadata()  # fails when the store is absent

    def put_containers(self, op):
        for name, put, delete, objects, used, policy in op["records"]:
            self.broker.put_container(name, put, delete, objects, used, policy)
        self.flush()

    def merge_containers(self, op):
        self.broker.merge_items([present(item, "row_id") for item in op["records"]], source=op["source"])

    def put_objects(self, op):
        for item in op["records"]:
            self.broker.put_object(
                item["name"], item["created_at"], item["size"], item["content_type"], item["etag"], item["deleted"],
                item["storage_policy_index"], item["ctype_timestamp"], item["meta_timestamp"])
        self.flush()

    def delete_object(self, op):
        self.broker.delete_object(op["name"], op["at"], op["policy"])
        self.flush()

    def merge_objects(self, op):
        items = [present(item, "row_id", "ctype_timestamp", "meta_timestamp") for item in op["records"]]
        self.broker.merge_items(items, source=op["source"])

    def remove_objects(self, op):
        self.broker.remove_objects(op["lower"], op["upper"], op["max_row"])

    def set_policy(self, op):
        self.broker.set_storage_policy_index(op["policy"], op["at"])

    def marks(self, op):
        if op["reported"]:
            self.broker.reported(*op["reported"])
        self.broker.set_x_container_sync_points(op["sync_point1"], op["sync_point2"])
        if op["reconciler"] is not None:
            self.broker.update_reconciler_sync(op["reconciler"])

    def flush(self):
        self.broker._commit_puts_stale_ok()

    # What only reads.

    def info(self, _op):
        return self.asked_state()

    def predicates(self, op):
        broker, age = self.broker, op["age"] / UNITS
        if not self.exists():
            return {"is_deleted": broker.is_deleted()}
        answers = {"is_deleted": broker.is_deleted(), "is_empty": broker.empty(),
                   "is_reclaimable": broker.is_reclaimable(age, 0)}
        if self.is_account:
            answers["is_status_deleted"] = broker.is_status_deleted()
        else:
            answers["is_old_enough"] = broker.is_old_enough_to_reclaim(age, 0)
            answers["has_multiple_policies"] = broker.has_multiple_policies()
        return answers

    def sync_point(self, op):
        return self.broker.get_sync(op["remote"], incoming=op["incoming"])

    def items_since(self, op):
        return [self.row(item) for item in self.broker.get_items_since(op["start"], op["count"])]

    def misplaced(self, op):
        return [self.row(item) for item in self.broker.get_misplaced_since(op["start"], op["count"])]

    def list_containers(self, op):
        entries = self.broker.list_containers_iter(
            op["limit"], op["marker"], op["end_marker"], op["prefix"], op["delimiter"], op["reverse"],
            op["allow_reserved"])
        return [["subdir", name] if is_subdir else [name, put, objects, used, policy]
                for name, objects, used, put, policy, is_subdir in entries]

    def list_objects(self, op):
        policy = op["policy"]
        if policy is None and not op["all_policies"]:
            policy = self.broker._get_info()["storage_policy_index"]
        entries = self.broker.list_objects_iter(
            op["limit"], op["marker"], op["end_marker"], op["prefix"], op["delimiter"], path=op["path"],
            storage_policy_index=policy, reverse=op["reverse"], include_deleted=op["deleted"],
            since_row=op["since_row"], transform_func=listed, all_policies=op["all_policies"],
            allow_reserved=op["allow_reserved"])
        # Swift gives a subdir as a list of its own making, and a row as what the transform made of it.
        entries = [entry["row"] if isinstance(entry, dict) else ["subdir", entry[0]] for entry in entries]
        return settled(entries, op["limit"]) if op["all_policies"] else entries

    # All that a store holds.

    def row(self, item):
        if self.is_account:
            return [item["ROWID"], item["name"], item["put_timestamp"], item["delete_timestamp"],
                    item["object_count"], item["bytes_used"], item["deleted"], item.get("storage_policy_index", 0)]
        return [item["ROWID"], item["name"], item["created_at"], item["size"], item["content_type"], item["etag"],
                item["deleted"], item.get("storage_policy_index", 0)]

    def asked_state(self):
        """The state as the broker's own queries tell it; works for schemas of every age."""
        broker = self.broker
        info = broker.get_replication_info()
        count = info["count"]
        stats = sorted(broker.get_policy_stats().items())
        rows = [self.row(item) for item in broker.get_items_since(-1, EVERYTHING)]
        points = [sorted_points(broker.get_syncs(incoming=incoming)) for incoming in (True, False)]
        common = [info["account"], info["created_at"], info["put_timestamp"], info["delete_timestamp"]]
        if self.is_account:
            with broker.get() as conn:
                status = conn.execute("SELECT status FROM account_stat").fetchone()[0]
            stats = [[policy, stat.get("container_count"), stat["object_count"], stat["bytes_used"]]
                     for policy, stat in stats]
            return account_state(
                common, status, info["status_changed_at"], info["hash"], info["id"], info["metadata"],
                info["max_row"], [count, info["object_count"], info["bytes_used"]], stats, rows, points)
        stats = [[policy, stat["object_count"], stat["bytes_used"]] for policy, stat in stats]
        return container_state(
            common, info["status"], info["status_changed_at"], info["hash"], info["id"], info["metadata"],
            info["max_row"], info["container"], info["storage_policy_index"], stats,
            [info["reported_put_timestamp"], info["reported_delete_timestamp"], info["reported_object_count"],
             info["reported_bytes_used"]],
            [info["x_container_sync_point1"], info["x_container_sync_point2"], broker.get_reconciler_sync()],
            rows, points)

    def state(self):
        """The state, read in a few statements when the schema is the current one."""
        if not self.exists():
            return None
        if self.legacy:
            return self.asked_state()
        with self.broker.get() as conn:
            return read_state(conn, self.kind)


def present(item, *optional):
    """The item as Swift expects it: keys without a value left out, the row id under its name on the wire."""
    item = {key: value for key, value in item.items() if value is not None or key not in optional}
    if "row_id" in item:
        item["ROWID"] = item.pop("row_id")
    return item


def listed(row):
    name, created_at, size, content_type, etag, deleted, policy = row
    return {"row": [name, created_at, decode_timestamps(created_at)[2].internal, size, content_type, etag, deleted,
                    policy]}


def settled(entries, limit):
    """Equal names in the order of their policies, and without what a limit may have cut: neither is specified."""
    def is_row(entry):
        return len(entry) == 8

    was_cut = len(entries) == limit
    result = []
    for (_, rows), group in itertools.groupby(entries, lambda entry: (entry[0], is_row(entry))):
        result.extend(sorted(group, key=lambda entry: entry[7]) if rows else group)
    if was_cut and result and is_row(result[-1]):
        last = result[-1][0]
        at = len(result)
        while at and is_row(result[at - 1]) and result[at - 1][0] == last:
            at -= 1
            result[at] = ["tie", last]
    return result


def sorted_points(points):
    return sorted([point["remote_id"], point["sync_point"]] for point in points)


def account_state(common, status, changed, digest, id_, metadata, max_row, totals, stats, rows, points):
    account, created_at, put, delete = common
    return {"account": account, "created_at": created_at, "put_timestamp": put, "delete_timestamp": delete,
            "status": status, "status_changed_at": changed, "hash": digest, "id": id_, "metadata": metadata,
            "max_row": max_row, "totals": totals, "policy_stats": stats, "rows": rows, "incoming": points[0],
            "outgoing": points[1]}


def container_state(common, status, changed, digest, id_, metadata, max_row, container, policy, stats, reported,
                    marks, rows, points):
    account, created_at, put, delete = common
    return {"account": account, "created_at": created_at, "put_timestamp": put, "delete_timestamp": delete,
            "status": status, "status_changed_at": changed, "hash": digest, "id": id_, "metadata": metadata,
            "max_row": max_row, "container": container, "policy": policy, "policy_stats": stats,
            "reported": reported, "marks": marks, "rows": rows, "incoming": points[0], "outgoing": points[1]}


RECORD_COLUMNS = {
    "account": "ROWID, name, put_timestamp, delete_timestamp, object_count, bytes_used, deleted, storage_policy_index",
    "container": "ROWID, name, created_at, size, content_type, etag, deleted, storage_policy_index",
}
STAT_COLUMNS = ("SELECT account, created_at, put_timestamp, delete_timestamp, status, status_changed_at, hash, id, "
                "metadata, ")
OWN_COLUMNS = {
    "account": "container_count, object_count, bytes_used FROM account_stat",
    "container": "container, storage_policy_index, reported_put_timestamp, reported_delete_timestamp, "
                 "reported_object_count, reported_bytes_used, x_container_sync_point1, x_container_sync_point2, "
                 "reconciler_sync_point FROM container_info",
}
POLICY_COLUMNS = {
    "account": "storage_policy_index, container_count, object_count, bytes_used",
    "container": "storage_policy_index, object_count, bytes_used",
}


def read_state(conn, kind):
    table = "container" if kind == "account" else "object"
    cursor = sqlite3.Connection.cursor(conn, sqlite3.Cursor)
    cursor.row_factory = None

    def rows(query):
        return cursor.execute(query).fetchall()

    stat, = rows(STAT_COLUMNS + OWN_COLUMNS[kind])
    status, changed, digest, id_, metadata = stat[4:9]
    own = list(stat[9:])
    stats = rows("SELECT %s FROM policy_stat ORDER BY storage_policy_index" % POLICY_COLUMNS[kind])
    records = rows("SELECT %s FROM %s ORDER BY ROWID" % (RECORD_COLUMNS[kind], table))
    max_row = rows("SELECT seq FROM sqlite_sequence WHERE name = '%s'" % table)
    max_row = max_row[0][0] if max_row else -1
    points = [sorted(rows("SELECT remote_id, sync_point FROM %s_sync" % way)) for way in ("incoming", "outgoing")]
    if kind == "account":
        return account_state(stat[:4], status, changed, digest, id_, metadata, max_row, own, stats, records, points)
    return container_state(stat[:4], status, changed, digest, id_, metadata, max_row, own[0], own[1], stats,
                           own[2:6], own[6:], records, points)


READS = {"info", "predicates", "sync_point", "items_since", "misplaced", "list_containers", "list_objects"}


def perform(store, op):
    """Performs one operation and returns its step."""
    name = op["op"]
    try:
        result = {"ok": getattr(store, name)(op)}
    except swift_db.DatabaseConnectionError:
        result = {"err": "NotFound"}
    except REFUSED:
        result = {"err": "InvalidInput"}
    except Exception as error:  # compared with the engine's answer like any other
        result = {"err": "%s: %s" % (type(error).__name__, error)}
    if "ok" in result and name in READS:
        return [result, None]
    return [result, store.state()]


def step_text(step):
    return json.dumps(step, ensure_ascii=False, separators=(",", ":"))


def play(request):
    store = Store(request["store"])
    steps = []
    try:
        for op in request["ops"]:
            step = perform(store, op)
            if not request["full"]:
                step = hashlib.md5(step_text(step).encode(), usedforsecurity=False).hexdigest()
            steps.append(step)
    finally:
        store.close()
        if not request["store"].get("keep"):
            shutil.rmtree(store.folder, ignore_errors=True)
    return {"steps": steps}


def hello(_request):
    return {"swift": swift.__version__, "python": sys.version.split()[0], "sqlite": sqlite3.sqlite_version}


def serve():
    import legacy
    handlers = {"hello": hello, "play": play, "make_legacy": legacy.make, "describe": legacy.describe}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = handlers[request["do"]](request)
        except Exception as error:
            logging.exception("request failed")
            answer = {"failed": "%s: %s" % (type(error).__name__, error)}
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, separators=(",", ":")) + "\n")
        sys.stdout.flush()


QUIET = logging.getLogger("swift-broker")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False

if __name__ == "__main__":
    WORLD.install()
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    serve()
