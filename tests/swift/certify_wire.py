#!/usr/bin/env python3
"""Runs the conformance suite over HTTP against an account server and a container server started for it.

The servers are Swift's own (`--stock`), or those of Apus (`--apus PATH --engine NAME`). They have two devices and
storage policies 0 to 31, run in a folder of their own, and are gone afterwards.

    certify_wire.py --certifier PATH (--stock | --apus PATH --engine NAME) [--report FILE] [-- ARGUMENTS OF CERTIFY]
    certify_wire.py --certifier PATH --stock --declare FILE     writes which cases HTTP can show, as Swift shows them

--report FILE compares the report with the file; with --write it replaces it.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import one_host
import processes
import python_env

POLICIES = tuple(f"policy-{index}" for index in range(32))
ROOT = Path(__file__).resolve().parent.parent.parent
EXPECTED = ROOT / "conformance/expected"

HEAD = """\
# Which cases of the suite can be run over HTTP: see src/door.rs. One line for each case, in the order of the suite.
#   yes              what it needs, requests do and responses show
#   yes, two devices the same, on servers that have two devices
#   no: …            it needs this, which no request does or no response shows
# `tests/swift/certify_wire.py --stock --declare` writes the verdicts anew; the words after `no` are kept.
"""


def name_of(options):
    """The name of the servers in reports."""
    if options.stock:
        return f"stock-swift-{python_env.swift_version()}"
    return f"apus-{options.engine}"


def expected_failures(options):
    """The file of cases that these servers are known to fail."""
    return EXPECTED / f"{name_of(options)}.txt"


def certify(options, host, arguments):
    """Runs the suite and returns its status and its report."""
    report = host.folder / "report.json"
    command = [options.certifier, "certify", "--account-url", host.url("account"), "--container-url",
               host.url("container"), "--device", "sd0", "--device", "sd1", "--name", name_of(options),
               "--report", str(report), *arguments]
    if expected_failures(options).exists() and "--undeclared" not in arguments:
        command += ["--expect", str(expected_failures(options))]
    status = subprocess.run(command).returncode
    return status, report.read_text() if report.exists() else None


def compare(options, report):
    """Replaces the checked-in report, or fails when it is not the one that was made."""
    if options.write:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(report)
        return 0
    if not options.report.exists() or options.report.read_text() != report:
        changed = options.report.with_suffix(".new.json")
        changed.write_text(report)
        print(f"the report of {name_of(options)} changed: compare {changed} with {options.report}; "
              "`make wire-reports` replaces it", file=sys.stderr)
        return 1
    return 0


def declare(options, report):
    """Writes what each case needs, keeping the words of the old file where the verdict stays the same."""
    file, old = options.declare, {}
    if file.exists():
        for line in file.read_text().splitlines():
            case, _, said = line.partition(" ")
            old[case] = said.strip()
    lines, failing = [], expected_failures(options)
    failing = failing.read_text() if failing.exists() else ""
    for case in json.loads(report)["cases"]:
        said = old.get(case["name"], "")
        if case["state"] == "pass" or f"\n{case['name']} " in failing:
            said = said if said.startswith("yes") else "yes"
        elif not said.startswith("no: "):
            said = f"no: {' '.join(case['reason'].split())[:70]}"
        lines.append((case["name"], said))
    width = max(len(name) for name, _ in lines) + 1
    file.write_text(HEAD + "".join(f"{name:<{width}} {said}\n" for name, said in lines))
    print(f"{file}: {sum(said.startswith('yes') for _, said in lines)} of {len(lines)} cases can be seen over HTTP")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    one_host.add_server_options(parser)
    parser.add_argument("--certifier", metavar="PATH", required=True, help="the apus binary that runs the suite")
    parser.add_argument("--report", metavar="FILE", type=Path, help="the report that is checked in")
    parser.add_argument("--write", action="store_true", help="replace that report")
    parser.add_argument("--declare", metavar="FILE", type=Path, help="write which cases HTTP can show")
    parser.add_argument("--keep", action="store_true", help="leave the folder of the servers, with their logs")
    parser.add_argument("arguments", nargs="*", help="more for `apus certify`, after --")
    options = parser.parse_args()
    one_host.check_server_options(parser, options)
    if bool(options.apus) == bool(options.stock):
        parser.error("name the servers: --stock, or --apus PATH")
    if options.apus and not options.engine:
        parser.error("--apus needs --engine")
    return options


def run(options):
    folder = tempfile.mkdtemp(prefix="apus-wire-")
    settings = one_host.Settings(apus=options.apus, engine=options.engine, replicas=2, policies=POLICIES,
                                 log_level="WARNING", proxy=False)
    try:
        with one_host.OneHost(folder, settings) as host:
            arguments = options.arguments + (["--undeclared"] if options.declare else [])
            status, report = certify(options, host, arguments)
    finally:
        if options.keep:
            print(f"the servers' folder is {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if report is None:
        return status or 1
    if options.declare:
        declare(options, report)
        return 0
    return status or (compare(options, report) if options.report else 0)


def main():
    options = parse()
    try:
        with processes.interruptible():
            return run(options)
    except (processes.HostFailure, python_env.EnvironmentFailure) as failure:
        print(f"certify_wire: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("certify_wire: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
