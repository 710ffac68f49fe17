"""Does to a database what Swift does; the tests of this crate run it with a Python that has Swift.

    python swift_side.py schema                          prints what new databases have
    python swift_side.py KIND DB ACTION [JSON]           works on one database and prints JSON

KIND is account or container; ACTION is one of the functions below.
"""
import json
import logging
import os
import sqlite3
import sys
import tempfile

logging.basicConfig(level=logging.ERROR)

from swift.account.backend import AccountBroker  # noqa: E402
from swift.container.backend import ContainerBroker  # noqa: E402
from swift.container.sync_store import ContainerSyncStore  # noqa: E402

BROKERS = {"account": AccountBroker, "container": ContainerBroker}


def dump_schema(path):
    conn = sqlite3.connect(path)
    objects = conn.execute(
        "SELECT type, name, tbl_name FROM sqlite_master ORDER BY type, name").fetchall()
    columns = {
        name: [list(row[1:6]) for row in conn.execute("PRAGMA table_info('%s')" % name)]
        for kind, name, _ in objects if kind in ("table", "view")}
    indexes = {
        name: [row[2] for row in conn.execute("PRAGMA index_info('%s')" % name)]
        for kind, name, _ in objects if kind == "index"}
    settings = {
        name: conn.execute("PRAGMA " + name).fetchone()[0]
        for name in ("encoding", "user_version", "application_id", "auto_vacuum", "journal_mode")}
    return {"objects": objects, "columns": columns, "indexes": indexes, "settings": settings}


def schema():
    found = {}
    for kind, cls in BROKERS.items():
        with tempfile.TemporaryDirectory() as top:
            path = os.path.join(top, "sda1", kind + "s", "7", "abc", "h", "h.db")
            names = {"account": "a"} if kind == "account" else {"account": "a", "container": "c"}
            cls(path, **names).initialize("0000000001.00000", 0)
            found[kind] = dump_schema(path)
    return found


def initialize(broker, argument):
    broker.account = argument["account"]
    broker.container = argument.get("container")
    broker.initialize(argument["put_timestamp"], argument.get("storage_policy_index", 0))


def put(broker, records):
    """Appends to the pending file."""
    for record in records:
        if isinstance(broker, AccountBroker):
            broker.put_container(*record)
        else:
            broker.put_object(*record)


def merge(broker, records):
    broker.merge_items(records)


def reclaim(broker, ages):
    broker.reclaim(*ages)


def policy_stats(broker, migrate):
    broker.get_policy_stats(do_migrations=migrate)


def metadata(broker, updates):
    broker.update_metadata(updates)


def reconciler(broker, point):
    broker.update_reconciler_sync(point)


def sync_points(broker, points):
    broker.set_x_container_sync_points(*points)


def sync_add(broker, devices):
    sync_store(devices).add_synced_container(broker)


def sync_remove(broker, devices):
    sync_store(devices).remove_synced_container(broker)


def synced(_, devices):
    """What the daemon of container sync works on."""
    return sorted(sync_store(devices).synced_containers_generator())


def sync_store(devices):
    return ContainerSyncStore(devices, logging.getLogger(), mount_check=False)


def facts(broker, _):
    """What a replicator and an auditor would see; merges what is pending."""
    info = broker.get_replication_info()
    return {
        "info": info,
        "rows": broker.get_items_since(-1, 100000),
        "policy_stats": sorted(broker.get_policy_stats().items()),
        "incoming": [(p["remote_id"], p["sync_point"]) for p in broker.get_syncs()],
        "pending": os.path.getsize(broker.pending_file)
        if os.path.exists(broker.pending_file) else 0,
        "integrity": sqlite3.connect(broker.db_file).execute(
            "PRAGMA integrity_check").fetchone()[0],
        "schema": dump_schema(broker.db_file),
    }


def main():
    if sys.argv[1:] == ["schema"]:
        result = schema()
    else:
        kind, path, action = sys.argv[1:4]
        argument = json.loads(sys.argv[4]) if len(sys.argv) > 4 else None
        result = globals()[action](BROKERS[kind](path), argument)
    print(json.dumps(result, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
