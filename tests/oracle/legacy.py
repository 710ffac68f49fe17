"""Makes database files as older versions of Swift left them, and tells what is in a file.

An age lacks one feature and, as in history, all that came after it. Two more ages lack nothing but what an age of
their own had before: the index, and the time stamps of sync points, which no migration ever adds. The statements
are written from the table of ages in the specification of the file format, not taken from Swift.
"""

import os
import sqlite3

from swift.common.db import chexor

CONTAINER_FEATURES = ["index", "sync-timestamp", "metadata", "x-sync", "policy", "shard", "reported", "tombstones"]
ACCOUNT_FEATURES = ["index", "sync-timestamp", "metadata", "policy", "container-count"]
ALONE = {"without-index": "index", "without-sync-timestamp": "sync-timestamp"}
NO_UPDATE = "BEGIN SELECT RAISE(FAIL, 'UPDATE not allowed; DELETE and INSERT'); END;"
EMPTY_HASH = "0" * 32


def features(kind, age):
    """What a file of an age has."""
    known = ACCOUNT_FEATURES if kind == "account" else CONTAINER_FEATURES
    if age in ALONE:
        return set(known) - {ALONE[age]}
    if age.startswith("pre-container-count"):
        return set(known) - {"container-count"}
    if age == "half-migrated":
        return {"index", "sync-timestamp", "metadata", "half-policy"}
    return set(known[:known.index(age.removeprefix("pre-"))])


def sync_tables(conn, has):
    for table in ("outgoing_sync", "incoming_sync"):
        stamp = ", updated_at TEXT DEFAULT 0" if "sync-timestamp" in has else ""
        conn.execute("CREATE TABLE %s (remote_id TEXT UNIQUE, sync_point INTEGER%s)" % (table, stamp))
        if not stamp:
            continue
        for event in ("insert", "update"):
            conn.execute(
                "CREATE TRIGGER %(table)s_%(event)s AFTER %(event)s ON %(table)s BEGIN UPDATE %(table)s "
                "SET updated_at = STRFTIME('%%s', 'NOW') WHERE ROWID = new.ROWID; END"
                % {"table": table, "event": event})


def statistics_trigger(event, table, target, counters, hashed, where=""):
    """A trigger that adds an inserted row to counters, or takes a deleted one away."""
    row, sign = ("new", "+") if event == "insert" else ("old", "-")
    changes = ["%s = %s %s %s" % (counter, counter, sign, value.replace("ROW", row))
               for counter, value in counters.items()]
    if hashed:
        changes.append("hash = chexor(hash, %s.name, %s)" % (row, hashed.replace("ROW", row)))
    return "UPDATE %s SET %s%s;" % (target, ", ".join(changes), where.replace("ROW", row))


OBJECT_COUNTERS = {"object_count": "(1 - ROW.deleted)", "bytes_used": "ROW.size"}
CONTAINER_COUNTERS = {"container_count": "(1 - ROW.deleted)", "object_count": "ROW.object_count",
                      "bytes_used": "ROW.bytes_used"}
CONTAINER_HASHED = ("ROW.put_timestamp || '-' || ROW.delete_timestamp || '-' || ROW.object_count || '-' || "
                    "ROW.bytes_used")
OF_POLICY = " WHERE storage_policy_index = ROW.storage_policy_index"


def trigger(conn, name, event, table, body):
    conn.execute("CREATE TRIGGER %s AFTER %s ON %s BEGIN %s END" % (name, event, table, body))


def container_file(conn, has):
    sync_tables(conn, has)
    policy = ", storage_policy_index INTEGER DEFAULT 0" if "policy" in has else ""
    conn.execute("CREATE TABLE object (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created_at TEXT, "
                 "size INTEGER, content_type TEXT, etag TEXT, deleted INTEGER DEFAULT 0%s)" % policy)
    if "index" in has:
        conn.execute("CREATE INDEX ix_object_deleted_name ON object (deleted, name)")
    conn.execute("CREATE TRIGGER object_update BEFORE UPDATE ON object " + NO_UPDATE)
    (policy_container_tables if policy else plain_container_tables)(conn, has)
    if "shard" in has:
        shard_range_table(conn, has)


