#!/usr/bin/env python3
"""Shows that stores survive a journey through engines, with kill -9 on the way, and are Swift's in the end.

    convert_check.py --apus PATH [--rows N] [--small N] [--engines sqlite,sled,sqlite] [--kills N]

Swift's own brokers make a container of --rows rows and --small small accounts and containers: tombstones, two
policies, gaps between row numbers, metadata, sync points with dates, marks, deleted stores, records that still
wait in .pending files. `apus convert --remove-source` then moves all of them from engine to engine; it is killed
at random moments and started again. Checked with Swift's brokers and tools on the files that come back: info
output, listings, rows with their numbers, policy statistics, sync points, and the list of container sync are equal
to what they were. From the engines in between, the large container is exported, looked at the same way, and imported
elsewhere.

A table of rates and memory is printed, written as JSON with --json, and put into a document between the lines
`<!-- conversion -->` and `<!-- end -->` with --document: the peak (VmHWM), and what was resident
after each quarter of the longest run, which shows whether it grows with the rows. For the full journey:

    convert_check.py --apus PATH --rows 5000000 --small 1000 --engines sqlite,rocksdb,sled,sqlite --kills 10
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import python_env

SWIFT_SIDE = Path(__file__).resolve().with_name("convert_swift.py")
POLL_SECONDS = 0.02
ROWS_PER_SECOND = 250_000  # more than any conversion does: the first kill comes before its end
GROWTH = 1.5  # each attempt may live so much longer than the one before, since it has more to look through first
POLICIES = """\
[swift-hash]
swift_hash_path_suffix = convert
[storage-policy:0]
name = gold
default = yes
[storage-policy:1]
name = silver
"""


class Failed(Exception):
    """A check did not hold."""


def absolute(path):
    """Links that are made under a path lead nowhere when they are looked at from elsewhere, unless it is whole."""
    return Path(path).resolve()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apus", required=True, type=absolute, help="the binary")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the large container (default: 20000)")
    parser.add_argument("--small", type=int, default=50, help="small stores (default: 50)")
    parser.add_argument("--engines", default="sqlite,sled,sqlite", help="the journey; begins and ends at sqlite")
    parser.add_argument("--kills", type=int, default=4, help="kill -9 so often on the whole journey (default: 4)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--json", type=Path, help="write the table here")
    parser.add_argument("--document", type=Path, help="put the table into this document")
    parser.add_argument("--data", type=absolute, help="where data go (default: the temporary folder)")
    options = parser.parse_args()
    options.engines = options.engines.split(",")
    if len(options.engines) < 2 or {options.engines[0], options.engines[-1]} != {"sqlite"}:
        parser.error("the journey must begin and end at sqlite, whose files Swift can read")
    return options


class Journey:
    def __init__(self, options, folder):
        self.options = options
        self.devices = folder / "devices"
        self.folder = folder
        (self.devices / "d0").mkdir(parents=True)
        self.swift_dir = folder / "etc"
        self.swift_dir.mkdir()
        (self.swift_dir / "swift.conf").write_text(POLICIES)
        self.python = python_env.ensure().command("python")
        self.rng = random.Random(options.seed)
        self.table = []
        self.owed = 0  # kills that a run was too fast for

    def swift(self, *words):
        """Runs the other file with Swift at hand and returns what it prints."""
        command = [str(self.python), str(SWIFT_SIDE), *map(str, words)]
        environment = {**os.environ, "APUS_SWIFT_DIR": str(self.swift_dir)}
        return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

    def apus(self, *words):
        """Starts the binary; what it prints goes to a file, since nobody reads a pipe while it is watched."""
        output = tempfile.TemporaryFile(mode="w+", dir=self.folder)
        child = subprocess.Popen([str(self.options.apus), *map(str, words)], stdout=output, text=True)
        child.output = output
        return child

    def convert(self, source, target, *more):
        return self.apus("convert", "--from", source, "--to", target, "--devices", self.devices, "--json", *more)

    def run(self):
        options = self.options
        started = time.monotonic()
        self.swift("make", self.devices, options.rows, options.small, options.seed)
        # Of a copy: looking merges what waits in .pending files, and that is to be converted as it is.
        shutil.copytree(self.devices, self.folder / "looked-at", symlinks=True)
        before = json.loads(self.swift("describe", self.folder / "looked-at"))
        shutil.rmtree(self.folder / "looked-at")
        if len(before) != options.small + 2:
            raise Failed(f"{len(before) - 1} stores were made")
        print(f"made {len(before) - 1} stores in {time.monotonic() - started:.0f} s, seed {options.seed}", flush=True)
        hops = list(zip(options.engines, options.engines[1:]))
        for number, (source, target) in enumerate(hops):
            kills = options.kills * (number + 1) // len(hops) - options.kills * number // len(hops)
            self.hop(source, target, kills + self.owed)
            if target != "sqlite":
                self.exchange(target, before)
        after = json.loads(self.swift("describe", self.devices))
        compare(before, after)
        print(f"Swift sees the same {len(after) - 1} stores as before")
        if options.kills and self.owed == options.kills:
            raise Failed("every run was faster than its kill: give it more rows")
        if self.owed:
            print(f"{self.owed} of {options.kills} kills would have come after the end")

    def hop(self, source, target, kills):
        """Converts everything, killed `kills` times on the way, then once more to remove the source."""
        dry = finish(self.convert(source, target, "--dry-run"))
        expected = dry["copied"]
        killed, started, patience = 0, time.monotonic(), max(0.1, self.options.rows / ROWS_PER_SECOND)
        watched = []  # what each run's memory was
        while killed < kills:
            child = self.convert(source, target)
            watched.append(watch(child, self.rng.uniform(0.02, patience)))
            if child.poll() is not None:
                finish(child)  # it was faster
                break
            child.kill()
            child.wait()
            child.output.close()
            killed += 1
            patience *= GROWTH
        self.owed = kills - killed
        child = self.convert(source, target)
        watched.append(watch(child))
        done = finish(child)
        total = time.monotonic() - started
        if done["copied"] + done["were_there"] != expected:
            raise Failed(f"{source} to {target}: {done} instead of {expected} stores")
        removed = finish(self.convert(source, target, "--remove-source"))
        if removed["removed"] != expected or finish(self.convert(source, target, "--dry-run"))["copied"]:
            raise Failed(f"{source} to {target}: not all of {expected} stores were removed: {removed}")
        line = {"from": source, "to": target, "stores": expected, "rows": done["rows"], "kills": killed,
                "resumed": done["resumed"], "seconds": round(total, 1), "last_run_rows_per_second":
                done["rows_per_second"], "verify_seconds": round(removed["seconds"], 1),
                "peak_mib": max(peak for peak, _ in watched) // 1024,
                "resident_mib_by_quarter": quarters(max((resident for _, resident in watched), key=len))}
        self.table.append(line)
        print(json.dumps(line), flush=True)

    def exchange(self, engine, before):
        """Exports the large container, has Swift look at it, and imports it into other devices."""
        path = max((path for path in before if path != "synced"), key=lambda path: before[path]["info"]["max_row"])
        device, kind, partition, _, name, _ = path.split("/")
        location, file = f"{device}/{kind}/{partition}/{name}", self.folder / f"{engine}.db"
        place = ["--engine", engine, "--devices", self.devices, "--swift-dir", self.swift_dir]
        succeed(self.apus("export", location, file, *place))
        compare({path: before[path]}, {path: json.loads(self.swift("describe-file", kind[:-1], file))})
        elsewhere = self.folder / f"{engine}-imported"
        (elsewhere / device).mkdir(parents=True)
        succeed(self.apus("import", file, location, "--devices", elsewhere, "--swift-dir", self.swift_dir))
        compare({path: before[path]}, json.loads(self.swift("describe", elsewhere)))
        shutil.rmtree(elsewhere)
        file.unlink()


def watch(child, seconds=None):
    """The largest VmHWM in KiB that a process shows until it ends, or for some seconds; and all VmRSS."""
    peak, resident, end = 0, [], None if seconds is None else time.monotonic() + seconds
    while child.poll() is None and (end is None or time.monotonic() < end):
        try:
            for line in Path(f"/proc/{child.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = max(peak, int(line.split()[1]))
                elif line.startswith("VmRSS:"):
                    resident.append(int(line.split()[1]))
        except (FileNotFoundError, ProcessLookupError):
            break
        time.sleep(POLL_SECONDS)
    return peak, resident


def quarters(resident):
    """The last of each quarter of some samples in KiB, in MiB."""
    return [resident[len(resident) * quarter // 4 - 1] // 1024 for quarter in range(1, 5) if len(resident) >= 4]


def ended(child):
    """Waits for the end of a process and returns what it printed."""
    child.wait()
    with child.output as output:
        output.seek(0)
        return output.read()


def finish(child):
    """The summary that `apus convert --json` ends with."""
    output = ended(child)
    if child.returncode:
        raise Failed(f"apus convert ended with {child.returncode}: {output[-2000:]}")
    return json.loads(output.splitlines()[-1])


def succeed(child):
    output = ended(child)
    if child.returncode:
        raise Failed(f"{child.args} ended with {child.returncode}: {output}")


def compare(before, after):
    for path in sorted(before.keys() | ({} if len(before) == 1 else after.keys())):
        one, other = before.get(path), after.get(path)
        if one != other and isinstance(one, dict) and isinstance(other, dict):
            for key in one:
                if one[key] != other[key]:
                    raise Failed(f"{path}: {key} was {one[key]!r} and is {other[key]!r}")
        if one != other:
            raise Failed(f"{path} was {one!r} and is {other!r}")


def markdown(table):
    head = "| | rows | rows a second | kills | seconds, kills included | verified again, and removed from the source | peak memory |"
    lines = [head, "|---" * (head.count("|") - 1) + "|"]
    for hop in table:
        rate = f"{hop['last_run_rows_per_second']:,}" if not hop["kills"] else ""
        lines.append(f"| {hop['from']} to {hop['to']} | {hop['rows']:,} | {rate} | {hop['kills']} | {hop['seconds']:.0f} | "
                     f"{hop['verify_seconds']:.0f} s | {hop['peak_mib']} MiB |")
    return "\n".join(lines) + "\n"


def put_into(document, name, table):
    start, end = f"<!-- {name} -->\n", "<!-- end -->\n"
    before, found, rest = document.read_text().partition(start)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise Failed(f"{document} has no lines {start.strip()} and {end.strip()}")
    document.write_text(before + start + table + end + after)


def main():
    options = parse()
    if options.data:
        options.data.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="apus-convert-", dir=options.data))
    journey = Journey(options, folder)
    try:
        journey.run()
        if options.document:
            put_into(options.document, "conversion", markdown(journey.table))
    except Failed as failure:
        print(f"FAILED: {failure}\nkept: {folder}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(journey.table, indent=1) + "\n")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
