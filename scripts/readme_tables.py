#!/usr/bin/env python3
"""Writes the table of engines in README.md from the reports in conformance/reports.

readme_tables.py           replace the table
readme_tables.py --check   fail when the table is not what the reports say
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- table of engines: written by scripts/readme_tables.py from conformance/reports -->\n"
END = "<!-- end of table -->\n"
LEVELS = ["core", "replication", "reclaim", "durable", "concurrent", "snapshot", "sharding"]
ABOUT = {
    "memory": ("the reference and oracle; forgets everything at exit", "crates/engine-memory"),
    "rocksdb": ("large containers and high rates; one database per device", "crates/engine-rocksdb"),
    "sled": ("pure Rust, one database per device; experimental", "crates/engine-sled"),
    "sqlite": ("Swift's own files, the default; usable by Python Swift at the same time", "crates/engine-sqlite"),
}


def cell(report, level):
    found = next(entry for entry in report["levels"] if entry["level"] == level)
    passed = f"{found['pass']}/{found['cases']}"
    return f"certified, {passed}" if found["certified"] else f"not certified, {passed}"


def table():
    reports = [json.loads(path.read_text()) for path in sorted((ROOT / "conformance/reports").glob("*.json"))]
    levels = [level for level in LEVELS if any(is_claimed(report, level) for report in reports)]
    lines = ["| engine | for | " + " | ".join(levels) + " |", "|---|---|" + "---|" * len(levels)]
    for report in reports:
        what, folder = ABOUT[report["engine"]]
        cells = [cell(report, level) if is_claimed(report, level) else "-" for level in levels]
        lines.append(f"| [{report['engine']}]({folder}) | {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def is_claimed(report, level):
    return level == "core" or level in report["claims"]


def main():
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    wanted = before + BEGIN + table() + END + after
    if "--check" in sys.argv[1:]:
        if wanted != text:
            sys.exit("README.md: the table of engines is old; run scripts/readme_tables.py")
        return
    readme.write_text(wanted)


if __name__ == "__main__":
    main()