def stat_columns(has):
    columns = ("account TEXT, container TEXT, created_at TEXT, put_timestamp TEXT DEFAULT '0', "
               "delete_timestamp TEXT DEFAULT '0', reported_put_timestamp TEXT DEFAULT '0', "
               "reported_delete_timestamp TEXT DEFAULT '0', reported_object_count INTEGER DEFAULT 0, "
               "reported_bytes_used INTEGER DEFAULT 0, hash TEXT DEFAULT '%s', id TEXT, status TEXT DEFAULT '', "
               "status_changed_at TEXT DEFAULT '0'" % EMPTY_HASH)
    if "metadata" in has:
        columns += ", metadata TEXT DEFAULT ''"
    if "x-sync" in has:
        columns += ", x_container_sync_point1 INTEGER DEFAULT -1, x_container_sync_point2 INTEGER DEFAULT -1"
    return columns


def plain_container_tables(conn, has):
    """The stat table of the time before policies, with its triggers."""
    conn.execute("CREATE TABLE container_stat (object_count INTEGER, bytes_used INTEGER, %s)" % stat_columns(has))
    conn.execute("INSERT INTO container_stat (object_count, bytes_used) VALUES (0, 0)")
    for event in ("insert", "delete"):
        trigger(conn, "object_" + event, event, "object",
                statistics_trigger(event, "object", "container_stat", OBJECT_COUNTERS, "ROW.created_at"))


def policy_container_tables(conn, has):
    """The stat table, view and triggers of the time with policies."""
    conn.execute("CREATE TABLE policy_stat (storage_policy_index INTEGER PRIMARY KEY, "
                 "object_count INTEGER DEFAULT 0, bytes_used INTEGER DEFAULT 0)")
    conn.execute("INSERT INTO policy_stat (storage_policy_index) VALUES (0)")
    conn.execute("CREATE TABLE container_info (%s, storage_policy_index INTEGER DEFAULT 0, "
                 "reconciler_sync_point INTEGER DEFAULT -1)" % stat_columns(has))
    columns = [row[1] for row in conn.execute("PRAGMA table_info(container_info)")]
    conn.execute("CREATE VIEW container_stat AS SELECT %s, coalesce(ps.object_count, 0) AS object_count, "
                 "coalesce(ps.bytes_used, 0) AS bytes_used FROM container_info ci LEFT JOIN policy_stat ps "
                 "ON ci.storage_policy_index = ps.storage_policy_index"
                 % ", ".join("ci.%s AS %s" % (column, column) for column in columns))
    conn.execute("CREATE TRIGGER container_stat_update INSTEAD OF UPDATE ON container_stat BEGIN "
                 "UPDATE container_info SET %s; END" % ", ".join("%s = NEW.%s" % (c, c) for c in columns))
    conn.execute("INSERT INTO container_info (storage_policy_index) VALUES (0)")
    for event in ("insert", "delete"):
        row = "new" if event == "insert" else "old"
        add_row = ("INSERT OR IGNORE INTO policy_stat (storage_policy_index) VALUES (new.storage_policy_index);"
                   if event == "insert" else "")
        body = statistics_trigger(event, "object", "policy_stat", OBJECT_COUNTERS, None, OF_POLICY)
        digest = "UPDATE container_info SET hash = chexor(hash, %s.name, %s.created_at);" % (row, row)
        trigger(conn, "object_%s_policy_stat" % event, event, "object", add_row + body + digest)


def shard_range_table(conn, has):
    extra = ", reported INTEGER DEFAULT 0" if "reported" in has else ""
    extra += ", tombstones INTEGER DEFAULT -1" if "tombstones" in has else ""
    conn.execute("CREATE TABLE shard_range (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, timestamp TEXT, "
                 "lower TEXT, upper TEXT, object_count INTEGER DEFAULT 0, bytes_used INTEGER DEFAULT 0, "
                 "meta_timestamp TEXT, deleted INTEGER DEFAULT 0, state INTEGER, state_timestamp TEXT, epoch TEXT%s)"
                 % extra)
    conn.execute("CREATE TRIGGER shard_range_update BEFORE UPDATE ON shard_range " + NO_UPDATE)


