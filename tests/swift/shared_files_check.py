"""The checks of shared_files.py; runs in the private environment, where Swift can be imported.

"Server" means the account or container server under test, reached over HTTP. "Broker" means Swift's own Python
class on the same file. Neither knows of the other.
"""

import collections
import contextlib
import difflib
import hashlib
import http.client
import io
import itertools
import json
import multiprocessing
import queue
import random
import sqlite3
import subprocess
import sys
import time
import traceback
import urllib.parse

from swift.account.backend import AccountBroker
from swift.cli.info import print_info
from swift.common.exceptions import LockTimeout
from swift.common.ring import Ring
from swift.common.utils import Timestamp, hash_path, storage_directory
from swift.container.backend import ContainerBroker

DEVICE = "sd0"
GOLD, SILVER = 0, 1
ACCOUNT = "AUTH_shared"
NAMES = ["a", "photos/2024/a.jpg", "photos/2024/b.jpg", "photos/2025/c.jpg", "with blank", "percent%41", "ümläut/é",
         "日本語", "plus+and&", "zz/" + "long" * 100]
CONTENT_TYPE = "text/plain;charset=utf-8"  # as listings print it: servers take blanks out
RETRIES = 50
WRITERS_PER_SIDE = 2
SHARED_NAMES = 200  # written by both sides; each writer has names of its own besides
OWN_NAMES = 500
READ_EVERY = 50  # records after which a writer also reads, which merges what waits in .pending
LONGEST_PAUSE_SECONDS = 0.004  # a broker's, else it holds the lock nearly always and the server hardly writes
NO_LIMIT = 10**9


class Mismatch(Exception):
    """The two sides disagree."""


class Unavailable(Exception):
    """A write was not acknowledged; repeating it is safe."""


# The two sides


class Server:
    """An account or container server, spoken to as object servers and proxies do."""

    def __init__(self, url):
        self.address = urllib.parse.urlsplit(url)
        self.connection = None

    def request(self, method, path, headers=None, query=None):
        """Sends one request; returns status, headers (lower case) and body."""
        target = urllib.parse.quote(path) + ("?" + urllib.parse.urlencode(query) if query else "")
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=60)
            self.connection.request(method, target, headers={key: str(value).encode("utf-8").decode("latin-1")
                                                             for key, value in (headers or {}).items()})
            answer = self.connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection = None
            raise Unavailable(f"{method} {target}: {error}") from error
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, body

    def expect(self, statuses, method, path, headers=None, query=None):
        """The same, where any other status is a mismatch."""
        status, got, body = self.request(method, path, headers, query)
        if status not in statuses:
            raise Mismatch(f"{method} {path} answered {status}, not one of {statuses}: {body[:300]!r}")
        return got, body


class Place:
    """Where a container or an account lives: its path on the server and its file."""

    def __init__(self, order, account, container=None):
        self.account, self.container = account, container
        self.kind = "container" if container else "account"
        ring = Ring(order["swift_dir"], ring_name=self.kind)
        self.partition = ring.get_part(account, container)
        names = [account] + ([container] if container else [])
        self.path = "/".join(["", DEVICE, str(self.partition), *names])
        digest = hash_path(account, container)
        folder = storage_directory(f"{self.kind}s", self.partition, digest)
        self.file = f"{order['devices']}/{DEVICE}/{folder}/{digest}.db"
        self.url = order[f"{self.kind}_server"]

    def server(self):
        return Server(self.url)

    def broker(self):
        if self.container:
            return ContainerBroker(self.file, account=self.account, container=self.container)
        return AccountBroker(self.file, account=self.account)


class Clock:
    """Timestamps that only grow and that no other writer uses: the last digits are the writer's number."""

    WRITERS = 100

    def __init__(self, writer):
        self.writer = writer
        self.last = 0

    def now(self):
        ticks = int(time.time() * 100000) // self.WRITERS * self.WRITERS + self.writer
        self.last = ticks if ticks > self.last else self.last + self.WRITERS
        return f"{self.last // 100000:010}.{self.last % 100000:05}"


def object_record(clock, name, deleted=False, size=0, policy=GOLD):
    """An object row as both sides take it."""
    return {"name": name, "created_at": clock.now(), "size": 0 if deleted else size, "deleted": int(deleted),
            "content_type": "application/deleted" if deleted else CONTENT_TYPE,
            "etag": "noetag" if deleted else hashlib.md5(f"{name}{size}".encode()).hexdigest(),
            "storage_policy_index": policy}


def container_record(clock, name, before=None, deleted=False, objects=0, size=0):
    """A container row of an account as both sides take it: the container's whole state after `before`."""
    put, gone = (before["put_timestamp"], before["delete_timestamp"]) if before else ("0", "0")
    now = clock.now()
    return {"name": name, "put_timestamp": put if deleted else now, "delete_timestamp": now if deleted else gone,
            "object_count": 0 if deleted else objects, "bytes_used": 0 if deleted else size,
            "deleted": int(deleted), "storage_policy_index": GOLD}


def write_through_server(server, place, record):
    """Writes a row as an object server (objects) or container server (containers) does."""
    path = f"{place.path}/{record['name']}"
    if place.kind == "account":
        headers = {"X-Put-Timestamp": record["put_timestamp"], "X-Delete-Timestamp": record["delete_timestamp"],
                   "X-Object-Count": record["object_count"], "X-Bytes-Used": record["bytes_used"],
                   "X-Account-Override-Deleted": "no",
                   "X-Backend-Storage-Policy-Index": record["storage_policy_index"]}
        method = "PUT"
    else:
        headers = {"X-Timestamp": record["created_at"],
                   "X-Backend-Storage-Policy-Index": record["storage_policy_index"]}
        method = "DELETE" if record["deleted"] else "PUT"
        if method == "PUT":
            headers |= {"X-Size": record["size"], "X-Content-Type": record["content_type"], "X-Etag": record["etag"]}
    status, _, body = server.request(method, path, headers)
    if status >= 500:
        raise Unavailable(f"{method} {path} answered {status}")
    if status not in (201, 204):
        raise Mismatch(f"{method} {path} answered {status}: {body[:300]!r}")


def write_through_broker(broker, place, record):
    """Writes a row with Swift's own code."""
    try:
        if place.kind == "account":
            broker.put_container(record["name"], record["put_timestamp"], record["delete_timestamp"],
                                 record["object_count"], record["bytes_used"], record["storage_policy_index"])
        elif record["deleted"]:
            broker.delete_object(record["name"], record["created_at"],
                                 storage_policy_index=record["storage_policy_index"])
        else:
            broker.put_object(record["name"], record["created_at"], record["size"], record["content_type"],
                              record["etag"], storage_policy_index=record["storage_policy_index"])
    except (LockTimeout, sqlite3.OperationalError) as error:
        raise Unavailable(f"broker: {error!r}") from error


# What each side shows


def server_listing(place):
    """Everything the server lists, page by page."""
    server, entries, marker = place.server(), [], ""
    while True:
        _, body = server.expect((200, 204), "GET", place.path, query={"format": "json", "marker": marker})
        page = json.loads(body) if body else []
        if not page:
            return entries
        entries += page
        marker = page[-1]["name"]


def broker_listing(place):
    """The same from Swift's broker, in the same form."""
    broker = place.broker()
    if place.kind == "account":
        rows = broker.list_containers_iter(NO_LIMIT, "", None, None, None)
        return [{"name": row[0], "count": row[1], "bytes": row[2],
                 "last_modified": Timestamp(row[3]).isoformat} for row in rows]
    index = broker.get_info()["storage_policy_index"]
    rows = broker.list_objects_iter(NO_LIMIT, "", None, None, None, storage_policy_index=index)
    return [{"name": row[0], "last_modified": Timestamp(row[1]).isoformat, "bytes": row[2], "content_type": row[3],
             "hash": row[4]} for row in rows]


def compare_listings(place):
    """Fails where the listings differ; returns their common length."""
    server = server_listing(place)
    broker = broker_listing(place)
    wanted = set(broker[0]) if broker else set()
    server = [{key: value for key, value in entry.items() if key in wanted} for entry in server]
    if server != broker:
        differences = [f"  server {s}\n  broker {b}" for s, b in itertools.zip_longest(server, broker) if s != b][:5]
        raise Mismatch(f"{place.path}: listings differ\n" + "\n".join(differences))
    return len(server)


def compare_counts(place):
    """Fails where the server's HEAD tells other numbers than the broker."""
    headers, _ = place.server().expect((204,), "HEAD", place.path)
    info = place.broker().get_info()
    names = {"account": ("container_count", "object_count", "bytes_used"),
             "container": ("object_count", "bytes_used")}[place.kind]
    for name in names:
        header = f"x-{place.kind}-{name.replace('_', '-')}"
        if int(headers[header]) != info[name]:
            raise Mismatch(f"{place.path}: {header} is {headers[header]}, the broker says {info[name]}")
    for key, stored in (("x-put-timestamp", "put_timestamp"), ("x-timestamp", "created_at")):
        if headers.get(key) != Timestamp(info[stored]).normal:
            raise Mismatch(f"{place.path}: {key} is {headers.get(key)}, the broker says {info[stored]}")