def account_file(conn, has):
    sync_tables(conn, has)
    policy = ", storage_policy_index INTEGER DEFAULT 0" if "policy" in has else ""
    conn.execute("CREATE TABLE container (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, put_timestamp TEXT, "
                 "delete_timestamp TEXT, object_count INTEGER, bytes_used INTEGER, deleted INTEGER DEFAULT 0%s)"
                 % policy)
    if "index" in has:
        conn.execute("CREATE INDEX ix_container_deleted_name ON container (deleted, name)")
    conn.execute("CREATE TRIGGER container_update BEFORE UPDATE ON container " + NO_UPDATE)
    metadata = ", metadata TEXT DEFAULT ''" if "metadata" in has else ""
    conn.execute("CREATE TABLE account_stat (account TEXT, created_at TEXT, put_timestamp TEXT DEFAULT '0', "
                 "delete_timestamp TEXT DEFAULT '0', container_count INTEGER, object_count INTEGER DEFAULT 0, "
                 "bytes_used INTEGER DEFAULT 0, hash TEXT DEFAULT '%s', id TEXT, status TEXT DEFAULT '', "
                 "status_changed_at TEXT DEFAULT '0'%s)" % (EMPTY_HASH, metadata))
    conn.execute("INSERT INTO account_stat (container_count) VALUES (0)")
    for event in ("insert", "delete"):
        trigger(conn, "container_" + event, event, "container",
                statistics_trigger(event, "container", "account_stat", CONTAINER_COUNTERS, CONTAINER_HASHED))
    if policy:
        account_policy_tables(conn, "container-count" in has)


def account_policy_tables(conn, counts_containers, triggers=True):
    count = "container_count INTEGER DEFAULT 0, " if counts_containers else ""
    conn.execute("CREATE TABLE policy_stat (storage_policy_index INTEGER PRIMARY KEY, %s"
                 "object_count INTEGER DEFAULT 0, bytes_used INTEGER DEFAULT 0)" % count)
    counters = dict(CONTAINER_COUNTERS)
    if not counts_containers:
        del counters["container_count"]
    for event in ("insert", "delete") if triggers else ():
        add_row = ("INSERT OR IGNORE INTO policy_stat (storage_policy_index) VALUES (new.storage_policy_index);"
                   if event == "insert" else "")
        body = statistics_trigger(event, "container", "policy_stat", counters, None, OF_POLICY)
        trigger(conn, "container_%s_ps" % event, event, "container", add_row + body)


def fill_container(conn, has):
    """A few rows, with a gap at the end of the numbers, and some facts."""
    rows = [("a", "1700000000.00000", 10, "text/plain", "e1", 0),
            ("b", "1600000000.00000", 0, "application/deleted", "noetag", 1),
            ("d/\u00e9", "1700000001.00000+a+0", 7, "text/html;swift_bytes=9", "e2", 0),
            ("d/x", "1700000002.00000", 5, "t/x", "e3", 0),
            ("gone", "1700000002.00000", 5, "t/x", "e3", 0)]
    for row in rows:
        conn.execute("INSERT INTO object (name, created_at, size, content_type, etag, deleted) "
                     "VALUES (?, ?, ?, ?, ?, ?)", row)
    conn.execute("DELETE FROM object WHERE name = 'gone'")
    table = "container_info" if "policy" in has else "container_stat"
    conn.execute("UPDATE %s SET account = 'a', container = 'c', created_at = '1500000000.00000', "
                 "put_timestamp = '1500000001.00000', id = 'old-id', reported_put_timestamp = '1500000001.00000', "
                 "reported_delete_timestamp = '1400000000.00000', reported_object_count = 3" % table)
    if "metadata" in has:
        conn.execute("UPDATE %s SET metadata = ?" % table,
                     ('{"X-Container-Meta-K": ["v", "1500000001.00000"], "old": ["", "1400000000.00000"]}',))
    fill_sync(conn)


def fill_account(conn, has, policies):
    rows = [("a", "1700000000.00000", "0", 1, 10, 0), ("b", "0", "1600000000.00000", 0, 0, 1),
            ("d-\u00e9", "1700000001.00000", "1600000000.00000", 2, 7, 0), ("gone", "1700000000.00000", "0", 4, 4, 0)]
    for number, row in enumerate(rows):
        columns, values = "name, put_timestamp, delete_timestamp, object_count, bytes_used, deleted", list(row)
        if "policy" in has and policies > 1:
            columns, values = columns + ", storage_policy_index", values + [number % policies]
        conn.execute("INSERT INTO container (%s) VALUES (%s)" % (columns, ", ".join("?" * len(values))), values)
    conn.execute("DELETE FROM container WHERE name = 'gone'")
    conn.execute("UPDATE account_stat SET account = 'a', created_at = '1500000000.00000', "
                 "put_timestamp = '1500000001.00000', id = 'old-id'")
    if "metadata" in has:
        conn.execute("UPDATE account_stat SET metadata = ?", ('{"X-Account-Meta-K": ["v", "1500000001.00000"]}',))
    if "half-policy" in has:
        account_policy_tables(conn, True, triggers=False)
        conn.execute("INSERT INTO policy_stat SELECT 0, container_count, object_count, bytes_used FROM account_stat")
    fill_sync(conn)


def name_only(conn, kind, has):
    """The facts that even a store without rows has."""
    table, names = "account_stat", "account = 'a'"
    if kind == "container":
        table, names = "container_info" if "policy" in has else "container_stat", "account = 'a', container = 'c'"
    conn.execute("UPDATE %s SET %s, created_at = '1500000000.00000', id = 'old-id'" % (table, names))


def fill_sync(conn):
    conn.execute("INSERT INTO incoming_sync (remote_id, sync_point) VALUES ('remote-1', 5)")
    conn.execute("INSERT INTO outgoing_sync (remote_id, sync_point) VALUES ('remote-1', 3)")


def file_of(store):
    return os.path.join(store["devices"], store["device"], store["kind"] + "s", store["partition"],
                        store["hash"][-3:], store["hash"], store["hash"] + ".db")


def make(request):
    """Writes the same file of an age into several stores."""
    for store in request["stores"]:
        path = file_of(store)
        os.makedirs(os.path.dirname(path))
        conn = sqlite3.connect(path)
        conn.create_function("chexor", 3, chexor)
        has = features(store["kind"], request["age"])
        if store["kind"] == "account":
            account_file(conn, has)
            if request["filled"]:
                fill_account(conn, has, 2 if request["age"].endswith("-of-two") else 1)
        else:
            container_file(conn, has)
            if request["filled"]:
                fill_container(conn, has)
        if not request["filled"]:
            name_only(conn, store["kind"], has)
        conn.commit()
        conn.close()
    return {}


def describe(request):
    """What is in a file: objects by name, columns, rows, and what a writer must leave alone."""
    conn = sqlite3.connect(file_of(request["store"]))
    conn.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
    master = conn.execute("SELECT type, name FROM sqlite_master ORDER BY type, name").fetchall()
    tables = [name for kind, name in master if kind in ("table", "view")]
    contents = {name: describe_table(conn, name) for name in tables}
    pragmas = {name: conn.execute("PRAGMA " + name).fetchone()[0]
               for name in ("user_version", "application_id", "journal_mode", "encoding", "integrity_check")}
    conn.close()
    return {"objects": master, "tables": contents, "pragmas": pragmas}


def describe_table(conn, name):
    columns = sorted(row[1:3] + row[4:6] for row in conn.execute("PRAGMA table_info(%s)" % name))
    shown = [column[0] for column in columns if column[0] != "updated_at"]
    rows = conn.execute("SELECT %s FROM %s" % (", ".join(shown), name)).fetchall()
    return {"columns": columns, "rows": sorted(rows, key=repr)}