def compare_info(order, place):
    """Fails where the command under test prints another text than Swift's function."""
    wanted = io.StringIO()
    with contextlib.redirect_stdout(wanted):
        print_info(place.kind, place.file, swift_dir=order["info_swift_dir"])
    blanks = {"swift_dir": order["info_swift_dir"], "path": place.file, "kind": place.kind}
    command = [word.format(**blanks) for word in order["info_command"]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 or done.stdout != wanted.getvalue():
        lines = difflib.unified_diff(wanted.getvalue().splitlines(), done.stdout.splitlines(), "Swift",
                                     " ".join(command), lineterm="")
        raise Mismatch(f"info differs (status {done.returncode})\n" + "\n".join(lines) + done.stderr)


def compare_everything(order, place):
    """All views of one store."""
    count = compare_listings(place)
    compare_counts(place)
    compare_info(order, place)
    return count


# Parts 1 and 2


def create_on_server(place, clock, policy=GOLD, metadata=None):
    headers = {"X-Timestamp": clock.now()} | (metadata or {})
    if place.kind == "container":
        headers["X-Backend-Storage-Policy-Index"] = policy
    place.server().expect((201, 202), "PUT", place.path, headers)


def fill(write, clock, policy=GOLD):
    """Writes rows of every sort with the given function; returns how many stay."""
    for size, name in enumerate(NAMES):
        write(object_record(clock, name, size=size * 1000, policy=policy))
    write(object_record(clock, NAMES[0], size=77, policy=policy))  # overwritten
    write(object_record(clock, NAMES[1], deleted=True, policy=policy))
    write(object_record(clock, "never-there", deleted=True, policy=policy))
    for number in range(300):
        write(object_record(clock, f"many/{number:04}", size=number, policy=policy))
    return len(NAMES) - 1 + 300


def check_server_writes(order):
    """Part 1: written through the servers, read by Swift's brokers."""
    clock = Clock(1)
    account = Place(order, ACCOUNT)
    create_on_server(account, clock, metadata={"X-Account-Meta-Color": "grün", "X-Account-Sysmeta-Project": "p"})
    told = []
    for container, policy in (("folder", GOLD), ("ordner ü", SILVER)):
        place = Place(order, ACCOUNT, container)
        create_on_server(place, clock, policy, {"X-Container-Meta-Color": "blau", "X-Container-Read": ".r:*"})
        server = place.server()
        kept = fill(lambda record: write_through_server(server, place, record), clock, policy)
        server.expect((204,), "POST", place.path, {"X-Timestamp": clock.now(), "X-Container-Meta-Size": "large",
                                                   "X-Container-Sysmeta-Secret": "s"})
        told.append(expect_count(compare_everything(order, place), kept))
        write_through_server(account.server(), account,
                             container_record(clock, container, objects=kept, size=12345))
    expect_count(compare_everything(order, account), 2)
    gone = Place(order, ACCOUNT, "gone")
    create_on_server(gone, clock)
    gone.server().expect((204,), "DELETE", gone.path, {"X-Timestamp": clock.now()})
    gone.server().expect((404,), "GET", gone.path)
    if not gone.broker().is_deleted():
        raise Mismatch("the broker does not see that the server deleted the container")
    compare_info(order, gone)
    return f"{sum(told)} objects in 2 containers and their account read alike; a deleted container seen as deleted"


def check_broker_writes(order):
    """Part 2: written by Swift's brokers, read through the servers."""
    clock = Clock(2)
    account = Place(order, ACCOUNT + "_brokers")
    account.broker().initialize(clock.now())
    told = []
    for container, policy in (("folder", GOLD), ("ordner ü", SILVER)):
        place = Place(order, account.account, container)
        broker = place.broker()
        broker.initialize(clock.now(), policy)
        kept = fill(lambda record: write_through_broker(broker, place, record), clock, policy)
        compare_listings_with_pending(place, kept)
        broker.update_metadata({"X-Container-Meta-Color": ("grün", clock.now()),
                                "X-Container-Sysmeta-Secret": ("s", clock.now())})
        told.append(expect_count(compare_everything(order, place), kept))
        write_through_broker(account.broker(), account, container_record(clock, container, objects=kept, size=1))
    expect_count(compare_everything(order, account), 2)
    gone = Place(order, account.account, "gone")
    broker = gone.broker()
    broker.initialize(clock.now(), GOLD)
    broker.delete_db(clock.now())
    gone.server().expect((404,), "GET", gone.path)
    compare_info(order, gone)
    return f"{sum(told)} objects in 2 containers and their account read alike; a deleted container seen as deleted"


def compare_listings_with_pending(place, kept):
    """The server alone must find what the brokers left in .pending: no broker has read yet."""
    pending = place.file + ".pending"
    with open(pending, "rb") as file:
        if not file.read():
            raise Mismatch(f"{pending} is empty: this check shows nothing")
    expect_count(len(server_listing(place)), kept)


def expect_count(found, wanted):
    if found != wanted:
        raise Mismatch(f"{wanted} rows were written, {found} are listed")
    return found


# Part 3


def next_record(place, clock, chance, writer, own):
    """A random write: half of them to new names, where a lost record cannot hide behind a later one; the rest to
    names written before, in containers also by the other writers."""
    draw = chance.random()
    if draw < 0.5:
        name = f"writer-{writer}-once-{len(own)}"
    elif draw < 0.75 and place.kind == "container":
        name = f"shared/{chance.randrange(SHARED_NAMES)}"
    else:
        name = f"writer-{writer}-{chance.randrange(OWN_NAMES)}"
    deleted = chance.random() < 0.3
    if place.kind == "container":
        return object_record(clock, name, deleted=deleted, size=chance.randrange(10**6))
    before = own.get(name)  # an account's server is told a container's whole state
    return container_record(clock, name, before, deleted=deleted and before is not None,
                            objects=chance.randrange(100), size=chance.randrange(10**6))


def newest(place, record):
    """What orders two records of one name."""
    return record["created_at"] if place.kind == "container" else max(record["put_timestamp"],
                                                                      record["delete_timestamp"])


def writer(order, names, number, side, results):
    """One writing process: writes until the time is over, repeating each record until it is acknowledged."""
    try:
        place = Place(order, *names)
        clock, chance, own, retries, written = Clock(number), random.Random(number), {}, 0, 0
        server, broker = place.server(), place.broker()
        until = time.time() + order["seconds"]
        while time.time() < until:
            record = next_record(place, clock, chance, number, own)
            for attempt in range(RETRIES):
                try:
                    if side == "server":
                        write_through_server(server, place, record)
                    else:
                        write_through_broker(broker, place, record)
                    break
                except Unavailable:
                    retries += 1
                    if attempt == RETRIES - 1:
                        raise
            own[record["name"]] = record
            written += 1
            if written % READ_EVERY == 0:
                read(side, place, server, broker)
            if side == "broker":
                time.sleep(chance.random() * LONGEST_PAUSE_SECONDS)
        results.put({"place": place.path, "side": side, "own": own, "written": written, "retries": retries})
    except BaseException:
        results.put({"failure": f"{side} writer {number} of {names}:\n{traceback.format_exc()}"})


def read(side, place, server, broker):
    """Reads in the midst of the writing; it may be refused for a moment, but it must not fail otherwise."""
    if side == "server":
        status, _, body = server.request("GET", place.path, query={"format": "json", "limit": 10})
        if status not in (200, 204) and status < 500:
            raise Mismatch(f"GET {place.path} answered {status}: {body[:300]!r}")
        return
    with contextlib.suppress(LockTimeout, sqlite3.OperationalError):
        broker.get_info()


def check_both_write(order):
    """Part 3: both sides write the same container and the same account at once."""
    clock = Clock(3)
    container, account = Place(order, ACCOUNT, "busy"), Place(order, ACCOUNT + "_busy")
    create_on_server(account, clock)
    create_on_server(container, clock)
    processes = multiprocessing.get_context("spawn")  # forks would inherit eventlet's pool without its threads
    results = processes.Queue()
    writers = []
    for names in ((ACCOUNT, "busy"), (ACCOUNT + "_busy",)):
        for side in ("server", "broker") * WRITERS_PER_SIDE:
            process = processes.Process(
                target=writer, args=(order, names, 10 + len(writers), side, results), daemon=True)
            process.start()
            writers.append(process)
    collected = gather(results, writers, order["seconds"] + 120)
    told = []
    for place in (container, account):
        reports = [report for report in collected if report["place"] == place.path]
        told.append(verify(order, place, reports))
    return "\n".join(told)


def gather(results, writers, patience):
    """One report from each writer; a writer that failed or vanished is a mismatch."""
    collected, deadline = [], time.monotonic() + patience
    while len(collected) < len(writers):
        try:
            report = results.get(timeout=1)
        except queue.Empty:
            dead = [process for process in writers if process.exitcode not in (None, 0)]
            if dead or time.monotonic() > deadline:
                raise Mismatch(f"writers died or hang: {dead or writers}") from None
            continue
        if "failure" in report:
            raise Mismatch(report["failure"])
        if not report["written"]:
            raise Mismatch(f"a writer of {report['place']} wrote nothing: this check shows nothing")
        collected.append(report)
    return collected


def verify(order, place, reports):
    """Compares the file with what was acknowledged and with itself."""
    expected = {}
    for report in reports:
        for name, record in report["own"].items():
            if name not in expected or newest(place, record) > newest(place, expected[name]):
                expected[name] = record
    compare_everything(order, place)  # also merges what waits in .pending
    connection = sqlite3.connect(place.file)
    connection.row_factory = sqlite3.Row
    integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if integrity != "ok":
        raise Mismatch(f"{place.file}: {integrity}")
    table = "object" if place.kind == "container" else "container"
    rows = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
    compare_rows(place, rows, expected)
    compare_totals(place, rows, connection)
    sides = collections.Counter()
    for report in reports:
        sides[report["side"]] += report["written"]
    retries = sum(report["retries"] for report in reports)
    return (f"{place.kind}: {sides['server']} records through the server, {sides['broker']} through brokers, "
            f"{retries} repeated; {len(rows)} rows, none lost, counts and hash as recomputed")


def compare_rows(place, rows, expected):
    """Every acknowledged record is there, nothing else is."""
    found = collections.Counter(row["name"] for row in rows)
    doubled = [name for name, count in found.items() if count > 1]
    lost, foreign = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if doubled or lost or foreign:
        raise Mismatch(f"{place.file}: lost {lost[:5]} ({len(lost)}), doubled {doubled[:5]} ({len(doubled)}), "
                       f"never written {foreign[:5]} ({len(foreign)})")
    for row in rows:
        wanted = expected[row["name"]]
        different = {key: (row[key], value) for key, value in wanted.items() if not same(key, row[key], value)}
        if different:
            raise Mismatch(f"{place.file}: row {row['name']} differs (found, acknowledged): {different}")


def same(key, found, wanted):
    """Equality of stored values: Swift fills unused timestamps with zeros of either form."""
    return float(found) == float(wanted) if key.endswith("_timestamp") else str(found) == str(wanted)


def compare_totals(place, rows, connection):
    """Counts and hash in the file equal a recomputation from its rows."""
    live = [row for row in rows if not row["deleted"]]
    digest = 0
    for row in rows:
        suffix = row["created_at"] if place.kind == "container" else "-".join(
            str(row[key]) for key in ("put_timestamp", "delete_timestamp", "object_count", "bytes_used"))
        digest ^= int(hashlib.md5(f"{row['name']}-{suffix}".encode()).hexdigest(), 16)
    if place.kind == "container":
        stat = dict(connection.execute("SELECT hash FROM container_info").fetchone())
        policies = connection.execute("SELECT sum(object_count) AS object_count, sum(bytes_used) AS bytes_used "
                                      "FROM policy_stat").fetchone()
        stat |= dict(policies)
        wanted = {"object_count": len(live), "bytes_used": sum(row["size"] for row in live)}
    else:
        stat = dict(connection.execute("SELECT * FROM account_stat").fetchone())
        wanted = {"container_count": len(live), "object_count": sum(row["object_count"] for row in rows),
                  "bytes_used": sum(row["bytes_used"] for row in rows)}
    wanted["hash"] = f"{digest:032x}"
    different = {key: (stat[key], value) for key, value in wanted.items() if stat[key] != value}
    if different:
        raise Mismatch(f"{place.file}: totals differ (in the file, recomputed from rows): {different}")


PARTS = (
    ("servers write, Swift's brokers read", check_server_writes),
    ("Swift's brokers write, servers read", check_broker_writes),
    ("both write at once", check_both_write),
)


def main():
    order = json.loads(sys.argv[1])
    failures = 0
    for title, check in PARTS:
        started = time.monotonic()
        print(f"{title} ...", flush=True)
        try:
            told = check(order)
        except (Mismatch, Unavailable) as failure:
            failures += 1
            print(f"FAILURE {title}: {failure}", flush=True)
        else:
            print("\n".join(f"  {line}" for line in told.splitlines()), flush=True)
            print(f"  ok, {time.monotonic() - started:.1f} seconds", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
